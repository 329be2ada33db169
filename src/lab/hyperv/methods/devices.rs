//! Processors, memory, controllers, drives and disks of a VM that is being changed. Rules: README, "Hot", "Needs off".

use std::sync::Arc;

use super::resources::Place;
use super::{invalid, part_of};
use crate::lab::hyperv::disks;
use crate::lab::hyperv::embedded::Embedded;
use crate::lab::hyperv::parts::{IDE, Part, SCSI, is_ide};
use crate::lab::hyperv::wql;
use crate::lab::world::refusal::DeviceFault;
use crate::lab::world::{Controller, ControllerKind, Disk, Drive, Firmware, Power, Refusal, Vm, Wmi, World};

/// SCSI controllers of a VM at most.
const MOST_CONTROLLERS: i32 = 4;
/// Slots of a SCSI controller.
const SCSI_SLOTS: i32 = 64;
const MOST_PROCESSORS: u32 = 240;

/// What Hyper-V alone keeps of the VM.
pub(super) fn facts(vm: &mut Vm) -> &mut Wmi {
    vm.wmi.get_or_insert_default()
}

pub(super) fn must_be_off(vm: &Vm) -> Result<(), Refusal> {
    if vm.power == Power::Off { Ok(()) } else { Err(Refusal::Power { wanted: Power::Off, is: vm.power }) }
}

/// Neither saved nor paused: then nothing can be changed.
pub(super) fn must_not_rest(vm: &Vm) -> Result<(), Refusal> {
    if vm.power == Power::Suspended { Err(Refusal::Power { wanted: Power::Off, is: vm.power }) } else { Ok(()) }
}

pub(super) fn device(why: DeviceFault) -> Refusal {
    Refusal::Device { index: 0, why }
}

pub(super) fn set_processors(vm: &mut Vm, settings: &Embedded) -> Result<(), Refusal> {
    if let Some(count) = settings.number::<u32>("VirtualQuantity").map_err(invalid)?
        && count != vm.cpus
    {
        must_be_off(vm)?;
        if count == 0 || count > MOST_PROCESSORS {
            return Err(invalid("VirtualQuantity"));
        }
        vm.cpus = count;
    }
    keep(vm, settings, "processor", &["VirtualQuantity"]);
    Ok(())
}

/// Keeps what is only shown again.
pub(super) fn keep(vm: &mut Vm, settings: &Embedded, part: &str, known: &[&str]) {
    for (property, values) in &settings.values {
        if *property != "InstanceID" && !known.contains(property) {
            facts(vm).kept.insert((part.into(), *property), values.clone());
        }
    }
}

/// Static memory changes while the guest takes part in it; anything else when the VM is off.
pub(super) fn set_memory(world: &World, vm: &mut Vm, settings: &Embedded) -> Result<(), Refusal> {
    let number = |name| settings.number::<u64>(name).map_err(invalid);
    let before = facts(vm).dynamic_memory;
    let dynamic = settings.flag("DynamicMemoryEnabled").map_err(invalid)?.unwrap_or(before.is_some());
    let memory = number("VirtualQuantity")?.unwrap_or(vm.memory_mib);
    if memory < 32 || !memory.is_multiple_of(2) || memory > 12_582_912 {
        return Err(invalid("VirtualQuantity"));
    }
    let least = number("Reservation")?.unwrap_or(before.map_or(memory, |(least, _)| least));
    let most = number("Limit")?.unwrap_or(before.map_or(memory, |(_, most)| most));
    if dynamic && !(least <= memory && memory <= most) {
        return Err(invalid("Reservation and Limit"));
    }
    let after = dynamic.then_some((least, most));
    if (memory, after) != (vm.memory_mib, before) && vm.power != Power::Off {
        if before.is_some() || dynamic || !vm.hot_add_memory || vm.power != Power::On {
            return Err(Refusal::Power { wanted: Power::Off, is: vm.power });
        }
        super::power::room(world, vm.host, memory.saturating_sub(vm.memory_mib))?;
    }
    vm.memory_mib = memory;
    facts(vm).dynamic_memory = after;
    keep(vm, settings, "memory", &["VirtualQuantity", "Reservation", "Limit", "DynamicMemoryEnabled"]);
    Ok(())
}

