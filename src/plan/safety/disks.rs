//! Which disks may go with a VM that is deleted: those of its mark, and nothing else may be attached.

use super::No;
use crate::diff::{self, At, Pair, disk_at, resolve_disk};
use crate::inventory::Observed;
use crate::mark::Mark;
use crate::model::{DiskSpec, ObservedDisk, OwnId, VmConfig};
use crate::plan::{BlockCode, DiskAt};

/// The disks that go with a VM, or why it may not be deleted.
pub fn that_go(mark: &Mark, own_id: &OwnId, config: &VmConfig, observed: Option<&Observed>) -> Result<Vec<DiskAt>, No> {
    if config.snapshots {
        return Err(No::flat(BlockCode::Snapshot, "a snapshot exists; remove it first"));
    }
    let own = || mark.disks.iter().map(|(name, marked)| (name, marked, resolve_disk(marked, &config.disks)));
    let mapped: Vec<(&str, &ObservedDisk)> = own()
        .filter_map(|(name, _, at)| match at {
            At::Attached(disk) => Some((name.as_str(), disk)),
            At::Detached | At::Incomplete | At::Lost { .. } => None,
        })
        .collect();
    // Taken off by a run that was about to delete it; a disk that was detached to be kept stays.
    let begun = own().filter(|(_, marked, at)| marked.deleting && *at == At::Detached);
    let begun = begun.map(|(name, marked, _)| DiskAt::taken_off(name, marked));
    for disk in &config.disks {
        if disk.shared {
            return Err(unsafe_disk(format!("its disk at {} is shared with another VM", disk.slot)));
        }
        if !mapped.iter().any(|(_, own)| own.slot == disk.slot) {
            let why =
                format!("the disk at {} is not one of its own (its mark does not name it); detach it first", disk.slot);
            return Err(unsafe_disk(why));
        }
        if let Some(no) = disk.file.as_deref().and_then(|file| has_child(file, own_id, observed)) {
            return Err(no);
        }
    }
    Ok(mapped.into_iter().map(|(name, disk)| disk_at(name, disk)).chain(begun).collect())
}

/// All attached disks of a create that was never finished: it was ours from its first moment. And those that its
/// removal, cut short, took off already.
pub fn of_unfinished(mark: Option<&Mark>, config: &VmConfig) -> Result<Vec<DiskAt>, No> {
    if config.snapshots {
        return Err(No::flat(BlockCode::Snapshot, "a snapshot exists; remove it first"));
    }
    if let Some(disk) = config.disks.iter().find(|disk| disk.shared) {
        return Err(unsafe_disk(format!("its disk at {} is shared with another VM", disk.slot)));
    }
    let name = |disk: &ObservedDisk| {
        let own = mark.iter().flat_map(|mark| &mark.disks);
        own.filter(|(_, marked)| marked.slot.as_deref() == Some(&*disk.slot)).map(|(name, _)| name.clone()).next()
    };
    let at = |disk: &ObservedDisk| disk_at(&name(disk).unwrap_or_else(|| disk.slot.to_string()), disk);
    let own = mark.iter().flat_map(|mark| &mark.disks);
    let begun = own.filter(|(_, marked)| marked.deleting && resolve_disk(marked, &config.disks) == At::Detached);
    let begun = begun.map(|(name, marked)| DiskAt::taken_off(name, marked));
    Ok(config.disks.iter().map(at).chain(begun).collect())
}

/// What forbids that a VM which is back in Git is restored: a delete that was cut short has begun to take its disks,
/// and a VM must not be started without them.
pub fn may_come_back(pair: Pair<'_>) -> Option<No> {
    let taken = diff::taken_by_a_delete(pair);
    (!taken.is_empty()).then(|| {
        let why = format!(
            "its delete had begun before it came back: {}. To have it made anew, take it out of Git until its delete is done, \
             then put it back. To keep what is left of it, attach its disks by hand and take those that are lost out of the \
             manifest",
            taken.join("; ")
        );
        unsafe_disk(why)
    })
}

/// What forbids that a create which was cut short goes on with its disks: no hypervisor is asked to grow one under a
/// snapshot, which somebody made meanwhile.
pub fn may_finish(wanted: &[DiskSpec], config: &VmConfig) -> Option<No> {
    let grows = wanted.iter().zip(&config.disks).find(|(wanted, there)| there.size < wanted.size);
    grows.filter(|_| config.snapshots).map(|(wanted, there)| {
        let why = format!(
            "a snapshot exists of what its create has made so far, and its disk {} must still grow from {} to {}; remove \
             the snapshot",
            wanted.name, there.size, wanted.size
        );
        No::flat(BlockCode::Snapshot, why)
    })
}

/// A file that another disk has as parent is never deleted.
pub fn has_child(file: &str, own_id: &OwnId, observed: Option<&Observed>) -> Option<No> {
    let vms = observed.iter().flat_map(|observed| &observed.vms).filter(|vm| vm.id != *own_id);
    let child = vms.filter_map(|vm| Some((vm, vm.readable()?))).find(|(_, config)| {
        config.disks.iter().any(|other| other.parent.as_deref() == Some(file) || other.file.as_deref() == Some(file))
    });
    child.map(|(vm, _)| unsafe_disk(format!("its disk {file} is also used by {}, as parent or as it is", vm.name)))
}

fn unsafe_disk(why: String) -> No {
    No::flat(BlockCode::DiskUnsafe, why)
}
