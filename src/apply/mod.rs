//! Executes exactly a plan: nothing more, nothing else, in its order. Decides nothing.
//!
//! ```text
//! Plan --> schedule.rs (which step may start) --> step.rs (gate, preconditions, execute, promise) --> ApplyReport
//!                                                    |
//!                             recorder.rs (intent before, outcome after, stop and pause before each call)
//! ```
//!
//! Independent steps go on after a failure; what depends on it is skipped, and so is what is left on an endpoint that
//! went out of reach. What changed on the way is seen by the next collect: nothing is patched into an inventory here.
//! Prerequisites that stop a whole run are the caller's: an error in the source, the change lock.

mod backoff;
mod checks;
mod recorder;
mod schedule;
mod step;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

pub use backoff::Backoff;

use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::events::{Event, EventSink};
use crate::gate::Who;
use crate::journal::Journal;
use crate::model::{EndpointName, VmKey};
use crate::plan::{Action, Plan, Policy, Step};
use crate::shutdown::Shutdown;
use crate::userdata::UserData;
use schedule::{Next, Schedule};

/// Everything a run of a plan needs.
#[derive(Clone)]
pub struct ApplyRun<'a> {
    /// Names it in the log and the journal.
    pub id: String,
    /// Where to.
    pub endpoints: &'a Endpoints,
    /// Where each call is recorded.
    pub journal: &'a Journal,
    /// The time.
    pub clock: &'a Clock,
    /// What the administrator lets happen.
    pub policy: &'a Policy,
    /// Who asks.
    pub by: Who,
    /// User data of the plan's revision.
    pub user_data: &'a UserData,
    /// VMs to leave alone for a while.
    pub held: Option<&'a Backoff>,
    /// Why no destroy may run now, when something that the plan's limits rest on has changed since it was made.
    pub no_destroys: Option<&'a str>,
    /// Progress.
    pub events: &'a EventSink,
    /// Asked to end?
    pub shutdown: &'a Shutdown,
}

/// What became of a plan's steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyReport {
    /// One for each step of the plan, in its order.
    pub steps: Vec<StepReport>,
}

impl ApplyReport {
    /// How many steps ended like this.
    pub fn count(&self, matching: impl Fn(&StepOutcome) -> bool) -> usize {
        self.steps.iter().filter(|step| matching(&step.outcome)).count()
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Which VM.
    pub key: VmKey,
    /// Where.
    pub endpoint: EndpointName,
    /// What was to be done.
    pub action: Action,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: StepOutcome,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome", content = "why")]
pub enum StepOutcome {
    /// Done, and its promise was seen kept.
    Done,
    /// It failed, or its promise was not kept; the text is the whole chain of causes.
    Failed(String),
    /// Its endpoint could not be reached (any more).
    EndpointLost(String),
    /// The gate said no or not now: manage mode, pause, back-off.
    Gated(String),
    /// The VM is no longer as the plan saw it; the next plan will tell.
    Changed(String),
    /// Something it depends on was not done.
    Dependency(String),
    /// The program was asked to end, or the settings let this run go on no more.
    Stopped(String),
}

impl StepOutcome {
    /// Why it was not done; empty when it was.
    pub fn why(&self) -> &str {
        match self {
            Self::Done => "",
            Self::Failed(why)
            | Self::EndpointLost(why)
            | Self::Gated(why)
            | Self::Changed(why)
            | Self::Dependency(why)
            | Self::Stopped(why) => why,
        }
    }

    fn event(&self, step: &Step) -> Event {
        let (key, action, why) = (step.key.clone(), step.action, self.why().to_owned());
        match self {
            Self::Done => Event::StepDone { key, action },
            Self::Failed(_) | Self::EndpointLost(_) => Event::StepFailed { key, action, why },
            Self::Gated(_) | Self::Changed(_) | Self::Dependency(_) | Self::Stopped(_) => {
                Event::StepSkipped { key, action, why }
            }
        }
    }
}

/// Runs the steps of a plan and says what became of each. The caller holds the change lock.
pub async fn apply(plan: &Plan, run: &ApplyRun<'_>) -> ApplyReport {
    let parallel = |name: &EndpointName| run.endpoints.get(name).map_or(1, |endpoint| endpoint.parallel());
    let mut schedule = Schedule::new(&plan.steps, parallel);
    let mut outcomes: Vec<Option<StepOutcome>> = vec![None; plan.steps.len()];
    let mut lost: BTreeMap<&EndpointName, String> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        while let Some(next) = schedule.next() {
            let (at, outcome) = match next {
                Next::Start(at) => {
                    let step = &plan.steps[at];
                    let why = lost.get(&step.endpoint).cloned();
                    running.push(async move { (at, begin(run, step, why).await) });
                    continue;
                }
                Next::Skip(at, key) => {
                    (at, StepOutcome::Dependency(format!("it depends on {key}, which was not done")))
                }
                Next::Circular(at) => (at, StepOutcome::Dependency("it waits for steps that wait for it".into())),
            };
            run.events.send(outcome.event(&plan.steps[at]));
            outcomes[at] = Some(outcome);
        }
        let Some((at, outcome)) = running.next().await else { break };
        let step = &plan.steps[at];
        tell(step, &outcome);
        run.events.send(outcome.event(step));
        if let StepOutcome::EndpointLost(why) = &outcome {
            lost.entry(&step.endpoint).or_insert_with(|| why.clone());
        }
        schedule.ended(at, outcome == StepOutcome::Done);
        outcomes[at] = Some(outcome);
    }
    report(&plan.steps, outcomes)
}

/// Runs one step; a panic in a provider is that step's failure, not the end of the others.
async fn begin(run: &ApplyRun<'_>, step: &Step, lost: Option<String>) -> StepOutcome {
    if let Some(why) = lost {
        return StepOutcome::EndpointLost(format!("{} went out of reach during this run: {why}", step.endpoint));
    }
    let Some(endpoint) = run.endpoints.get(&step.endpoint) else {
        return StepOutcome::Gated(format!("endpoint {} is not in the settings", step.endpoint));
    };
    let running = AssertUnwindSafe(step::run_step(run, step, endpoint));
    running.catch_unwind().await.unwrap_or_else(|_| StepOutcome::Failed("it failed inside tierwright (a bug)".into()))
}

fn tell(step: &Step, outcome: &StepOutcome) {
    let (key, endpoint, action) = (&step.key, &step.endpoint, step.action);
    match outcome {
        StepOutcome::Done => tracing::info!(%key, %endpoint, ?action, "done"),
        StepOutcome::Failed(why) | StepOutcome::EndpointLost(why) => {
            tracing::warn!(%key, %endpoint, ?action, why, "failed");
        }
        _ => tracing::info!(%key, %endpoint, ?action, why = outcome.why(), "not done"),
    }
}

fn report(steps: &[Step], outcomes: Vec<Option<StepOutcome>>) -> ApplyReport {
    let report = |(step, outcome): (&Step, Option<StepOutcome>)| StepReport {
        key: step.key.clone(),
        endpoint: step.endpoint.clone(),
        action: step.action,
        // The schedule lets go of no step before it has ended.
        outcome: outcome.unwrap_or_else(|| StepOutcome::Failed("it was never begun (a bug)".into())),
    };
    ApplyReport { steps: steps.iter().zip(outcomes).map(report).collect() }
}
