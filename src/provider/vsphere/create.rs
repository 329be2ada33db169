//! Making a VM: from an image by cloning, or blank; started; marked at each stage, so that any of them can be gone on
//! with after a crash.
//!
//! ```text
//! born       CloneVM_Task or CreateVM_Task, with our instanceUuid and the mark, pending
//! equipped   ReconfigVM_Task: size, disks, NICs; the mark names the disks' slots        (a blank VM is born so)
//! informed   ReconfigVM_Task: guestinfo, and the mark with ids and MACs                 (where there is cloud-init)
//! started    PowerOnVM_Task
//! finished   ReconfigVM_Task: the mark without pending
//! ```
//!
//! Which stage a VM is in is read from the mark on it. The instanceUuid leads to it: nothing is made twice.

use super::fault::Failure;
use super::find;
use super::guest;
use super::layout::Layout;
use super::machine::{self, Machine};
use super::names::escape;
use super::pages::{self, Each};
use super::place::{self, Place};
use super::property::{From, Wanted};
use super::reconfigure::{filled, grown};
use super::soap::{Moref, Request, reference};
use super::spec::{Backing, ConfigSpec, DeviceChange, controller_kind, guest_id, nic_kind};
use super::work::{Change, Work};
use crate::mark::{Mark, MarkedDisk, MarkedNic, Pending};
use crate::model::OwnId;
use crate::plan::{CreateVm, DiskOrder};
use crate::provider::{ErrorKind, StepError, cloud_init};
use crate::xml::Writer;

