//! Files on a host's volumes: where they lie, who uses them, which folders there are. Paths compare without case.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lab::world::{Datastore, DiskFile, Power, World};

/// Folders that are there on every volume.
const STANDARD: [&str; 3] = [r"\Hyper-V", r"\Images", ""];

/// The path of a file as it is written in the world.
pub(super) fn find(world: &World, path: &str) -> Option<Arc<str>> {
    if let Some((known, _)) = world.files.get_key_value(path) {
        return Some(known.clone());
    }
    let wanted = path.to_lowercase();
    world.files.keys().find(|known| known.to_lowercase() == wanted).cloned()
}

/// The volume a path lies on.
pub(super) fn volume_of<'a>(world: &'a World, path: &str) -> Option<&'a Datastore> {
    let lower = path.to_lowercase();
    world
        .datastores
        .values()
        .find(|volume| lower.strip_prefix(&volume.name.to_lowercase()).is_some_and(|rest| rest.starts_with('\\')))
}

/// All folders: those of files and of VMs' configurations, and the standard ones.
pub(super) fn folders(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for volume in world.datastores.values() {
        all.extend(STANDARD.iter().map(|folder| format!("{}{folder}", volume.name)));
    }
    for path in world.files.keys() {
        with_parents(&mut all, path.rsplit_once('\\').map_or("", |(folder, _)| folder));
    }
    for vm in world.vms() {
        with_parents(&mut all, vm.wmi.as_ref().map_or("", |wmi| &wmi.root));
    }
    all
}

fn with_parents(all: &mut BTreeSet<String>, folder: &str) {
    let mut at = folder.trim_end_matches('\\');
    while at.contains('\\') && all.insert(at.to_owned()) {
        at = at.rsplit_once('\\').map_or("", |(parent, _)| parent);
    }
}

/// Is the folder of a path there?
pub(super) fn has_folder(world: &World, path: &str) -> bool {
    let Some((folder, _)) = path.rsplit_once('\\') else { return false };
    let wanted = folder.to_lowercase();
    folders(world).iter().any(|known| known.to_lowercase() == wanted)
}

/// Does a running VM use the file, directly or as a parent?
pub(super) fn in_use(world: &World, path: &str) -> bool {
    let running = world.vms().filter(|vm| vm.power != Power::Off);
    running.flat_map(|vm| &vm.disks).any(|disk| chain(world, &disk.file).iter().any(|file| **file == *path))
}

/// A file and its parents.
fn chain(world: &World, path: &Arc<str>) -> Vec<Arc<str>> {
    let mut all = vec![path.clone()];
    // Bounded: a chain made by hand may be a loop.
    while let Some(parent) = all.last().and_then(|last| world.files.get(last)?.parent.clone()) {
        if all.len() > 64 || all.contains(&parent) {
            break;
        }
        all.push(parent);
    }
    all
}

/// A dynamic disk holds less than it may.
pub(super) fn size_on_disk(file: &DiskFile) -> u64 {
    if file.parent.is_some() { 4 << 20 } else { (file.capacity / 4).max(4 << 20) }
}
