//! VDIs: disks that live with or without a VM.

use std::sync::Arc;

use uuid::Uuid;

use super::{Turn, life};
use crate::lab::world::Id;
use crate::lab::xenserver::failure::{Failure, SR_BACKEND_FAILURE_79, SR_FULL, VDI_IN_USE, VDI_TOO_SMALL};
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::value::Value;

/// Messages that take time.
pub(super) fn perform(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    match turn.call.message {
        "create" => create(turn),
        "destroy" => destroy(turn),
        "resize" => resize(turn),
        _ => copy(turn),
    }
}

fn the_vdi(turn: &Turn<'_>) -> Result<Uuid, Failure> {
    match turn.object(0, Class::Vdi)? {
        Obj::Vdi(file) => Ok(file),
        _ => Err(Failure::field_type("vdi")),
    }
}

/// Is there so much room on an SR?
pub(super) fn room(turn: &Turn<'_>, sr: Id, size: u64) -> Result<(), Failure> {
    let free = turn.world.datastores.get(&sr).map_or(0, |sr| sr.capacity.saturating_sub(sr.used));
    if size > free { Err(Failure::new(SR_FULL, [size.to_string(), free.to_string()])) } else { Ok(()) }
}

fn create(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let args = turn.parameter(0).clone();
    let sr = args.get("SR").and_then(Value::text).ok_or_else(|| Failure::field_type("SR"))?;
    let Obj::Sr(sr) = turn.named(Class::Sr, sr)? else { return Err(Failure::field_type("SR")) };
    let size = args.get("virtual_size").and_then(Value::int).and_then(|size| u64::try_from(size).ok());
    let size = size.filter(|size| *size > 0).ok_or_else(|| Failure::field_type("virtual_size"))?;
    room(turn, sr, size)?;
    let name = args.get("name_label").and_then(Value::text).unwrap_or_default().to_owned();
    let file = make(turn, sr, size, &name);
    let obj = Obj::Vdi(file);
    // What its record says, and what a client may not set later, such as its type.
    life::keep_given(turn, obj, &args);
    for field in ["type", "name_label", "name_description", "read_only", "sharable"] {
        if let Some(value) = args.get(field) {
            turn.inner.tables.keep(obj, field, value.clone());
        }
    }
    Ok(turn.reference(&obj).into())
}

/// A file of a new disk; its id.
fn make(turn: &mut Turn<'_>, sr: Id, size: u64, name: &str) -> Uuid {
    let stem = if name.is_empty() { "vdi" } else { name };
    let path = turn.world.free_path(sr, stem, &[]);
    turn.world.make_file(path.clone(), sr, size, None);
    turn.world.bump();
    turn.world.files.get(&path).map_or_else(Uuid::nil, |file| file.uuid)
}

/// Devices that use a VDI, plugged ones first asked for.
fn users(turn: &Turn<'_>, file: Uuid) -> (Vec<Obj>, bool) {
    let view = turn.view();
    let Some((path, _)) = view.world.file_by_id(file) else { return (Vec::new(), false) };
    let users = view.users(path).to_vec();
    let plugged = users.iter().any(|user| match user {
        Obj::Vbd(vm, _) => view.world.vm(*vm).is_some_and(|vm| view.tables.plugged(user, vm)),
        _ => false,
    });
    (users, plugged)
}

fn in_use(turn: &Turn<'_>, file: Uuid, operation: &str) -> Result<(), Failure> {
    if users(turn, file).1 {
        return Err(Failure::new(VDI_IN_USE, [&*turn.reference(&Obj::Vdi(file)), operation]));
    }
    Ok(())
}

/// Refused while it is plugged into a running VM; grows only, as real SRs have it.
fn resize(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let file = the_vdi(turn)?;
    let size = u64::try_from(turn.int(1)?).map_err(|_| Failure::field_type("size"))?;
    in_use(turn, file, "resize")?;
    let Some((path, now)) = turn.world.file_by_id(file).map(|(path, now)| (path.clone(), now.clone())) else {
        return Ok(Value::void());
    };
    if size < now.capacity {
        return Err(Failure::new(SR_BACKEND_FAILURE_79, ["", "VDI Invalid size [opterr=shrinking not allowed]", ""]));
    }
    room(turn, now.datastore, size - now.capacity)?;
    turn.world.grow_file(&path, size);
    for user in users(turn, file).0 {
        let Obj::Vbd(vm, key) = user else { continue };
        turn.world.edit(vm, |vm| {
            vm.disks.iter_mut().filter(|disk| disk.key == key).for_each(|disk| disk.capacity = size);
        });
    }
    turn.touch(Obj::Vdi(file));
    Ok(Value::void())
}

/// Its VBDs go with it.
fn destroy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let file = the_vdi(turn)?;
    in_use(turn, file, "destroy")?;
    for user in users(turn, file).0 {
        let Obj::Vbd(vm, key) = user else { continue };
        turn.world.edit(vm, |vm| vm.disks.retain(|disk| disk.key != key));
    }
    let path = turn.world.file_by_id(file).map(|(path, _)| path.clone());
    if let Some(path) = path {
        turn.world.delete_file(&path);
    }
    turn.inner.tables.forget(&Obj::Vdi(file));
    turn.world.bump();
    Ok(Value::void())
}

/// `VDI.copy` to an SR or into a VDI; `VDI.clone` and `VDI.snapshot` beside the original.
fn copy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let file = the_vdi(turn)?;
    let from = turn.world.file_by_id(file).map(|(_, file)| file.clone());
    let Some(from) = from else { return Err(Failure::handle(Class::Vdi, "")) };
    let copying = turn.call.message == "copy";
    if let Some(Obj::Vdi(into)) = if copying { turn.object_or_none(3, Class::Vdi)? } else { None } {
        let there = turn.world.file_by_id(into).map_or(0, |(_, file)| file.capacity);
        if there < from.capacity {
            let words = [turn.reference(&Obj::Vdi(into)), from.capacity.to_string()];
            return Err(Failure::new(VDI_TOO_SMALL, words));
        }
        in_use(turn, into, "copy")?;
        copy_content(turn, file, into);
        turn.touch(Obj::Vdi(into));
        return Ok(turn.reference(&Obj::Vdi(into)).into());
    }
    let sr = match if copying { turn.object_or_none(1, Class::Sr)? } else { None } {
        Some(Obj::Sr(sr)) => sr,
        _ => from.datastore,
    };
    room(turn, sr, from.capacity)?;
    let made = make(turn, sr, from.capacity, "copy");
    turn.inner.tables.copy_kept(&Obj::Vdi(file), Obj::Vdi(made));
    copy_content(turn, file, made);
    Ok(turn.reference(&Obj::Vdi(made)).into())
}

fn copy_content(turn: &mut Turn<'_>, from: Uuid, to: Uuid) {
    if let Some(content) = turn.inner.tables.contents.get(&from).cloned() {
        turn.inner.tables.contents.insert(to, content);
    }
    let bootable = turn.world.file_by_id(from).is_some_and(|(_, file)| file.bootable);
    let path: Option<Arc<str>> = turn.world.file_by_id(to).map(|(path, _)| path.clone());
    if let Some(file) = path.and_then(|path| turn.world.files.get_mut(&path)) {
        file.bootable = bootable;
    }
}
