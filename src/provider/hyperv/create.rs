//! Making a VM, so that any part of it can be gone on with after a crash.
//!
//! ```text
//! checked    folders, switches and the image are there: nothing is made otherwise
//! born       DefineSystem under the birth name, with the mark, pending and without own id
//! equipped   processors, memory, disks (copied, made or a child, grown, plugged in), NICs; the mark with their slots
//!            and with the own id, which is known only since the birth
//! a role     AddVirtualMachine, where there is a cluster; under its real name, which the role keeps
//! started    RequestStateChange: Hyper-V chooses MACs at the first start
//! finished   the mark without pending and the real name, in one call
//! ```
//!
//! What is done is seen by looking at the VM; the birth name and the mark lead to it, so nothing is made twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cim::{Embedded, Instance, Namespace, Parameter};
use super::client::Invoke;
use super::cluster;
use super::disks::{Wanted, file_of, vanished};
use super::host::Host;
use super::hosts::Live;
use super::notes;
use super::reconfigure::{filled, is_stopped};
use super::vhd;
use super::work::{Change, Work};
use crate::mark::{self, Mark, MarkedDisk, MarkedNic, Pending};
use crate::model::{Firmware, GuestOs, OwnId};
use crate::plan::{CreateVm, DiskOrder};
use crate::provider::{ErrorKind, StepError};

/// The template that lets signed Linux loaders boot (SEQUENCES.md, "Create gen 2").
const LINUX_TEMPLATE: &str = "MicrosoftUEFICertificateAuthority";

