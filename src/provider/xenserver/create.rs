//! Making a VM: from an image by cloning or copying it, or blank; completed under its birth name, given its real name and
//! started last.
//!
//! ```text
//! born      VM.clone, VM.copy or VM.create, under the birth name (a clone takes no settings, so its name is its first mark)
//! marked    pending, with its own id
//! a VM      the disks its template prescribes are forgotten, VM.provision, its host, CPUs and memory
//! equipped  image disks grown, further disks, the image's NICs off and ours on: each says whose it is from its making
//! informed  the CD with cloud-init data, where there is any                                            (seed.rs)
//! named     the real name; started; and the mark without pending
//! ```
//!
//! How far an unfinished VM has come is read from the VM itself. Its identity leads to it: nothing is made twice.

use serde_json::{Value, json};

use super::convert;
use super::disks::NewDisk;
use super::fault::Failure;
use super::machine::{self, Machine};
use super::mark::filled;
use super::place::{self, Place};
use super::record::{MARK, PRESCRIBED};
use super::rpc::{NULL, Ref, Request};
use super::work::{Change, Work};
use crate::mark::{self, Mark, MarkedDisk, Pending};
use crate::model::{Bytes, Firmware, GuestOs, OwnId};
use crate::plan::CreateVm;
use crate::provider::{ErrorKind, StepError};

