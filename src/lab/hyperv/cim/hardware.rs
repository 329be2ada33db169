//! Processors, memory, controllers, drives and what is in them.

use super::system::keep;
use super::{View, host};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::{IDE, Owner, Part, controllers, device_id, is_ide, path, upper};

/// Resource sub-types (SEQUENCES.md, "Common").
pub(super) const SCSI_TYPE: &str = "Microsoft:Hyper-V:Synthetic SCSI Controller";
pub(super) const IDE_TYPE: &str = "Microsoft:Hyper-V:Emulated IDE Controller";
pub(super) const DISK_DRIVE: &str = "Microsoft:Hyper-V:Synthetic Disk Drive";
pub(super) const DVD_DRIVE: &str = "Microsoft:Hyper-V:Synthetic DVD Drive";
pub(super) const DISK: &str = "Microsoft:Hyper-V:Virtual Hard Disk";
pub(super) const DISC: &str = "Microsoft:Hyper-V:Virtual CD/DVD Disk";

pub(super) fn processors(view: &View<'_>) -> Vec<Instance> {
    let mut all: Vec<Instance> = view.owners().iter().map(processor).collect();
    all.extend(host::definitions(view, "Msvm_ProcessorSettingData"));
    all
}

fn processor(owner: &Owner<'_>) -> Instance {
    let mut data = Instance::of("Msvm_ProcessorSettingData");
    data.all(&[
        ("Caption", "Processor"),
        ("Description", "Settings for Microsoft Virtual Processor."),
        ("ElementName", "Processor"),
        ("ResourceType", "3"),
        ("ResourceSubType", "Microsoft:Hyper-V:Processor"),
        ("AllocationUnits", "percent / 1000"),
        ("VirtualQuantityUnits", "count"),
        ("Reservation", "0"),
        ("Limit", "100000"),
        ("Weight", "100"),
        ("AutomaticAllocation", "true"),
        ("AutomaticDeallocation", "true"),
        ("LimitCPUID", "false"),
        ("LimitProcessorFeatures", "false"),
        ("EnableHostResourceProtection", "false"),
        ("ExposeVirtualizationExtensions", "false"),
        ("HideHypervisorPresent", "false"),
        ("HwThreadsPerCore", "0"),
        ("MaxNumaNodesPerSocket", "1"),
        ("MaxProcessorsPerNumaNode", "16"),
    ]);
    data.set("InstanceID", owner.id(Part::Processor)).set("VirtualQuantity", u64::from(owner.vm.cpus));
    keep(&mut data, owner, "processor");
    data
}

pub(super) fn memories(view: &View<'_>) -> Vec<Instance> {
    let mut all: Vec<Instance> = view.owners().iter().map(memory).collect();
    all.extend(host::definitions(view, "Msvm_MemorySettingData"));
    all
}

fn memory(owner: &Owner<'_>) -> Instance {
    let mut data = Instance::of("Msvm_MemorySettingData");
    data.all(&[
        ("Caption", "Memory"),
        ("Description", "Settings for Microsoft Virtual Machine Memory."),
        ("ElementName", "Memory"),
        ("ResourceType", "4"),
        ("ResourceSubType", "Microsoft:Hyper-V:Memory"),
        ("AllocationUnits", "byte * 2^20"),
        ("VirtualQuantityUnits", "byte * 2^20"),
        ("Weight", "5000"),
        ("AutomaticAllocation", "true"),
        ("AutomaticDeallocation", "true"),
        ("IsVirtualized", "true"),
        ("TargetMemoryBuffer", "20"),
        ("SwapFilesInUse", "false"),
        ("HugePagesEnabled", "false"),
    ]);
    let vm = owner.vm;
    let dynamic = vm.wmi.as_ref().and_then(|wmi| wmi.dynamic_memory);
    let (least, most) = dynamic.unwrap_or((vm.memory_mib, vm.memory_mib));
    data.set("InstanceID", owner.id(Part::Memory)).set("VirtualQuantity", vm.memory_mib);
    data.set("Reservation", least).set("Limit", most).set("DynamicMemoryEnabled", dynamic.is_some());
    keep(&mut data, owner, "memory");
    data
}

pub(super) fn allocations(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in &view.owners() {
        all.extend(controllers(owner.vm).into_iter().map(|key| controller(owner, key)));
        for part in owner.parts() {
            if let Part::Drive(key, unit) = part {
                all.push(drive(view, owner, key, unit));
            }
        }
    }
    all.extend(host::definitions(view, "Msvm_ResourceAllocationSettingData"));
    all
}

