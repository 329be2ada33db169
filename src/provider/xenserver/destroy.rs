//! Removing a VM and the disks that go with it, after making sure that nothing else would go too.
//!
//! `VM.destroy` leaves every disk behind, and once the VM is gone nobody knows whose they were. So the
//! disks go first, each named by the order and used by nobody else, then the VM with its mark: cut short
//! anywhere, the rest is still ours.

use super::machine::Machine;
use super::rpc::Request;
use super::work::{Change, Work};
use crate::inventory::{Known, Missing};
use crate::model::PowerState;
use crate::plan::DiskAt;
use crate::provider::{ErrorKind, StepError};

impl Work<'_> {
    /// A VM that is not there is done.
    pub(super) async fn destroy(&self, disks: &[DiskAt]) -> Result<(), StepError> {
        let Some(machine) = self.look().await? else { return self.is_really_gone().await };
        self.may_go(&machine, disks)?;
        for disk in &machine.parts.disks {
            let slot = &disk.observed.slot;
            let name = disks.iter().find(|at| *at.slot == **slot).map_or(&**slot, |at| &at.name);
            self.destroy_vdi(&disk.vdi, format!("delete disk {name} ({})", disk.record.uuid)).await?;
        }
        let seed = {
            let memory = self.memory().await?;
            // One that another VM has in its drive too, as a copy of this one does, stays.
            machine.seed(&memory).filter(|(_, disc)| disc.vbds.len() == 1).map(|(vdi, _)| vdi.clone())
        };
        if let Some(seed) = seed {
            self.destroy_vdi(&seed, "delete its cloud-init data".to_owned()).await?;
        }
        let detail = format!("delete {} with its {} disks", machine.vm.name, machine.parts.disks.len());
        let change = Change { request: Request::new("VM.destroy").on(&machine.reference), destroys: true, detail };
        self.make(change, || async { Ok(self.look().await?.is_none()) }).await?;
        Ok(())
    }

    fn may_go(&self, machine: &Machine, disks: &[DiskAt]) -> Result<(), StepError> {
        let refuse = |why: String| self.error("VM.destroy", ErrorKind::Conflict, why);
        // Asked before the first disk goes: a VM that stays must not lose its disks.
        machine.blocked("destroy").map_err(self.failed("VM.destroy"))?;
        if machine.power() != PowerState::Stopped {
            return Err(refuse("it is not powered off".to_owned()));
        }
        if machine.config.template {
            return Err(refuse("it is a template".to_owned()));
        }
        if machine.vm.snapshots {
            return Err(refuse("it has a snapshot".to_owned()));
        }
        if let Some(operation) = machine.vm.operations.values().next() {
            return Err(refuse(format!("something is being done to it ({operation})")));
        }
        for disk in &machine.config.disks {
            if disk.shared {
                return Err(refuse(format!("the disk at {} is shared", disk.slot)));
            }
            let named =
                |at: &&DiskAt| *at.slot == *disk.slot && (at.id.is_none() || at.id.as_deref() == disk.id.as_deref());
            if !disks.iter().any(|at| named(&at)) {
                return Err(refuse(format!("the disk at {} is attached and not ours to delete", disk.slot)));
            }
        }
        Ok(())
    }

    /// An empty answer may also mean that another pool answers.
    async fn is_really_gone(&self) -> Result<(), StepError> {
        let Some(id) = self.step.own_id.clone() else { return Ok(()) };
        let pool = self.memory().await?.pool.clone();
        let known = Known { id, handle: "".into() };
        match super::find::missing(self.door, &pool, &known).await.map_err(self.failed("read the VM"))? {
            Missing::NotFound => Ok(()),
            Missing::Unknown(why) => Err(self.error("read the VM", ErrorKind::Conflict, why)),
        }
    }
}