pub(super) fn add_controller(vm: &mut Vm, settings: &Embedded) -> Result<Part, Refusal> {
    must_be_off(vm)?;
    let bus = (0..MOST_CONTROLLERS).find(|bus| vm.controllers.iter().all(|each| each.key != SCSI + bus));
    let bus = bus.ok_or_else(|| device(DeviceFault::UnitTaken))?;
    let key = SCSI + bus;
    vm.controllers.push(Controller { key, bus, kind: ControllerKind::ParaVirtual });
    vm.controllers.sort_by_key(|each| each.key);
    chosen_id(vm, settings, key)?;
    Ok(Part::Controller(key))
}

/// `VirtualSystemIdentifiers` holds the GUID of a new device, if one is chosen.
pub(super) fn chosen_id(vm: &mut Vm, settings: &Embedded, key: i32) -> Result<(), Refusal> {
    let Some(text) = settings.get("VirtualSystemIdentifiers") else { return Ok(()) };
    let id = text.trim_matches(['{', '}']).parse().map_err(|_| invalid("VirtualSystemIdentifiers"))?;
    let ids = &mut facts(vm).ids;
    if ids.values().any(|known| *known == id) {
        return Err(invalid("VirtualSystemIdentifiers"));
    }
    ids.insert(key, id);
    Ok(())
}

/// The part a `Parent` path names.
pub(super) fn parent(vm: &Vm, settings: &Embedded) -> Result<Part, Refusal> {
    let path = settings.get("Parent").and_then(wql::path).ok_or_else(|| invalid("Parent"))?;
    let id = path.keys.iter().find(|(key, _)| key.eq_ignore_ascii_case("InstanceID")).map(|(_, value)| value.as_str());
    part_of(vm, id.unwrap_or_default()).map_err(|_| invalid("Parent"))
}

pub(super) fn add_drive(vm: &mut Vm, settings: &Embedded, dvd: bool) -> Result<Part, Refusal> {
    must_not_rest(vm)?;
    let Part::Controller(controller) = parent(vm, settings)? else { return Err(invalid("Parent")) };
    let unit: i32 = settings.number("AddressOnParent").map_err(invalid)?.ok_or_else(|| invalid("AddressOnParent"))?;
    let ide = is_ide(controller);
    if ide || (dvd && vm.firmware == Firmware::Bios) {
        must_be_off(vm)?;
    }
    // Generation 1 takes discs on IDE alone (SEQUENCES.md, "DVD with ISO").
    if dvd && !ide && vm.firmware == Firmware::Bios {
        return Err(device(DeviceFault::NoController));
    }
    if !(0..if ide { 2 } else { SCSI_SLOTS }).contains(&unit) || slot_taken(vm, controller, unit) {
        return Err(device(DeviceFault::UnitTaken));
    }
    facts(vm).drives.push(Drive { controller, unit, dvd, medium: None });
    Ok(Part::Drive(controller, unit))
}

fn slot_taken(vm: &Vm, controller: i32, unit: i32) -> bool {
    let drives = vm.wmi.iter().flat_map(|wmi| &wmi.drives);
    vm.disks.iter().any(|disk| (disk.controller, disk.unit) == (controller, unit))
        || drives.into_iter().any(|drive| (drive.controller, drive.unit) == (controller, unit))
}

