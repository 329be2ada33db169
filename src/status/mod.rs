//! What `serve` is doing and how things stand, as one value: folded from [`Event`]s and from what each cycle found.
//!
//! Pure: the loop hands it events, plans and the time; readers get it through a watch channel, or from the status file
//! (`status/file.rs`).
//!
//! ```text
//! events --fold()--> endpoints, running, failing
//! plans --take_plan()--> vms (vms.rs) --> tiers, counts
//! ```

mod conditions;
mod file;
mod vms;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use conditions::{Conditions, Told};
pub use file::{FILE, StatusFile};
pub use vms::{Planned, TierStatus, VmIs, VmStatus};

use crate::events::Event;
use crate::model::{EndpointName, VmKey};
use crate::plan::{Action, InventoryStatus};

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Cycles done: each made a plan, or found that there is nothing to plan from, or that the last plan stands.
    pub cycles: u64,
    /// When the last one ended.
    pub last_cycle: Option<Timestamp>,
    /// The one word, and why.
    pub condition: Condition,
    /// The revision in force.
    pub revision: Option<String>,
    /// Problems of the source as it stands now; then `revision` is an older one.
    pub source_problems: usize,
    /// Why what stands in the source is not taken up yet, when it is otherwise well.
    pub source_waits: Option<String>,
    /// Why the settings file as it stands now is not in force.
    pub settings_problem: Option<String>,
    /// Why nothing is changed, while changes are paused.
    pub paused: Option<String>,
    /// Another process changes things, which this one waits for.
    pub waits_for: Option<String>,
    /// Endpoints as last asked.
    pub endpoints: BTreeMap<EndpointName, EndpointStatus>,
    /// Steps that run now.
    pub running: BTreeMap<VmKey, Running>,
    /// Steps that failed and were not done since, with the whole chain of causes.
    pub failing: BTreeMap<VmKey, String>,
    /// Every VM that is desired or owned. Shared: whoever reads or writes the status takes it
    /// along and need not copy it.
    pub vms: Arc<BTreeMap<VmKey, VmStatus>>,
    /// Of the last plan: steps to do, steps held back, VMs as desired.
    pub plan: Option<PlanCounts>,
    /// When it was made; it stands as long as nothing that it rests on moves.
    #[serde(default)]
    pub planned_at: Option<Timestamp>,
}

/// How the loop is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is", content = "why")]
pub enum Condition {
    /// Nothing was looked at yet.
    #[default]
    Starting,
    /// Everything is as wanted, as far as this service may make it so.
    Ready,
    /// Something is being changed.
    Reconciling,
    /// It cannot go on without a person: the text says why.
    Stalled(String),
    /// It has ended.
    Ended,
}

/// One endpoint as last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// It is being asked now.
    pub asking: bool,
    /// VMs it listed.
    pub vms: usize,
    /// What answered, as it calls itself; `None`: nothing did, or did yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What is wrong, if anything.
    pub why: Option<String>,
    /// When it answered or was given up.
    pub at: Option<Timestamp>,
    /// Since when it answers as it does: whole, in part, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It is retired: nobody counts on its answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excused: bool,
}

impl EndpointStatus {
    /// How it answered last; `None`: it has not been heard of yet.
    pub fn answer(&self) -> Option<InventoryStatus> {
        self.at?;
        Some(match (&self.why, &self.product) {
            (None, _) => InventoryStatus::Complete,
            (Some(_), Some(_)) => InventoryStatus::Incomplete,
            (Some(_), None) => InventoryStatus::Unreachable,
        })
    }
}

/// A step that runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// What is done.
    pub action: Action,
    /// What it waits for.
    pub text: Option<String>,
    /// How far.
    pub percent: Option<u8>,
    /// Since when.
    pub since: Timestamp,
}

/// A plan in three numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCounts {
    /// To be done.
    pub steps: usize,
    /// Held back.
    pub blocked: usize,
    /// As desired.
    pub in_sync: u32,
}

