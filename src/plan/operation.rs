//! What a step does, one operation after another, in the product's words.
//!
//! The planner writes these; providers translate each into as few mutating calls as their hypervisor allows and never
//! decide anything. Every operation is *ensured*: asked again after a crash it finds what is done and does the rest.
//! A mark travels with the change it records, in the same call where the hypervisor allows that.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::mark::{Mark, MarkedDisk};
use crate::model::{Bytes, Firmware, GuestOs, ImageTarget, NetworkTarget, OwnId, Placement, Shutdown, VmKey, VmName};

/// One thing a provider does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Make a VM, up to and including its first start; finishes an unfinished one of the same identity.
    Create(Box<CreateVm>),
    /// Change hardware and write the mark, in one call where possible. With no changes it only writes the mark.
    Reconfigure {
        /// In this order.
        changes: Vec<Change>,
        /// As it stands afterwards; ids and slots that only the hypervisor knows are filled in by the provider.
        mark: Box<Mark>,
    },
    /// Ask the guest to stop and wait; hard only as `shutdown` allows. Already stopped is done.
    Stop(Shutdown),
    /// Power on. Already running is done.
    Start,
    /// Give it another name on the hypervisor.
    Rename(VmName),
    /// Remove our mark and nothing else.
    Unmark,
    /// Remove the VM and its mapped, attached disks; it must be stopped.
    Destroy {
        /// Slots of the disks that go with it; any other attached disk stops the operation.
        disks: Vec<DiskAt>,
    },
}

/// A VM to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVm {
    /// Its key.
    pub key: VmKey,
    /// Its name there.
    pub name: VmName,
    /// UUIDv5; where the hypervisor lets us choose, its own id.
    pub identity: Uuid,
    /// An unfinished create to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<OwnId>,
    /// Where, with the host chosen by the planner when the tier leaves it open and one must be named.
    pub placement: Placement,
    /// What from; `None`: blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageTarget>,
    /// The guest's family.
    pub guest_os: GuestOs,
    /// Firmware.
    pub firmware: Firmware,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// In order; the first `image_disks` of them come with the image and are grown.
    pub disks: Vec<DiskOrder>,
    /// How many of `disks` the image brings.
    pub image_disks: usize,
    /// In order; an image's own NICs are replaced by these.
    pub nics: Vec<NicOrder>,
    /// Whether cloud-init data goes with it; the user data itself is in the [`crate::provider::Order`].
    pub cloud_init: bool,
    /// Started at the end?
    pub start: bool,
    /// As it stands when finished; while being made, with `pending: create`.
    pub mark: Box<Mark>,
}

/// A disk to be made or grown to size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskOrder {
    /// Its name within the VM.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// Storage target; `None`: where the VM is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
}

/// A NIC to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NicOrder {
    /// Its name within the VM.
    pub name: String,
    /// Where it is connected.
    pub network: NetworkTarget,
    /// Its MAC; `None`: the hypervisor's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// For the guest, `address/prefix`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// For the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// Which attached disk is meant; both must match when both are given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskAt {
    /// Its name within the VM, for people and the mark.
    pub name: String,
    /// Its slot; empty for one that was taken off already, and of which only the file is left.
    pub slot: String,
    /// Its stable id, if the hypervisor gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl DiskAt {
    /// One that was taken off to be deleted; where its file is stands in the mark.
    pub fn taken_off(name: &str, marked: &MarkedDisk) -> Self {
        Self { name: name.to_owned(), slot: String::new(), id: marked.id.clone() }
    }
}

/// Which NIC is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NicAt {
    /// Its name within the VM.
    pub name: String,
    /// Its slot.
    pub slot: String,
    /// Its MAC.
    pub mac: String,
}

/// One change of hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Set the number of CPUs.
    Cpus(u32),
    /// Set the memory.
    Memory(Bytes),
    /// Make a disk.
    AddDisk(DiskOrder),
    /// Attach a kept disk again.
    AttachDisk {
        /// Its name within the VM.
        name: String,
        /// Its file or volume.
        file: String,
        /// Its stable id, if known: another disk at that file is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Grow a disk.
    GrowDisk {
        /// Which.
        disk: DiskAt,
        /// To what.
        size: Bytes,
    },
    /// Detach a disk and keep its file.
    DetachDisk(DiskAt),
    /// Detach a disk and delete its file.
    DeleteDisk(DiskAt),
    /// Make a NIC.
    AddNic(NicOrder),
    /// Remove a NIC.
    RemoveNic(NicAt),
    /// Connect a NIC to another network.
    MoveNic {
        /// Which.
        nic: NicAt,
        /// Where to.
        network: NetworkTarget,
    },
    /// Connect (now and at power on) or disconnect a NIC.
    ConnectNic {
        /// Which.
        nic: NicAt,
        /// Connected?
        connected: bool,
    },
}
