//! What a person's digest lets go: exactly the step it was shown for, on the VM as it was then.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::{Digest, OwnId, VmKey};
use crate::plan::{Action, BlockCode, Blocked, Fingerprint, Plan, Precondition, Step};

/// The digest that approves a step: its own id, key and action, the VM's fingerprint, and what it would become. Dates,
/// generations of inventories and free space stand outside, so that it does not change by itself.
pub fn digest(step: &Step) -> Digest {
    #[derive(Serialize)]
    struct Approved<'a> {
        own_id: Option<&'a OwnId>,
        key: &'a VmKey,
        action: Action,
        identity: uuid::Uuid,
        fingerprint: Option<&'a Fingerprint>,
        becomes: Vec<(&'a str, Option<&'a str>)>,
    }
    let fingerprint = match &step.preconditions {
        Precondition::Absent { .. } => None,
        Precondition::Unchanged(fingerprint) => Some(fingerprint),
    };
    // What a destroy becomes is in its action; its reasons speak of days, which pass.
    let reasons = step.reasons.iter().filter(|_| !step.action.is_destroy());
    Digest::of_json(&Approved {
        own_id: step.own_id.as_ref(),
        key: &step.key,
        action: step.action,
        identity: step.identity,
        fingerprint,
        becomes: reasons.map(|reason| (reason.field.as_str(), reason.to.as_deref())).collect(),
    })
}

/// What the digest of everything that waits covers: not what would pass a cap together, of which a person can let
/// only a part go, one by one.
pub fn covered(blocked: &Blocked) -> Option<&Digest> {
    blocked.digest.as_ref().filter(|_| blocked.code != BlockCode::DestroyLimit)
}

/// The digest that approves everything that waits.
pub fn of_all(blocked: &[Blocked]) -> Option<Digest> {
    let waiting: BTreeSet<&Digest> = blocked.iter().filter_map(covered).collect();
    (!waiting.is_empty()).then(|| Digest::of_json(&waiting))
}

/// Did a person type this digest?
pub fn is_given(approvals: &BTreeSet<String>, digest: &Digest) -> bool {
    approvals.iter().any(|typed| digest.matches(typed))
}

/// What was typed, with the digest of everything that waits spelled out: it stands for each digest that `shown`, the
/// plan made without any approval, asks for.
pub fn spelled_out(approvals: &BTreeSet<String>, shown: &Plan) -> BTreeSet<String> {
    let mut given = approvals.clone();
    if shown.approval.as_ref().is_some_and(|all| is_given(approvals, all)) {
        given.extend(shown.blocked.iter().filter_map(covered).map(Digest::to_string));
    }
    given
}
