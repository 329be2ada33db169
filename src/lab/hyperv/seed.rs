//! What tier 2 of the examples names: a host (or nodes of a cluster) with its volumes, switches and images, and
//! unmanaged VMs that must never be touched. Equal seed and number, equal world.

use std::sync::Arc;

use rand::RngExt;

use super::parts::{IDE, SCSI};
use crate::lab::world::{
    Cluster, Controller, ControllerKind, Datacenter, Datastore, Disk, Firmware, Folder, FolderKind, Host, Id, Link,
    Naming, Network, Nic, Power, Vlan, Vm, Wmi, World,
};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// The images of the examples.
const IMAGES: [(&str, u64); 2] = [("debian-12", 8), ("windows-2022", 40)];

/// What is to be made.
#[derive(Debug, Clone)]
pub(in crate::lab) struct Wish<'a> {
    pub seed: u64,
    /// Unmanaged VMs per host.
    pub vms: usize,
    /// Names of the hosts.
    pub hosts: &'a [String],
    /// Are they nodes of one cluster, with shared volumes?
    pub cluster: bool,
}

/// The world.
pub(in crate::lab) fn world(wish: &Wish<'_>, now: i64) -> World {
    let mut world = World::empty(wish.seed, now);
    world.naming = Naming::Vhdx;
    world.oui = [0x00, 0x15, 0x5d];
    let folder = places(&mut world);
    let cluster = world.fresh_id();
    let single = !wish.cluster;
    let name = "hv-cluster".to_owned();
    world.clusters.insert(cluster, Cluster { id: cluster, name, folder, pool: cluster, single });
    for name in wish.hosts {
        let id = world.fresh_id();
        let (name, link) = (name.clone(), Link::Connected);
        world.hosts.insert(id, Host { id, name, cluster, memory_mib: 256 * 1024, cores: 32, link, maintenance: false });
    }
    let volumes: &[&str] = if wish.cluster { &[r"C:\ClusterStorage\Volume1"] } else { &["D:", "E:"] };
    let volumes: Vec<Id> = volumes.iter().map(|name| volume(&mut world, name, folder)).collect();
    let switch = network(&mut world, "vSwitch-QA", folder);
    let other = network(&mut world, "vSwitch-Lab", folder);
    images(&mut world, volumes[0]);
    let hosts: Vec<Id> = world.hosts.keys().copied().collect();
    for host in hosts {
        for number in 0..wish.vms {
            let home = volumes[number % volumes.len()];
            unmanaged(&mut world, &Home { folder, host, volume: home, switch, other, number, cluster: wish.cluster });
        }
    }
    make_room(&mut world);
    world
}

fn places(world: &mut World) -> Id {
    let root = world.fresh_id();
    let kind = FolderKind::Datacenters;
    world.folders.insert(root, Folder { id: root, name: "root".into(), parent: None, kind });
    let (id, folder) = (world.fresh_id(), world.fresh_id());
    world.folders.insert(folder, Folder { id: folder, name: "vm".into(), parent: Some(id), kind: FolderKind::Vms });
    let (vm_folder, host_folder, datastore_folder, network_folder) = (folder, folder, folder, folder);
    let name = "lab".into();
    let datacenter = Datacenter { id, name, parent: root, vm_folder, host_folder, datastore_folder, network_folder };
    world.datacenters.insert(id, datacenter);
    folder
}

fn volume(world: &mut World, name: &str, folder: Id) -> Id {
    let id = world.fresh_id();
    let volume = Datastore {
        id,
        name: name.into(),
        folder,
        capacity: 20 * TIB,
        used: 0,
        accessible: true,
        maintenance: false,
        hosts: Vec::new(),
    };
    world.datastores.insert(id, volume);
    id
}

fn network(world: &mut World, name: &str, folder: Id) -> Id {
    let id = world.fresh_id();
    world.networks.insert(id, Network { id, name: name.into(), folder, distributed: None, hosts: Vec::new() });
    id
}

fn images(world: &mut World, volume: Id) {
    let place = world.datastores.get(&volume).map(|volume| volume.name.clone()).unwrap_or_default();
    for (name, gib) in IMAGES {
        let path: Arc<str> = format!(r"{place}\Images\{name}.vhdx").into();
        world.make_file(path.clone(), volume, gib * GIB, None);
        if let Some(file) = world.files.get_mut(&path) {
            file.bootable = true;
        }
    }
}