impl Work<'_> {
    /// Makes a VM, or goes on with one of the same identity.
    pub(super) async fn create(&self, order: &CreateVm) -> Result<(), StepError> {
        let begun = self.begun(order).await?;
        if begun.as_ref().and_then(Machine::mark).is_some_and(|mark| mark.pending.is_none()) {
            return if order.start { self.start().await } else { Ok(()) };
        }
        let place = place::of_order(&*self.memory().await?, order).map_err(self.failed("find the place"))?;
        let machine = match begun {
            Some(machine) => machine,
            None => self.bear(order, &place).await?,
        };
        let handle = convert::handle(&self.memory().await?.pool, &machine.reference);
        self.recorder.made(&OwnId::new(&machine.vm.uuid), &handle).await?;
        if machine.mark().is_none_or(|mark| mark.identity != order.identity) {
            self.write_mark(&machine, &pending(&order.mark, &machine)).await?;
        }
        self.settle_in(order, &place).await?;
        self.equip(order, &place).await?;
        let machine = self.machine().await?;
        let full = complete(order, &machine).map_err(self.failed("write the mark"))?;
        self.ensure_seed(order, &machine, &full, &place.sr).await?;
        self.rename(&order.name).await?;
        if order.start {
            self.start().await?;
        }
        self.write_mark(&self.machine().await?, &full).await
    }

    /// What an earlier run began.
    async fn begun(&self, order: &CreateVm) -> Result<Option<Machine>, StepError> {
        let memory = self.memory().await?;
        let named = order.unfinished.as_ref().and_then(|id| memory.by_uuid(id.as_str()));
        let found = named.map_or_else(|| memory.by_identity(order.identity), |reference| vec![reference]);
        match found.as_slice() {
            [] => Ok(None),
            [reference] => {
                let machine = machine::of(&memory, reference).map_err(self.failed("read the VM"))?;
                if let Some(machine) = &machine {
                    self.note(machine);
                }
                Ok(machine)
            }
            several => {
                let why = format!("{} VMs have the identity {}; nothing is done to any", several.len(), order.identity);
                Err(self.error("read the VM", ErrorKind::Conflict, why))
            }
        }
    }

    async fn bear(&self, order: &CreateVm, place: &Place) -> Result<Machine, StepError> {
        if order.image.is_some() {
            // A clone that an earlier run asked for shows only when its disks are there.
            self.wait_for_strays(&["VM.clone", "VM.copy"]).await;
            if let Some(machine) = self.begun(order).await? {
                return Ok(machine);
            }
        }
        super::find::unlisted(self.door, order.identity).await.map_err(self.failed("look for the VM"))?;
        let change = match &order.image {
            Some(image) => self.copy_of(order, place, &image.source).await?,
            None => blank(order, place),
        };
        self.make(change, || async { Ok(self.begun(order).await?.is_some()) }).await?;
        let born = self.begun(order).await?;
        born.ok_or_else(|| self.error("create", ErrorKind::Unexpected, "the VM was made and cannot be found"))
    }

    /// `VM.clone` where its disks are to lie where the image's lie, else `VM.copy`, which puts all on one SR.
    async fn copy_of(&self, order: &CreateVm, place: &Place, source: &str) -> Result<Change, StepError> {
        let image = self.image(source).await?;
        let found = &image.parts.disks;
        let refuse = |why: String| self.error("VM.clone", ErrorKind::Conflict, why);
        if found.len() != order.image_disks {
            return Err(refuse(format!(
                "the image has {} disks, the order counts on {}",
                found.len(),
                order.image_disks
            )));
        }
        let name = mark::birth_name(order.identity);
        let wanted = &place.disks[..order.image_disks.min(place.disks.len())];
        if found.iter().zip(wanted).all(|(disk, sr)| disk.record.sr.as_ref() == Some(sr)) {
            let request = Request::task("VM.clone").on(&image.reference).with(name);
            return Ok(Change::new(request, format!("clone {source} for {}", order.name)));
        }
        let Some(sr) = wanted.first().filter(|first| wanted.iter().all(|sr| sr == *first)) else {
            let why = "its image's disks would have to be copied to several storage repositories";
            return Err(self.error("VM.copy", ErrorKind::Unsupported, why));
        };
        let request = Request::task("VM.copy").on(&image.reference).with(name).on(sr);
        Ok(Change::new(request, format!("copy {source} for {}", order.name)))
    }

    /// The template or VM of that name.
    async fn image(&self, name: &str) -> Result<Machine, StepError> {
        let memory = self.memory().await?;
        let found = memory.images(name);
        let image = match found.as_slice() {
            [one] => machine::of(&memory, one).map_err(self.failed("read the image"))?,
            [] => None,
            several => {
                let why = format!("{} templates or VMs are called `{name}`", several.len());
                return Err(self.error("find the image", ErrorKind::Conflict, why));
            }
        };
        image.ok_or_else(|| {
            self.error("find the image", ErrorKind::NotFound, format!("there is no template or VM `{name}`"))
        })
    }

    /// From template to VM, with its size.
    async fn settle_in(&self, order: &CreateVm, place: &Place) -> Result<(), StepError> {
        let machine = self.machine().await?;
        let at = || &machine.reference;
        if machine.vm.prescribed {
            let request = Request::new("VM.remove_from_other_config").on(at()).with(PRESCRIBED);
            let change = Change::new(request, "forget the disks that its template prescribes");
            self.make(change, || async { Ok(!self.machine().await?.vm.prescribed) }).await?;
        }
        if machine.vm.template {
            let change = Change::new(Request::task("VM.provision").on(at()), "make it a VM");
            self.make(change, || async { Ok(!self.machine().await?.vm.template) }).await?;
        }
        if let Some(host) = place.host.as_ref().filter(|host| machine.vm.affinity.as_ref() != Some(host)) {
            let request = Request::new("VM.set_affinity").on(at()).on(host);
            let set = || async { Ok(self.machine().await?.vm.affinity.as_ref() == Some(host)) };
            self.make(Change::new(request, "choose its host"), set).await?;
        }
        self.set_cpus(&machine, u64::from(order.cpus)).await?;
        self.set_memory(&machine, order.memory).await
    }

    /// Disks and NICs.
    async fn equip(&self, order: &CreateVm, place: &Place) -> Result<(), StepError> {
        let machine = self.machine().await?;
        let brought = brought(order, &machine).map_err(self.failed("VDI.resize"))?;
        for (disk, found) in order.disks.iter().zip(brought) {
            self.grow(found, &disk.name, disk.size).await?;
        }
        for (disk, sr) in order.disks.iter().zip(&place.disks).skip(order.image_disks) {
            let disk = NewDisk { name: &disk.name, size: disk.size, sr };
            self.ensure_disk(&self.machine().await?, disk).await?;
        }
        let machine = self.machine().await?;
        for nic in machine.parts.nics.iter().filter(|nic| nic.record.tag.name_in(&machine.vm.uuid).is_none()) {
            self.remove_nic(&machine, nic, "of the image").await?;
        }
        for nic in &order.nics {
            self.ensure_nic(&self.machine().await?, nic).await?;
        }
        Ok(())
    }
}

