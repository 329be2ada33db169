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
