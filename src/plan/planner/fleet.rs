//! The rules that look at all keys together: perhaps a rename, what waits for a person, caps, dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Proposal};
use crate::mark::Mark;
use crate::model::{Digest, TierName, VmKey};
use crate::plan::census::SeenKind;
use crate::plan::safety::limits::{self, DestroyBudget};
use crate::plan::safety::rename::Likeness;
use crate::plan::safety::{No, approval};
use crate::plan::{Action, Because, BlockCode, Blocked, Operation, Step};

/// A step that waits for a person's word, and on whose behalf.
pub(super) struct Waiting {
    proposal: Proposal,
    no: No,
    digest: Digest,
}

/// Steps that may go, and steps that wait.
pub(super) struct Sorted {
    go: Vec<Step>,
    waiting: Vec<Waiting>,
}

/// What comes of it all.
pub(super) struct Settled {
    go: Vec<Step>,
    blocked: Vec<Blocked>,
}

impl Settled {
    /// Steps and blocked changes.
    pub fn into_parts(self) -> (Vec<Step>, Vec<Blocked>) {
        (self.go, self.blocked)
    }
}

/// Rule 6: keys that came and keys that went on one tier with the same image and disk names; each with its likes.
pub(super) fn rename_suspects(draft: &Draft<'_>, proposals: &BTreeMap<VmKey, Proposal>) -> BTreeMap<VmKey, Vec<VmKey>> {
    let mut came: BTreeMap<Likeness, Vec<&VmKey>> = BTreeMap::new();
    let mut went: BTreeMap<Likeness, Vec<&VmKey>> = BTreeMap::new();
    let is_new = |proposal: &Proposal| {
        proposal.step.action == Action::Create
            && proposal.step.reasons.iter().all(|reason| reason.because == Because::New)
    };
    for key in held_creates(draft) {
        if let Some(spec) = draft.input.desired.vms.get(key) {
            came.entry(Likeness::of_spec(spec)).or_default().push(key);
        }
    }
    if came.is_empty() && !proposals.values().any(is_new) {
        return BTreeMap::new();
    }
    for (key, proposal) in proposals {
        if let Some(spec) = draft.input.desired.vms.get(key).filter(|_| is_new(proposal)) {
            came.entry(Likeness::of_spec(spec)).or_default().push(key);
        }
    }
    let proposed = proposals.values().filter(|proposal| is_removed(proposal.step.action, &proposal.step.reasons));
    for key in proposed.map(|proposal| &proposal.step.key).chain(held_removals(draft)) {
        if let Some(seen) = draft.census.named(key).find(|seen| seen.kind == SeenKind::Ours) {
            went.entry(Likeness::of_mark(seen.mark())).or_default().push(key);
        }
    }
    let mut suspects = BTreeMap::new();
    for (likeness, new) in &came {
        let Some(old) = went.get(likeness) else { continue };
        for key in new {
            suspects.insert((*key).clone(), old.iter().map(|key| (*key).clone()).collect());
        }
        for key in old {
            suspects.insert((*key).clone(), new.iter().map(|key| (*key).clone()).collect());
        }
    }
    suspects
}

fn is_removed(action: Action, reasons: &[crate::plan::Reason]) -> bool {
    matches!(action, Action::Retire | Action::Delete | Action::Release)
        && reasons.iter().all(|reason| reason.because == Because::Removed)
}

/// Keys that came and whose VM may not be made yet, for want of an endpoint's answer or of room: they are new all the
/// same, and the old one must not go meanwhile.
fn held_creates<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = &'d VmKey> {
    let held = draft.blocked.iter().filter(|blocked| blocked.action == Action::Create && blocked.own_id.is_none());
    held.map(|blocked| &blocked.key)
}

/// Keys that went and whose VM may not be taken away: a new VM beside it would be no better for that. Not what stays
/// for good where nothing is ever pruned, or what is retired already: such a key went long ago.
fn held_removals<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = &'d VmKey> {
    let lasting = [BlockCode::PruneForbidden, BlockCode::InGrace];
    let held = draft.blocked.iter().filter(move |blocked| !lasting.contains(&blocked.code));
    held.filter(|blocked| !blocked.reasons.is_empty() && is_removed(blocked.action, &blocked.reasons))
        .map(|blocked| &blocked.key)
}

