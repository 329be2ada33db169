//! The whole inventory, in a number of calls that does not grow with VMs.
//!
//! ```text
//! each time            systems, checkpoints, guests, volumes, switches; the cluster's roles
//! first, and hourly    all settings of all VMs, one enumeration for each class
//! otherwise            the settings of VMs whose time of last change moved
//! a disk's size        one call, when its VM is read: no class lists sizes of virtual disks
//! ```
//!
//! A host that does not answer makes the VMs it had unknown, and so does a node that the settings do not name. A VM
//! that the cluster has a role for and no node shows is looked for again: it is moving.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::cluster::View;
use super::convert::{self, Surroundings, Vhds};
use super::fault::Failure;
use super::host::{Facts, Host, same_node};
use super::hosts::Hosts;
use super::machine::{self, Machine};
use super::parts::{self, Scope, System};
use super::vhd;
use super::{capabilities, client::Client};
use crate::inventory::{self, Catalog, Image, Known, Missing, Network, Observed, Storage};
use crate::model::{Bytes, Config, NetworkTarget, ObservedVm, OwnId, Placed};
use crate::provider::ErrorKind;

/// Settings are read of all VMs at least so often, should a host not move its times for some change.
const ALL_EVERY: Duration = Duration::from_hours(1);
/// More changed VMs than this are read by reading all.
const FEW: usize = 5;
/// Disks looked into at a time.
const DISKS_AT_ONCE: usize = 4;

/// What was read of a host before.
#[derive(Debug, Default)]
pub(super) struct Memory {
    machines: BTreeMap<String, (String, Result<Machine, String>)>,
    pub vhds: Vhds,
    all_at: Option<Instant>,
}

/// One host, read.
struct Reading {
    facts: Facts,
    systems: Vec<System>,
    machines: BTreeMap<String, Result<Machine, String>>,
    vhds: Vhds,
    around: Surroundings,
    volumes: Vec<Storage>,
    /// The host itself is shown to whoever may read VMs at all: without it an empty list means nothing.
    sees_itself: bool,
    /// VMs that have settings and are not listed: the list was cut.
    unlisted: usize,
}

/// Everything of one endpoint.
pub(super) async fn collect(hosts: &Hosts, known: &[Known]) -> Result<Observed, Failure> {
    let outcomes = join_all(hosts.list.iter().map(|host| Box::pin(read_host(host)))).await;
    let mut readings = Vec::new();
    let mut gaps = Vec::new();
    let mut failed = None;
    for (host, outcome) in hosts.list.iter().zip(outcomes) {
        match outcome {
            Ok(reading) if reading.sees_itself => {
                if reading.unlisted > 0 {
                    let why = "VMs have settings and are not listed";
                    gaps.push(format!("{}: {} {why}", host.client.url(), reading.unlisted));
                }
                readings.push(reading);
            }
            Ok(_) => {
                let why = "the account sees not even the host itself: it is no Hyper-V administrator there";
                gaps.push(format!("{}: {why}", host.client.url()));
                failed.get_or_insert(Failure::because(ErrorKind::Denied, why));
            }
            Err(failure) => {
                gaps.push(format!("{}: {failure}", host.client.url()));
                failed.get_or_insert(failure);
            }
        }
    }
    if readings.is_empty() {
        return Err(failed.unwrap_or_else(|| Failure::senseless("no host was asked")));
    }
    let view = hosts.cluster().await.unwrap_or_else(|failure| {
        gaps.push(format!("the cluster cannot be asked: {failure}"));
        None
    });
    gaps.extend(view.iter().flat_map(|view| strangers(view, &readings, hosts.list.len())));
    let mut vms = observed_vms(&readings, view.as_ref());
    let moving = moving(view.as_ref(), &vms, &readings);
    for (guid, role) in moving {
        vms.push(match Box::pin(hosts.look(&guid)).await {
            Ok(Some(live)) => placed(live.observed(), view.as_ref()),
            Ok(None) => continue, // its role went with it meanwhile
            Err(failure) => unreadable(&guid, &role, &failure),
        });
    }
    convert::mark_shared(&mut vms);
    vms.sort_by(|one, other| (&one.id, &one.placed.host).cmp(&(&other.id, &other.placed.host)));
    let incomplete = (!gaps.is_empty()).then(|| gaps.join("; "));
    let missing = missing(hosts, known, &vms, (incomplete.as_deref(), &readings)).await;
    Ok(Observed {
        capabilities: capabilities(&readings[0].facts),
        incomplete,
        vms,
        catalog: catalog(&readings, view.as_ref()),
        missing,
    })
}

