//! Names of an order turned into objects of this server: datacenter, folder, pool, host, datastore, network.
//!
//! A name that is not there, or there twice, stops the order: nothing is chosen that the plan did not say.

use super::fault::Failure;
use super::names::escape;
use super::pages::{self, Each};
use super::property::{From, Wanted};
use super::soap::{Moref, Request, reference};
use super::spec::Backing;
use super::tree::{Entity, Facts, Tree};
use super::work::{Change, Work};
use crate::model::Placement;
use crate::provider::{ErrorKind, StepError};

/// Where a VM goes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub datacenter: Moref,
    pub folder: Moref,
    pub pool: Moref,
    pub host: Option<Moref>,
    /// `None`: where the image is.
    pub datastore: Option<Moref>,
}

fn wrong(why: impl Into<String>) -> Failure {
    Failure::because(ErrorKind::NotFound, why)
}

/// The only one of some, or why there is none.
fn only<'t>(mut found: Vec<&'t Entity>, what: &str, name: &str) -> Result<&'t Entity, Failure> {
    match (found.pop(), found.len()) {
        (Some(entity), 0) => Ok(entity),
        (None, _) => Err(wrong(format!("there is no {what} `{name}`"))),
        (Some(_), more) => {
            let why = format!("{} {what}s are called `{name}`: name the datacenter", more + 1);
            Err(Failure::because(ErrorKind::Conflict, why))
        }
    }
}

/// Things of that name, below the datacenter when one is given.
fn named<'t>(tree: &'t Tree, name: &str, below: Option<&Moref>, fits: impl Fn(&Entity) -> bool) -> Vec<&'t Entity> {
    let inside = |entity: &Entity| {
        below.is_none_or(|datacenter| tree.datacenter(&entity.moref).is_some_and(|found| found.moref == *datacenter))
    };
    tree.sorted().into_iter().filter(|entity| *entity.name == *name && fits(entity) && inside(entity)).collect()
}

/// The datacenter an order means.
fn datacenter<'t>(tree: &'t Tree, placement: &Placement) -> Result<&'t Entity, Failure> {
    let is_datacenter = |entity: &Entity| matches!(entity.facts, Facts::Datacenter { .. });
    if let Some(name) = &placement.datacenter {
        return only(named(tree, name, None, is_datacenter), "datacenter", name);
    }
    let all: Vec<&Entity> = tree.sorted().into_iter().filter(|entity| is_datacenter(entity)).collect();
    if let [single] = all.as_slice() {
        return Ok(single);
    }
    // Several: the cluster or host says which.
    let compute = compute(tree, placement, None)?.0;
    tree.datacenter(&compute.moref).ok_or_else(|| wrong("its cluster stands in no datacenter"))
}

/// The cluster or standalone host, and the host when one is named.
fn compute<'t>(
    tree: &'t Tree,
    placement: &Placement,
    below: Option<&Moref>,
) -> Result<(&'t Entity, Option<&'t Entity>), Failure> {
    let host = match &placement.host {
        Some(name) => {
            let hosts = named(tree, name, below, |entity| matches!(entity.facts, Facts::Host { .. }));
            Some(only(hosts, "host", name)?)
        }
        None => None,
    };
    let of_host = host.and_then(|host| tree.get(host.parent.as_ref()?));
    if let Some(name) = &placement.cluster {
        let cluster =
            only(named(tree, name, below, |entity| entity.moref.kind == "ClusterComputeResource"), "cluster", name)?;
        if of_host.is_some_and(|parent| parent.moref != cluster.moref) {
            return Err(wrong(format!(
                "host `{}` is not in cluster `{name}`",
                placement.host.as_deref().unwrap_or("")
            )));
        }
        return Ok((cluster, host));
    }
    if let Some(parent) = of_host {
        return Ok((parent, host));
    }
    let is_compute = |entity: &Entity| matches!(entity.facts, Facts::Compute { .. });
    let all: Vec<&Entity> = tree.sorted().into_iter().filter(|entity| is_compute(entity)).collect();
    match all.as_slice() {
        [single] => Ok((single, None)),
        _ => Err(wrong("the placement names neither cluster nor host, and there are several")),
    }
}

fn pool(tree: &Tree, placement: &Placement, compute: &Entity) -> Result<Moref, Failure> {
    let Some(name) = &placement.resource_pool else {
        let Facts::Compute { pool: Some(pool), .. } = &compute.facts else {
            return Err(wrong(format!("`{}` has no resource pool", compute.name)));
        };
        return Ok(pool.clone());
    };
    let owned =
        |entity: &Entity| matches!(&entity.facts, Facts::Pool { owner: Some(owner), .. } if *owner == compute.moref);
    only(named(tree, name, None, owned), "resource pool", name).map(|entity| entity.moref.clone())
}

/// A datastore by name.
pub(super) fn datastore(tree: &Tree, name: &str, datacenter: &Moref) -> Result<Moref, Failure> {
    let found = named(tree, name, Some(datacenter), |entity| matches!(entity.facts, Facts::Datastore { .. }));
    only(found, "datastore", name).map(|entity| entity.moref.clone())
}

