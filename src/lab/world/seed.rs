//! The inventory that the examples name: one datacenter, one cluster of three hosts, two datastores, two port groups,
//! two templates, and unmanaged VMs that must never be touched.
//!
//! Equal seed and number, equal world. What makes unmanaged VMs worth testing: some have notes, free settings,
//! snapshots, hot-add flags; some run, some have no guest tools.

use std::sync::Arc;

use rand::RngExt;

use super::{
    Cluster, Controller, ControllerKind, Datacenter, Datastore, Disk, Distributed, Firmware, Folder, FolderKind, Host,
    Id, Link, Network, Nic, Pool, Power, Vm, World,
};

/// A pool's network between a host and its guests, which no VM is put on.
pub const INTERNAL: &str = "Host internal management network";

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

struct Strings {
    linux: Arc<str>,
    windows: Arc<str>,
    mode: Arc<str>,
    adapter: Arc<str>,
}

/// What the seeding fills in.
struct Places {
    vm_folder: Id,
    prod: Id,
    legacy: Id,
    pool: Id,
    hosts: Vec<Id>,
    datastores: Vec<Id>,
    networks: Vec<Id>,
    strings: Strings,
}

/// The world of the examples with so many unmanaged VMs.
pub fn world(seed: u64, vms: usize, standalone: bool, now: i64) -> World {
    let mut world = World::empty(seed, now);
    world.standalone = standalone;
    let places = if standalone { one_host(&mut world) } else { datacenter(&mut world) };
    if !standalone {
        templates(&mut world, &places);
    }
    for number in 0..vms {
        unmanaged(&mut world, &places, number);
    }
    make_room(&mut world);
    world
}

/// The pool of the hosted tier with so many unmanaged VMs: three hosts, two SRs, two networks, one template of its own
/// and two that every pool has.
pub fn pool(seed: u64, vms: usize, now: i64) -> World {
    let mut world = World::empty(seed, now);
    world.unique_names = false;
    world.disks_keep_ids = true;
    world.oui = [0x0e, 0x97, 0xbe];
    let places = hosted(&mut world);
    default_template(&mut world, &places, "Other install media", None);
    let disks =
        "<provision><disk bootable=\"true\" device=\"0\" size=\"10737418240\" sr=\"\" type=\"system\"/></provision>";
    default_template(&mut world, &places, "Debian Bookworm 12", Some(disks));
    golden(&mut world, &places, "tmpl-debian-12", &DEBIAN);
    // As the hosted tier of the examples has it.
    world.edit_named("tmpl-debian-12", |vm| vm.firmware = Firmware::Bios);
    for number in 0..vms {
        unmanaged(&mut world, &places, number);
    }
    world.vms.values_mut().flat_map(|vm| &mut vm.nics).for_each(|nic| nic.unit = 0);
    make_room(&mut world);
    world
}

impl World {
    fn folder(&mut self, name: &str, parent: Option<Id>, kind: FolderKind) -> Id {
        let id = self.fresh_id();
        self.folders.insert(id, Folder { id, name: name.into(), parent, kind });
        id
    }

    fn add_datacenter(&mut self, name: &str) -> Id {
        let root = self.root_folder().unwrap_or_else(|| self.folder("Datacenters", None, FolderKind::Datacenters));
        let id = self.fresh_id();
        let datacenter = Datacenter {
            id,
            name: name.into(),
            parent: root,
            vm_folder: self.folder("vm", Some(id), FolderKind::Vms),
            host_folder: self.folder("host", Some(id), FolderKind::Hosts),
            datastore_folder: self.folder("datastore", Some(id), FolderKind::Datastores),
            network_folder: self.folder("network", Some(id), FolderKind::Networks),
        };
        self.datacenters.insert(id, datacenter);
        id
    }

    fn add_cluster(&mut self, name: &str, folder: Id, single: bool) -> (Id, Id) {
        let (id, pool) = (self.fresh_id(), self.fresh_id());
        self.clusters.insert(id, Cluster { id, name: name.into(), folder, pool, single });
        self.pools.insert(pool, Pool { id: pool, name: "Resources".into(), parent: None, cluster: id });
        (id, pool)
    }

    fn add_host(&mut self, name: &str, cluster: Id) -> Id {
        let id = self.fresh_id();
        let (name, link) = (name.to_owned(), Link::Connected);
        let host = Host { id, name, cluster, memory_mib: 512 * 1024, cores: 64, link, maintenance: false };
        self.hosts.insert(id, host);
        id
    }

