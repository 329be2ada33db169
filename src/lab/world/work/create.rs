//! New VMs: blank ones, and copies of others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configure::check_name;
use super::devices::{Draft, MadeFile};
use super::{CloneVm, CreateVm, World};
use crate::lab::world::{Firmware, FolderKind, Guest, Id, Link, Power, Refusal, Vm};

impl World {
    pub(super) fn create_vm(&mut self, create: &CreateVm) -> Result<Id, Refusal> {
        let name = create.spec.name.as_deref().ok_or(Refusal::Invalid { field: "config.name".into() })?;
        self.check_place(create.folder, name)?;
        let home = create.spec.home.ok_or(Refusal::Invalid { field: "config.files.vmPathName".into() })?;
        if !self.datastores.contains_key(&home) {
            return Err(Refusal::Gone(home));
        }
        let host = self.choose_host(create.pool, create.host)?;
        let mut vm = self.blank(name, create.folder, home, host);
        vm.pool = Some(create.pool);
        let mut draft = Draft::of(vm);
        self.apply_spec(&mut draft, &create.spec)?;
        let id = draft.vm.id;
        self.commit(draft);
        Ok(id)
    }

    pub(super) fn clone_vm(&mut self, clone: &CloneVm) -> Result<Id, Refusal> {
        if self.standalone {
            return Err(Refusal::Unsupported);
        }
        self.check_place(clone.folder, &clone.name)?;
        let source = self.vms.get(&clone.source).ok_or(Refusal::Gone(clone.source))?.clone();
        let pool = clone.pool.or(if clone.template { None } else { source.pool });
        if pool.is_none() && !clone.template {
            return Err(Refusal::Invalid { field: "spec.location.pool".into() });
        }
        let host = match (pool, clone.host) {
            (Some(pool), host) => self.choose_host(pool, host)?,
            (None, host) => host.unwrap_or(source.host),
        };
        let mut vm = self.copy_of(&source, clone, host);
        vm.pool = if clone.template { None } else { pool };
        let mut draft = Draft::of(vm);
        self.copy_disks(&mut draft, clone)?;
        self.apply_spec(&mut draft, &clone.spec)?;
        let id = draft.vm.id;
        self.commit(draft);
        if clone.power_on {
            self.power_on(id)?;
        }
        Ok(id)
    }

    fn check_place(&self, folder: Id, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        let kind = self.folders.get(&folder).ok_or(Refusal::Gone(folder))?.kind;
        if kind != FolderKind::Vms {
            return Err(Refusal::Unsupported);
        }
        let sub = self.folders.values().find(|other| other.parent == Some(folder) && other.name == name);
        match self.name_taken(folder, name, None).or(sub.map(|folder| folder.id)) {
            Some(by) => Err(Refusal::NameTaken { name: name.into(), by }),
            None => Ok(()),
        }
    }

    /// The named host, if it can take a VM of this pool, or the one with the least memory given away.
    pub(in crate::lab) fn choose_host(&self, pool: Id, host: Option<Id>) -> Result<Id, Refusal> {
        let cluster = self.pools.get(&pool).ok_or(Refusal::Gone(pool))?.cluster;
        let usable = |host: &crate::lab::world::Host| host.link == Link::Connected && !host.maintenance;
        if let Some(id) = host {
            let host = self.hosts.get(&id).ok_or(Refusal::Gone(id))?;
            if host.cluster != cluster {
                return Err(Refusal::Invalid { field: "spec.location.host".into() });
            }
            return if usable(host) { Ok(id) } else { Err(Refusal::HostUnusable(id)) };
        }
        let mut given: BTreeMap<Id, u64> =
            self.hosts_of(cluster).filter(|host| usable(host)).map(|host| (host.id, 0)).collect();
        for vm in self.vms.values().filter(|vm| vm.power == Power::On) {
            if let Some(sum) = given.get_mut(&vm.host) {
                *sum += vm.memory_mib;
            }
        }
        given.into_iter().min_by_key(|(id, sum)| (*sum, *id)).map(|(id, _)| id).ok_or(Refusal::HostUnusable(cluster))
    }

    /// A VM with nothing in it.
    pub(in crate::lab) fn blank(&mut self, name: &str, folder: Id, home: Id, host: Id) -> Vm {
        Vm {
            id: self.fresh_id(),
            name: name.into(),
            instance_uuid: self.fresh_uuid(),
            bios_uuid: self.fresh_uuid(),
            template: false,
            folder,
            pool: None,
            host,
            home,
            cpus: 1,
            cores_per_socket: 1,
            memory_mib: 32,
            memory_at_boot_mib: 32,
            firmware: Firmware::Bios,
            guest_id: "otherGuest".into(),
            hot_add_cpu: false,
            hot_add_memory: false,
            hot_remove_cpu: false,
            annotation: "".into(),
            settings: BTreeMap::new(),
            controllers: Vec::new(),
            disks: Vec::new(),
            nics: Vec::new(),
            power: Power::Off,
            link: Link::Connected,
            guest: Guest { tools_installed: false, shutdown_ms: Some(30), addresses: Vec::new() },
            question: None,
            wmi: None,
            snapshots: Vec::new(),
            booted_at: None,
            created_at: self.now,
            config_change: 0,
            config_changed_at: self.now,
            touched: 0,
        }
    }

    /// Hardware, settings and notes of the source under new ids; no snapshots, off. Disks
    /// still name the source's files.
    fn copy_of(&mut self, source: &Vm, clone: &CloneVm, host: Id) -> Vm {
        let mut vm = source.clone();
        vm.id = self.fresh_id();
        vm.name = clone.name.as_str().into();
        vm.instance_uuid = self.fresh_uuid();
        vm.bios_uuid = self.fresh_uuid();
        vm.template = clone.template;
        vm.folder = clone.folder;
        vm.host = host;
        vm.home = clone.datastore.unwrap_or(source.home);
        vm.snapshots = Vec::new();
        vm.question = None;
        vm.link = Link::Connected;
        vm.created_at = self.now;
        vm.set_power(Power::Off, self.now);
        for nic in &mut vm.nics {
            nic.mac = self.fresh_mac().into();
            nic.mac_manual = false;
        }
        vm
    }

    fn copy_disks(&mut self, draft: &mut Draft, clone: &CloneVm) -> Result<(), Refusal> {
        for index in 0..draft.vm.disks.len() {
            let from = draft.vm.disks[index].file.clone();
            let file = self.files.get(&from).ok_or_else(|| Refusal::NoFile(from.to_string()))?;
            let key = draft.vm.disks[index].key;
            let own = clone.disk_places.iter().find(|(disk, _)| *disk == key).map(|(_, place)| *place);
            let datastore = own.or(clone.datastore).unwrap_or(file.datastore);
            let room = self.datastores.get(&datastore).ok_or(Refusal::Gone(datastore))?;
            let capacity = draft.vm.disks[index].capacity;
            let promised: u64 =
                draft.made.iter().filter(|file| file.datastore == datastore).map(|file| file.capacity).sum();
            if !clone.linked && room.used.saturating_add(promised).saturating_add(capacity) > room.capacity {
                return Err(Refusal::NoRoom(datastore));
            }
            let path: Arc<str> = self.free_path(datastore, &draft.vm.name, &draft.promised());
            let parent = clone.linked.then(|| from.clone());
            draft.made.push(MadeFile { path: path.clone(), datastore, capacity, parent });
            draft.vm.disks[index].file = path;
        }
        Ok(())
    }
}
