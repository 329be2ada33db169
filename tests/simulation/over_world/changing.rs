//! What is done to a VM that is there. Every operation is ensured: what an earlier run did is found and left alone.

use std::sync::Arc;

use tierwright::lab::world::{self, ControllerKind, DeviceEdit, DiskSource, NewDisk, NewNic, NicEdit, Power, VmSpec};
use tierwright::mark::{self, Mark, MarkedDisk};
use tierwright::model::{NetworkTarget, Shutdown};
use tierwright::plan::{Change, DiskAt, DiskOrder, NicAt, NicOrder};
use tierwright::provider::{ErrorKind, StepError};

use super::MARK;
use super::calling::{Named, Work};
use super::finding::mark_of;
use super::reading::slot;

/// A change being put together.
pub(super) struct Draft<'a> {
    pub vm: &'a world::Vm,
    pub spec: VmSpec,
    pub mark: Mark,
    /// Slots given to new disks of this very change.
    taken: Vec<i32>,
    next_key: i32,
}

impl Work<'_> {
    /// All of it with its mark, in one call; then what only the server knew is written into the mark.
    pub(super) async fn reconfigure(&mut self, changes: &[Change], mark: &Mark) -> Result<(), StepError> {
        let vm = self.vm()?;
        if !stands(&vm, mark) {
            if vm.power == Power::Suspended {
                return Err(self.error("Reconfigure", ErrorKind::Conflict, "it is suspended"));
            }
            let mut draft = Draft::of(&vm, filled(mark, &vm));
            for change in changes {
                self.add(&mut draft, change)?;
            }
            let destroys = changes.iter().any(|change| matches!(change, Change::DeleteDisk(_)));
            let spec = draft.finish();
            let work = world::Work::Reconfigure { vm: vm.id, spec: Box::new(spec) };
            self.call(Named { name: "Reconfigure", destroys }, work).await?;
        }
        let vm = self.vm()?;
        let base = mark_of(&vm).filter(|found| found.generation == mark.generation && found.pending == mark.pending);
        self.complete(&base.unwrap_or_else(|| mark.clone())).await
    }

    /// Writes the mark with ids and MACs, if that makes a difference.
    pub(super) async fn complete(&mut self, mark: &Mark) -> Result<(), StepError> {
        let vm = self.vm()?;
        let full = self.provider.world.with(|world| with_ids(world, filled(mark, &vm), &vm));
        let newer =
            mark_of(&vm).is_some_and(|found| found.identity == full.identity && found.generation > full.generation);
        if newer || mark_of(&vm).as_ref() == Some(&full) {
            return Ok(());
        }
        let spec = VmSpec { settings: vec![(MARK.to_owned(), mark::write(&full))], ..VmSpec::default() };
        let work = world::Work::Reconfigure { vm: vm.id, spec: Box::new(spec) };
        self.call(Named::plain("WriteMark"), work).await.map(drop)
    }

    fn add(&self, draft: &mut Draft<'_>, change: &Change) -> Result<(), StepError> {
        let conflict = |why: String| self.error("Reconfigure", ErrorKind::Conflict, why);
        let disk = |at: &DiskAt| self.disk(draft.vm, at);
        match change {
            Change::Cpus(cpus) => draft.spec.cpus = Some(*cpus),
            Change::Memory(memory) => draft.spec.memory_mib = Some(memory.0 >> 20),
            Change::AddDisk(order) => {
                let source = DiskSource::New {
                    datastore: order.storage.as_deref().map(|name| self.datastore(name)).transpose()?,
                    path: None,
                    capacity: order.size.0,
                };
                draft.add_disk(&order.name, source);
            }
            Change::AttachDisk { name, file, id } => {
                let held = self.provider.world.with(|world| world.files.get(file.as_str()).map(|file| file.uuid));
                if id.as_ref().is_some_and(|id| held.is_some_and(|held| held.to_string() != *id)) {
                    return Err(conflict(format!("{file} holds another disk")));
                }
                draft.attach(name, file);
            }
            Change::GrowDisk { disk: at, size } => {
                let found = disk(at)?.ok_or_else(|| conflict(format!("disk {} is not there", at.name)))?;
                if found.capacity < size.0 {
                    draft.spec.devices.push(DeviceEdit::EditDisk { key: found.key, capacity: size.0 });
                }
            }
            Change::DetachDisk(at) => {
                if let Some(found) = disk(at)? {
                    let known = draft.mark.disks.entry(at.name.clone()).or_insert_with(nowhere);
                    (known.slot, known.file) = (None, Some(found.file.to_string()));
                    draft.spec.devices.push(DeviceEdit::RemoveDisk { key: found.key, destroy: false });
                }
            }
            Change::DeleteDisk(at) => {
                if let Some(found) = disk(at)? {
                    self.unused_elsewhere(draft.vm, &found.file)?;
                    draft.spec.devices.push(DeviceEdit::RemoveDisk { key: found.key, destroy: true });
                }
            }
            Change::AddNic(order) => draft.spec.devices.push(self.new_nic(order)?),
            Change::RemoveNic(at) => {
                let key = nic(draft.vm, at).map(|nic| nic.key);
                draft.spec.devices.extend(key.map(DeviceEdit::RemoveNic));
            }
            Change::MoveNic { nic: at, network } => {
                let network = Some(self.network(network)?);
                self.edit_nic(draft, at, |edit| edit.network = network)?;
            }
            Change::ConnectNic { nic: at, connected } => {
                self.edit_nic(draft, at, |edit| {
                    edit.start_connected = Some(*connected);
                    edit.connected = Some(*connected);
                })?;
            }
        }
        Ok(())
    }

    fn edit_nic(&self, draft: &mut Draft<'_>, at: &NicAt, change: impl FnOnce(&mut NicEdit)) -> Result<(), StepError> {
        let Some(found) = nic(draft.vm, at) else {
            return Err(self.error("Reconfigure", ErrorKind::Conflict, format!("NIC {} is not there", at.name)));
        };
        let mut edit = NicEdit { key: found.key, network: None, mac: None, start_connected: None, connected: None };
        change(&mut edit);
        draft.spec.devices.push(DeviceEdit::EditNic(edit));
        Ok(())
    }

    pub(super) fn new_nic(&self, order: &NicOrder) -> Result<DeviceEdit, StepError> {
        Ok(DeviceEdit::AddNic(NewNic {
            key: -1,
            adapter: "vmxnet3".into(),
            mac: order.mac.clone(),
            network: self.network(&order.network)?,
            start_connected: true,
            connected: true,
        }))
    }

    fn network(&self, target: &NetworkTarget) -> Result<world::Id, StepError> {
        let found = self.provider.world.with(|world| world.network_named(&target.name).map(|network| network.id));
        found.ok_or_else(|| self.error("find the network", ErrorKind::NotFound, target.name.clone()))
    }

    pub(super) fn datastore(&self, name: &str) -> Result<world::Id, StepError> {
        let found = self.provider.world.with(|world| world.datastore_named(name).map(|store| store.id));
        found.ok_or_else(|| self.error("find the storage", ErrorKind::NotFound, name))
    }

    /// The attached disk that is meant; both slot and id must match.
    fn disk<'v>(&self, vm: &'v world::Vm, at: &DiskAt) -> Result<Option<&'v world::Disk>, StepError> {
        let Some(found) = vm.disks.iter().find(|disk| slot(vm, disk) == at.slot) else { return Ok(None) };
        let id = self.provider.world.with(|world| world.files.get(&found.file).map(|file| file.uuid.to_string()));
        if at.id.is_some() && id.is_some() && at.id != id {
            let why = format!("another disk is at {}", at.slot);
            return Err(self.error("Reconfigure", ErrorKind::Conflict, why));
        }
        Ok(Some(found))
    }

    /// No file goes that another VM uses, or that another disk is made of.
    fn unused_elsewhere(&self, vm: &world::Vm, file: &Arc<str>) -> Result<(), StepError> {
        let used = self.provider.world.with(|world| {
            let elsewhere = |other: &world::Vm| other.id != vm.id && other.disks.iter().any(|disk| disk.file == *file);
            world.vms().any(elsewhere) || world.files.values().any(|other| other.parent.as_ref() == Some(file))
        });
        let why = format!("{file} is used elsewhere");
        if used { Err(self.error("Destroy", ErrorKind::Conflict, why)) } else { Ok(()) }
    }

    pub(super) async fn stop(&mut self, shutdown: Shutdown) -> Result<(), StepError> {
        let vm = self.vm()?;
        match vm.power {
            Power::Off => return Ok(()),
            Power::Suspended => return Err(self.error("Stop", ErrorKind::Conflict, "it is suspended")),
            Power::On => {}
        }
        if vm.tools_run() {
            self.ask_guest(vm.id).await?;
            if self.vm()?.power == Power::Off {
                return Ok(());
            }
        }
        if !shutdown.force {
            return Err(self.error("Stop", ErrorKind::GuestTimeout, "the guest did not shut down"));
        }
        self.call(Named::plain("PowerOff"), world::Work::PowerOff(vm.id)).await.map(drop)
    }

    pub(super) async fn start(&mut self) -> Result<(), StepError> {
        let vm = self.vm()?;
        match vm.power {
            Power::On => Ok(()),
            Power::Suspended => Err(self.error("Start", ErrorKind::Conflict, "it is suspended")),
            Power::Off => self.call(Named::plain("PowerOn"), world::Work::PowerOn(vm.id)).await.map(drop),
        }
    }

    pub(super) async fn rename(&mut self, name: &str) -> Result<(), StepError> {
        let vm = self.vm()?;
        if *vm.name == *name {
            return Ok(());
        }
        let work = world::Work::Rename { object: vm.id, name: name.to_owned() };
        self.call(Named::plain("Rename"), work).await.map(drop)
    }

    pub(super) async fn unmark(&mut self) -> Result<(), StepError> {
        let vm = self.vm()?;
        if vm.setting(MARK).is_none() {
            return Ok(());
        }
        let spec = VmSpec { settings: vec![(MARK.to_owned(), String::new())], ..VmSpec::default() };
        let work = world::Work::Reconfigure { vm: vm.id, spec: Box::new(spec) };
        self.call(Named::plain("Unmark"), work).await.map(drop)
    }

    pub(super) async fn destroy(&mut self, disks: &[DiskAt]) -> Result<(), StepError> {
        let vm = match self.vm() {
            Err(StepError::Provider(error)) if error.kind == ErrorKind::NotFound => return Ok(()),
            vm => vm?,
        };
        for disk in &vm.disks {
            if !disks.iter().any(|at| at.slot == slot(&vm, disk)) {
                return Err(self.error("Destroy", ErrorKind::Conflict, format!("{} is not to go", disk.file)));
            }
            self.unused_elsewhere(&vm, &disk.file)?;
        }
        self.call(Named { name: "Destroy", destroys: true }, world::Work::Destroy(vm.id)).await.map(drop)
    }
}

