//! The world in the product's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use tierwright::inventory::{Catalog, Folder, Host, Image, Known, Missing, Network, Observed, Storage};
use tierwright::lab::world::{self, Link, Power, World};
use tierwright::model::{
    Bytes, Config, Firmware, GuestAgent, GuestOs, Hot, NetworkTarget, ObservedDisk, ObservedNic, ObservedVm, OwnId,
    Placed, PowerState, VmConfig,
};

use super::trouble::Trouble;
use super::{MARK, OverWorld, Scheme};

/// A VM's lasting id.
pub fn own_id(vm: &world::Vm) -> OwnId {
    OwnId::new(&vm.instance_uuid.to_string())
}

impl OverWorld {
    /// Everything, as far as the trouble of the moment lets it be seen.
    pub(super) fn listing(&self, known: &[Known]) -> Observed {
        let trouble = self.trouble();
        self.world.with(|world| {
            let mut observed = Observed {
                capabilities: self.able(),
                incomplete: None,
                vms: Vec::new(),
                catalog: Catalog::default(),
                missing: BTreeMap::new(),
            };
            if trouble.blind {
                return observed;
            }
            observed.catalog = self.catalog(world);
            observed.vms = self.listed(world, &trouble);
            if let Some(most) = trouble.cut {
                observed.vms.truncate(most);
                observed.incomplete = Some("page 2 is missing".to_owned());
            }
            let unseen: Vec<OwnId> = (known.iter().map(|known| known.id.clone()))
                .filter(|id| observed.vms.iter().all(|vm| vm.id != *id))
                .collect();
            observed.missing = unseen.into_iter().map(|id| (id.clone(), missing(world, &trouble, &id))).collect();
            observed
        })
    }

    fn listed(&self, world: &World, trouble: &Trouble) -> Vec<ObservedVm> {
        let seen = |id: &OwnId| !trouble.hidden.contains(id) && !trouble.denied.contains(id);
        let mut vms: Vec<ObservedVm> = (world.vms())
            .filter(|vm| !vm.template || vm.setting(MARK).is_some())
            .filter(|vm| seen(&own_id(vm)))
            .map(|vm| self.observed(world, trouble, vm))
            .collect();
        vms.sort_by(|a, b| (&a.id, &a.handle).cmp(&(&b.id, &b.handle)));
        vms
    }

    /// One VM.
    pub(super) fn observed(&self, world: &World, trouble: &Trouble, vm: &world::Vm) -> ObservedVm {
        let id = own_id(vm);
        let host = world.hosts.get(&vm.host);
        let chosen = self.scheme == Scheme::Chosen;
        let cluster = host.and_then(|host| world.clusters.get(&host.cluster)).filter(|_| chosen);
        let config = if trouble.unset.contains(&id) || vm.link != Link::Connected {
            Config::Unreadable("its host does not answer".to_owned())
        } else {
            Config::Readable(Arc::new(config(world, vm)))
        };
        ObservedVm {
            id,
            handle: format!("vm-{}", vm.id.0).into(),
            name: vm.name.clone(),
            placed: Placed {
                host: host.map(|host| host.name.as_str().into()),
                cluster: cluster.map(|cluster| cluster.name.as_str().into()),
                folder: chosen.then(|| folder_path(world, vm.folder)),
                datacenter: None,
            },
            config,
        }
    }

    fn catalog(&self, world: &World) -> Catalog {
        let chosen = self.scheme == Scheme::Chosen;
        let cluster = |id| world.clusters.get(&id).filter(|_| chosen).map(|cluster| cluster.name.as_str().into());
        let host = |host: &world::Host| Host {
            name: host.name.as_str().into(),
            cluster: cluster(host.cluster),
            datacenter: None,
            memory: Bytes::mib(host.memory_mib),
            usable: host.link == Link::Connected && !host.maintenance,
        };
        let storage = |store: &world::Datastore| Storage {
            name: store.name.as_str().into(),
            datacenter: None,
            capacity: Bytes(store.capacity),
            free: Bytes(store.capacity.saturating_sub(store.used)),
            hosts: Vec::new(),
            usable: store.accessible && !store.maintenance,
        };
        let image = |vm: &world::Vm| Image {
            source: vm.name.clone(),
            datacenter: None,
            disks: vm.disks.iter().map(|disk| Bytes(disk.capacity)).collect(),
            firmware: None,
        };
        let folders = world.folders.values().filter(|folder| folder.kind == world::FolderKind::Vms && chosen);
        Catalog {
            hosts: world.hosts.values().map(host).collect(),
            storage: world.datastores.values().map(storage).collect(),
            networks: (world.networks.values())
                .map(|network| Network { target: target(&network.name), datacenter: None, hosts: Vec::new() })
                .collect(),
            images: world.vms().filter(|vm| vm.template).map(image).collect(),
            folders: folders.map(|folder| Folder { path: folder_path(world, folder.id), datacenter: None }).collect(),
            resource_pools: Vec::new(),
        }
    }
}

