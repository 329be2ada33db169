//! In which order steps run: dependencies first, then by key; whatever takes a VM away comes last.

use std::collections::{BTreeMap, BTreeSet};

use super::Step;
use crate::model::VmKey;

/// Orders steps for execution. Each step's `depends_on` must name steps of this very plan; a cycle (manifests have
/// none) is broken at the smallest key, so that no step is ever lost.
pub fn order(steps: Vec<Step>) -> Vec<Step> {
    let (mut last, mut first): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| step.action.is_destroy());
    last.sort_by(|a, b| a.key.cmp(&b.key));
    first.sort_by(|a, b| a.key.cmp(&b.key));
    if first.iter().any(|step| !step.depends_on.is_empty()) {
        first = by_dependency(first);
    }
    first.extend(last);
    first
}

fn by_dependency(steps: Vec<Step>) -> Vec<Step> {
    let mut waiting: BTreeMap<VmKey, Step> = steps.into_iter().map(|step| (step.key.clone(), step)).collect();
    let mut open: BTreeMap<VmKey, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<VmKey, Vec<VmKey>> = BTreeMap::new();
    for step in waiting.values() {
        let within: BTreeSet<&VmKey> = step.depends_on.iter().filter(|key| waiting.contains_key(*key)).collect();
        open.insert(step.key.clone(), within.len());
        for key in within {
            dependents.entry(key.clone()).or_default().push(step.key.clone());
        }
    }
    let mut ready: BTreeSet<VmKey> =
        open.iter().filter(|(_, count)| **count == 0).map(|(key, _)| key.clone()).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(key) = ready.pop_first().or_else(|| waiting.keys().next().cloned()) {
        let Some(step) = waiting.remove(&key) else { continue };
        ordered.push(step);
        for dependent in dependents.remove(&key).into_iter().flatten() {
            let Some(count) = open.get_mut(&dependent) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                ready.insert(dependent);
            }
        }
    }
    ordered
}
