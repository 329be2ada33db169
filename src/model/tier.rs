//! A tier, resolved: what the logical words of a VM manifest mean on its hypervisor.
//!
//! Targets are opaque to the core; only the tier's provider understands them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AllowReboot, Currency, EndpointName, Firmware, HypervisorType, Money, Origin, Prune, TierName};

/// One tier: a class of VM hosting with its endpoints, vocabulary, prices and policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its name.
    pub name: TierName,
    /// For people.
    pub description: Option<String>,
    /// Follows from the fields used; `None` when the manifest uses no hypervisor-specific field.
    pub hypervisor: Option<HypervisorType>,
    /// One or several, of the same type, in manifest order.
    pub endpoints: Vec<EndpointName>,
    /// Where new VMs go.
    pub placement: Placement,
    /// Image name -> target.
    pub images: BTreeMap<String, ImageTarget>,
    /// Network name -> target.
    pub networks: BTreeMap<String, NetworkTarget>,
    /// Storage name -> target.
    pub storage: BTreeMap<String, String>,
    /// What a VM costs here, if declared.
    pub price: Option<Price>,
    /// What happens to VMs that leave Git.
    pub sync: SyncPolicy,
    /// Default firmware of its VMs.
    pub firmware: Option<Firmware>,
    /// Default reboot permission of its VMs.
    pub allow_reboot: Option<AllowReboot>,
    /// Where the manifest stands.
    pub origin: Origin,
}

/// Where new VMs of a tier go; each field means what the tier's provider says it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// vSphere: needed where several datacenters exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// vSphere cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// A host: vSphere standalone, Hyper-V in a cluster, XenServer affinity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// vSphere resource pool below the cluster or host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_pool: Option<String>,
    /// vSphere VM folder, `/`-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// May missing folders be made?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_folders: bool,
    /// Default storage *target* (a datastore, an SR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Hyper-V: folder of VM and VHDX files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What an image name means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageTarget {
    /// Template or VM name (vSphere, XenServer), or VHDX path (Hyper-V).
    pub source: String,
    /// Hyper-V: how the VHDX is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ImageMode>,
}

/// How a Hyper-V image becomes a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageMode {
    /// A full copy.
    Copy,
    /// A differencing child of the image.
    Differencing,
}

/// What a network name means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkTarget {
    /// Port group, virtual switch or network name.
    pub name: String,
    /// Hyper-V: access VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// Prices; a month is 730 hours, declared sizes count whatever the power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Of all amounts.
    pub currency: Currency,
    /// Per vCPU and hour.
    pub vcpu_hour: Money,
    /// Per GiB of memory and hour.
    pub memory_gib_hour: Money,
    /// Per GiB of storage and month.
    pub storage_gib_month: Money,
    /// Per VM and month.
    pub vm_month: Money,
}

/// What happens to VMs that leave Git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPolicy {
    /// Whether, and with whose word.
    pub prune: Prune,
    /// Days between retire and delete.
    pub grace_days: u32,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self { prune: Prune::Confirm, grace_days: 7 }
    }
}
