//! What Hyper-V keeps of a VM and no other hypervisor has. It stands with the VM, so that a copy, a checkpoint and
//! going back to one take it along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Id;

/// Facts of one VM that only WMI shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wmi {
    /// Folder of its configuration.
    pub root: Arc<str>,
    /// Half imported, or half migrated: not yet a VM.
    pub planned: bool,
    /// The host it is being moved to, while it runs.
    pub moving_to: Option<Id>,
    /// Paused rather than saved, while it is suspended.
    pub paused: bool,
    /// Its role in the cluster, if it is one.
    pub role: Option<Arc<str>>,
    /// `ReplicationMode`: 0 none, 1 primary, 2 replica.
    pub replication_mode: u16,
    /// Minimum and maximum of dynamic memory in MiB; `None`: static.
    pub dynamic_memory: Option<(u64, u64)>,
    /// Ids of controllers and NICs chosen by who made them, by device number.
    pub ids: BTreeMap<i32, Uuid>,
    /// Drives without one of the VM's disks in them.
    pub drives: Vec<Drive>,
    /// NICs that have a connection though it leads to no switch, by device number.
    pub loose_ports: BTreeSet<i32>,
    /// VLANs of NICs by device number.
    pub vlans: BTreeMap<i32, Vlan>,
    /// Settings that are only kept: (part of the VM, property) -> values.
    pub kept: BTreeMap<(Arc<str>, &'static str), Vec<String>>,
}

/// A drive in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// Device number of its controller.
    pub controller: i32,
    /// Slot on it.
    pub unit: i32,
    /// For discs, not disks?
    pub dvd: bool,
    /// The image in it.
    pub medium: Option<Arc<str>>,
}

/// The VLAN of a NIC's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// `OperationMode`: 1 access, 2 trunk.
    pub mode: u32,
    /// `AccessVlanId`.
    pub access: u16,
    /// `NativeVlanId`.
    pub native: u16,
    /// `TrunkVlanIdArray`.
    pub trunk: Vec<u16>,
    /// Id of the setting.
    pub id: Uuid,
}