impl Work<'_> {
    /// Makes a VM, or goes on with one of the same identity.
    pub(super) async fn create(&self, order: &CreateVm) -> Result<(), StepError> {
        let id = OwnId::new(&order.identity.to_string());
        let machine = match self.look(&id).await? {
            Some(machine) => machine,
            None => self.bear(order, &id).await?,
        };
        self.recorder.made(&id, &machine.light.moref.value).await?;
        let datacenter = self.datacenter_of(&machine).await?;
        let mut nics = Vec::new();
        for nic in &order.nics {
            nics.push((nic.name.clone(), self.backing(&nic.network.name, &datacenter).await?));
        }
        let machine = self.equip(order, machine, &nics).await?;
        let machine = self.inform(order, machine, &nics).await?;
        if order.start {
            self.start().await?;
        }
        self.complete_mark(&machine, &order.mark, &nics).await
    }

    async fn bear(&self, order: &CreateVm, id: &OwnId) -> Result<Machine, StepError> {
        let place = self.place(&order.placement).await?;
        let change = match &order.image {
            Some(image) => self.clone_of(order, &place, &image.source).await?,
            None => self.blank(order, &place).await?,
        };
        self.make(change, || async { Ok(self.look(id).await?.is_some()) }).await?;
        let born = self.look(id).await?;
        born.ok_or_else(|| {
            self.error("create", ErrorKind::Unexpected, "the VM was made and no VM has its instance UUID")
        })
    }

    /// CloneVM_Task(folder, name, spec).
    async fn clone_of(&self, order: &CreateVm, place: &Place, source: &str) -> Result<Change, StepError> {
        let image = self.image(source, &place.datacenter).await?;
        let disks = self.clone_disks(order, place, &image).await?;
        let config = ConfigSpec {
            instance_uuid: Some(order.identity.to_string()),
            cpus: Some(order.cpus),
            memory: Some(order.memory),
            extra: ConfigSpec::marking(&pending(&order.mark)).extra,
            ..ConfigSpec::default()
        };
        let request = Request::new("CloneVM_Task", image.moref(), |writer| {
            reference(writer, "folder", &place.folder);
            writer.leaf("name", &escape(order.name.as_str())).open("spec");
            write_location(writer, place, &disks);
            writer.leaf("template", "false");
            config.write(writer, "config");
            writer.leaf("powerOn", "false").close();
        })
        .map_err(|error| self.failed("CloneVM_Task")(error.into()))?;
        let detail = format!("clone {source} as {}", order.name);
        Ok(Change { request, entity: image.moref().clone(), destroys: false, detail })
    }

    /// Image disks that go to another datastore than the VM: device key and datastore.
    async fn clone_disks(
        &self,
        order: &CreateVm,
        place: &Place,
        image: &Machine,
    ) -> Result<Vec<(i32, Moref)>, StepError> {
        let tree = self.tree().await?;
        let mut locators = Vec::new();
        for (disk, found) in order.disks.iter().take(order.image_disks).zip(&image.heavy.config.disks) {
            let Some(name) = disk.storage.as_ref().filter(|name| order.placement.storage.as_ref() != Some(name)) else {
                continue;
            };
            let datastore =
                place::datastore(tree, name, &place.datacenter).map_err(self.failed("find the datastore"))?;
            let at = crate::plan::DiskAt { name: disk.name.clone(), slot: found.slot.to_string(), id: None };
            let device = image.disk(&at).map_err(self.failed("read the image"))?;
            if let Some(key) = device.and_then(|(_, device)| device.number("key")) {
                locators.push((key, datastore));
            }
        }
        Ok(locators)
    }

    /// The template or VM of that name. Where it was seen last is tried first.
    async fn image(&self, name: &str, datacenter: &Moref) -> Result<Machine, StepError> {
        let remembered = self.memory.lock().await.called(name);
        let here = |machine: &Machine, tree: &super::tree::Tree| {
            let light = &machine.light;
            *light.name == *name
                && [&light.parent, &light.vapp, &light.host]
                    .into_iter()
                    .flatten()
                    .any(|moref| tree.datacenter(moref).is_some_and(|found| found.moref == *datacenter))
        };
        let tree = self.tree().await?;
        if let [moref] = remembered.as_slice()
            && let Some(machine) = self.read(moref).await?
            && here(&machine, tree)
        {
            return Ok(machine);
        }
        let mut found = Vec::new();
        for moref in self.named(name).await? {
            if let Some(machine) = self.read(&moref).await?
                && here(&machine, tree)
            {
                found.push(machine);
            }
        }
        match (found.pop(), found.len()) {
            (Some(machine), 0) => Ok(machine),
            (None, _) => {
                Err(self.error("find the image", ErrorKind::NotFound, format!("there is no template or VM `{name}`")))
            }
            (Some(_), more) => {
                let why = format!("{} templates or VMs are called `{name}`", more + 1);
                Err(self.error("find the image", ErrorKind::Conflict, why))
            }
        }
    }

    async fn read(&self, moref: &Moref) -> Result<Option<Machine>, StepError> {
        self.door
            .within(|session| async move { machine::read(self.door, &session, moref).await })
            .await
            .map_err(self.failed("read the image"))
    }

    /// References of all VMs of a name: the names of all are read, which happens only when memory did not help.
    async fn named(&self, name: &str) -> Result<Vec<Moref>, StepError> {
        let all = self
            .door
            .within(|session| async move {
                let view = find::vm_view(self.door, &session).await?;
                let wanted = [Wanted { kind: "VirtualMachine", paths: &["name"] }];
                let named =
                    Each::whole(|object, _| Some((object.moref.clone(), super::names::unescape(object.text("name")?))));
                let read = pages::read(self.door, &session, &wanted, &From::View(&view), named).await;
                find::drop_view(self.door, &session, &view).await;
                read
            })
            .await
            .map_err(self.failed("find the image"))?;
        Ok(all.into_iter().filter(|(_, found)| found == name).map(|(moref, _)| moref).collect())
    }

    /// CreateVM_Task(config, pool, host): born with all its hardware.
    async fn blank(&self, order: &CreateVm, place: &Place) -> Result<Change, StepError> {
        let Some(datastore) = order.placement.storage.clone() else {
            let why = "the placement names no storage, and a blank VM must lie somewhere";
            return Err(self.error("CreateVM_Task", ErrorKind::NotFound, why));
        };
        let mut layout = Layout::blank(controller_kind(order.guest_os));
        let mut mark = pending(&order.mark);
        let mut devices = Vec::new();
        for disk in &order.disks {
            devices.push(add_disk(&mut layout, &mut mark, disk).map_err(self.failed("CreateVM_Task"))?);
        }
        for nic in &order.nics {
            let backing = self.backing(&nic.network.name, &place.datacenter).await?;
            let kind = nic_kind(order.guest_os).to_owned();
            devices.push(DeviceChange::AddNic { key: layout.key(), kind, backing, mac: nic.mac.clone() });
            mark.nics.entry(nic.name.clone()).or_insert(MarkedNic { mac: nic.mac.clone(), slot: None });
        }
        let mut all = layout.controllers();
        all.append(&mut devices);
        let config = ConfigSpec {
            name: Some(escape(order.name.as_str())),
            instance_uuid: Some(order.identity.to_string()),
            guest_id: Some(guest_id(order.guest_os)),
            datastore: Some(datastore),
            cpus: Some(order.cpus),
            memory: Some(order.memory),
            devices: all,
            extra: ConfigSpec::marking(&mark).extra,
            firmware: Some(order.firmware),
            ..ConfigSpec::default()
        };
        let request = Request::new("CreateVM_Task", &place.folder, |writer| {
            config.write(writer, "config");
            place::write_pool_and_host(writer, place);
        })
        .map_err(|error| self.failed("CreateVM_Task")(error.into()))?;
        let detail = format!("create {}", order.name);
        Ok(Change { request, entity: place.folder.clone(), destroys: false, detail })
    }

    /// Size, disks and NICs of a clone, once: the mark on it tells when that was done.
    async fn equip(
        &self,
        order: &CreateVm,
        machine: Machine,
        nics: &[(String, Backing)],
    ) -> Result<Machine, StepError> {
        let mut spec = ConfigSpec::default();
        // What CloneVM_Task did not take over (a template's customization may forbid it) is set now.
        if machine.heavy.config.cpus != order.cpus {
            spec.cpus = Some(order.cpus);
        }
        if machine.heavy.config.memory != order.memory {
            spec.memory = Some(order.memory);
        }
        let mut mark =
            machine.mark().filter(|mark| mark.identity == order.identity).unwrap_or_else(|| pending(&order.mark));
        if !is_equipped(order, &machine, &mark, nics) {
            let mut layout = Layout::of(&machine, machine.controller_kind());
            let mut devices = self.image_disks(order, &machine, &mut mark)?;
            for disk in order.disks.iter().skip(order.image_disks) {
                devices.push(add_disk(&mut layout, &mut mark, disk).map_err(self.failed("ReconfigVM_Task"))?);
            }
            let kind = machine.nic_kind().to_owned();
            devices.extend(machine.nics().cloned().map(DeviceChange::Remove));
            for (nic, (_, backing)) in order.nics.iter().zip(nics) {
                let (key, backing) = (layout.key(), backing.clone());
                devices.push(DeviceChange::AddNic { key, kind: kind.clone(), backing, mac: nic.mac.clone() });
                mark.nics.entry(nic.name.clone()).or_insert(MarkedNic { mac: nic.mac.clone(), slot: None });
            }
            spec.devices = layout.controllers();
            spec.devices.append(&mut devices);
            spec.extra = ConfigSpec::marking(&mark).extra;
        }
        if spec.is_empty() {
            return Ok(machine);
        }
        let witness = || async {
            let machine = self.machine().await?;
            Ok(machine.mark().is_some_and(|mark| is_equipped(order, &machine, &mark, nics)))
        };
        self.send_spec(&machine, &spec, "give it its size, disks and NICs", witness).await?;
        self.machine().await
    }

    /// The image's own disks, grown where they are smaller.
    fn image_disks(
        &self,
        order: &CreateVm,
        machine: &Machine,
        mark: &mut Mark,
    ) -> Result<Vec<DeviceChange>, StepError> {
        let mut changes = Vec::new();
        let found = &machine.heavy.config.disks;
        if found.len() != order.image_disks {
            let why = format!("the image brought {} disks, the order counts on {}", found.len(), order.image_disks);
            return Err(self.error("ReconfigVM_Task", ErrorKind::Conflict, why));
        }
        for (disk, found) in order.disks.iter().zip(found) {
            let at = crate::plan::DiskAt { name: disk.name.clone(), slot: found.slot.to_string(), id: None };
            let device = machine.disk(&at).map_err(self.failed("ReconfigVM_Task"))?;
            if let Some((_, device)) = device.filter(|(found, _)| found.size < disk.size) {
                changes.push(DeviceChange::Edit(grown(device, disk.size)));
            }
            let known = MarkedDisk {
                slot: Some(found.slot.to_string()),
                id: found.id.as_deref().map(str::to_owned),
                file: None,
                deleting: false,
            };
            mark.disks.insert(disk.name.clone(), known);
        }
        Ok(changes)
    }

    /// Cloud-init data, once all MACs are known; the mark with them tells when that was done.
    async fn inform(
        &self,
        order: &CreateVm,
        machine: Machine,
        nics: &[(String, Backing)],
    ) -> Result<Machine, StepError> {
        let written = machine.mark().filter(|mark| mark.identity == order.identity);
        let finished = written.as_ref().is_some_and(|mark| mark.pending.is_none());
        let full = filled(&written.unwrap_or_else(|| pending(&order.mark)), &machine, nics);
        if !cloud_init::has_news(order) || finished || machine.power() == crate::model::PowerState::Running {
            return Ok(machine);
        }
        // The mark knows the slots of NICs only from the call that carried the data. Without NICs nothing tells, and the
        // data is sent again, which changes nothing.
        let all_known = full.nics.values().all(|nic| nic.slot.is_some() && nic.mac.is_some());
        if !order.nics.is_empty() && all_known && machine.bears(&full) {
            return Ok(machine);
        }
        let mut spec = ConfigSpec::marking(&full);
        spec.extra.extend(guest::entries(order, &full, self.user_data));
        let witness = || async { Ok(self.machine().await?.bears(&full)) };
        self.send_spec(&machine, &spec, "hand it its cloud-init data", witness).await?;
        self.machine().await
    }
}

