//! Who is who, over all endpoints: the standing of every key that is desired, owned, or was owned when last seen.
//!
//! Each VM's mark is judged once, here, by its beginning where that is enough; the whole is read only when asked for. What comes out are borrowed views of the inventory and the history, sorted so that
//! the planner asks per key; nothing is decided here about what to do.
//!
//! ```text
//! mod.rs       Census: take it once, ask it per key
//! counting.rs  whose each listed VM is
//! seen.rs      a VM with a mark, read as far as needed     identity.rs  which identity a new VM gets
//! standing.rs  KeyStanding: what is known of one key        index.rs     VMs by the hash of their key
//! past.rs      the last inventories against the listing: missing, stripped of their mark, put back
//! listing.rs   every VM with whose it is, for `get vms`
//! ```
//!
//! Invariant: a key has one standing, and only [`KeyStanding::Absent`] and [`KeyStanding::Gone`] say that nothing of it
//! is anywhere.

mod counting;
mod identity;
mod index;
mod listing;
mod past;
mod seen;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

pub use listing::{Class, ListedVm, listing};
pub use past::{LostMark, Stripped, Unlisted};
pub use seen::{Newborn, Seen, SeenHead, SeenKind};
pub use standing::KeyStanding;

use counting::Counted;

use super::halves;
use super::pairing::{self, Pairs};
use super::safety::unknown::{self, Sights};
use super::{History, Policy};
use crate::inventory::Inventory;
use crate::model::{EndpointName, ObservedVm, TierName, VmKey};

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
    /// In order of endpoint and listing.
    seen: Vec<Seen<'a>>,
    /// Hash of the key and position in `seen`, as they are counted.
    hashes: Vec<(u64, u32)>,
    /// The same, to find a key by.
    index: index::Index,
    past: past::Past<'a>,
    by_id: OnceLock<BTreeMap<&'a str, Vec<(&'a EndpointName, &'a ObservedVm)>>>,
    held: OnceLock<identity::Held<'a>>,
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
    // Endpoints that were seen before and not asked now have much to say as well.
    let endpoints: BTreeSet<&EndpointName> = inventory.endpoints.keys().chain(history.last.keys()).collect();
    let listed = |endpoint| inventory.observed(endpoint).map(|observed| observed.vms.as_slice()).unwrap_or_default();
    let pairs: BTreeMap<&EndpointName, Pairs<'a>> = (endpoints.into_iter())
        .map(|endpoint| (endpoint, pairing::pair(history.last.get(endpoint), listed(endpoint))))
        .collect();
    let mut census = Census {
        installation,
        sights: unknown::sights(inventory, (history, &pairs), policy, approvals),
        unmanaged: 0,
        newborn: Vec::new(),
        inventory,
        history,
        policy,
        seen: Vec::with_capacity(
            inventory.endpoints.keys().filter_map(|e| inventory.observed(e)).map(|o| o.vms.len()).sum(),
        ),
        hashes: Vec::new(),
        index: index::Index::default(),
        past: past::Past::default(),
        by_id: OnceLock::new(),
        held: OnceLock::new(),
    };
    for (endpoint, pairs) in pairs {
        census.past.missing(endpoint, &pairs.missing, census.sights.get(endpoint), history);
        let listed: Vec<_> = listed(endpoint).iter().zip(pairs.known).collect();
        let counted = halves::each(&listed, |listed| counting::count(installation, endpoint, listed));
        for counted in counted {
            census.add(counted);
        }
    }
    census.put_in_order();
    census
}

impl<'a> Census<'a> {
    /// By key; VMs of one key by endpoint, id and name, since two that share an id come in any order.
    fn put_in_order(&mut self) {
        let seen = &self.seen;
        let place = |position: u32| {
            seen.get(position as usize).map(|seen| (seen.endpoint, &seen.vm.id, &seen.vm.name, &seen.vm.handle))
        };
        self.index = index::Index::of(&std::mem::take(&mut self.hashes), |a, b| place(a).cmp(&place(b)));
        self.newborn.sort_by_key(|newborn| (newborn.endpoint, &newborn.vm.id, &newborn.vm.name, &newborn.vm.handle));
        self.past.put_in_order();
    }

    /// Takes in what was counted next.
    fn add(&mut self, counted: Counted<'a>) {
        let Counted { mut seen, hashes, mut newborn, unmanaged, stripped } = counted;
        let before = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        self.hashes.extend(hashes.into_iter().zip(before..));
        self.seen.append(&mut seen);
        self.newborn.append(&mut newborn);
        self.unmanaged += unmanaged;
        for stripped in stripped {
            self.past.stripped(stripped);
        }
    }

    /// All VMs that name this key, clones included; in order of endpoint and id.
    pub fn named<'c, 'k>(&'c self, key: &'k VmKey) -> impl Iterator<Item = &'c Seen<'a>> + use<'a, 'c, 'k> {
        self.positions(key).map(|position| &self.seen[position])
    }

    /// Where in [`Self::all`] the VMs of this key stand.
    pub fn positions<'c, 'k>(&'c self, key: &'k VmKey) -> impl Iterator<Item = usize> + use<'a, 'c, 'k> {
        let wanted = seen::hash_of(key);
        self.index.of_hash(wanted).filter(move |position| self.seen[*position].names(key))
    }

    /// The one VM of this key if there is nothing unusual about it: ours, alive, its mark in our own form, and nothing of
    /// the past against it. Adds to `named` which VMs name the key, plain or not.
    pub fn plain(&self, key: &VmKey, named: &mut Vec<usize>) -> Option<&Seen<'a>> {
        let mut only = None;
        let mut count = 0;
        for position in self.positions(key) {
            named.push(position);
            only = Some(&self.seen[position]);
            count += 1;
        }
        let seen = only.filter(|_| count == 1)?;
        let plain = seen.kind == SeenKind::Ours
            && seen.head.is_some()
            && seen.reverted_from.is_none()
            && !self.past.unlisted.contains_key(key);
        plain.then_some(seen)
    }

    /// All VMs with a mark of ours, clones included.
    pub fn all(&self) -> &[Seen<'a>] {
        &self.seen
    }

    /// Keys that were owned when last seen and whose VM is not listed, or is listed without its mark.
    pub fn past_keys(&self) -> impl Iterator<Item = &'a VmKey> + '_ {
        self.past.unlisted.keys().chain(self.past.stripped.keys()).copied()
    }

    /// VMs that were ours when last seen and are listed without a mark that says so.
    pub fn stripped(&self) -> impl Iterator<Item = &Stripped<'a>> {
        self.past.stripped.values().flatten()
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
            for same in by_id.values_mut().filter(|same| same.len() > 1) {
                same.sort_by_key(|(endpoint, vm)| (*endpoint, &vm.name, &vm.handle));
            }
            by_id
        })
    }

    /// Owned VMs per tier, as the marks say; retired ones count, clones and what is still being made do not.
    pub fn owned_per_tier(&self) -> BTreeMap<TierName, u32> {
        let mut counts: BTreeMap<TierName, u32> = BTreeMap::new();
        for tier in self.seen.iter().filter(|seen| seen.kind == SeenKind::Ours).filter_map(Seen::tier) {
            *counts.entry(tier).or_default() += 1;
        }
        counts
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
