//! Power, guests, removal, renaming, templates and snapshots.

use std::sync::Arc;

use super::World;
use super::configure::check_name;
use crate::lab::faults::Effect;
use crate::lab::world::{Id, Link, Power, Refusal, Snapshot, Vm};

impl World {
    fn a_vm(&self, id: Id) -> Result<&Vm, Refusal> {
        self.vms.get(&id).ok_or(Refusal::Gone(id))
    }

    /// Refuses unless the VM's power is as wanted.
    fn wants(&self, id: Id, wanted: Power) -> Result<&Vm, Refusal> {
        let vm = self.a_vm(id)?;
        if vm.power == wanted { Ok(vm) } else { Err(Refusal::Power { wanted, is: vm.power }) }
    }

    pub(super) fn power_on(&mut self, id: Id) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        if vm.template {
            return Err(Refusal::Template);
        }
        if vm.power == Power::On {
            return Err(Refusal::Power { wanted: Power::On, is: Power::On });
        }
        if vm.question.is_some() {
            return Err(Refusal::Question);
        }
        for disk in &vm.disks {
            if !self.files.contains_key(&disk.file) {
                return Err(Refusal::NoFile(disk.file.to_string()));
            }
            if !disk.shared && self.file_in_use(&disk.file, id) {
                return Err(Refusal::FileLocked(disk.file.to_string()));
            }
        }
        let unusable = |host: &crate::lab::world::Host| host.link != Link::Connected || host.maintenance;
        let (host, pool) = (vm.host, vm.pool);
        if self.hosts.get(&host).is_none_or(unusable) {
            let pool = pool.ok_or(Refusal::HostUnusable(host))?;
            let other = self.choose_host(pool, None)?;
            self.edit_runtime(id, |vm| vm.host = other);
        }
        self.edit_runtime(id, |vm| vm.memory_at_boot_mib = vm.memory_mib);
        self.set_power(id, Power::On);
        Ok(())
    }

    pub(super) fn power_off(&mut self, id: Id) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        if vm.power == Power::Off {
            return Err(Refusal::Power { wanted: Power::Off, is: Power::Off });
        }
        self.set_power(id, Power::Off);
        self.guest_rests(id);
        Ok(())
    }

    pub(super) fn suspend(&mut self, id: Id) -> Result<(), Refusal> {
        self.wants(id, Power::On)?;
        self.set_power(id, Power::Suspended);
        self.guest_rests(id);
        Ok(())
    }

    pub(super) fn reset(&mut self, id: Id) -> Result<(), Refusal> {
        self.wants(id, Power::On)?;
        self.guest_rests(id);
        self.set_power(id, Power::On);
        Ok(())
    }

    /// Asks the guest to shut down, or to start again; it does so after a while, or never.
    pub fn ask_guest(&mut self, id: Id, reboot: bool) -> Result<(), Refusal> {
        let vm = self.wants(id, Power::On)?;
        if !vm.guest.tools_installed {
            return Err(Refusal::NoTools);
        }
        let names = [&*vm.name];
        let deaf = self.deaf_guests.holds(&Effect::IgnoreShutdown, &names);
        if let (Some(after), false) = (vm.guest.shutdown_ms, deaf) {
            self.guest_will(id, i64::from(after), reboot);
        }
        Ok(())
    }

    /// Answers the host's question.
    pub fn answer(&mut self, id: Id, question: &str, choice: &str) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        let asked = vm.question.as_ref().filter(|asked| asked.id == question);
        let Some(asked) = asked else { return Err(Refusal::Invalid { field: "questionId".into() }) };
        let known = choice.parse::<usize>().is_ok_and(|choice| choice < asked.choices.len());
        if !known {
            return Err(Refusal::Invalid { field: "answerChoice".into() });
        }
        self.edit_runtime(id, |vm| vm.question = None);
        Ok(())
    }

    pub(super) fn rename(&mut self, object: Id, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        if let Some(folder) = self.folders.get(&object) {
            let parent = folder.parent.ok_or(Refusal::Unsupported)?;
            let sibling = self
                .folders
                .values()
                .find(|other| other.id != object && other.parent == Some(parent) && other.name == name)
                .map(|other| other.id);
            if let Some(by) = sibling.or_else(|| self.name_taken(parent, name, None)) {
                return Err(Refusal::NameTaken { name: name.into(), by });
            }
            self.bump();
            if let Some(folder) = self.folders.get_mut(&object) {
                folder.name = name.into();
            }
            return Ok(());
        }
        let folder = self.a_vm(object)?.folder;
        if let Some(by) = self.name_taken(folder, name, Some(object)) {
            return Err(Refusal::NameTaken { name: name.into(), by });
        }
        self.edit(object, |vm| vm.name = name.into());
        Ok(())
    }

    pub(super) fn destroy(&mut self, object: Id) -> Result<(), Refusal> {
        if self.folders.contains_key(&object) {
            let used = self.vms.values().any(|vm| vm.folder == object)
                || self.folders.values().any(|folder| folder.parent == Some(object))
                || self.datacenters.values().any(|at| at.vm_folder == object || at.parent == object);
            // A real server removes what is in it, VMs included. The lab refuses that to everybody.
            if used {
                return Err(Refusal::Unsupported);
            }
            self.bump();
            self.folders.remove(&object);
            return Ok(());
        }
        self.wants(object, Power::Off)?;
        let Some(vm) = self.remove(object, false) else { return Err(Refusal::Gone(object)) };
        // The attached files go whatever hangs on them, as on a real host: a linked child is then broken.
        for disk in &vm.disks {
            let parent = self.files.get(&disk.file).and_then(|file| file.parent.clone());
            self.delete_file(&disk.file);
            if let Some(parent) = parent
                && !vm.snapshots.is_empty()
            {
                self.delete_file_chain(&parent);
            }
        }
        Ok(())
    }

    /// Takes a VM off the list and leaves its files.
    pub fn unregister(&mut self, id: Id) -> Result<(), Refusal> {
        self.wants(id, Power::Off)?;
        self.remove(id, false);
        Ok(())
    }

    /// Makes a VM a template.
    pub fn mark_as_template(&mut self, id: Id) -> Result<(), Refusal> {
        let vm = self.wants(id, Power::Off)?;
        if vm.template {
            return Err(Refusal::Template);
        }
        self.edit(id, |vm| {
            vm.template = true;
            vm.pool = None;
        });
        Ok(())
    }

    /// Makes a template a VM again.
    pub fn mark_as_vm(&mut self, id: Id, pool: Id, host: Option<Id>) -> Result<(), Refusal> {
        if !self.a_vm(id)?.template {
            return Err(Refusal::Template);
        }
        let host = self.choose_host(pool, host)?;
        self.edit(id, |vm| {
            vm.template = false;
            vm.pool = Some(pool);
            vm.host = host;
        });
        Ok(())
    }

    /// Takes a snapshot: each disk goes on in a new file that is a child of the one before.
    pub(in crate::lab) fn take_snapshot(&mut self, id: Id, name: &str, description: &str) -> Result<Id, Refusal> {
        let vm = self.a_vm(id)?;
        if vm.template {
            return Err(Refusal::Template);
        }
        let mut state = Box::new(vm.clone());
        state.snapshots = Vec::new();
        let mut files: Vec<Arc<str>> = Vec::new();
        for disk in &state.disks {
            files.push(self.child_path(&disk.file, &files));
        }
        for (disk, path) in state.disks.iter().zip(&files) {
            let datastore = self.files.get(&disk.file).map_or(state.home, |file| file.datastore);
            self.make_file(path.clone(), datastore, disk.capacity, Some(disk.file.clone()));
            if self.disks_keep_ids {
                self.exchange_ids(&disk.file, path);
            }
        }
        let snapshot = self.fresh_id();
        let at = self.now;
        self.edit(id, |vm| {
            for (disk, path) in vm.disks.iter_mut().zip(files) {
                disk.file = path;
            }
            let (name, description) = (name.to_owned(), description.to_owned());
            vm.snapshots.push(Snapshot { id: snapshot, name, description, at, state });
        });
        Ok(snapshot)
    }

    /// Removes a snapshot (or all): the layers between are joined, the VM stays as it is.
    pub(super) fn remove_snapshot(&mut self, id: Id, snapshot: Option<Id>) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        if snapshot.is_some_and(|wanted| vm.snapshots.iter().all(|one| one.id != wanted)) {
            return Err(Refusal::NoSnapshot);
        }
        let all_gone = snapshot.is_none() || vm.snapshots.len() == 1;
        let joined: Vec<(Arc<str>, Arc<str>)> = match vm.snapshots.first() {
            Some(first) if all_gone => vm
                .disks
                .iter()
                .filter_map(|disk| Some((disk.file.clone(), first.state.disk(disk.key)?.file.clone())))
                .filter(|(now, then)| now != then)
                .collect(),
            _ => Vec::new(),
        };
        for (top, base) in &joined {
            if self.disks_keep_ids {
                self.exchange_ids(top, base);
            }
            let mut next = Some(top.clone());
            while let Some(path) = next.filter(|path| path != base) {
                next = self.files.get(&path).and_then(|file| file.parent.clone());
                self.delete_file(&path);
            }
        }
        self.edit(id, |vm| {
            match snapshot {
                None => vm.snapshots.clear(),
                Some(wanted) => vm.snapshots.retain(|one| one.id != wanted),
            }
            for disk in &mut vm.disks {
                if let Some((_, base)) = joined.iter().find(|(top, _)| *top == disk.file) {
                    disk.file = base.clone();
                }
            }
        });
        Ok(())
    }

    pub(in crate::lab) fn revert_to(&mut self, id: Id, name: &str) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        let snapshot = vm.snapshots.iter().rev().find(|one| one.name == name).ok_or(Refusal::NoSnapshot)?.id;
        self.revert_to_id(id, snapshot)
    }

    /// Hardware, settings and notes go back; name, place and own id stay.
    pub(super) fn revert_to_id(&mut self, id: Id, snapshot: Id) -> Result<(), Refusal> {
        let vm = self.a_vm(id)?;
        let then = vm.snapshots.iter().find(|one| one.id == snapshot).ok_or(Refusal::NoSnapshot)?;
        let mut back = (*then.state).clone();
        let now = vm.clone();
        let mut taken = Vec::new();
        for disk in &mut back.disks {
            let path = self.child_path(&disk.file, &taken);
            let datastore = self.files.get(&disk.file).map_or(now.home, |file| file.datastore);
            self.make_file(path.clone(), datastore, disk.capacity, Some(disk.file.clone()));
            taken.push(path.clone());
            disk.file = path;
        }
        for disk in &now.disks {
            self.delete_file(&disk.file);
        }
        back.name = now.name;
        back.folder = now.folder;
        back.pool = now.pool;
        back.host = now.host;
        back.instance_uuid = now.instance_uuid;
        back.snapshots = now.snapshots;
        // A checkpoint knows nothing of the cluster.
        if let (Some(back), Some(now)) = (&mut back.wmi, now.wmi) {
            (back.role, back.moving_to, back.replication_mode) = (now.role, now.moving_to, now.replication_mode);
        }
        // A snapshot without memory leaves the VM off.
        back.power = Power::Off;
        back.booted_at = None;
        self.guest_rests(id);
        self.edit(id, |vm| *vm = back);
        Ok(())
    }
}