impl Status {
    /// Takes one event in.
    pub fn fold(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::CollectStarted { endpoint } => self.endpoints.entry(endpoint.clone()).or_default().asking = true,
            Event::Collected { endpoint, vms, product, why } => {
                let before = self.endpoints.entry(endpoint.clone()).or_default();
                let mut answered = EndpointStatus {
                    asking: false,
                    vms: *vms,
                    product: product.clone(),
                    why: why.clone(),
                    at: Some(now),
                    since: Some(now),
                    excused: before.excused,
                };
                if before.answer() == answered.answer() {
                    answered.since = before.since;
                }
                *before = answered;
            }
            Event::StepStarted { key, action } => {
                self.condition = Condition::Reconciling;
                let running = Running { action: *action, text: None, percent: None, since: now };
                self.running.insert(key.clone(), running);
            }
            Event::StepProgress { key, text, percent } => {
                if let Some(running) = self.running.get_mut(key) {
                    running.text = Some(text.clone());
                    running.percent = *percent;
                }
            }
            Event::StepDone { key, .. } => {
                self.ended(key);
                self.failing.remove(key);
            }
            Event::StepFailed { key, why, .. } => {
                self.ended(key);
                self.failing.insert(key.clone(), why.clone());
            }
            Event::StepSkipped { key, .. } => self.ended(key),
        }
    }

    /// Takes in what a plan says of each VM.
    pub fn take_plan(&mut self, planned: &Planned<'_>) {
        let vms = vms::after(&self.vms, planned);
        if *self.vms != vms {
            self.vms = Arc::new(vms);
        }
        self.plan = Some(vms::counts(&self.vms));
        self.planned_at = Some(planned.now);
        self.failing.retain(|key, _| self.vms.get(key).is_some_and(VmStatus::is_to_be_done));
        for line in &planned.plan.inventory {
            if let Some(endpoint) = self.endpoints.get_mut(&line.endpoint) {
                endpoint.excused = line.excused;
            }
        }
        // What runs says so itself, until it ends.
        self.condition = if self.running.is_empty() { Condition::Ready } else { Condition::Reconciling };
    }

    /// The tiers, from their VMs.
    pub fn tiers(&self) -> BTreeMap<crate::model::TierName, TierStatus> {
        vms::tiers(self)
    }

    fn ended(&mut self, key: &VmKey) {
        self.running.remove(key);
        if self.running.is_empty() && self.condition == Condition::Reconciling {
            self.condition = Condition::Ready;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> VmKey {
        VmKey::parse("erp/db-1").unwrap()
    }

    fn fold(events: &[Event]) -> Status {
        let mut status = Status::default();
        for event in events {
            status.fold(event, Timestamp::UNIX_EPOCH);
        }
        status
    }

    #[test]
    fn a_failed_step_is_failing_until_it_is_done() {
        let started = Event::StepStarted { key: key(), action: Action::Update };
        let failed = Event::StepFailed { key: key(), action: Action::Update, why: "no".into() };
        let done = Event::StepDone { key: key(), action: Action::Update };
        let status = fold(&[started.clone(), failed.clone()]);
        assert!(status.running.is_empty());
        assert_eq!(status.failing[&key()], "no");
        assert_eq!(status.condition, Condition::Ready);
        assert!(fold(&[started.clone(), failed, started, done]).failing.is_empty());
    }

    #[test]
    fn progress_shows_what_a_running_step_waits_for() {
        let status = fold(&[
            Event::StepStarted { key: key(), action: Action::Create },
            Event::StepProgress { key: key(), text: "cloning".into(), percent: Some(40) },
        ]);
        assert_eq!(status.running[&key()].percent, Some(40));
        assert_eq!(status.condition, Condition::Reconciling);
    }

    #[test]
    fn an_endpoint_that_did_not_answer_says_why() {
        let endpoint = EndpointName::new("vc-prod").unwrap();
        let status = fold(&[
            Event::CollectStarted { endpoint: endpoint.clone() },
            Event::Collected { endpoint: endpoint.clone(), vms: 0, product: None, why: Some("refused".into()) },
        ]);
        assert_eq!(status.endpoints[&endpoint].why.as_deref(), Some("refused"));
        assert!(!status.endpoints[&endpoint].asking);
    }

    #[test]
    fn an_endpoint_says_since_when_it_answers_as_it_does() {
        let endpoint = EndpointName::new("vc-prod").unwrap();
        let mut status = Status::default();
        let mut told = |second: i64, product: Option<&str>, why: Option<&str>| {
            let (product, why) = (product.map(str::to_owned), why.map(str::to_owned));
            let answered = Event::Collected { endpoint: endpoint.clone(), vms: 0, product, why };
            status.fold(&answered, Timestamp::from_second(second).unwrap());
            let told = &status.endpoints[&endpoint];
            (told.answer().unwrap(), told.since.unwrap().as_second(), told.at.unwrap().as_second())
        };
        assert_eq!(told(1, Some("vCenter"), None), (InventoryStatus::Complete, 1, 1));
        assert_eq!(told(2, Some("vCenter"), None), (InventoryStatus::Complete, 1, 2));
        assert_eq!(told(3, Some("vCenter"), Some("a page is missing")), (InventoryStatus::Incomplete, 3, 3));
        assert_eq!(told(4, None, Some("refused")), (InventoryStatus::Unreachable, 4, 4));
        assert_eq!(told(5, None, Some("no route")), (InventoryStatus::Unreachable, 4, 5));
    }
}