fn target(name: &str) -> NetworkTarget {
    NetworkTarget { name: name.to_owned(), vlan: None }
}

fn missing(world: &World, trouble: &Trouble, id: &OwnId) -> Missing {
    if trouble.denied.contains(id) {
        return Missing::Unknown("no permission".to_owned());
    }
    if world.vms().any(|vm| own_id(vm) == *id) {
        return Missing::Unknown("it is there, and the listing left it out".to_owned());
    }
    Missing::NotFound
}

/// `/`-separated, below the datacenter's VM root, which has no name in it.
fn folder_path(world: &World, folder: world::Id) -> Arc<str> {
    let mut names: Vec<&str> = Vec::new();
    let mut at = world.folders.get(&folder);
    while let Some(folder) = at.filter(|folder| !world.datacenters.values().any(|dc| dc.vm_folder == folder.id)) {
        names.push(&folder.name);
        at = folder.parent.and_then(|parent| world.folders.get(&parent));
    }
    names.reverse();
    names.join("/").into()
}

fn config(world: &World, vm: &world::Vm) -> VmConfig {
    VmConfig {
        cpus: vm.cpus,
        memory: Bytes::mib(vm.memory_mib),
        firmware: if vm.firmware == world::Firmware::Uefi { Firmware::Uefi } else { Firmware::Bios },
        guest_os: GuestOs::Linux,
        power: match vm.power {
            Power::On => PowerState::Running,
            Power::Off => PowerState::Stopped,
            Power::Suspended => PowerState::Suspended,
        },
        template: vm.template,
        disks: vm.disks.iter().map(|disk| observed_disk(world, vm, disk)).collect(),
        nics: vm.nics.iter().map(|nic| observed_nic(world, vm, nic)).collect(),
        snapshots: !vm.snapshots.is_empty(),
        question: vm.question.as_ref().map(|question| question.text.clone()),
        guest_agent: if vm.tools_run() { GuestAgent::Running } else { GuestAgent::NotRunning },
        hot: Hot {
            add_cpu: vm.hot_add_cpu,
            add_memory: vm.hot_add_memory,
            memory_limit: Some(Bytes::mib(world::work::memory_limit(vm.memory_at_boot_mib))),
            memory_increment: Some(Bytes::mib(world::work::MEMORY_INCREMENT)),
            disks: true,
            grow_disk: true,
            nics: true,
            nic_network: true,
        },
        mark: vm.setting(MARK).map(str::to_owned),
        addresses: Vec::new(),
    }
}

/// Where a disk is plugged in.
pub fn slot(vm: &world::Vm, disk: &world::Disk) -> String {
    let bus = vm.controllers.iter().find(|controller| controller.key == disk.controller).map_or(0, |found| found.bus);
    format!("scsi{bus}:{}", disk.unit)
}

fn observed_disk(world: &World, vm: &world::Vm, disk: &world::Disk) -> ObservedDisk {
    let file = world.files.get(&disk.file);
    let store = file.and_then(|file| world.datastores.get(&file.datastore));
    ObservedDisk {
        id: file.map(|file| file.uuid.to_string().into()),
        slot: slot(vm, disk).into(),
        size: Bytes(disk.capacity),
        storage: store.map(|store| store.name.as_str().into()),
        file: Some(disk.file.clone()),
        parent: file.and_then(|file| file.parent.clone()),
        shared: disk.shared,
    }
}

fn observed_nic(world: &World, vm: &world::Vm, nic: &world::Nic) -> ObservedNic {
    ObservedNic {
        slot: nic.key.to_string().into(),
        mac: nic.mac.clone(),
        network: nic.network.and_then(|network| world.networks.get(&network)).map(|network| target(&network.name)),
        connected: if vm.power == Power::Off { nic.start_connected } else { nic.connected },
    }
}
