//! Disks of a VM: made, copied, plugged in, grown, taken out.
//!
//! A disk of ours lies in the folder that its storage names, as `tierwright-<VM's GUID>-<disk's name>.vhdx`: what an
//! interrupted run began is found by its name, and no other VM, nor a later one of the same key, has that name.

use super::cim::{self, Embedded, Parameter, Reference};
use super::client::Invoke;
use super::fault::Failure;
use super::host::Host;
use super::hosts::Live;
use super::ident::device_of;
use super::machine::{IDE, SCSI, slot};
use super::parts::Subset;
use super::paths;
use super::vhd::{self, Vhd};
use super::work::{Change, Work};
use crate::model::{Bytes, ImageMode, ImageTarget};
use crate::plan::DiskAt;
use crate::provider::{ErrorKind, StepError};

/// Places on a SCSI controller; on an IDE one there are two.
const SCSI_UNITS: u8 = 64;
const RASD: &str = "Msvm_ResourceAllocationSettingData";
pub(super) const SASD: &str = "Msvm_StorageAllocationSettingData";
/// Msvm_VirtualHardDiskSettingData.Type and .Format.
const DYNAMIC: u64 = 3;
const DIFFERENCING: u64 = 4;
const VHDX: u64 = 3;

/// A disk to be there, of this size at least.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub path: &'a str,
    pub size: Bytes,
    pub image: Option<&'a ImageTarget>,
    /// On IDE, which generation 1 boots from.
    pub boots_from_ide: bool,
}

/// Where a disk of ours lies.
pub(super) fn file_of(folder: &str, guid: &str, name: &str) -> String {
    paths::join(folder, &format!("tierwright-{guid}-{name}.vhdx"))
}