struct Home {
    folder: Id,
    host: Id,
    volume: Id,
    switch: Id,
    other: Id,
    number: usize,
    cluster: bool,
}

/// One VM nobody told us about.
fn unmanaged(world: &mut World, at: &Home) {
    let number = at.number;
    let (windows, old) = (number % 4 == 3, number % 5 == 4);
    let host = world.hosts.get(&at.host).map(|host| host.name.clone()).unwrap_or_default();
    // One host alone keeps the plain names that tests and examples know.
    let name = match world.hosts.len() {
        1 => format!("legacy-{number:03}"),
        _ => format!("legacy-{host}-{number:03}"),
    };
    let mut vm = world.blank(&name, at.folder, at.volume, at.host);
    vm.cpus = 1 << world.rng.random_range(0..3_u32);
    vm.memory_mib = 1024 << world.rng.random_range(1..3_u32);
    vm.memory_at_boot_mib = vm.memory_mib;
    vm.firmware = if old { Firmware::Bios } else { Firmware::Uefi };
    vm.guest_id = if windows { "windows2022".into() } else { "debian12".into() };
    vm.guest.tools_installed = number % 5 != 2;
    vm.hot_add_memory = windows;
    let place = world.datastores.get(&at.volume).map(|volume| volume.name.clone()).unwrap_or_default();
    let root = format!(r"{place}\Hyper-V\{name}");
    hardware(world, &mut vm, at, &root, old);
    let mut wmi = Wmi { root: root.into(), ..Wmi::default() };
    if at.cluster {
        wmi.role = Some(name.as_str().into());
    }
    if number.is_multiple_of(3) {
        let id = world.fresh_uuid();
        wmi.vlans.insert(4000, Vlan { mode: 1, access: 110, native: 0, trunk: Vec::new(), id });
    }
    vm.wmi = Some(Box::new(wmi));
    if number % 3 == 1 {
        vm.annotation = format!("Owner: team-{}\nDo not touch.", number % 7).into();
    }
    if number % 10 < 7 {
        vm.set_power(Power::On, world.now - 3_600_000);
        let [high, low] = u16::try_from(number % 65_536).unwrap_or_default().to_be_bytes();
        vm.guest.addresses.push(format!("10.20.{high}.{low}").into());
    }
    let id = world.insert(vm);
    if number % 6 == 5 {
        world.add_snapshot(id, "before-upgrade");
    }
}

fn hardware(world: &mut World, vm: &mut Vm, at: &Home, root: &str, old: bool) {
    let capacity = (16 + 8 * world.rng.random_range(0..4_u64)) * GIB;
    let file: Arc<str> = format!(r"{root}\{}.vhdx", vm.name).into();
    world.make_file(file.clone(), at.volume, capacity, None);
    if let Some(made) = world.files.get_mut(&file) {
        made.bootable = vm.guest.tools_installed;
    }
    let controller = if old { IDE } else { SCSI };
    if !old {
        vm.controllers.push(Controller { key: SCSI, bus: 0, kind: ControllerKind::ParaVirtual });
    }
    let key = if old { 3000 } else { 2000 };
    let mode = "persistent".into();
    vm.disks.push(Disk { key, controller, unit: 0, file, capacity, thin: true, shared: false, mode });
    vm.nics.push(Nic {
        key: 4000,
        unit: 0,
        adapter: "synthetic".into(),
        mac: world.fresh_mac().into(),
        mac_manual: false,
        network: Some(if at.number.is_multiple_of(2) { at.switch } else { at.other }),
        connected: false,
        start_connected: true,
    });
}

/// Hosts and volumes that hold what was put there and as much again.
fn make_room(world: &mut World) {
    let hosts: Vec<Id> = world.hosts.keys().copied().collect();
    for id in hosts {
        let running = world.vms().filter(|vm| vm.host == id && vm.power == Power::On);
        let used: u64 = running.map(|vm| vm.memory_mib).sum();
        if let Some(host) = world.hosts.get_mut(&id) {
            host.memory_mib = host.memory_mib.max(used * 2);
        }
    }
    for volume in world.datastores.values_mut() {
        volume.capacity = volume.capacity.max(volume.used * 2);
    }
}
