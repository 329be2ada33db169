//! Everything of an inventory that is not a VM: who stands below whom, and what a plan needs to know of each. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::device::NetworkNames;
use super::names::unescape;
use super::property::{Object, Wanted};
use super::soap::Moref;
use crate::inventory;
use crate::model::{Bytes, NetworkTarget, Words};

/// What is read of each type. Subtypes (clusters, distributed port groups, vApps) come with their base type.
pub(super) const WANTED: &[Wanted<'static>] = &[
    Wanted { kind: "Folder", paths: &["name", "parent", "childEntity"] },
    Wanted {
        kind: "Datacenter",
        paths: &["name", "parent", "vmFolder", "hostFolder", "datastoreFolder", "networkFolder"],
    },
    Wanted { kind: "ComputeResource", paths: &["name", "parent", "host", "resourcePool"] },
    Wanted {
        kind: "HostSystem",
        paths: &[
            "name",
            "parent",
            "summary.hardware.memorySize",
            "runtime.connectionState",
            "runtime.inMaintenanceMode",
            "datastore",
            "network",
        ],
    },
    Wanted { kind: "ResourcePool", paths: &["name", "parent", "owner", "resourcePool", "vm"] },
    Wanted {
        kind: "Datastore",
        paths: &[
            "name",
            "parent",
            "summary.capacity",
            "summary.freeSpace",
            "summary.accessible",
            "summary.maintenanceMode",
        ],
    },
    Wanted { kind: "Network", paths: &["name", "parent"] },
    Wanted {
        kind: "DistributedVirtualPortgroup",
        paths: &["name", "parent", "key", "config.distributedVirtualSwitch"],
    },
    Wanted { kind: "OpaqueNetwork", paths: &["name", "parent", "summary"] },
];

/// The same for a step, which needs names and where things stand. What a folder or pool holds is left out: that is
/// every VM there is, and each step of a thousand would read it.
pub(super) const SURROUNDINGS: &[Wanted<'static>] = &[
    Wanted { kind: "Folder", paths: &["name", "parent"] },
    Wanted { kind: "Datacenter", paths: &["name", "parent", "vmFolder"] },
    Wanted { kind: "ComputeResource", paths: &["name", "parent", "resourcePool"] },
    Wanted { kind: "HostSystem", paths: &["name", "parent"] },
    Wanted { kind: "ResourcePool", paths: &["name", "parent", "owner"] },
    Wanted { kind: "Datastore", paths: &["name", "parent"] },
    Wanted { kind: "Network", paths: &["name", "parent"] },
    Wanted {
        kind: "DistributedVirtualPortgroup",
        paths: &["name", "parent", "key", "config.distributedVirtualSwitch"],
    },
    Wanted { kind: "OpaqueNetwork", paths: &["name", "parent", "summary"] },
];

/// Types that a view over everything but VMs shows.
pub(super) const KINDS: &[&str] =
    &["Folder", "Datacenter", "ComputeResource", "HostSystem", "ResourcePool", "Datastore", "Network"];

/// Is something of that type read at all? A folder may also hold what is of no interest, such as a switch.
pub(super) fn is_read(kind: &str) -> bool {
    matches!(
        kind,
        "VirtualMachine"
            | "Folder"
            | "StoragePod"
            | "Datacenter"
            | "ComputeResource"
            | "ClusterComputeResource"
            | "HostSystem"
            | "ResourcePool"
            | "VirtualApp"
            | "Datastore"
            | "Network"
            | "DistributedVirtualPortgroup"
            | "OpaqueNetwork"
    )
}

/// One thing in the inventory.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub moref: Moref,
    /// Unescaped.
    pub name: Arc<str>,
    pub parent: Option<Moref>,
    pub facts: Facts,
    /// Why something of it could not be read.
    unreadable: Option<String>,
}

/// What is particular to its type.
#[derive(Debug, Clone)]
pub(super) enum Facts {
    Folder { children: Vec<Moref> },
    Datacenter { vm_folder: Option<Moref>, folders: Vec<Moref> },
    Compute { hosts: Vec<Moref>, pool: Option<Moref> },
    Host { memory: u64, usable: bool, datastores: Vec<Moref>, networks: Vec<Moref> },
    Pool { owner: Option<Moref>, pools: Vec<Moref>, vms: Vec<Moref> },
    Datastore { capacity: u64, free: u64, usable: bool },
    Network,
    PortGroup { key: String, switch: Option<Moref> },
    Opaque { id: String, kind: String },
}

