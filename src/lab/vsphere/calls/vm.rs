//! Calls that change VMs and folders.

use super::{Turn, spec};
use crate::lab::faults::{Effect, NamedFault};
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::morefs::{Object, reference, resolve, task_ref};
use crate::lab::vsphere::properties::unescaped;
use crate::lab::vsphere::soap::Answer;
use crate::lab::vsphere::value::Ref;
use crate::lab::world::{FolderKind, Id, Refusal, Work};

/// Does a call change the inventory?
pub(in crate::lab::vsphere) fn is_mutating(call: &str) -> bool {
    let waits = matches!(call, "CancelTask");
    let named = matches!(
        call,
        "ShutdownGuest"
            | "RebootGuest"
            | "UnregisterVM"
            | "MarkAsTemplate"
            | "MarkAsVirtualMachine"
            | "AnswerVM"
            | "CreateFolder"
    );
    named || (call.ends_with("_Task") && !waits)
}

/// The name of the VM or folder a call is about to make or to give.
pub(in crate::lab::vsphere) fn new_name(asked: &super::Asked) -> Option<String> {
    let name = match asked.call {
        "CloneVM_Task" | "CreateFolder" => asked.parameters.text("name"),
        "CreateVM_Task" => asked.parameters.data("config").and_then(|config| config.text("name")),
        _ => None,
    };
    name.map(unescaped)
}

pub(super) fn answer(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    if !turn.asked.call.ends_with("_Task") {
        return at_once(turn);
    }
    // The object must be there, and its kind must have such a thing, whatever the task would say.
    if resolve(turn.world, &turn.asked.this).is_none() {
        return Err(Fault::not_found(&turn.asked.this));
    }
    if turn.world.standalone && matches!(turn.asked.call, "CloneVM_Task" | "MoveIntoFolder_Task" | "RelocateVM_Task") {
        return Err(Fault::not_supported());
    }
    let mut work = work(turn)?;
    for effect in turn.effects {
        if let Effect::FailTask(NamedFault { fault, message }) = effect {
            let message = message.clone().unwrap_or_else(|| "The lab was told to fail this task.".into());
            let refusal = Box::new(Refusal::Rule { fault: fault.clone(), message });
            work = Work::Fail { entity: work.entity(), refusal };
        }
    }
    let user = turn.user();
    let task = turn.world.start(work, &user);
    if turn.effects.contains(&Effect::LoseTask) {
        turn.world.forget_task(task);
    }
    Ok(Answer::Value(Some(task_ref(task).into())))
}

fn work(turn: &mut Turn<'_>) -> Result<Work, Fault> {
    let parameters = &turn.asked.parameters;
    let name = |field: &str| unescaped(parameters.text(field).unwrap_or_default());
    Ok(match turn.asked.call {
        "CreateVM_Task" => {
            let folder = place(turn, Some(&turn.asked.this))?.unwrap_or(Id(0));
            let pool = place(turn, parameters.reference("pool"))?.unwrap_or(Id(0));
            let host = place(turn, parameters.reference("host"))?;
            spec::create(turn.world, parameters, folder, pool, host)?
        }
        "CloneVM_Task" => {
            let folder = place(turn, parameters.reference("folder"))?.unwrap_or(Id(0));
            spec::clone(turn.world, parameters, turn.this_vm()?, folder)?
        }
        "ReconfigVM_Task" => spec::reconfigure(turn.world, parameters, turn.this_vm()?)?,
        "PowerOnVM_Task" => Work::PowerOn(turn.this_vm()?),
        "PowerOffVM_Task" => Work::PowerOff(turn.this_vm()?),
        "SuspendVM_Task" => Work::Suspend(turn.this_vm()?),
        "ResetVM_Task" => Work::Reset(turn.this_vm()?),
        "Rename_Task" => Work::Rename { object: named_object(turn)?, name: name("newName") },
        "Destroy_Task" => Work::Destroy(named_object(turn)?),
        "CreateSnapshot_Task" => {
            Work::Snapshot { vm: turn.this_vm()?, name: name("name"), description: name("description") }
        }
        "RemoveAllSnapshots_Task" => Work::RemoveSnapshot { vm: turn.this_vm()?, snapshot: None },
        "RevertToCurrentSnapshot_Task" => {
            let vm = turn.this_vm()?;
            let last = turn.world.vm(vm).and_then(|vm| vm.snapshots.last()).map(|last| last.id);
            let snapshot = last.ok_or_else(|| turn.refuse(&Refusal::NoSnapshot))?;
            Work::Revert { vm, snapshot }
        }
        "RemoveSnapshot_Task" | "RevertToSnapshot_Task" => match resolve(turn.world, &turn.asked.this) {
            Some(Object::Snapshot(vm, snapshot)) if turn.asked.call == "RevertToSnapshot_Task" => {
                Work::Revert { vm, snapshot }
            }
            Some(Object::Snapshot(vm, snapshot)) => Work::RemoveSnapshot { vm, snapshot: Some(snapshot) },
            _ => return Err(Fault::not_found(&turn.asked.this)),
        },
        // In the data model and not in the lab.
        _ => return Err(Fault::not_supported()),
    })
}

