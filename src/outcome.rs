//! Exit codes (DESIGN section 7), as pure functions of what a command saw and did.
//!
//! Precedence: an error before a missing endpoint before something held back.

use crate::apply::{ApplyReport, StepOutcome};
use crate::plan::{BlockCode, InventoryStatus, Plan};

/// Everything is as wanted, or there is nothing to do.
pub const OK: u8 = 0;
/// The source, a step or the program itself failed.
pub const ERROR: u8 = 1;
/// With `--detailed-exitcode`: there is something to do, or something blocked.
pub const DIFFERENCES: u8 = 2;
/// A policy, limit or gate held something back; the rest was applied.
pub const BLOCKED: u8 = 3;
/// An endpoint is missing; the others were applied.
pub const ENDPOINT_MISSING: u8 = 4;
/// Wrong usage.
pub const USAGE: u8 = 64;

/// Of `plan`; `None`: the source has an error.
pub fn of_plan(plan: Option<&Plan>, detailed: bool) -> u8 {
    let Some(plan) = plan else { return ERROR };
    if endpoint_missing(plan) {
        ENDPOINT_MISSING
    } else if detailed && (!plan.steps.is_empty() || something_held(plan)) {
        DIFFERENCES
    } else {
        OK
    }
}

/// Of `apply`; `None` for the plan: the source has an error; for the report: nothing was to be done, or the person said
/// no.
pub fn of_apply(plan: Option<&Plan>, report: Option<&ApplyReport>) -> u8 {
    let Some(plan) = plan else { return ERROR };
    let declined = report.is_none() && !plan.steps.is_empty();
    let outcomes = || report.iter().flat_map(|report| &report.steps).map(|step| &step.outcome);
    if declined || outcomes().any(|outcome| matches!(outcome, StepOutcome::Failed(_) | StepOutcome::Stopped(_))) {
        ERROR
    } else if endpoint_missing(plan) || outcomes().any(|outcome| matches!(outcome, StepOutcome::EndpointLost(_))) {
        ENDPOINT_MISSING
    } else if something_held(plan) || outcomes().any(|outcome| *outcome != StepOutcome::Done) {
        BLOCKED
    } else {
        OK
    }
}

fn endpoint_missing(plan: &Plan) -> bool {
    plan.inventory.iter().any(|line| line.status != InventoryStatus::Complete && !line.excused)
}

/// Is something held back that waits for somebody? A tier whose endpoint is not configured is no failure, and a retired
/// VM in its grace days is as it should be: time alone brings the next step.
fn something_held(plan: &Plan) -> bool {
    plan.blocked.iter().any(|blocked| !matches!(blocked.code, BlockCode::NotConfigured | BlockCode::InGrace))
}
