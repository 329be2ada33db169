//! Where VMs live: datacenters, folders, clusters, hosts, pools, datastores, networks.

use super::{Id, World};

/// A datacenter and its four folders.
#[derive(Debug, Clone)]
pub struct Datacenter {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Folder it is in.
    pub parent: Id,
    /// Root of its VM folders.
    pub vm_folder: Id,
    /// Root of its host folders.
    pub host_folder: Id,
    /// Root of its datastore folders.
    pub datastore_folder: Id,
    /// Root of its network folders.
    pub network_folder: Id,
}

/// What a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// Datacenters: the root.
    Datacenters,
    /// VMs.
    Vms,
    /// Clusters and hosts.
    Hosts,
    /// Datastores.
    Datastores,
    /// Networks.
    Networks,
}

/// A folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its id.
    pub id: Id,
    /// Its name, unescaped.
    pub name: String,
    /// The folder or datacenter it is in; `None` for the root.
    pub parent: Option<Id>,
    /// What it may hold.
    pub kind: FolderKind,
}

/// A cluster, or the compute resource of one standalone host.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its host folder.
    pub folder: Id,
    /// Its root resource pool.
    pub pool: Id,
    /// One host by itself, not a cluster.
    pub single: bool,
}

/// Whether the management server reaches something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It does.
    Connected,
    /// It does not.
    Disconnected,
    /// It was connected and does not answer.
    NotResponding,
}

/// A host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its cluster or compute resource.
    pub cluster: Id,
    /// Memory of the machine.
    pub memory_mib: u64,
    /// CPU cores.
    pub cores: u16,
    /// Reached?
    pub link: Link,
    /// In maintenance?
    pub maintenance: bool,
}

/// A resource pool.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its id.
    pub id: Id,
    /// Its name (`Resources` for a root pool).
    pub name: String,
    /// The pool it is in; `None` for a cluster's root pool.
    pub parent: Option<Id>,
    /// The cluster it belongs to.
    pub cluster: Id,
}

/// A place for files.
#[derive(Debug, Clone)]
pub struct Datastore {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: Id,
    /// Size in bytes.
    pub capacity: u64,
    /// Bytes given away to files: thick counting, so that a test can fill it.
    pub used: u64,
    /// Reached?
    pub accessible: bool,
    /// In maintenance?
    pub maintenance: bool,
    /// Hosts that mount it; empty: all.
    pub hosts: Vec<Id>,
}

/// What a distributed port group has more than a network.
#[derive(Debug, Clone)]
pub struct Distributed {
    /// Key of the port group, as NIC backings name it.
    pub key: String,
    /// UUID of its switch, as vCenter writes it.
    pub switch_uuid: String,
    /// The switch.
    pub switch: Id,
}

/// A network.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: Id,
    /// Set for a distributed port group.
    pub distributed: Option<Distributed>,
    /// Hosts that reach it; empty: all.
    pub hosts: Vec<Id>,
}

impl World {
    /// The root folder: the first one made.
    pub fn root_folder(&self) -> Option<Id> {
        self.folders.values().find(|folder| folder.parent.is_none()).map(|folder| folder.id)
    }

    /// The datacenter a folder is below.
    pub fn datacenter_of_folder(&self, folder: Id) -> Option<&Datacenter> {
        let mut at = folder;
        // Bounded: no folder tree is deeper, and a loop made by a test must not hang the lab.
        for _ in 0..64 {
            if let Some(datacenter) = self.datacenters.get(&at) {
                return Some(datacenter);
            }
            at = self.folders.get(&at)?.parent?;
        }
        None
    }

    /// Makes a folder below another; the name must be free there.
    pub fn create_folder(&mut self, parent: Id, name: &str) -> Result<Id, super::Refusal> {
        let kind = self.folders.get(&parent).ok_or(super::Refusal::Gone(parent))?.kind;
        if name.is_empty() || name.chars().count() > 80 {
            return Err(super::Refusal::Invalid { field: "name".into() });
        }
        let taken = self.folders.values().find(|folder| folder.parent == Some(parent) && folder.name == name);
        if let Some(by) = taken.map(|folder| folder.id).or_else(|| self.name_taken(parent, name, None)) {
            return Err(super::Refusal::NameTaken { name: name.into(), by });
        }
        let id = self.fresh_id();
        self.bump();
        self.folders.insert(id, Folder { id, name: name.into(), parent: Some(parent), kind });
        Ok(id)
    }

    /// A folder by its path below a datacenter's VM root, such as `Prod/tierwright`.
    pub fn vm_folder(&self, path: &str) -> Option<Id> {
        let mut at = self.datacenters.values().next()?.vm_folder;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.folders.values().find(|folder| folder.parent == Some(at) && folder.name == name)?.id;
        }
        Some(at)
    }

    /// Hosts of a cluster.
    pub fn hosts_of(&self, cluster: Id) -> impl Iterator<Item = &Host> {
        self.hosts.values().filter(move |host| host.cluster == cluster)
    }

    /// A datastore by name.
    pub fn datastore_named(&self, name: &str) -> Option<&Datastore> {
        self.datastores.values().find(|datastore| datastore.name == name)
    }

    /// A network by name.
    pub fn network_named(&self, name: &str) -> Option<&Network> {
        self.networks.values().find(|network| network.name == name)
    }
}
