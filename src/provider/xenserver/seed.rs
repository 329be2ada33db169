//! Cloud-init data for a new VM: a NoCloud CD, written into a small disk of its own and put into a drive.
//!
//! A CD and not a disk, since every guest sees an emulated drive before it has drivers, and a drive's content is no
//! disk of the VM. It is only put in once it is whole: what is in the drive is done.

use serde_json::json;

use super::collect::Memory;
use super::disks::{NewDisk, vbd_record};
use super::machine::Machine;
use super::rpc::{Ref, Request};
use super::work::{Change, Work};
use crate::mark::Mark;
use crate::model::Bytes;
use crate::plan::CreateVm;
use crate::provider::cloud_init::{has_news, nocloud};
use crate::provider::{ErrorKind, StepError};

/// The name of that disk within its VM; no disk of a manifest can have it.
pub(super) const PART: &str = "cloud-init/seed";
/// Sizes of disks are multiples of this on most storage.
const GRAIN: u64 = 4 * Bytes::MIB;

impl Work<'_> {
    /// The CD is there, where there is anything to tell the guest. The mark tells the MACs.
    pub(super) async fn ensure_seed(
        &self,
        order: &CreateVm,
        machine: &Machine,
        mark: &Mark,
        sr: &Ref,
    ) -> Result<(), StepError> {
        self.take_out(machine).await?;
        if !has_news(order) || self.has_seed(machine).await? {
            return Ok(());
        }
        let content = nocloud::seed(order, mark, self.user_data);
        let size = Bytes(u64::try_from(content.len()).unwrap_or(u64::MAX).div_ceil(GRAIN) * GRAIN);
        let vdi = self.ensure_vdi(machine, NewDisk { name: PART, size, sr }).await?;
        let change = Change::new(Request::new("import_raw_vdi").on(&vdi), "write its cloud-init data");
        // Written again it is the same, so that one more attempt does for a lost answer.
        let act = || async {
            match self.door.upload(&vdi, &content).await {
                Err(super::fault::Failure::Lost(..)) => self.door.upload(&vdi, &content).await,
                outcome => outcome,
            }
            .map(|()| None)
        };
        self.perform(&change, act, || async { Ok(false) }).await?;
        self.put_in(&self.machine().await?, &vdi).await
    }

    /// Another VM's data out of the drive, which it came in with the image: a guest must find one CD alone.
    async fn take_out(&self, machine: &Machine) -> Result<(), StepError> {
        let drive = machine.strange_seed(&*self.memory().await?);
        let Some(drive) = drive else { return Ok(()) };
        let change = Change::new(Request::new("VBD.eject").on(&drive), "take another VM's cloud-init data out");
        let is_out = || async { Ok(self.machine().await?.strange_seed(&*self.memory().await?).is_none()) };
        self.make(change, is_out).await.map(drop)
    }

    async fn has_seed(&self, machine: &Machine) -> Result<bool, StepError> {
        let memory: &Memory = &*self.memory().await?;
        Ok(machine.seed(memory).is_some())
    }

    /// Into the VM's empty drive, or into a new one.
    async fn put_in(&self, machine: &Machine, vdi: &Ref) -> Result<(), StepError> {
        let empty = machine.parts.cds.iter().find(|(_, cd)| cd.vdi.is_none()).map(|(drive, _)| drive);
        let request = match (empty, machine.free_cd()) {
            (Some(drive), _) => Request::new("VBD.insert").on(drive).on(vdi),
            (None, Some(number)) => {
                let kind = json!({"type": "CD", "mode": "RO", "bootable": false});
                Request::new("VBD.create").with(vbd_record(&machine.reference, vdi, &number.to_string(), kind))
            }
            (None, None) => {
                let why = "no CD drive is free for its cloud-init data, and no place for one";
                return Err(self.error("VBD.create", ErrorKind::Conflict, why));
            }
        };
        let change = Change::new(request, "put the CD with its cloud-init data in");
        let is_in = || async {
            let machine = self.machine().await?;
            Ok(machine.parts.cds.iter().any(|(_, cd)| cd.vdi.as_ref() == Some(vdi)))
        };
        self.make(change, is_in).await.map(drop)
    }
}
