//! What can be asked of the world, and the doing of it. The rules are those a real host keeps.
//!
//! ```text
//! create.rs      new VMs, blank or copied
//! configure.rs   hardware and settings of a VM that is there
//! devices.rs     disks, controllers and NICs
//! power.rs       power, guests, removal, templates, snapshots
//! ```
//!
//! Each piece of work is done whole or not at all: it is tried on a copy of the VM and put in its place at the end.

mod configure;
mod create;
mod devices;
mod power;

pub use configure::{MEMORY_INCREMENT, memory_limit};

use std::sync::Arc;

use uuid::Uuid;

use super::{ControllerKind, Firmware, Id, Refusal, World};

/// Work for a task.
#[derive(Debug, Clone)]
pub enum Work {
    /// Make a blank VM.
    Create(Box<CreateVm>),
    /// Make a VM from another.
    Clone(Box<CloneVm>),
    /// Change a VM.
    Reconfigure {
        /// Which.
        vm: Id,
        /// How.
        spec: Box<VmSpec>,
    },
    /// Power on.
    PowerOn(Id),
    /// Power off, hard.
    PowerOff(Id),
    /// Suspend.
    Suspend(Id),
    /// Power off and on, hard.
    Reset(Id),
    /// Give an object another name.
    Rename {
        /// Which.
        object: Id,
        /// The name.
        name: String,
    },
    /// Remove a VM with its files, or an empty folder.
    Destroy(Id),
    /// Take a snapshot.
    Snapshot {
        /// Of which VM.
        vm: Id,
        /// Its name.
        name: String,
        /// Its description.
        description: String,
    },
    /// Remove a snapshot, or all.
    RemoveSnapshot {
        /// Of which VM.
        vm: Id,
        /// Which; `None`: all.
        snapshot: Option<Id>,
    },
    /// Go back to a snapshot.
    Revert {
        /// Of which VM.
        vm: Id,
        /// Which.
        snapshot: Id,
    },
    /// Something a front does by rules of its own hypervisor.
    Act(Act),
    /// Fail with what a fault rule says.
    Fail {
        /// On which object.
        entity: Id,
        /// With what.
        refusal: Box<Refusal>,
    },
}

impl Work {
    /// What is done, in vSphere's words (`descriptionId` of a task).
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "Folder.createVm",
            Self::Clone(_) => "VirtualMachine.clone",
            Self::Reconfigure { .. } | Self::Fail { .. } => "VirtualMachine.reconfigure",
            Self::PowerOn(_) => "VirtualMachine.powerOn",
            Self::PowerOff(_) => "VirtualMachine.powerOff",
            Self::Suspend(_) => "VirtualMachine.suspend",
            Self::Reset(_) => "VirtualMachine.reset",
            Self::Rename { .. } => "ManagedEntity.rename",
            Self::Destroy(_) => "ManagedEntity.destroy",
            Self::Act(act) => act.kind,
            Self::Snapshot { .. } => "VirtualMachine.createSnapshot",
            Self::RemoveSnapshot { .. } => "vm.Snapshot.remove",
            Self::Revert { .. } => "vm.Snapshot.revert",
        }
    }

    /// The object it is done to.
    pub fn entity(&self) -> Id {
        match self {
            Self::Create(create) => create.folder,
            Self::Act(act) => act.entity,
            Self::Clone(clone) => clone.source,
            Self::Reconfigure { vm, .. }
            | Self::Snapshot { vm, .. }
            | Self::RemoveSnapshot { vm, .. }
            | Self::Revert { vm, .. }
            | Self::PowerOn(vm)
            | Self::PowerOff(vm)
            | Self::Suspend(vm)
            | Self::Reset(vm) => *vm,
            Self::Rename { object, .. } | Self::Destroy(object) | Self::Fail { entity: object, .. } => *object,
        }
    }

    /// The VM that is busy meanwhile. A source may be cloned many times at once.
    pub(super) fn vm(&self) -> Option<Id> {
        match self {
            Self::Create(_) | Self::Clone(_) | Self::Fail { .. } => None,
            Self::Act(act) => act.vm,
            _ => Some(self.entity()),
        }
    }
}

/// Something a front does by rules of its own hypervisor, when it comes due.
#[derive(Clone)]
pub struct Act {
    /// What is done, in the hypervisor's words.
    pub kind: &'static str,
    /// The object it is done to.
    pub entity: Id,
    /// The VM that is busy meanwhile.
    pub vm: Option<Id>,
    /// Is much copied?
    pub long: bool,
    /// The doing of it; the VM it made, if it made one.
    pub perform: Arc<Deed>,
}

/// All or nothing: it looks before it changes anything.
type Deed = dyn Fn(&mut World) -> Result<Option<Id>, Refusal> + Send + Sync;

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act").field("kind", &self.kind).field("entity", &self.entity).finish_non_exhaustive()
    }
}

/// A blank VM to be made.
#[derive(Debug, Clone)]
pub struct CreateVm {
    /// Where it is listed.
    pub folder: Id,
    /// Its pool.
    pub pool: Id,
    /// Its host; `None`: the place chooses.
    pub host: Option<Id>,
    /// Its hardware.
    pub spec: VmSpec,
}

