//! What stateDir keeps of an endpoint's inventory: enough to forbid later, never enough to permit.
//!
//! A complete inventory replaces the last one, except that a VM of ours which is no longer listed is carried along
//! until two successive complete inventories have had "not found" from a direct read, and that an inventory which lost
//! too much at once replaces nothing until a person accepts the loss.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::input::{Destroyed, LastInventory, LastOwned, LastVm, OpenIntent};
use super::pairing::{Pairs, pair};
use super::{Operation, Step};
use crate::inventory::{EndpointInventory, Known, Missing, Observed, View};
use crate::mark::{self, Mark, Standing};
use crate::model::{Digest, EndpointName, ObservedVm, OwnId, TierName};

/// More than this many VMs must be missing before a loss is suspicious: small labs lose one in three by design.
const LOSS_COUNT: usize = 5;

/// And more than this share of them. An outage of one host in a cluster of five shows as about this much.
const LOSS_PERCENT: usize = 20;

/// A suspicious loss: the endpoint lists far fewer VMs than last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Who is missing, our own deletes not counted.
    pub lost: Vec<OwnId>,
    /// How many there were.
    pub of: usize,
    /// Approving this accepts the loss.
    pub digest: Digest,
}

/// Which of the VMs of the last inventory are missing now, if that is too many to be believed. Deletes in our own
/// journal are no loss.
pub fn loss(
    endpoint: &EndpointName,
    previous: Option<&LastInventory>,
    now: &Observed,
    destroys: &[Destroyed],
) -> Option<Loss> {
    loss_among(endpoint, &pair(previous, &now.vms), destroys)
}

/// The same of an inventory and a listing that stand side by side already.
pub(super) fn loss_among(endpoint: &EndpointName, pairs: &Pairs<'_>, destroys: &[Destroyed]) -> Option<Loss> {
    #[derive(Serialize)]
    struct Accepted<'a> {
        endpoint: &'a EndpointName,
        lost: &'a [OwnId],
    }
    if !is_suspicious(pairs.missing.len(), pairs.of) {
        return None;
    }
    let deleted = destroys.iter().filter(|destroyed| destroyed.deleted && destroyed.endpoint == *endpoint);
    let ours: BTreeSet<&OwnId> = deleted.map(|destroyed| &destroyed.own_id).collect();
    let lost: Vec<OwnId> = pairs.missing.iter().map(|vm| vm.id.clone()).filter(|id| !ours.contains(id)).collect();
    is_suspicious(lost.len(), pairs.of).then(|| Loss {
        of: pairs.of,
        digest: Digest::of_json(&Accepted { endpoint, lost: &lost }),
        lost,
    })
}

const fn is_suspicious(lost: usize, of: usize) -> bool {
    lost > LOSS_COUNT && lost * 100 > of * LOSS_PERCENT
}

/// What is kept of `now`; `None`: the previous one stays, since `now` is not complete or has lost too much.
///
/// `accepted_loss` is true when [`loss`] found nothing to doubt (it knows our own deletes) or a person approved its
/// digest; without it any large loss keeps the previous inventory.
pub fn remember(
    previous: Option<&LastInventory>,
    now: &EndpointInventory,
    installation: &str,
    accepted_loss: bool,
) -> Option<LastInventory> {
    let View::Observed(observed) = &now.view else { return None };
    if super::safety::unknown::doubt(observed).is_some() {
        return None;
    }
    let gone = pair(previous, &observed.vms).missing;
    if !accepted_loss && previous.is_some_and(|previous| is_suspicious(gone.len(), previous.vms.len())) {
        return None;
    }
    let before: BTreeMap<&OwnId, &LastVm> =
        previous.iter().flat_map(|last| last.vms.iter()).map(|vm| (&vm.id, vm)).collect();
    let mut vms: Vec<LastVm> =
        observed.vms.iter().map(|vm| as_seen(vm, before.get(&vm.id).copied(), installation)).collect();
    vms.extend(gone.into_iter().filter_map(|vm| carried(vm, observed.missing.get(&vm.id))));
    vms.sort_by(|a, b| a.id.cmp(&b.id));
    // What has not moved stays the same value, so that nobody need compare it, write it or hold it twice.
    let vms = match previous {
        Some(previous) if *previous.vms == vms => Arc::clone(&previous.vms),
        _ => Arc::new(vms),
    };
    Some(LastInventory { generation: now.generation, taken_at: now.taken_at, vms })
}

/// A listed VM. What we once knew of it outlives a mark that was removed, damaged, or put back by a snapshot: that is
/// how such a thing is noticed at all.
fn as_seen(vm: &ObservedVm, before: Option<&LastVm>, installation: &str) -> LastVm {
    let known = before.and_then(|before| before.owned.clone());
    let owned = match mark::judge(vm, installation) {
        Standing::Ours(mark) => Some(newest(owned(&mark), known)),
        Standing::Unfinished { mark: Some(mark), .. } => Some(owned(&mark).uncounted()),
        Standing::Foreign(_) | Standing::Clone(_) => None,
        Standing::NoMark | Standing::Unfinished { mark: None, .. } | Standing::Unreadable(_) | Standing::Unknown(_) => {
            known.map(LastOwned::uncounted)
        }
    };
    LastVm { id: vm.id.clone(), handle: vm.handle.clone(), name: vm.name.to_string(), owned, missing_once: false }
}

