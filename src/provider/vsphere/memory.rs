//! What was read of an endpoint's VMs before, so that not everything is read again; and finding one of them.
//!
//! Lists are kept in the order of references, in which servers mostly tell of VMs: then each is found next to the one
//! before it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::convert::{Heavy, Light};
use super::soap::Moref;
use crate::model::OwnId;

/// Heavy properties are read of all VMs at least so often, should a server not move `changeVersion` for some change.
const ALL_EVERY: Duration = Duration::from_hours(1);

/// The type of a VM's reference.
pub(super) const VM: &str = "VirtualMachine";

/// One VM as far as it is read.
pub(super) struct Vm {
    pub light: Box<Light>,
    pub heavy: Option<Heavy>,
}

/// What is to be remembered of a reading.
pub(super) struct Listing {
    /// In the order of references.
    pub vms: Vec<Vm>,
    /// Everything was read of each.
    pub all: bool,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// All VMs of the last listing, templates included, by reference.
    listed: Vec<Remembered>,
    /// VMs of earlier listings that were not in a later one: where each was last seen.
    left: HashMap<OwnId, Moref>,
    /// When all was last read.
    all_at: Option<Instant>,
}

/// One VM of a listing. What it holds is shared with what was told of it.
#[derive(Debug)]
struct Remembered {
    /// Value of its reference.
    vm: Arc<str>,
    id: OwnId,
    name: Arc<str>,
    /// Empty: the server does not tell.
    change_version: Box<str>,
    heavy: Option<Heavy>,
}

/// References in an order that is quick to find: numbers at the end of `vm-9` and `vm-10` come in their own order.
fn order(one: &str, other: &str) -> Ordering {
    (one.len(), one).cmp(&(other.len(), other))
}

/// Something that is kept in the order of references.
pub(super) trait Referred {
    fn reference(&self) -> &str;
}

impl Referred for Remembered {
    fn reference(&self) -> &str {
        &self.vm
    }
}

impl Referred for Vm {
    fn reference(&self) -> &str {
        &self.light.moref.value
    }
}

/// The one of this reference. `at` is where it may stand, and then where the one behind it stands: a server mostly tells
/// of VMs in the same order, or of some of them in that order.
pub(super) fn find_in<'s, T: Referred>(sorted: &'s [T], vm: &str, at: &mut usize) -> Option<&'s T> {
    let compare = |at: usize| sorted.get(at).map_or(Ordering::Greater, |known| order(known.reference(), vm));
    let (mut from, mut to) = (0, *at);
    if compare(*at) != Ordering::Greater {
        // At ever longer steps.
        let mut step = 1;
        while compare(*at + step) == Ordering::Less {
            step *= 2;
        }
        (from, to) = (*at + step / 2, sorted.len().min(*at + step + 1));
    }
    let found = sorted.get(from..to)?.binary_search_by(|known| order(known.reference(), vm)).ok()?;
    *at = from + found + 1;
    sorted.get(from + found)
}

/// Puts them in the order of references.
pub(super) fn sort<T: Referred>(all: &mut [T]) {
    all.sort_by(|a, b| order(a.reference(), b.reference()));
}

impl Memory {
    /// Is it time to read everything of all VMs?
    pub(super) fn wants_all(&self) -> bool {
        self.all_at.is_none_or(|at| at.elapsed() > ALL_EVERY)
    }

    /// The heavy part of a VM whose configuration has not changed since it was read. For `at` see [`find_in`].
    pub(super) fn heavy_of(&self, light: &Light, at: &mut usize) -> Option<Heavy> {
        let known = find_in(&self.listed, &light.moref.value, at)?;
        let is_unchanged = !known.change_version.is_empty() && known.change_version == light.change_version;
        known.heavy.clone().filter(|_| is_unchanged)
    }

    /// Where a VM was last seen, for direct reads by id.
    pub(super) fn last_seen(&self, id: &OwnId) -> Option<Moref> {
        let listed = self.listed.iter().find(|known| known.id == *id).map(Remembered::moref);
        listed.or_else(|| self.left.get(id).cloned())
    }

    /// VMs and templates of a name, for those that serve as images.
    pub(super) fn called(&self, name: &str) -> Vec<Moref> {
        self.listed.iter().filter(|known| *known.name == *name).map(Remembered::moref).collect()
    }

    /// Keeps a listing in the place of the one before.
    pub(super) fn remember(&mut self, Listing { vms, all }: Listing) {
        if all {
            self.all_at = Some(crate::clock::instant());
        }
        let listed = vms.into_iter().map(Remembered::from).collect();
        let before = std::mem::replace(&mut self.listed, listed);
        let mut at = 0;
        for known in before {
            if find_in(&self.listed, &known.vm, &mut at).is_none_or(|now| now.id != known.id) {
                self.left.insert(known.id.clone(), known.moref());
            }
        }
    }
}

impl Remembered {
    fn moref(&self) -> Moref {
        Moref { kind: Cow::Borrowed(VM), value: Arc::clone(&self.vm) }
    }
}

impl std::convert::From<Vm> for Remembered {
    fn from(Vm { light, heavy }: Vm) -> Self {
        let light = *light;
        Self { vm: light.moref.value, id: light.id, name: light.name, change_version: light.change_version, heavy }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Referred for String {
        fn reference(&self) -> &str {
            self
        }
    }

    proptest! {
        #[test]
        fn what_is_there_is_found_from_wherever_one_looks(
            there in prop::collection::btree_set(0..300_u32, 0..60),
            asked in prop::collection::vec(0..300_u32, 0..80),
        ) {
            let name = |number: &u32| format!("vm-{number}");
            let mut all: Vec<String> = there.iter().rev().map(name).collect();
            sort(&mut all);
            prop_assert_eq!(&all, &there.iter().map(name).collect::<Vec<_>>(), "numbers come in their own order");
            let mut at = 0;
            for number in &asked {
                let found = find_in(&all, &name(number), &mut at).cloned();
                prop_assert_eq!(found, there.contains(number).then(|| name(number)));
            }
        }
    }
}
