//! One simulated management domain: a vCenter, a cluster or a pool, as a seeded state machine.
//!
//! ```text
//! place.rs     datacenters, folders, clusters, hosts, pools, datastores, networks
//! vm.rs        a VM: hardware, settings, power, guest, snapshots
//! files.rs     virtual disk files and who is whose parent
//! task.rs      work that takes lab time, and its outcome
//! work.rs      what the work does: create, clone, reconfigure, power, destroy; the rules a real host keeps
//! refusal.rs   why a host says no, in no protocol's words
//! wmi.rs       what Hyper-V alone keeps of a VM
//! seed.rs      the inventory the examples name
//! ```
//!
//! It knows no protocol: the fronts translate. It never looks at a clock: every entry is told the lab time and first
//! settles what was due by then, in order of due time. Invariants: an id is never used again; every disk of a VM has a
//! file or is shown as broken; `change` grows with every change and each VM knows when it last changed.

pub mod files;
pub mod place;
pub mod refusal;
pub mod seed;
pub mod task;
pub mod vm;
pub mod wmi;
pub mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use uuid::Uuid;

pub use files::{DiskFile, Naming};
pub use place::{Cluster, Datacenter, Datastore, Distributed, Folder, FolderKind, Host, Link, Network, Pool};
pub use refusal::Refusal;
pub use task::{Pace, Task, TaskState};
pub use vm::{Controller, ControllerKind, Disk, Firmware, Guest, Nic, Power, Question, Snapshot, Vm};
pub use wmi::{Drive, Vlan, Wmi};
pub use work::{Act, CloneVm, CreateVm, DeviceEdit, DiskSource, NewDisk, NewNic, NicEdit, VmSpec, Work};

use super::clock::LabClock;

/// Names an object of the world; one number space for all kinds, as vCenter's morefs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// All state of one endpoint.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of the place, and one of its names")]
pub struct World {
    pub(in crate::lab) now: i64,
    pub(in crate::lab) rng: StdRng,
    next_id: u32,
    next_mac: u32,
    /// Grows with every change of anything.
    pub(in crate::lab) change: u64,
    /// How long work takes.
    pub pace: Pace,
    /// A single host without a management server (ESXi): no clone, no folders.
    pub standalone: bool,
    /// Are names of VMs unique in their folder?
    pub unique_names: bool,
    /// Does a VM's disk keep its id through snapshots? What was is then a disk of another id.
    pub disks_keep_ids: bool,
    /// How disk files are called here.
    pub naming: Naming,
    /// First three bytes of the MACs it gives out.
    pub oui: [u8; 3],
    /// Datacenters.
    pub datacenters: BTreeMap<Id, Datacenter>,
    /// Folders of all kinds, the root folder included.
    pub folders: BTreeMap<Id, Folder>,
    /// Clusters and standalone compute resources.
    pub clusters: BTreeMap<Id, Cluster>,
    /// Hosts.
    pub hosts: BTreeMap<Id, Host>,
    /// Resource pools; each cluster has a root pool.
    pub pools: BTreeMap<Id, Pool>,
    /// Datastores.
    pub datastores: BTreeMap<Id, Datastore>,
    /// Networks and distributed port groups.
    pub networks: BTreeMap<Id, Network>,
    /// Disk files by path, such as `[nvme-01] erp/erp.vmdk`.
    pub files: HashMap<Arc<str>, DiskFile>,
    /// Paths of files by their ids.
    paths: HashMap<Uuid, Arc<str>>,
    /// Grows whenever a file is made, grown or removed.
    pub(in crate::lab) files_change: u64,
    pub(in crate::lab) vms: BTreeMap<Id, Vm>,
    /// Name -> VMs in a folder, so that a name is checked without a walk over all VMs.
    pub(in crate::lab) names: HashMap<(Id, Box<str>), Id>,
    /// Two VMs in one folder had one name at some time.
    twins: bool,
    /// How many files have a parent.
    linked: usize,
    tasks: BTreeMap<Id, Task>,
    /// What happens when: tasks that end and guests that will have shut down, by lab time.
    agenda: BTreeSet<(i64, Id, task::Due)>,
    /// VMs with a task in flight.
    busy: HashMap<Id, Id>,
    /// VMs that were here: (change at which they went, id).
    pub(in crate::lab) gone: Vec<(u64, Id)>,
    /// Names of VMs whose guests acknowledge a shutdown and never act on it.
    pub(in crate::lab) deaf_guests: super::faults::StateRules,
}

