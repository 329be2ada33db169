//! `plan(&PlanInput) -> Plan`: the whole policy, read top to bottom as named steps.

use super::{Plan, PlanInput};

/// Makes the plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let _ = input;
    unimplemented!("on its way")
}
