//! Which identity a new VM gets, and above which generation its mark begins.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Census, SeenKind};
use crate::mark;
use crate::model::{OwnId, VmKey};

/// Who holds which identity, and what was last seen of each own id; made when first asked for, since most plans make
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Held<'a> {
    /// Identity -> position among the VMs seen; sorted.
    live: Vec<(Uuid, usize)>,
    /// Identity -> key in a last inventory; sorted.
    past: Vec<(Uuid, &'a VmKey)>,
    /// Own id -> highest generation in any last inventory.
    generations: BTreeMap<&'a OwnId, u64>,
}

impl<'a> Census<'a> {
    /// The identity a new VM of this key gets: of the smallest n that no valid mark, live or in a last inventory, holds
    /// under another key (a renamed VM took its identity along).
    pub fn free_identity(&self, key: &VmKey) -> Uuid {
        let mut n = 0;
        loop {
            let identity = mark::identity(self.installation, key, n);
            // There are fewer VMs than numbers, so this ends.
            if !self.is_held_by_another(identity, key) || n == u32::MAX {
                return identity;
            }
            n += 1;
        }
    }

    fn is_held_by_another(&self, identity: Uuid, key: &VmKey) -> bool {
        let Held { live, past, .. } = self.held();
        let first = live.partition_point(|(held, _)| *held < identity);
        let mut live = live[first..].iter().take_while(|(held, _)| *held == identity);
        let first = past.partition_point(|(held, _)| *held < identity);
        let mut past = past[first..].iter().take_while(|(held, _)| *held == identity);
        live.any(|(_, position)| !self.seen[*position].names(key)) || past.any(|(_, holder)| *holder != key)
    }

    /// The highest generation last seen for this own id, wherever it was.
    pub fn last_generation(&self, id: &OwnId) -> u64 {
        self.held().generations.get(id).copied().unwrap_or(0)
    }

    fn held(&self) -> &Held<'a> {
        self.held.get_or_init(|| {
            let mut held = Held::default();
            let own = self.seen.iter().enumerate().filter(|(_, seen)| seen.kind != SeenKind::Clone);
            held.live = own.filter_map(|(position, seen)| Some((seen.identity()?, position))).collect();
            for vm in self.history.last.values().flat_map(|last| last.vms.iter()) {
                if let Some(owned) = &vm.owned {
                    held.past.push((owned.identity, &owned.key));
                    let highest = held.generations.entry(&vm.id).or_default();
                    *highest = owned.generation.max(*highest);
                }
            }
            held.live.sort_unstable();
            held.past.sort_unstable();
            held
        })
    }
}