impl<'a> Draft<'a> {
    pub fn of(vm: &'a world::Vm, mark: Mark) -> Self {
        Self { vm, spec: VmSpec::default(), mark, taken: Vec::new(), next_key: -100 }
    }

    pub fn add_disk(&mut self, name: &str, source: DiskSource) {
        let controller = self.vm.controllers.first().map_or(-10, |controller| controller.key);
        if self.vm.controllers.is_empty() && self.taken.is_empty() {
            let add = DeviceEdit::AddController { key: -10, kind: ControllerKind::ParaVirtual, bus: 0 };
            self.spec.devices.push(add);
        }
        let used =
            |unit: &i32| *unit == 7 || self.taken.contains(unit) || self.vm.disks.iter().any(|disk| disk.unit == *unit);
        let unit = (0..64).find(|unit| !used(unit)).unwrap_or(64);
        self.taken.push(unit);
        self.next_key -= 1;
        let known = self.mark.disks.entry(name.to_owned()).or_insert_with(nowhere);
        (known.slot, known.file) = (Some(format!("scsi0:{unit}")), None);
        self.spec.devices.push(DeviceEdit::AddDisk(NewDisk {
            key: self.next_key,
            controller,
            unit: Some(unit),
            source,
            thin: true,
            shared: false,
            mode: None,
        }));
    }