/// Which proposals wait for a person: by their own rules, as perhaps a rename, or as too many disruptions at once.
pub(super) fn what_waits(
    draft: &Draft<'_>,
    proposals: BTreeMap<VmKey, Proposal>,
    suspects: &BTreeMap<VmKey, Vec<VmKey>>,
) -> Sorted {
    let limit = draft.input.policy.limits.disruptions_per_run;
    let before = &draft.input.history.disturbed;
    let disturbing = proposals.iter().filter(|(_, proposal)| limits::disturbs(&proposal.step));
    // One that was disturbed before and is again is one VM.
    let disturbing = before.len() + disturbing.filter(|(key, _)| !before.contains(*key)).count();
    let too_many = u32::try_from(disturbing).unwrap_or(u32::MAX) > limit;
    let mut sorted = Sorted { go: Vec::new(), waiting: Vec::new() };
    for (key, mut proposal) in proposals {
        let no = match (suspects.get(&key), proposal.waits.take()) {
            (Some(others), _) => Some(perhaps_renamed(proposal.step.action, others)),
            (None, Some(no)) => Some(no),
            (None, None) if too_many && limits::disturbs(&proposal.step) => {
                let why =
                    format!("{disturbing} VMs would be disturbed in one run, more than disruptionsPerRun: {limit}");
                Some(No::until_approved(BlockCode::DisruptionLimit, why))
            }
            (None, None) => None,
        };
        match no {
            None => sorted.go.push(proposal.step),
            Some(no) => {
                let digest = approval::digest(&proposal.step);
                sorted.waiting.push(Waiting { proposal, no, digest });
            }
        }
    }
    sorted
}

fn perhaps_renamed(action: Action, others: &[VmKey]) -> No {
    let others = others.iter().map(VmKey::to_string).collect::<Vec<_>>().join(", ");
    let why = if action == Action::Create {
        format!("this looks like a rename of {others}: same tier, image and disks; say renamedFrom, or approve both")
    } else {
        format!(
            "this looks like a rename to {others}: same tier, image and disks; say renamedFrom there, or approve both"
        )
    };
    No::until_approved(BlockCode::LooksLikeRename, why)
}

/// A person's word, for exactly the steps whose digests were typed.
pub(super) fn approve(draft: &Draft<'_>, sorted: Sorted) -> Sorted {
    let Sorted { mut go, waiting } = sorted;
    let approvals = draft.input.approvals;
    let (approved, waiting): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|waiting| approval::is_given(approvals, &waiting.digest));
    go.extend(approved.into_iter().map(|waiting| remember_approval(waiting.proposal.step)));
    Sorted { go, waiting }
}

/// An approved retire says so in its mark, and that covers the delete.
fn remember_approval(mut step: Step) -> Step {
    for operation in &mut step.operations {
        let Operation::Reconfigure { mark, .. } = operation else { continue };
        let Mark { retired: Some(retired), .. } = &mut **mark else { continue };
        retired.approved = step.action.is_destroy();
    }
    step
}

/// Rule 5: a plan that would pass a cap destroys nothing on that tier. What waits counts for the warning only: a person
/// may still approve a part of it that stays within the caps.
pub(super) fn limit_destroys(draft: &Draft<'_>, sorted: Sorted) -> Settled {
    let Sorted { go, waiting } = sorted;
    let policy = draft.input.policy;
    let owned = draft
        .census
        .owned_per_tier_if(go.iter().any(is_destroy) || waiting.iter().any(|w| is_destroy(&w.proposal.step)));
    let budget = DestroyBudget::new(&policy.limits, draft.input.history, draft.input.now, owned);
    let going = Counts::of(go.iter(), &budget);
    let with_waiting = Counts::of(go.iter().chain(waiting.iter().map(|waiting| &waiting.proposal.step)), &budget);

    let mut settled = Settled { go: Vec::new(), blocked: Vec::new() };
    for step in go {
        match going.refused(&step, &budget) {
            None => settled.go.push(step),
            Some(why) => {
                let proposal = Proposal { step, waits: None };
                settled.blocked.push(proposal.into_blocked_by(BlockCode::DestroyLimit, why, None));
            }
        }
    }
    for Waiting { proposal, no, digest } in waiting {
        if let Some(why) = going.refused(&proposal.step, &budget) {
            settled.blocked.push(proposal.into_blocked_by(BlockCode::DestroyLimit, why, None));
            continue;
        }
        let (code, why) = match with_waiting.refused(&proposal.step, &budget) {
            Some(why) => (
                BlockCode::DestroyLimit,
                format!("{why}; {}, and at most so many together as the limit leaves", no.why),
            ),
            None => (no.code, no.why),
        };
        settled.blocked.push(proposal.into_blocked_by(code, why, Some(digest)));
    }
    settled
}

