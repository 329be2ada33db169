//! The three conditions that monitoring asks for, each with its reason and since when: Ready, Reconciling, Stalled.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Condition, Status};

/// All three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// Everything is as wanted: every endpoint answers, the source is good, every VM is in sync or
    /// waits for a person by a rule.
    pub ready: Told,
    /// Something is being changed.
    pub reconciling: Told,
    /// It cannot go on without a person.
    pub stalled: Told,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Does it hold?
    pub is: bool,
    /// Why it does, or why not.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

impl Conditions {
    /// Of a status; `before` says since when what has not changed stands.
    pub fn of(status: &Status, before: Option<&Self>, now: Timestamp) -> Self {
        let since = |is: bool, why: String, before: Option<&Told>| {
            let since = before.filter(|before| before.is == is).map_or(now, |before| before.since);
            Told { is, why, since }
        };
        let unready = unready(status);
        let ready = unready.is_none();
        let working = status.running.len();
        let stalled = match &status.condition {
            Condition::Stalled(why) => Some(why.clone()),
            _ => None,
        };
        Self {
            ready: since(ready, unready.unwrap_or_default(), before.map(|it| &it.ready)),
            reconciling: since(
                working > 0,
                if working > 0 { format!("{working} VM(s) are being changed") } else { String::new() },
                before.map(|it| &it.reconciling),
            ),
            stalled: since(stalled.is_some(), stalled.unwrap_or_default(), before.map(|it| &it.stalled)),
        }
    }
}

/// The first reason why it is not ready.
fn unready(status: &Status) -> Option<String> {
    match &status.condition {
        Condition::Starting => return Some("it has just started".to_owned()),
        Condition::Ended => return Some("serve has ended".to_owned()),
        Condition::Stalled(why) => return Some(why.clone()),
        Condition::Ready | Condition::Reconciling => {}
    }
    if let Some(why) = &status.settings_problem {
        return Some(why.clone());
    }
    if status.source_problems > 0 {
        return Some(format!(
            "the source has {} problem(s): the last good revision stays in force",
            status.source_problems
        ));
    }
    let mut counted = status.endpoints.iter().filter(|(_, endpoint)| !endpoint.excused);
    if let Some((name, why)) = counted.find_map(|(name, it)| Some((name, it.why.as_ref()?))) {
        let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(why);
        return Some(format!("endpoint {name}: {why}"));
    }
    if let Some((key, why)) = status.failing.iter().next() {
        return Some(format!("{} VM(s) failed, {key} first: {why}", status.failing.len()));
    }
    if let Some(why) = &status.paused {
        return Some(format!("changes are paused: {why}"));
    }
    let plan = status.plan?;
    (plan.steps > 0).then(|| format!("{} VM(s) are to be changed", plan.steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{EndpointStatus, PlanCounts};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_turns() {
        let mut status = Status { condition: Condition::Ready, plan: Some(PlanCounts::default()), ..Status::default() };
        let first = Conditions::of(&status, None, at(1));
        assert!(first.ready.is);
        let second = Conditions::of(&status, Some(&first), at(2));
        assert_eq!(second.ready.since, at(1));
        let dead = EndpointStatus { why: Some("vc: refused".into()), ..EndpointStatus::default() };
        status.endpoints.insert(crate::model::EndpointName::new("vc").unwrap(), dead);
        let third = Conditions::of(&status, Some(&second), at(3));
        assert_eq!(
            (third.ready.is, third.ready.why.as_str(), third.ready.since),
            (false, "endpoint vc: refused", at(3))
        );
        assert_eq!(third.stalled.since, at(1));
    }
}
