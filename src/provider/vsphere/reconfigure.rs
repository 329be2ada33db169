//! Changes of hardware and the mark that records them, in one call.
//!
//! ReconfigVM_Task is all or nothing, so the mark is the witness: when it stands on the VM in this generation, so does
//! everything it records. What only the server knows (a new disk's id, a new NIC's MAC) is written into the mark by a
//! second call that carries nothing else.

use super::fault::Failure;
use super::files;
use super::layout::Layout;
use super::machine::{Machine, mac_of};
use super::node::Node;
use super::soap::Moref;
use super::spec::{Backing, ConfigSpec, DeviceChange, controller_kind};
use super::work::Work;
use crate::mark::{Mark, MarkedDisk, MarkedNic};
use crate::model::{Bytes, GuestOs};
use crate::plan::{Change, DiskAt, DiskOrder, NicAt, NicOrder};
use crate::provider::{ErrorKind, StepError};

/// A change being put together.
struct Draft<'m> {
    machine: &'m Machine,
    layout: Layout,
    spec: ConfigSpec,
    mark: Mark,
    detail: Vec<String>,
}

impl Work<'_> {
    /// One reconfigure with its mark.
    pub(super) async fn reconfigure(&self, changes: &[Change], mark: &Mark) -> Result<(), StepError> {
        let mut machine = self.machine().await?;
        if !recorded(&machine, mark) {
            let draft = self.draft(&machine, changes, mark).await?;
            let outcome = self.send_draft(&draft).await;
            match outcome {
                // Something moved the VM's version between our look and the call, as a guest does by itself. One fresh
                // look decides whether the change still fits.
                Err(StepError::Provider(error)) if error.message.contains("ConcurrentAccess") => {
                    machine = self.machine().await?;
                    let draft = self.draft(&machine, changes, mark).await?;
                    self.send_draft(&draft).await?;
                }
                outcome => outcome?,
            }
            machine = self.machine().await?;
        }
        let mut ordered = Vec::new();
        for change in changes {
            if let Change::AddNic(order) = change {
                let datacenter = self.datacenter_of(&machine).await?;
                ordered.push((order.name.clone(), self.backing(&order.network.name, &datacenter).await?));
            }
        }
        // The mark that went with the changes knows where new disks were plugged in and which files were kept.
        let written = machine.mark().filter(|found| recorded(&machine, mark) && found.generation == mark.generation);
        self.complete_mark(&machine, written.as_ref().unwrap_or(mark), &ordered).await
    }

    async fn send_draft(&self, draft: &Draft<'_>) -> Result<(), StepError> {
        let detail = if draft.detail.is_empty() { "write the mark".to_owned() } else { draft.detail.join(", ") };
        let witness = || async { Ok(recorded(&self.machine().await?, &draft.mark)) };
        self.send_spec(draft.machine, &draft.spec, &detail, witness).await
    }

    async fn draft<'m>(&self, machine: &'m Machine, changes: &[Change], mark: &Mark) -> Result<Draft<'m>, StepError> {
        let version = Some(machine.light.change_version.to_string()).filter(|version| !version.is_empty());
        let mut draft = Draft {
            machine,
            layout: Layout::of(machine, machine.controller_kind()),
            spec: ConfigSpec { change_version: version, ..ConfigSpec::default() },
            // An earlier operation of this step may have written ids that the planner could not know.
            mark: filled(mark, machine, &[]),
            detail: Vec::new(),
        };
        let touches_files =
            |change: &Change| matches!(change, Change::GrowDisk { .. } | Change::DetachDisk(_) | Change::DeleteDisk(_));
        if machine.light.snapshots && changes.iter().any(touches_files) {
            return Err(self.error("ReconfigVM_Task", ErrorKind::Conflict, "it has a snapshot, so no disk is changed"));
        }
        for change in changes {
            self.add(&mut draft, change).await?;
        }
        let mut devices = draft.layout.controllers();
        devices.append(&mut draft.spec.devices);
        draft.spec.devices = devices;
        draft.spec.extra = ConfigSpec::marking(&draft.mark).extra;
        Ok(draft)
    }

    async fn add(&self, draft: &mut Draft<'_>, change: &Change) -> Result<(), StepError> {
        let failed = || self.failed("ReconfigVM_Task");
        match change {
            Change::Cpus(count) => draft.cpus(*count),
            Change::Memory(size) => draft.memory(*size),
            Change::AddDisk(order) => draft.add_disk(order).map_err(failed())?,
            Change::AttachDisk { name, file, id } => {
                if let Some(id) = id {
                    self.check_file(draft.machine, file, id).await?;
                }
                draft.attach_disk(name, file).map_err(failed())?;
            }
            Change::GrowDisk { disk, size } => draft.grow_disk(disk, *size).map_err(failed())?,
            Change::DetachDisk(disk) => draft.detach_disk(disk).map_err(failed())?,
            Change::DeleteDisk(disk) => {
                if let Some((found, _)) = draft.machine.disk(disk).map_err(failed())?
                    && let Some(file) = found.file.as_deref()
                {
                    self.check_unused(draft.machine, &[file]).await?;
                }
                draft.delete_disk(disk).map_err(failed())?;
            }
            Change::AddNic(order) => {
                let datacenter = self.datacenter_of(draft.machine).await?;
                let backing = self.backing(&order.network.name, &datacenter).await?;
                let kind = draft.machine.nic_kind();
                draft.add_nic(order, kind, backing);
            }
            Change::RemoveNic(nic) => draft.remove_nic(nic).map_err(failed())?,
            Change::MoveNic { nic, network } => {
                let datacenter = self.datacenter_of(draft.machine).await?;
                let backing = self.backing(&network.name, &datacenter).await?;
                let detail = format!("connect NIC {} to {}", nic.name, network.name);
                draft
                    .edit_nic(nic, detail, |device| device.put(backing.node(), &["key", "deviceInfo"]))
                    .map_err(failed())?;
            }
            Change::ConnectNic { nic, connected } => {
                let detail = format!("{} NIC {}", if *connected { "connect" } else { "disconnect" }, nic.name);
                draft
                    .edit_nic(nic, detail, |device| {
                        device.put(connectable(device, *connected), &["key", "deviceInfo", "backing"]);
                    })
                    .map_err(failed())?;
            }
        }
        Ok(())
    }

    /// Fills what only the server knows into the mark, and writes it when that makes a difference.
    pub(super) async fn complete_mark(
        &self,
        machine: &Machine,
        mark: &Mark,
        ordered: &[(String, Backing)],
    ) -> Result<(), StepError> {
        let newer = |found: &Mark| found.identity == mark.identity && found.generation > mark.generation;
        let full = filled(mark, machine, ordered);
        if machine.bears(&full) || machine.mark().is_some_and(|found| newer(&found)) {
            return Ok(());
        }
        let witness = || async { Ok(self.machine().await?.bears(&full)) };
        self.send_spec(machine, &ConfigSpec::marking(&full), "write the mark", witness).await
    }

    /// The datacenter a VM stands in.
    pub(super) async fn datacenter_of(&self, machine: &Machine) -> Result<Moref, StepError> {
        let tree = self.tree().await?;
        let light = &machine.light;
        [&light.parent, &light.vapp, &light.host]
            .into_iter()
            .flatten()
            .find_map(|moref| tree.datacenter(moref))
            .map(|datacenter| datacenter.moref.clone())
            .ok_or_else(|| self.error("find the network", ErrorKind::NotFound, "it stands in no datacenter"))
    }

    /// Refuses a file that is not the disk it should be.
    async fn check_file(&self, machine: &Machine, file: &str, id: &str) -> Result<(), StepError> {
        let datacenter = self.datacenter_of(machine).await?;
        let found =
            files::disk_uuid(self.door, file, &datacenter).await.map_err(self.failed("QueryVirtualDiskUuid"))?;
        match found {
            Some(found) if !files::same_uuid(&found, id) => {
                let why = format!("{file} holds another disk ({found}) than the one detached ({id})");
                Err(self.error("ReconfigVM_Task", ErrorKind::Conflict, why))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to delete a file that another disk is made of.
    pub(super) async fn check_unused(&self, machine: &Machine, files: &[&str]) -> Result<(), StepError> {
        let users =
            files::users(self.door, machine.moref(), files).await.map_err(self.failed("look for linked clones"))?;
        match users.first() {
            Some((vm, file)) => {
                let why = format!("{file} is used by `{vm}` too, so it is not deleted");
                Err(self.error("delete a disk", ErrorKind::Conflict, why))
            }
            None => Ok(()),
        }
    }
}

impl Draft<'_> {
    fn cpus(&mut self, count: u32) {
        if self.machine.heavy.config.cpus != count {
            self.spec.cpus = Some(count);
            self.detail.push(format!("{count} CPUs"));
        }
    }

    fn memory(&mut self, size: Bytes) {
        if self.machine.heavy.config.memory != size {
            self.spec.memory = Some(size);
            self.detail.push(format!("memory {size}"));
        }
    }

    fn add_disk(&mut self, order: &DiskOrder) -> Result<(), Failure> {
        let at = self.layout.plug()?;
        self.detail.push(format!("add disk {} of {} at {}", order.name, order.size, at.slot));
        self.plugged(&order.name, at.slot.clone());
        let key = self.layout.key();
        let datastore = order.storage.clone();
        self.spec.devices.push(DeviceChange::AddDisk { key, at, size: order.size, datastore });
        Ok(())
    }

    fn attach_disk(&mut self, name: &str, file: &str) -> Result<(), Failure> {
        // Attached already, by an earlier run or by hand: its place is all that is missing.
        if let Some(disk) = self.machine.heavy.config.disks.iter().find(|disk| disk.file.as_deref() == Some(file)) {
            let slot = disk.slot.to_string();
            self.plugged(name, slot);
            return Ok(());
        }
        let at = self.layout.plug()?;
        self.detail.push(format!("attach disk {name} ({file}) at {}", at.slot));
        self.plugged(name, at.slot.clone());
        let key = self.layout.key();
        self.spec.devices.push(DeviceChange::AttachDisk { key, at, file: file.to_owned() });
        Ok(())
    }

    fn plugged(&mut self, name: &str, slot: String) {
        let unknown = MarkedDisk { slot: None, id: None, file: None, deleting: false };
        let disk = self.mark.disks.entry(name.to_owned()).or_insert(unknown);
        disk.slot = Some(slot);
        disk.file = None;
    }

    fn grow_disk(&mut self, at: &DiskAt, size: Bytes) -> Result<(), Failure> {
        let Some((found, device)) = self.machine.disk(at)? else { return Err(gone("disk", &at.name, &at.slot)) };
        refuse_shared(found.shared, &at.name)?;
        if found.size >= size {
            return Ok(());
        }
        self.detail.push(format!("grow disk {} from {} to {size}", at.name, found.size));
        self.spec.devices.push(DeviceChange::Edit(grown(device, size)));
        Ok(())
    }

    fn detach_disk(&mut self, at: &DiskAt) -> Result<(), Failure> {
        let Some((found, device)) = self.machine.disk(at)? else { return Ok(()) };
        refuse_shared(found.shared, &at.name)?;
        self.detail.push(format!("detach disk {} and keep its file", at.name));
        if let Some(disk) = self.mark.disks.get_mut(&at.name) {
            disk.slot = None;
            disk.file = found.file.as_deref().map(str::to_owned).or_else(|| disk.file.take());
        }
        self.spec.devices.push(DeviceChange::Remove(device.clone()));
        Ok(())
    }

    fn delete_disk(&mut self, at: &DiskAt) -> Result<(), Failure> {
        let Some((found, device)) = self.machine.disk(at)? else { return Ok(()) };
        refuse_shared(found.shared, &at.name)?;
        self.detail.push(format!("delete disk {} and its file", at.name));
        self.spec.devices.push(DeviceChange::Destroy(device.clone()));
        Ok(())
    }

    fn add_nic(&mut self, order: &NicOrder, kind: &str, backing: Backing) {
        // A MAC is ours alone, so a NIC that has it is the one.
        let has = |nic: &Node| order.mac.as_ref().is_some_and(|mac| mac_of(nic).eq_ignore_ascii_case(mac));
        if self.machine.nics().any(has) {
            return;
        }
        self.detail.push(format!("add NIC {} on {}", order.name, order.network.name));
        let (key, mac) = (self.layout.key(), order.mac.clone());
        self.spec.devices.push(DeviceChange::AddNic { key, kind: kind.to_owned(), backing, mac });
        self.mark.nics.entry(order.name.clone()).or_insert(MarkedNic { mac: order.mac.clone(), slot: None });
    }

    fn remove_nic(&mut self, at: &NicAt) -> Result<(), Failure> {
        if let Some(nic) = self.machine.nic(at)? {
            self.detail.push(format!("remove NIC {}", at.name));
            self.spec.devices.push(DeviceChange::Remove(nic.clone()));
        }
        Ok(())
    }

    /// Several changes of one NIC become one edit: a device may stand in a spec once.
    fn edit_nic(&mut self, at: &NicAt, detail: String, edit: impl FnOnce(&mut Node)) -> Result<(), Failure> {
        let Some(nic) = self.machine.nic(at)? else { return Err(gone("NIC", &at.name, &at.slot)) };
        self.detail.push(detail);
        let same = |change: &&mut DeviceChange| matches!(change, DeviceChange::Edit(device) if device.text_of("key") == nic.text_of("key"));
        if let Some(DeviceChange::Edit(device)) = self.spec.devices.iter_mut().find(same) {
            edit(device);
        } else {
            let mut device = nic.clone();
            edit(&mut device);
            self.spec.devices.push(DeviceChange::Edit(device));
        }
        Ok(())
    }
}

impl Machine {
    /// A controller to be added is made like those that are there.
    pub(super) fn controller_kind(&self) -> &'static str {
        const KINDS: [&str; 3] =
            ["ParaVirtualSCSIController", "VirtualLsiLogicSASController", "VirtualLsiLogicController"];
        let has = |kind: &&&str| self.devices.iter().any(|device| device.kind.as_deref() == Some(**kind));
        KINDS.iter().find(has).copied().unwrap_or_else(|| controller_kind(GuestOs::Linux))
    }

    /// A NIC to be added is made like those that are there: the guest has a driver for them.
    pub(super) fn nic_kind(&self) -> &str {
        self.nics().next().and_then(|nic| nic.kind.as_deref()).unwrap_or("VirtualVmxnet3")
    }
}

