//! Looking at one VM just before and just after: the I/O around what `plan::safety` judges.

use super::ApplyRun;
use crate::diff;
use crate::model::{ObservedVm, Secret};
use crate::plan::{CreateVm, Precondition, Step, safety};
use crate::provider::{Found, Provider, ProviderError, Target};

/// Reads the VM of a step in full and fresh: by own id when it has one, else by the identity to come.
pub(super) async fn look(provider: &dyn Provider, step: &Step) -> Result<Found, ProviderError> {
    let target = match (&step.own_id, &step.preconditions) {
        (Some(own_id), _) => Target::OwnId(own_id.clone()),
        (None, Precondition::Absent { identity, .. }) => Target::Identity(*identity),
        (None, Precondition::Unchanged(fingerprint)) => Target::OwnId(fingerprint.own_id.clone()),
    };
    provider.find(&target).await
}

/// May this operation of the step still be done on what was just read?
pub(super) fn still_safe(run: &ApplyRun<'_>, step: &Step, at: safety::Progress, found: Found) -> Result<(), String> {
    safety::still_safe(step, at, &listed(found), &run.policy.installation)
}

/// Did the VM become what the step promised?
pub(super) fn promise_kept(step: &Step, found: Found) -> Result<(), String> {
    safety::promise_kept(step, &listed(found))
}

fn listed(found: Found) -> Vec<ObservedVm> {
    match found {
        Found::Vm(vm) => vec![*vm],
        Found::Nothing => Vec::new(),
        Found::Several(vms) => vms,
    }
}

/// Is the user data what the plan was made with?
pub(super) fn same_user_data(create: &CreateVm, now: Option<&Secret>) -> Result<(), String> {
    let planned = create.mark.applied.as_ref().and_then(|applied| applied.user_data.as_ref());
    let now = now.map(|secret| diff::salted(create.identity, secret));
    if planned == now.as_ref() { Ok(()) } else { Err("its user data is not what the plan was made with".to_owned()) }
}
