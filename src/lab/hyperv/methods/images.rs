//! Virtual disks: made, copied, grown, looked at.

use std::sync::Arc;

use super::{Deed, Input, Outcome, bad_text, invalid, queue};
use crate::lab::hyperv::cim;
use crate::lab::hyperv::disks;
use crate::lab::hyperv::embedded::{self, Embedded};
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::operations::{Turn, unwritable};
use crate::lab::world::{Id, Power, Refusal, World};

const SMALLEST: u64 = 3 << 20;
const LARGEST: u64 = 64 << 40;
/// File not found.
const NO_FILE: u32 = 32779;

fn disk_settings(input: &Input) -> Result<Embedded, Fault> {
    let settings = embedded::read(input.text("VirtualDiskSettingData")?).map_err(bad_text)?;
    if settings.is("Msvm_VirtualHardDiskSettingData") {
        Ok(settings)
    } else {
        Err(Fault::parameter("VirtualDiskSettingData is not Msvm_VirtualHardDiskSettingData. "))
    }
}

fn storage(method: &'static str, long: bool, perform: Box<super::Perform<'static>>) -> Deed<'static> {
    Deed { method, vm: None, storage: true, long, perform }
}

pub(super) fn create(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let settings = disk_settings(input)?;
    let perform = Box::new(move |world: &mut World| new_disk(world, &settings).map(|()| None));
    Ok(queue(turn, storage("CreateVirtualHardDisk", false, perform)))
}

fn new_disk(world: &mut World, settings: &Embedded) -> Result<(), Refusal> {
    let (path, volume) = target(world, settings)?;
    let wanted = settings.number::<u64>("MaxInternalSize").map_err(invalid)?;
    let (capacity, parent) = match settings.get("Type") {
        Some("2" | "3") => (wanted.ok_or_else(|| invalid("MaxInternalSize"))?, None),
        Some("4") => {
            let parent = settings.get("ParentPath").ok_or_else(|| invalid("ParentPath"))?;
            let parent = disks::find(world, parent).ok_or_else(|| Refusal::NoFile(parent.to_owned()))?;
            let least = world.files.get(&parent).map_or(0, |file| file.capacity);
            // A child may be larger than its parent, never smaller.
            let capacity = wanted.filter(|wanted| *wanted > 0).unwrap_or(least);
            if capacity < least {
                return Err(invalid("MaxInternalSize"));
            }
            (capacity, Some(parent))
        }
        _ => return Err(invalid("Type")),
    };
    if !(SMALLEST..=LARGEST).contains(&capacity) {
        return Err(invalid("MaxInternalSize"));
    }
    if parent.is_none() {
        has_room(world, volume, capacity)?;
    }
    world.make_file(path, volume, capacity, parent);
    world.bump();
    Ok(())
}

/// The path of a file to be made, and its volume: it must be free and in a folder that is there.
fn target(world: &World, settings: &Embedded) -> Result<(Arc<str>, Id), Refusal> {
    let path = settings.get("Path").ok_or_else(|| invalid("Path"))?;
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    // 3 VHDX; the extension must say the same (SEQUENCES.md, "VHDX blank").
    if settings.get("Format") != Some("3") || !extension.eq_ignore_ascii_case("vhdx") {
        return Err(invalid("Format"));
    }
    let volume = free_place(world, path)?;
    Ok((path.into(), volume))
}

/// The volume of a path where a file can be made.
pub(super) fn free_place(world: &World, path: &str) -> Result<Id, Refusal> {
    let volume = disks::volume_of(world, path).map(|volume| volume.id);
    let volume = volume.filter(|_| disks::has_folder(world, path)).ok_or_else(|| Refusal::NoFile(path.to_owned()))?;
    if disks::find(world, path).is_some() {
        return Err(Refusal::FileExists(path.to_owned()));
    }
    Ok(volume)
}

pub(super) fn has_room(world: &World, volume: Id, bytes: u64) -> Result<(), Refusal> {
    let free = world.datastores.get(&volume).map_or(0, |volume| volume.capacity.saturating_sub(volume.used));
    if bytes > free { Err(Refusal::NoRoom(volume)) } else { Ok(()) }
}

pub(super) fn convert(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let settings = disk_settings(input)?;
    let source = input.text("SourcePath")?.to_owned();
    let perform = Box::new(move |world: &mut World| {
        let (path, volume) = target(world, &settings)?;
        if !matches!(settings.get("Type"), Some("2" | "3")) || settings.get("ParentPath").is_some() {
            return Err(invalid("Type"));
        }
        copy(world, &source, &path, volume).map(|()| None)
    });
    Ok(queue(turn, storage("ConvertVirtualHardDisk", true, perform)))
}