async fn read_host(host: &Host) -> Result<Reading, Failure> {
    let client = &host.client;
    let before = client.traffic();
    let facts = host.facts().await?;
    // Held throughout: two collections at once would only do the same work twice.
    let mut memory = host.memory.lock().await;
    let (mut systems, (realized, checkpointed), guests, volumes, switches) = futures_util::try_join!(
        parts::systems(client, Scope::All),
        parts::inhabitants(client),
        parts::guests(client, Scope::All),
        host.volumes(),
        host.switches(),
    )?;
    let unlisted =
        |systems: &[System]| realized.iter().filter(|guid| systems.iter().all(|system| system.guid != **guid)).count();
    if unlisted(&systems) > 0 {
        // One may have been made, or have moved here, between the two lists.
        systems = parts::systems(client, Scope::All).await?;
    }
    let unlisted = unlisted(&systems);
    let sees_itself = systems.iter().any(|system| system.guid.is_empty());
    let systems: Vec<System> = systems.into_iter().filter(|system| !system.guid.is_empty()).collect();
    let changed = memory.refresh(client, &systems).await?;
    memory.refresh_disks(client, &systems, &changed).await?;
    let (addresses, obedient) = guests;
    let mut machines: BTreeMap<String, Result<Machine, String>> =
        memory.machines.iter().map(|(guid, (_, machine))| (guid.clone(), machine.clone())).collect();
    for (guid, machine) in &mut machines {
        let Ok(machine) = machine else { continue };
        machine.checkpointed = checkpointed.contains(guid);
        machine.obedient = obedient.contains(guid);
        machine.addresses = addresses.iter().filter(|(vm, _)| vm == guid).map(|(_, text)| Arc::clone(text)).collect();
        machine.addresses.sort();
    }
    let after = client.traffic();
    tracing::debug!(
        host = %facts.name, vms = systems.len(), read = changed.len(),
        calls = after.0 - before.0, bytes = after.1 - before.1, "inventory"
    );
    let around = Surroundings { host: Arc::clone(&facts.name), cluster: None, switches };
    Ok(Reading { facts, systems, machines, vhds: memory.vhds.clone(), around, volumes, sees_itself, unlisted })
}

impl Memory {
    /// Reads the settings of what has changed; gives those VMs.
    async fn refresh(&mut self, client: &Client, systems: &[System]) -> Result<BTreeSet<String>, Failure> {
        let stale: BTreeSet<&str> = systems
            .iter()
            .filter(|system| self.machines.get(&system.guid).is_none_or(|(stamp, _)| *stamp != system.stamp))
            .map(|system| system.guid.as_str())
            .collect();
        let all = self.all_at.is_none_or(|at| at.elapsed() > ALL_EVERY) || stale.len() > FEW;
        let mut read = BTreeMap::new();
        if all {
            read = machine::join(parts::read(client, Scope::All).await?);
            self.all_at = Some(crate::clock::instant());
        } else {
            for guid in stale {
                read.extend(machine::join(parts::read(client, Scope::One(guid)).await?));
            }
        }
        self.machines.retain(|guid, _| systems.iter().any(|system| system.guid == *guid));
        let mut changed = BTreeSet::new();
        for system in systems {
            let Some(machine) = read.remove(&system.guid) else { continue };
            changed.insert(system.guid.clone());
            self.machines.insert(system.guid.clone(), (system.stamp.clone(), machine));
        }
        Ok(changed)
    }