/// Reads one object, unless it is a VM.
pub(super) fn entity(object: &Object<'_>, _: &mut Words) -> Option<Entity> {
    let number = |path: &str| object.text(path).and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    let list = |path: &str| object.references(path).collect::<Vec<_>>();
    let facts = match &*object.moref.kind {
        "Folder" | "StoragePod" => Facts::Folder { children: list("childEntity") },
        "Datacenter" => Facts::Datacenter {
            vm_folder: object.reference("vmFolder"),
            folders: ["vmFolder", "hostFolder", "datastoreFolder", "networkFolder"]
                .into_iter()
                .filter_map(|path| object.reference(path))
                .collect(),
        },
        "ComputeResource" | "ClusterComputeResource" => {
            Facts::Compute { hosts: list("host"), pool: object.reference("resourcePool") }
        }
        "HostSystem" => Facts::Host {
            memory: number("summary.hardware.memorySize"),
            usable: object.text("runtime.connectionState") == Some("connected")
                && object.text("runtime.inMaintenanceMode") != Some("true"),
            datastores: list("datastore"),
            networks: list("network"),
        },
        "ResourcePool" | "VirtualApp" => {
            Facts::Pool { owner: object.reference("owner"), pools: list("resourcePool"), vms: list("vm") }
        }
        "Datastore" => Facts::Datastore {
            capacity: number("summary.capacity"),
            free: number("summary.freeSpace"),
            usable: object.text("summary.accessible") != Some("false")
                && matches!(object.text("summary.maintenanceMode"), None | Some("" | "normal")),
        },
        "DistributedVirtualPortgroup" => Facts::PortGroup {
            // The key is the reference's value on every server seen; the property is what the API promises.
            key: object.text("key").filter(|key| !key.is_empty()).unwrap_or(&object.moref.value).to_owned(),
            switch: object.reference("config.distributedVirtualSwitch"),
        },
        "OpaqueNetwork" => {
            let summary = object.get("summary");
            let fact = |name: &str| summary.and_then(|summary| summary.text_of(name)).unwrap_or_default().to_owned();
            Facts::Opaque { id: fact("opaqueNetworkId"), kind: fact("opaqueNetworkType") }
        }
        "Network" => Facts::Network,
        _ => return None,
    };
    Some(Entity {
        name: unescape(object.text("name").unwrap_or_default()).into(),
        parent: object.reference("parent"),
        unreadable: object.missing("").map(|fault| fault.to_string()),
        facts,
        moref: object.moref.clone(),
    })
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    entities: HashMap<Moref, Entity>,
}

impl Tree {
    pub(super) fn new(entities: impl IntoIterator<Item = Entity>) -> Self {
        Self { entities: entities.into_iter().map(|entity| (entity.moref.clone(), entity)).collect() }
    }

    pub(super) fn get(&self, moref: &Moref) -> Option<&Entity> {
        self.entities.get(moref)
    }

    /// All of them, in an order that does not change.
    pub(super) fn sorted(&self) -> Vec<&Entity> {
        let mut all: Vec<_> = self.entities.values().collect();
        all.sort_by(|a, b| (&a.name, &a.moref).cmp(&(&b.name, &b.moref)));
        all
    }