/// The mark of a VM that is not finished.
fn pending(mark: &Mark) -> Mark {
    Mark { pending: Some(Pending::Create), ..mark.clone() }
}

fn add_disk(layout: &mut Layout, mark: &mut Mark, disk: &DiskOrder) -> Result<DeviceChange, Failure> {
    let at = layout.plug()?;
    let known = MarkedDisk { slot: Some(at.slot.clone()), id: None, file: None, deleting: false };
    mark.disks.insert(disk.name.clone(), known);
    Ok(DeviceChange::AddDisk { key: layout.key(), at, size: disk.size, datastore: disk.storage.clone() })
}

/// The one call that plugs disks in writes their slots into the mark, and sets the NICs.
fn is_equipped(order: &CreateVm, machine: &Machine, mark: &Mark, nics: &[(String, Backing)]) -> bool {
    let disks = order.disks.iter().all(|disk| mark.disks.get(&disk.name).is_some_and(|found| found.slot.is_some()));
    if !order.disks.is_empty() || order.image.is_none() {
        return disks;
    }
    let count = machine.nics().count();
    count == nics.len() && machine.nics().zip(nics).all(|(nic, (_, backing))| backing.is_that_of(nic))
}

/// VirtualMachineRelocateSpec: datastore, pool, host, disk, in schema order.
fn write_location(writer: &mut Writer, place: &Place, disks: &[(i32, Moref)]) {
    writer.open("location");
    if let Some(datastore) = &place.datastore {
        reference(writer, "datastore", datastore);
    }
    reference(writer, "pool", &place.pool);
    if let Some(host) = &place.host {
        reference(writer, "host", host);
    }
    for (key, datastore) in disks {
        writer.open("disk").leaf("diskId", &key.to_string());
        reference(writer, "datastore", datastore);
        writer.close();
    }
    writer.close();
}
