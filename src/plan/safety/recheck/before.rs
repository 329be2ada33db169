//! Just before an operation: is this still the VM that the plan saw?

use super::super::{fingerprint, machine};
use super::written;
use crate::mark::{self, Mark, Standing};
use crate::model::{ObservedVm, PowerState, VmConfig};
use crate::plan::{Action, Change, DiskAt, Fingerprint, Operation, Precondition, Step};

/// How far a step has come: which operation is next, and whether a call of that operation was let through already.
/// Where a hypervisor needs several calls for one operation, the later ones find what the earlier ones left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The operation, from 0.
    pub operation: usize,
    /// Was a call of it sent before?
    pub begun: bool,
}

/// May this operation of the step still be done? `found` is what a fresh read by own id (for a create: by identity)
/// found: empty for nothing. The first call of operation 0 is checked against all the plan saw, a later one against
/// what our own earlier calls leave behind.
pub fn still_safe(step: &Step, at: Progress, found: &[ObservedVm], installation: &str) -> Result<(), String> {
    let Progress { operation, begun } = at;
    match &step.preconditions {
        Precondition::Absent { identity, name: _ } => still_absent(*identity, found, installation),
        // It went by an earlier call of this very operation; what is left are the files of the disks named in it.
        Precondition::Unchanged(_) if begun && found.is_empty() && destroys(step, operation) => Ok(()),
        Precondition::Unchanged(seen) => {
            let vm = the_one(seen, found)?;
            let Some(config) = vm.readable() else { return Err("its configuration cannot be read now".to_owned()) };
            if let Some(no) = machine::may_touch_vm(config) {
                return Err(no.why);
            }
            let mark = still_ours(step, vm, installation)?;
            if operation == 0 && !begun {
                unchanged(seen, &fingerprint(vm))?;
            } else {
                own_generation(step, operation, seen, mark.as_deref())?;
            }
            if step.action.is_destroy() {
                still_unprotected(mark.as_deref())?;
            }
            match step.operations.get(operation) {
                Some(Operation::Destroy { disks }) => may_destroy(disks, seen, vm, begun),
                Some(Operation::Reconfigure { changes, .. }) => {
                    changes.iter().try_for_each(|change| may_delete(change, config, mark.as_deref()))
                }
                Some(_) | None => Ok(()),
            }
        }
    }
}

fn destroys(step: &Step, operation: usize) -> bool {
    matches!(step.operations.get(operation), Some(Operation::Destroy { .. }))
}

/// For a create: nothing of that identity is there, or a create of ours that was cut short.
fn still_absent(identity: uuid::Uuid, found: &[ObservedVm], installation: &str) -> Result<(), String> {
    match found {
        [] => Ok(()),
        [vm] => match mark::judge(vm, installation) {
            Standing::Unfinished { identity: begun, .. } if begun == identity => {
                vm.readable().and_then(machine::may_finish).map_or(Ok(()), |no| Err(no.why))
            }
            Standing::Unknown(why) => Err(format!("{} is there already, and cannot be read: {why}", vm.id)),
            Standing::NoMark
            | Standing::Ours(_)
            | Standing::Unfinished { .. }
            | Standing::Foreign(_)
            | Standing::Clone(_)
            | Standing::Unreadable(_) => Err(format!("{} ({}) is there already", vm.name, vm.id)),
        },
        several => Err(format!("{} VMs of this identity are there", several.len())),
    }
}

fn the_one<'v>(seen: &Fingerprint, found: &'v [ObservedVm]) -> Result<&'v ObservedVm, String> {
    match found {
        [vm] if vm.id == seen.own_id => Ok(vm),
        [vm] => Err(format!("{} was found in place of {}", vm.id, seen.own_id)),
        [] => Err("it is not there any more".to_owned()),
        several => Err(format!("{} VMs have the id {}", several.len(), seen.own_id)),
    }
}

/// Only what carries our mark with this very own id; for an adoption, what nobody else owns.
fn still_ours(step: &Step, vm: &ObservedVm, installation: &str) -> Result<Option<Box<Mark>>, String> {
    let adopting = step.action == Action::Adopt;
    match mark::judge(vm, installation) {
        Standing::Ours(mark) if mark.identity == step.identity => Ok(Some(mark)),
        Standing::Unfinished { identity, mark } if identity == step.identity => Ok(mark),
        Standing::Clone(mark) if adopting && mark.key == step.key => Ok(None),
        Standing::NoMark if adopting => Ok(None),
        Standing::NoMark => Err("its mark was removed".to_owned()),
        Standing::Ours(mark) => Err(format!("its mark names {} now, with another identity", mark.key)),
        Standing::Unfinished { .. } => Err("its mark says that it is being made as another VM".to_owned()),
        Standing::Foreign(other) => Err(format!("it belongs to installation {other}")),
        Standing::Clone(_) => Err("its mark was written for another VM".to_owned()),
        Standing::Unreadable(why) | Standing::Unknown(why) => Err(why),
    }
}

