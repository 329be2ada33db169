//! Waiting for what an earlier run, dead by now, may have left at work on the server.
//!
//! Nobody knows its task any more, so all that could be it are waited for: whatever runs on the VM, and for a VM that
//! is not there yet every clone of its image, or every creation in its folder. That may include other people's tasks;
//! it costs time and changes nothing.

use super::fault::Failure;
use super::machine;
use super::names::unescape;
use super::session::Door;
use super::task::{self, Running};
use crate::model::OwnId;
use crate::plan::{Operation, Step};

/// The folder that VMs are in where a placement names none (`Datacenter.vmFolder`).
const ROOT_FOLDER: &str = "vm";

/// Returns when none of them runs any more.
pub(super) async fn wait_for_earlier(door: &Door, step: &Step) -> Result<(), Failure> {
    let id = step.own_id.clone().unwrap_or_else(|| OwnId::new(&step.identity.to_string()));
    let machine = machine::by_id(door, &id).await?;
    let maker = maker(step);
    let perhaps_ours = |found: &&Running| match (&machine, &maker) {
        (Some(machine), _) => found.entity == *machine.moref(),
        (None, Some((method, on))) => found.is(method) && unescape(&found.entity_name) == *on,
        (None, None) => false,
    };
    for found in task::running(door).await?.iter().filter(perhaps_ours) {
        match task::wait(door, &found.task, &|_| {}).await {
            // A task that the server has forgotten is over too. What came of it is seen by the look that follows.
            Ok(_) | Err(Failure::Fault(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The call that makes the VM of this step, and the name of the object on which its task runs.
fn maker(step: &Step) -> Option<(&'static str, String)> {
    step.operations.iter().find_map(|operation| {
        let Operation::Create(order) = operation else { return None };
        if let Some(image) = &order.image {
            return Some(("CloneVM_Task", image.source.clone()));
        }
        let folder = order.placement.folder.as_deref().and_then(|path| path.rsplit('/').next());
        Some(("CreateVM_Task", folder.unwrap_or(ROOT_FOLDER).to_owned()))
    })
}
