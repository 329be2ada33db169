//! One VM, read fresh: by own id, or by the identity it was made for.

use tierwright::lab::world::{self, World};
use tierwright::mark::{self, Mark};
use tierwright::model::OwnId;
use tierwright::provider::{ErrorKind, Found, ProviderError, Target};
use uuid::Uuid;

use super::reading::own_id;
use super::{MARK, OverWorld, Scheme};

/// The mark on a VM, if it can be read.
pub fn mark_of(vm: &world::Vm) -> Option<Mark> {
    mark::parse(vm.setting(MARK)?).ok()
}

impl OverWorld {
    pub(super) fn found(&self, target: &Target) -> Result<Found, ProviderError> {
        let trouble = self.trouble();
        let chosen = |identity: &Uuid| OwnId::new(&identity.to_string());
        self.world.with(|world| {
            let vms: Vec<&world::Vm> = match target {
                Target::OwnId(id) => with_id(world, id),
                Target::Identity(identity) if self.scheme == Scheme::Chosen => with_id(world, &chosen(identity)),
                Target::Identity(identity) => of_identity(world, *identity),
            };
            if vms.iter().any(|vm| trouble.denied.contains(&own_id(vm))) {
                return Err(self.error("find", ErrorKind::Denied, "no permission"));
            }
            let mut observed: Vec<_> = vms.into_iter().map(|vm| self.observed(world, &trouble, vm)).collect();
            Ok(match (observed.pop(), observed.len()) {
                (None, _) => Found::Nothing,
                (Some(vm), 0) => Found::Vm(Box::new(vm)),
                (Some(vm), _) => {
                    observed.push(vm);
                    Found::Several(observed)
                }
            })
        })
    }
}

fn with_id<'w>(world: &'w World, id: &OwnId) -> Vec<&'w world::Vm> {
    world.vms().filter(|vm| own_id(vm) == *id).collect()
}

/// By birth name, or by a mark that was written for this very VM (or before its own id was known).
pub(super) fn of_identity(world: &World, identity: Uuid) -> Vec<&world::Vm> {
    let birth_name = mark::birth_name(identity);
    let marked = |vm: &world::Vm| {
        mark_of(vm).is_some_and(|mark| {
            mark.identity == identity && mark.own_id.as_ref().is_none_or(|marked| *marked == own_id(vm))
        })
    };
    world.vms().filter(|vm| *vm.name == *birth_name || marked(vm)).collect()
}