    /// Looks into the disks of VMs that have changed; a copy of Replica's is none of ours.
    async fn refresh_disks(
        &mut self,
        client: &Client,
        systems: &[System],
        changed: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let replicas: BTreeSet<&str> =
            systems.iter().filter(|system| system.replica).map(|system| system.guid.as_str()).collect();
        let (mut needed, mut fresh) = (BTreeSet::new(), BTreeSet::new());
        for (guid, (_, machine)) in self.machines.iter().filter(|(guid, _)| !replicas.contains(guid.as_str())) {
            for (_, disk) in machine.iter().flat_map(Machine::disks) {
                needed.insert(disk.path.to_lowercase());
                if changed.contains(guid) || !matches!(self.vhds.get(&disk.path.to_lowercase()), Some(Ok(_))) {
                    fresh.insert(disk.path.clone());
                }
            }
        }
        let read = read_vhds(client, fresh.into_iter().collect()).await?;
        self.vhds.retain(|path, _| needed.contains(path));
        self.vhds.extend(read);
        Ok(())
    }
}

/// Looks into disks, a few at a time. One that the host refuses to show is told as such; a host that does not answer is
/// a failure of the whole.
pub(super) async fn read_vhds(client: &Client, paths: Vec<String>) -> Result<Vhds, Failure> {
    let mut vhds = Vhds::new();
    let mut reading = stream::iter(paths)
        .map(|path| async move { (path.to_lowercase(), vhd::read(client, &path).await) })
        .buffer_unordered(DISKS_AT_ONCE);
    while let Some((path, outcome)) = reading.next().await {
        let told = match outcome {
            Ok(vhd) => Ok(vhd),
            Err(failure @ Failure::Fault(_)) => Err(failure.to_string()),
            Err(failure) => return Err(failure),
        };
        vhds.insert(path, told);
    }
    Ok(vhds)
}

/// Nodes of the cluster that nobody could ask because the settings do not name them.
fn strangers(view: &View, readings: &[Reading], urls: usize) -> Vec<String> {
    let answered = |node: &str| readings.iter().any(|reading| same_node(&reading.facts.name, node));
    let strange: Vec<&str> = view.nodes.iter().map(|(node, _)| &**node).filter(|node| !answered(node)).collect();
    // A node that is named and did not answer is told already, by its URL.
    if strange.is_empty() || urls >= view.nodes.len() {
        return Vec::new();
    }
    vec![format!("the settings do not name all nodes of cluster {}: {} did not answer", view.name, strange.join(", "))]
}

fn observed_vms(readings: &[Reading], view: Option<&View>) -> Vec<ObservedVm> {
    let mut vms = Vec::new();
    for reading in readings {
        for system in reading.systems.iter().filter(|system| !system.replica) {
            // Just after a live migration both nodes may show it: it is where the cluster says.
            let owner = view.and_then(|view| view.roles.get(&system.guid)).map(|role| role.owner.as_str());
            let elsewhere = |owner: &str| {
                !same_node(owner, &reading.facts.name)
                    && readings.iter().any(|other| {
                        same_node(owner, &other.facts.name)
                            && other.systems.iter().any(|there| there.guid == system.guid && !there.replica)
                    })
            };
            if owner.is_some_and(elsewhere) {
                continue;
            }
            let lacking = Err("the host gives no settings of it".to_owned());
            let machine = reading.machines.get(&system.guid).unwrap_or(&lacking);
            vms.push(placed(convert::vm(&reading.around, system, machine, &reading.vhds), view));
        }
    }
    vms
}

fn placed(mut vm: ObservedVm, view: Option<&View>) -> ObservedVm {
    vm.placed.cluster = view.map(|view| Arc::clone(&view.name));
    vm
}

/// VMs with a role on a node that answered, which no node shows.
fn moving(view: Option<&View>, vms: &[ObservedVm], readings: &[Reading]) -> Vec<(String, super::cluster::Role)> {
    let Some(view) = view else { return Vec::new() };
    let seen: BTreeSet<&str> = vms.iter().map(|vm| vm.id.as_str()).collect();
    let answered = |owner: &str| readings.iter().any(|reading| same_node(&reading.facts.name, owner));
    view.roles
        .iter()
        .filter(|(guid, role)| !seen.contains(guid.as_str()) && answered(&role.owner))
        .map(|(guid, role)| (guid.clone(), role.clone()))
        .collect()
}

