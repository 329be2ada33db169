//! Rule 5: caps. Destroys over a sliding day, disruptions in one run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{OwnId, PowerState, TierName};
use crate::plan::{Action, Because, Change, Fingerprint, History, Limits, Operation, Precondition, Step};

/// The window over which destroys are counted. A calendar day would let twice the cap through around midnight.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What was destroyed in the window, and how many may be.
#[derive(Debug)]
pub struct DestroyBudget<'a> {
    limits: &'a Limits,
    used: u32,
    used_per_tier: BTreeMap<&'a TierName, u32>,
    counted: BTreeSet<&'a OwnId>,
    owned: BTreeMap<TierName, u32>,
}

impl<'a> DestroyBudget<'a> {
    /// Counts the window that ends now. `owned` are the tier's VMs now; the window's start counts if it had more.
    pub fn new(limits: &'a Limits, history: &'a History, now: Timestamp, owned: BTreeMap<TierName, u32>) -> Self {
        let mut budget = Self { limits, used: 0, used_per_tier: BTreeMap::new(), counted: BTreeSet::new(), owned };
        let start = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
        for destroyed in history.destroys.iter().filter(|destroyed| destroyed.at > start && !destroyed.after_retire) {
            // A retire and the delete that follows it are one loss, however the journal has them.
            if budget.counted.insert(&destroyed.own_id) {
                budget.used += 1;
                *budget.used_per_tier.entry(&destroyed.tier).or_default() += 1;
            }
        }
        for (tier, count) in &history.owned_at_window_start {
            let owned = budget.owned.entry(tier.clone()).or_default();
            *owned = (*owned).max(*count);
        }
        budget
    }

    /// Does this step take a VM away that was not counted yet? A delete after its retire was.
    pub fn counts(&self, step: &Step) -> bool {
        let after_retire = step.action == Action::Delete
            && step.reasons.iter().any(|reason| matches!(reason.because, Because::GraceOver | Because::Unfinished));
        step.action.is_destroy()
            && !after_retire
            && step.own_id.as_ref().is_none_or(|own_id| !self.counted.contains(own_id))
    }

    /// Why so many more destroys on this tier, of so many in all, are too many.
    pub fn refuses(&self, tier: &TierName, on_tier: u32, in_all: u32) -> Option<String> {
        let Limits { destroys_per_day, destroy_percent_per_tier_per_day: percent, .. } = *self.limits;
        if in_all > 0 && self.used + in_all > destroys_per_day {
            return Some(format!(
                "{in_all} destroys and {} of the last 24 hours would pass destroysPerDay: {destroys_per_day}",
                self.used
            ));
        }
        let owned = self.owned.get(tier).copied().unwrap_or(0);
        let cap = share(owned, percent);
        let used = self.used_per_tier.get(tier).copied().unwrap_or(0);
        (percent < 100 && on_tier > 0 && used + on_tier > cap).then(|| {
            format!(
                "{on_tier} destroys on {tier} and {used} of the last 24 hours would pass {cap}, which is \
                 destroyPercentPerTierPerDay: {percent} of its {owned} VMs"
            )
        })
    }
}

/// So many percent, rounded down, at least one: a tier of three VMs may lose one a day.
fn share(owned: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(owned) * u64::from(percent) / 100).unwrap_or(u32::MAX).max(1)
}

/// Does this step disturb a running guest: power-off, reboot, a NIC taken off, moved or disconnected, a disk detached?
pub fn disturbs(step: &Step) -> bool {
    let running = match &step.preconditions {
        Precondition::Absent { .. } => false,
        Precondition::Unchanged(Fingerprint { power, .. }) => *power != PowerState::Stopped,
    };
    running && !step.action.is_destroy() && step.operations.iter().any(operation_disturbs)
}

fn operation_disturbs(operation: &Operation) -> bool {
    match operation {
        Operation::Stop(_) | Operation::Destroy { .. } => true,
        Operation::Reconfigure { changes, mark: _ } => changes.iter().any(change_disturbs),
        Operation::Create(_) | Operation::Start | Operation::Rename(_) | Operation::Unmark => false,
    }
}

fn change_disturbs(change: &Change) -> bool {
    match change {
        Change::RemoveNic(_) | Change::MoveNic { .. } | Change::DetachDisk(_) | Change::DeleteDisk(_) => true,
        Change::ConnectNic { connected, .. } => !connected,
        Change::Cpus(_)
        | Change::Memory(_)
        | Change::AddDisk(_)
        | Change::AttachDisk { .. }
        | Change::GrowDisk { .. }
        | Change::AddNic(_) => false,
    }
}
