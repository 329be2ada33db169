//! What the manifests ask for: complete, checked, with every default filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Bytes, EndpointName, OwnId, Secret, Tier, TierName, VmKey};

/// A whole desired state: the outcome of reading one revision without an error.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// Which revision of the source this is.
    pub revision: Revision,
    /// Tiers by name.
    pub tiers: BTreeMap<TierName, Tier>,
    /// VMs by key; shared by all revisions in which they are the same.
    pub vms: BTreeMap<VmKey, Arc<VmSpec>>,
}

/// Names one state of the source: for a folder, a digest over paths and contents; later a commit id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Where something stands in the source: path relative to it, line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Path as shown to a person.
    pub path: Arc<str>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// One VM as desired, resolved: instance type and tier defaults applied. Names no hypervisor.
///
/// Held for every VM of a fleet, so words that many use are shared ([`super::Words`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSpec {
    /// Its key.
    pub key: VmKey,
    /// For people and reports. Shared by VMs with the same: a fleet has few different sets.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The tier it belongs on.
    pub tier: TierName,
    /// The instance type it came from, if any; sizes are already resolved.
    pub instance_type: Option<Arc<str>>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory, a multiple of 4 MiB.
    pub memory: Bytes,
    /// Image name of the tier; `None`: a blank VM.
    pub image: Option<Arc<str>>,
    /// The guest's family.
    pub guest_os: GuestOs,
    /// Counts at creation.
    pub firmware: Firmware,
    /// Keyed by name, in manifest order; the first is the image's boot disk.
    pub disks: Vec<DiskSpec>,
    /// Keyed by name, in manifest order.
    pub nics: Vec<NicSpec>,
    /// Kept so; `None`: started once at creation, then left alone.
    pub power: Option<PowerGoal>,
    /// Counts at creation.
    pub cloud_init: Option<CloudInit>,
    /// Never destroyed while the mark says so.
    pub prevent_destroy: bool,
    /// What leaving Git means.
    pub on_remove: OnRemove,
    /// May an update that needs it power the VM off?
    pub allow_reboot: AllowReboot,
    /// How a guest is stopped.
    pub shutdown: Shutdown,
    /// Are disks that leave the manifest deleted (else detached and kept)?
    pub delete_disks: bool,
    /// Paths such as `power` or `nics/eth0/mac`: used at creation only. Shared as `labels` are.
    pub ignore_drift: Arc<BTreeSet<String>>,
    /// Keys that must be in place first.
    pub depends_on: BTreeSet<VmKey>,
    /// The key this VM had before.
    pub renamed_from: Option<VmKey>,
    /// An existing VM to take over.
    pub adopt: Option<Adopt>,
    /// Where the manifest stands.
    pub origin: Origin,
}

impl VmSpec {
    /// The disk of that name.
    pub fn disk(&self, name: &str) -> Option<&DiskSpec> {
        self.disks.iter().find(|disk| *disk.name == *name)
    }

    /// The NIC of that name.
    pub fn nic(&self, name: &str) -> Option<&NicSpec> {
        self.nics.iter().find(|nic| *nic.name == *name)
    }
}

/// One desired disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskSpec {
    /// Its name within the VM.
    pub name: Arc<str>,
    /// Its size; disks only grow.
    pub size: Bytes,
    /// Storage name of the tier; `None`: the tier's placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Arc<str>>,
}

/// One desired NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NicSpec {
    /// Its name within the VM.
    pub name: Arc<str>,
    /// Network name of the tier.
    pub network: Arc<str>,
    /// Lower case with colons; `None`: the hypervisor's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// `address/prefix`; told to the guest at creation through cloud-init.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Default gateway, with `addresses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// The guest's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GuestOs {
    /// Linux of any kind.
    #[default]
    Linux,
    /// Windows of any kind.
    Windows,
    /// Anything else.
    Other,
}

/// What the VM boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// Legacy BIOS; Hyper-V generation 1.
    Bios,
    /// UEFI; Hyper-V generation 2.
    #[default]
    Uefi,
}

/// The power a manifest asks to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerGoal {
    /// Kept running.
    Running,
    /// Kept stopped.
    Stopped,
}

/// What leaving Git means for a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRemove {
    /// Retired, and deleted after the grace days.
    #[default]
    Delete,
    /// Forgotten and left running.
    Release,
}

/// May an update that needs it power the VM off?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllowReboot {
    /// Never.
    #[default]
    Never,
    /// In a window; acts as never until windows are built.
    Window,
    /// At any time.
    Always,
}

/// Whether VMs that leave Git are destroyed, and on whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prune {
    /// Never destroyed.
    Never,
    /// Destroyed once a person approved.
    #[default]
    Confirm,
    /// Destroyed within the limits.
    Auto,
}

/// How a guest is stopped: asked first, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// How long the guest may take, in seconds.
    pub timeout_seconds: u32,
    /// Power off hard after that?
    pub force: bool,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { timeout_seconds: 300, force: false }
    }
}

/// Cloud-init user data: given inline, or named and read from `secretsDir` at apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudInit {
    /// The text itself.
    Inline(Secret),
    /// A plain file name in `secretsDir`.
    File(String),
}

/// An existing VM to take over, as `import` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopt {
    /// Where it is.
    pub endpoint: EndpointName,
    /// Its own id there.
    pub id: OwnId,
}
