//! The accounts of a plan: costs, counts, its inputs, its hash.

use std::collections::BTreeMap;

use serde::Serialize;

use super::draft::{Draft, Size};
use crate::model::{Bytes, Digest, Money, Revision, TierName};
use crate::plan::{
    Action, Blocked, CostLine, EndpointState, InventoryLine, Plan, PlanInput, Step, cost, safety::approval,
};

/// The sizes of all VMs per tier, since prices are linear: one multiplication per tier rather than four per VM.
#[derive(Debug, Default)]
pub(super) struct Tally<'a>(BTreeMap<&'a TierName, Sums>);

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    vms: u64,
    cpus: u64,
    memory: u64,
    storage: u64,
}

impl<'a> Tally<'a> {
    /// Counts a VM that is there, as it was last applied.
    pub fn there(&mut self, tier: &'a TierName, size: Size) {
        let sums = self.0.entry(tier).or_default();
        sums.vms += 1;
        sums.cpus += u64::from(size.cpus);
        sums.memory = sums.memory.saturating_add(size.memory.0);
        sums.storage = sums.storage.saturating_add(size.storage.0);
    }

    /// Counts all that another one counted.
    pub fn add(&mut self, other: &Self) {
        for (tier, more) in &other.0 {
            let sums = self.0.entry(tier).or_default();
            sums.vms += more.vms;
            sums.cpus += more.cpus;
            sums.memory = sums.memory.saturating_add(more.memory);
            sums.storage = sums.storage.saturating_add(more.storage);
        }
    }
}

impl Sums {
    /// What they cost a month: sizes are summed first, then priced.
    fn monthly(self, price: &crate::model::Price) -> Money {
        cost::monthly_of_all(price, (self.vms, self.cpus), Bytes(self.memory), Bytes(self.storage))
    }
}

/// Freezes the plan.
pub(super) fn close(draft: Draft<'_>, steps: Vec<Step>, blocked: Vec<Blocked>) -> Plan {
    let PlanInput { desired, inventory, policy, .. } = draft.input;
    let mut blocked = blocked;
    blocked.sort_by(|a, b| (&a.key, a.action).cmp(&(&b.key, b.action)));
    let mut notes = draft.notes;
    notes.sort_by(|a, b| (&a.key, &a.text).cmp(&(&b.key, &b.text)));
    let mut summary: BTreeMap<Action, u32> = BTreeMap::new();
    for step in &steps {
        *summary.entry(step.action).or_default() += 1;
    }
    let lines = draft.census.sights.iter().map(|(endpoint, sight)| InventoryLine {
        endpoint: (*endpoint).clone(),
        status: sight.status(),
        generation: inventory.endpoints.get(*endpoint).map_or(0, |answer| answer.generation),
        why: sight.doubt().map(|doubt| doubt.why),
        excused: policy.endpoints.get(*endpoint).is_some_and(|policy| policy.state == EndpointState::Retired),
    });
    let settings = policy.digest();
    Plan {
        format_version: 1,
        installation: policy.installation.clone(),
        revision: desired.revision.clone(),
        hash: hash(&desired.revision, &settings, &steps, &blocked),
        settings,
        inventory: lines.collect(),
        in_sync: draft.in_sync,
        unmanaged: draft.census.unmanaged,
        summary,
        cost: costs(&draft.tally, desired, &steps),
        notes,
        steps,
        approval: approval::of_all(&blocked),
        blocked,
    }
}

/// The hash that a plan of these contents has: a saved plan whose own differs was changed after it was made.
pub fn content_hash(plan: &Plan) -> Digest {
    hash(&plan.revision, &plan.settings, &plan.steps, &plan.blocked)
}

/// Over revision, settings, steps and blocked: inventory generations and free space stand outside.
fn hash(revision: &Revision, settings: &Digest, steps: &[Step], blocked: &[Blocked]) -> Digest {
    #[derive(Serialize)]
    struct Hashed<'a> {
        revision: &'a Revision,
        settings: &'a Digest,
        steps: &'a [Step],
        blocked: &'a [Blocked],
    }
    Digest::of_json(&Hashed { revision, settings, steps, blocked })
}

/// Before: everything that is there; after: that, with what the steps change.
fn costs(tally: &Tally<'_>, desired: &crate::model::Desired, steps: &[Step]) -> Vec<CostLine> {
    let there = tally.0.iter().filter_map(|(tier, sums)| {
        let price = desired.tiers.get(*tier)?.price.as_ref()?;
        let monthly = sums.monthly(price);
        Some(CostLine { currency: price.currency.clone(), before: monthly, after: monthly })
    });
    // What a step's VM costs before is in what is there already.
    let changed = steps.iter().filter_map(|step| step.cost.as_ref()).map(|line| CostLine {
        currency: line.currency.clone(),
        before: Money::default(),
        after: Money(line.after.0.saturating_sub(line.before.0)),
    });
    cost::sum(&there.chain(changed).collect::<Vec<_>>())
}
