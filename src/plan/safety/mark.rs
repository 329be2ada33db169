//! Rule 4: a destroy is judged by the mark, as last applied, so that removing a file does not remove its protection.

use jiff::{SignedDuration, Timestamp};

use super::No;
use crate::mark::{Mark, Retired};
use crate::model::{Desired, Prune};
use crate::plan::BlockCode;

/// Does the mark forbid that this VM is retired or deleted, whatever a person says now?
pub fn forbids_destroy(mark: &Mark, desired: &Desired) -> Option<No> {
    if mark.protection.prevent_destroy {
        let why =
            "preventDestroy stands in its mark; put the manifest back, take preventDestroy out, apply, then remove it";
        return Some(No::flat(BlockCode::Protected, why));
    }
    if !desired.tiers.contains_key(&mark.tier) {
        let why = format!("its tier {} is gone too; a VM without its tier is never destroyed", mark.tier);
        return Some(No::flat(BlockCode::PruneForbidden, why));
    }
    if mark.protection.prune == Prune::Never {
        return Some(No::flat(BlockCode::PruneForbidden, "its mark says `prune: never`"));
    }
    None
}

/// Does the mark want a person's word before this VM is retired or deleted? An approved retire covers its delete.
pub fn wants_approval(mark: &Mark) -> Option<No> {
    match mark.protection.prune {
        Prune::Auto => None,
        Prune::Confirm if mark.retired.as_ref().is_some_and(|retired| retired.approved) => None,
        Prune::Never | Prune::Confirm => {
            Some(No::until_approved(BlockCode::NeedsApproval, "its mark says `prune: confirm`: a person must approve"))
        }
    }
}

/// When the grace days of a retired VM are over.
pub fn grace_ends(retired: &Retired, grace_days: u32) -> Timestamp {
    let grace = SignedDuration::from_hours(24 * i64::from(grace_days));
    retired.since.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// Are the grace days not over yet?
pub fn in_grace(mark: &Mark, now: Timestamp) -> Option<No> {
    let retired = mark.retired.as_ref()?;
    let ends = grace_ends(retired, mark.protection.grace_days);
    (now < ends).then(|| {
        let why = format!("retired {}; it is deleted after {ends} unless its manifest comes back", retired.since);
        No::flat(BlockCode::InGrace, why)
    })
}
