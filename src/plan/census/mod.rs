//! Who is who, over all endpoints: the standing of every key that is desired, owned, or was owned when last seen.
//!
//! Each VM's mark is judged once, here, by its beginning where that is enough; the whole is read only when asked for. What comes out are borrowed views of the inventory and the history, sorted so that
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

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

pub use listing::{Class, ListedVm, listing};
pub use past::{LostMark, Stripped, Unlisted};
pub use standing::KeyStanding;

use super::safety::unknown::{self, Sights};
use super::{History, LastVm, Policy, pairing};
use crate::inventory::Inventory;
use crate::mark::{self, Head, Mark, Protection, Standing, Walk};
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
    /// The beginning of the mark, where that is in our own form and says all that matters of an ordinary VM.
    pub head: Option<SeenHead<'a>>,
    /// What the mark is to this VM.
    pub kind: SeenKind,
    /// The generation last seen on this very VM, when that was a higher one.
    pub reverted_from: Option<u64>,
    key_hash: u64,
    /// The whole mark, read when first asked for; `None`: it cannot be read.
    mark: OnceCell<Option<Box<Mark>>>,
}

/// What the beginning of a mark says beyond whose VM it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHead<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its identity.
    pub identity: &'a str,
    /// Its tier.
    pub tier: &'a str,
    /// What guards it.
    pub protection: Protection,
    /// What follows, from the disks on.
    pub tail: Walk<'a>,
}

impl Seen<'_> {
    /// The mark as far as it can be read. A text whose beginning is a mark's and whose end is not (cut off by something
    /// on its way) shows here.
    pub fn readable(&self) -> Option<&Mark> {
        let text = self.config.mark.as_deref().unwrap_or_default();
        self.mark.get_or_init(|| mark::parse(text).ok().map(Box::new)).as_deref()
    }

    /// The mark.
    ///
    /// # Panics
    /// Never for what a [`KeyStanding`] hands out: a standing names only VMs whose marks it has read.
    pub fn mark(&self) -> &Mark {
        self.readable().expect("a standing hands out only VMs whose marks it has read")
    }

    /// Its key, if the text is one.
    pub fn key(&self) -> Option<VmKey> {
        VmKey::parse(&self.key_text()).ok()
    }

    /// Its key, as text: does not need the whole mark.
    fn key_text(&self) -> Cow<'_, str> {
        match (&self.head, self.readable_if_full()) {
            (Some(head), _) => Cow::Borrowed(head.key),
            (None, Some(mark)) => Cow::Owned(mark.key.to_string()),
            (None, None) => Cow::Borrowed(""),
        }
    }

    fn readable_if_full(&self) -> Option<&Mark> {
        if self.head.is_some() { None } else { self.readable() }
    }

    /// Does its mark name this key?
    fn names(&self, key: &VmKey) -> bool {
        match &self.head {
            Some(head) => is_key(head.key, key),
            None => self.readable().is_some_and(|mark| mark.key == *key),
        }
    }

    fn tier(&self) -> Option<TierName> {
        match &self.head {
            Some(head) => TierName::new(head.tier).ok(),
            None => self.readable().map(|mark| mark.tier.clone()),
        }
    }

    fn identity(&self) -> Option<Uuid> {
        match &self.head {
            Some(head) => head.identity.parse().ok(),
            None => self.readable().map(|mark| mark.identity),
        }
    }
}

/// Is this text this key?
fn is_key(text: &str, key: &VmKey) -> bool {
    let rest = text.strip_prefix(key.project()).and_then(|rest| rest.strip_prefix('/'));
    rest == Some(key.name().as_str())
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
    /// In order of endpoint and listing.
    seen: Vec<Seen<'a>>,
    /// Hash of the key -> position in `seen`; sorted.
    index: Vec<(u64, u32)>,
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
        index: Vec::new(),
        past: past::Past::default(),
        by_id: OnceCell::new(),
        holders: OnceCell::new(),
    };
    // Endpoints that were seen before and not asked now have much to say as well.
    let endpoints: BTreeSet<&EndpointName> = inventory.endpoints.keys().chain(history.last.keys()).collect();
    for endpoint in endpoints {
        census.count_endpoint(endpoint);
    }
    let positions = (0u32..).zip(&census.seen).map(|(position, seen)| (seen.key_hash, position));
    census.index = positions.collect();
    census.index.sort_unstable();
    census
}

impl<'a> Census<'a> {
    fn count_endpoint(&mut self, endpoint: &'a EndpointName) {
        let vms = self.inventory.observed(endpoint).map(|observed| observed.vms.as_slice()).unwrap_or_default();
        let (known, missing) = match self.history.last.get(endpoint) {
            Some(last) => pairing::pair(last, vms),
            None => (vec![None; vms.len()], Vec::new()),
        };
        self.past.missing(endpoint, &missing, self.sights.get(endpoint), self.history);
        for (vm, known) in vms.iter().zip(known) {
            self.count(endpoint, vm, known);
        }
    }

