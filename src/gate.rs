//! May this step run now? Asked by apply and serve just before each step; answers, never acts.
//!
//! The plan has already said everything that follows from what is desired and observed. What is left are conditions of
//! the moment: who asks, what the administrator lets happen on this endpoint, and whether changes are paused.

use crate::plan::{Manage, Step};

/// Who wants to run the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person, by `apply`.
    Apply,
    /// The service, by itself.
    Serve,
}

/// The conditions of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// What the settings let happen on the step's endpoint.
    pub manage: Manage,
    /// Who asks.
    pub by: Who,
    /// Why changes are paused, if they are.
    pub paused: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may run.
    Go,
    /// Not now; nothing is wrong.
    Wait(String),
    /// Not by this caller on this endpoint, ever, as things are set.
    Refuse(String),
}

/// May this step run now?
pub fn gate(step: &Step, conditions: &Conditions) -> Verdict {
    let Conditions { manage, by, paused } = conditions;
    match (manage, by) {
        (Manage::Observe, _) => {
            Verdict::Refuse(format!("{} is only observed (`manage: observe`); nothing is changed there", step.endpoint))
        }
        (Manage::Suggest, Who::Serve) => Verdict::Wait(format!(
            "{} is changed only by `tierwright apply` (`manage: suggest`); this waits for a person to run it",
            step.endpoint
        )),
        (Manage::Suggest, Who::Apply) | (Manage::Enforce, _) => match paused {
            Some(why) => Verdict::Wait(format!("changes are paused: {why}")),
            None => Verdict::Go,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Verdict, Who, gate};
    use crate::plan::Manage;
    use crate::plan::sample::{World, spec};

    fn ask(manage: Manage, by: Who, paused: Option<&str>) -> Verdict {
        let mut world = World::fleet(0);
        world.want(spec("app/new"));
        let plan = world.plan();
        gate(&plan.steps[0], &Conditions { manage, by, paused: paused.map(str::to_owned) })
    }

    #[test]
    fn only_observed_endpoints_are_changed_by_nobody() {
        assert!(matches!(ask(Manage::Observe, Who::Apply, None), Verdict::Refuse(_)));
        assert!(matches!(ask(Manage::Observe, Who::Serve, None), Verdict::Refuse(_)));
    }

    #[test]
    fn suggest_is_for_apply_and_enforce_for_both() {
        assert_eq!(ask(Manage::Suggest, Who::Apply, None), Verdict::Go);
        assert!(matches!(ask(Manage::Suggest, Who::Serve, None), Verdict::Wait(_)));
        assert_eq!(ask(Manage::Enforce, Who::Serve, None), Verdict::Go);
    }

    #[test]
    fn a_pause_holds_everybody_and_says_why() {
        for by in [Who::Apply, Who::Serve] {
            let Verdict::Wait(why) = ask(Manage::Enforce, by, Some("audit")) else { panic!("it goes on") };
            assert!(why.contains("audit"));
        }
    }
}
