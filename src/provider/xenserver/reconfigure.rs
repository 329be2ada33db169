//! Changes of hardware, one call after the other, and the mark that records them.
//!
//! The mark comes last: when it stands on the VM in this generation, so does everything it records. Cut short before,
//! the next run finds each change done or not, by what the VM shows. Only a disk that is to be kept must be known to
//! the mark before it is detached, or nobody would find it again.

use super::fault::Failure;
use super::machine::Machine;
use super::mark::filled;
use super::rpc::Request;
use super::work::{Change as Call, Work};
use crate::mark::{Mark, MarkedDisk};
use crate::model::Bytes;
use crate::plan::Change;
use crate::provider::{ErrorKind, StepError};

impl Work<'_> {
    /// One reconfigure with its mark.
    pub(super) async fn reconfigure(&self, changes: &[Change], mark: &Mark) -> Result<(), StepError> {
        let mut machine = self.machine().await?;
        let mark = &kept_and_back(mark, changes, &machine);
        if !recorded(&machine, mark) {
            self.check(&machine, changes)?;
            self.note_detached(&machine, changes).await?;
            for change in changes {
                machine = self.machine().await?;
                self.apply(&machine, change).await?;
            }
            machine = self.machine().await?;
        }
        self.complete_mark(&machine, mark).await
    }

    /// What can be refused before the first call is.
    fn check(&self, machine: &Machine, changes: &[Change]) -> Result<(), StepError> {
        for change in changes {
            let disk = match change {
                Change::GrowDisk { disk, .. } | Change::DetachDisk(disk) | Change::DeleteDisk(disk) => disk,
                Change::RemoveNic(nic) | Change::MoveNic { nic, .. } | Change::ConnectNic { nic, .. } => {
                    self.meant_nic(machine, nic)?;
                    continue;
                }
                Change::Cpus(_)
                | Change::Memory(_)
                | Change::AddDisk(_)
                | Change::AttachDisk { .. }
                | Change::AddNic(_) => continue,
            };
            if machine.vm.snapshots {
                let why = "it has a snapshot, so no disk is changed";
                return Err(self.error("change a disk", ErrorKind::Conflict, why));
            }
            if self.meant(machine, disk)?.is_some_and(|disk| disk.observed.shared) {
                let why = format!("disk `{}` is shared and never changed", disk.name);
                return Err(self.error("change a disk", ErrorKind::Conflict, why));
            }
        }
        Ok(())
    }

    /// Disks that are about to be detached stand in the mark as kept, before they are.
    async fn note_detached(&self, machine: &Machine, changes: &[Change]) -> Result<(), StepError> {
        let detached: Vec<Change> =
            changes.iter().filter(|change| matches!(change, Change::DetachDisk(_))).cloned().collect();
        let Some(mark) = machine.mark().filter(|_| !detached.is_empty()) else { return Ok(()) };
        self.write_mark(machine, &kept_and_back(&mark, &detached, machine)).await
    }

    async fn apply(&self, machine: &Machine, change: &Change) -> Result<(), StepError> {
        match change {
            Change::Cpus(count) => self.set_cpus(machine, u64::from(*count)).await,
            Change::Memory(size) => self.set_memory(machine, *size).await,
            Change::AddDisk(order) => {
                let sr = self.sr_for(machine, order).await?;
                let disk = super::disks::NewDisk { name: &order.name, size: order.size, sr: &sr };
                self.ensure_disk(machine, disk).await
            }
            Change::AttachDisk { name, file, id } => {
                self.attach_disk(machine, name, id.as_deref().unwrap_or(file)).await
            }
            Change::GrowDisk { disk: at, size } => match self.meant(machine, at)? {
                Some(disk) => self.grow(disk, &at.name, *size).await,
                None => Err(self.failed("VDI.resize")(gone("disk", &at.name, &at.slot))),
            },
            Change::DetachDisk(at) => match self.meant(machine, at)? {
                Some(disk) => self.detach(machine, disk, &at.name).await,
                None => Ok(()),
            },
            Change::DeleteDisk(at) => match self.meant(machine, at)? {
                Some(disk) => self.delete_disk(machine, disk, &at.name).await,
                None => Ok(()),
            },
            Change::AddNic(order) => self.ensure_nic(machine, order).await,
            Change::RemoveNic(at) => match self.meant_nic(machine, at)? {
                Some(nic) => self.remove_nic(machine, nic, &at.name).await,
                None => Ok(()),
            },
            Change::MoveNic { nic: at, network } => match self.meant_nic(machine, at)? {
                Some(nic) => self.move_nic(nic, &at.name, network).await,
                None => Err(self.failed("VIF.move")(gone("NIC", &at.name, &at.slot))),
            },
            Change::ConnectNic { nic: at, connected } => match self.meant_nic(machine, at)? {
                Some(nic) => self.connect_nic(machine, nic, &at.name, *connected).await,
                None => Err(self.failed("VIF.set_locking_mode")(gone("NIC", &at.name, &at.slot))),
            },
        }
    }

    /// Both numbers of CPUs; the one at startup never exceeds the other (data model, `VCPUs_at_startup`), so the order
    /// depends on the direction.
    pub(super) async fn set_cpus(&self, machine: &Machine, count: u64) -> Result<(), StepError> {
        let (mut now, mut most) = (machine.vm.cpus, machine.vm.cpus_max);
        let max = || Request::new("VM.set_VCPUs_max");
        let startup = || Request::new("VM.set_VCPUs_at_startup");
        while (now, most) != (count, count) {
            let (request, is_max) = if now > count || most == count { (startup(), false) } else { (max(), true) };
            let call = Call::new(request.on(&machine.reference).with(count), format!("{count} CPUs"));
            let set = || async {
                let vm = self.machine().await?.vm;
                Ok(count == if is_max { vm.cpus_max } else { vm.cpus })
            };
            self.make(call, set).await?;
            if is_max { most = count } else { now = count }
        }
        Ok(())
    }

    /// All limits of memory in one call: what is configured is what it has.
    pub(super) async fn set_memory(&self, machine: &Machine, size: Bytes) -> Result<(), StepError> {
        let vm = &machine.vm;
        let [least, most] = vm.memory_static;
        if (vm.memory, vm.memory_dynamic_min, most) == (size.0, size.0, size.0) {
            return Ok(());
        }
        // Below its static minimum a template's maker did not want it; a manifest that does is followed all the same.
        let [least, all] = [least.min(size.0), size.0].map(|bytes| bytes.to_string());
        let request = Request::new("VM.set_memory_limits").on(&machine.reference);
        let request = request.with(least).with(all.as_str()).with(all.as_str()).with(all.as_str());
        let set = || async {
            let vm = self.machine().await?.vm;
            Ok((vm.memory, vm.memory_static[1]) == (size.0, size.0))
        };
        self.make(Call::new(request, format!("memory {size}")), set).await.map(drop)
    }

    /// Fills what only the server knows into the mark, and writes it when that makes a difference.
    pub(super) async fn complete_mark(&self, machine: &Machine, mark: &Mark) -> Result<(), StepError> {
        if machine.mark().is_some_and(|found| found.identity == mark.identity && found.generation > mark.generation) {
            return Ok(());
        }
        self.write_mark(machine, &filled(mark, machine)).await
    }
}