/// A VM to be made from another.
#[derive(Debug, Clone)]
pub struct CloneVm {
    /// The other.
    pub source: Id,
    /// Its name.
    pub name: String,
    /// Where it is listed.
    pub folder: Id,
    /// Its pool; needed when the source is a template and the copy is not.
    pub pool: Option<Id>,
    /// Its host; `None`: the place chooses.
    pub host: Option<Id>,
    /// Where its files go; `None`: where the source's are.
    pub datastore: Option<Id>,
    /// Where single disks go, by device number.
    pub disk_places: Vec<(i32, Id)>,
    /// Make a template?
    pub template: bool,
    /// Power it on at the end?
    pub power_on: bool,
    /// Make its disks children of the source's instead of copies?
    pub linked: bool,
    /// What differs from the source.
    pub spec: VmSpec,
}

/// Hardware and settings; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VmSpec {
    /// Refuse if the VM is not at this change number any more.
    pub change: Option<u64>,
    /// Name.
    pub name: Option<String>,
    /// Lasting id.
    pub instance_uuid: Option<Uuid>,
    /// BIOS id.
    pub bios_uuid: Option<Uuid>,
    /// Notes.
    pub annotation: Option<String>,
    /// CPUs.
    pub cpus: Option<u32>,
    /// Cores per socket.
    pub cores_per_socket: Option<u32>,
    /// Memory.
    pub memory_mib: Option<u64>,
    /// Guest id.
    pub guest_id: Option<String>,
    /// Firmware.
    pub firmware: Option<Firmware>,
    /// May CPUs be added while it runs?
    pub hot_add_cpu: Option<bool>,
    /// May memory be added while it runs?
    pub hot_add_memory: Option<bool>,
    /// May CPUs be removed while it runs?
    pub hot_remove_cpu: Option<bool>,
    /// Free settings; an empty value removes one.
    pub settings: Vec<(String, String)>,
    /// The datastore of a new VM's home.
    pub home: Option<Id>,
    /// Devices, in the order of the request.
    pub devices: Vec<DeviceEdit>,
}

/// One device of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceEdit {
    /// Add a controller; a negative key is a name within the request.
    AddController {
        /// Its key.
        key: i32,
        /// Its kind.
        kind: ControllerKind,
        /// Its bus.
        bus: i32,
    },
    /// Remove a controller that has nothing on it.
    RemoveController(i32),
    /// Add a disk.
    AddDisk(NewDisk),
    /// Set a disk's capacity.
    EditDisk {
        /// Which.
        key: i32,
        /// Bytes.
        capacity: u64,
    },
    /// Remove a disk.
    RemoveDisk {
        /// Which.
        key: i32,
        /// And its file?
        destroy: bool,
    },
    /// Add a NIC.
    AddNic(NewNic),
    /// Change a NIC.
    EditNic(NicEdit),
    /// Remove a NIC.
    RemoveNic(i32),
    /// A device the lab takes note of and does not model, such as a CD drive.
    Other,
}

/// A disk to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDisk {
    /// Its key.
    pub key: i32,
    /// Key of its controller, which may be one of the same request.
    pub controller: i32,
    /// Unit; `None`: the next free one.
    pub unit: Option<i32>,
    /// Where it comes from.
    pub source: DiskSource,
    /// Thin?
    pub thin: bool,
    /// Multi-writer?
    pub shared: bool,
    /// Mode.
    pub mode: Option<Arc<str>>,
}

/// Where a disk comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum DiskSource {
    /// A new file.
    New {
        /// Where; `None`: in the VM's home.
        datastore: Option<Id>,
        /// Its path, if chosen.
        path: Option<Arc<str>>,
        /// Bytes.
        capacity: u64,
    },
    /// A file that is there.
    Existing(Arc<str>),
}

/// A NIC to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNic {
    /// Its key.
    pub key: i32,
    /// Adapter.
    pub adapter: Arc<str>,
    /// MAC; `None`: generated.
    pub mac: Option<String>,
    /// Network.
    pub network: Id,
    /// Connect at power on?
    pub start_connected: bool,
    /// Connect now, if it runs?
    pub connected: bool,
}

/// A NIC to be changed; what is `None` stays.
#[derive(Debug, Clone, PartialEq)]
pub struct NicEdit {
    /// Which.
    pub key: i32,
    /// Network.
    pub network: Option<Id>,
    /// MAC.
    pub mac: Option<String>,
    /// Connect at power on?
    pub start_connected: Option<bool>,
    /// Connected now?
    pub connected: Option<bool>,
}

impl World {
    /// Does a piece of work now; what it made, if anything.
    pub fn perform(&mut self, work: Work) -> Result<Option<Id>, Refusal> {
        match work {
            Work::Create(create) => self.create_vm(&create).map(Some),
            Work::Clone(clone) => self.clone_vm(&clone).map(Some),
            Work::Reconfigure { vm, spec } => self.reconfigure(vm, &spec).map(|()| None),
            Work::PowerOn(vm) => self.power_on(vm).map(|()| None),
            Work::PowerOff(vm) => self.power_off(vm).map(|()| None),
            Work::Suspend(vm) => self.suspend(vm).map(|()| None),
            Work::Reset(vm) => self.reset(vm).map(|()| None),
            Work::Rename { object, name } => self.rename(object, &name).map(|()| None),
            Work::Destroy(object) => self.destroy(object).map(|()| None),
            Work::Snapshot { vm, name, description } => self.take_snapshot(vm, &name, &description).map(Some),
            Work::RemoveSnapshot { vm, snapshot } => self.remove_snapshot(vm, snapshot).map(|()| None),
            Work::Revert { vm, snapshot } => self.revert_to_id(vm, snapshot).map(|()| None),
            Work::Act(act) => (act.perform)(self),
            Work::Fail { refusal, .. } => Err(*refusal),
        }
    }
}
