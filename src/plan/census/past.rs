//! The last inventories against the listing: which VMs of ours are missing, stripped of their mark, or put back.

use std::collections::BTreeMap;

use super::super::safety::unknown::{Doubt, Sight, Sights};
use crate::inventory::{Inventory, Missing, Observed};
use crate::mark;
use crate::model::{Config, EndpointName, ObservedVm, OwnId, VmKey};
use crate::plan::pairing::{each_known, each_listed};
use crate::plan::{EndpointState, History, LastInventory, LastOwned, LastVm};

/// A VM of ours that is not listed where it was last seen.
#[derive(Debug, Clone)]
pub struct Unlisted<'a> {
    /// Where it was.
    pub endpoint: &'a EndpointName,
    /// Its own id.
    pub id: &'a OwnId,
    /// What its mark said.
    pub last: &'a LastOwned,
    /// Whether it is proven gone.
    pub proof: Proof,
}

/// What is known of a VM that is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// We deleted it, or two direct reads in a row said it is not there.
    Gone,
    /// It cannot be told.
    Unknown(Doubt),
}

/// A VM that was ours when last seen and is listed without a mark that says so.
#[derive(Debug, Clone, Copy)]
pub struct Stripped<'a> {
    /// Where.
    pub endpoint: &'a EndpointName,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// What its mark said.
    pub last: &'a LastOwned,
    /// What became of the mark.
    pub lost: LostMark,
}

/// What became of the mark of a VM that was ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostMark {
    /// There is none.
    Removed,
    /// It cannot be understood.
    Unreadable,
    /// The VM's configuration could not be read at all.
    Unknown,
}

/// What the last inventories say beyond the listing, by key.
#[derive(Debug, Default)]
pub(super) struct Past<'a> {
    pub unlisted: BTreeMap<&'a VmKey, Vec<Unlisted<'a>>>,
    pub stripped: BTreeMap<&'a VmKey, Vec<Stripped<'a>>>,
}

impl<'a> Past<'a> {
    pub(super) fn look_back(&mut self, inventory: &'a Inventory, history: &'a History, sights: &Sights<'a>) {
        for (endpoint, last) in &history.last {
            let vms = inventory.observed(endpoint).map(|observed| observed.vms.as_slice()).unwrap_or_default();
            each_known(last, vms, |known, listed| {
                let Some(owned) = &known.owned else { return };
                let Some(vm) = listed else {
                    let proof = proof(endpoint, known, sights.get(endpoint), history);
                    let unlisted = Unlisted { endpoint, id: &known.id, last: owned, proof };
                    self.unlisted.entry(&owned.key).or_default().push(unlisted);
                    return;
                };
                if let Some(lost) = lost_mark(vm) {
                    self.stripped.entry(&owned.key).or_default().push(Stripped { endpoint, vm, last: owned, lost });
                }
            });
        }
    }
}

/// The generations last seen, by position in today's listing.
pub(super) struct Generations(Vec<(usize, u64)>);

impl Generations {
    /// The generation last seen on the VM at this position.
    pub(super) fn of(&self, index: usize) -> Option<u64> {
        self.0.binary_search_by_key(&index, |(at, _)| *at).ok().map(|found| self.0[found].1)
    }
}

/// What generations the last inventory knew, of the VMs listed now.
pub(super) fn generations(last: Option<&LastInventory>, observed: &Observed) -> Generations {
    let mut found = Vec::new();
    if let Some(last) = last {
        found.reserve(observed.vms.len());
        // Two entries of one id (a replica) both get the generation that was seen: either may be the older one.
        each_listed(last, &observed.vms, |position, known| {
            found.extend(known.owned.as_ref().map(|owned| (position, owned.generation)));
        });
    }
    found.sort_unstable();
    Generations(found)
}

/// Has this VM of ours lost its mark? A copy or another's mark on it is no loss: then it is simply not ours.
fn lost_mark(vm: &ObservedVm) -> Option<LostMark> {
    let config = match &vm.config {
        Config::Unreadable(_) => return Some(LostMark::Unknown),
        Config::Readable(config) => config,
    };
    match config.mark.as_deref().filter(|text| !text.trim().is_empty()) {
        None => Some(LostMark::Removed),
        // The parse is worth it only where a cheap look cannot tell that this is a mark.
        Some(text) if text.starts_with("{\"version\":1,") => None,
        Some(text) => mark::parse(text).is_err().then_some(LostMark::Unreadable),
    }
}

/// Rule 1, second half: what proves that a VM which is not listed is gone.
fn proof(endpoint: &EndpointName, known: &LastVm, sight: Option<&Sight<'_>>, history: &History) -> Proof {
    let ours = |destroyed: &&crate::plan::Destroyed| {
        destroyed.deleted && destroyed.endpoint == *endpoint && destroyed.own_id == known.id
    };
    if history.destroys.iter().any(|destroyed| ours(&destroyed)) {
        return Proof::Gone;
    }
    let unknown = |code, why, digest| Proof::Unknown(Doubt { code, why, digest });
    let Some(sight) = sight else {
        let why = format!(
            "its VM {} was last seen on {endpoint}, which is not in the settings any more; put it back, with `state: retired` to give it up",
            known.id
        );
        return unknown(crate::plan::BlockCode::EndpointUnknown, why, None);
    };
    if let Some(doubt) = sight.doubt() {
        return unknown(
            doubt.code,
            format!("its VM {} was last seen on {endpoint}: {}", known.id, doubt.why),
            doubt.digest,
        );
    }
    let code = crate::plan::BlockCode::VmUnknown;
    match sight.observed().and_then(|observed| observed.missing.get(&known.id)) {
        Some(Missing::NotFound) if known.missing_once => Proof::Gone,
        Some(Missing::NotFound) => unknown(
            code,
            format!("its VM {} is not found on {endpoint}; the next complete inventory must say so too", known.id),
            None,
        ),
        Some(Missing::Unknown(why)) => unknown(
            code,
            format!("its VM {} is not listed on {endpoint}, and asked for it the server says: {why}", known.id),
            None,
        ),
        None => unknown(code, format!("its VM {} is not listed on {endpoint}, and was not asked for", known.id), None),
    }
}

/// Is this endpoint given up by the settings, so that nothing waits for it?
pub(super) fn given_up(policy: &crate::plan::Policy, endpoint: &EndpointName) -> bool {
    policy.endpoints.get(endpoint).is_some_and(|policy| policy.state == EndpointState::Retired)
}
