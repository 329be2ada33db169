//! VBDs: a VDI (or a disc) in a slot of a VM.

use std::sync::Arc;

use uuid::Uuid;

use super::{Turn, life};
use crate::lab::world::{Disk, Id, Power, Vm, World};
use crate::lab::xenserver::failure::{
    DEVICE_ALREADY_ATTACHED, DEVICE_ALREADY_DETACHED, DEVICE_ALREADY_EXISTS, Failure, INVALID_DEVICE, VBD_IS_EMPTY,
    VBD_NOT_EMPTY, VBD_NOT_REMOVABLE_MEDIA, VDI_IN_USE, VM_MISSING_PV_DRIVERS,
};
use crate::lab::xenserver::operations;
use crate::lab::xenserver::records::View;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tables::Drive;
use crate::lab::xenserver::value::{NULL, Value};

/// Slots of a VM.
const SLOTS: i32 = 16;

/// Slots of a VM that something is in.
pub(super) fn taken(view: &View<'_>, vm: &Vm) -> Vec<i32> {
    let disks = vm.disks.iter().map(|disk| disk.unit);
    disks.chain(view.tables.drives_of(vm.id).map(|(_, drive)| drive.userdevice)).collect()
}

/// Slots that are free.
pub(super) fn free(view: &View<'_>, vm: &Vm) -> Vec<i32> {
    let taken = taken(view, vm);
    (0..SLOTS).filter(|slot| !taken.contains(slot)).collect()
}

/// Puts a file into a slot of a VM.
pub(super) fn attach(world: &mut World, vm: Id, (key, unit): (i32, i32), file: Arc<str>) {
    let capacity = world.files.get(&file).map_or(0, |file| file.capacity);
    let mode: Arc<str> = "persistent".into();
    world.edit(vm, |vm| {
        vm.disks.push(Disk { key, controller: 0, unit, file, capacity, thin: true, shared: false, mode });
        vm.disks.sort_by_key(|disk| disk.unit);
    });
}

pub(super) fn create(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let args = turn.parameter(0).clone();
    let text = |field: &'static str| args.get(field).and_then(Value::text).ok_or_else(|| Failure::field_type(field));
    let Obj::Vm(id) = turn.named(Class::Vm, text("VM")?)? else { return Err(Failure::field_type("VM")) };
    let view = turn.view();
    let vm = view.world.vm(id).ok_or_else(|| Failure::not_allowed("a snapshot's devices stay as they are"))?;
    let disc = args.get("type").and_then(Value::text) == Some("CD");
    let empty = args.get("empty").and_then(Value::bool).unwrap_or_default();
    let file = match text("VDI").unwrap_or(NULL) {
        "" | NULL if empty && disc => None,
        "" | NULL => return Err(Failure::handle(Class::Vdi, NULL)),
        reference => match turn.named(Class::Vdi, reference)? {
            Obj::Vdi(file) => Some(file),
            _ => return Err(Failure::field_type("VDI")),
        },
    };
    let slots = free(&view, vm);
    let slot = match text("userdevice")? {
        "autodetect" => slots.first().copied().ok_or_else(|| Failure::new(INVALID_DEVICE, ["autodetect"]))?,
        given => {
            let slot = given.parse::<i32>().ok().filter(|slot| (0..SLOTS).contains(slot));
            let slot = slot.ok_or_else(|| Failure::new(INVALID_DEVICE, [given]))?;
            if !slots.contains(&slot) {
                return Err(Failure::new(DEVICE_ALREADY_EXISTS, [given]));
            }
            slot
        }
    };
    let key = turn.inner.tables.fresh_key();
    let obj = Obj::Vbd(id, key);
    // A device of a running VM is not plugged by being made.
    if let Some(vm) = turn.world.vm(id) {
        turn.inner.tables.set_plugged(obj, vm, false);
    }
    put(turn, id, (key, slot), (file, disc))?;
    life::keep_given(turn, obj, &args);
    Ok(turn.reference(&obj).into())
}

fn put(
    turn: &mut Turn<'_>,
    vm: Id,
    (key, slot): (i32, i32),
    (file, disc): (Option<Uuid>, bool),
) -> Result<(), Failure> {
    match file {
        Some(file) if !disc => {
            let path = turn.world.file_by_id(file).map(|(path, _)| path.clone());
            let path = path.ok_or_else(|| Failure::handle(Class::Vdi, &turn.reference(&Obj::Vdi(file))))?;
            attach(turn.world, vm, (key, slot), path);
        }
        medium => {
            turn.inner.tables.drives.insert((vm, key), Drive { userdevice: slot, medium });
            turn.world.edit(vm, |_| {});
        }
    }
    Ok(())
}

