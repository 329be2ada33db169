//! A status line for each VM, and the sums of them: what is known now, or was when its endpoint was last known.
//!
//! A plan that is made while an endpoint is awaited knows nothing of that endpoint's VMs and holds them all back. That
//! is right for the plan and wrong for a person who looks: such a VM keeps the line it had.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PlanCounts, Status};
use crate::model::{Desired, EndpointName, TierName, VmKey};
use crate::plan::{Action, BlockCode, Blocked, Plan, Step};

/// How one VM stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VmStatus {
    /// In a word.
    pub is: VmIs,
    /// Its tier, if it is desired or has a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// Where it is or comes, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointName>,
    /// What is to be done, or is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<BlockCode>,
    /// The same, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when it stands so.
    pub since: Timestamp,
}

impl VmStatus {
    /// Is something to be done, or was when its endpoint was last known?
    pub fn is_to_be_done(&self) -> bool {
        match self.is {
            VmIs::InSync => false,
            VmIs::Planned => true,
            VmIs::Held => self.code.is_some_and(BlockCode::is_unknown),
        }
    }
}

/// How one VM stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VmIs {
    /// As desired.
    InSync,
    /// Something is to be done.
    Planned,
    /// Something is held back.
    Held,
}

/// One tier: how many of its VMs stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierStatus {
    /// All of them.
    pub vms: usize,
    /// As desired.
    pub in_sync: usize,
    /// With something to do.
    pub planned: usize,
    /// With something held back.
    pub held: usize,
    /// Of all these, being changed now.
    pub running: usize,
    /// And those whose last step failed.
    pub failing: usize,
    /// Since when all of them stand as they do: none of their lines turned since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A plan and what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is desired.
    pub desired: &'a Desired,
    /// Endpoints whose answer is awaited.
    pub awaited: &'a BTreeSet<EndpointName>,
    /// Where each VM of ours was last seen.
    pub places: &'a BTreeMap<VmKey, &'a EndpointName>,
    /// When it was made.
    pub now: Timestamp,
}

/// The lines after a plan.
pub(super) fn after(old: &BTreeMap<VmKey, VmStatus>, planned: &Planned<'_>) -> BTreeMap<VmKey, VmStatus> {
    let mut lines = BTreeMap::new();
    for step in &planned.plan.steps {
        lines.insert(step.key.clone(), of_step(step, planned));
    }
    for blocked in &planned.plan.blocked {
        let kept = if is_only_awaited(blocked, planned.awaited) { old.get(&blocked.key).cloned() } else { None };
        lines.entry(blocked.key.clone()).or_insert_with(|| kept.unwrap_or_else(|| of_blocked(blocked, planned)));
    }
    for key in planned.desired.vms.keys() {
        if !lines.contains_key(key) {
            lines.insert(key.clone(), in_sync(key, planned));
        }
    }
    for (key, line) in &mut lines {
        if let Some(before) = old.get(key).filter(|before| is_same(before, line)) {
            line.since = before.since;
        }
    }
    lines
}

/// Is it held back for no other reason than that an endpoint has yet to answer?
fn is_only_awaited(blocked: &Blocked, awaited: &BTreeSet<EndpointName>) -> bool {
    !awaited.is_empty()
        && blocked.code.is_unknown()
        && blocked.endpoint.as_ref().is_none_or(|endpoint| awaited.contains(endpoint))
}

/// Reasons may hold figures that move by themselves.
fn is_same(a: &VmStatus, b: &VmStatus) -> bool {
    (a.is, a.action, a.code) == (b.is, b.action, b.code)
}

fn tier(key: &VmKey, planned: &Planned<'_>) -> Option<TierName> {
    planned.desired.vms.get(key).map(|vm| vm.tier.clone())
}

fn place(key: &VmKey, planned: &Planned<'_>) -> Option<EndpointName> {
    planned.places.get(key).map(|endpoint| (*endpoint).clone())
}

fn of_step(step: &Step, planned: &Planned<'_>) -> VmStatus {
    VmStatus {
        is: VmIs::Planned,
        tier: Some(step.tier.clone()),
        endpoint: Some(step.endpoint.clone()),
        action: Some(step.action),
        code: None,
        why: None,
        since: planned.now,
    }
}

fn of_blocked(blocked: &Blocked, planned: &Planned<'_>) -> VmStatus {
    VmStatus {
        is: VmIs::Held,
        tier: tier(&blocked.key, planned),
        endpoint: blocked.endpoint.clone().or_else(|| place(&blocked.key, planned)),
        action: Some(blocked.action),
        code: Some(blocked.code),
        why: Some(blocked.why.clone()),
        since: planned.now,
    }
}

fn in_sync(key: &VmKey, planned: &Planned<'_>) -> VmStatus {
    VmStatus {
        is: VmIs::InSync,
        tier: tier(key, planned),
        endpoint: place(key, planned),
        action: None,
        code: None,
        why: None,
        since: planned.now,
    }
}

/// The lines in three numbers.
pub(super) fn counts(lines: &BTreeMap<VmKey, VmStatus>) -> PlanCounts {
    let mut counts = PlanCounts::default();
    for line in lines.values() {
        match line.is {
            VmIs::InSync => counts.in_sync += 1,
            VmIs::Planned => counts.steps += 1,
            VmIs::Held => counts.blocked += 1,
        }
    }
    counts
}

/// The lines by tier.
pub(super) fn tiers(status: &Status) -> BTreeMap<TierName, TierStatus> {
    let mut tiers: BTreeMap<TierName, TierStatus> = BTreeMap::new();
    for (key, line) in status.vms.iter() {
        let Some(name) = &line.tier else { continue };
        let tier = tiers.entry(name.clone()).or_default();
        tier.vms += 1;
        match line.is {
            VmIs::InSync => tier.in_sync += 1,
            VmIs::Planned => tier.planned += 1,
            VmIs::Held => tier.held += 1,
        }
        tier.running += usize::from(status.running.contains_key(key));
        tier.failing += usize::from(status.failing.contains_key(key));
        tier.since = tier.since.max(Some(line.since));
    }
    tiers
}
