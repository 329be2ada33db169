//! Of every call: whose VM is it, and may it be touched at all?

use tierwright::lab::world::Power;
use tierwright::plan::{Action, Landing};

use super::{Cycle, Holds, Owner, Past, Rule, Truth, own_id, owner};
use crate::watched::Sent;

const PAUSED: Rule = Rule {
    name: "nothing_is_sent_while_paused",
    sentence: "a file STOP in stateDir, looked at before every mutating call.",
};
const OBSERVE: Rule =
    Rule { name: "an_endpoint_that_is_only_observed_is_not_changed", sentence: "observe: nothing is changed." };
const UNMANAGED: Rule = Rule {
    name: "no_mark_no_touch",
    sentence: "No mark, no touch: an unmarked VM is unmanaged, counted and listed, never changed.",
};
const SUSPENDED: Rule =
    Rule { name: "suspended_vms_are_never_changed", sentence: "suspended, saved and paused VMs are never changed." };
const HOT: Rule = Rule { name: "a_hot_change_stops_no_guest", sentence: "The plan never says hot and then reboots." };
const TWIN: Rule = Rule { name: "a_create_makes_no_twin", sentence: "Nothing is created twice." };

pub fn nothing_is_sent_while_paused(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    if cycle.paused { PAUSED.broken(format!("{} for {}", sent.call, sent.step.key)) } else { Ok(()) }
}

pub fn an_endpoint_that_is_only_observed_is_not_changed(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    if cycle.observed_only.contains(&sent.endpoint) {
        return OBSERVE.broken(format!("{} for {} on {}", sent.call, sent.step.key, sent.endpoint));
    }
    Ok(())
}

/// Ours, an unfinished create of ours, or taken over by a manifest or a person's word.
pub fn no_mark_no_touch(cycle: &Cycle<'_>, sent: &Sent) -> Holds {
    let Some(vm) = &sent.vm else { return Ok(()) };
    let step = &sent.step;
    let taken_over = step.action == Action::Adopt || (!sent.first && step.action == Action::Create);
    let accepted = cycle.approved.contains(&step.key);
    let released = step.action == Action::Release && !sent.first;
    if owner(vm) == Owner::NotUs && !taken_over && !accepted && !released {
        return UNMANAGED.broken(format!("{} on {} ({:?} of {})", sent.call, vm.name, step.action, step.key));
    }
    Ok(())
}

pub fn suspended_vms_are_never_changed(sent: &Sent) -> Holds {
    match &sent.vm {
        Some(vm) if vm.power == Power::Suspended => {
            SUSPENDED.broken(format!("{} on {} ({:?})", sent.call, vm.name, sent.step.action))
        }
        _ => Ok(()),
    }
}

pub fn a_hot_change_stops_no_guest(sent: &Sent) -> Holds {
    let running = sent.vm.as_ref().is_some_and(|vm| vm.power == Power::On);
    if sent.stops() && running && sent.step.lands == Landing::Hot {
        return HOT.broken(format!("{} for {} ({:?})", sent.call, sent.step.key, sent.step.action));
    }
    Ok(())
}

/// When a create makes its first call, no VM of ours of that key is anywhere, and none that was begun for its identity,
/// but for the one it goes on with.
pub fn a_create_makes_no_twin(cycle: &Cycle<'_>, sent: &Sent, before: &Truth, past: &mut Past) -> Holds {
    if !sent.first || sent.step.action != Action::Create {
        return Ok(());
    }
    for ((endpoint, _), vm) in &before.vms {
        let identity = match owner(vm) {
            Owner::Us(mark) if mark.key == sent.step.key => mark.identity,
            Owner::Unfinished(identity) if identity == sent.step.identity && *endpoint != sent.endpoint => identity,
            Owner::Us(_) | Owner::Unfinished(_) | Owner::NotUs => continue,
        };
        if sent.step.own_id.as_ref() == Some(&own_id(vm)) {
            continue;
        }
        let unseen = cycle.unseen.contains(&own_id(vm));
        let unknowable = cycle.forgot && unseen;
        // The administrator said that nobody should wait for it.
        let given_up = cycle.given_up.contains(endpoint) && (unseen || cycle.dark.contains(endpoint));
        if unknowable || given_up {
            past.unknowable.insert(identity);
        } else {
            return TWIN.broken(format!("{} is made while it is {} on {endpoint}", sent.step.key, vm.name));
        }
    }
    Ok(())
}
