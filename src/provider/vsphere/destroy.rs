//! Removing a VM and the disks that go with it, after making sure that nothing else would go too.

use super::find;
use super::machine::Machine;
use super::soap::Request;
use super::work::{Change, Work};
use crate::inventory::{Known, Missing};
use crate::model::{ObservedDisk, PowerState};
use crate::plan::DiskAt;
use crate::provider::{ErrorKind, StepError};

impl Work<'_> {
    /// Destroy_Task deletes every attached disk, so the attached ones must be exactly those that may go. A VM that is
    /// not there is done.
    pub(super) async fn destroy(&self, disks: &[DiskAt]) -> Result<(), StepError> {
        let id = self.id();
        let Some(machine) = self.look(&id).await? else { return self.is_really_gone().await };
        self.may_go(&machine, disks)?;
        let files: Vec<&str> = machine.heavy.config.disks.iter().filter_map(|disk| disk.file.as_deref()).collect();
        self.check_unused(&machine, &files).await?;
        let request = Request::new("Destroy_Task", machine.moref(), |_| {})
            .map_err(|error| self.failed("Destroy_Task")(error.into()))?;
        let detail = format!("delete {} with its {} disks", machine.light.name, files.len());
        let change = Change { request, entity: machine.moref().clone(), destroys: true, detail };
        self.make(change, || async { Ok(self.look(&id).await?.is_none() && self.deleted(&machine).await?) }).await?;
        Ok(())
    }

    fn may_go(&self, machine: &Machine, disks: &[DiskAt]) -> Result<(), StepError> {
        let refuse = |why: String| self.error("Destroy_Task", ErrorKind::Conflict, why);
        if machine.power() != PowerState::Stopped {
            return Err(refuse("it is not powered off".to_owned()));
        }
        if machine.light.template {
            return Err(refuse("it is a template".to_owned()));
        }
        let named = |disk: &ObservedDisk| {
            disks.iter().any(|at| at.slot == *disk.slot && (at.id.is_none() || at.id.as_deref() == disk.id.as_deref()))
        };
        for disk in &machine.heavy.config.disks {
            if disk.shared {
                return Err(refuse(format!("the disk at {} is shared", disk.slot)));
            }
            if !named(disk) {
                return Err(refuse(format!("the disk at {} is attached and not ours to delete", disk.slot)));
            }
        }
        Ok(())
    }

    /// An empty answer to a search may also mean that the account lost its rights.
    async fn is_really_gone(&self) -> Result<(), StepError> {
        let known = Known { id: self.id(), handle: "".into() };
        let memory = self.memory.lock().await;
        let (memory, known) = (&*memory, &known);
        let answer = self
            .door
            .within(|session| async move { find::missing(self.door, &session, memory, known).await })
            .await
            .map_err(self.failed("read the VM"))?;
        match answer {
            Missing::NotFound => Ok(()),
            Missing::Unknown(why) => Err(self.error("read the VM", ErrorKind::Denied, why)),
        }
    }

    async fn deleted(&self, machine: &Machine) -> Result<bool, StepError> {
        self.door
            .within(|session| async move { find::is_deleted(self.door, &session, machine.moref()).await })
            .await
            .map_err(self.failed("read the VM"))
    }
}
