//! A last inventory and a listing side by side, by own id: one walk over both, since both are kept in that order.

use super::{LastInventory, LastVm};
use crate::model::{ObservedVm, OwnId};

/// What the last inventory knew of each listed VM, by its position, and what it knew that is not listed, in id order. Two
/// entries of one id (a replica) are both known by it.
pub(super) fn pair<'a>(last: &'a LastInventory, vms: &[ObservedVm]) -> (Vec<Option<&'a LastVm>>, Vec<&'a LastVm>) {
    let listed = sorted(vms, |vm| &vm.id);
    let mut known_of = vec![None; vms.len()];
    let mut missing = Vec::new();
    let mut at = 0;
    for (_, known) in sorted(&last.vms, |vm| &vm.id) {
        while listed.get(at).is_some_and(|(_, vm)| vm.id < known.id) {
            at += 1;
        }
        let before = at;
        while let Some((position, _)) = listed.get(at).filter(|(_, vm)| vm.id == known.id) {
            known_of[*position] = Some(known);
            at += 1;
        }
        if at == before {
            missing.push(known);
        }
    }
    (known_of, missing)
}

/// With their positions, in id order. The contracts say that they come so, but nothing breaks if somebody forgets it.
fn sorted<T>(items: &[T], id: impl Fn(&T) -> &OwnId) -> Vec<(usize, &T)> {
    let mut sorted: Vec<(usize, &T)> = items.iter().enumerate().collect();
    if !items.is_sorted_by(|a, b| id(a) <= id(b)) {
        sorted.sort_by(|(_, a), (_, b)| id(a).cmp(id(b)));
    }
    sorted
}
