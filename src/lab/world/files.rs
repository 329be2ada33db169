//! Virtual disk files: their sizes, ids, and who is whose parent.

use std::sync::Arc;

use uuid::Uuid;

use super::{Id, World};

/// How disk files are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `[datastore] vm/vm.vmdk`; the layer a snapshot adds is `vm-000001.vmdk`.
    Vmdk,
    /// `D:\\folder\\vm.vhdx`; the layer a checkpoint adds is `vm_GUID.avhdx`.
    Vhdx,
}

/// A virtual disk file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// Its id (vSphere backing uuid).
    pub uuid: Uuid,
    /// Size as a VM sees it, in bytes.
    pub capacity: u64,
    /// The file it is a child of.
    pub parent: Option<Arc<str>>,
    /// Where it lies.
    pub datastore: Id,
    /// Holds an installed guest with its tools; copies and children hold what their origin holds.
    pub bootable: bool,
}

/// The datastore name and the rest of a path such as `[nvme-01] erp/erp.vmdk`.
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('[')?.split_once(']').map(|(name, rest)| (name, rest.trim_start()))
}

impl World {
    /// A path for a new disk of a VM on a datastore that no file has yet.
    pub(in crate::lab) fn free_path(&self, datastore: Id, vm_name: &str, also_taken: &[Arc<str>]) -> Arc<str> {
        let place = self.datastores.get(&datastore).map_or("?", |datastore| datastore.name.as_str());
        let stem = vm_name.replace(['/', ']', '['], "_");
        let mut number = 0_u32;
        loop {
            let path: Arc<str> = match number {
                0 => format!("[{place}] {stem}/{stem}.vmdk"),
                n => format!("[{place}] {stem}/{stem}_{n}.vmdk"),
            }
            .into();
            if !self.files.contains_key(&path) && !also_taken.contains(&path) {
                return path;
            }
            number += 1;
        }
    }

    /// A path in the folder of another file that no file has yet.
    fn free_path_beside(&self, other: &str, stem: &str, also_taken: &[Arc<str>]) -> Arc<str> {
        let folder = other.rsplit_once('\\').map_or("", |(folder, _)| folder);
        let mut number = 0_u32;
        loop {
            let path: Arc<str> = match number {
                0 => format!("{folder}\\{stem}.vhdx"),
                n => format!("{folder}\\{stem}_{n}.vhdx"),
            }
            .into();
            if !self.files.contains_key(&path) && !also_taken.contains(&path) {
                return path;
            }
            number += 1;
        }
    }

    /// The path of the layer that a snapshot adds to a file.
    pub(in crate::lab) fn child_path(&mut self, base: &str, taken: &[Arc<str>]) -> Arc<str> {
        match self.naming {
            Naming::Vmdk => self.child_vmdk(base, taken),
            Naming::Vhdx => {
                let (stem, extension) = base.rsplit_once('.').unwrap_or((base, ""));
                // A layer on a layer keeps the first stem: `vm_GUID.avhdx` -> `vm_OTHER.avhdx`.
                let stem = match stem.rsplit_once('_') {
                    Some((front, id)) if extension == "avhdx" && Uuid::parse_str(id).is_ok() => front,
                    _ => stem,
                };
                let id = self.fresh_uuid().to_string().to_uppercase();
                format!("{stem}_{id}.avhdx").into()
            }
        }
    }

    /// `x.vmdk` -> `x-000001.vmdk`, counting up.
    fn child_vmdk(&self, base: &str, taken: &[Arc<str>]) -> Arc<str> {
        let stem = base.strip_suffix(".vmdk").unwrap_or(base);
        let is_child = |text: &str| text.len() == 7 && text.starts_with('-');
        let stem = match stem.len().checked_sub(7).and_then(|at| stem.split_at_checked(at)) {
            Some((front, back)) if is_child(back) && back[1..].bytes().all(|byte| byte.is_ascii_digit()) => front,
            _ => stem,
        };
        let mut number = 1_u32;
        loop {
            let path: Arc<str> = format!("{stem}-{number:06}.vmdk").into();
            if !self.files.contains_key(&path) && !taken.contains(&path) {
                return path;
            }
            number += 1;
        }
    }

