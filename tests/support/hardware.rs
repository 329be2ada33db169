//! One VM's operations, as a real host does or refuses them. A refusal panics: a correct plan never meets one.

use tierwright::inventory::Observed;
use tierwright::mark::{Mark, MarkedDisk, MarkedNic};
use tierwright::model::{Bytes, NetworkTarget, ObservedDisk, ObservedNic, ObservedVm, PowerState, VmConfig};
use tierwright::plan::{Change, DiskAt, DiskOrder, NicAt, NicOrder};

use super::fleet;

/// One VM under work, and what it can be given.
pub struct Machine<'a> {
    pub vm: &'a mut ObservedVm,
    /// Files of disks that were detached from any VM.
    pub shelf: &'a mut Vec<ObservedDisk>,
}

impl Machine<'_> {
    pub fn config(&mut self) -> &mut VmConfig {
        match &mut self.vm.config {
            tierwright::model::Config::Readable(config) => std::sync::Arc::make_mut(config),
            tierwright::model::Config::Unreadable(why) => panic!("changed without being read: {why}"),
        }
    }

    /// A running guest allows only what its flags say.
    fn demand(&mut self, allowed: impl Fn(&VmConfig) -> bool, what: &str) {
        let name = self.vm.name.clone();
        let config = self.config();
        let running = config.power == PowerState::Running;
        assert!(!running || allowed(config), "{name}: a real host refuses {what} while it runs");
        assert!(config.power != PowerState::Suspended, "{name}: {what} while suspended");
    }

    /// Does the changes and writes the mark, with what only the host knows filled in.
    pub fn reconfigure(&mut self, changes: &[Change], mark: &Mark) {
        let mut mark = mark.clone();
        for change in changes {
            self.change(change, &mut mark);
        }
        self.write(mark);
    }

    /// Writes the mark.
    pub fn write(&mut self, mut mark: Mark) {
        let id = self.vm.id.clone();
        assert!(mark.own_id.as_ref().is_none_or(|own| *own == id), "{id}: a mark written for another VM");
        mark.own_id = Some(id);
        self.config().mark = Some(serde_json::to_string(&mark).unwrap());
    }

    fn change(&mut self, change: &Change, mark: &mut Mark) {
        match change {
            Change::Cpus(cpus) => {
                self.demand(|config| config.hot.add_cpu && *cpus >= config.cpus, "a change of CPUs");
                self.config().cpus = *cpus;
            }
            Change::Memory(memory) => {
                let fits = |config: &VmConfig| config.hot.memory_limit.is_none_or(|limit| *memory <= limit);
                self.demand(
                    |config| config.hot.add_memory && *memory >= config.memory && fits(config),
                    "a change of memory",
                );
                self.config().memory = *memory;
            }
            Change::AddDisk(order) => self.add_disk(order, mark),
            Change::AttachDisk { name, file, id } => self.attach(name, file, id.as_deref(), mark),
            Change::GrowDisk { disk, size } => self.grow(disk, *size),
            Change::DetachDisk(at) => {
                self.demand(|config| config.hot.disks, "detaching a disk");
                let disk = self.take_disk(at);
                let entry = mark.disks.entry(at.name.clone()).or_insert(EMPTY_DISK);
                entry.slot = None;
                entry.file = entry.file.take().or_else(|| disk.file.as_ref().map(ToString::to_string));
                self.shelf.push(disk);
            }
            Change::DeleteDisk(at) => {
                self.demand(|config| config.hot.disks, "deleting a disk");
                let disk = self.take_disk(at);
                assert!(disk.parent.is_none() && !disk.shared, "deleted a disk that is not this VM's alone: {disk:?}");
                assert!(!mark.disks.contains_key(&at.name), "a deleted disk is still in the mark");
            }
            Change::AddNic(order) => self.add_nic(order, mark),
            Change::RemoveNic(at) => {
                self.demand(|config| config.hot.nics, "removing a NIC");
                let index = self.nic_index(at);
                self.config().nics.remove(index);
            }
            Change::MoveNic { nic, network } => {
                self.demand(|config| config.hot.nic_network, "moving a NIC");
                let index = self.nic_index(nic);
                self.config().nics[index].network = Some(network.clone());
            }
            Change::ConnectNic { nic, connected } => {
                let index = self.nic_index(nic);
                self.config().nics[index].connected = *connected;
            }
        }
    }

    /// A new disk in the first free slot.
    pub fn add_disk(&mut self, order: &DiskOrder, mark: &mut Mark) {
        self.demand(|config| config.hot.disks, "adding a disk");
        let free = self.free_slot();
        let mut disk = fleet::disk(&self.vm.id, &self.vm.name, free, order.size);
        // A slot may be used again while its first disk lies on the shelf: ids and files never repeat.
        disk.id = Some(format!("{}-{}-{}", self.vm.id, order.name, mark.generation).into());
        disk.file = Some(format!("[flash] {}/{}-{}.vmdk", self.vm.name, order.name, mark.generation).into());
        if let Some(storage) = &order.storage {
            disk.storage = Some(storage.as_str().into());
        }
        self.plug(&order.name, disk, mark);
    }

    fn free_slot(&mut self) -> usize {
        let used: Vec<_> = self.config().disks.iter().map(|disk| disk.slot.clone()).collect();
        (0..60).find(|n| !used.contains(&format!("scsi0:{n}").into())).expect("a test's VM has few disks")
    }

    fn plug(&mut self, name: &str, disk: ObservedDisk, mark: &mut Mark) {
        mark.disks.insert(
            name.to_owned(),
            MarkedDisk {
                slot: Some(disk.slot.to_string()),
                id: disk.id.as_ref().map(ToString::to_string),
                file: None,
                deleting: false,
            },
        );
        let disks = &mut self.config().disks;
        disks.push(disk);
        disks.sort_by(|a, b| (a.slot.len(), &a.slot).cmp(&(b.slot.len(), &b.slot)));
    }

    fn attach(&mut self, name: &str, file: &str, id: Option<&str>, mark: &mut Mark) {
        self.demand(|config| config.hot.disks, "attaching a disk");
        let here = self.shelf.iter().position(|disk| disk.file.as_deref() == Some(file));
        let mut disk = self.shelf.remove(here.unwrap_or_else(|| panic!("no detached disk at {file}")));
        assert!(id.is_none() || disk.id.as_deref() == id, "another disk is at {file}");
        disk.slot = format!("scsi0:{}", self.free_slot()).into();
        self.plug(name, disk, mark);
    }

    fn grow(&mut self, at: &DiskAt, size: Bytes) {
        self.demand(|config| config.hot.grow_disk, "growing a disk");
        assert!(!self.config().snapshots, "grew a disk below a snapshot");
        let index = self.disk_index(at);
        let disk = &mut self.config().disks[index];
        assert!(size > disk.size && disk.parent.is_none() && !disk.shared, "a disk that must not grow: {disk:?}");
        disk.size = size;
    }

    fn take_disk(&mut self, at: &DiskAt) -> ObservedDisk {
        assert!(!self.config().snapshots, "took a disk from below a snapshot");
        let index = self.disk_index(at);
        self.config().disks.remove(index)
    }

    fn disk_index(&mut self, at: &DiskAt) -> usize {
        let is =
            |disk: &ObservedDisk| *disk.slot == *at.slot && (at.id.is_none() || disk.id.as_deref() == at.id.as_deref());
        let name = self.vm.name.clone();
        self.config().disks.iter().position(is).unwrap_or_else(|| panic!("{name} has no disk {at:?}"))
    }

    fn nic_index(&mut self, at: &NicAt) -> usize {
        let name = self.vm.name.clone();
        let is = |nic: &ObservedNic| *nic.slot == *at.slot && *nic.mac == *at.mac;
        self.config().nics.iter().position(is).unwrap_or_else(|| panic!("{name} has no NIC {at:?}"))
    }

    /// A new NIC in the next slot.
    pub fn add_nic(&mut self, order: &NicOrder, mark: &mut Mark) {
        self.demand(|config| config.hot.nics, "adding a NIC");
        let slots = self.config().nics.iter().filter_map(|nic| nic.slot.parse::<usize>().ok());
        let next = slots.max().map_or(0, |slot| slot - 3999);
        let mut nic = fleet::nic(&self.vm.id, next, NetworkTarget::clone(&order.network));
        if let Some(mac) = &order.mac {
            nic.mac = mac.as_str().into();
        }
        mark.nics
            .insert(order.name.clone(), MarkedNic { mac: Some(nic.mac.to_string()), slot: Some(nic.slot.to_string()) });
        self.config().nics.push(nic);
    }

    /// Panics unless it may be removed with exactly these disks.
    pub fn check_destroy(&mut self, disks: &[DiskAt], images: &Observed) {
        let name = self.vm.name.clone();
        assert_eq!(self.config().power, PowerState::Stopped, "{name}: destroyed while it runs");
        assert!(!self.config().snapshots, "{name}: destroyed below a snapshot");
        for at in disks {
            self.disk_index(at);
        }
        assert_eq!(self.config().disks.len(), disks.len(), "{name}: an attached disk was not to go with it");
        let shared = self.config().disks.iter().any(|disk| disk.shared);
        assert!(!shared, "{name}: destroyed with a shared disk");
        let files: Vec<_> = self.config().disks.iter().filter_map(|disk| disk.file.clone()).collect();
        let parents = images.vms.iter().filter_map(ObservedVm::readable).flat_map(|config| &config.disks);
        let mut parents = parents.filter_map(|disk| disk.parent.clone());
        assert!(!parents.any(|parent| files.contains(&parent)), "{name}: destroyed a file that another disk stands on");
    }
}

const EMPTY_DISK: MarkedDisk = MarkedDisk { slot: None, id: None, file: None, deleting: false };
