//! A VM as its host keeps it.
//!
//! Compact on purpose: a lab holds 100,000 of them. Strings many VMs share are `Arc<str>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Id, Link, Wmi};

/// Firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

/// Power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Running.
    On,
    /// Off.
    Off,
    /// Suspended.
    Suspended,
}

/// The kind of a disk controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControllerKind {
    /// Paravirtual SCSI.
    ParaVirtual,
    /// LSI Logic SAS.
    LsiSas,
    /// LSI Logic.
    LsiLogic,
    /// IDE (Hyper-V generation 1 boots from it).
    Ide,
    /// SATA.
    Sata,
    /// NVMe.
    Nvme,
}

/// A disk controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controller {
    /// Device number.
    pub key: i32,
    /// Bus.
    pub bus: i32,
    /// Kind.
    pub kind: ControllerKind,
}

/// A disk of a VM; size and id are those of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Device number.
    pub key: i32,
    /// Device number of its controller.
    pub controller: i32,
    /// Unit on it.
    pub unit: i32,
    /// Its file.
    pub file: Arc<str>,
    /// Capacity in bytes as the VM sees it.
    pub capacity: u64,
    /// Made thin?
    pub thin: bool,
    /// Shared between VMs (multi-writer)?
    pub shared: bool,
    /// Mode, such as `persistent` or `independent_persistent`.
    pub mode: Arc<str>,
}

/// A NIC of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Device number.
    pub key: i32,
    /// Unit on the PCI bus.
    pub unit: i32,
    /// Adapter, such as `vmxnet3`.
    pub adapter: Arc<str>,
    /// MAC, lower case with colons.
    pub mac: Arc<str>,
    /// Was the MAC given by hand?
    pub mac_manual: bool,
    /// Its network; `None`: one that is gone.
    pub network: Option<Id>,
    /// Connected now?
    pub connected: bool,
    /// Connected at power on?
    pub start_connected: bool,
}

/// The guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Are its tools installed?
    pub tools_installed: bool,
    /// How long it takes to shut down, in lab milliseconds; `None`: it acknowledges and never does.
    pub shutdown_ms: Option<u32>,
    /// Addresses it has when it runs.
    pub addresses: Vec<Arc<str>>,
}

/// Something the host asks a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// The answers offered.
    pub choices: Vec<String>,
}

/// A snapshot: the configuration as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// When it was taken, lab time in milliseconds.
    pub at: i64,
    /// The VM as it was, without its snapshots.
    pub state: Box<Vm>,
}

/// A VM or template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of the hardware, each a flag on the wire")]
pub struct Vm {
    /// Its number here.
    pub id: Id,
    /// Its name, unescaped.
    pub name: Arc<str>,
    /// Its lasting id (vSphere instanceUuid).
    pub instance_uuid: Uuid,
    /// What its BIOS shows.
    pub bios_uuid: Uuid,
    /// A template?
    pub template: bool,
    /// Its folder.
    pub folder: Id,
    /// Its resource pool; templates have none.
    pub pool: Option<Id>,
    /// Its host.
    pub host: Id,
    /// The datastore of its home directory.
    pub home: Id,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Cores per socket.
    pub cores_per_socket: u32,
    /// Memory.
    pub memory_mib: u64,
    /// Memory when it was last booted, or was last set while off: hot-add counts from there.
    pub memory_at_boot_mib: u64,
    /// Firmware.
    pub firmware: Firmware,
    /// Guest id in vSphere's words, such as `debian12_64Guest`.
    pub guest_id: Arc<str>,
    /// May CPUs be added while it runs?
    pub hot_add_cpu: bool,
    /// May memory be added while it runs?
    pub hot_add_memory: bool,
    /// May CPUs be removed while it runs?
    pub hot_remove_cpu: bool,
    /// A person's notes.
    pub annotation: Arc<str>,
    /// Free settings (vSphere extraConfig).
    pub settings: BTreeMap<Arc<str>, Arc<str>>,
    /// Disk controllers.
    pub controllers: Vec<Controller>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// NICs.
    pub nics: Vec<Nic>,
    /// Power.
    pub power: Power,
    /// Reached through its host?
    pub link: Link,
    /// Its guest.
    pub guest: Guest,
    /// What the host asks, if anything.
    pub question: Option<Question>,
    /// What Hyper-V alone keeps of it; elsewhere `None`.
    pub wmi: Option<Box<Wmi>>,
    /// Snapshots, oldest first, each the child of the one before.
    pub snapshots: Vec<Snapshot>,
    /// When it was powered on, lab time in milliseconds.
    pub booted_at: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// Number of its last configuration change.
    pub config_change: u64,
    /// When that was, lab time in milliseconds.
    pub config_changed_at: i64,
    /// Number of its last change of any kind.
    pub touched: u64,
}

impl Vm {
    /// Notes a configuration change.
    pub(in crate::lab) fn touch_config(&mut self, number: u64, now: i64) {
        self.config_change = number;
        self.config_changed_at = now;
        self.touched = number;
    }

    /// Sets the power and what follows from it.
    pub(in crate::lab) fn set_power(&mut self, power: Power, now: i64) {
        self.power = power;
        self.booted_at = (power == Power::On).then_some(now);
        for nic in &mut self.nics {
            nic.connected = power == Power::On && nic.start_connected;
        }
    }

    /// Do its guest's tools run?
    pub fn tools_run(&self) -> bool {
        self.power == Power::On && self.guest.tools_installed
    }

    /// A setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|value| &**value)
    }

    /// Sets a setting; an empty value removes it, as vSphere does.
    pub fn set_setting(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            self.settings.remove(key);
        } else {
            self.settings.insert(key.into(), value.into());
        }
    }

    /// The disk with this device number.
    pub fn disk(&self, key: i32) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.key == key)
    }
}