/// A disk as it is, with another size.
pub(super) fn grown(device: &Node, size: Bytes) -> Node {
    let mut device = device.clone();
    device.set("capacityInKB", &(size.0 / 1024).to_string());
    device.set("capacityInBytes", &size.0.to_string());
    device
}

fn connectable(nic: &Node, connected: bool) -> Node {
    let word = |yes: bool| if yes { "true" } else { "false" };
    let mut connect = nic.child("connectable").cloned().unwrap_or_else(|| {
        Node::leaf("connectable", "")
            .with(Node::leaf("startConnected", "true"))
            .with(Node::leaf("allowGuestControl", "true"))
            .with(Node::leaf("connected", "true"))
    });
    connect.set("startConnected", word(connected));
    // A server takes no notice of this one while the VM is off.
    connect.set("connected", word(connected));
    connect
}

fn gone(what: &str, name: &str, slot: &str) -> Failure {
    Failure::because(ErrorKind::Conflict, format!("{what} `{name}` is no longer at {slot}"))
}

fn refuse_shared(shared: bool, name: &str) -> Result<(), Failure> {
    if shared {
        return Err(Failure::because(ErrorKind::Conflict, format!("disk `{name}` is shared and never changed")));
    }
    Ok(())
}

/// Does this mark stand on the VM, or one that is newer? (A mark is written twice in one generation when work begins
/// and when it is done; `pending` tells them apart.)
fn recorded(machine: &Machine, mark: &Mark) -> bool {
    machine.mark().is_some_and(|found| {
        let same = found.generation == mark.generation && found.pending == mark.pending;
        found.identity == mark.identity && (same || found.generation > mark.generation)
    })
}

