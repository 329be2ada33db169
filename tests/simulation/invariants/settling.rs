//! Once nothing goes wrong any more.

use std::collections::BTreeSet;

use tierwright::diagnostic::Diagnostic;
use tierwright::model::{Desired, VmKey};
use tierwright::plan::{BlockCode, Plan};

use super::{Holds, Owner, Rule, Truth, owner};

const PLANNED: Rule =
    Rule { name: "a_good_source_has_a_plan", sentence: "git / folder -> Revision -> Manifest -> Desired." };
const CONVERGES: Rule = Rule {
    name: "it_converges",
    sentence: "kill -9 at any point, then start again: it converges, nothing twice, nothing lost.",
};
const QUIET: Rule = Rule { name: "what_converged_is_left_alone", sentence: "apply then plan gives nothing." };
const AS_WANTED: Rule =
    Rule { name: "what_is_in_sync_is_as_git_says", sentence: "makes vSphere, Hyper-V and XenServer agree with it." };

/// Else the simulation writes manifests that nobody would, and proves nothing.
pub fn a_good_source_has_a_plan(problems: &[Diagnostic]) -> Holds {
    PLANNED.broken(format!("{problems:?}"))
}

pub fn it_converges(last: &Plan, cycles: usize) -> Holds {
    match last.steps.first() {
        None => Ok(()),
        Some(step) => CONVERGES
            .broken(format!("after {cycles} quiet cycles: {:?} of {}: {:?}", step.action, step.key, step.reasons)),
    }
}

/// Once more, some minutes after a plan without steps. What only time held may go then: a day or days of grace end.
pub fn what_converged_is_left_alone(quiet: &Plan, touched: &BTreeSet<VmKey>) -> Holds {
    let in_time = |code| matches!(code, BlockCode::DestroyLimit | BlockCode::InGrace);
    let may_go = |key: &&VmKey| quiet.blocked.iter().any(|blocked| blocked.key == **key && in_time(blocked.code));
    match touched.iter().find(|key| !may_go(key)) {
        None => Ok(()),
        Some(key) => QUIET.broken(format!("{key} was touched")),
    }
}

/// A desired VM of which the plan says nothing is there once, of the size that is wanted. What was blocked may have
/// become a step meanwhile: people go on installing guest tools.
pub fn what_is_in_sync_is_as_git_says(desired: &Desired, plan: &Plan, truth: &Truth) -> Holds {
    let named = |key: &VmKey| {
        plan.blocked.iter().any(|blocked| blocked.key == *key) || plan.steps.iter().any(|step| step.key == *key)
    };
    for spec in desired.vms.values().filter(|spec| !named(&spec.key)) {
        let ours: Vec<_> =
            truth.vms.values().filter(|vm| matches!(owner(vm), Owner::Us(mark) if mark.key == spec.key)).collect();
        let [vm] = ours.as_slice() else {
            return AS_WANTED.broken(format!("{} is there {} times", spec.key, ours.len()));
        };
        if vm.cpus != spec.cpus || vm.memory_mib != spec.memory.0 >> 20 || *vm.name != *spec.key.name().as_str() {
            return AS_WANTED.broken(format!("{}: {} CPUs, {} MiB, {}", spec.key, vm.cpus, vm.memory_mib, vm.name));
        }
    }
    Ok(())
}
