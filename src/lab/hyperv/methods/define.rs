//! VMs made and removed, and what concerns a VM as a whole: its name, its notes, how it starts.

use super::{Deed, Input, Outcome, bad_text, change, invalid, queue, vm_here, vm_of};
use crate::lab::hyperv::embedded::{self, Embedded};
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::operations::Turn;
use crate::lab::hyperv::parts::Part;
use crate::lab::hyperv::{cim, disks};
use crate::lab::world::{Firmware, Id, Power, Refusal, Vm, Wmi, Work, World};

/// What a new VM has when nothing is said.
const MEMORY_MIB: u64 = 1024;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

pub(super) fn define(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let settings = system_settings(input)?;
    if !input.texts("ResourceSettings").is_empty() || !input.references("ReferenceConfiguration").is_empty() {
        // Processor and memory come by themselves, the rest is added afterwards (SEQUENCES.md, "Create gen 1").
        return Ok(Outcome::returns(1));
    }
    let host = turn.node.host.id;
    let perform = Box::new(move |world: &mut World| new_vm(world, host, &settings).map(Some));
    Ok(queue(turn, Deed { method: "DefineSystem", vm: None, storage: false, long: false, perform }))
}

fn system_settings(input: &Input) -> Result<Embedded, Fault> {
    let settings = embedded::read(input.text("SystemSettings")?).map_err(bad_text)?;
    if settings.is("Msvm_VirtualSystemSettingData") {
        Ok(settings)
    } else {
        Err(Fault::parameter("SystemSettings is not Msvm_VirtualSystemSettingData. "))
    }
}

fn new_vm(world: &mut World, host: Id, settings: &Embedded) -> Result<Id, Refusal> {
    let name = settings.get("ElementName").unwrap_or("New Virtual Machine").to_owned();
    check_name(&name)?;
    let uefi = match settings.get("VirtualSystemSubType") {
        None | Some("Microsoft:Hyper-V:SubType:1") => false,
        Some("Microsoft:Hyper-V:SubType:2") => true,
        Some(_) => return Err(invalid("VirtualSystemSubType")),
    };
    let root = settings.get("ConfigurationDataRoot").unwrap_or(cim::USER_DATA_ROOT).trim_end_matches('\\').to_owned();
    let home = disks::volume_of(world, &root).map(|volume| volume.id);
    let home = match home {
        Some(home) => home,
        None if root.starts_with("C:") => Id(0),
        None => return Err(Refusal::NoFile(root)),
    };
    let folder = world.datacenters.values().next().map_or(Id(0), |at| at.vm_folder);
    let mut vm = world.blank(&name, folder, home, host);
    vm.firmware = if uefi { Firmware::Uefi } else { Firmware::Bios };
    vm.memory_mib = MEMORY_MIB;
    vm.memory_at_boot_mib = MEMORY_MIB;
    vm.wmi = Some(Box::new(Wmi { root: root.into(), ..Wmi::default() }));
    apply(&mut vm, settings)?;
    Ok(world.insert(vm))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME { Err(invalid("ElementName")) } else { Ok(()) }
}

/// Properties of the settings that are more than kept.
fn apply(vm: &mut Vm, settings: &Embedded) -> Result<(), Refusal> {
    let mut wmi = vm.wmi.take().unwrap_or_default();
    for (property, values) in &settings.values {
        match *property {
            "InstanceID"
            | "VirtualSystemIdentifier"
            | "VirtualSystemType"
            | "VirtualSystemSubType"
            | "ElementName"
            | "ConfigurationDataRoot"
            | "CreationTime"
            | "Version"
            | "Caption"
            | "Description"
            | "Parent"
            | "ConfigurationID"
            | "ConfigurationFile" => {}
            // One element in practice (SEQUENCES.md, "Notes, rename").
            "Notes" => vm.annotation = values.join("\n").into(),
            "BIOSGUID" => {
                let text = values.first().map_or("", String::as_str);
                vm.bios_uuid = text.trim_matches(['{', '}']).parse().map_err(|_| invalid("BIOSGUID"))?;
            }
            other => drop(wmi.kept.insert(("system".into(), other), values.clone())),
        }
    }
    vm.wmi = Some(wmi);
    Ok(())
}

pub(super) fn modify(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let settings = system_settings(input)?;
    let id = settings.get("InstanceID").unwrap_or_default();
    let Some(vm) = vm_here(turn, id) else { return Err(Fault::not_found()) };
    let perform = Box::new(move |world: &mut World| {
        change(world, vm, |_, draft| change_settings(draft, &settings))?;
        Ok(None)
    });
    Ok(queue(turn, Deed { method: "ModifySystemSettings", vm: Some(vm), storage: false, long: false, perform }))
}

/// What is fixed while a VM runs (README, "Needs off").
const NEEDS_OFF: [&str; 10] = [
    "SecureBootEnabled",
    "SecureBootTemplateId",
    "BootOrder",
    "BootSourceOrder",
    "BIOSGUID",
    "BIOSSerialNumber",
    "BIOSNumLock",
    "ChassisSerialNumber",
    "ChassisAssetTag",
    "VirtualNumaEnabled",
];

fn change_settings(vm: &mut Vm, settings: &Embedded) -> Result<(), Refusal> {
    super::part_of(vm, settings.get("InstanceID").unwrap_or_default())
        .and_then(|part| if part == Part::System { Ok(()) } else { Err(invalid("InstanceID")) })?;
    let changes_type = settings.get("VirtualSystemSubType").is_some_and(|kind| {
        kind != if vm.firmware == Firmware::Uefi {
            "Microsoft:Hyper-V:SubType:2"
        } else {
            "Microsoft:Hyper-V:SubType:1"
        }
    });
    if changes_type {
        return Err(invalid("VirtualSystemSubType"));
    }
    let needs_off = settings.values.iter().any(|(property, _)| NEEDS_OFF.contains(property));
    if needs_off && vm.power != Power::Off {
        return Err(Refusal::Power { wanted: Power::Off, is: vm.power });
    }
    if let Some(name) = settings.get("ElementName") {
        check_name(name)?;
        vm.name = name.into();
    }
    apply(vm, settings)
}

pub(super) fn destroy(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let vm = vm_of(turn, input.reference("AffectedSystem")?)?;
    let perform = Box::new(move |world: &mut World| {
        let found = world.vm(vm).ok_or(Refusal::Gone(vm))?;
        if found.power == Power::On || found.wmi.as_ref().is_some_and(|wmi| wmi.paused && found.power != Power::Off) {
            return Err(Refusal::Power { wanted: Power::Off, is: found.power });
        }
        // The layers of its checkpoints are joined first; the disks stay on the host.
        if !found.snapshots.is_empty() {
            world.perform(Work::RemoveSnapshot { vm, snapshot: None })?;
        }
        world.remove(vm, false);
        Ok(None)
    });
    Ok(queue(turn, Deed { method: "DestroySystem", vm: Some(vm), storage: false, long: false, perform }))
}
