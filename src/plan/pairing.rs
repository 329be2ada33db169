//! A last inventory and a listing side by side, by own id: one walk over both, since both are kept in that order.

use super::{LastInventory, LastVm};
use crate::model::{ObservedVm, OwnId};

/// A last inventory and a listing, side by side.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a> {
    /// What the last inventory knew of each listed VM, by its position. Two entries of one id (a
    /// replica) are both known by it.
    pub known: Vec<Option<&'a LastVm>>,
    /// What it knew that is not listed, in id order.
    pub missing: Vec<&'a LastVm>,
    /// How many it knew.
    pub of: usize,
}

/// Puts them side by side.
pub(super) fn pair<'a>(last: Option<&'a LastInventory>, vms: &[ObservedVm]) -> Pairs<'a> {
    let Some(last) = last else { return Pairs { known: vec![None; vms.len()], ..Pairs::default() } };
    let listed = sorted(vms, |vm| &vm.id);
    let mut pairs = Pairs { known: vec![None; vms.len()], missing: Vec::new(), of: last.vms.len() };
    let mut at = 0;
    for (_, known) in sorted(last.vms.as_slice(), |vm| &vm.id) {
        // Asked in this order, since equal ids are mostly one and the same text, which need not be looked at then.
        while listed.get(at).is_some_and(|(_, vm)| vm.id != known.id && vm.id < known.id) {
            at += 1;
        }
        let before = at;
        while let Some((position, _)) = listed.get(at).filter(|(_, vm)| vm.id == known.id) {
            pairs.known[*position] = Some(known);
            at += 1;
        }
        if at == before {
            pairs.missing.push(known);
        }
    }
    pairs
}

/// With their positions, in id order. The contracts say that they come so, but nothing breaks if somebody forgets it.
fn sorted<T>(items: &[T], id: impl Fn(&T) -> &OwnId) -> Vec<(usize, &T)> {
    let mut sorted: Vec<(usize, &T)> = items.iter().enumerate().collect();
    if !items.is_sorted_by(|a, b| id(a) <= id(b)) {
        sorted.sort_by(|(_, a), (_, b)| id(a).cmp(id(b)));
    }
    sorted
}
