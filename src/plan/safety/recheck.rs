//! What apply repeats around each call: is the VM still as the plan saw it, and has it become what was promised?

use crate::model::ObservedVm;
use crate::plan::Step;

/// May this operation of the step still be done? `found` is what a fresh read by own id (for a create: by identity)
/// found: empty for nothing. Operation 0 is checked against all the plan saw, a later one against what our own earlier
/// operations leave behind.
pub fn still_safe(step: &Step, operation: usize, found: &[ObservedVm], installation: &str) -> Result<(), String> {
    let _ = (step, operation, found, installation);
    Err("not yet".to_owned())
}

/// After a step: is the VM what the step promised?
pub fn promise_kept(step: &Step, found: &[ObservedVm]) -> Result<(), String> {
    let _ = (step, found);
    Err("not yet".to_owned())
}