fn the_vbd(turn: &Turn<'_>) -> Result<(Obj, Id, i32), Failure> {
    match turn.object(0, Class::Vbd)? {
        obj @ Obj::Vbd(vm, key) => Ok((obj, vm, key)),
        _ => Err(Failure::field_type("self")),
    }
}

pub(super) fn destroy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (obj, id, key) = the_vbd(turn)?;
    let vm = turn.world.vm(id).ok_or_else(|| Failure::not_allowed("a snapshot's devices stay as they are"))?;
    if turn.inner.tables.plugged(&obj, vm) {
        let (vbd, vm) = (turn.reference(&obj), turn.reference(&Obj::Vm(id)));
        return Err(Failure::not_allowed(&format!("VBD '{vbd}' still attached to '{vm}'")));
    }
    turn.inner.tables.drives.remove(&(id, key));
    turn.inner.tables.forget(&obj);
    turn.world.edit(id, |vm| vm.disks.retain(|disk| disk.key != key));
    Ok(Value::void())
}

/// Of a running VM whose guest has drivers for it.
pub(super) fn hot(turn: &Turn<'_>, vm: &Vm) -> Result<(), Failure> {
    let reference = turn.reference(&Obj::Vm(vm.id));
    if vm.power != Power::On {
        return Err(operations::bad_power(&reference, &[Power::On], vm.power));
    }
    if !vm.guest.tools_installed {
        return Err(Failure::new(VM_MISSING_PV_DRIVERS, [reference]));
    }
    Ok(())
}

/// `VBD.plug` and `VBD.unplug`.
pub(super) fn plug(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (obj, id, key) = the_vbd(turn)?;
    let vm = turn.world.vm(id).ok_or_else(|| Failure::not_allowed("a snapshot's devices stay as they are"))?.clone();
    hot(turn, &vm)?;
    let plugged = turn.inner.tables.plugged(&obj, &vm);
    let plug = turn.call.message == "plug";
    if plug && plugged {
        return Err(Failure::new(DEVICE_ALREADY_ATTACHED, [turn.reference(&obj)]));
    }
    if !plug && !plugged {
        return Err(Failure::new(DEVICE_ALREADY_DETACHED, [turn.reference(&obj)]));
    }
    if let Some(disk) = vm.disk(key).filter(|_| plug)
        && used_elsewhere(turn, &obj, &disk.file)
    {
        let file = turn.world.files.get(&disk.file).map(|file| turn.reference(&Obj::Vdi(file.uuid)));
        return Err(Failure::new(VDI_IN_USE, [file.unwrap_or_default(), "attach".to_owned()]));
    }
    turn.inner.tables.set_plugged(obj, &vm, plug);
    turn.world.edit_runtime(id, |_| {});
    Ok(Value::void())
}

fn used_elsewhere(turn: &Turn<'_>, own: &Obj, path: &str) -> bool {
    let view = turn.view();
    view.users(path).iter().filter(|user| *user != own).any(|user| match user {
        Obj::Vbd(vm, _) => view.world.vm(*vm).is_some_and(|vm| view.tables.plugged(user, vm)),
        _ => false,
    })
}

/// `VBD.insert` and `VBD.eject`.
pub(super) fn change_medium(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (obj, vm, key) = the_vbd(turn)?;
    let reference = turn.reference(&obj);
    let Some(drive) = turn.inner.tables.drives.get(&(vm, key)).copied() else {
        return Err(Failure::new(VBD_NOT_REMOVABLE_MEDIA, [reference]));
    };
    let medium = if turn.call.message == "insert" {
        if drive.medium.is_some() {
            return Err(Failure::new(VBD_NOT_EMPTY, [reference]));
        }
        match turn.object(1, Class::Vdi)? {
            Obj::Vdi(file) => Some(file),
            _ => None,
        }
    } else {
        if drive.medium.is_none() {
            return Err(Failure::new(VBD_IS_EMPTY, [reference]));
        }
        None
    };
    turn.inner.tables.drives.insert((vm, key), Drive { medium, ..drive });
    turn.world.edit_runtime(vm, |_| {});
    Ok(Value::void())
}
