//! `info` of a task.

use super::super::fault::Fault;
use super::super::morefs::{reference, task_ref};
use super::super::value::{Data, Value};
use super::{Scope, rest_of};
use crate::lab::world::{Id, Task, TaskState};

pub(super) fn property(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let task = scope.world.task(id)?;
    match *path.first()? {
        "info" => rest_of(info(scope, task).into(), &path[1..]),
        "value" | "availableField" => Some(Value::List(Vec::new())),
        _ => None,
    }
}

/// Wire name of the call that made a task of this kind.
fn call_name(kind: &str) -> &'static str {
    match kind {
        "Folder.createVm" => "CreateVM_Task",
        "VirtualMachine.clone" => "CloneVM_Task",
        "VirtualMachine.powerOn" => "PowerOnVM_Task",
        "VirtualMachine.powerOff" => "PowerOffVM_Task",
        "VirtualMachine.suspend" => "SuspendVM_Task",
        "VirtualMachine.reset" => "ResetVM_Task",
        "ManagedEntity.rename" => "Rename_Task",
        "ManagedEntity.destroy" => "Destroy_Task",
        "VirtualMachine.createSnapshot" => "CreateSnapshot_Task",
        "vm.Snapshot.remove" => "RemoveSnapshot_Task",
        "vm.Snapshot.revert" => "RevertToSnapshot_Task",
        _ => "ReconfigVM_Task",
    }
}

fn info(scope: &Scope<'_>, task: &Task) -> Data {
    let moref = task_ref(task.id);
    let (state, error, result) = match &task.state {
        TaskState::Running => ("running", None, None),
        TaskState::Success(made) => ("success", None, made.map(|id| made_ref(scope, task, id))),
        TaskState::Error(refusal) => ("error", Some(Fault::from_refusal(refusal, scope.world).localized()), None),
    };
    let running = task.state == TaskState::Running;
    Data::new("TaskInfo")
        .with("key", moref.id.clone())
        .with("task", moref)
        .with("name", call_name(task.kind))
        .with("descriptionId", task.kind)
        .with("entity", reference(scope.world, task.entity))
        .with("entityName", task.entity_name.clone())
        .with("state", Value::Word(state))
        .with("cancelled", false)
        .with("cancelable", false)
        .maybe("error", error)
        .maybe("result", result)
        .maybe("progress", running.then(|| task.percent(scope.world.now_ms())))
        .with("reason", Data::new("TaskReasonUser").with("userName", task.user.clone()))
        .with("queueTime", Value::Time(task.started_at))
        .with("startTime", Value::Time(task.started_at))
        .maybe("completeTime", (!running).then_some(Value::Time(task.ends_at)))
        .with("eventChainId", i64::from(task.id.0))
}

fn made_ref(scope: &Scope<'_>, task: &Task, id: Id) -> Value {
    if task.kind == "VirtualMachine.createSnapshot" {
        return super::super::morefs::snapshot_ref(id).into();
    }
    reference(scope.world, id).into()
}
