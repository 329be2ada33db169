//! Changes of hardware, one call after another, and then the mark that records them.
//!
//! Hyper-V changes one thing at a time, so a step may be cut anywhere. Each change looks first whether it is done; the
//! mark comes last and is the witness of all. The one exception is a disk that is taken out: where its file is must be
//! known to the mark before nothing else knows it.

use super::cim::Embedded;
use super::disks::{Wanted, file_of};
use super::hosts::Live;
use super::parts::Subset;
use super::paths;
use super::vhd;
use super::work::Work;
use crate::mark::{Mark, MarkedDisk, MarkedNic};
use crate::model::{Bytes, PowerState};
use crate::plan::{Change, DiskAt, DiskOrder};
use crate::provider::{DISK_IS_GONE, ErrorKind, StepError};

/// A disk that is about to be taken out.
pub(super) struct Leaving<'a> {
    pub at: &'a DiskAt,
    pub path: &'a str,
}

/// What becomes of the file of a disk that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Deleted,
}

impl Work<'_> {
    /// All changes, then the mark.
    pub(super) async fn reconfigure(&self, changes: &[Change], mark: &Mark) -> Result<(), StepError> {
        let mut live = self.live().await?;
        let mut mark = mark.clone();
        let done = live.has_recorded(&mark);
        // A mark that is newer than the order's stays; what the order's lacks may still be filled in.
        if done && live.mark().is_some_and(|found| found.generation > mark.generation) {
            return Ok(());
        }
        if done {
            mark = live.mark().unwrap_or(mark);
        } else {
            let touches_files = |change: &Change| {
                matches!(change, Change::GrowDisk { .. } | Change::DetachDisk(_) | Change::DeleteDisk(_))
            };
            let snapshots = live.observed().readable().is_some_and(|config| config.snapshots);
            if snapshots && changes.iter().any(touches_files) {
                let why = "it has a checkpoint, so no disk is changed";
                return Err(self.error("ModifyResourceSettings", ErrorKind::Conflict, why));
            }
            self.check_all(&live, changes)?;
            for change in changes {
                live = Box::pin(self.change(live, change, &mut mark)).await?;
            }
        }
        let full = filled(&mark, &live);
        self.write_mark(&live, &full, None).await
    }

    /// What is meant must be there, all of it, before the first call is made.
    fn check_all(&self, live: &Live, changes: &[Change]) -> Result<(), StepError> {
        for change in changes {
            match change {
                Change::GrowDisk { disk, .. } => {
                    self.attached(live, disk)?.ok_or_else(|| self.gone(disk))?;
                }
                Change::DetachDisk(disk) | Change::DeleteDisk(disk) => {
                    self.attached(live, disk)?;
                }
                Change::AddNic(order) => {
                    self.switch(live, &order.network)?;
                }
                Change::MoveNic { nic, network } => {
                    self.switch(live, network)?;
                    self.nic_at(live, nic)?;
                }
                Change::RemoveNic(nic) | Change::ConnectNic { nic, .. } => {
                    self.nic_at(live, nic)?;
                }
                Change::Cpus(_) | Change::Memory(_) | Change::AddDisk(_) | Change::AttachDisk { .. } => {}
            }
        }
        Ok(())
    }

    async fn change(&self, live: Live, change: &Change, mark: &mut Mark) -> Result<Live, StepError> {
        match change {
            Change::Cpus(count) => self.set_size(live, Some(*count), None).await,
            Change::Memory(size) => self.set_size(live, None, Some(*size)).await,
            Change::AddDisk(order) => Box::pin(self.add_disk(live, order, mark)).await,
            Change::AttachDisk { name, file, id } => self.attach_disk(live, (name, file, id.as_deref()), mark).await,
            Change::GrowDisk { disk, size } => {
                let (path, found) = self.attached(&live, disk)?.ok_or_else(|| self.gone(disk))?;
                if found.size >= *size {
                    return Ok(live);
                }
                self.resize(&live.host, &path, (&disk.name, *size)).await?;
                let mut live = live;
                live.vhds.remove(&path.to_lowercase());
                self.again(&live, Subset::Storage).await
            }
            Change::DetachDisk(disk) => Box::pin(self.detach_disk(live, disk, mark)).await,
            Change::DeleteDisk(disk) => Box::pin(self.delete_disk(live, disk)).await,
            Change::AddNic(order) => {
                let (live, id) = self.ensure_nic(live, order).await?;
                let slot = super::ident::device_of(&id).map(str::to_owned);
                let nic =
                    mark.nics.entry(order.name.clone()).or_insert(MarkedNic { mac: order.mac.clone(), slot: None });
                nic.slot = slot;
                Ok(live)
            }
            Change::RemoveNic(nic) => self.remove_nic(live, nic).await,
            Change::MoveNic { nic, network } => {
                let Some(found) = self.nic_at(&live, nic)?.cloned() else {
                    let why = format!("NIC `{}` is no longer at {}", nic.name, nic.slot);
                    return Err(self.error("ModifyResourceSettings", ErrorKind::Conflict, why));
                };
                let switch = self.switch(&live, network)?;
                self.connect_to(live, &found.id, (&nic.name, network, &switch)).await
            }
            Change::ConnectNic { nic, connected } => self.set_connected(live, nic, *connected).await,
        }
    }

    /// Processors, which a host takes only while the VM is off, and memory. A VM whose memory a person made dynamic
    /// keeps it so: only its start-up size is set, within its bounds.
    pub(super) async fn set_size(
        &self,
        live: Live,
        cpus: Option<u32>,
        memory: Option<Bytes>,
    ) -> Result<Live, StepError> {
        let machine = &live.whole.machine;
        let cpus = cpus.map(u64::from).filter(|count| machine.cpus != *count);
        let mib = memory.map(|size| size.0 / Bytes::MIB).filter(|mib| machine.memory.mib != *mib);
        let mut settings = Vec::new();
        let mut detail = Vec::new();
        if let (Some(count), Some(id)) = (cpus, live.parts.processor_id(&machine.guid)) {
            let setting = Embedded::new("Msvm_ProcessorSettingData").string("InstanceID", &id);
            settings.push(setting.number("VirtualQuantity", "uint64", count));
            detail.push(format!("{count} CPUs"));
        }
        if let (Some(mib), Some(id)) = (mib, live.parts.memory_id(&machine.guid)) {
            let setting = Embedded::new("Msvm_MemorySettingData").string("InstanceID", &id);
            let setting = setting.number("VirtualQuantity", "uint64", mib);
            settings.push(if machine.memory.dynamic {
                setting
            } else {
                setting.number("Reservation", "uint64", mib).number("Limit", "uint64", mib)
            });
            detail.push(format!("memory {}", Bytes::mib(mib)));
        }
        if settings.is_empty() {
            return Ok(live);
        }
        let is = move |live: &Live| {
            let machine = &live.whole.machine;
            cpus.is_none_or(|count| machine.cpus == count) && mib.is_none_or(|mib| machine.memory.mib == mib)
        };
        self.modify_resources(&live, settings, detail.join(", "), is).await
    }

    async fn add_disk(&self, live: Live, order: &DiskOrder, mark: &mut Mark) -> Result<Live, StepError> {
        let folder = match &order.storage {
            Some(folder) => folder.clone(),
            // Where the VM is: beside its first disk, else in its own folder.
            None => live
                .whole
                .machine
                .disks()
                .next()
                .and_then(|(_, disk)| paths::parent(&disk.path).map(str::to_owned))
                .or_else(|| live.whole.machine.settings.root.clone())
                .ok_or_else(|| self.error("add a disk", ErrorKind::NotFound, "nothing tells where the VM lies"))?,
        };
        self.check_folder(&live.host, &folder).await?;
        let path = file_of(&folder, &live.whole.system.guid, &order.name);
        let wanted = Wanted { name: &order.name, path: &path, size: order.size, image: None, boots_from_ide: false };
        let live = Box::pin(self.ensure_disk(live, &wanted)).await?;
        plugged(mark, &order.name, &live, &path);
        Ok(live)
    }

    async fn attach_disk(
        &self,
        live: Live,
        (name, file, id): (&str, &str, Option<&str>),
        mark: &mut Mark,
    ) -> Result<Live, StepError> {
        if live.whole.machine.holding(file).is_none() {
            if !live.host.has_file(file).await.map_err(self.failed("look for the disk's file"))? {
                let why = format!("disk `{name}`: there is no file {file} any more; {DISK_IS_GONE}");
                return Err(self.error("AddResourceSettings", ErrorKind::NotFound, why));
            }
            let found = vhd::read(&live.host.client, file).await.map_err(self.failed("look into the disk"))?;
            if let (Some(id), Some(found)) = (id, &found.id)
                && !found.eq_ignore_ascii_case(id)
            {
                let why = format!("{file} holds another disk ({found}) than the one detached ({id})");
                return Err(self.error("AddResourceSettings", ErrorKind::Conflict, why));
            }
        }
        let live = self.plug(live, (name, file), false).await?;
        plugged(mark, name, &live, file);
        Ok(live)
    }

    async fn detach_disk(&self, live: Live, at: &DiskAt, mark: &mut Mark) -> Result<Live, StepError> {
        let Some((path, _)) = self.attached(&live, at)? else {
            // An earlier run took it out, and wrote down before where its file is.
            if let Some(known) = live.mark().and_then(|found| found.disks.get(&at.name).cloned())
                && let Some(disk) = mark.disks.get_mut(&at.name)
            {
                disk.slot = None;
                disk.file = disk.file.take().or(known.file);
            }
            return Ok(live);
        };
        let live = self.remember_files(live, &[Leaving { at, path: &path }], Fate::Kept).await?;
        let live = self.unplug(live, &at.name, &path, false).await?;
        if let Some(disk) = mark.disks.get_mut(&at.name) {
            disk.slot = None;
            disk.file = Some(path);
        }
        Ok(live)
    }

    /// Writes where the files of disks are into the mark as it stands, and what is to become of them, before the disks
    /// are taken out: afterwards nothing else would know.
    pub(super) async fn remember_files(
        &self,
        live: Live,
        leaving: &[Leaving<'_>],
        fate: Fate,
    ) -> Result<Live, StepError> {
        let Some(mut before) = live.mark() else { return Ok(live) };
        for Leaving { at, path } in leaving {
            let known = before.disks.get(&at.name).and_then(|disk| disk.id.clone());
            let id = known.or_else(|| at.id.clone());
            let file = Some((*path).to_owned());
            let disk = MarkedDisk { slot: None, id, file, deleting: fate == Fate::Deleted };
            before.disks.insert(at.name.clone(), disk);
        }
        match fate {
            Fate::Kept => self.write_mark(&live, &before, None).await?,
            Fate::Deleted => self.write_last_mark(&live, &before).await?,
        }
        self.live().await
    }

    async fn delete_disk(&self, live: Live, at: &DiskAt) -> Result<Live, StepError> {
        let Some((path, _)) = self.attached(&live, at)? else {
            self.delete_left(&live, at).await?;
            return Ok(live);
        };
        self.check_unused(&live, &path).await?;
        let live = self.remember_files(live, &[Leaving { at, path: &path }], Fate::Deleted).await?;
        let live = self.unplug(live, &at.name, &path, true).await?;
        self.delete_file(&live, &path).await?;
        Ok(live)
    }

    fn gone(&self, disk: &DiskAt) -> StepError {
        let why = format!("disk `{}` is no longer at {}", disk.name, disk.slot);
        self.error("find the disk", ErrorKind::Conflict, why)
    }
}

