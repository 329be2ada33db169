//! Exit codes (DESIGN section 7), as pure functions of what a command saw and did.

use crate::apply::ApplyReport;
use crate::plan::Plan;

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
    let _ = (plan, detailed);
    todo!()
}

/// Of `apply`; `None` for the report: nothing was to be done, or the person said no.
pub fn of_apply(plan: Option<&Plan>, report: Option<&ApplyReport>) -> u8 {
    let _ = (plan, report);
    todo!()
}