/// The disks that came with the image: those that nobody made for this VM.
fn brought<'m>(order: &CreateVm, machine: &'m Machine) -> Result<Vec<&'m super::convert::Disk>, Failure> {
    let own = &machine.vm.uuid;
    let brought: Vec<_> = machine.parts.disks.iter().filter(|disk| disk.record.tag.name_in(own).is_none()).collect();
    if brought.len() == order.image_disks {
        return Ok(brought);
    }
    let why = format!("the image brought {} disks, the order counts on {}", brought.len(), order.image_disks);
    Err(Failure::because(ErrorKind::Conflict, why))
}

/// The mark of a VM that is not finished.
fn pending(mark: &Mark, machine: &Machine) -> Mark {
    Mark { pending: Some(Pending::Create), own_id: Some(OwnId::new(&machine.vm.uuid)), ..mark.clone() }
}

/// The mark of a VM that is.
fn complete(order: &CreateVm, machine: &Machine) -> Result<Mark, Failure> {
    let mut mark = Mark { own_id: Some(OwnId::new(&machine.vm.uuid)), ..(*order.mark).clone() };
    for (disk, found) in order.disks.iter().zip(brought(order, machine)?) {
        let slot = Some(found.observed.slot.to_string());
        let id = found.observed.id.as_deref().map(str::to_owned);
        mark.disks.insert(disk.name.clone(), MarkedDisk { slot, id, file: None, deleting: false });
    }
    Ok(filled(&mark, machine))
}

/// `VM.create`: unlike a clone it is born with its mark, though without its own id.
fn blank(order: &CreateVm, place: &Place) -> Change {
    let mark = Mark { pending: Some(Pending::Create), ..(*order.mark).clone() };
    let memory = order.memory.0.to_string();
    let windows = order.guest_os == GuestOs::Windows;
    let record = json!({
        "name_label": mark::birth_name(order.identity),
        "name_description": "",
        "user_version": "1",
        "is_a_template": false,
        "affinity": place.host.as_ref().map_or(NULL, Ref::as_str),
        "memory_static_max": memory,
        "memory_dynamic_max": memory,
        "memory_dynamic_min": memory,
        "memory_static_min": order.memory.0.min(Bytes::mib(512).0).to_string(),
        "VCPUs_params": {},
        "VCPUs_max": order.cpus.to_string(),
        "VCPUs_at_startup": order.cpus.to_string(),
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "PV_bootloader": "",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"order": "cdn", "firmware": firmware(order.firmware)},
        "platform": platform(windows, order.firmware),
        "PCI_bus": "",
        "other_config": {MARK: mark::write(&mark)},
        "recommendations": "",
    });
    Change::new(Request::new("VM.create").with(record), format!("create {}", order.name))
}

const fn firmware(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    }
}

/// What every guest of today needs, and what only Windows does (the platform of XAPI's own templates).
fn platform(windows: bool, firmware: Firmware) -> Value {
    let mut platform = json!({
        "acpi": "1",
        "apic": "true",
        "nx": "true",
        "pae": "true",
        "viridian": if windows { "true" } else { "false" },
        "device-model": if firmware == Firmware::Uefi { "qemu-upstream-uefi" } else { "qemu-upstream-compat" },
    });
    if windows {
        platform["viridian_time_ref_count"] = json!("true");
        platform["viridian_reference_tsc"] = json!("true");
    }
    platform
}
