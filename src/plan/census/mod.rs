//! Who is who, over all endpoints: the standing of every key that is desired, owned, or was owned when last seen.
//!
//! Each VM's mark is parsed once, here. What comes out are borrowed views of the inventory and the history, sorted so that
//! the planner asks per key; nothing is decided here about what to do.
//!
//! ```text
//! mod.rs       Census: take it once, ask it per key
//! standing.rs  KeyStanding: what is known of one key
//! past.rs      the last inventories against the listing: missing, stripped of their mark, put back
//! listing.rs   every VM with whose it is, for `get vms`
//! ```
//!
//! Invariant: a key has one standing, and only [`KeyStanding::Absent`] and [`KeyStanding::Gone`] say that nothing of it
//! is anywhere.

mod listing;
mod past;
mod standing;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

pub use listing::{Class, ListedVm, listing};
pub use past::{LostMark, Stripped, Unlisted};
pub use standing::KeyStanding;

use super::safety::unknown::{self, Sights};
use super::{History, Policy};
use crate::inventory::Inventory;
use crate::mark::{self, Mark, Standing};
use crate::model::{EndpointName, ObservedVm, TierName, VmConfig, VmKey};

/// A VM that carries a mark of this installation, or a copy of one.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Where.
    pub endpoint: &'a EndpointName,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration, which could be read or there would be no mark.
    pub config: &'a VmConfig,
    /// The mark.
    pub mark: Box<Mark>,
    /// What the mark is to this VM.
    pub kind: SeenKind,
    /// The generation last seen on this very VM, when that was a higher one.
    pub reverted_from: Option<u64>,
    key_hash: u64,
}

/// What a mark is to the VM that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenKind {
    /// Written for it.
    Ours,
    /// Written while it is being made.
    Unfinished,
    /// Copied to it.
    Clone,
}

/// A VM known by its birth name alone: a create cut short before its mark was written.
#[derive(Debug, Clone, Copy)]
pub struct Newborn<'a> {
    /// Where.
    pub endpoint: &'a EndpointName,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration.
    pub config: &'a VmConfig,
    /// Whom it was to become.
    pub identity: Uuid,
}

/// Everything known of who is who.
#[derive(Debug)]
pub struct Census<'a> {
    /// Which installation is ours.
    pub installation: &'a str,
    /// How far each endpoint may be believed.
    pub sights: Sights<'a>,
    /// VMs that carry no mark of ours, clones included.
    pub unmanaged: u32,
    /// VMs known by their birth name alone.
    pub newborn: Vec<Newborn<'a>>,
    inventory: &'a Inventory,
    history: &'a History,
    policy: &'a Policy,
    /// Sorted by the key's hash, then key, endpoint and id.
    seen: Vec<Seen<'a>>,
    past: past::Past<'a>,
    by_id: OnceCell<BTreeMap<&'a str, Vec<(&'a EndpointName, &'a ObservedVm)>>>,
    holders: OnceCell<BTreeMap<Uuid, BTreeSet<VmKey>>>,
}

/// Takes the census with no loss accepted, as commands that only look do.
pub fn take<'a>(inventory: &'a Inventory, history: &'a History, policy: &'a Policy) -> Census<'a> {
    take_approved(inventory, history, policy, &BTreeSet::new())
}

/// Takes the census; `approvals` may accept that an endpoint really lost many VMs.
pub fn take_approved<'a>(
    inventory: &'a Inventory,
    history: &'a History,
    policy: &'a Policy,
    approvals: &BTreeSet<String>,
) -> Census<'a> {
    let installation = policy.installation.as_str();
    let mut census = Census {
        installation,
        sights: unknown::sights(inventory, history, policy, approvals),
        unmanaged: 0,
        newborn: Vec::new(),
        inventory,
        history,
        policy,
        seen: Vec::with_capacity(
            inventory.endpoints.keys().filter_map(|e| inventory.observed(e)).map(|o| o.vms.len()).sum(),
        ),
        past: past::Past::default(),
        by_id: OnceCell::new(),
        holders: OnceCell::new(),
    };
    for endpoint in inventory.endpoints.keys() {
        census.count_endpoint(endpoint);
    }
    census.past.look_back(inventory, history, &census.sights);
    census.seen.sort_unstable_by(|a, b| {
        (a.key_hash.cmp(&b.key_hash))
            .then_with(|| a.mark.key.cmp(&b.mark.key))
            .then_with(|| (a.endpoint, &a.vm.id).cmp(&(b.endpoint, &b.vm.id)))
    });
    census
}

impl<'a> Census<'a> {
    fn count_endpoint(&mut self, endpoint: &'a EndpointName) {
        let Some(observed) = self.inventory.observed(endpoint) else { return };
        let last = past::generations(self.history.last.get(endpoint), observed);
        for (index, vm) in observed.vms.iter().enumerate() {
            let Some(config) = vm.readable() else { continue };
            let (mark, kind) = match mark::judge(vm, self.installation) {
                Standing::Ours(mark) => (mark, SeenKind::Ours),
                Standing::Unfinished { mark: Some(mark), .. } => (mark, SeenKind::Unfinished),
                Standing::Clone(mark) => (mark, SeenKind::Clone),
                Standing::Unfinished { identity, mark: None } => {
                    self.newborn.push(Newborn { endpoint, vm, config, identity });
                    continue;
                }
                Standing::NoMark | Standing::Foreign(_) | Standing::Unreadable(_) => {
                    self.unmanaged += 1;
                    continue;
                }
                Standing::Unknown(_) => continue,
            };
            self.unmanaged += u32::from(kind == SeenKind::Clone);
            let reverted_from = last.of(index).filter(|last| *last > mark.generation && kind != SeenKind::Clone);
            let key_hash = hash(&mark.key);
            self.seen.push(Seen { endpoint, vm, config, mark, kind, reverted_from, key_hash });
        }
    }

