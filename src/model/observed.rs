//! A VM as its hypervisor reports it, in our words.
//!
//! Made only by providers (and by tests). `handle` is the provider's own business; everything else means the same on
//! every hypervisor. What could not be read is said to be unreadable, never left out: unknown is not absent.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::{Bytes, Firmware, GuestOs, NetworkTarget, OwnId};

/// One VM, or a template that carries our mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedVm {
    /// The hypervisor's lasting id.
    pub id: OwnId,
    /// The provider's short-lived reference (moref, OpaqueRef); empty where it has none. Never compared.
    #[serde(default)]
    pub handle: Arc<str>,
    /// Its name there, unescaped.
    pub name: Arc<str>,
    /// Where it is.
    #[serde(default)]
    pub placed: Placed,
    /// Its configuration, or why it could not be read.
    pub config: Config,
}

impl ObservedVm {
    /// The configuration when it could be read.
    pub fn readable(&self) -> Option<&VmConfig> {
        match &self.config {
            Config::Readable(config) => Some(config),
            Config::Unreadable(_) => None,
        }
    }
}

/// Where a VM is; names as the hypervisor shows them. Changes by live migration are not drift.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// The host it runs on or is registered at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// Its cluster, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Arc<str>>,
    /// Its folder below the datacenter's VM root, `/`-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Arc<str>>,
    /// Its datacenter, if the hypervisor has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
}

/// A configuration, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Config {
    /// All of it was read. Shared with whoever remembers it: of a large fleet nearly nothing changes between two looks.
    Readable(Arc<VmConfig>),
    /// The server gave none (still being created, host gone, no permission): this VM is *unknown*.
    Unreadable(String),
}

/// What is configured and how it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VmConfig {
    /// Virtual CPUs.
    pub cpus: u32,
    /// Configured memory.
    pub memory: Bytes,
    /// Firmware.
    pub firmware: Firmware,
    /// The guest's family, as far as the hypervisor knows.
    #[serde(default)]
    pub guest_os: GuestOs,
    /// Power.
    pub power: PowerState,
    /// True for a template.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// Attached disks, in slot order.
    #[serde(default)]
    pub disks: Vec<ObservedDisk>,
    /// NICs, in slot order.
    #[serde(default)]
    pub nics: Vec<ObservedNic>,
    /// True when a snapshot or checkpoint exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshots: bool,
    /// A question of the hypervisor that waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Can the guest be asked to shut down?
    #[serde(default)]
    pub guest_agent: GuestAgent,
    /// What may change while it runs, from the VM's own flags.
    #[serde(default)]
    pub hot: Hot,
    /// The raw text where our mark would stand; judged by `mark.rs`, never by a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Addresses the guest reports, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Arc<str>>,
}

/// Power as the hypervisor reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PowerState {
    /// Powered on.
    Running,
    /// Powered off.
    Stopped,
    /// Suspended, saved or paused: never changed by us.
    Suspended,
    /// On its way, or not told.
    Unknown,
}

/// Whether the guest can be asked to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GuestAgent {
    /// Guest tools run.
    Running,
    /// They do not.
    NotRunning,
    /// The hypervisor did not say.
    #[default]
    Unknown,
}

/// What may change while the VM runs. `false` also stands for "not told": unknown counts as needing power off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "six independent facts, each a flag of the hypervisor")]
pub struct Hot {
    /// CPUs can be added.
    pub add_cpu: bool,
    /// Memory can be added.
    pub add_memory: bool,
    /// Upper end of hot-added memory, if the server gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Bytes>,
    /// Hot-added memory must be a multiple of this, if the server gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_increment: Option<Bytes>,
    /// Disks can be added and detached.
    pub disks: bool,
    /// Disks can grow.
    pub grow_disk: bool,
    /// NICs can be added and removed.
    pub nics: bool,
    /// A NIC can be connected to another network.
    pub nic_network: bool,
}

/// One attached disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedDisk {
    /// Stable id (backing UUID, VDI uuid, VHDX id) when the hypervisor gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Arc<str>>,
    /// Where it is plugged in, such as `scsi0:1`; stable while attached.
    pub slot: Arc<str>,
    /// Its capacity.
    pub size: Bytes,
    /// Storage target it lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Arc<str>>,
    /// The file or volume behind it, as the hypervisor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
    /// The file it is a child of (linked clone, differencing disk, snapshot delta).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<str>>,
    /// True when another VM uses it, or may: such a disk is never changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// One NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedNic {
    /// Where it is plugged in; the provider's key for changing it.
    pub slot: Arc<str>,
    /// Lower case with colons.
    pub mac: Arc<str>,
    /// What it is connected to; `None` when the backing cannot be resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkTarget>,
    /// Connected (and connected at power on).
    #[serde(default = "yes")]
    pub connected: bool,
}

const fn yes() -> bool {
    true
}