/// The object of a parameter; `None` when it was left out.
fn place(turn: &Turn<'_>, reference: Option<&Ref>) -> Result<Option<Id>, Fault> {
    let Some(reference) = reference else { return Ok(None) };
    spec::id_of(turn.world, reference).map(Some)
}

fn named_object(turn: &Turn<'_>) -> Result<Id, Fault> {
    match resolve(turn.world, &turn.asked.this) {
        Some(Object::Vm(id) | Object::Folder(id)) => Ok(id),
        Some(_) => Err(Fault::not_supported()),
        None => Err(Fault::not_found(&turn.asked.this)),
    }
}

/// Calls without a task.
fn at_once(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let standalone = turn.world.standalone;
    let done = match turn.asked.call {
        "ShutdownGuest" | "RebootGuest" => {
            let (vm, reboot) = (turn.this_vm()?, turn.asked.call == "RebootGuest");
            turn.world.ask_guest(vm, reboot)
        }
        "AnswerVM" => {
            let (vm, question, choice) =
                (turn.this_vm()?, turn.text("questionId").to_owned(), turn.text("answerChoice").to_owned());
            turn.world.answer(vm, &question, &choice)
        }
        "UnregisterVM" => {
            let vm = turn.this_vm()?;
            turn.world.unregister(vm)
        }
        "MarkAsTemplate" | "MarkAsVirtualMachine" | "CreateFolder" if standalone => return Err(Fault::not_supported()),
        "MarkAsTemplate" => {
            let vm = turn.this_vm()?;
            turn.world.mark_as_template(vm)
        }
        "MarkAsVirtualMachine" => {
            let vm = turn.this_vm()?;
            let pool = place(turn, turn.asked.parameters.reference("pool"))?.unwrap_or(Id(0));
            let host = place(turn, turn.asked.parameters.reference("host"))?;
            turn.world.mark_as_vm(vm, pool, host)
        }
        "CreateFolder" => return create_folder(turn),
        _ => return Err(Fault::not_supported()),
    };
    done.map(|()| Answer::Value(None)).map_err(|refusal| turn.refuse(&refusal))
}

fn create_folder(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let Some(Object::Folder(parent)) = resolve(turn.world, &turn.asked.this) else {
        return Err(Fault::not_found(&turn.asked.this));
    };
    if turn.world.folders.get(&parent).is_some_and(|folder| folder.kind == FolderKind::Datacenters) {
        return Err(Fault::not_supported());
    }
    let name = unescaped(turn.text("name"));
    match turn.world.create_folder(parent, &name) {
        Ok(id) => Ok(Answer::Value(Some(reference(turn.world, id).into()))),
        Err(refusal) => Err(turn.refuse(&refusal)),
    }
}
