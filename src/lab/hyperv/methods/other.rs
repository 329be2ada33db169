//! Files, errors of jobs, summaries, and the cluster.

use super::{Input, Outcome, images, vm_of};
use crate::lab::hyperv::cim::{self, View};
use crate::lab::hyperv::disks;
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::jobs::error_of;
use crate::lab::hyperv::operations::Turn;
use crate::lab::hyperv::parts::upper;
use crate::lab::hyperv::schema::class;
use crate::lab::world::{Id, Link, Refusal, TaskState, Vm};

/// Return codes of `CIM_DataFile` (cimv2-classes.json).
const NO_SUCH_FILE: u32 = 9;
const FILE_EXISTS: u32 = 10;
const OTHER_DRIVE: u32 = 13;
const SHARING: u32 = 15;
const FAILED: u32 = 8;

pub(super) fn summaries(turn: &Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let mut found = Vec::new();
    for reference in input.references("SettingData") {
        vm_of(turn, reference)?;
        let only = cim::confined_by(&reference.keys);
        let all = turn.view(|view| cim::instances(&View { only, ..*view }, class("Msvm_SummaryInformation")));
        found.extend(all);
    }
    if input.references("SettingData").is_empty() {
        found = turn.view(|view| cim::instances(view, class("Msvm_SummaryInformation")));
    }
    Ok(Outcome::returns(super::DONE).with("SummaryInformation", Value::Objects(found)))
}

pub(super) fn job_error(turn: &Turn<'_>, target: &Instance, method: &str) -> Outcome {
    let id = target.text("InstanceID").unwrap_or_default();
    let jobs = turn.node.jobs();
    let job = jobs.iter().find(|(known, _)| upper(**known).eq_ignore_ascii_case(id)).map(|(_, job)| *job);
    let state = job.and_then(|job| turn.world.task(job.task)).map(|task| &task.state);
    let outcome = Outcome::returns(super::DONE);
    let Some(TaskState::Error(refusal)) = state else { return outcome };
    let (code, words) = error_of(refusal);
    // The text form of an `Msvm_Error`, which has no key and is no instance of its own.
    let text = format!(
        "<INSTANCE CLASSNAME=\"Msvm_Error\"><PROPERTY NAME=\"ErrorSource\" TYPE=\"string\"><VALUE>Hyper-V</VALUE>\
         </PROPERTY><PROPERTY NAME=\"Message\" TYPE=\"string\"><VALUE>{}</VALUE></PROPERTY><PROPERTY NAME=\"MessageID\" \
         TYPE=\"string\"><VALUE>{code}</VALUE></PROPERTY></INSTANCE>",
        words.replace('&', "&amp;").replace('<', "&lt;")
    );
    match method {
        "GetError" => outcome.with("Error", text),
        _ => outcome.with("Errors", Value::Many(vec![text])),
    }
}

pub(super) fn delete_file(turn: &mut Turn<'_>, target: &Instance) -> Outcome {
    let path = target.text("Name").unwrap_or_default();
    let Some(path) = disks::find(turn.world, path) else { return Outcome::returns(NO_SUCH_FILE) };
    if disks::in_use(turn.world, &path) {
        return Outcome::returns(SHARING);
    }
    turn.world.delete_file(&path);
    turn.world.bump();
    Outcome::returns(super::DONE)
}

pub(super) fn copy_file(turn: &mut Turn<'_>, target: &Instance, input: &Input) -> Result<Outcome, Fault> {
    let source = target.text("Name").unwrap_or_default();
    let path = input.text("FileName")?;
    let volume = match images::free_place(turn.world, path) {
        Ok(volume) => volume,
        Err(Refusal::FileExists(_)) => return Ok(Outcome::returns(FILE_EXISTS)),
        Err(_) => return Ok(Outcome::returns(NO_SUCH_FILE)),
    };
    if disks::volume_of(turn.world, source).map(|volume| volume.id) != Some(volume) {
        return Ok(Outcome::returns(OTHER_DRIVE));
    }
    Ok(Outcome::returns(match images::copy(turn.world, source, &path.into(), volume) {
        Ok(()) => super::DONE,
        Err(Refusal::FileLocked(_)) => SHARING,
        Err(_) => FAILED,
    }))
}

const fn nothing() -> Outcome {
    Outcome { returns: None, outputs: Vec::new() }
}

/// The VM of a role.
fn of_role(turn: &Turn<'_>, group: &Instance) -> Result<Id, Fault> {
    let name = group.text("Name").unwrap_or_default();
    let has = |vm: &&Vm| vm.wmi.as_ref().and_then(|wmi| wmi.role.as_deref()) == Some(name);
    turn.world.vms().find(has).map(|vm| vm.id).ok_or_else(Fault::not_found)
}

/// Only a VM of the node that is asked becomes a role, by its name.
pub(super) fn add_role(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let name = input.text("VirtualMachine")?;
    let host = turn.node.host.id;
    let taken = turn.world.vms().any(|vm| vm.wmi.as_ref().and_then(|wmi| wmi.role.as_deref()) == Some(name));
    let vm = turn.world.vms().find(|vm| *vm.name == *name && vm.host == host).map(|vm| vm.id);
    let Some(vm) = vm else { return Err(Fault::internal(0x8007_1392, "The object was not found. ")) };
    if taken {
        return Err(Fault::internal(0x8007_1392, "The object already exists. "));
    }
    let role = Some(name.into());
    turn.world.edit_runtime(vm, |vm| super::devices::facts(vm).role = role);
    Ok(nothing())
}

pub(super) fn remove_role(turn: &mut Turn<'_>, target: &Instance) -> Result<Outcome, Fault> {
    let vm = of_role(turn, target)?;
    turn.world.edit_runtime(vm, |vm| super::devices::facts(vm).role = None);
    Ok(nothing())
}

pub(super) fn move_role(turn: &mut Turn<'_>, target: &Instance, input: &Input) -> Result<Outcome, Fault> {
    let vm = of_role(turn, target)?;
    let name = input.text("NodeName")?;
    let to = turn.world.hosts.values().find(|host| host.name.eq_ignore_ascii_case(name));
    let to = to.filter(|host| host.link == Link::Connected && !host.maintenance).map(|host| host.id);
    let Some(to) = to else { return Err(Fault::internal(0x8007_138B, "The cluster node is not available. ")) };
    turn.world.edit_runtime(vm, |vm| vm.host = to);
    Ok(nothing())
}
