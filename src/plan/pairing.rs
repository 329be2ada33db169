//! A last inventory and a listing side by side, by own id: one walk over both, since both are kept in that order.

use super::{LastInventory, LastVm};
use crate::model::{ObservedVm, OwnId};

/// Calls `each` with every VM of the last inventory, in id order, and the (first) listed VM of the same id.
pub(super) fn each_known<'a>(
    last: &'a LastInventory,
    vms: &'a [ObservedVm],
    mut each: impl FnMut(&'a LastVm, Option<&'a ObservedVm>),
) {
    let listed = sorted(vms, |vm| &vm.id);
    let mut at = 0;
    for (_, known) in sorted(&last.vms, |vm| &vm.id) {
        while listed.get(at).is_some_and(|(_, vm)| vm.id < known.id) {
            at += 1;
        }
        each(known, listed.get(at).map(|(_, vm)| *vm).filter(|vm| vm.id == known.id));
    }
}

/// Calls `each` with the position of every listed VM that the last inventory knew.
pub(super) fn each_listed<'a>(last: &'a LastInventory, vms: &'a [ObservedVm], mut each: impl FnMut(usize, &'a LastVm)) {
    let known = sorted(&last.vms, |vm| &vm.id);
    let mut at = 0;
    for (position, vm) in sorted(vms, |vm| &vm.id) {
        while known.get(at).is_some_and(|(_, known)| known.id < vm.id) {
            at += 1;
        }
        if let Some((_, known)) = known.get(at).filter(|(_, known)| known.id == vm.id) {
            each(position, known);
        }
    }
}

/// With their positions, in id order. The contracts say that they come so, but nothing breaks if somebody forgets it.
fn sorted<T>(items: &[T], id: impl Fn(&T) -> &OwnId) -> Vec<(usize, &T)> {
    let mut sorted: Vec<(usize, &T)> = items.iter().enumerate().collect();
    if !items.is_sorted_by(|a, b| id(a) <= id(b)) {
        sorted.sort_by(|(_, a), (_, b)| id(a).cmp(id(b)));
    }
    sorted
}