impl World {
    /// An empty world; see [`seed`] for the one the examples name.
    pub fn empty(seed: u64, now: i64) -> Self {
        Self {
            now,
            rng: StdRng::seed_from_u64(seed),
            next_id: 1,
            next_mac: 1,
            change: 1,
            pace: Pace::default(),
            standalone: false,
            unique_names: true,
            disks_keep_ids: false,
            naming: Naming::Vmdk,
            oui: [0x00, 0x50, 0x56],
            datacenters: BTreeMap::new(),
            folders: BTreeMap::new(),
            clusters: BTreeMap::new(),
            hosts: BTreeMap::new(),
            pools: BTreeMap::new(),
            datastores: BTreeMap::new(),
            networks: BTreeMap::new(),
            files: HashMap::new(),
            paths: HashMap::new(),
            files_change: 0,
            vms: BTreeMap::new(),
            names: HashMap::new(),
            twins: false,
            linked: 0,
            tasks: BTreeMap::new(),
            agenda: BTreeSet::new(),
            busy: HashMap::new(),
            gone: Vec::new(),
            deaf_guests: super::faults::StateRules::default(),
        }
    }

    /// The lab time as of the last look, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now
    }

    pub(in crate::lab) fn fresh_id(&mut self) -> Id {
        let id = Id(self.next_id);
        self.next_id += 1;
        id
    }

    /// A random UUID of this world's own sequence.
    pub fn fresh_uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// A MAC of this world's range (VMware's for generated addresses is 00:50:56:80 to bf), never given out before.
    pub(in crate::lab) fn fresh_mac(&mut self) -> String {
        loop {
            let n = self.next_mac;
            self.next_mac = (self.next_mac + 1) % (1 << 22);
            let [_, high, middle, low] = n.to_be_bytes();
            let [a, b, c] = self.oui;
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{:02x}:{middle:02x}:{low:02x}", 0x80 | high);
            // A walk over all VMs only where a person could have chosen such an address by hand.
            if n > 1 << 21 && self.vms.values().any(|vm| vm.nics.iter().any(|nic| *nic.mac == *mac)) {
                continue;
            }
            return mac;
        }
    }

    /// Marks a change of the world and returns its number.
    pub(in crate::lab) fn bump(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    // ---- VMs, for tests and demos ---------------------------------------------------------------------------------

    /// A VM by id.
    pub fn vm(&self, id: Id) -> Option<&Vm> {
        self.vms.get(&id)
    }

    /// All VMs, templates included, oldest first.
    pub fn vms(&self) -> impl Iterator<Item = &Vm> {
        self.vms.values()
    }

    /// The oldest VM of this name.
    pub fn vm_named(&self, name: &str) -> Option<&Vm> {
        self.vms.values().find(|vm| *vm.name == *name)
    }

    /// The oldest VM with this lasting id.
    pub fn vm_by_uuid(&self, uuid: Uuid) -> Option<&Vm> {
        self.vms.values().find(|vm| vm.instance_uuid == uuid)
    }

    /// Changes a VM's configuration behind everybody's back, as a person at a console would; false if it is not there.
    pub fn edit(&mut self, id: Id, change: impl FnOnce(&mut Vm)) -> bool {
        let (number, now) = (self.bump(), self.now);
        let Some(vm) = self.vms.get_mut(&id) else { return false };
        let before = (vm.folder, Box::<str>::from(&*vm.name));
        change(vm);
        vm.touch_config(number, now);
        let after = (vm.folder, Box::<str>::from(&*vm.name));
        if before != after {
            self.unlist(&before, id);
            self.list(after, id);
        }
        true
    }

    /// As [`Self::edit`], for the oldest VM of this name.
    pub fn edit_named(&mut self, name: &str, change: impl FnOnce(&mut Vm)) -> bool {
        self.vm_named(name).map(|vm| vm.id).is_some_and(|id| self.edit(id, change))
    }

    /// Sets a VM's power at once, whatever its guest says; its configuration version stays.
    pub fn set_power(&mut self, id: Id, power: Power) -> bool {
        let (number, now) = (self.bump(), self.now);
        let Some(vm) = self.vms.get_mut(&id) else { return false };
        vm.set_power(power, now);
        vm.touched = number;
        true
    }

    /// Marks a VM's runtime state (guest, question, connection) as changed and hands it out; its configuration version
    /// stays.
    pub fn edit_runtime(&mut self, id: Id, change: impl FnOnce(&mut Vm)) -> bool {
        let number = self.bump();
        let Some(vm) = self.vms.get_mut(&id) else { return false };
        change(vm);
        vm.touched = number;
        true
    }

    /// Puts a VM into the world with its disk files; the folder and name are taken as they are.
    pub fn insert(&mut self, mut vm: Vm) -> Id {
        let id = vm.id;
        let number = self.bump();
        vm.touch_config(number, self.now);
        self.list((vm.folder, Box::from(&*vm.name)), id);
        self.vms.insert(id, vm);
        id
    }

    /// Takes a VM away with no task, as if deleted by another; its disk files go with it when asked.
    pub fn remove(&mut self, id: Id, with_files: bool) -> Option<Vm> {
        let number = self.bump();
        let vm = self.vms.remove(&id)?;
        self.unlist(&(vm.folder, Box::from(&*vm.name)), id);
        if with_files {
            for disk in &vm.disks {
                self.delete_file_chain(&disk.file);
            }
        }
        self.gone.push((number, id));
        Some(vm)
    }

    /// Copies a VM as a whole (its settings with any mark in them too) under a new name, with an own id of its own
    /// unless `same_id` (a replica, or an interrupted migration).
    pub fn copy(&mut self, id: Id, name: &str, same_id: bool) -> Option<Id> {
        let mut vm = self.vms.get(&id)?.clone();
        vm.id = self.fresh_id();
        vm.name = name.into();
        if !same_id {
            vm.instance_uuid = self.fresh_uuid();
        }
        vm.bios_uuid = self.fresh_uuid();
        vm.snapshots.clear();
        if let Some(wmi) = &mut vm.wmi {
            wmi.role = None;
        }
        let mut taken: Vec<Arc<str>> = Vec::new();
        for disk in &mut vm.disks {
            disk.file = self.copy_file(&disk.file, name, &taken);
            taken.push(disk.file.clone());
        }
        for nic in &mut vm.nics {
            nic.mac = self.fresh_mac().into();
        }
        Some(self.insert(vm))
    }

    /// Takes a snapshot at once.
    pub fn add_snapshot(&mut self, id: Id, name: &str) -> bool {
        self.take_snapshot(id, name, "").is_ok()
    }

    /// Goes back to a snapshot at once: hardware, settings and annotation are as they were.
    pub fn revert(&mut self, id: Id, name: &str) -> bool {
        self.revert_to(id, name).is_ok()
    }

    /// Notes who has a name. Behind our back two VMs may come to have one, which no task allows: the first keeps it.
    pub(in crate::lab) fn list(&mut self, name: (Id, Box<str>), id: Id) {
        let holder = *self.names.entry(name).or_insert(id);
        self.twins |= holder != id;
    }

    /// Takes a name off the list, or passes it on to another VM that has it.
    pub(in crate::lab) fn unlist(&mut self, name: &(Id, Box<str>), id: Id) {
        if self.names.get(name) != Some(&id) {
            return;
        }
        self.names.remove(name);
        // A walk over all VMs only where there ever were two of one name.
        if self.twins {
            let heir = self.vms.values().find(|vm| vm.id != id && (vm.folder, &*vm.name) == (name.0, &*name.1));
            if let Some(heir) = heir.map(|vm| vm.id) {
                self.names.insert(name.clone(), heir);
            }
        }
    }

    /// Another VM that stands in the way of this name in this folder.
    pub fn name_taken(&self, folder: Id, name: &str, except: Option<Id>) -> Option<Id> {
        self.names.get(&(folder, Box::from(name))).copied().filter(|id| self.unique_names && Some(*id) != except)
    }
}

/// A shared handle on a world: the fronts and the tests use the same.
#[derive(Debug, Clone)]
pub struct WorldHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    clock: LabClock,
    faults: super::faults::Faults,
    changed: watch::Sender<u64>,
}

impl WorldHandle {
    /// Wraps a world.
    pub fn new(world: World, clock: LabClock, faults: super::faults::Faults) -> Self {
        let changed = watch::Sender::new(world.change);
        Self(Arc::new(Shared { world: Mutex::new(world), clock, faults, changed }))
    }

    /// Looks at the world, or changes it, with everything settled that was due by now. Calls that wait for changes are
    /// woken afterwards. Do not wait for anything inside.
    pub fn with<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.0.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.deaf_guests = self.0.faults.on_state();
        world.settle(self.0.clock.now_ms());
        let result = look(&mut world);
        let change = world.change;
        drop(world);
        self.0.changed.send_if_modified(|last| std::mem::replace(last, change) != change);
        result
    }

    /// Counts up with every change.
    pub(in crate::lab) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The clock this world goes by.
    pub(in crate::lab) fn clock(&self) -> &LabClock {
        &self.0.clock
    }
}
