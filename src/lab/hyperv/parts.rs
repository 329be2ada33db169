//! The parts of a VM, their `InstanceID`s, and object paths as Windows writes them.
//!
//! An `InstanceID` begins with `Microsoft:` and the GUID of the VM or of its checkpoint; what follows names the part.

use uuid::Uuid;

use crate::lab::world::{ControllerKind, Firmware, Vm};

/// Device number of a SCSI controller is this and its bus.
pub(super) const SCSI: i32 = 1000;
/// Device number of an IDE controller is this and its bus.
pub(super) const IDE: i32 = 200;
/// The two IDE controllers of generation 1 have one id.
const IDE_ID: &str = "83F8638B-8DCA-4152-9EDA-2CA8B33039B4";
const PROCESSOR_ID: &str = r"b637f346-6a0e-4dec-af52-bd70cb80a21d\0";
const MEMORY_ID: &str = "4764334d-e001-4176-82ee-5594ec9b530e";
/// The feature "VLAN" of a switch port.
pub(super) const VLAN_FEATURE: &str = "952C5004-4465-451C-8CB8-FA9AB382B773";

/// A part of a VM, by device numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    System,
    Processor,
    Memory,
    Controller(i32),
    /// A drive in a slot of a controller.
    Drive(i32, i32),
    /// What is in that drive.
    Medium(i32, i32),
    Nic(i32),
    /// The connection of a NIC.
    Port(i32),
    Vlan(i32),
}

/// A VM or one of its checkpoints: settings hang on either.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    /// The GUID in its `InstanceID`s.
    pub guid: Uuid,
    /// The configuration.
    pub vm: &'a Vm,
    /// The VM's own GUID.
    pub system: Uuid,
    /// Number of the checkpoint this is.
    pub checkpoint: Option<usize>,
    /// Not yet a VM.
    pub planned: bool,
}

/// A GUID as Hyper-V writes it.
pub(super) fn upper(guid: Uuid) -> String {
    guid.to_string().to_uppercase()
}

impl<'a> Owner<'a> {
    /// The VM as it is.
    pub fn vm(vm: &'a Vm) -> Self {
        Self { guid: vm.instance_uuid, vm, system: vm.instance_uuid, checkpoint: None, planned: false }
    }

    /// The VM and its checkpoints.
    pub fn all(vm: &'a Vm) -> Vec<Self> {
        let mut all = vec![Self::vm(vm)];
        for (number, snapshot) in vm.snapshots.iter().enumerate() {
            let guid = checkpoint_id(vm, number);
            all.push(Self {
                guid,
                vm: &snapshot.state,
                system: vm.instance_uuid,
                checkpoint: Some(number),
                planned: false,
            });
        }
        all
    }

    /// `InstanceID` of a part.
    pub fn id(&self, part: Part) -> String {
        let guid = upper(self.guid);
        let vm = self.vm;
        match part {
            Part::System => format!("Microsoft:{guid}"),
            Part::Processor => format!(r"Microsoft:{guid}\{PROCESSOR_ID}"),
            Part::Memory => format!(r"Microsoft:{guid}\{MEMORY_ID}"),
            Part::Controller(key) => format!(r"Microsoft:{guid}\{}", controller_id(vm, key)),
            Part::Drive(key, unit) => format!(r"Microsoft:{guid}\{}\{unit}\D", controller_id(vm, key)),
            Part::Medium(key, unit) => format!(r"Microsoft:{guid}\{}\{unit}\L", controller_id(vm, key)),
            Part::Nic(key) => format!(r"Microsoft:{guid}\{}", upper(device_id(vm, key))),
            Part::Port(key) => format!(r"Microsoft:{guid}\{}\C", upper(device_id(vm, key))),
            Part::Vlan(key) => {
                let own = vm.wmi.as_ref().and_then(|wmi| wmi.vlans.get(&key)).map(|vlan| vlan.id).unwrap_or_default();
                format!(r"Microsoft:{guid}\{}\C\{VLAN_FEATURE}\{}", upper(device_id(vm, key)), upper(own))
            }
        }
    }

