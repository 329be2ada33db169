//! Power: the goal a manifest keeps, and the start we owe after an update was cut short.

use super::{Difference, Differences, Effect, Pair, because};
use crate::mark::Pending;
use crate::model::{PowerGoal, PowerState};
use crate::plan::{Because, Landing, Reason};

/// A goal as text.
pub(super) const fn goal_text(goal: PowerGoal) -> &'static str {
    match goal {
        PowerGoal::Running => "running",
        PowerGoal::Stopped => "stopped",
    }
}

/// A state as text.
pub(super) const fn state_text(state: PowerState) -> &'static str {
    match state {
        PowerState::Running => "running",
        PowerState::Stopped => "stopped",
        PowerState::Suspended => "suspended",
        PowerState::Unknown => "unknown",
    }
}

/// Is the state what the goal asks for?
pub(super) const fn reached(goal: PowerGoal, state: PowerState) -> bool {
    matches!((goal, state), (PowerGoal::Running, PowerState::Running) | (PowerGoal::Stopped, PowerState::Stopped))
}

pub(super) fn compare(pair: Pair<'_>, differences: &mut Differences) {
    let state = pair.config.power;
    let owed = pair.mark.pending == Some(Pending::Restart);
    let goal = pair.spec.power.filter(|_| !pair.ignores("power"));
    if let Some(goal) = goal.filter(|goal| !reached(*goal, state)) {
        let applied = pair.mark.applied.as_ref().and_then(|applied| applied.power);
        let because = match (owed, goal) {
            (true, PowerGoal::Running) => Because::Unfinished,
            _ => because(applied.as_ref(), &goal),
        };
        let lands = if goal == PowerGoal::Stopped { Landing::PowerOff } else { Landing::Hot };
        let (from, to) = (Some(state_text(state).to_owned()), Some(goal_text(goal).to_owned()));
        let reason = Reason { field: "power".to_owned(), from, to, because, lands, detail: None };
        return differences.found.push(Difference { reason, effect: Effect::Power(goal) });
    }
    if !owed {
        return;
    }
    let starts = state == PowerState::Stopped && goal.is_none();
    let reason = Reason {
        field: "power".to_owned(),
        from: Some(state_text(state).to_owned()),
        to: Some(if starts { "running" } else { state_text(state) }.to_owned()),
        because: Because::Unfinished,
        lands: Landing::Hot,
        detail: Some("an update that powered it off was cut short".to_owned()),
    };
    differences.found.push(Difference { reason, effect: if starts { Effect::OwedStart } else { Effect::Mark } });
}
