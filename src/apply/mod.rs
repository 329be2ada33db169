//! Executes exactly a plan: nothing more, nothing else, in its order. Decides nothing.

use crate::model::{EndpointName, VmKey};
use crate::plan::Action;

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
    /// The gate said no or not now: manage mode, pause.
    Gated(String),
    /// The VM is no longer as the plan saw it; the next plan will tell.
    Changed(String),
    /// Something it depends on was not done.
    Dependency(String),
    /// The program was asked to end.
    Stopped(String),
}
