//! Steps under way: which of a plan may begin now, and a run for each endpoint that has some.
//!
//! ```text
//! Plan --share_out()--> steps by endpoint --begin()--> one task each --> Ended
//! ```
//!
//! Each endpoint has its own run, so that a clone that takes hours on one holds up nobody on another. What joins them
//! is decided before they begin: a step that depends on a step elsewhere waits for a later plan, which is made when
//! that one is done; and a plan that builds somewhere removes nothing elsewhere in the same breath. `change.lock` is
//! held from the first run that begins to the last that ends.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::apply::ApplyReport;
use crate::events::{EventSink, chain};
use crate::gate::Who;
use crate::journal::{JournalError, Lock};
use crate::model::{Desired, EndpointName, VmKey};
use crate::plan::{Destroyed, Plan, Step};
use crate::session::{Running, Session};
use crate::shutdown::Shutdown;

/// Which steps of a plan may begin now, by endpoint. `may_begin` answers for each step by itself.
pub(super) fn share_out(plan: &Plan, may_begin: impl Fn(&Step) -> bool) -> BTreeMap<EndpointName, Vec<Step>> {
    let planned: BTreeMap<&VmKey, &Step> = plan.steps.iter().map(|step| (&step.key, step)).collect();
    let mut chosen: BTreeSet<&VmKey> =
        planned.iter().filter(|(_, step)| may_begin(step)).map(|(key, _)| *key).collect();
    loop {
        let waits = |key: &&VmKey| {
            let step = planned[*key];
            // One without a step is in place already: the planner saw to that.
            step.depends_on
                .iter()
                .filter_map(|on| planned.get(on))
                .any(|on| on.endpoint != step.endpoint || !chosen.contains(&on.key))
        };
        let waiting: Vec<&VmKey> = chosen.iter().copied().filter(|key| waits(key)).collect();
        if waiting.is_empty() {
            break;
        }
        chosen.retain(|key| !waiting.contains(key));
    }
    let builds: BTreeSet<&EndpointName> = chosen
        .iter()
        .map(|key| planned[*key])
        .filter(|step| !step.action.is_destroy())
        .map(|step| &step.endpoint)
        .collect();
    let builds_elsewhere = |step: &Step| builds.iter().any(|name| **name != step.endpoint);
    let mut shares: BTreeMap<EndpointName, Vec<Step>> = BTreeMap::new();
    // In the plan's order.
    for step in plan.steps.iter().filter(|step| chosen.contains(&step.key)) {
        if !(step.action.is_destroy() && builds_elsewhere(step)) {
            shares.entry(step.endpoint.clone()).or_default().push(step.clone());
        }
    }
    shares
}

/// A run that ended.
pub(super) struct Ended {
    pub(super) endpoint: EndpointName,
    pub(super) steps: Vec<Step>,
    /// The text says why it could not be run at all.
    pub(super) report: Result<ApplyReport, String>,
}

/// A run under way.
struct Flying {
    steps: Vec<Step>,
    shutdown: Shutdown,
}

/// All runs under way.
#[derive(Default)]
pub(super) struct Runs {
    tasks: JoinSet<Ended>,
    flying: BTreeMap<EndpointName, Flying>,
    lock: Option<Lock>,
}

/// What a run is for.
pub(super) struct Errand {
    pub(super) session: Arc<Session>,
    pub(super) desired: Arc<Desired>,
    pub(super) endpoint: EndpointName,
    /// The plan with the steps of this endpoint alone.
    pub(super) part: Plan,
    pub(super) events: EventSink,
}

/// Whether the change lock is ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// It has been since before the plan was made.
    Before,
    /// It is now; what was planned may be older than what its last holder did.
    Now,
    /// Somebody else has it.
    Not(String),
}

impl Runs {
    /// Takes the change lock, if it is not held for another run already.
    pub(super) fn lock(&mut self, state_dir: &Path) -> Result<Locked, JournalError> {
        if self.lock.is_some() {
            return Ok(Locked::Before);
        }
        Ok(match Lock::change_now(state_dir)? {
            Ok(lock) => {
                self.lock = Some(lock);
                Locked::Now
            }
            Err(holder) => Locked::Not(holder),
        })
    }

    /// Lets go of the change lock when nothing runs.
    pub(super) fn unlock_if_idle(&mut self) {
        if self.flying.is_empty() {
            self.lock = None;
        }
    }

    /// Begins a run, in the span of the cycle that planned it.
    pub(super) fn begin(&mut self, errand: Errand) {
        let (endpoint, steps, shutdown) = (errand.endpoint.clone(), errand.part.steps.clone(), Shutdown::new());
        self.flying.insert(endpoint.clone(), Flying { steps: steps.clone(), shutdown: shutdown.clone() });
        let work = async move {
            let report = AssertUnwindSafe(run(&errand, &shutdown)).catch_unwind().await;
            let report = report.unwrap_or_else(|_| Err("it failed inside tierwright (a bug)".to_owned()));
            Ended { endpoint, steps, report }
        };
        self.tasks.spawn(work.in_current_span());
    }

