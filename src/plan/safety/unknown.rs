//! Rule 1, first half: how far may an endpoint's answer be believed?
//!
//! An endpoint is *whole*, *doubtful* (it answered, and something is missing: what is listed is there, what is not
//! listed is unknown) or *dark* (no answer at all). Only a whole one may say of anything that it is not there.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::{Inventory, Observed, View};
use crate::model::{Digest, EndpointName};
use crate::plan::pairing::Pairs;
use crate::plan::{BlockCode, History, InventoryStatus, Policy, memory};

/// How far one endpoint may be believed.
#[derive(Debug, Clone)]
pub enum Sight<'a> {
    /// It listed everything: not listed is a fact.
    Whole(&'a Observed),
    /// It answered in part, or lost more than can be believed.
    Doubtful {
        /// What it did list.
        observed: &'a Observed,
        /// Why it is in doubt.
        doubt: Doubt,
    },
    /// It did not answer.
    Dark(String),
}

/// Why an answer is not believed to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// `EndpointUnknown` or `InventoryShrunk`.
    pub code: BlockCode,
    /// For a person.
    pub why: String,
    /// Approving this ends the doubt: the loss is real.
    pub digest: Option<Digest>,
}

impl<'a> Sight<'a> {
    /// What it listed, whole or not.
    pub fn observed(&self) -> Option<&'a Observed> {
        match self {
            Self::Whole(observed) | Self::Doubtful { observed, .. } => Some(observed),
            Self::Dark(_) => None,
        }
    }

    /// Why it may not say that something is not there; `None`: it may.
    pub fn doubt(&self) -> Option<Doubt> {
        match self {
            Self::Whole(_) => None,
            Self::Doubtful { doubt, .. } => Some(doubt.clone()),
            Self::Dark(why) => Some(Doubt { code: BlockCode::EndpointUnknown, why: why.clone(), digest: None }),
        }
    }

    /// As the plan's account of its inputs says it.
    pub fn status(&self) -> InventoryStatus {
        match self {
            Self::Whole(_) => InventoryStatus::Complete,
            Self::Doubtful { .. } => InventoryStatus::Incomplete,
            Self::Dark(_) => InventoryStatus::Unreachable,
        }
    }
}

/// All endpoints that are configured or were asked.
pub type Sights<'a> = BTreeMap<&'a EndpointName, Sight<'a>>;

/// How far each endpoint may be believed. `pairs` are the last inventories beside the listings;
/// `approvals` may accept a loss.
pub(in crate::plan) fn sights<'a>(
    inventory: &'a Inventory,
    (history, pairs): (&History, &BTreeMap<&EndpointName, Pairs<'_>>),
    policy: &'a Policy,
    approvals: &BTreeSet<String>,
) -> Sights<'a> {
    let mut sights = Sights::new();
    for endpoint in policy.endpoints.keys() {
        sights.insert(endpoint, Sight::Dark("it was not asked".to_owned()));
    }
    for (endpoint, answer) in &inventory.endpoints {
        let sight = match &answer.view {
            View::Unreachable(why) => Sight::Dark(why.clone()),
            View::Observed(observed) => {
                let shrunk = || shrunk(endpoint, pairs.get(endpoint)?, history, approvals);
                match doubt(observed).or_else(shrunk) {
                    Some(doubt) => Sight::Doubtful { observed, doubt },
                    None => Sight::Whole(observed),
                }
            }
        };
        sights.insert(endpoint, sight);
    }
    sights
}

/// Why an answer is not whole by its own account.
pub fn doubt(observed: &Observed) -> Option<Doubt> {
    let why = match &observed.incomplete {
        Some(why) => why.clone(),
        // A server whose rights or connection to its hosts are lost answers politely, with nothing in it.
        None if observed.catalog.hosts.is_empty() => "it does not list its own hosts".to_owned(),
        None => return None,
    };
    Some(Doubt { code: BlockCode::EndpointUnknown, why: format!("its inventory is not complete: {why}"), digest: None })
}

fn shrunk(
    endpoint: &EndpointName,
    pairs: &Pairs<'_>,
    history: &History,
    approvals: &BTreeSet<String>,
) -> Option<Doubt> {
    let loss = memory::loss_among(endpoint, pairs, &history.destroys)?;
    if approvals.iter().any(|typed| loss.digest.matches(typed)) {
        return None;
    }
    Some(Doubt {
        code: BlockCode::InventoryShrunk,
        why: format!(
            "it lists {} of the {} VMs of its last inventory no more; if that is true, accept the loss with `--approve {}`",
            loss.lost.len(),
            loss.of,
            loss.digest.short()
        ),
        digest: Some(loss.digest),
    })
}