    fn add_datastore(&mut self, name: &str, folder: Id, capacity: u64) -> Id {
        let id = self.fresh_id();
        let name = name.to_owned();
        let datastore =
            Datastore { id, name, folder, capacity, used: 0, accessible: true, maintenance: false, hosts: Vec::new() };
        self.datastores.insert(id, datastore);
        id
    }

    fn add_network(&mut self, name: &str, folder: Id, distributed: bool) -> Id {
        let id = self.fresh_id();
        let distributed = distributed.then(|| {
            let switch = self.fresh_id();
            // As vCenter writes switch UUIDs: `50 2e 8a ...-...` in groups of eight bytes.
            let bytes: [u8; 16] = self.rng.random();
            let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let switch_uuid = format!("{}-{}", pairs[..8].join(" "), pairs[8..].join(" "));
            Distributed { key: format!("dvportgroup-{}", id.0), switch_uuid, switch }
        });
        self.networks.insert(id, Network { id, name: name.into(), folder, distributed, hosts: Vec::new() });
        id
    }
}

fn strings() -> Strings {
    Strings {
        linux: "debian12_64Guest".into(),
        windows: "windows2019srvNext_64Guest".into(),
        mode: "persistent".into(),
        adapter: "vmxnet3".into(),
    }
}

fn datacenter(world: &mut World) -> Places {
    let datacenter = world.add_datacenter("dc1");
    let at = world.datacenters[&datacenter].clone();
    let (cluster, pool) = world.add_cluster("gold", at.host_folder, false);
    let hosts = (1..=3).map(|n| world.add_host(&format!("esx{n:02}.lab.example"), cluster)).collect();
    let datastores = vec![
        world.add_datastore("flash-repl", at.datastore_folder, 20 * TIB),
        world.add_datastore("nvme-01", at.datastore_folder, 20 * TIB),
    ];
    let networks = vec![
        world.add_network("PG-APP-10", at.network_folder, false),
        world.add_network("PG-DB-20", at.network_folder, true),
        world.add_network("VM Network", at.network_folder, false),
    ];
    let prod = world.folder("Prod", Some(at.vm_folder), FolderKind::Vms);
    let legacy = world.folder("Legacy", Some(at.vm_folder), FolderKind::Vms);
    Places { vm_folder: at.vm_folder, prod, legacy, pool, hosts, datastores, networks, strings: strings() }
}

/// A host without a management server: its datacenter and names are fixed (`ha-datacenter`), folders there are none.
fn one_host(world: &mut World) -> Places {
    let datacenter = world.add_datacenter("ha-datacenter");
    let at = world.datacenters[&datacenter].clone();
    let (cluster, pool) = world.add_cluster("esx-lab.example", at.host_folder, true);
    let hosts = vec![world.add_host("esx-lab.example", cluster)];
    let datastores = vec![world.add_datastore("datastore1", at.datastore_folder, 4 * TIB)];
    let networks = vec![
        world.add_network("VM Network", at.network_folder, false),
        world.add_network("PG-APP-10", at.network_folder, false),
    ];
    let vm_folder = at.vm_folder;
    Places { vm_folder, prod: vm_folder, legacy: vm_folder, pool, hosts, datastores, networks, strings: strings() }
}

/// A pool of hosts that share what they have.
fn hosted(world: &mut World) -> Places {
    let datacenter = world.add_datacenter("hosted");
    let at = world.datacenters[&datacenter].clone();
    let (cluster, pool) = world.add_cluster("hosted-pool", at.host_folder, false);
    let hosts = (1..=3).map(|n| world.add_host(&format!("xs{n:02}"), cluster)).collect();
    let datastores = vec![
        world.add_datastore("sr-hosted", at.datastore_folder, 20 * TIB),
        world.add_datastore("sr-nvme", at.datastore_folder, 20 * TIB),
    ];
    world.add_network(INTERNAL, at.network_folder, false);
    let networks = vec![
        world.add_network("hosted-public", at.network_folder, false),
        world.add_network("hosted-private", at.network_folder, false),
    ];
    let vm_folder = at.vm_folder;
    Places { vm_folder, prod: vm_folder, legacy: vm_folder, pool, hosts, datastores, networks, strings: strings() }
}

/// A template that comes with every pool: no disks of its own, but perhaps a list of those it would have made.
fn default_template(world: &mut World, places: &Places, name: &str, disks: Option<&str>) {
    let mut vm = world.blank(name, places.vm_folder, places.datastores[0], places.hosts[0]);
    vm.template = true;
    vm.memory_mib = 1024;
    vm.memory_at_boot_mib = 1024;
    vm.settings.insert("default_template".into(), "true".into());
    if let Some(disks) = disks {
        vm.settings.insert("disks".into(), disks.into());
    }
    world.insert(vm);
}

