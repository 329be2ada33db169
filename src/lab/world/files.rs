//! Virtual disk files: their sizes, ids, and who is whose parent.

use std::sync::Arc;

use uuid::Uuid;

use super::{Id, World};

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

    /// Makes a file; counts its size as used.
    pub(in crate::lab) fn make_file(&mut self, path: Arc<str>, datastore: Id, capacity: u64, parent: Option<Arc<str>>) {
        let uuid = self.fresh_uuid();
        if parent.is_none()
            && let Some(place) = self.datastores.get_mut(&datastore)
        {
            place.used = place.used.saturating_add(capacity);
        }
        self.linked += usize::from(parent.is_some());
        self.files.insert(path, DiskFile { uuid, capacity, parent, datastore });
    }

    /// Grows a file to a capacity.
    pub(in crate::lab) fn grow_file(&mut self, path: &str, capacity: u64) {
        let Some(file) = self.files.get_mut(path) else { return };
        let more = capacity.saturating_sub(file.capacity);
        file.capacity += more;
        let datastore = file.datastore;
        if let Some(place) = self.datastores.get_mut(&datastore) {
            place.used = place.used.saturating_add(more);
        }
    }

    /// Copies a disk's content to a new file beside it, flat.
    pub(in crate::lab) fn copy_file(&mut self, from: &str, vm_name: &str, also_taken: &[Arc<str>]) -> Arc<str> {
        let (datastore, capacity) = self.files.get(from).map_or((Id(0), 0), |file| (file.datastore, file.capacity));
        let path = self.free_path(datastore, vm_name, also_taken);
        self.make_file(path.clone(), datastore, capacity, None);
        path
    }

    /// Removes one file.
    pub(in crate::lab) fn delete_file(&mut self, path: &str) {
        let Some(file) = self.files.remove(path) else { return };
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
