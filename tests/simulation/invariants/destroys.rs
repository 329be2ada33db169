//! Of every call that begins to take a VM away.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tierwright::mark::Mark;
use tierwright::model::{OwnId, Prune};
use tierwright::plan::{Action, Because};

use super::{Cycle, Destroy, Holds, Owner, Past, Rule, owner};
use crate::watched::Sent;

const OURS: Rule = Rule {
    name: "only_the_very_vm_that_carries_our_mark",
    sentence: "Only what carries our mark with this very own id.",
};
const PROTECTED: Rule =
    Rule { name: "protection_is_judged_by_the_mark", sentence: "preventDestroy and prune from the mark." };
const SOURCE: Rule = Rule {
    name: "only_a_good_source_may_lead_to_a_destroy",
    sentence: "Only the configured source, complete and settled, may lead to a destroy.",
};
const LEFT: Rule =
    Rule { name: "only_what_left_git_is_destroyed", sentence: "prune: delete what we own and is no longer desired." };
const COMPLETE: Rule = Rule {
    name: "its_endpoint_listed_everything",
    sentence: "Not listed is not gone. Unreachable, truncated [...]: unknown.",
};
const CONFIRM: Rule =
    Rule { name: "prune_confirm_waits_for_an_approval", sentence: "prune: confirm waits for an approval." };
const GRACE: Rule = Rule {
    name: "grace_days_pass_before_a_delete",
    sentence: "delete is two steps: retire and, graceDays later, delete.",
};
const ORPHAN: Rule =
    Rule { name: "an_orphan_whose_tier_is_gone_is_kept", sentence: "an orphan whose tier is gone is never deleted." };
const LIMITS: Rule = Rule {
    name: "limits_hold_over_a_sliding_day",
    sentence: "Limits count over a sliding 24 hours: destroysPerDay; destroyPercentPerTierPerDay.",
};

fn told(sent: &Sent) -> String {
    let name = sent.vm.as_ref().map_or("?", |vm| &vm.name);
    format!("{:?} of {} ({name} on {}) at {}", sent.step.action, sent.step.key, sent.endpoint, sent.at)
}

/// The mark on the VM just before, if it is ours and finished.
fn mark_before(sent: &Sent) -> Option<Box<Mark>> {
    match owner(sent.vm.as_ref()?) {
        Owner::Us(mark) => Some(mark),
        Owner::NotUs | Owner::Unfinished(_) => None,
    }
}

pub fn only_the_very_vm_that_carries_our_mark(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    match sent.vm.as_ref().map(owner) {
        Some(Owner::Us(mark)) if mark.key == sent.step.key => Ok(()),
        // An unfinished create is removed by approval.
        Some(Owner::Unfinished(_)) if cycle.approved.contains(&sent.step.key) => Ok(()),
        other => OURS.broken(format!("{}: {other:?}", told(sent))),
    }
}

pub fn protection_is_judged_by_the_mark(sent: &Sent) -> Holds {
    let Some(mark) = mark_before(sent) else { return Ok(()) };
    let protection = &mark.protection;
    if protection.prevent_destroy || protection.prune == Prune::Never {
        return PROTECTED.broken(format!("{}: {protection:?}", told(sent)));
    }
    Ok(())
}

pub fn only_a_good_source_may_lead_to_a_destroy(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    if cycle.source_is_good() { Ok(()) } else { SOURCE.broken(told(sent)) }
}

pub fn only_what_left_git_is_destroyed(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    // What cannot be finished as Git says now is removed by approval, and then made anew.
    let unfinished = matches!(sent.vm.as_ref().map(owner), Some(Owner::Unfinished(_)));
    if unfinished && cycle.approved.contains(&sent.step.key) {
        return Ok(());
    }
    if cycle.git.vms.contains_key(&sent.step.key.to_string()) { LEFT.broken(told(sent)) } else { Ok(()) }
}

pub fn its_endpoint_listed_everything(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    if cycle.dark.contains(&sent.endpoint) { COMPLETE.broken(told(sent)) } else { Ok(()) }
}

pub fn prune_confirm_waits_for_an_approval(cycle: &Cycle<'_>, sent: &Sent, past: &mut Past) -> Holds {
    let Some(own_id) = sent.step.own_id.clone() else { return OURS.broken(told(sent)) };
    if cycle.approved.contains(&sent.step.key) {
        past.approved.insert(own_id);
        return Ok(());
    }
    let confirm = mark_before(sent).is_some_and(|mark| mark.protection.prune == Prune::Confirm);
    if confirm && !past.approved.contains(&own_id) { CONFIRM.broken(told(sent)) } else { Ok(()) }
}

pub fn grace_days_pass_before_a_delete(sent: &Sent) -> Holds {
    let Some(mark) = mark_before(sent).filter(|_| sent.step.action == Action::Delete) else { return Ok(()) };
    let days = i64::from(mark.protection.grace_days);
    let over = match &mark.retired {
        Some(retired) => sent.at >= retired.since + SignedDuration::from_hours(24 * days),
        None => days == 0,
    };
    if over { Ok(()) } else { GRACE.broken(format!("{}: {:?}, {days} days", told(sent), mark.retired)) }
}

pub fn an_orphan_whose_tier_is_gone_is_kept(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    let Some(mark) = mark_before(sent) else { return Ok(()) };
    if cycle.git.tiers.contains_key(mark.tier.as_str()) { Ok(()) } else { ORPHAN.broken(told(sent)) }
}

/// Counts this destroy, once per VM, and asks whether it was one too many. What a person approved by itself may pass.
pub fn limits_hold_over_a_sliding_day(cycle: &Cycle<'_>, sent: &Sent, past: &mut Past) -> Holds {
    let Some(own_id) = sent.step.own_id.clone() else { return OURS.broken(told(sent)) };
    let over = |because: &Because| matches!(because, Because::GraceOver | Because::Unfinished);
    let after_retire =
        sent.step.action == Action::Delete && sent.step.reasons.iter().any(|reason| over(&reason.because));
    let day_ago = sent.at - SignedDuration::from_hours(24);
    let lately = |past: &Past| -> Vec<Destroy> {
        past.destroys.iter().filter(|destroy| destroy.at > day_ago).cloned().collect()
    };
    if after_retire || lately(past).iter().any(|destroy| destroy.own_id == own_id) {
        return Ok(());
    }
    past.destroys.push(Destroy { at: sent.at, tier: sent.step.tier.clone(), own_id });
    if cycle.approved.contains(&sent.step.key) {
        return Ok(());
    }
    let counted = lately(past);
    let all: BTreeSet<&OwnId> = counted.iter().map(|destroy| &destroy.own_id).collect();
    let tier = &sent.step.tier;
    let of_tier: BTreeSet<&OwnId> =
        counted.iter().filter(|destroy| destroy.tier == *tier).map(|destroy| &destroy.own_id).collect();
    // The most VMs that the tier had in the window, or at its start: more than the rule may have known.
    let start = past.owned.iter().rposition(|(at, _)| *at <= day_ago).unwrap_or(0);
    let most = past.owned[start..].iter().filter_map(|(_, owned)| owned.get(tier)).max().copied().unwrap_or_default();
    let percent = cycle.limits.destroy_percent_per_tier_per_day;
    let share = (most * percent / 100).max(1) as usize;
    if all.len() > cycle.limits.destroys_per_day as usize || (percent < 100 && of_tier.len() > share) {
        return LIMITS.broken(format!(
            "{}: {} in a day, {} of {tier} which had {most}; {:?}",
            told(sent),
            all.len(),
            of_tier.len(),
            cycle.limits
        ));
    }
    Ok(())
}
