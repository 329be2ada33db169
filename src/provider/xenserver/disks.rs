//! Disks: a VDI, and the VBD that plugs it into a VM. Each call is made only where its effect is not there yet.
//!
//! A VDI that we make says from its first moment for which VM, and under which name (`other_config` goes with
//! `VDI.create`): whoever comes after a crash finds it and goes on with it.

use serde_json::{Value, json};

use super::collect::Memory;
use super::convert::{Disk, disk_slot};
use super::machine::Machine;
use super::place;
use super::record::{OWNER, PART, Vdi};
use super::rpc::{Ref, Request};
use super::store::get;
use super::work::{Change, Work};
use crate::model::Bytes;
use crate::plan::{DiskAt, DiskOrder};
use crate::provider::{DISK_IS_GONE, ErrorKind, StepError};

/// A disk to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewDisk<'o> {
    pub name: &'o str,
    pub size: Bytes,
    pub sr: &'o Ref,
}

impl Work<'_> {
    /// A disk of this name is there, made by us for this VM, and plugged in.
    pub(super) async fn ensure_disk(&self, machine: &Machine, disk: NewDisk<'_>) -> Result<(), StepError> {
        if machine.disk_of(disk.name).is_none() {
            let vdi = self.ensure_vdi(machine, disk).await?;
            return self.plug_in(machine, &vdi, disk.name).await;
        }
        Ok(())
    }

    /// Where a disk of an update goes: as it names, or where the VM's first disk is.
    pub(super) async fn sr_for(&self, machine: &Machine, order: &DiskOrder) -> Result<Ref, StepError> {
        let memory = self.memory().await?;
        if let Some(name) = &order.storage {
            let host = machine.vm.host.as_ref().or(machine.vm.affinity.as_ref());
            let host = host.and_then(|host| get(&memory.store.places.hosts, host)).map(|host| host.name_label.clone());
            return place::sr(&memory.store.places, name, host.as_deref()).map_err(self.failed("find the storage"));
        }
        let first = machine.parts.disks.iter().find_map(|disk| disk.record.sr.clone());
        let pool = || memory.store.places.pools.values().find_map(|pool| pool.as_ref().ok()?.default_sr.clone());
        first.or_else(pool).ok_or_else(|| {
            let why = format!("disk `{}` names no storage, and the VM has no disk to lie beside", order.name);
            self.error("find the storage", ErrorKind::NotFound, why)
        })
    }

    /// A VDI made for this VM under this name that is nowhere plugged in: from a run that was cut short, or new.
    pub(super) async fn ensure_vdi(&self, machine: &Machine, disk: NewDisk<'_>) -> Result<Ref, StepError> {
        let find = || async { Ok::<_, StepError>(unplugged(&*self.memory().await?, machine, disk)) };
        if let Some(vdi) = find().await? {
            return Ok(vdi);
        }
        let record = json!({
            "SR": disk.sr.as_str(),
            "name_label": format!("{} {}", self.step.key.name(), disk.name),
            "name_description": "",
            "virtual_size": disk.size.0.to_string(),
            "type": "user",
            "sharable": false,
            "read_only": false,
            "other_config": {OWNER: &*machine.vm.uuid, PART: disk.name},
            "xenstore_data": {},
            "sm_config": {},
            "tags": [],
        });
        let change =
            Change::new(Request::task("VDI.create").with(record), format!("make disk {} of {}", disk.name, disk.size));
        let made = self.make(change, || async { Ok(find().await?.is_some()) }).await?;
        match made.as_deref().and_then(Ref::of) {
            Some(vdi) => Ok(vdi),
            None => find().await?.ok_or_else(|| {
                self.error("VDI.create", ErrorKind::Unexpected, "the disk was made and cannot be found")
            }),
        }
    }

    /// Plugs a VDI into the VM, and into its guest if it runs.
    pub(super) async fn plug_in(&self, machine: &Machine, vdi: &Ref, name: &str) -> Result<(), StepError> {
        let device = machine.free_device().map_err(self.failed("VBD.create"))?.to_string();
        let boots = machine.parts.disks.is_empty();
        let record =
            vbd_record(&machine.reference, vdi, &device, json!({"type": "Disk", "mode": "RW", "bootable": boots}));
        let change = Change::new(
            Request::new("VBD.create").with(record),
            format!("plug disk {name} in at {}", disk_slot(&device)),
        );
        let there = || async { Ok(self.machine().await?.parts.disks.iter().any(|disk| disk.vdi == *vdi)) };
        self.make(change, there).await?;
        if machine.is_running() {
            self.hot_plug(vdi, name).await?;
        }
        Ok(())
    }

    async fn hot_plug(&self, vdi: &Ref, name: &str) -> Result<(), StepError> {
        let machine = self.machine().await?;
        let Some(disk) = machine.parts.disks.iter().find(|disk| disk.vdi == *vdi && !disk.plugged) else {
            return Ok(());
        };
        let change = Change::new(Request::task("VBD.plug").on(&disk.vbd), format!("give the guest disk {name}"));
        let plugged =
            || async { Ok(self.machine().await?.parts.disks.iter().any(|disk| disk.vdi == *vdi && disk.plugged)) };
        self.make(change, plugged).await.map(drop)
    }

    /// Attaches a kept disk again, found by its uuid.
    pub(super) async fn attach_disk(&self, machine: &Machine, name: &str, uuid: &str) -> Result<(), StepError> {
        if let Some(disk) = machine.parts.disks.iter().find(|disk| *disk.record.uuid == *uuid) {
            if machine.is_running() {
                self.hot_plug(&disk.vdi.clone(), name).await?;
            }
            return Ok(());
        }
        let vdi = {
            let memory = self.memory().await?;
            let vdis = memory.store.vdis.iter().filter_map(|(at, vdi)| Some((at, vdi.as_ref().ok()?)));
            vdis.filter(|(_, vdi)| *vdi.uuid == *uuid).map(|(at, vdi)| (at.clone(), vdi.vbds.len())).next()
        };
        match vdi {
            Some((vdi, 0)) => self.plug_in(machine, &vdi, name).await,
            Some(_) => {
                Err(self.error("VBD.create", ErrorKind::Conflict, format!("disk {uuid} is in use by another VM")))
            }
            None => {
                let why = format!("disk `{name}`: there is no VDI {uuid} any more; {DISK_IS_GONE}");
                Err(self.error("VBD.create", ErrorKind::NotFound, why))
            }
        }
    }

    /// Grows a disk; a real server wants it unplugged (recorded/26), and the plan has seen to that.
    pub(super) async fn grow(&self, disk: &Disk, name: &str, size: Bytes) -> Result<(), StepError> {
        self.refuse_shared("VDI.resize", disk, name)?;
        if disk.observed.size >= size {
            return Ok(());
        }
        let request = Request::task("VDI.resize").on(&disk.vdi).with(size.0.to_string());
        let change = Change::new(request, format!("grow disk {name} from {} to {size}", disk.observed.size));
        let grown = || async {
            let machine = self.machine().await?;
            Ok(machine.parts.disks.iter().any(|found| found.vdi == disk.vdi && found.observed.size >= size))
        };
        self.make(change, grown).await.map(drop)
    }

    /// Takes a disk off the VM and keeps it.
    pub(super) async fn detach(&self, machine: &Machine, disk: &Disk, name: &str) -> Result<(), StepError> {
        self.refuse_shared("VBD.destroy", disk, name)?;
        self.unplug(machine, disk, name).await?;
        let change = Change::new(Request::new("VBD.destroy").on(&disk.vbd), format!("detach disk {name} and keep it"));
        let gone = || async { Ok(!self.machine().await?.parts.disks.iter().any(|found| found.vbd == disk.vbd)) };
        self.make(change, gone).await.map(drop)
    }

    /// Takes a disk off the VM and deletes it. `VDI.destroy` takes its VBDs along (xapi, `Xapi_vdi.destroy`).
    pub(super) async fn delete_disk(&self, machine: &Machine, disk: &Disk, name: &str) -> Result<(), StepError> {
        self.refuse_shared("VDI.destroy", disk, name)?;
        self.unplug(machine, disk, name).await?;
        self.destroy_vdi(&disk.vdi, format!("delete disk {name} ({})", disk.record.uuid)).await
    }

    /// Deletes a VDI.
    pub(super) async fn destroy_vdi(&self, vdi: &Ref, detail: String) -> Result<(), StepError> {
        let change = Change { request: Request::task("VDI.destroy").on(vdi), destroys: true, detail };
        let gone = || async { Ok(!self.memory().await?.store.vdis.contains_key(vdi)) };
        self.make(change, gone).await.map(drop)
    }

    async fn unplug(&self, machine: &Machine, disk: &Disk, name: &str) -> Result<(), StepError> {
        if !machine.is_running() || !disk.plugged {
            return Ok(());
        }
        let change = Change::new(Request::task("VBD.unplug").on(&disk.vbd), format!("take disk {name} from the guest"));
        let unplugged = || async {
            Ok(!self.machine().await?.parts.disks.iter().any(|found| found.vbd == disk.vbd && found.plugged))
        };
        self.make(change, unplugged).await.map(drop)
    }

    fn refuse_shared(&self, call: &str, disk: &Disk, name: &str) -> Result<(), StepError> {
        if disk.observed.shared {
            return Err(self.error(call, ErrorKind::Conflict, format!("disk `{name}` is shared and never changed")));
        }
        Ok(())
    }

    /// The attached disk that is meant, if it is there.
    pub(super) fn meant<'m>(&self, machine: &'m Machine, at: &DiskAt) -> Result<Option<&'m Disk>, StepError> {
        machine.disk(at).map_err(self.failed("find the disk"))
    }
}

