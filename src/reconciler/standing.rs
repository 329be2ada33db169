//! Does the last plan still stand? Then none is made: in a fleet at rest, all that a cycle costs is asking.
//!
//! Everything that a plan is made from is named here, once, and compared; settings aside, which let nothing stand when
//! they are read again: a field that is added to [`History`] does not compile until somebody says what it means.
//! Inventories are compared where they come in (`fleet.rs`), by what they say and not by when. What time alone changes,
//! `plan::lasts_until` says; and once an hour a plan is made anyway, so that a mistake in all this is not for ever.
//!
//! A plan that holds steps which this service may begin never stands: backing off, resting and waiting for a lock are
//! decided each time anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Reconciler;
use crate::model::{Desired, Digest, EndpointName, Secret, VmKey};
use crate::plan::{History, LastInventory, LastVm, Manage, Plan, SourceTrust};
use crate::status::Condition;

/// A plan is made again after this time, whatever is thought to stand.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// What a plan is made from, inventories by their version.
pub(super) struct Ground {
    pub(super) desired: Arc<Desired>,
    pub(super) trust: SourceTrust,
    pub(super) fleet: u64,
    pub(super) history: History,
    /// User data itself is not kept any longer than a plan is being made.
    pub(super) user_data: Digest,
}

/// What the last plan was made from, and until when it stands on that.
pub(super) struct Standing {
    ground: Ground,
    since: Timestamp,
    until: Timestamp,
}

impl Ground {
    fn is_same(&self, other: &Self) -> bool {
        let Self { desired, trust, fleet, history, user_data } = self;
        desired.revision == other.desired.revision
            && *trust == other.trust
            && *fleet == other.fleet
            && is_same_past(history, &other.history)
            && *user_data == other.user_data
    }
}

/// Names all user data without holding any.
pub(super) fn digest(user_data: &BTreeMap<VmKey, Secret>) -> Digest {
    let lines = user_data.iter().map(|(key, secret)| format!("{key} {}\n", Digest::of(secret.expose().as_bytes())));
    Digest::of(lines.collect::<String>().as_bytes())
}

fn is_same_past(a: &History, b: &History) -> bool {
    let History { last, partial, destroys, open_intents, owned_at_window_start, disturbed } = a;
    let knew = |last: &BTreeMap<EndpointName, LastInventory>| -> Vec<(EndpointName, Arc<Vec<LastVm>>)> {
        // When it was, and which of many, no rule asks of what was known before.
        let entry = |(name, last): (&EndpointName, &LastInventory)| {
            let LastInventory { generation: _, taken_at: _, vms } = last;
            (name.clone(), Arc::clone(vms))
        };
        last.iter().map(entry).collect()
    };
    knew(last) == knew(&b.last)
        && *partial == b.partial
        && *destroys == b.destroys
        && *open_intents == b.open_intents
        && *owned_at_window_start == b.owned_at_window_start
        && *disturbed == b.disturbed
}

impl Reconciler {
    /// Would a plan made from this be the last one again?
    pub(super) fn stands_on(&self, ground: &Ground) -> bool {
        let now = self.session.clock().now();
        // Something went wrong since: only a plan that was made says that it is well again.
        let stalled = matches!(self.status.borrow().condition, Condition::Stalled(_));
        self.standing.as_ref().is_some_and(|standing| {
            !stalled && standing.since <= now && now < standing.until && standing.ground.is_same(ground)
        })
    }

    /// What a plan stands on from now, if it stands at all.
    pub(super) fn standing_of(&self, ground: Ground, plan: &Plan, until: Option<Timestamp>) -> Option<Standing> {
        let endpoints = &self.session.policy().endpoints;
        let is_ours = |name| endpoints.get(name).is_some_and(|endpoint| endpoint.manage == Manage::Enforce);
        if plan.steps.iter().any(|step| is_ours(&step.endpoint)) {
            return None;
        }
        let since = self.session.clock().now();
        let hour = since.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
        let until = until.map_or(hour, |until| until.min(hour));
        (since < until).then_some(Standing { ground, since, until })
    }
}
