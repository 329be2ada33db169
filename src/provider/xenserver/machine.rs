//! A VM read in full and fresh, to be changed.

use super::collect::Memory;
use super::convert::{self, Disk, Nic, Parts};
use super::fault::Failure;
use super::record::Vm;
use super::rpc::Ref;
use super::store::get;
use crate::mark::{self, Mark};
use crate::model::{PowerState, VmConfig};
use crate::plan::{DiskAt, NicAt};
use crate::provider::ErrorKind;

/// The number that is kept for a CD: an emulated drive must be among the first four, and the last of them
/// is where every tool puts it.
const CD_DEVICE: u32 = 3;
/// The highest number of a disk (XAPI's limit of devices for each VM).
const LAST_DEVICE: u32 = 254;
/// The highest number of a NIC.
const LAST_NIC: u32 = 6;

/// A VM and what is plugged into it.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub reference: Ref,
    pub vm: Vm,
    pub parts: Parts,
    pub config: VmConfig,
}

/// The VM of a reference, from a memory brought up to date just before; `None`: there is none.
pub(super) fn of(memory: &Memory, reference: &Ref) -> Result<Option<Machine>, Failure> {
    let unreadable = |why: &str| Failure::because(ErrorKind::Conflict, format!("it cannot be read: {why}"));
    let vm = match memory.store.vms.get(reference) {
        None => return Ok(None),
        Some(Err(unread)) => return Err(unreadable(&unread.why)),
        Some(Ok(vm)) => vm.clone(),
    };
    let parts = convert::parts(&memory.store, reference, &vm).map_err(|why| unreadable(&why))?;
    let config = convert::config(&memory.store, &vm, &parts);
    Ok(Some(Machine { reference: reference.clone(), vm, parts, config }))
}

impl Machine {
    pub(super) fn power(&self) -> PowerState {
        self.vm.power
    }

    pub(super) fn is_running(&self) -> bool {
        self.vm.power == PowerState::Running
    }

    /// The mark as it stands on the VM, when it can be read.
    pub(super) fn mark(&self) -> Option<Mark> {
        mark::parse(convert::own_mark(&self.vm)?).ok()
    }

    /// The task that does this operation to it now.
    pub(super) fn working_on(&self, operation: &str) -> Option<Ref> {
        let task = self.vm.operations.iter().find(|(_, working)| **working == *operation);
        task.and_then(|(task, _)| Ref::of(task))
    }

    /// A person's word that this is not to be done to it, if there is one.
    pub(super) fn blocked(&self, operation: &str) -> Result<(), Failure> {
        match self.vm.blocked.get(operation) {
            None => Ok(()),
            Some(why) => {
                let why = if why.is_empty() { "without a reason" } else { why };
                Err(Failure::because(ErrorKind::Conflict, format!("its operation `{operation}` is blocked: {why}")))
            }
        }
    }

    /// The attached disk that is meant: by slot, and by id when one is given. `Ok(None)`: that slot is empty and no
    /// disk of that id is attached.
    pub(super) fn disk(&self, at: &DiskAt) -> Result<Option<&Disk>, Failure> {
        let same_id = |disk: &&Disk| at.id.is_none() || disk.observed.id.as_deref() == at.id.as_deref();
        match self.parts.disks.iter().find(|disk| *disk.observed.slot == *at.slot) {
            Some(disk) if same_id(&disk) => Ok(Some(disk)),
            Some(disk) => {
                let id = disk.observed.id.as_deref().unwrap_or("no id");
                let why = format!("at {} there is another disk ({id}) than `{}`", at.slot, at.name);
                Err(Failure::because(ErrorKind::Conflict, why))
            }
            None if at.id.is_some() && self.parts.disks.iter().any(|disk| same_id(&disk)) => {
                let why = format!("disk `{}` is no longer at {}", at.name, at.slot);
                Err(Failure::because(ErrorKind::Conflict, why))
            }
            None => Ok(None),
        }
    }

    /// The NIC that is meant: by slot and MAC, both.
    pub(super) fn nic(&self, at: &NicAt) -> Result<Option<&Nic>, Failure> {
        match self.parts.nics.iter().find(|nic| *nic.observed.slot == *at.slot) {
            Some(nic) if !nic.observed.mac.eq_ignore_ascii_case(&at.mac) => {
                let why = format!("at {} there is another NIC ({}) than `{}`", at.slot, nic.observed.mac, at.name);
                Err(Failure::because(ErrorKind::Conflict, why))
            }
            found => Ok(found),
        }
    }

    /// The number of the next disk.
    pub(super) fn free_device(&self) -> Result<u32, Failure> {
        let free = |number: &u32| *number != CD_DEVICE && !self.parts.devices.contains(number);
        let number = (0..=LAST_DEVICE).find(free);
        number.ok_or_else(|| Failure::because(ErrorKind::Conflict, "no further disk can be plugged into it"))
    }

    /// The number of a CD drive, if one of those that a guest sees is free.
    pub(super) fn free_cd(&self) -> Option<u32> {
        (0..=CD_DEVICE).rev().find(|number| !self.parts.devices.contains(number))
    }

    /// The number of the next NIC.
    pub(super) fn free_nic(&self) -> Result<u32, Failure> {
        let taken = |number: &u32| self.parts.nics.iter().any(|nic| *nic.record.device == *number.to_string());
        let number = (0..=LAST_NIC).find(|number| !taken(number));
        number.ok_or_else(|| Failure::because(ErrorKind::Conflict, "no further NIC can be plugged into it"))
    }

    /// The NIC that was made for a name.
    pub(super) fn nic_of(&self, name: &str) -> Option<&Nic> {
        self.parts.nics.iter().find(|nic| nic.record.tag.is(&self.vm.uuid, name))
    }

    /// The disk that was made for a name.
    pub(super) fn disk_of(&self, name: &str) -> Option<&Disk> {
        self.parts.disks.iter().find(|disk| disk.record.tag.is(&self.vm.uuid, name))
    }

    /// A drive with another VM's cloud-init data in it: a copy of a VM has it.
    pub(super) fn strange_seed(&self, memory: &Memory) -> Option<Ref> {
        let is_strange = |vdi: &Ref| {
            get(&memory.store.vdis, vdi).is_some_and(|disc| {
                disc.tag.part.as_deref() == Some(super::seed::PART) && disc.tag.owner.as_deref() != Some(&*self.vm.uuid)
            })
        };
        let drive = self.parts.cds.iter().find(|(_, cd)| cd.vdi.as_ref().is_some_and(is_strange));
        drive.map(|(drive, _)| drive.clone())
    }

    /// The CD with cloud-init data, if it is there.
    pub(super) fn seed<'m>(&'m self, memory: &'m Memory) -> Option<(&'m Ref, &'m super::record::Vdi)> {
        let discs = self.parts.cds.iter().filter_map(|(_, cd)| cd.vdi.as_ref());
        discs
            .filter_map(|vdi| Some((vdi, get(&memory.store.vdis, vdi)?)))
            .find(|(_, disc)| disc.tag.is(&self.vm.uuid, super::seed::PART))
    }
}