fn unreadable(guid: &str, role: &super::cluster::Role, failure: &Failure) -> ObservedVm {
    ObservedVm {
        id: OwnId::new(guid),
        handle: "".into(),
        name: role.group.as_str().into(),
        placed: Placed { host: Some(role.owner.as_str().into()), ..Placed::default() },
        config: Config::Unreadable(failure.to_string()),
    }
}

/// What became of VMs that were known and are not listed.
async fn missing(
    hosts: &Hosts,
    known: &[Known],
    vms: &[ObservedVm],
    (incomplete, readings): (Option<&str>, &[Reading]),
) -> BTreeMap<OwnId, Missing> {
    let listed: BTreeSet<&OwnId> = vms.iter().map(|vm| &vm.id).collect();
    let mut missing = BTreeMap::new();
    for known in known.iter().filter(|known| !listed.contains(&known.id)) {
        let guid = known.id.as_str();
        let copied = readings.iter().any(|reading| reading.systems.iter().any(|system| system.guid == guid));
        let answer = match incomplete {
            Some(why) => Missing::Unknown(why.to_owned()),
            None if copied => Missing::Unknown("only a copy that Hyper-V Replica keeps is there".to_owned()),
            None => match Box::pin(hosts.look(guid)).await {
                Ok(None) => Missing::NotFound,
                Ok(Some(live)) => {
                    Missing::Unknown(format!("it is on {}, and the listing left it out", live.around.host))
                }
                Err(failure) => Missing::Unknown(failure.to_string()),
            },
        };
        missing.insert(known.id.clone(), answer);
    }
    missing
}

fn catalog(readings: &[Reading], view: Option<&View>) -> Catalog {
    let mut catalog = Catalog::default();
    let several = readings.len() > 1;
    for reading in readings {
        let facts = &reading.facts;
        let node = view.and_then(|view| view.nodes.iter().find(|(node, _)| same_node(node, &facts.name)));
        catalog.hosts.push(inventory::Host {
            name: Arc::clone(&facts.name),
            cluster: view.map(|view| Arc::clone(&view.name)),
            datacenter: None,
            memory: facts.memory,
            usable: node.is_none_or(|(_, up)| *up),
        });
        for volume in &reading.volumes {
            add_storage(&mut catalog, volume, several.then_some(&facts.name));
        }
        for name in reading.around.switches.values() {
            add_network(&mut catalog, name, several.then_some(&facts.name));
        }
    }
    // A disk file anywhere on a volume serves as an image: one disk, whose size is seen when it is used.
    catalog.images = catalog
        .storage
        .iter()
        .map(|storage| {
            let source = Arc::clone(&storage.name);
            Image { source, datacenter: None, disks: vec![Bytes(0)], firmware: None }
        })
        .collect();
    catalog.images.dedup_by(|one, other| one.source == other.source);
    catalog
}

/// A volume that the cluster shares is one place that all nodes reach; any other belongs to its host.
fn add_storage(catalog: &mut Catalog, volume: &Storage, host: Option<&Arc<str>>) {
    let shared = volume.name.to_ascii_lowercase().contains(r"\clusterstorage\");
    if shared && catalog.storage.iter().any(|storage| storage.name == volume.name) {
        return;
    }
    let hosts = host.filter(|_| !shared).into_iter().cloned().collect();
    catalog.storage.push(Storage { hosts, ..volume.clone() });
    catalog.storage.sort_by(|one, other| (&one.name, &one.hosts).cmp(&(&other.name, &other.hosts)));
}

/// Switches of one name on several nodes are one network: that is how VMs move between them.
fn add_network(catalog: &mut Catalog, name: &Arc<str>, host: Option<&Arc<str>>) {
    if let Some(network) = catalog.networks.iter_mut().find(|network| network.target.name == **name) {
        network.hosts.extend(host.cloned());
    } else {
        let target = NetworkTarget { name: name.to_string(), vlan: None };
        catalog.networks.push(Network { target, datacenter: None, hosts: host.cloned().into_iter().collect() });
    }
}