impl Work<'_> {
    /// Makes a disk's file if there is none, sees to its size, and plugs it in.
    pub(super) async fn ensure_disk(&self, live: Live, wanted: &Wanted<'_>) -> Result<Live, StepError> {
        if live.whole.machine.holding(wanted.path).is_none() {
            self.make_file(&live.host, wanted).await?;
        }
        let vhd = vhd::read(&live.host.client, wanted.path).await.map_err(self.failed("look into the disk"))?;
        if vhd.size < wanted.size {
            self.resize(&live.host, wanted.path, (wanted.name, wanted.size)).await?;
        } else if vhd.size > wanted.size {
            let why = format!("{} is {}, larger than the {} declared", wanted.path, vhd.size, wanted.size);
            return Err(self.error("look into the disk", ErrorKind::Conflict, why));
        }
        self.plug(live, (wanted.name, wanted.path), wanted.boots_from_ide).await
    }

    /// The file of a disk: blank, a copy, or a child.
    async fn make_file(&self, host: &std::sync::Arc<Host>, wanted: &Wanted<'_>) -> Result<(), StepError> {
        if host.has_file(wanted.path).await.map_err(self.failed("look for the disk's file"))? {
            return Ok(());
        }
        let settings = Embedded::new("Msvm_VirtualHardDiskSettingData")
            .string("Path", wanted.path)
            .number("Format", "uint16", VHDX);
        let (settings, method, detail) = match wanted.image {
            None => {
                let settings =
                    settings.number("Type", "uint16", DYNAMIC).number("MaxInternalSize", "uint64", wanted.size.0);
                (settings, "CreateVirtualHardDisk", format!("make disk {} of {}", wanted.name, wanted.size))
            }
            Some(ImageTarget { source, mode: Some(ImageMode::Differencing) }) => {
                let settings = settings.number("Type", "uint16", DIFFERENCING).string("ParentPath", source);
                (settings, "CreateVirtualHardDisk", format!("make disk {} as a child of {source}", wanted.name))
            }
            Some(ImageTarget { source, .. }) => {
                let settings = settings.number("Type", "uint16", DYNAMIC);
                (settings, "ConvertVirtualHardDisk", format!("copy {source} to disk {}", wanted.name))
            }
        };
        let mut parameters = vec![("VirtualDiskSettingData", Parameter::Embedded(settings))];
        if let ("ConvertVirtualHardDisk", Some(image)) = (method, wanted.image) {
            parameters.insert(0, ("SourcePath", Parameter::Plain(image.source.clone())));
        }
        let invoke = Invoke { target: self.service(host, vhd::IMAGES).await?, method, parameters };
        let change = Change { host: std::sync::Arc::clone(host), invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(vhd::read(&host.client, wanted.path).await.is_ok()) })).await.map(drop)
    }

    /// Grows a disk's file.
    pub(super) async fn resize(
        &self,
        host: &std::sync::Arc<Host>,
        path: &str,
        (name, size): (&str, Bytes),
    ) -> Result<(), StepError> {
        let parameters = vec![
            ("Path", Parameter::Plain(path.to_owned())),
            ("MaxInternalSize", Parameter::Plain(size.0.to_string())),
        ];
        let invoke =
            Invoke { target: self.service(host, vhd::IMAGES).await?, method: "ResizeVirtualHardDisk", parameters };
        let detail = format!("grow disk {name} to {size}");
        let change = Change { host: std::sync::Arc::clone(host), invoke, destroys: false, detail };
        let grown = || async {
            let vhd = vhd::read(&host.client, path).await.map_err(self.failed("look into the disk"))?;
            Ok(vhd.size >= size)
        };
        Box::pin(self.make(change, grown)).await.map(drop)
    }

    /// Plugs a file in where there is room, or into a drive that an interrupted run left empty.
    pub(super) async fn plug(
        &self,
        mut live: Live,
        (name, path): (&str, &str),
        boots_from_ide: bool,
    ) -> Result<Live, StepError> {
        if live.whole.machine.holding(path).is_some() {
            return Ok(live);
        }
        let bus = if boots_from_ide { IDE } else { SCSI };
        if bus == SCSI && !live.whole.machine.controllers.iter().any(|controller| controller.kind == SCSI) {
            live = self.add_controller(live).await?;
        }
        let empty = |live: &Live| {
            let drives = live.whole.machine.drives.iter();
            let mut empty = drives.filter(|drive| drive.controller == bus && drive.disk.is_none());
            empty.find(|drive| !drive.physical && !drive.is_dvd).map(|drive| drive.id.clone())
        };
        let drive = if let Some(drive) = empty(&live) {
            drive
        } else {
            live = self.add_drive(live, bus).await?;
            let why = "the drive was made and is not there";
            empty(&live).ok_or_else(|| self.error("AddResourceSettings", ErrorKind::Unexpected, why))?
        };
        let medium = Embedded::new(SASD)
            .number("ResourceType", "uint16", 31)
            .string("ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk")
            .string("Parent", &parent_path(&live, &drive))
            .strings("HostResource", &[path]);
        let detail = format!("plug disk {name} in");
        self.add_resource(&live, medium, detail, |live| live.whole.machine.holding(path).is_some()).await
    }

    async fn add_controller(&self, live: Live) -> Result<Live, StepError> {
        let controller = Embedded::new(RASD)
            .number("ResourceType", "uint16", SCSI)
            .string("ResourceSubType", "Microsoft:Hyper-V:Synthetic SCSI Controller");
        let there = |live: &Live| live.whole.machine.controllers.iter().any(|controller| controller.kind == SCSI);
        self.add_resource(&live, controller, "add a SCSI controller".to_owned(), there).await
    }

    async fn add_drive(&self, live: Live, bus: u64) -> Result<Live, StepError> {
        let machine = &live.whole.machine;
        let units = if bus == IDE { 2 } else { SCSI_UNITS };
        let taken = |number: u8, unit: u8| {
            machine.drives.iter().any(|drive| (drive.controller, drive.number, drive.unit) == (bus, number, unit))
        };
        let free = machine.controllers.iter().filter(|controller| controller.kind == bus).find_map(|controller| {
            let unit = (0..units).find(|unit| !taken(controller.number, *unit))?;
            Some((controller, unit))
        });
        let Some((controller, unit)) = free else {
            return Err(self.error("AddResourceSettings", ErrorKind::Conflict, "there is no slot left for a disk"));
        };
        let (number, at) = (controller.number, slot(bus, controller.number, unit));
        let drive = Embedded::new(RASD)
            .number("ResourceType", "uint16", 17)
            .string("ResourceSubType", "Microsoft:Hyper-V:Synthetic Disk Drive")
            .string("Parent", &parent_path(&live, &controller.id))
            .string("AddressOnParent", &unit.to_string());
        let there = move |live: &Live| {
            let drives = &live.whole.machine.drives;
            drives.iter().any(|drive| (drive.controller, drive.number, drive.unit) == (bus, number, unit))
        };
        self.add_resource(&live, drive, format!("add a drive at {at}"), there).await
    }

    /// AddResourceSettings of one resource; gives the VM as it is afterwards.
    pub(super) async fn add_resource(
        &self,
        live: &Live,
        resource: Embedded,
        detail: String,
        there: impl Fn(&Live) -> bool + Send + Sync,
    ) -> Result<Live, StepError> {
        let subset = Subset::of(resource.class());
        let settings = Reference::setting("Msvm_VirtualSystemSettingData", &live.whole.machine.settings.id);
        let invoke = Invoke {
            target: self.service(&live.host, vhd::MACHINES).await?,
            method: "AddResourceSettings",
            parameters: vec![
                ("AffectedConfiguration", Parameter::Reference(settings)),
                ("ResourceSettings", Parameter::Embedded(resource)),
            ],
        };
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(there(&self.live().await?)) })).await?;
        self.again(live, subset).await
    }

    /// ModifyResourceSettings; what is left out stays (SEQUENCES.md, "Common").
    pub(super) async fn modify_resources(
        &self,
        live: &Live,
        resources: Vec<Embedded>,
        detail: String,
        there: impl Fn(&Live) -> bool + Send + Sync,
    ) -> Result<Live, StepError> {
        let subset = resources.first().map_or(Subset::All, |resource| Subset::of(resource.class()));
        let parameter = |resource| ("ResourceSettings", Parameter::Embedded(resource));
        let parameters = resources.into_iter().map(parameter).collect();
        let invoke = Invoke {
            target: self.service(&live.host, vhd::MACHINES).await?,
            method: "ModifyResourceSettings",
            parameters,
        };
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(there(&self.live().await?)) })).await?;
        self.again(live, subset).await
    }

    /// RemoveResourceSettings of one resource.
    pub(super) async fn remove_resource(
        &self,
        live: &Live,
        (class, id): (&str, &str),
        told: (bool, String),
        gone: impl Fn(&Live) -> bool + Send + Sync,
    ) -> Result<Live, StepError> {
        self.remove_resources(live, (class, &[id]), told, gone).await
    }

    /// RemoveResourceSettings of several resources of one class.
    pub(super) async fn remove_resources(
        &self,
        live: &Live,
        (class, ids): (&str, &[&str]),
        (destroys, detail): (bool, String),
        gone: impl Fn(&Live) -> bool + Send + Sync,
    ) -> Result<Live, StepError> {
        let reference = |id: &&str| ("ResourceSettings", Parameter::Reference(Reference::setting(class, id)));
        let parameters = ids.iter().map(reference).collect();
        let invoke = Invoke {
            target: self.service(&live.host, vhd::MACHINES).await?,
            method: "RemoveResourceSettings",
            parameters,
        };
        let change = Change { host: live.host.clone(), invoke, destroys, detail };
        Box::pin(self.make(change, || async { Ok(gone(&self.live().await?)) })).await?;
        self.again(live, Subset::of(class)).await
    }

    /// The attached disk that is meant: by slot, and by id when one is given. `None`: that slot is empty and no disk of
    /// that id is attached.
    pub(super) fn attached(&self, live: &Live, at: &DiskAt) -> Result<Option<(String, Vhd)>, StepError> {
        let conflict = |why: String| self.error("find the disk", ErrorKind::Conflict, why);
        let mut there = None;
        for (drive, disk) in live.whole.machine.disks() {
            let vhd = live.vhds.get(&disk.path.to_lowercase());
            let vhd = match vhd {
                Some(Ok(vhd)) => vhd,
                Some(Err(why)) => return Err(conflict(format!("{} cannot be read: {why}", disk.path))),
                None => return Err(conflict(format!("{} was not read", disk.path))),
            };
            let same_id = at.id.is_none() || at.id == vhd.id;
            if drive.slot() == at.slot {
                if !same_id {
                    let id = vhd.id.as_deref().unwrap_or("no id");
                    return Err(conflict(format!("at {} there is another disk ({id}) than `{}`", at.slot, at.name)));
                }
                if disk.shared {
                    return Err(conflict(format!("disk `{}` is shared and never changed", at.name)));
                }
                there = Some((disk.path.clone(), vhd.clone()));
            } else if at.id.is_some() && same_id {
                return Err(conflict(format!("disk `{}` is no longer at {}", at.name, at.slot)));
            }
        }
        Ok(there)
    }

    /// Takes a disk out, its drive with it; the file stays.
    pub(super) async fn unplug(&self, live: Live, name: &str, path: &str, destroys: bool) -> Result<Live, StepError> {
        let Some(drive) = live.whole.machine.holding(path).cloned() else { return Ok(live) };
        let Some(disk) = &drive.disk else { return Ok(live) };
        let detail = format!("take disk {name} out");
        let out = |live: &Live| live.whole.machine.holding(path).is_none();
        let live = self.remove_resource(&live, (SASD, &disk.id), (destroys, detail), out).await?;
        let gone = |live: &Live| live.whole.machine.drives.iter().all(|found| found.id != drive.id);
        if gone(&live) {
            return Ok(live);
        }
        let detail = format!("remove the drive at {}", drive.slot());
        self.remove_resource(&live, (RASD, &drive.id), (destroys, detail), gone).await
    }

    /// The image that a disk is to be made of, looked into before anything is made.
    pub(super) async fn check_image(&self, host: &Host, image: &ImageTarget, size: Bytes) -> Result<(), StepError> {
        let source = &image.source;
        let refuse = |kind, why: String| Err(self.error("find the image", kind, why));
        if !paths::is_absolute(source) {
            return refuse(ErrorKind::NotFound, format!("the image `{source}` is no path of a file"));
        }
        let vhd = match vhd::read(&host.client, source).await {
            Ok(vhd) => vhd,
            Err(failure) if vhd::is_not_there(&failure) => {
                return refuse(ErrorKind::NotFound, format!("there is no image {source}: {failure}"));
            }
            Err(failure) => return Err(self.failed("find the image")(failure)),
        };
        if vhd.size > size {
            let why = format!("the image {source} is {}, more than the {size} declared; disks only grow", vhd.size);
            return refuse(ErrorKind::Conflict, why);
        }
        if image.mode == Some(ImageMode::Differencing) && vhd.format != VHDX {
            let why = format!("{source} is not a VHDX, and a child must be of its parent's format: use mode copy");
            return refuse(ErrorKind::Unsupported, why);
        }
        Ok(())
    }

    /// A folder that disks are to lie in.
    pub(super) async fn check_folder(&self, host: &Host, folder: &str) -> Result<(), StepError> {
        let there = if paths::is_absolute(folder) {
            host.has_folder(folder).await.map_err(self.failed("find the storage"))?
        } else {
            false
        };
        if there {
            return Ok(());
        }
        Err(self.error("find the storage", ErrorKind::NotFound, format!("there is no folder `{folder}` on the host")))
    }
}

/// A resource as `Parent` names it.
pub(super) fn parent_path(live: &Live, id: &str) -> String {
    debug_assert!(device_of(id).is_some(), "a part of a VM");
    cim::path(&live.around.host, RASD, &[("InstanceID", id)])
}

/// A failure to see what should be there.
pub(super) fn vanished(what: &str) -> Failure {
    Failure::because(ErrorKind::Unexpected, format!("{what} was made and is not there"))
}
