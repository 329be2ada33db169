//! Looking at one VM just before and just after: the I/O around what `plan::safety` judges.

use super::ApplyRun;
use crate::plan::{Precondition, Step};
use crate::provider::{Call, Found, Provider, ProviderError, Target};

/// When the preconditions are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment<'a> {
    /// Before the step begins: all of them hold, or it does not begin.
    BeforeStep,
    /// Before a destroying call: what the step itself has changed since does not count.
    BeforeCall(&'a Call),
}

/// Reads the VM of a step in full and fresh: by own id when it has one, else by the identity to come.
pub(super) async fn look(provider: &dyn Provider, step: &Step) -> Result<Found, ProviderError> {
    let target = match (&step.own_id, &step.preconditions) {
        (Some(own_id), _) => Target::OwnId(own_id.clone()),
        (None, Precondition::Absent { identity, .. }) => Target::Identity(*identity),
        (None, Precondition::Unchanged(fingerprint)) => Target::OwnId(fingerprint.own_id.clone()),
    };
    provider.find(&target).await
}

/// Do the step's preconditions hold for what was just read?
pub(super) fn still_safe(
    run: &ApplyRun<'_>,
    step: &Step,
    found: &Found,
    moment: Moment<'_>,
) -> Result<(), String> {
    let _ = (run, step, found, moment);
    Ok(())
}

/// Did the VM become what the step promised?
pub(super) fn promise_kept(run: &ApplyRun<'_>, step: &Step, found: &Found) -> Result<(), String> {
    let _ = (run, step, found);
    Ok(())
}
