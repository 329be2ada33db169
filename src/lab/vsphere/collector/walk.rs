//! Which objects a spec means now: from its starting objects along its traversals, each object once.

use std::collections::HashSet;

use super::super::fault::Fault;
use super::super::morefs::{Object, own_ref, resolve};
use super::super::properties::{Scope, evaluate};
use super::super::schema::schema;
use super::super::value::{Ref, Value};
use super::spec::Spec;

/// The objects of a spec, in the order they are come by. A starting object that is gone is a
/// fault, as on a real server.
pub(super) fn objects(scope: &Scope<'_>, spec: &Spec) -> Result<Vec<Ref>, Fault> {
    let mut walk = Walk { scope, spec, listed: HashSet::new(), out: Vec::new(), seen: HashSet::new() };
    for start in &spec.starts {
        let object = find(scope, &start.object)?;
        let own = own_ref(scope.world, &object);
        if !start.skip {
            walk.list(&own);
        }
        walk.follow(&own, &object, &start.select);
    }
    Ok(walk.out)
}

/// The object of a reference, or the fault for one that is gone.
pub(super) fn find(scope: &Scope<'_>, reference: &Ref) -> Result<Object, Fault> {
    let object = resolve(scope.world, reference).ok_or_else(|| Fault::not_found(reference))?;
    if let Object::OfSession(of) = &object {
        let here = scope
            .session
            .is_some_and(|session| session.views.contains_key(&of.id) || session.collectors.contains_key(&of.id));
        if !here {
            return Err(Fault::not_found(reference));
        }
    }
    Ok(object)
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    spec: &'a Spec,
    listed: HashSet<Ref>,
    out: Vec<Ref>,
    /// Object and traversal: selections may name each other in a ring.
    seen: HashSet<(Ref, usize)>,
}

impl Walk<'_> {
    fn list(&mut self, reference: &Ref) {
        if self.spec.wants(reference.kind) && self.listed.insert(reference.clone()) {
            self.out.push(reference.clone());
        }
    }

    fn follow(&mut self, from: &Ref, object: &Object, select: &[usize]) {
        // A stack of its own: how deep it goes is up to the request and the folders.
        let mut open: Vec<(Ref, Object, Vec<usize>)> = vec![(from.clone(), object.clone(), select.to_vec())];
        while let Some((from, object, select)) = open.pop() {
            for number in select {
                let Some(traversal) = self.spec.traversals.get(number) else { continue };
                if !schema().is_a(from.kind, traversal.kind) || !self.seen.insert((from.clone(), number)) {
                    continue;
                }
                let found = match evaluate(self.scope, &object, &traversal.path) {
                    Some(Value::Ref(one)) => vec![Value::Ref(one)],
                    Some(Value::List(many)) => many,
                    _ => continue,
                };
                for value in found {
                    let Value::Ref(next) = value else { continue };
                    if !traversal.skip {
                        self.list(&next);
                    }
                    if !traversal.select.is_empty()
                        && let Some(object) = resolve(self.scope.world, &next)
                    {
                        open.push((next, object, traversal.select.clone()));
                    }
                }
            }
        }
    }
}