/// One step down a folder path: the folder of that name below `parent`.
fn folder_in(tree: &Tree, parent: &Moref, name: &str) -> Option<Moref> {
    tree.sorted()
        .into_iter()
        .find(|entity| {
            entity.parent.as_ref() == Some(parent)
                && *entity.name == *name
                && matches!(entity.facts, Facts::Folder { .. })
        })
        .map(|entity| entity.moref.clone())
}

impl Work<'_> {
    /// All of an order's placement; makes missing folders where it may.
    pub(super) async fn place(&self, placement: &Placement) -> Result<Place, StepError> {
        let tree = self.tree().await?;
        let failed = || self.failed("find the placement");
        let datacenter = datacenter(tree, placement).map_err(failed())?;
        let (compute, host) = compute(tree, placement, Some(&datacenter.moref)).map_err(failed())?;
        let pool = pool(tree, placement, compute).map_err(failed())?;
        let datastore = match &placement.storage {
            Some(name) => Some(datastore(tree, name, &datacenter.moref).map_err(failed())?),
            None => None,
        };
        let folder = self.folder(datacenter, placement).await?;
        let host = host.map(|host| host.moref.clone());
        Ok(Place { datacenter: datacenter.moref.clone(), folder, pool, host, datastore })
    }

    /// The VM folder, made where missing and allowed.
    async fn folder(&self, datacenter: &Entity, placement: &Placement) -> Result<Moref, StepError> {
        let Facts::Datacenter { vm_folder: Some(root), .. } = &datacenter.facts else {
            return Err(self.failed("find the placement")(wrong("its datacenter has no VM folder")));
        };
        let tree = self.tree().await?;
        let mut folder = root.clone();
        let path = placement.folder.as_deref().unwrap_or_default();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let name = super::names::unescape(name);
            folder = match folder_in(tree, &folder, &name) {
                Some(found) => found,
                None if placement.create_folders => self.make_folder(&folder, &name).await?,
                None => {
                    let why =
                        format!("there is no VM folder `{path}` in `{}`, and createFolders is off", datacenter.name);
                    return Err(self.failed("find the placement")(wrong(why)));
                }
            };
        }
        Ok(folder)
    }

    async fn make_folder(&self, parent: &Moref, name: &str) -> Result<Moref, StepError> {
        // One at a time: several creates at once would otherwise all find it missing. Another step may have made it since
        // the tree was read.
        let _alone = self.door.folders.lock().await;
        if let Some(found) = folder_in(&self.read_tree().await?, parent, name) {
            return Ok(found);
        }
        let request = Request::new("CreateFolder", parent, |writer| {
            writer.leaf("name", &escape(name));
        })
        .map_err(|error| self.failed("CreateFolder")(error.into()))?;
        let change =
            Change { request, entity: parent.clone(), destroys: false, detail: format!("make the VM folder {name}") };
        let there = || async { Ok(folder_in(&self.read_tree().await?, parent, name).is_some()) };
        match self.make(change, there).await {
            Ok(Some(folder)) => return Ok(folder),
            Ok(None) => {}
            Err(error) => {
                // DuplicateName: another step was faster by a moment.
                return folder_in(&self.read_tree().await?, parent, name).ok_or(error);
            }
        }
        let found = folder_in(&self.read_tree().await?, parent, name);
        found.ok_or_else(|| self.error("CreateFolder", ErrorKind::Unexpected, "the folder was made and is not there"))
    }

    /// What a NIC is connected to, by the network's name.
    pub(super) async fn backing(&self, name: &str, datacenter: &Moref) -> Result<Backing, StepError> {
        let tree = self.tree().await?;
        let is_network =
            |entity: &Entity| matches!(entity.facts, Facts::Network | Facts::PortGroup { .. } | Facts::Opaque { .. });
        let network = only(named(tree, name, Some(datacenter), is_network), "network", name)
            .map_err(self.failed("find the network"))?;
        match &network.facts {
            Facts::PortGroup { key, switch } => {
                let switch = switch.as_ref().ok_or_else(|| {
                    self.failed("find the network")(wrong(format!("port group `{name}` names no switch")))
                })?;
                Ok(Backing::Distributed { switch: self.switch_uuid(switch).await?, key: key.clone() })
            }
            Facts::Opaque { id, kind } => Ok(Backing::Opaque { id: id.clone(), kind: kind.clone() }),
            _ => Ok(Backing::Standard { name: name.to_owned(), network: network.moref.clone() }),
        }
    }

    async fn switch_uuid(&self, switch: &Moref) -> Result<String, StepError> {
        let uuids = self
            .door
            .within(|session| async move {
                let wanted = [Wanted { kind: "DistributedVirtualSwitch", paths: &["uuid"] }];
                let switches = [switch.clone()];
                let uuid = Each::whole(|object, _| object.text("uuid").map(str::to_owned));
                pages::read(self.door, &session, &wanted, &From::Objects(&switches), uuid).await
            })
            .await
            .map_err(self.failed("read the switch"))?;
        uuids.into_iter().next().ok_or_else(|| self.failed("read the switch")(wrong("its switch tells no uuid")))
    }
}

/// Writes the parts of a place that CreateVM_Task takes after its config.
pub(super) fn write_pool_and_host(writer: &mut crate::xml::Writer, place: &Place) {
    reference(writer, "pool", &place.pool);
    if let Some(host) = &place.host {
        reference(writer, "host", host);
    }
}
