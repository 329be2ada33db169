//! Waiting for what an earlier run, dead by now, may have left at work on the server.
//!
//! A server goes on with a call whose client is gone. What is done to a VM stands in its record (`current_operations`);
//! a clone, or what is done to a disk or a device, can only be told by the task's message, so all tasks of those
//! messages are waited for. Some may be other people's; that costs time and changes nothing. A call that is no task of
//! its own (`VBD.create`, `VM.create`) works on records alone and is over at once.

use tokio::sync::Mutex;

use super::collect::Memory;
use super::fault::Failure;
use super::rpc::Ref;
use super::session::Door;
use super::store::get;
use super::task::{self, Patience};
use crate::plan::Step;

/// Makes a VM; nobody sees which, until it is there.
const MAKERS: [&str; 2] = ["VM.clone", "VM.copy"];
/// Done to a part of a VM, or to one that will be.
const ON_PARTS: [&str; 8] =
    ["VDI.create", "VDI.resize", "VDI.destroy", "VBD.plug", "VBD.unplug", "VIF.plug", "VIF.unplug", "VIF.move"];

/// Returns when none of them runs any more.
pub(super) async fn wait_for_earlier(door: &Door, memory: &Mutex<Memory>, step: &Step) -> Result<(), Failure> {
    let (found, on_it) = {
        let mut memory = memory.lock().await;
        memory.refresh(door).await?;
        memory.check_whole()?;
        let found = match &step.own_id {
            Some(id) => memory.by_uuid(id.as_str()).into_iter().collect(),
            None => memory.by_identity(step.identity),
        };
        let records = found.iter().filter_map(|vm| get(&memory.store.vms, vm));
        let on_it: Vec<Ref> = records.flat_map(|vm| vm.operations.keys()).filter_map(|task| Ref::of(task)).collect();
        (found, on_it)
    };
    for task in on_it {
        until_over(door, &task).await?;
    }
    let makers = if found.is_empty() { &MAKERS[..] } else { &[] };
    for method in makers.iter().chain(&ON_PARTS) {
        for task in task::strays(door, method).await? {
            until_over(door, &task).await?;
        }
    }
    Ok(())
}

/// Waits for the end of a task, whoever began it. How it ended does not matter: what came of
/// it is seen by the next look.
async fn until_over(door: &Door, task: &Ref) -> Result<(), Failure> {
    match task::wait(door, task, &Patience { limit: None, stop: &|_| false }).await {
        // One that is gone is over too.
        Err(failure) if failure.is_gone() => Ok(()),
        outcome => outcome.map(drop),
    }
}
