//! `RetrievePropertiesEx` and its pages.
//!
//! The first call decides which objects are listed; each page shows them as they are when it is asked for. What is gone
//! by then is left out.

use std::collections::VecDeque;

use super::super::fault::Fault;
use super::super::morefs::{Object, resolve};
use super::super::properties::{Path, Scope, evaluate, kind_of};
use super::super::value::{Ref, Value, write_any};
use super::spec::Spec;
use super::walk;
use crate::lab::faults::Effect;
use crate::xml::Writer;

/// Objects of a page when the caller names no number, and the most whatever it names.
pub(super) const PAGE: usize = 1_000;

/// What is left of a listing.
#[derive(Debug)]
pub(in crate::lab::vsphere) struct Listing {
    specs: Vec<Spec>,
    /// Object and the spec it is listed for.
    left: VecDeque<(Ref, usize)>,
    page: usize,
    /// A fault rule: no page after the first.
    broken: bool,
}

impl Listing {
    /// Finds the objects of some specs.
    pub fn start(scope: &Scope<'_>, specs: Vec<Spec>, max: Option<i64>, effects: &[Effect]) -> Result<Self, Fault> {
        let mut left = VecDeque::new();
        for (number, spec) in specs.iter().enumerate() {
            left.extend(walk::objects(scope, spec)?.into_iter().map(|object| (object, number)));
        }
        let mut page = match max {
            None => PAGE,
            Some(max) => usize::try_from(max).ok().filter(|max| *max > 0).unwrap_or(1).min(PAGE),
        };
        let mut broken = false;
        for effect in effects {
            match effect {
                Effect::Truncate(count) => left.truncate(*count),
                Effect::BreakAfterPage(count) => {
                    page = page.min((*count).max(1));
                    broken = true;
                }
                _ => {}
            }
        }
        Ok(Self { specs, left, page, broken })
    }

    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// May the next page be given?
    pub fn check(&self) -> Result<(), Fault> {
        if self.broken { Err(Fault::invalid_argument("token")) } else { Ok(()) }
    }
}

/// Writes the objects of the next page.
pub(in crate::lab::vsphere) fn next_page(scope: &Scope<'_>, listing: &mut Listing) -> String {
    let mut writer = Writer::fragment();
    let count = listing.page.min(listing.left.len());
    for (reference, number) in listing.left.drain(..count) {
        object(&mut writer, "objects", scope, &reference, &listing.specs[number]);
    }
    writer.finish().unwrap_or_default()
}

/// Writes all objects, for the call that knows no pages.
pub(in crate::lab::vsphere) fn list_all(scope: &Scope<'_>, mut listing: Listing) -> String {
    let mut writer = Writer::fragment();
    for (reference, number) in std::mem::take(&mut listing.left) {
        object(&mut writer, "returnval", scope, &reference, &listing.specs[number]);
    }
    writer.finish().unwrap_or_default()
}

/// One property of one object, for `Fetch`.
pub(in crate::lab::vsphere) fn read_one(
    scope: &Scope<'_>,
    reference: &Ref,
    path: &Path,
) -> Result<Option<Value>, Fault> {
    let found = walk::find(scope, reference)?;
    if let Some(fault) = unreadable(scope, &found, reference) {
        return Err(fault);
    }
    Ok(evaluate(scope, &found, &path.text))
}

/// Why a VM's properties are refused to the account, if they are.
pub(super) fn unreadable(scope: &Scope<'_>, object: &Object, reference: &Ref) -> Option<Fault> {
    let Object::Vm(id) = object else { return None };
    if scope.rules.is_empty() {
        return None;
    }
    let vm = scope.world.vm(*id)?;
    let uuid = vm.instance_uuid.to_string();
    let denied = scope.rules.denies("System.Read", &[&vm.name, &reference.id, &uuid]);
    denied.then(|| Fault::no_permission(reference, "System.Read"))
}

fn object(writer: &mut Writer, name: &str, scope: &Scope<'_>, reference: &Ref, spec: &Spec) {
    let Some(found) = resolve(scope.world, reference) else { return };
    let kind = kind_of(scope.world, &found);
    writer.open(name);
    writer.open("obj").attribute("type", kind).text(&reference.id).close();
    if let Some(fault) = unreadable(scope, &found, reference) {
        for path in spec.paths_of(kind) {
            missing(writer, path, &fault);
        }
    } else {
        for path in spec.paths_of(kind) {
            if let Some(value) = evaluate(scope, &found, &path.text) {
                writer.open("propSet").leaf("name", &path.text);
                write_any(writer, "val", &path.field, &value);
                writer.close();
            }
        }
    }
    writer.close();
}

/// A `MissingProperty`.
pub(super) fn missing(writer: &mut Writer, path: &Path, fault: &Fault) {
    writer.open("missingSet").leaf("path", &path.text);
    let data = fault.localized();
    writer.open("fault").text("");
    super::super::value::write_fields(writer, &data, super::super::schema::schema());
    writer.close().close();
}
