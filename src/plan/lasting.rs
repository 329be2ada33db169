//! How long a plan stands when nothing that it was made from moves but the time.
//!
//! `serve` need not plan again what nobody changed, but some of what a plan says, time alone changes. All of that is
//! named here, and a property test plans again at the end of what this says, for any input:
//!
//! - grace days that end: a retired VM is deleted then;
//! - an intent without an outcome, which after a day is taken for lost: at any moment, since little is known of it;
//! - what is to be retired or removed: the day is in its name and its mark, and the limits count over a sliding day.
//!
//! A failed step's back-off, a pause, and which steps may begin are no part of a plan: see `reconciler/cycle.rs`.

use jiff::Timestamp;

use super::safety::mark as rule4;
use super::{BlockCode, Blocked, Plan, PlanInput};
use crate::mark;

/// The first moment at which the same input may lead to another plan; `None`: time changes nothing of it.
pub fn lasts_until(input: &PlanInput<'_>, plan: &Plan) -> Option<Timestamp> {
    let moves = plan.steps.iter().any(|step| step.action.is_destroy())
        || plan.blocked.iter().any(|blocked| blocked.action.is_destroy() && blocked.code != BlockCode::InGrace);
    if moves || !input.history.open_intents.is_empty() {
        return Some(input.now);
    }
    let waiting = plan.blocked.iter().filter(|blocked| blocked.code == BlockCode::InGrace);
    // One whose end is not found may end at any moment.
    waiting.map(|blocked| grace_ends(input, blocked).unwrap_or(input.now)).min()
}

fn grace_ends(input: &PlanInput<'_>, blocked: &Blocked) -> Option<Timestamp> {
    let observed = input.inventory.observed(blocked.endpoint.as_ref()?)?;
    let id = blocked.own_id.as_ref()?;
    let vms = observed.vms.iter().filter(|vm| vm.id == *id);
    let marks = vms.filter_map(|vm| mark::parse(vm.readable()?.mark.as_deref()?).ok());
    marks.filter_map(|mark| Some(rule4::grace_ends(mark.retired.as_ref()?, mark.protection.grace_days))).min()
}