/// What every VBD is made of; `kind` has type, mode and whether it boots.
pub(super) fn vbd_record(vm: &Ref, vdi: &Ref, device: &str, mut kind: Value) -> Value {
    let common = json!({
        "VM": vm.as_str(),
        "VDI": vdi.as_str(),
        "userdevice": device,
        "unpluggable": true,
        "empty": false,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    });
    if let (Value::Object(kind), Value::Object(common)) = (&mut kind, common) {
        kind.extend(common);
    }
    kind
}

/// The mark names kept disks; one of those is never taken for a beginning.
fn unplugged(memory: &Memory, machine: &Machine, disk: NewDisk<'_>) -> Option<Ref> {
    let kept = machine.mark().map(|mark| mark.disks).unwrap_or_default();
    let is_kept = |vdi: &Vdi| kept.values().any(|kept| kept.id.as_deref() == Some(&*vdi.uuid));
    let vdis = memory.store.vdis.iter().filter_map(|(at, vdi)| Some((at, vdi.as_ref().ok()?)));
    let mut found: Vec<&Ref> = vdis
        .filter(|(_, vdi)| vdi.tag.is(&machine.vm.uuid, disk.name) && vdi.vbds.is_empty())
        .filter(|(_, vdi)| vdi.size == disk.size.0 && !is_kept(vdi))
        .map(|(at, _)| at)
        .collect();
    found.sort();
    found.first().map(|at| (*at).clone())
}