impl Work<'_> {
    /// Makes a VM, or goes on with one of the same identity.
    pub(super) async fn create(&self, order: &CreateVm) -> Result<(), StepError> {
        if self.user_data.is_some() {
            let why = "no way is built to hand cloud-init data to a VM of Hyper-V";
            return Err(self.error("create", ErrorKind::Unsupported, why));
        }
        let live = match self.look().await? {
            Some(live) => live,
            None => Box::pin(self.bear(order)).await?,
        };
        let own_id = OwnId::new(&live.whole.system.guid);
        self.recorder.made(&own_id, "").await?;
        let mark = Mark { own_id: Some(own_id), ..order.mark.as_ref().clone() };
        // Finished by an earlier run whose last answer was lost.
        if live.has_recorded(&mark) && live.whole.machine.settings.name == order.name.as_str() {
            return if order.start { self.start().await } else { Ok(()) };
        }
        let live = self.note(live, &pending(&mark)).await?;
        let live = Box::pin(self.equip(order, live, &mark)).await?;
        Box::pin(self.join_cluster(&live)).await?;
        if order.start {
            self.start().await?;
        }
        let live = self.live().await?;
        let full = filled(&mark, &live);
        self.write_mark(&live, &full, Some(&order.name)).await
    }

    /// A VM that is known by its birth name alone is marked first.
    async fn note(&self, live: Live, mark: &Mark) -> Result<Live, StepError> {
        if live.mark().is_some() {
            return Ok(live);
        }
        self.write_mark(&live, &filled(mark, &live), None).await?;
        self.live().await
    }

    async fn bear(&self, order: &CreateVm) -> Result<Live, StepError> {
        let host = self.host_of(order).await?;
        Box::pin(self.check_order(order, &host)).await?;
        let settings = self.birth_settings(order, &host).await?;
        let invoke = Invoke {
            target: self.service(&host, vhd::MACHINES).await?,
            method: "DefineSystem",
            parameters: vec![("SystemSettings", Parameter::Embedded(settings))],
        };
        let detail = format!("make {}", order.name);
        let change = Change { host, invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(self.look().await?.is_some()) })).await?;
        let born = self.look().await?;
        born.ok_or_else(|| self.failed("DefineSystem")(vanished("the VM")))
    }

    async fn host_of(&self, order: &CreateVm) -> Result<Arc<Host>, StepError> {
        let failed = || self.failed("find the host");
        match (&order.placement.host, self.hosts.list.as_slice()) {
            (Some(name), _) => {
                let host = self.hosts.named(name).await.map_err(failed())?;
                host.ok_or_else(|| {
                    self.error("find the host", ErrorKind::NotFound, format!("there is no host `{name}`"))
                })
            }
            (None, [host]) => Ok(Arc::clone(host)),
            (None, _) => {
                let why = "the placement names no host, and there are several";
                Err(self.error("find the host", ErrorKind::NotFound, why))
            }
        }
    }

    /// Everything that the order names must be there before anything is made.
    async fn check_order(&self, order: &CreateVm, host: &Host) -> Result<(), StepError> {
        let mut folders: Vec<&str> = Vec::new();
        folders.extend(order.placement.path.as_deref());
        for disk in &order.disks {
            folders.push(self.folder_of(order, disk)?);
        }
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            self.check_folder(host, folder).await?;
        }
        let switches: BTreeMap<String, Arc<str>> = host.switches().await.map_err(self.failed("find the network"))?;
        for nic in &order.nics {
            self.switch_in(&switches, &nic.network)?;
        }
        match (&order.image, order.disks.first()) {
            (Some(image), Some(first)) => self.check_image(host, image, first.size).await,
            (Some(_), None) => {
                let why = "an image's disk must stand in the manifest";
                Err(self.error("find the image", ErrorKind::Conflict, why))
            }
            (None, _) => Ok(()),
        }
    }

    fn folder_of<'o>(&self, order: &'o CreateVm, disk: &'o DiskOrder) -> Result<&'o str, StepError> {
        let placement = &order.placement;
        let folder = disk.storage.as_deref().or(placement.storage.as_deref()).or(placement.path.as_deref());
        folder.ok_or_else(|| {
            self.error("find the storage", ErrorKind::NotFound, format!("nothing tells where disk {} goes", disk.name))
        })
    }

    async fn birth_settings(&self, order: &CreateVm, host: &Host) -> Result<Embedded, StepError> {
        let mark = notes::with_mark("", &mark::write(&pending(&Mark { own_id: None, ..order.mark.as_ref().clone() })));
        let mut settings = Embedded::new("Msvm_VirtualSystemSettingData")
            .string("ElementName", &mark::birth_name(order.identity))
            .strings("Notes", &[&mark]);
        if let Some(path) = order.placement.path.as_deref().or(order.placement.storage.as_deref()) {
            settings = settings.string("ConfigurationDataRoot", path).string("SnapshotDataRoot", path);
        }
        if order.firmware == Firmware::Bios {
            return Ok(settings.string("VirtualSystemSubType", "Microsoft:Hyper-V:SubType:1"));
        }
        settings = settings.string("VirtualSystemSubType", "Microsoft:Hyper-V:SubType:2");
        Ok(match order.guest_os {
            // What a new VM trusts by itself.
            GuestOs::Windows => settings,
            GuestOs::Linux => match self.linux_template(host).await? {
                Some(template) => settings.flag("SecureBootEnabled", true).string("SecureBootTemplateId", &template),
                None => settings.flag("SecureBootEnabled", false),
            },
            GuestOs::Other => settings.flag("SecureBootEnabled", false),
        })
    }

    async fn linux_template(&self, host: &Host) -> Result<Option<String>, StepError> {
        let query = format!(
            "SELECT SecureBootTemplateId FROM Msvm_VirtualSystemSettingData WHERE ElementName = '{LINUX_TEMPLATE}'"
        );
        let template = |instance: &Instance<'_>| instance.text("SecureBootTemplateId").map(str::to_owned);
        let found = host.client.enumerate(Namespace::Virtualization, &query, template).await;
        found.map(|mut found| found.pop()).map_err(self.failed("find the secure boot template"))
    }

    /// Size, disks and NICs. A VM that runs was equipped before it was started.
    async fn equip(&self, order: &CreateVm, mut live: Live, mark: &Mark) -> Result<Live, StepError> {
        if !is_stopped(&live) {
            return Ok(live);
        }
        live = self.set_size(live, Some(order.cpus), Some(order.memory)).await?;
        let mut known = pending(mark);
        for (at, disk) in order.disks.iter().enumerate() {
            let path = file_of(self.folder_of(order, disk)?, &live.whole.system.guid, &disk.name);
            let wanted = Wanted {
                name: &disk.name,
                path: &path,
                size: disk.size,
                image: order.image.as_ref().filter(|_| at < order.image_disks),
                boots_from_ide: at == 0 && !live.whole.machine.is_generation_2(),
            };
            live = Box::pin(self.ensure_disk(live, &wanted)).await?;
            let slot = live.whole.machine.holding(&path).map(super::machine::Drive::slot);
            known.disks.insert(disk.name.clone(), MarkedDisk { slot, id: None, file: None, deleting: false });
        }
        for nic in &order.nics {
            let (after, id) = Box::pin(self.ensure_nic(live, nic)).await?;
            live = after;
            let slot = super::ident::device_of(&id).map(str::to_owned);
            known.nics.insert(nic.name.clone(), MarkedNic { mac: nic.mac.clone(), slot });
        }
        let full = filled(&known, &live);
        let clustered = self.hosts.cluster().await.map_err(self.failed("find the cluster"))?.is_some();
        self.write_mark(&live, &full, clustered.then_some(&order.name)).await?;
        self.live().await
    }

    /// Makes the VM a role of the cluster: the cluster else neither moves it nor starts it elsewhere.
    async fn join_cluster(&self, live: &Live) -> Result<(), StepError> {
        let failed = || self.failed("find the cluster");
        let guid = live.whole.system.guid.as_str();
        let Some(view) = self.hosts.cluster().await.map_err(failed())? else { return Ok(()) };
        if view.roles.contains_key(guid) {
            return Ok(());
        }
        let name = live.whole.machine.settings.name.clone();
        let invoke = Invoke {
            target: cluster::reference(&view.name),
            method: "AddVirtualMachine",
            parameters: vec![("VirtualMachine", Parameter::Plain(name))],
        };
        let detail = format!("make it a role of the cluster {}", view.name);
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(self.hosts.role(guid).await.map_err(failed())?.is_some()) }))
            .await
            .map(drop)
    }
}

/// The mark of a VM that is not finished.
fn pending(mark: &Mark) -> Mark {
    Mark { pending: Some(Pending::Create), ..mark.clone() }
}