fn plugged(mark: &mut Mark, name: &str, live: &Live, path: &str) {
    let slot = live.whole.machine.holding(path).map(super::machine::Drive::slot);
    let id = live.vhds.get(&path.to_lowercase()).and_then(|vhd| vhd.as_ref().ok()?.id.clone());
    let disk =
        mark.disks.entry(name.to_owned()).or_insert(MarkedDisk { slot: None, id: None, file: None, deleting: false });
    *disk = MarkedDisk { slot, id: id.or_else(|| disk.id.take()), file: None, deleting: false };
}

/// The mark with everything in it that the VM as it is can tell.
pub(super) fn filled(mark: &Mark, live: &Live) -> Mark {
    let mut mark = mark.clone();
    let written = live.mark().filter(|found| found.identity == mark.identity);
    let observed = live.observed();
    let disks = observed.readable().map(|config| config.disks.as_slice()).unwrap_or_default();
    for (name, disk) in &mut mark.disks {
        if let Some(before) = written.as_ref().and_then(|found| found.disks.get(name)) {
            if disk.slot.is_none() && disk.file.is_none() {
                disk.slot.clone_from(&before.slot);
                disk.file.clone_from(&before.file);
            }
            if disk.id.is_none() {
                disk.id.clone_from(&before.id);
            }
        }
        let attached = disk.slot.as_ref().and_then(|slot| disks.iter().find(|found| *found.slot == **slot));
        if let Some(id) = attached.and_then(|found| found.id.as_deref()) {
            disk.id.get_or_insert_with(|| id.to_owned());
        }
    }
    for (name, nic) in &mut mark.nics {
        let before = written.as_ref().and_then(|found| found.nics.get(name));
        let slot = nic.slot.clone().or_else(|| before.and_then(|before| before.slot.clone()));
        let mac = nic.mac.clone().or_else(|| before.and_then(|before| before.mac.clone()));
        // By its slot, by its MAC, or by the name that it was made with.
        let nics = &live.whole.machine.nics;
        let found = nics
            .iter()
            .find(|found| slot.as_ref().is_some_and(|slot| found.slot().eq_ignore_ascii_case(slot)))
            .or_else(|| nics.iter().find(|found| mac.as_ref().is_some_and(|mac| found.mac.eq_ignore_ascii_case(mac))))
            .or_else(|| nics.iter().find(|found| slot.is_none() && mac.is_none() && found.name == *name));
        nic.slot = found.map(|found| found.slot().to_owned()).or(slot);
        nic.mac = found.map(|found| found.mac.clone()).filter(|mac| !mac.is_empty()).or(mac);
    }
    mark
}

/// Is it stopped, so that everything may be changed?
pub(super) fn is_stopped(live: &Live) -> bool {
    live.whole.system.power == PowerState::Stopped
}
