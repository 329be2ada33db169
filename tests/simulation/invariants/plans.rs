//! Of a plan, against what was true when it was made.

use std::collections::BTreeSet;

use tierwright::inventory::View;
use tierwright::mark::{Standing, judge};
use tierwright::model::{EndpointName, VmKey};
use tierwright::plan::{self, Action, Plan, PlanInput, Policy};
use tierwright::session::Look;

use super::{Cycle, Holds, INSTALLATION, Owner, Rule, Truth, own_id, owner};

const ONCE: Rule = Rule {
    name: "each_vm_is_accounted_once",
    sentence: "Each desired or owned VM appears exactly once: a step, in sync, or Blocked(code, why).",
};
const SAME: Rule = Rule { name: "equal_input_gives_equal_bytes", sentence: "Same input, same bytes." };
const UNKNOWN: Rule = Rule {
    name: "unknown_never_leads_to_create_or_destroy",
    sentence: "Unknown leads to no create, retire, delete or replace of the keys and names concerned.",
};
const TIER: Rule = Rule {
    name: "a_create_needs_all_endpoints_of_its_tier",
    sentence: "A create needs complete inventories of every endpoint of the tier.",
};
const SOURCE: Rule = Rule {
    name: "a_source_in_doubt_leads_to_no_plan",
    sentence: "An empty or missing source, or any error in it, destroys nothing.",
};

/// All rules about one plan.
pub fn of_plan(cycle: &Cycle<'_>, (look, plan): (&Look, &Plan), policy: &Policy, truth: &Truth) -> Holds {
    each_vm_is_accounted_once(look, plan)?;
    equal_input_gives_equal_bytes(cycle, (look, plan), policy)?;
    a_source_in_doubt_destroys_nothing(cycle, plan)?;
    unknown_never_leads_to_create_or_destroy(cycle, (look, plan), truth)?;
    a_create_needs_all_endpoints_of_its_tier(cycle, (look, plan))
}

fn each_vm_is_accounted_once(look: &Look, plan: &Plan) -> Holds {
    let Some(desired) = &look.desired else { return Ok(()) };
    let named: Vec<&VmKey> =
        plan.steps.iter().map(|step| &step.key).chain(plan.blocked.iter().map(|blocked| &blocked.key)).collect();
    let once: BTreeSet<&VmKey> = named.iter().copied().collect();
    if once.len() != named.len() {
        return ONCE.broken(format!("a key is named twice: {named:?}"));
    }
    let vms = look.inventory.endpoints.values().flat_map(|endpoint| match &endpoint.view {
        View::Observed(observed) => observed.vms.as_slice(),
        View::Unreachable(_) => &[],
    });
    let owned: BTreeSet<VmKey> = vms
        .filter_map(|vm| match judge(vm, INSTALLATION) {
            Standing::Ours(mark) => Some(mark.key),
            _ => None,
        })
        .collect();
    let old: BTreeSet<&VmKey> = desired.vms.values().filter_map(|spec| spec.renamed_from.as_ref()).collect();
    let known: BTreeSet<&VmKey> = desired.vms.keys().chain(owned.iter().filter(|key| !old.contains(key))).collect();
    let quiet: Vec<_> = known.iter().filter(|key| !once.contains(*key)).collect();
    if plan.in_sync as usize != quiet.len() {
        return ONCE.broken(format!("{} in sync, and unnamed are {quiet:?}", plan.in_sync));
    }
    Ok(())
}

fn equal_input_gives_equal_bytes(cycle: &Cycle<'_>, (look, made): (&Look, &Plan), policy: &Policy) -> Holds {
    let Some(desired) = &look.desired else { return Ok(()) };
    let mut inventory = look.inventory.clone();
    for endpoint in inventory.endpoints.values_mut() {
        if let View::Observed(observed) = &mut endpoint.view {
            observed.vms.reverse();
            observed.catalog.hosts.reverse();
            observed.catalog.storage.reverse();
            observed.catalog.networks.reverse();
        }
    }
    let again = plan::plan(&PlanInput {
        now: cycle.now,
        desired,
        source: look.trust,
        inventory: &inventory,
        history: &look.history,
        policy,
        approvals: &look.approvals,
        user_data: &look.user_data,
    });
    if again != *made {
        let (again, made) = (serde_json::to_string(&again), serde_json::to_string(made));
        return SAME.broken(format!("{}\nand then\n{}", made.unwrap_or_default(), again.unwrap_or_default()));
    }
    Ok(())
}

fn a_source_in_doubt_destroys_nothing(cycle: &Cycle<'_>, plan: &Plan) -> Holds {
    let destroy = plan.steps.iter().find(|step| step.action.is_destroy());
    match destroy {
        Some(step) if !cycle.source_is_good() => {
            SOURCE.broken(format!("{:?} of {} from a source that is {:?}", step.action, step.key, cycle.git.shape))
        }
        _ => Ok(()),
    }
}

fn unknown_never_leads_to_create_or_destroy(cycle: &Cycle<'_>, (look, plan): (&Look, &Plan), truth: &Truth) -> Holds {
    for ((endpoint, _), vm) in &truth.vms {
        let hidden = cycle.dark.contains(endpoint) || cycle.unseen.contains(&own_id(vm));
        let Owner::Us(mark) = owner(vm) else { continue };
        // A VM that nobody remembers and that a listing silently lacks cannot be told from one that never was.
        if !hidden || cycle.forgot || cycle.given_up.contains(endpoint) {
            continue;
        }
        let step = plan.steps.iter().find(|step| {
            let makes = step.action == Action::Create && step.key == mark.key;
            let takes = step.action.is_destroy() && step.own_id.as_ref() == Some(&own_id(vm));
            // Read in full just now: its own listing is cut, and it is in the part that came.
            let listed = look.inventory.observed(endpoint).is_some_and(|observed| {
                observed.vms.iter().any(|seen| seen.id == own_id(vm) && seen.readable().is_some())
            });
            makes || (takes && !listed)
        });
        if let Some(step) = step {
            return UNKNOWN.broken(format!("{:?} of {}, which could not be seen on {endpoint}", step.action, step.key));
        }
    }
    Ok(())
}

fn a_create_needs_all_endpoints_of_its_tier(cycle: &Cycle<'_>, (look, plan): (&Look, &Plan)) -> Holds {
    let Some(desired) = &look.desired else { return Ok(()) };
    for step in plan.steps.iter().filter(|step| step.action == Action::Create && step.own_id.is_none()) {
        let endpoints = desired.tiers.get(&step.tier).map(|tier| tier.endpoints.as_slice()).unwrap_or_default();
        let counts = |endpoint: &EndpointName| !cycle.given_up.contains(endpoint) && !cycle.excused.contains(endpoint);
        if let Some(dark) = endpoints.iter().find(|endpoint| cycle.dark.contains(*endpoint) && counts(endpoint)) {
            return TIER.broken(format!("create of {} while {dark} was not to be seen in full", step.key));
        }
    }
    Ok(())
}
