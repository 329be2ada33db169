//! What the hypervisors reported in one round of asking: per endpoint `Observed` or `Unreachable(why)`.
//!
//! Comes from `collect` (or a file, for offline plans); goes into diff and plan. An endpoint that did not answer is
//! never an empty one. Nothing here judges: `plan/safety.rs` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Bytes, EndpointName, Firmware, HypervisorType, NetworkTarget, ObservedVm, OwnId};

/// All endpoints, asked once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// By endpoint; one that is configured but missing here was not asked, which counts as unreachable.
    pub endpoints: BTreeMap<EndpointName, EndpointInventory>,
}

impl Inventory {
    /// What an endpoint reported, if it answered.
    pub fn observed(&self, endpoint: &EndpointName) -> Option<&Observed> {
        match &self.endpoints.get(endpoint)?.view {
            View::Observed(observed) => Some(observed),
            View::Unreachable(_) => None,
        }
    }
}

/// One endpoint's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointInventory {
    /// Counts this endpoint's inventories; only grows.
    pub generation: u64,
    /// When the answer was complete, or the attempt given up.
    pub taken_at: Timestamp,
    /// The answer.
    pub view: View,
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum View {
    /// It answered.
    Observed(Box<Observed>),
    /// It did not; the text is fit for a person.
    Unreachable(String),
}

/// What an endpoint that answered reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// What can be done there.
    pub capabilities: Capabilities,
    /// `None`: the answer was whole. Else why it was not (a page missing, a host not listed): every VM not seen is then
    /// *unknown*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// VMs, and templates that carry our mark; by own id. Two entries may share an id (a replica): both are kept.
    pub vms: Vec<ObservedVm>,
    /// Hosts, storage, networks, images.
    pub catalog: Catalog,
    /// Direct reads by id of VMs that were known before and are not listed now.
    #[serde(default)]
    pub missing: BTreeMap<OwnId, Missing>,
}

/// A VM seen before: one that the listing lacks is read directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its own id.
    pub id: OwnId,
    /// The provider's short-lived reference when last seen; empty where it has none. Where a search by id answers
    /// nothing both for a VM that is gone and for one that may not be seen, the reference tells them apart.
    pub handle: Arc<str>,
}

/// What a direct read by id answered for a VM that the listing lacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// The hypervisor says there is no such VM.
    NotFound,
    /// It would not say, or the VM is there after all: unknown.
    Unknown(String),
}

/// What an endpoint can do: differences between hypervisors that a plan must know, as plain facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by name")]
pub struct Capabilities {
    /// Its type.
    pub hypervisor: HypervisorType,
    /// Product and version, for people.
    pub product: String,
    /// Can make a VM from an image (ESXi alone cannot).
    pub create_from_image: bool,
    /// Can make a blank VM.
    pub create_blank: bool,
    /// Can hand cloud-init user data to a new VM.
    pub cloud_init: bool,
    /// The own id is chosen by us and known before creation (vSphere). Else the birth name leads to the VM.
    pub own_id_is_identity: bool,
    /// Two VMs of one name may exist in different folders (vSphere); else names are unique or only by custom.
    pub names_by_folder: bool,
}

/// What a plan needs to know of a place besides its VMs. All names as the hypervisor shows them, unescaped.
///
/// Where storage and images are named by path, as on Hyper-V, what lies in a folder is not listed: a storage or image
/// whose name ends in `\` stands for everything below that path (in any case of letters, as Windows compares).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Catalog {
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Datastores, SRs, volumes.
    pub storage: Vec<Storage>,
    /// Networks by name; a port group that exists in two datacenters is listed twice.
    pub networks: Vec<Network>,
    /// Templates; `vms` serve as images too where the hypervisor allows it.
    pub images: Vec<Image>,
    /// VM folders (`/`-separated, below the datacenter), where the hypervisor has folders.
    pub folders: Vec<Folder>,
    /// Resource pools below a cluster or host, where the hypervisor has such; the root pool is not listed.
    pub resource_pools: Vec<ResourcePool>,
}

impl Catalog {
    /// The storage that a target names, or the one below which it lies.
    pub fn storage_of(&self, target: &str) -> Option<&Storage> {
        nearest(&self.storage, |storage| &storage.name, target)
    }

    /// The image that a source names, or the place below which it lies.
    pub fn image_of(&self, source: &str) -> Option<&Image> {
        nearest(&self.images, |image| &image.source, source)
    }
}

/// The entry of that name, else the one with the longest name that `name` lies below.
fn nearest<'a, T>(all: &'a [T], name_of: impl Fn(&T) -> &str, name: &str) -> Option<&'a T> {
    let below = |entry: &&T| {
        let above = name_of(entry);
        let front = name.get(..above.len());
        above.ends_with('\\') && front.is_some_and(|front| front.eq_ignore_ascii_case(above))
    };
    let exact = all.iter().find(|entry| name_of(entry) == name);
    exact.or_else(|| all.iter().filter(below).max_by_key(|entry| name_of(entry).len()))
}

/// A host and its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Its name.
    pub name: Arc<str>,
    /// Its cluster, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Arc<str>>,
    /// Its datacenter, if the hypervisor has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
    /// Memory of the machine.
    pub memory: Bytes,
    /// May a VM be placed there now (connected, not in maintenance)?
    pub usable: bool,
}

/// A place for disks and its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its name: what a storage target names.
    pub name: Arc<str>,
    /// Its datacenter, if the hypervisor has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
    /// Size.
    pub capacity: Bytes,
    /// Free now.
    pub free: Bytes,
    /// Hosts that reach it, by name; empty: all.
    #[serde(default)]
    pub hosts: Vec<Arc<str>>,
    /// May disks be made there now?
    pub usable: bool,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Its name and, where it has one of its own, its VLAN.
    pub target: NetworkTarget,
    /// Its datacenter, if the hypervisor has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
    /// Hosts that reach it, by name; empty: all.
    #[serde(default)]
    pub hosts: Vec<Arc<str>>,
}

/// Something a VM can be made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// What an image target names.
    pub source: Arc<str>,
    /// Its datacenter, if the hypervisor has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
    /// Its disks in slot order.
    pub disks: Vec<Bytes>,
    /// Its firmware, if told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
}

/// A VM folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Folder {
    /// `/`-separated path below the datacenter's VM root.
    pub path: Arc<str>,
    /// Its datacenter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Arc<str>>,
}

/// A resource pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourcePool {
    /// Its name.
    pub name: Arc<str>,
    /// The cluster it is in, or the host.
    pub parent: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str) -> Storage {
        let (name, free) = (name.into(), Bytes::gib(1));
        Storage { name, datacenter: None, capacity: free, free, hosts: Vec::new(), usable: true }
    }

    #[test]
    fn a_path_belongs_to_the_nearest_volume_above_it() {
        let names = [r"C:\", r"C:\ClusterStorage\Volume1\", r"D:\", "nvme-01"];
        let catalog = Catalog { storage: names.map(store).to_vec(), ..Catalog::default() };
        let of = |target: &str| catalog.storage_of(target).map(|storage| &*storage.name);
        assert_eq!(of(r"d:\hyper-v"), Some(r"D:\"));
        assert_eq!(of(r"C:\clusterstorage\volume1\vms"), Some(r"C:\ClusterStorage\Volume1\"));
        assert_eq!(of("nvme-01"), Some("nvme-01"));
        for unknown in [r"E:\Hyper-V", "nvme-012", "D:", "Dü", ""] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