pub(super) fn add_medium(place: &Place<'_>, vm: &mut Vm, settings: &Embedded) -> Result<Part, Refusal> {
    must_not_rest(vm)?;
    let Part::Drive(controller, unit) = parent(vm, settings)? else { return Err(invalid("Parent")) };
    let file = image_file(place.world, settings)?;
    let wmi = facts(vm);
    let at = wmi.drives.iter().position(|drive| (drive.controller, drive.unit) == (controller, unit));
    let drive = at.and_then(|at| wmi.drives.get_mut(at)).filter(|drive| drive.medium.is_none());
    let drive = drive.ok_or_else(|| device(DeviceFault::UnitTaken))?;
    if drive.dvd {
        drive.medium = Some(file);
        return Ok(Part::Medium(controller, unit));
    }
    if is_ide(controller) {
        must_be_off(vm)?;
    }
    let drives = &mut facts(vm).drives;
    drives.retain(|drive| (drive.controller, drive.unit) != (controller, unit));
    attach(place.world, vm, (controller, unit), file)?;
    Ok(Part::Medium(controller, unit))
}

fn image_file(world: &World, settings: &Embedded) -> Result<Arc<str>, Refusal> {
    let path = settings.get("HostResource").ok_or_else(|| invalid("HostResource"))?;
    disks::find(world, path).ok_or_else(|| Refusal::NoFile(path.to_owned()))
}

fn attach(world: &World, vm: &mut Vm, (controller, unit): (i32, i32), file: Arc<str>) -> Result<(), Refusal> {
    if vm.disks.iter().any(|disk| disk.file == file) || (vm.power == Power::On && disks::in_use(world, &file)) {
        return Err(Refusal::FileLocked(file.to_string()));
    }
    let capacity = world.files.get(&file).map_or(0, |found| found.capacity);
    let key = if is_ide(controller) { 3000 + (controller - IDE) * 2 } else { 2000 + (controller - SCSI) * SCSI_SLOTS };
    let (thin, shared, mode) = (true, false, "persistent".into());
    vm.disks.push(Disk { key: key + unit, controller, unit, file, capacity, thin, shared, mode });
    vm.disks.sort_by_key(|disk| (disk.controller, disk.unit));
    Ok(())
}

/// Puts another file into a drive.
pub(super) fn set_medium(place: &Place<'_>, vm: &mut Vm, settings: &Embedded, slot: (i32, i32)) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    if settings.get("HostResource").is_none() {
        return Ok(());
    }
    let file = image_file(place.world, settings)?;
    if let Some(drive) = facts(vm).drives.iter_mut().find(|drive| (drive.controller, drive.unit) == slot) {
        drive.medium = Some(file);
        return Ok(());
    }
    must_be_off(vm)?;
    if !vm.snapshots.is_empty() {
        return Err(Refusal::Unsupported);
    }
    vm.disks.retain(|disk| (disk.controller, disk.unit) != slot);
    attach(place.world, vm, slot, file)
}

pub(super) fn remove_medium(vm: &mut Vm, slot: (i32, i32)) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    let wmi = facts(vm);
    if let Some(drive) = wmi.drives.iter_mut().find(|drive| (drive.controller, drive.unit) == slot) {
        drive.medium = None;
        return Ok(());
    }
    if is_ide(slot.0) {
        must_be_off(vm)?;
    }
    vm.disks.retain(|disk| (disk.controller, disk.unit) != slot);
    facts(vm).drives.push(Drive { controller: slot.0, unit: slot.1, dvd: false, medium: None });
    Ok(())
}

pub(super) fn remove_drive(vm: &mut Vm, slot: (i32, i32)) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    if is_ide(slot.0) {
        must_be_off(vm)?;
    }
    vm.disks.retain(|disk| (disk.controller, disk.unit) != slot);
    facts(vm).drives.retain(|drive| (drive.controller, drive.unit) != slot);
    Ok(())
}

pub(super) fn remove_controller(vm: &mut Vm, key: i32) -> Result<(), Refusal> {
    must_be_off(vm)?;
    let drives = vm.wmi.iter().flat_map(|wmi| &wmi.drives);
    let used = drives.into_iter().any(|drive| drive.controller == key)
        || vm.disks.iter().any(|disk| disk.controller == key)
        || is_ide(key);
    if used {
        return Err(Refusal::Unsupported);
    }
    vm.controllers.retain(|each| each.key != key);
    facts(vm).ids.remove(&key);
    Ok(())
}