    /// All its parts, in the order of device numbers.
    pub fn parts(&self) -> Vec<Part> {
        let vm = self.vm;
        let mut parts = vec![Part::System, Part::Processor, Part::Memory];
        parts.extend(controllers(vm).into_iter().map(Part::Controller));
        let mut slots: Vec<(i32, i32, bool)> = vm.disks.iter().map(|disk| (disk.controller, disk.unit, true)).collect();
        let drives = vm.wmi.iter().flat_map(|wmi| &wmi.drives);
        slots.extend(drives.map(|drive| (drive.controller, drive.unit, drive.medium.is_some())));
        slots.sort_unstable();
        slots.dedup_by_key(|(controller, unit, _)| (*controller, *unit));
        for (controller, unit, full) in slots {
            parts.push(Part::Drive(controller, unit));
            if full {
                parts.push(Part::Medium(controller, unit));
            }
        }
        for nic in &vm.nics {
            parts.push(Part::Nic(nic.key));
            if has_port(vm, nic.key) {
                parts.push(Part::Port(nic.key));
            }
            if vm.wmi.as_ref().is_some_and(|wmi| wmi.vlans.contains_key(&nic.key)) {
                parts.push(Part::Vlan(nic.key));
            }
        }
        parts
    }

    /// The part of this `InstanceID`.
    pub fn part(&self, id: &str) -> Option<Part> {
        self.parts().into_iter().find(|part| self.id(*part).eq_ignore_ascii_case(id))
    }
}

/// GUID of a checkpoint, by its number.
pub(super) fn checkpoint_id(vm: &Vm, number: usize) -> Uuid {
    let id = vm.snapshots.get(number).map_or(0, |snapshot| snapshot.id.0);
    Uuid::new_v5(&vm.instance_uuid, format!("checkpoint {id}").as_bytes())
}

/// Has the NIC a connection, wherever it leads?
pub(super) fn has_port(vm: &Vm, key: i32) -> bool {
    vm.nics.iter().any(|nic| nic.key == key && nic.network.is_some())
        || vm.wmi.as_ref().is_some_and(|wmi| wmi.loose_ports.contains(&key))
}

/// Device numbers of its controllers; generation 1 always has two for IDE.
pub(super) fn controllers(vm: &Vm) -> Vec<i32> {
    let mut keys: Vec<i32> = if vm.firmware == Firmware::Bios { vec![IDE, IDE + 1] } else { Vec::new() };
    keys.extend(vm.controllers.iter().filter(|each| each.kind != ControllerKind::Ide).map(|each| each.key));
    keys
}

/// Is this the number of an IDE controller?
pub(super) const fn is_ide(key: i32) -> bool {
    key == IDE || key == IDE + 1
}

fn controller_id(vm: &Vm, key: i32) -> String {
    if is_ide(key) { format!(r"{IDE_ID}\{}", key - IDE) } else { format!(r"{}\0", upper(device_id(vm, key))) }
}

/// The GUID of a controller or NIC: the one chosen when it was made, or one that follows from the VM's.
pub(super) fn device_id(vm: &Vm, key: i32) -> Uuid {
    let chosen = vm.wmi.as_ref().and_then(|wmi| wmi.ids.get(&key)).copied();
    chosen.unwrap_or_else(|| Uuid::new_v5(&vm.bios_uuid, format!("device {key}").as_bytes()))
}

/// The GUID an `InstanceID`, or a name, begins with.
pub(super) fn guid_in(text: &str) -> Option<Uuid> {
    let text = text.get(..10).filter(|front| front.eq_ignore_ascii_case("Microsoft:")).map_or(text, |_| &text[10..]);
    text.get(..36).and_then(|guid| Uuid::parse_str(guid).ok())
}

/// `\\HOST\root\virtualization\v2:Class.InstanceID="…"`.
pub(super) fn path(host: &str, class: &str, id: &str) -> String {
    format!(r#"\\{host}\root\virtualization\v2:{class}.InstanceID="{}""#, escaped(id))
}

/// As [`path`], for what is named by its class and name.
pub(super) fn system_path(host: &str, class: &str, name: &str) -> String {
    format!(r#"\\{host}\root\virtualization\v2:{class}.CreationClassName="{class}",Name="{name}""#)
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}