    /// Returns when a run has ended; never, when none is under way.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => {
                    self.flying.remove(&ended.endpoint);
                    self.unlock_if_idle();
                    return ended;
                }
                // A task of ours is aborted only with the set, and catches its own panics.
                Some(Err(error)) => tracing::error!(%error, "a run died"),
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all runs where they stand. A call in flight stays an open intent.
    pub(super) async fn give_up(&mut self) {
        self.tasks.shutdown().await;
        self.flying.clear();
    }

    /// Is a run under way on this endpoint?
    pub(super) fn is_running(&self, endpoint: &EndpointName) -> bool {
        self.flying.contains_key(endpoint)
    }

    /// Nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.flying.is_empty()
    }

    /// Is a step for this key under way, on whatever endpoint?
    pub(super) fn has(&self, key: &VmKey) -> bool {
        self.flying.values().flat_map(|flying| &flying.steps).any(|step| step.key == *key)
    }

    /// Destroys that were let begin, whether or not the journal has them yet: the limits count them from then on.
    pub(super) fn destroys(&self, now: Timestamp) -> impl Iterator<Item = Destroyed> {
        let steps = self.flying.values().flat_map(|flying| &flying.steps).filter(|step| step.action.is_destroy());
        steps.filter_map(move |step| {
            Some(Destroyed {
                at: now,
                tier: step.tier.clone(),
                endpoint: step.endpoint.clone(),
                own_id: step.own_id.clone()?,
                key: step.key.clone(),
                after_retire: false,
                // Only what the journal says of a delete proves anything.
                deleted: false,
            })
        })
    }

    /// Asks the run on an endpoint to stop before its next call.
    pub(super) fn halt(&self, endpoint: &EndpointName) {
        if let Some(flying) = self.flying.get(endpoint) {
            flying.shutdown.request();
        }
    }

    /// Asks all of them.
    pub(super) fn halt_all(&self) {
        self.flying.values().for_each(|flying| flying.shutdown.request());
    }
}

async fn run(errand: &Errand, shutdown: &Shutdown) -> Result<ApplyReport, String> {
    let how = Running { by: Who::Serve, held: None, events: &errand.events, shutdown };
    errand.session.run_part(&errand.part, &errand.desired, how).await.map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::sample::{World, endpoint, spec, tier, tier_name};

    /// `app/vm-00` is to go from `vc`, and `app/new` to come to `second`.
    fn one_goes_and_one_comes_elsewhere() -> Plan {
        let mut world = World::fleet(2);
        world.add_endpoint("second", Vec::new());
        world.remember();
        let other = tier("t2", &["second"]);
        world.desired.tiers.insert(other.name.clone(), other);
        let mut new = spec("app/new");
        new.tier = tier_name("t2");
        world.want(new);
        world.unwant("app/vm-00");
        world.plan()
    }

    fn shared(plan: &Plan, may_begin: impl Fn(&Step) -> bool) -> Vec<String> {
        let shares = share_out(plan, may_begin);
        let told = |(name, steps): (&EndpointName, &Vec<Step>)| format!("{name}: {}", steps[0].key);
        shares.iter().map(told).collect()
    }

    #[test]
    fn a_plan_that_builds_somewhere_removes_nothing_elsewhere_in_the_same_breath() {
        let plan = one_goes_and_one_comes_elsewhere();
        assert_eq!(plan.steps.len(), 2, "{:#?}", plan.blocked);
        assert_eq!(shared(&plan, |_| true), ["second: app/new"]);
        let second = endpoint("second");
        assert_eq!(shared(&plan, |step| step.endpoint != second), ["vc: app/vm-00"], "nothing is built just now");
    }

    #[test]
    fn what_depends_on_a_step_that_may_not_begin_or_is_elsewhere_waits() {
        let mut plan = one_goes_and_one_comes_elsewhere();
        plan.steps.retain(|step| step.key.to_string() == "app/new");
        let step = |key: &str, at: &str, on: &[&str]| {
            let keys = on.iter().map(|key| crate::plan::sample::key(key)).collect();
            let (key, endpoint) = (crate::plan::sample::key(key), endpoint(at));
            Step { key, endpoint, depends_on: keys, ..plan.steps[0].clone() }
        };
        plan.steps = vec![
            step("app/a", "vc", &[]),
            step("app/b", "vc", &["app/a"]),
            step("app/c", "second", &["app/b"]),
            step("app/d", "second", &["app/c"]),
            step("app/e", "second", &[]),
        ];
        let keys = |may_begin: fn(&Step) -> bool| {
            let shares = share_out(&plan, may_begin);
            shares.into_values().flatten().map(|step| step.key.name().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys(|_| true), ["e", "a", "b"]);
        assert_eq!(keys(|step| step.key.name().as_str() != "a"), ["e"]);
    }
}
