//! What each key comes to while a plan is being made.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::super::census::{Census, Seen};
use super::super::placement::Ledger;
use super::super::safety::{self, No, WayOut};
use super::super::{Action, BlockCode, Blocked, Note, Operation, PlanInput, Precondition, Reason, Step, cost};
use super::accounts::Tally;
use crate::model::{Digest, EndpointName, OwnId, Tier, TierName, VmKey};
use crate::plan::{CostLine, Landing, Risk};

/// The plan in the making.
pub(super) struct Draft<'a> {
    pub input: PlanInput<'a>,
    pub census: &'a Census<'a>,
    pub ledger: Ledger<'a>,
    /// New key -> old key whose VM it takes along.
    pub renames: BTreeMap<&'a VmKey, &'a VmKey>,
    /// Old keys that are taken along.
    pub renamed_away: BTreeSet<&'a VmKey>,
    /// Which of the census' VMs belong to a desired key.
    pub wanted: Vec<bool>,
    pub in_sync: u32,
    pub notes: Vec<Note>,
    pub tally: Tally<'a>,
    proposals: BTreeMap<VmKey, Proposal>,
    pub blocked: Vec<Blocked>,
}

/// A step that its own rules allow, or hold until a person approves it.
#[derive(Debug)]
pub(super) struct Proposal {
    pub step: Step,
    /// A rule that a person's word turns.
    pub waits: Option<No>,
}

/// Which VM something is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub key: &'a VmKey,
    pub endpoint: Option<&'a EndpointName>,
    pub own_id: Option<&'a OwnId>,
    pub action: Action,
}

/// What a step is made of, before the parts that follow from it.
pub(super) struct StepParts<'a> {
    pub key: VmKey,
    pub tier: TierName,
    pub endpoint: &'a EndpointName,
    pub own_id: Option<OwnId>,
    pub identity: Uuid,
    pub action: Action,
    pub reasons: Vec<Reason>,
    pub lands: Landing,
    pub risk: Risk,
    pub cost: Option<CostLine>,
    pub preconditions: Precondition,
    pub operations: Vec<Operation>,
}

impl<'a> Draft<'a> {
    pub fn new(input: PlanInput<'a>, census: &'a Census<'a>) -> Self {
        Self {
            input,
            census,
            ledger: Ledger::default(),
            renames: BTreeMap::new(),
            renamed_away: BTreeSet::new(),
            wanted: vec![false; census.all().len()],
            in_sync: 0,
            notes: Vec::new(),
            tally: Tally::default(),
            proposals: BTreeMap::new(),
            blocked: Vec::new(),
        }
    }

    /// A step that nothing forbids so far.
    pub fn propose(&mut self, parts: StepParts<'_>) {
        self.propose_held(parts, None);
    }

    /// A step that waits for a person's word, if there is a no.
    pub fn propose_held(&mut self, parts: StepParts<'_>, waits: Option<No>) {
        let key = parts.key.clone();
        let step = Step {
            key: parts.key,
            tier: parts.tier,
            endpoint: parts.endpoint.clone(),
            own_id: parts.own_id,
            identity: parts.identity,
            action: parts.action,
            reasons: parts.reasons,
            lands: parts.lands,
            risk: parts.risk,
            cost: parts.cost,
            depends_on: Vec::new(),
            preconditions: parts.preconditions,
            operations: parts.operations,
        };
        self.proposals.insert(key, Proposal { step, waits });
    }

    /// Something that is not done, for a reason that its own step's approval does not turn.
    pub fn block(&mut self, about: About<'_>, no: No, reasons: Vec<Reason>) {
        let About { key, endpoint, own_id, action } = about;
        let digest = match no.way_out {
            WayOut::ApproveFact(digest) => Some(digest),
            WayOut::None | WayOut::ApproveStep => None,
        };
        self.blocked.push(Blocked {
            key: key.clone(),
            endpoint: endpoint.cloned(),
            own_id: own_id.cloned(),
            action,
            code: no.code,
            why: no.why,
            reasons,
            digest,
        });
    }

    /// A fact that a person should know.
    pub fn note(&mut self, key: Option<&VmKey>, text: String) {
        self.notes.push(Note { key: key.cloned(), text });
    }

    /// All steps proposed so far.
    pub fn take_proposals(&mut self) -> BTreeMap<VmKey, Proposal> {
        std::mem::take(&mut self.proposals)
    }

    pub fn tier(&self, name: &TierName) -> Option<&'a Tier> {
        self.input.desired.tiers.get(name)
    }
}

/// Cost before and after, where the tier has a price.
pub(super) fn cost_line(tier: Option<&Tier>, before: Option<Size>, after: Option<Size>) -> Option<CostLine> {
    let price = tier?.price.as_ref()?;
    let monthly = |size: Option<Size>| {
        size.map(|size| cost::monthly(price, size.cpus, size.memory, size.storage)).unwrap_or_default()
    };
    Some(CostLine { currency: price.currency.clone(), before: monthly(before), after: monthly(after) })
}

/// What a VM is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub cpus: u32,
    pub memory: crate::model::Bytes,
    pub storage: crate::model::Bytes,
}

impl Size {
    pub fn of_spec(spec: &crate::model::VmSpec) -> Self {
        let storage = spec.disks.iter().map(|disk| disk.size.0).sum();
        Self { cpus: spec.cpus, memory: spec.memory, storage: crate::model::Bytes(storage) }
    }

    /// As a VM stands there.
    pub fn of_config(config: &crate::model::VmConfig) -> Self {
        let storage = config.disks.iter().fold(0_u64, |sum, disk| sum.saturating_add(disk.size.0));
        Self { cpus: config.cpus, memory: config.memory, storage: crate::model::Bytes(storage) }
    }

    /// As last applied; an adopted VM is paid for as it is.
    pub fn of_seen(seen: &Seen<'_>) -> Self {
        let Some(applied) = &seen.mark().applied else { return Self::of_config(seen.config) };
        let storage = applied.disks.values().fold(0_u64, |sum, size| sum.saturating_add(size.0));
        Self { cpus: applied.cpus, memory: applied.memory, storage: crate::model::Bytes(storage) }
    }
}

impl Proposal {
    /// The blocked change that this step becomes under a no.
    pub fn into_blocked_by(self, code: BlockCode, why: String, digest: Option<Digest>) -> Blocked {
        let Step { key, endpoint, own_id, action, reasons, .. } = self.step;
        Blocked { key, endpoint: Some(endpoint), own_id, action, code, why, reasons, digest }
    }
}

/// The precondition of a step on an existing VM.
pub(super) fn unchanged(seen: &Seen<'_>) -> Precondition {
    Precondition::Unchanged(safety::fingerprint(seen.vm))
}

impl<'a> About<'a> {
    /// Something about a VM that is there.
    pub fn seen(key: &'a VmKey, seen: &'a Seen<'_>, action: Action) -> Self {
        Self { key, endpoint: Some(seen.endpoint), own_id: Some(&seen.vm.id), action }
    }

    /// Something about a key whose VM is not there or not known.
    pub fn key(key: &'a VmKey, action: Action) -> Self {
        Self { key, endpoint: None, own_id: None, action }
    }
}