    pub fn order(&mut self, order: &DiskOrder, datastore: Option<world::Id>) {
        self.add_disk(&order.name, DiskSource::New { datastore, path: None, capacity: order.size.0 });
    }

    fn attach(&mut self, name: &str, file: &str) {
        let there = self.vm.disks.iter().find(|disk| *disk.file == *file).map(|disk| slot(self.vm, disk));
        match there {
            Some(slot) => {
                let known = self.mark.disks.entry(name.to_owned()).or_insert_with(nowhere);
                (known.slot, known.file) = (Some(slot), None);
            }
            None => self.add_disk(name, DiskSource::Existing(file.into())),
        }
    }

    pub fn finish(mut self) -> VmSpec {
        self.spec.settings.push((MARK.to_owned(), mark::write(&self.mark)));
        self.spec
    }
}

pub(super) const fn nowhere() -> MarkedDisk {
    MarkedDisk { slot: None, id: None, file: None, deleting: false }
}

fn nic<'v>(vm: &'v world::Vm, at: &NicAt) -> Option<&'v world::Nic> {
    vm.nics.iter().find(|nic| nic.mac.eq_ignore_ascii_case(&at.mac))
}

/// Does this mark stand on the VM, or one that is newer?
fn stands(vm: &world::Vm, mark: &Mark) -> bool {
    mark_of(vm).is_some_and(|found| {
        let same = found.generation == mark.generation && found.pending == mark.pending;
        found.identity == mark.identity && (same || found.generation > mark.generation)
    })
}