impl LastOwned {
    fn uncounted(self) -> Self {
        Self { uncounted: true, ..self }
    }
}

/// How many VMs each tier has, of those that were seen whole: what the limits of a day count by.
pub fn owned_per_tier<'a>(all: impl IntoIterator<Item = &'a LastInventory>) -> BTreeMap<TierName, u32> {
    let mut counts: BTreeMap<TierName, u32> = BTreeMap::new();
    let vms = all.into_iter().flat_map(|last| last.vms.iter());
    for owned in vms.filter_map(|vm| vm.owned.as_ref()).filter(|owned| !owned.uncounted) {
        match counts.get_mut(&owned.tier) {
            Some(count) => *count += 1,
            None => drop(counts.insert(owned.tier.clone(), 1)),
        }
    }
    counts
}

fn owned(mark: &Mark) -> LastOwned {
    LastOwned {
        key: mark.key.clone(),
        identity: mark.identity,
        tier: mark.tier.clone(),
        generation: mark.generation,
        disks: mark.disks.keys().cloned().collect(),
        image: mark.applied.as_ref().and_then(|applied| applied.image.clone()),
        uncounted: false,
    }
}

/// The later of the two: an older generation back on the VM must not make us forget the newer one.
fn newest(now: LastOwned, known: Option<LastOwned>) -> LastOwned {
    match known {
        Some(known) if known.generation > now.generation => LastOwned { uncounted: now.uncounted, ..known },
        _ => now,
    }
}

/// A VM of ours that is not listed: kept until it is proven gone by two direct reads in a row.
fn carried(vm: &LastVm, read: Option<&Missing>) -> Option<LastVm> {
    let owned = Some(vm.owned.clone()?.uncounted());
    match read {
        Some(Missing::NotFound) if vm.missing_once => None,
        Some(Missing::NotFound) => Some(LastVm { owned, missing_once: true, ..vm.clone() }),
        Some(Missing::Unknown(_)) | None => Some(LastVm { owned, missing_once: false, ..vm.clone() }),
    }
}

/// What is kept of a VM of ours that was read by itself after the last inventory, as a step does with its VM at the
/// end; `None`: it is not ours.
pub fn witness(vm: &ObservedVm, installation: &str) -> Option<LastVm> {
    Some(as_seen(vm, None, installation)).filter(|seen| seen.owned.is_some())
}

/// What is kept of a VM that a step has just begun to make: its mark may not be on it yet. `None`: the step makes none.
pub fn made(step: &Step, own_id: &OwnId, handle: &str) -> Option<LastVm> {
    let order = step.operations.iter().find_map(|operation| match operation {
        Operation::Create(order) => Some(order),
        _ => None,
    })?;
    Some(LastVm {
        id: own_id.clone(),
        handle: handle.into(),
        name: order.name.to_string(),
        owned: Some(owned(&order.mark).uncounted()),
        missing_once: false,
    })
}

/// Adds what was seen since to a last inventory: until the next one these VMs are known too, so that one which is not
/// listed then is unknown, and a mark older than the one written is noticed.
pub fn add_witnessed(last: &mut LastInventory, seen: Vec<LastVm>) {
    if seen.is_empty() {
        return;
    }
    let vms = Arc::make_mut(&mut last.vms);
    let mut new = Vec::new();
    for vm in seen {
        let Ok(at) = vms.binary_search_by(|known| known.id.cmp(&vm.id)) else {
            new.push(vm);
            continue;
        };
        let known = &mut vms[at];
        let owned = match (vm.owned, known.owned.take()) {
            (Some(now), before) => Some(newest(now, before)),
            (None, before) => before,
        };
        *known = LastVm { owned, ..vm };
    }
    // Put in together: one after another, each would move all that are behind it.
    if !new.is_empty() {
        vms.append(&mut new);
        vms.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// The VMs of an endpoint that collect must read directly when they are not listed: all we ever owned there and did
/// not see gone, and what a call without an outcome may have made, by the id that it has where that is ours to choose.
pub fn known(endpoint: &EndpointName, previous: Option<&LastInventory>, open: &[OpenIntent]) -> Vec<Known> {
    let owned = || previous.iter().flat_map(|last| last.vms.iter()).filter_map(|vm| Some((vm, vm.owned.as_ref()?)));
    let made = open.iter().filter(|intent| intent.endpoint == *endpoint).map(|intent| intent.identity);
    let made: BTreeSet<Uuid> = made.filter(|made| owned().all(|(_, owned)| owned.identity != *made)).collect();
    let mut known: Vec<Known> = owned().map(|(vm, _)| Known { id: vm.id.clone(), handle: vm.handle.clone() }).collect();
    known.extend(made.into_iter().map(|identity| Known { id: OwnId::of_identity(identity), handle: "".into() }));
    known
}
