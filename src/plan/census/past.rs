//! The last inventories against the listing: which VMs of ours are missing, stripped of their mark, or put back.

use std::collections::BTreeMap;

use super::super::safety::unknown::{Doubt, Sight};
use crate::inventory::Missing;
use crate::model::{EndpointName, ObservedVm, OwnId, VmKey};
use crate::plan::{EndpointState, History, LastOwned, LastVm};

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
    /// Two direct reads in a row said it is not there, or one after we deleted it.
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
    /// What was seen there before and is not listed now.
    pub(super) fn missing(
        &mut self,
        endpoint: &'a EndpointName,
        missing: &[&'a LastVm],
        sight: Option<&Sight<'_>>,
        history: &History,
    ) {
        for known in missing {
            let Some(last) = &known.owned else { continue };
            let proof = proof(endpoint, known, sight, history);
            self.unlisted.entry(&last.key).or_default().push(Unlisted { endpoint, id: &known.id, last, proof });
        }
    }

    /// VMs of one key in one order, whatever order they were listed in.
    pub(super) fn put_in_order(&mut self) {
        for all in self.stripped.values_mut().filter(|all| all.len() > 1) {
            all.sort_by_key(|stripped| (stripped.endpoint, &stripped.vm.id, &stripped.vm.name, &stripped.vm.handle));
        }
    }

    /// A VM that was ours when last seen and is listed without its mark.
    pub(super) fn stripped(&mut self, stripped: Stripped<'a>) {
        self.stripped.entry(&stripped.last.key).or_default().push(stripped);
    }
}

/// Rule 1, second half: what proves that a VM which is not listed is gone.
fn proof(endpoint: &EndpointName, known: &LastVm, sight: Option<&Sight<'_>>, history: &History) -> Proof {
    let ours = |destroyed: &&crate::plan::Destroyed| {
        destroyed.deleted && destroyed.endpoint == *endpoint && destroyed.own_id == known.id
    };
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
        // That we deleted it is one answer of the two. Alone it proves nothing: the record is made before the call,
        // which may have been refused or lost.
        Some(Missing::NotFound) if known.missing_once || history.destroys.iter().any(|it| ours(&it)) => Proof::Gone,
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