/// The mark with what an earlier one on the VM knows.
fn filled(mark: &Mark, vm: &world::Vm) -> Mark {
    let mut mark = mark.clone();
    let Some(before) = mark_of(vm).filter(|found| found.identity == mark.identity) else { return mark };
    for (name, disk) in &mut mark.disks {
        let Some(known) = before.disks.get(name) else { continue };
        if disk.slot.is_none() && disk.file.is_none() {
            disk.slot.clone_from(&known.slot);
            disk.file.clone_from(&known.file);
        }
        disk.id = disk.id.take().or_else(|| known.id.clone());
    }
    for (name, nic) in &mut mark.nics {
        let Some(known) = before.nics.get(name) else { continue };
        nic.mac = nic.mac.take().or_else(|| known.mac.clone());
        nic.slot = nic.slot.take().or_else(|| known.slot.clone());
    }
    mark
}

/// Ids of disks by slot; MACs of NICs that nobody knows yet, in the order they were made.
fn with_ids(world: &world::World, mut mark: Mark, vm: &world::Vm) -> Mark {
    for disk in mark.disks.values_mut() {
        let attached = vm.disks.iter().find(|found| disk.slot.as_deref() == Some(slot(vm, found).as_str()));
        if let Some(file) = attached.and_then(|found| world.files.get(&found.file)) {
            disk.id.get_or_insert_with(|| file.uuid.to_string());
        }
    }
    let known: Vec<String> = mark.nics.values().filter_map(|nic| nic.mac.clone()).collect();
    let mut fresh = vm.nics.iter().filter(|nic| !known.iter().any(|mac| nic.mac.eq_ignore_ascii_case(mac)));
    for nic in mark.nics.values_mut() {
        if nic.mac.is_none() {
            nic.mac = fresh.next().map(|found| found.mac.to_string());
        }
        let found =
            vm.nics.iter().find(|found| nic.mac.as_ref().is_some_and(|mac| found.mac.eq_ignore_ascii_case(mac)));
        if let Some(found) = found {
            nic.slot = Some(found.key.to_string());
        }
    }
    mark
}