    /// Makes a file; counts its size as used.
    pub(in crate::lab) fn make_file(&mut self, path: Arc<str>, datastore: Id, capacity: u64, parent: Option<Arc<str>>) {
        let uuid = self.fresh_uuid();
        if parent.is_none()
            && let Some(place) = self.datastores.get_mut(&datastore)
        {
            place.used = place.used.saturating_add(capacity);
        }
        self.linked += usize::from(parent.is_some());
        let bootable = parent.as_deref().is_some_and(|parent| self.files.get(parent).is_some_and(|file| file.bootable));
        self.paths.insert(uuid, path.clone());
        self.files.insert(path, DiskFile { uuid, capacity, parent, datastore, bootable });
        self.files_change += 1;
    }

    /// A file by its id.
    pub(in crate::lab) fn file_by_id(&self, uuid: Uuid) -> Option<(&Arc<str>, &DiskFile)> {
        let path = self.paths.get(&uuid)?;
        self.files.get(path).filter(|file| file.uuid == uuid).map(|file| (path, file))
    }

    /// Two files exchange their ids.
    pub(in crate::lab) fn exchange_ids(&mut self, one: &Arc<str>, other: &Arc<str>) {
        let id = |world: &Self, path: &Arc<str>| world.files.get(path).map(|file| file.uuid);
        let (Some(first), Some(second)) = (id(self, one), id(self, other)) else { return };
        for (path, uuid) in [(one, second), (other, first)] {
            self.paths.insert(uuid, path.clone());
            if let Some(file) = self.files.get_mut(path) {
                file.uuid = uuid;
            }
        }
        self.files_change += 1;
    }

    /// Grows a file to a capacity.
    pub(in crate::lab) fn grow_file(&mut self, path: &str, capacity: u64) {
        let Some(file) = self.files.get_mut(path) else { return };
        let more = capacity.saturating_sub(file.capacity);
        file.capacity += more;
        self.files_change += 1;
        let datastore = file.datastore;
        if let Some(place) = self.datastores.get_mut(&datastore) {
            place.used = place.used.saturating_add(more);
        }
    }

    /// Copies a disk's content to a new file beside it, flat.
    pub(in crate::lab) fn copy_file(&mut self, from: &str, vm_name: &str, also_taken: &[Arc<str>]) -> Arc<str> {
        let (datastore, capacity) = self.files.get(from).map_or((Id(0), 0), |file| (file.datastore, file.capacity));
        let bootable = self.files.get(from).is_some_and(|file| file.bootable);
        let path = match self.naming {
            Naming::Vmdk => self.free_path(datastore, vm_name, also_taken),
            Naming::Vhdx => self.free_path_beside(from, vm_name, also_taken),
        };
        self.make_file(path.clone(), datastore, capacity, None);
        if let Some(file) = self.files.get_mut(&path) {
            file.bootable = bootable;
        }
        path
    }

    /// Removes one file.
    pub(in crate::lab) fn delete_file(&mut self, path: &str) {
        let Some(file) = self.files.remove(path) else { return };
        if self.paths.get(&file.uuid).is_some_and(|known| **known == *path) {
            self.paths.remove(&file.uuid);
        }
        self.files_change += 1;
        self.linked -= usize::from(file.parent.is_some());
        if file.parent.is_none()
            && let Some(place) = self.datastores.get_mut(&file.datastore)
        {
            place.used = place.used.saturating_sub(file.capacity);
        }
    }

    /// Removes a file and the parents only it had, as a host does when a disk with snapshots goes.
    pub(in crate::lab) fn delete_file_chain(&mut self, path: &str) {
        let mut next: Option<Arc<str>> = Some(path.into());
        while let Some(path) = next {
            if self.children_of(&path) > 0 {
                return;
            }
            next = self.files.get(&path).and_then(|file| file.parent.clone());
            self.delete_file(&path);
        }
    }

    /// How many files have this one as parent. Linked disks are few: only files with a parent are looked at.
    pub(in crate::lab) fn children_of(&self, path: &str) -> usize {
        if self.linked == 0 {
            return 0;
        }
        self.files.values().filter(|file| file.parent.as_deref() == Some(path)).count()
    }
}