const DEBIAN: Hardware = Hardware { cpus: 1, memory_gib: 2, disk_gib: 8, windows: false, hot_add: true };
const WINDOWS: Hardware = Hardware { cpus: 2, memory_gib: 4, disk_gib: 40, windows: true, hot_add: false };

fn templates(world: &mut World, places: &Places) {
    golden(world, places, "tmpl-debian-12", &DEBIAN);
    golden(world, places, "tmpl-windows-2022", &WINDOWS);
}

fn golden(world: &mut World, places: &Places, name: &str, hardware: &Hardware) {
    let mut vm = machine(world, places, name, hardware);
    vm.template = true;
    vm.pool = None;
    vm.annotation = format!("Golden image {name}").into();
    world.insert(vm);
}

struct Hardware {
    cpus: u32,
    memory_gib: u64,
    disk_gib: u64,
    windows: bool,
    hot_add: bool,
}

fn machine(world: &mut World, places: &Places, name: &str, hardware: &Hardware) -> Vm {
    let home = places.datastores[0];
    let mut vm = world.blank(name, places.vm_folder, home, places.hosts[0]);
    vm.pool = Some(places.pool);
    vm.cpus = hardware.cpus;
    vm.memory_mib = hardware.memory_gib * 1024;
    vm.memory_at_boot_mib = vm.memory_mib;
    vm.firmware = Firmware::Uefi;
    vm.guest_id = if hardware.windows { places.strings.windows.clone() } else { places.strings.linux.clone() };
    vm.hot_add_cpu = hardware.hot_add;
    vm.hot_add_memory = hardware.hot_add;
    vm.guest.tools_installed = true;
    let kind = if hardware.windows { ControllerKind::LsiSas } else { ControllerKind::ParaVirtual };
    vm.controllers.push(Controller { key: 1000, bus: 0, kind });
    let file: Arc<str> = format!("[{}] {name}/{name}.vmdk", world.datastores[&home].name).into();
    let capacity = hardware.disk_gib * GIB;
    world.make_file(file.clone(), home, capacity, None);
    let mode = places.strings.mode.clone();
    vm.disks.push(Disk { key: 2000, controller: 1000, unit: 0, file, capacity, thin: true, shared: false, mode });
    vm.nics.push(Nic {
        key: 4000,
        unit: 7,
        adapter: places.strings.adapter.clone(),
        mac: world.fresh_mac().into(),
        mac_manual: false,
        network: Some(places.networks[0]),
        connected: false,
        start_connected: true,
    });
    vm
}

/// One VM nobody told us about.
fn unmanaged(world: &mut World, places: &Places, number: usize) {
    let windows = number % 4 == 3;
    let hardware = Hardware {
        cpus: 1 << world.rng.random_range(0..3_u32),
        memory_gib: 1 << world.rng.random_range(1..4_u32),
        disk_gib: 16 + 8 * world.rng.random_range(0..4_u64),
        windows,
        hot_add: number.is_multiple_of(2),
    };
    let mut vm = machine(world, places, &format!("legacy-{number:03}"), &hardware);
    vm.folder = if number.is_multiple_of(3) { places.legacy } else { places.prod };
    vm.host = places.hosts[number % places.hosts.len()];
    vm.nics[0].network = Some(places.networks[number % places.networks.len()]);
    vm.guest.tools_installed = number % 5 != 4;
    if number % 3 == 1 {
        vm.annotation = format!("Owner: team-{}\nDo not touch.", number % 7).into();
    }
    if number % 4 == 2 {
        vm.set_setting("guestinfo.role", "app");
        vm.set_setting("backup.policy", &format!("gold-{}", number % 3));
    }
    if number % 10 < 7 {
        vm.set_power(Power::On, world.now - 3_600_000);
        let [high, low] = u16::try_from(number % 65_536).unwrap_or_default().to_be_bytes();
        vm.guest.addresses.push(format!("10.20.{high}.{low}").into());
    }
    let id = world.insert(vm);
    if number % 6 == 5 {
        // A fresh VM has a disk file of its own, so this cannot be refused.
        world.add_snapshot(id, "before-upgrade");
    }
}

/// Hosts and datastores that hold what was put there and half as much again.
fn make_room(world: &mut World) {
    let running: u64 = world.vms.values().filter(|vm| vm.power == Power::On).map(|vm| vm.memory_mib).sum();
    let hosts = u64::try_from(world.hosts.len().max(1)).unwrap_or(1);
    for host in world.hosts.values_mut() {
        host.memory_mib = host.memory_mib.max(running / hosts * 2);
    }
    for datastore in world.datastores.values_mut() {
        datastore.capacity = datastore.capacity.max(datastore.used * 2);
    }
}