    /// From an object up to the root, itself first.
    fn ancestors<'t>(&'t self, start: &Moref) -> impl Iterator<Item = &'t Entity> + use<'t> {
        // A server that told of a circle must not make this turn for ever.
        std::iter::successors(self.get(start), |entity| self.get(entity.parent.as_ref()?)).take(64)
    }

    /// The datacenter something stands in.
    pub(super) fn datacenter(&self, moref: &Moref) -> Option<&Entity> {
        self.ancestors(moref).find(|entity| matches!(entity.facts, Facts::Datacenter { .. }))
    }

    /// The cluster a host is in; a standalone host's own compute resource is none.
    pub(super) fn cluster(&self, host: &Moref) -> Option<&Entity> {
        self.get(self.get(host)?.parent.as_ref()?).filter(|parent| parent.moref.kind == "ClusterComputeResource")
    }

    /// A VM folder's path below its datacenter's VM root; the root itself is the empty path.
    pub(super) fn vm_folder_path(&self, folder: &Moref) -> Option<String> {
        let datacenter = self.datacenter(folder)?;
        let Facts::Datacenter { vm_folder: Some(root), .. } = &datacenter.facts else { return None };
        let mut names = Vec::new();
        for entity in self.ancestors(folder) {
            if entity.moref == *root {
                names.reverse();
                return Some(names.join("/"));
            }
            // A slash inside a name would read as two folders; it stays escaped in a path.
            names.push(entity.name.replace('/', "%2f"));
        }
        None
    }

    /// Port group keys and opaque ids to names.
    pub(super) fn network_names(&self) -> NetworkNames {
        let mut names = NetworkNames::default();
        for entity in self.entities.values() {
            match &entity.facts {
                Facts::PortGroup { key, .. } => {
                    names.port_groups.insert(key.clone(), entity.name.to_string());
                }
                Facts::Opaque { id, .. } => {
                    names.opaque.insert(id.clone(), entity.name.to_string());
                }
                _ => {}
            }
        }
        names
    }

    /// One more thing, read later.
    pub(super) fn add(&mut self, entity: Entity) {
        self.entities.insert(entity.moref.clone(), entity);
    }

    /// Everything that something here says it holds, from the root down: a whole inventory has all of it.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Moref> {
        self.entities.values().flat_map(|entity| {
            let (some, more): (&[Moref], &[Moref]) = match &entity.facts {
                Facts::Folder { children } => (children, &[]),
                Facts::Datacenter { folders, .. } => (folders, &[]),
                Facts::Compute { hosts, pool } => (hosts, pool.as_slice()),
                Facts::Pool { pools, vms, .. } => (pools, vms),
                Facts::Host { .. }
                | Facts::Datastore { .. }
                | Facts::Network
                | Facts::PortGroup { .. }
                | Facts::Opaque { .. } => (&[], &[]),
            };
            some.iter().chain(more)
        })
    }

    /// What keeps VMs from being seen, if anything: something that holds VMs and cannot be read.
    pub(super) fn gaps(&self) -> Option<String> {
        let holds = |entity: &&&Entity| {
            matches!(
                entity.facts,
                Facts::Folder { .. } | Facts::Pool { .. } | Facts::Host { .. } | Facts::Compute { .. }
            )
        };
        let all = self.sorted();
        let mut gaps: Vec<String> = all
            .iter()
            .filter(holds)
            .filter_map(|entity| {
                let why = entity.unreadable.as_ref()?;
                Some(format!("{} {} cannot be read: {why}", entity.moref.kind, entity.moref.value))
            })
            .collect();
        let more = gaps.len().saturating_sub(3);
        gaps.truncate(3);
        let text = gaps.join("; ");
        match (text.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(text),
            (false, more) => Some(format!("{text}; and {more} more")),
        }
    }

    /// The catalog, images aside.
    pub(super) fn catalog(&self) -> inventory::Catalog {
        let mut catalog = inventory::Catalog::default();
        let reached = self.reached();
        for entity in self.sorted() {
            let datacenter = self.datacenter(&entity.moref).map(|found| Arc::clone(&found.name));
            let hosts = reached.get(&entity.moref).cloned().unwrap_or_default();
            match &entity.facts {
                Facts::Host { memory, usable, .. } => catalog.hosts.push(inventory::Host {
                    name: Arc::clone(&entity.name),
                    cluster: self.cluster(&entity.moref).map(|found| Arc::clone(&found.name)),
                    datacenter,
                    memory: Bytes(*memory),
                    usable: *usable,
                }),
                Facts::Datastore { capacity, free, usable } => catalog.storage.push(inventory::Storage {
                    name: Arc::clone(&entity.name),
                    datacenter,
                    capacity: Bytes(*capacity),
                    free: Bytes(*free),
                    // One that no host has mounted cannot be used, and an empty list would say the opposite.
                    usable: *usable && !hosts.is_empty(),
                    hosts,
                }),
                Facts::Network | Facts::PortGroup { .. } | Facts::Opaque { .. } => {
                    catalog.networks.push(inventory::Network {
                        target: NetworkTarget { name: entity.name.to_string(), vlan: None },
                        datacenter,
                        hosts,
                    });
                }
                Facts::Folder { .. } => {
                    if let Some(path) = self.vm_folder_path(&entity.moref).filter(|path| !path.is_empty()) {
                        catalog.folders.push(inventory::Folder { path: path.into(), datacenter });
                    }
                }
                Facts::Pool { owner, .. } => {
                    if let Some(parent) = self.owner_of_inner_pool(entity, owner.as_ref()) {
                        let name = Arc::clone(&entity.name);
                        catalog.resource_pools.push(inventory::ResourcePool { name, parent });
                    }
                }
                Facts::Datacenter { .. } | Facts::Compute { .. } => {}
            }
        }
        catalog
    }

    /// The cluster or host of a resource pool; `None` for the root pool, which stands for the whole of it.
    fn owner_of_inner_pool(&self, pool: &Entity, owner: Option<&Moref>) -> Option<Arc<str>> {
        let is_root = pool.parent.as_ref() == owner;
        let owner = self.get(owner?)?;
        (!is_root && pool.moref.kind == "ResourcePool").then(|| Arc::clone(&owner.name))
    }

    /// Which hosts reach a datastore or a network, by name.
    fn reached(&self) -> BTreeMap<Moref, Vec<Arc<str>>> {
        let mut reached: BTreeMap<Moref, Vec<Arc<str>>> = BTreeMap::new();
        for host in self.sorted() {
            if let Facts::Host { datastores, networks, .. } = &host.facts {
                for moref in datastores.iter().chain(networks) {
                    reached.entry(moref.clone()).or_default().push(Arc::clone(&host.name));
                }
            }
        }
        reached
    }
}
