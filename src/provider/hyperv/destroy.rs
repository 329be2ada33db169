//! Removing a VM and the disks that go with it, after making sure that nothing else would go too.
//!
//! ```text
//! the role leaves the cluster -> the mark names the files as being deleted -> disks out -> each file -> DestroySystem
//! ```
//!
//! DestroySystem leaves disks where they are, and once the VM is gone nobody knows whose files they were. So the files
//! go first and the VM with its mark last: cut short anywhere, what is left is still ours, and the mark tells which
//! files are on their way. The disks are taken out before, since a VM whose disk has no file could not be read.

use super::cim::{Namespace, Parameter, Reference};
use super::client::Invoke;
use super::cluster;
use super::collect::read_vhds;
use super::disks::SASD;
use super::hosts::Live;
use super::parts::{self, Scope};
use super::paths;
use super::reconfigure::{Fate, Leaving};
use super::vhd;
use super::work::{Change, Work};
use crate::mark::MarkedDisk;
use crate::model::PowerState;
use crate::plan::DiskAt;
use crate::provider::{ErrorKind, StepError};

impl Work<'_> {
    /// The attached disks must be exactly those that may go. A VM that is not there is done.
    pub(super) async fn destroy(&self, disks: &[DiskAt]) -> Result<(), StepError> {
        let Some(live) = self.look().await? else { return Ok(()) };
        self.may_go(&live, disks)?;
        let attached: Vec<(String, &DiskAt)> = (live.whole.machine.disks())
            .filter_map(|(drive, disk)| {
                let slot = drive.slot();
                Some((disk.path.clone(), disks.iter().find(|at| at.slot == slot)?))
            })
            .collect();
        for (file, _) in &attached {
            self.check_unused(&live, file).await?;
        }
        self.leave_cluster(&live).await?;
        let live = self.take_out(live, &attached).await?;
        for (file, _) in &attached {
            self.delete_file(&live, file).await?;
        }
        for at in disks.iter().filter(|at| at.slot.is_empty()) {
            self.delete_left(&live, at).await?;
        }
        let system = Parameter::Reference(Reference::system(&live.whole.system.guid));
        let invoke = Invoke {
            target: self.service(&live.host, vhd::MACHINES).await?,
            method: "DestroySystem",
            parameters: vec![("AffectedSystem", system)],
        };
        let detail = format!("delete {}", live.whole.machine.settings.name);
        let change = Change { host: live.host.clone(), invoke, destroys: true, detail };
        Box::pin(self.make(change, || async { Ok(self.look().await?.is_none()) })).await?;
        Ok(())
    }

    /// Disks out of their drives, all in one call, once the mark tells that their files are being deleted.
    async fn take_out(&self, live: Live, attached: &[(String, &DiskAt)]) -> Result<Live, StepError> {
        if attached.is_empty() {
            return Ok(live);
        }
        let leaving: Vec<Leaving<'_>> = attached.iter().map(|(path, at)| Leaving { at, path }).collect();
        let live = self.remember_files(live, &leaving, Fate::Deleted).await?;
        let media: Vec<String> = live.whole.machine.disks().map(|(_, disk)| disk.id.clone()).collect();
        let is_out = |live: &Live| live.whole.machine.disks().next().is_none();
        let ids: Vec<&str> = media.iter().map(String::as_str).collect();
        let detail = format!("take its {} disks out", ids.len());
        self.remove_resources(&live, (SASD, &ids), (true, detail), is_out).await
    }

    /// Deletes the file of a disk that a run cut short took out to delete it, if it is there still: the very disk that
    /// the VM's own mark names, and used by nobody.
    pub(super) async fn delete_left(&self, live: &Live, at: &DiskAt) -> Result<(), StepError> {
        let marked = live.mark().and_then(|mark| mark.disks.get(&at.name).cloned());
        let Some(MarkedDisk { slot: None, id, file: Some(file), deleting: true }) = marked else { return Ok(()) };
        let failed = || self.failed("look into the disk");
        if !live.host.has_file(&file).await.map_err(failed())? {
            return Ok(());
        }
        let refuse = |why: String| self.error("delete a disk", ErrorKind::Conflict, why);
        if live.whole.machine.holding(&file).is_some() {
            return Err(refuse(format!("{file} was attached again, so it is not deleted")));
        }
        let found = vhd::read(&live.host.client, &file).await.map_err(failed())?;
        if id.is_some() && found.id != id {
            let found = found.id.as_deref().unwrap_or("no id");
            return Err(refuse(format!("{file} holds another disk ({found}) than the one taken out")));
        }
        self.check_unused(live, &file).await?;
        self.delete_file(live, &file).await
    }

    fn may_go(&self, live: &Live, disks: &[DiskAt]) -> Result<(), StepError> {
        let refuse = |why: String| self.error("DestroySystem", ErrorKind::Conflict, why);
        if live.whole.system.power != PowerState::Stopped {
            return Err(refuse("it is not powered off".to_owned()));
        }
        let observed = live.observed();
        let Some(config) = observed.readable() else {
            return Err(refuse("its configuration cannot be read".to_owned()));
        };
        if config.snapshots {
            return Err(refuse("it has a checkpoint".to_owned()));
        }
        for disk in &config.disks {
            let named =
                |at: &&DiskAt| at.slot == *disk.slot && (at.id.is_none() || at.id.as_deref() == disk.id.as_deref());
            if disk.shared {
                return Err(refuse(format!("the disk at {} is shared", disk.slot)));
            }
            if !disks.iter().any(|at| named(&at)) {
                return Err(refuse(format!("the disk at {} is attached and not ours to delete", disk.slot)));
            }
        }
        Ok(())
    }

    /// Refuses a file that another VM of any host has, or has a disk made of.
    pub(super) async fn check_unused(&self, live: &Live, file: &str) -> Result<(), StepError> {
        let failed = || self.failed("look for other users of the disk");
        let own = &live.whole.system.guid;
        for host in &self.hosts.list {
            let media = parts::media(&host.client).await.map_err(failed())?;
            let replicas = parts::systems(&host.client, Scope::All).await.map_err(failed())?;
            let is_copy = |vm: &str| replicas.iter().any(|system| system.guid == vm && system.replica);
            let others: Vec<String> =
                media.into_iter().filter(|(vm, _)| vm != own && !is_copy(vm)).map(|(_, path)| path).collect();
            if others.iter().any(|path| paths::same(path, file)) {
                let why = format!("{file} is attached to another VM too, so it is not deleted");
                return Err(self.error("delete a disk", ErrorKind::Conflict, why));
            }
            // What was looked into by the last inventory need not be again: a disk keeps its parent.
            let known = host.memory.lock().await.vhds.clone();
            let unknown = others.iter().filter(|path| !known.contains_key(&path.to_lowercase())).cloned().collect();
            let read = read_vhds(&host.client, unknown).await.map_err(failed())?;
            let parents = known.values().chain(read.values()).filter_map(|vhd| vhd.as_ref().ok()?.parent.as_deref());
            if parents.into_iter().any(|parent| paths::same(parent, file)) {
                let why = format!("{file} is the parent of another disk, so it is not deleted");
                return Err(self.error("delete a disk", ErrorKind::Conflict, why));
            }
        }
        Ok(())
    }

    /// A VM that is a role of a cluster stops being one; the cluster would else keep a role without a VM.
    async fn leave_cluster(&self, live: &Live) -> Result<(), StepError> {
        let guid = live.whole.system.guid.as_str();
        let Some(role) = self.hosts.role(guid).await.map_err(self.failed("find the role"))? else { return Ok(()) };
        // 1: with the resources in it (SEQUENCES.md, "Cluster add / remove VM").
        let parameters = vec![("Options", Parameter::Plain("1".to_owned()))];
        let invoke = Invoke { target: cluster::group(&role.group), method: "DestroyGroup", parameters };
        let detail = format!("remove the role {} from the cluster", role.group);
        let change = Change { host: live.host.clone(), invoke, destroys: true, detail };
        let gone = || async { Ok(self.hosts.role(guid).await.map_err(self.failed("find the role"))?.is_none()) };
        Box::pin(self.make(change, gone)).await.map(drop)
    }

    /// Deletes a file that no VM has any more. One that is not there is done.
    pub(super) async fn delete_file(&self, live: &Live, file: &str) -> Result<(), StepError> {
        let failed = || self.failed("find the disk's file");
        if !live.host.has_file(file).await.map_err(failed())? {
            return Ok(());
        }
        let selectors = vec![("Name".to_owned(), file.to_owned())];
        let target = Reference { uri: Namespace::Cimv2.uri("CIM_DataFile"), selectors };
        let invoke = Invoke { target, method: "Delete", parameters: Vec::new() };
        let change =
            Change { host: live.host.clone(), invoke, destroys: true, detail: format!("delete the file {file}") };
        Box::pin(self.make(change, || async { Ok(!live.host.has_file(file).await.map_err(failed())?) })).await.map(drop)
    }
}