/// Everything the plan saw must still be so; what is not is named.
fn unchanged(seen: &Fingerprint, now: &Fingerprint) -> Result<(), String> {
    // Every field by name: a new one does not compile until someone decides how to tell of it.
    let Fingerprint { own_id: _, mark_generation, name, power, disks, nics, snapshots, cpus, memory } = now;
    let changed: Vec<&str> = [
        ("its mark", *mark_generation != seen.mark_generation),
        ("its name", *name != seen.name),
        ("its power", *power != seen.power),
        ("its disks", *disks != seen.disks),
        ("its NICs", *nics != seen.nics),
        ("its snapshots", *snapshots != seen.snapshots),
        ("its CPUs", *cpus != seen.cpus),
        ("its memory", *memory != seen.memory),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect();
    if changed.is_empty() { Ok(()) } else { Err(format!("{} changed since the plan", changed.join(", "))) }
}

/// The mark is the one the plan saw, or one that an earlier operation of this step wrote, or
/// this one has begun to write.
fn own_generation(step: &Step, operation: usize, seen: &Fingerprint, mark: Option<&Mark>) -> Result<(), String> {
    let now = mark.map(|mark| mark.generation);
    let mut own = step.operations.iter().take(operation + 1).filter_map(written).map(|mark| Some(mark.generation));
    if now == seen.mark_generation || own.any(|generation| generation == now) {
        Ok(())
    } else {
        Err("somebody else wrote its mark since the step began".to_owned())
    }
}

fn still_unprotected(mark: Option<&Mark>) -> Result<(), String> {
    match mark {
        Some(mark) if mark.protection.prevent_destroy => Err("preventDestroy stands in its mark now".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// A VM goes only when it is off, has no snapshots, and has exactly the disks that the plan saw and named; once its
/// destruction has begun, no others than those.
fn may_destroy(disks: &[DiskAt], seen: &Fingerprint, vm: &ObservedVm, begun: bool) -> Result<(), String> {
    let Some(config) = vm.readable() else { return Err("its configuration cannot be read now".to_owned()) };
    if config.power != PowerState::Stopped {
        return Err("it is not off".to_owned());
    }
    if config.snapshots {
        return Err("a snapshot exists".to_owned());
    }
    let now = fingerprint(vm).disks;
    let as_seen = if begun { now.iter().all(|disk| seen.disks.contains(disk)) } else { now == seen.disks };
    if !as_seen {
        return Err("its disks changed since the plan".to_owned());
    }
    for disk in &config.disks {
        if disk.shared {
            return Err(format!("its disk at {} is shared with another VM", disk.slot));
        }
        if !disks.iter().any(|at| is_at(at, disk)) {
            return Err(format!("the disk at {} is not one of those that may go", disk.slot));
        }
    }
    Ok(())
}

/// A disk's file is deleted only while it is the disk that the plan named, or was taken off to be deleted.
fn may_delete(change: &Change, config: &VmConfig, mark: Option<&Mark>) -> Result<(), String> {
    let at = match change {
        Change::DeleteDisk(at) | Change::DetachDisk(at) | Change::GrowDisk { disk: at, .. } => at,
        Change::Cpus(_)
        | Change::Memory(_)
        | Change::AddDisk(_)
        | Change::AttachDisk { .. }
        | Change::AddNic(_)
        | Change::RemoveNic(_)
        | Change::MoveNic { .. }
        | Change::ConnectNic { .. } => return Ok(()),
    };
    if config.snapshots {
        return Err(format!("disk {}: a snapshot exists", at.name));
    }
    match config.disks.iter().find(|disk| *disk.slot == *at.slot) {
        Some(disk) if disk.shared => Err(format!("disk {} is shared with another VM", at.name)),
        Some(disk) if !is_at(at, disk) => Err(format!("another disk is at {} now", at.slot)),
        None if matches!(change, Change::DeleteDisk(_)) && is_kept(&at.name, mark) => {
            Err(format!("disk {} was detached to be kept", at.name))
        }
        // Not there any more: an earlier attempt of this very operation took it off, and what it left is done by the
        // provider.
        Some(_) | None => Ok(()),
    }
}

fn is_kept(name: &str, mark: Option<&Mark>) -> bool {
    mark.and_then(|mark| mark.disks.get(name)).is_some_and(|disk| disk.file.is_some() && !disk.deleting)
}

/// Both must match when both are given.
fn is_at(at: &DiskAt, disk: &crate::model::ObservedDisk) -> bool {
    *disk.slot == *at.slot && (at.id.is_none() || disk.id.is_none() || at.id.as_deref() == disk.id.as_deref())
}