    fn count(&mut self, endpoint: &'a EndpointName, vm: &'a ObservedVm, known: Option<&'a LastVm>) {
        let Some(config) = vm.readable() else { return self.past.stripped(endpoint, vm, known, LostMark::Unknown) };
        let head = config.mark.as_deref().and_then(Head::read);
        let ours = head.filter(|head| head.installation == self.installation && head.own_id == vm.id.as_str());
        let (kind, generation, key_hash, mark) = match &ours {
            Some(head) => (SeenKind::Ours, head.generation, hash([head.key, "", ""]), OnceCell::new()),
            None => match self.judge(endpoint, vm, config, known) {
                Some((mark, kind)) => (kind, mark.generation, hash_of(&mark.key), OnceCell::from(Some(mark))),
                None => return,
            },
        };
        self.unmanaged += u32::from(kind == SeenKind::Clone);
        let last = known.and_then(|known| known.owned.as_ref()).map(|owned| owned.generation);
        let reverted_from = last.filter(|last| *last > generation && kind != SeenKind::Clone);
        let head = ours.map(|head| SeenHead {
            key: head.key,
            identity: head.identity,
            tier: head.tier,
            protection: head.protection,
            tail: head.tail,
        });
        self.seen.push(Seen { endpoint, vm, config, head, kind, reverted_from, key_hash, mark });
    }

    /// Whose it is, by all of its mark. Counts what is nobody's, and notices a mark that was lost.
    fn judge(
        &mut self,
        endpoint: &'a EndpointName,
        vm: &'a ObservedVm,
        config: &'a VmConfig,
        known: Option<&'a LastVm>,
    ) -> Option<(Box<Mark>, SeenKind)> {
        let lost = match mark::judge(vm, self.installation) {
            Standing::Ours(mark) => return Some((mark, SeenKind::Ours)),
            Standing::Unfinished { mark: Some(mark), .. } => return Some((mark, SeenKind::Unfinished)),
            Standing::Clone(mark) => return Some((mark, SeenKind::Clone)),
            Standing::Unfinished { identity, mark: None } => {
                self.newborn.push(Newborn { endpoint, vm, config, identity });
                return None;
            }
            // Another's mark on it is no loss: then it is simply not ours.
            Standing::Foreign(_) => None,
            Standing::NoMark => Some(LostMark::Removed),
            Standing::Unreadable(_) => Some(LostMark::Unreadable),
            Standing::Unknown(_) => return None,
        };
        self.unmanaged += 1;
        if let Some(lost) = lost {
            self.past.stripped(endpoint, vm, known, lost);
        }
        None
    }

    /// All VMs that name this key, clones included; in order of endpoint and id.
    pub fn named<'c, 'k>(&'c self, key: &'k VmKey) -> impl Iterator<Item = &'c Seen<'a>> + use<'a, 'c, 'k> {
        self.positions(key).map(|position| &self.seen[position])
    }

    /// Where in [`Self::all`] the VMs of this key stand.
    pub fn positions<'c, 'k>(&'c self, key: &'k VmKey) -> impl Iterator<Item = usize> + use<'a, 'c, 'k> {
        let wanted = hash_of(key);
        let start = self.index.partition_point(|(hash, _)| *hash < wanted);
        (self.index[start..].iter())
            .take_while(move |(hash, _)| *hash == wanted)
            .map(|(_, position)| *position as usize)
            .filter(move |position| self.seen[*position].names(key))
    }

    /// The one VM of this key if there is nothing unusual about it: ours, alive, its mark in our own form, and nothing of
    /// the past against it. Notes in `found` which VMs name the key, plain or not.
    pub fn plain(&self, key: &VmKey, found: &mut [bool]) -> Option<&Seen<'a>> {
        let mut only = None;
        let mut count = 0;
        for position in self.positions(key) {
            found[position] = true;
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
                .filter_map(|seen| Some((seen.identity()?, seen.key()?)))
                .chain(past.map(|owned| (owned.identity, owned.key.clone())));
            for (identity, key) in held {
                holders.entry(identity).or_default().insert(key);
            }
            holders
        });
        let is_free = |identity: &Uuid| holders.get(identity).is_none_or(|held| held.iter().all(|other| other == key));
        // Each n that is not free has a holder, so one of the first `holders + 1` is.
        let taken = u32::try_from(holders.len()).unwrap_or(u32::MAX);
        let mut candidates = (0..taken).map(|n| mark::identity(self.installation, key, n));
        candidates.find(is_free).unwrap_or_else(|| mark::identity(self.installation, key, taken))
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
        let mut counts: BTreeMap<TierName, u32> = BTreeMap::new();
        for tier in self.seen.iter().filter(|seen| seen.kind != SeenKind::Clone).filter_map(Seen::tier) {
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

fn hash_of(key: &VmKey) -> u64 {
    hash([key.project(), "/", key.name().as_str()])
}

/// FNV-1a: sorting and finding 100,000 keys by one number is several times faster than by two strings each. Equal hashes
/// are told apart by the key itself.
fn hash(parts: [&str; 3]) -> u64 {
    parts
        .into_iter()
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