/// The mark with the disks that are detached and kept, and without the files of those that are attached again.
fn kept_and_back(mark: &Mark, changes: &[Change], machine: &Machine) -> Mark {
    let mut mark = mark.clone();
    for change in changes {
        match change {
            Change::DetachDisk(at) => {
                let Some(known) = mark.disks.get_mut(&at.name) else { continue };
                let attached = machine.disk(at).ok().flatten().map(|disk| disk.record.uuid.to_string());
                let uuid = attached.or_else(|| at.id.clone()).or_else(|| known.id.clone());
                *known = MarkedDisk {
                    slot: None,
                    id: uuid.clone(),
                    file: uuid.or_else(|| known.file.clone()),
                    deleting: false,
                };
            }
            Change::AttachDisk { name, file, id } => {
                if let Some(known) = mark.disks.get_mut(name) {
                    let id = id.clone().or_else(|| known.id.clone()).or_else(|| Some(file.clone()));
                    *known = MarkedDisk { slot: None, id, file: None, deleting: false };
                }
            }
            Change::Cpus(_)
            | Change::Memory(_)
            | Change::AddDisk(_)
            | Change::GrowDisk { .. }
            | Change::DeleteDisk(_)
            | Change::AddNic(_)
            | Change::RemoveNic(_)
            | Change::MoveNic { .. }
            | Change::ConnectNic { .. } => {}
        }
    }
    mark
}

/// Does this mark stand on the VM, or one that is newer? (A mark is written twice in one generation when work begins
/// and when it is done; `pending` tells them apart.)
fn recorded(machine: &Machine, mark: &Mark) -> bool {
    machine.mark().is_some_and(|found| {
        let same = found.generation == mark.generation && found.pending == mark.pending;
        found.identity == mark.identity && (same || found.generation > mark.generation)
    })
}

fn gone(what: &str, name: &str, slot: &str) -> Failure {
    Failure::because(ErrorKind::Conflict, format!("{what} `{name}` is no longer at {slot}"))
}