fn is_destroy(step: &Step) -> bool {
    step.action.is_destroy()
}

/// How many destroys a set of steps holds.
struct Counts {
    in_all: u32,
    per_tier: BTreeMap<TierName, u32>,
}

impl Counts {
    fn of<'s>(steps: impl Iterator<Item = &'s Step>, budget: &DestroyBudget<'_>) -> Self {
        let mut counts = Self { in_all: 0, per_tier: BTreeMap::new() };
        for step in steps.filter(|step| budget.counts(step)) {
            counts.in_all += 1;
            *counts.per_tier.entry(step.tier.clone()).or_default() += 1;
        }
        counts
    }

    fn refused(&self, step: &Step, budget: &DestroyBudget<'_>) -> Option<String> {
        // A delete whose retire was counted is held back all the same: where so much goes at once, nothing more does.
        if !step.action.is_destroy() {
            return None;
        }
        budget.refuses(&step.tier, self.per_tier.get(&step.tier).copied().unwrap_or(0), self.in_all)
    }
}

/// dependsOn: what must be in place first and will not be holds back what would come into being after it;
/// the others are put in order.
pub(super) fn hold_dependents(draft: &Draft<'_>, settled: Settled) -> Settled {
    let Settled { go, mut blocked } = settled;
    let mut missing: BTreeSet<VmKey> = draft
        .blocked
        .iter()
        .chain(&blocked)
        .filter(|blocked| is_missing(blocked))
        .map(|blocked| blocked.key.clone())
        .collect();
    let mut steps: BTreeMap<VmKey, Step> = go.into_iter().map(|step| (step.key.clone(), step)).collect();
    let specs = &draft.input.desired.vms;
    loop {
        let held: Vec<(VmKey, VmKey)> = (steps.values())
            .filter(|step| matches!(step.action, Action::Create | Action::Restore | Action::PowerOn))
            .filter_map(|step| {
                let on = specs.get(&step.key)?.depends_on.iter().find(|on| missing.contains(*on))?;
                Some((step.key.clone(), on.clone()))
            })
            .collect();
        if held.is_empty() {
            break;
        }
        for (key, on) in held {
            let Some(step) = steps.remove(&key) else { continue };
            let proposal = Proposal { step, waits: None };
            let why = format!("it depends on {on}, which is blocked");
            blocked.push(proposal.into_blocked_by(BlockCode::Dependency, why, None));
            missing.insert(key);
        }
    }
    let present: BTreeSet<VmKey> =
        steps.values().filter(|step| !step.action.is_destroy()).map(|step| step.key.clone()).collect();
    for step in steps.values_mut().filter(|step| !step.action.is_destroy()) {
        if let Some(spec) = specs.get(&step.key) {
            step.depends_on = spec.depends_on.iter().filter(|on| present.contains(*on)).cloned().collect();
        }
    }
    blocked.extend(draft.blocked.iter().cloned());
    Settled { go: steps.into_values().collect(), blocked }
}

/// Is this blocked change one without which the VM is not in place, or may not be?
fn is_missing(blocked: &Blocked) -> bool {
    matches!(blocked.action, Action::Create | Action::Restore | Action::Adopt | Action::Rename)
        || matches!(blocked.code, BlockCode::EndpointUnknown | BlockCode::VmUnknown | BlockCode::InventoryShrunk)
}