fn controller(owner: &Owner<'_>, key: i32) -> Instance {
    let mut data = Instance::of("Msvm_ResourceAllocationSettingData");
    data.set("InstanceID", owner.id(Part::Controller(key)));
    data.all(&[("VirtualQuantityUnits", "count"), ("AutomaticAllocation", "true"), ("AutomaticDeallocation", "true")]);
    if is_ide(key) {
        // Only IDE controllers have an address (SEQUENCES.md, "Inventory: devices").
        data.all(&[("ResourceType", "5"), ("ResourceSubType", IDE_TYPE), ("Caption", "IDE Controller")]);
        data.set("Address", (key - IDE).to_string()).set("ElementName", format!("IDE Controller {}", key - IDE));
    } else {
        data.all(&[("ResourceType", "6"), ("ResourceSubType", SCSI_TYPE), ("Caption", "SCSI Controller")]);
        data.set("ElementName", "SCSI Controller");
        let id = format!("{{{}}}", upper(device_id(owner.vm, key)));
        data.set("VirtualSystemIdentifiers", Value::Many(vec![id]));
    }
    data.set("Description", "Settings for a Microsoft controller.");
    data
}

fn drive(view: &View<'_>, owner: &Owner<'_>, key: i32, unit: i32) -> Instance {
    let mut data = Instance::of("Msvm_ResourceAllocationSettingData");
    let drives = owner.vm.wmi.iter().flat_map(|wmi| &wmi.drives);
    let dvd = drives.into_iter().any(|drive| drive.dvd && (drive.controller, drive.unit) == (key, unit));
    if dvd {
        data.all(&[("ResourceType", "16"), ("ResourceSubType", DVD_DRIVE), ("ElementName", "DVD Drive")]);
    } else {
        data.all(&[("ResourceType", "17"), ("ResourceSubType", DISK_DRIVE), ("ElementName", "Hard Drive")]);
    }
    data.set("InstanceID", owner.id(Part::Drive(key, unit))).set("AddressOnParent", unit.to_string());
    data.set("Caption", if dvd { "DVD Drive" } else { "Hard Drive" }).set("VirtualQuantityUnits", "count");
    data.set("Parent", path(&view.host.name, "Msvm_ResourceAllocationSettingData", &owner.id(Part::Controller(key))));
    data.set("AutomaticAllocation", true).set("AutomaticDeallocation", true);
    data
}

pub(super) fn media(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in &view.owners() {
        for part in owner.parts() {
            if let Part::Medium(key, unit) = part {
                all.extend(medium(view, owner, key, unit));
            }
        }
    }
    all.extend(host::definitions(view, "Msvm_StorageAllocationSettingData"));
    all
}

fn medium(view: &View<'_>, owner: &Owner<'_>, key: i32, unit: i32) -> Option<Instance> {
    let disk = owner.vm.disks.iter().find(|disk| (disk.controller, disk.unit) == (key, unit));
    let drives = owner.vm.wmi.iter().flat_map(|wmi| &wmi.drives);
    let other = drives.into_iter().find(|drive| (drive.controller, drive.unit) == (key, unit));
    let (file, kind) = match (disk, other) {
        (Some(disk), _) => (disk.file.clone(), DISK),
        (None, Some(drive)) => (drive.medium.clone()?, DISC),
        (None, None) => return None,
    };
    let mut data = Instance::of("Msvm_StorageAllocationSettingData");
    data.all(&[
        ("Caption", if kind == DISK { "Hard Disk Image" } else { "ISO Disk Image" }),
        ("Description", "Describes the settings of a disk image."),
        ("ElementName", if kind == DISK { "Hard Disk Image" } else { "ISO Disk Image" }),
        ("ResourceType", "31"),
        ("ResourceSubType", kind),
        ("VirtualQuantity", "1"),
        ("VirtualQuantityUnits", "count(fixed size block)"),
        ("Limit", "1"),
        ("Reservation", "1"),
        ("Access", "3"),
        ("CachingMode", "2"),
        ("IOPSLimit", "0"),
        ("IOPSReservation", "0"),
        ("AutomaticAllocation", "true"),
        ("AutomaticDeallocation", "true"),
        ("IgnoreFlushes", "false"),
        ("SnapshotId", ""),
    ]);
    data.set("InstanceID", owner.id(Part::Medium(key, unit)));
    data.set("Parent", path(&view.host.name, "Msvm_ResourceAllocationSettingData", &owner.id(Part::Drive(key, unit))));
    data.set("HostResource", Value::Many(vec![file.to_string()]));
    data.set("PersistentReservationsSupported", disk.is_some_and(|disk| disk.shared));
    Some(data)
}