/// The mark with everything in it that the VM as it is can tell.
pub(super) fn filled(mark: &Mark, machine: &Machine, ordered: &[(String, Backing)]) -> Mark {
    let mut mark = mark.clone();
    let written = machine.mark().filter(|found| found.identity == mark.identity);
    for (name, disk) in &mut mark.disks {
        // The slot was chosen when the disk was ordered, and stands in the mark that went with the order.
        if let Some(before) = written.as_ref().and_then(|found| found.disks.get(name)) {
            if disk.slot.is_none() && disk.file.is_none() {
                disk.slot.clone_from(&before.slot);
                disk.file.clone_from(&before.file);
            }
            if disk.id.is_none() {
                disk.id.clone_from(&before.id);
            }
        }
        let attached =
            disk.slot.as_ref().and_then(|slot| machine.heavy.config.disks.iter().find(|found| *found.slot == **slot));
        if let Some(id) = attached.and_then(|found| found.id.as_deref()) {
            disk.id.get_or_insert_with(|| id.to_owned());
        }
    }
    fill_nics(&mut mark, machine, written.as_ref(), ordered);
    mark
}

/// MACs and slots of NICs. One whose MAC nobody knows yet is found by what it is connected to: of several on that
/// network the last ones, since a server numbers devices in the order they come.
fn fill_nics(mark: &mut Mark, machine: &Machine, written: Option<&Mark>, ordered: &[(String, Backing)]) {
    for (name, nic) in &mut mark.nics {
        if let Some(before) = written.and_then(|found| found.nics.get(name)) {
            nic.mac = nic.mac.take().or_else(|| before.mac.clone());
            nic.slot = nic.slot.take().or_else(|| before.slot.clone());
        }
    }
    let known: Vec<String> =
        mark.nics.values().filter_map(|nic| nic.mac.as_ref()).map(|mac| mac.to_lowercase()).collect();
    let mut fresh: Vec<&Node> = machine.nics().filter(|nic| !known.contains(&mac_of(nic).to_lowercase())).collect();
    fresh.sort_by_key(|nic| nic.number("key"));
    for (name, backing) in ordered.iter().rev() {
        let Some(nic) = mark.nics.get_mut(name).filter(|nic| nic.mac.is_none()) else { continue };
        if let Some(at) = fresh.iter().rposition(|found| backing.is_that_of(found)) {
            nic.mac = Some(mac_of(fresh.remove(at)).to_lowercase());
        }
    }
    for nic in mark.nics.values_mut() {
        let found =
            machine.nics().find(|found| nic.mac.as_ref().is_some_and(|mac| mac_of(found).eq_ignore_ascii_case(mac)));
        if let Some(key) = found.and_then(|found| found.text_of("key")) {
            nic.slot = Some(key.to_owned());
        }
    }
}