/// Copies what a disk holds, with all its layers, to one flat file.
pub(super) fn copy(world: &mut World, source: &str, path: &Arc<str>, volume: Id) -> Result<(), Refusal> {
    let source = disks::find(world, source).ok_or_else(|| Refusal::NoFile(source.to_owned()))?;
    if disks::in_use(world, &source) {
        return Err(Refusal::FileLocked(source.to_string()));
    }
    let file = world.files.get(&source).cloned().ok_or_else(|| Refusal::NoFile(source.to_string()))?;
    has_room(world, volume, file.capacity)?;
    world.make_file(path.clone(), volume, file.capacity, None);
    if let Some(made) = world.files.get_mut(path) {
        made.bootable = file.bootable;
    }
    world.bump();
    Ok(())
}

pub(super) fn resize(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let path = input.text("Path")?.to_owned();
    let size: u64 = input
        .text("MaxInternalSize")?
        .trim()
        .parse()
        .map_err(|_| Fault::parameter("MaxInternalSize is no number. "))?;
    let perform = Box::new(move |world: &mut World| grow(world, &path, size).map(|()| None));
    Ok(queue(turn, storage("ResizeVirtualHardDisk", false, perform)))
}

fn grow(world: &mut World, path: &str, size: u64) -> Result<(), Refusal> {
    let path = disks::find(world, path).ok_or_else(|| Refusal::NoFile(path.to_owned()))?;
    let file = world.files.get(&path).ok_or_else(|| Refusal::NoFile(path.to_string()))?;
    let (volume, now) = (file.datastore, file.capacity);
    if size < now || size > LARGEST {
        return Err(invalid("MaxInternalSize"));
    }
    // A layer of a checkpoint, or what another is a child of, cannot be resized (README, "A checkpoint").
    if path.rsplit_once('.').is_some_and(|(_, extension)| extension == "avhdx") || world.children_of(&path) > 0 {
        return Err(Refusal::FileLocked(path.to_string()));
    }
    has_room(world, volume, size - now)?;
    let users: Vec<Id> =
        world.vms().filter(|vm| vm.disks.iter().any(|disk| disk.file == path)).map(|vm| vm.id).collect();
    for id in &users {
        let Some(vm) = world.vm(*id) else { continue };
        // Hot on SCSI alone (README, "Hot").
        let ide = vm.disks.iter().any(|disk| disk.file == path && crate::lab::hyperv::parts::is_ide(disk.controller));
        if vm.power == Power::Suspended || (vm.power == Power::On && ide) {
            return Err(Refusal::FileLocked(path.to_string()));
        }
    }
    world.grow_file(&path, size);
    for id in users {
        world.edit(id, |vm| {
            vm.disks.iter_mut().filter(|disk| disk.file == path).for_each(|disk| disk.capacity = size);
        });
    }
    world.bump();
    Ok(())
}

pub(super) fn set(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let settings = disk_settings(input)?;
    let perform = Box::new(move |world: &mut World| {
        let path = settings.get("Path").ok_or_else(|| invalid("Path"))?;
        let path = disks::find(world, path).ok_or_else(|| Refusal::NoFile(path.to_owned()))?;
        if disks::in_use(world, &path) {
            return Err(Refusal::FileLocked(path.to_string()));
        }
        let id = settings.get("VirtualDiskId").map(|text| text.trim_matches(['{', '}']).parse()).transpose();
        let id = id.map_err(|_| invalid("VirtualDiskId"))?;
        if let (Some(id), Some(file)) = (id, world.files.get_mut(&path)) {
            file.uuid = id;
        }
        world.bump();
        Ok(None)
    });
    Ok(queue(turn, storage("SetVirtualHardDiskSettingData", false, perform)))
}

pub(super) fn look(turn: &Turn<'_>, method: &str, input: &Input) -> Result<Outcome, Fault> {
    let Some(path) = disks::find(turn.world, input.text("Path")?) else { return Ok(Outcome::returns(NO_FILE)) };
    let Some(file) = turn.world.files.get(&path) else { return Ok(Outcome::returns(NO_FILE)) };
    if let Some(parent) = &file.parent
        && !turn.world.files.contains_key(parent)
    {
        return Ok(Outcome::returns(NO_FILE));
    }
    let written =
        |instance: crate::lab::hyperv::instance::Instance| instance.embedded().map_err(|error| unwritable(&error));
    let outcome = Outcome::returns(super::DONE);
    Ok(match method {
        "GetVirtualHardDiskSettingData" => outcome.with("SettingData", written(cim::disk_settings(&path, file))?),
        "GetVirtualHardDiskState" => outcome.with("State", written(cim::disk_state(turn.world, &path, file))?),
        _ => outcome,
    })
}