    /// All VMs that name this key, clones included; in order of endpoint and id.
    pub fn named(&self, key: &VmKey) -> &[Seen<'a>] {
        let range = self.range(key);
        &self.seen[range]
    }

    /// Where in [`Self::all`] the VMs of this key stand.
    pub fn range(&self, key: &VmKey) -> std::ops::Range<usize> {
        let wanted = hash(key);
        let mut start = self.seen.partition_point(|seen| seen.key_hash < wanted);
        // Two keys of one hash stand next to each other, sorted by key.
        while self.seen.get(start).is_some_and(|seen| seen.key_hash == wanted && seen.mark.key < *key) {
            start += 1;
        }
        let mut end = start;
        while self.seen.get(end).is_some_and(|seen| seen.key_hash == wanted && seen.mark.key == *key) {
            end += 1;
        }
        start..end
    }

    /// All VMs with a mark of ours, clones included.
    pub fn all(&self) -> &[Seen<'a>] {
        &self.seen
    }

    /// Keys that were owned when last seen and whose VM is not listed, or is listed without its mark.
    pub fn past_keys(&self) -> impl Iterator<Item = &'a VmKey> + '_ {
        self.past.unlisted.keys().chain(self.past.stripped.keys()).copied()
    }

    /// What is known of a key.
    pub fn standing(&self, key: &VmKey) -> KeyStanding<'a, '_> {
        standing::of(self, key)
    }

    /// The VM with this own id on an endpoint, listed with whatever mark.
    pub fn listed(&self, endpoint: &EndpointName, id: &crate::model::OwnId) -> Vec<&'a ObservedVm> {
        let all = self.by_id().get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|(at, _)| *at == endpoint).map(|(_, vm)| *vm).collect()
    }

    /// VMs by own id, over all endpoints; made when first asked for.
    fn by_id(&self) -> &BTreeMap<&'a str, Vec<(&'a EndpointName, &'a ObservedVm)>> {
        self.by_id.get_or_init(|| {
            let mut by_id: BTreeMap<&str, Vec<(&EndpointName, &ObservedVm)>> = BTreeMap::new();
            for endpoint in self.inventory.endpoints.keys() {
                for vm in self.inventory.observed(endpoint).iter().flat_map(|observed| &observed.vms) {
                    by_id.entry(vm.id.as_str()).or_default().push((endpoint, vm));
                }
            }
            by_id
        })
    }

    /// The identity a new VM of this key gets: of the smallest n that no valid mark, live or in a last inventory, holds
    /// under another key (a renamed VM took its identity along).
    pub fn free_identity(&self, key: &VmKey) -> Uuid {
        let holders = self.holders.get_or_init(|| {
            let mut holders: BTreeMap<Uuid, BTreeSet<VmKey>> = BTreeMap::new();
            let live = self.seen.iter().filter(|seen| seen.kind != SeenKind::Clone);
            let past = self.history.last.values().flat_map(|last| &last.vms).filter_map(|vm| vm.owned.as_ref());
            let held = live
                .map(|seen| (seen.mark.identity, &seen.mark.key))
                .chain(past.map(|owned| (owned.identity, &owned.key)))
                // Its own first identity is what nearly every key holds: that is in nobody's way.
                .filter(|(identity, key)| *identity != mark::identity(self.installation, key, 0));
            for (identity, key) in held {
                holders.entry(identity).or_default().insert(key.clone());
            }
            holders
        });
        (0u32..)
            .map(|n| mark::identity(self.installation, key, n))
            .find(|identity| holders.get(identity).is_none_or(|held| held.iter().all(|other| other == key)))
            .expect("there are fewer VMs than numbers")
    }

    /// The highest generation last seen for this own id, wherever it was.
    pub fn last_generation(&self, id: &crate::model::OwnId) -> u64 {
        let past = self.history.last.values().flat_map(|last| &last.vms);
        past.filter(|vm| vm.id == *id)
            .filter_map(|vm| vm.owned.as_ref())
            .map(|owned| owned.generation)
            .max()
            .unwrap_or(0)
    }

    /// Owned VMs per tier, as the marks say; retired ones count, clones do not.
    pub fn owned_per_tier(&self) -> BTreeMap<TierName, u32> {
        let mut counts: BTreeMap<&TierName, u32> = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| seen.kind != SeenKind::Clone) {
            *counts.entry(&seen.mark.tier).or_default() += 1;
        }
        counts.into_iter().map(|(tier, count)| (tier.clone(), count)).collect()
    }

    /// The same if it is needed at all.
    pub fn owned_per_tier_if(&self, needed: bool) -> BTreeMap<TierName, u32> {
        if needed { self.owned_per_tier() } else { BTreeMap::new() }
    }

    /// The settings this census was taken with.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// What it was taken of.
    pub fn inventory(&self) -> &'a Inventory {
        self.inventory
    }

    /// What was known before.
    pub fn history(&self) -> &'a History {
        self.history
    }
}

/// FNV-1a: sorting and finding 100,000 keys by one number is several times faster than by two strings each. Equal hashes
/// are told apart by the key itself.
fn hash(key: &VmKey) -> u64 {
    let parts = [key.project().as_bytes(), b"/", key.name().as_str().as_bytes()];
    parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
