//! Disks, by name: which observed disk a name stands for, and what the manifest wants of it.
//!
//! Only mapped disks are ever changed. A name that cannot be resolved stands in the way of every disk change of its VM,
//! since the others may be mapped as wrongly.

use super::sizes::told;
use super::{Difference, Differences, Effect, Pair, because};
use crate::mark::MarkedDisk;
use crate::model::{DiskSpec, ObservedDisk};
use crate::plan::{Because, BlockCode, Change, DiskAt, DiskOrder, Reason};

/// Where the disk of a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At<'a> {
    /// Attached; this one.
    Attached(&'a ObservedDisk),
    /// Detached and kept.
    Detached,
    /// The mark was written before the hypervisor had given it a slot.
    Incomplete,
    /// Not where the mark says.
    Lost {
        /// Why.
        why: String,
        /// True when every attached disk has another id: it is certainly not attached.
        certain: bool,
    },
}

/// Which observed disk a marked one is. By its stable id where both sides have one, else by slot.
pub fn resolve<'a>(marked: &MarkedDisk, disks: &'a [ObservedDisk]) -> At<'a> {
    let MarkedDisk { slot, id, file, deleting: _ } = marked;
    if let Some(id) = id {
        let mut same = disks.iter().filter(|disk| disk.id.as_deref() == Some(id));
        match (same.next(), same.next()) {
            (Some(disk), None) => return At::Attached(disk),
            (Some(_), Some(_)) => return At::Lost { why: format!("two disks have its id {id}"), certain: false },
            (None, _) => {}
        }
    }
    let Some(slot) = slot else {
        return if file.is_some() { At::Detached } else { At::Incomplete };
    };
    match (disks.iter().find(|disk| &*disk.slot == slot.as_str()), id) {
        (Some(disk), Some(id)) if disk.id.is_some() => {
            let certain = disks.iter().all(|disk| disk.id.is_some());
            At::Lost { why: format!("another disk is at {slot}, and none has its id {id}"), certain }
        }
        (Some(disk), _) => At::Attached(disk),
        (None, id) => {
            let certain = id.is_some() && disks.iter().all(|disk| disk.id.is_some());
            At::Lost { why: format!("no disk is at {slot}"), certain }
        }
    }
}

/// The disk of each marked name, with incomplete ones matched where there is only one way to do so.
pub fn resolve_all(pair: Pair<'_>) -> Vec<(&str, At<'_>)> {
    let disks = &pair.config.disks;
    let mut all: Vec<(&str, At<'_>)> =
        pair.mark.disks.iter().map(|(name, marked)| (name.as_str(), resolve(marked, disks))).collect();
    if all.iter().any(|(_, at)| *at == At::Incomplete) {
        complete(pair, &mut all);
    }
    all
}

/// Names without a slot were made in the manifest's order; the disks that nobody else claims, in slot order, are theirs
/// if number and sizes agree.
fn complete<'a>(pair: Pair<'a>, all: &mut [(&'a str, At<'a>)]) {
    let claimed: Vec<&str> = all
        .iter()
        .filter_map(|(_, at)| match at {
            At::Attached(disk) => Some(&*disk.slot),
            At::Detached | At::Incomplete | At::Lost { .. } => None,
        })
        .collect();
    let free: Vec<&ObservedDisk> = pair.config.disks.iter().filter(|disk| !claimed.contains(&&*disk.slot)).collect();
    let names: Vec<&DiskSpec> = (pair.spec.disks.iter())
        .filter(|spec| all.iter().any(|(name, at)| **name == *spec.name && *at == At::Incomplete))
        .collect();
    let incomplete = all.iter().filter(|(_, at)| *at == At::Incomplete).count();
    let applied = |name: &str| pair.mark.applied.as_ref().and_then(|applied| applied.disks.get(name)).copied();
    let agree = names.len() == incomplete
        && free.len() == names.len()
        && names.iter().zip(&free).all(|(spec, disk)| disk.size == applied(&spec.name).unwrap_or(spec.size));
    if !agree {
        return;
    }
    for (spec, disk) in names.into_iter().zip(free) {
        for (_, at) in all.iter_mut().filter(|(name, _)| **name == *spec.name) {
            *at = At::Attached(disk);
        }
    }
}

pub(super) fn compare(pair: Pair<'_>, differences: &mut Differences) {
    // The usual case costs nothing: every name resolves in place and has its size.
    if pair.spec.disks.len() == pair.mark.disks.len() && pair.spec.disks.iter().all(|spec| is_as_wanted(pair, spec)) {
        return;
    }
    let resolved = resolve_all(pair);
    let at = |name: &str| resolved.iter().find(|(marked, _)| *marked == name).map(|(_, at)| at);
    for spec in &pair.spec.disks {
        match at(&spec.name) {
            None => add(pair, spec, differences),
            Some(At::Attached(disk)) => attached(pair, spec, disk, differences),
            Some(At::Detached) => attach(pair, spec, differences),
            Some(At::Incomplete) => unresolved(&spec.name, "its slot was never recorded", differences),
            Some(At::Lost { certain: true, why }) => lost(&spec.name, why, differences),
            Some(At::Lost { certain: false, why }) => unresolved(&spec.name, why, differences),
        }
    }
    for (name, at) in &resolved {
        if pair.spec.disk(name).is_none() {
            left(pair, name, at, differences);
        }
    }
}

fn is_as_wanted(pair: Pair<'_>, spec: &DiskSpec) -> bool {
    pair.mark.disks.get(&*spec.name).is_some_and(|marked| match resolve(marked, &pair.config.disks) {
        At::Attached(disk) => disk.size == spec.size && is_recorded(marked, disk),
        At::Detached | At::Incomplete | At::Lost { .. } => false,
    })
}

/// Does the mark say all that is known of an attached disk?
fn is_recorded(marked: &MarkedDisk, disk: &ObservedDisk) -> bool {
    marked.slot.as_deref() == Some(&*disk.slot) && (disk.id.is_none() || marked.id.is_some())
}

fn unresolved(name: &str, why: &str, differences: &mut Differences) {
    differences.obstacle(BlockCode::DiskUnsafe, format!("disk {name} cannot be told from the others: {why}"));
}

/// A wanted disk that is certainly not attached: nobody but a person knows whether there is anything to attach.
fn lost(name: &str, why: &str, differences: &mut Differences) {
    let why = format!(
        "disk {name} is not attached any more: {why}. Attach it by hand if it is there still; if it is lost, take {name} out of \
         the manifest for one apply, which makes the mark forget it, and put it back to have a new, empty one"
    );
    differences.obstacle(BlockCode::DiskUnsafe, why);
}

/// Wanted disks that a delete, cut short, took off the VM or made away with, each with what is known of it. A disk that
/// was detached to be kept is none of them.
pub fn taken_by_a_delete(pair: Pair<'_>) -> Vec<String> {
    let resolved = resolve_all(pair).into_iter().filter(|(name, _)| pair.spec.disk(name).is_some());
    let taken = resolved.filter_map(|(name, at)| match (at, pair.mark.disks.get(name)?) {
        (At::Detached, MarkedDisk { deleting: true, file, .. }) => {
            let file = file.as_deref().unwrap_or_default();
            Some(format!("disk {name} was taken off to be deleted (its file was {file})"))
        }
        (At::Lost { certain: true, why }, _) => Some(format!("disk {name} is gone or detached ({why})")),
        (At::Attached(_) | At::Detached | At::Incomplete | At::Lost { .. }, _) => None,
    });
    taken.collect()
}

fn add(pair: Pair<'_>, spec: &DiskSpec, differences: &mut Differences) {
    let hot = pair.config.hot.disks;
    let reason = Reason {
        field: format!("disks/{}", spec.name),
        from: None,
        to: Some(spec.size.to_string()),
        because: Because::ManifestChanged,
        lands: pair.landing(hot),
        detail: told(pair, (!hot).then_some("disks cannot be added to this VM while it runs")),
    };
    let change = Change::AddDisk(order(pair, spec));
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
}

/// A disk as the hypervisor is asked for it.
fn order(pair: Pair<'_>, spec: &DiskSpec) -> DiskOrder {
    let DiskSpec { name, size, storage } = spec;
    let storage = storage.as_ref().and_then(|name| pair.tier.storage.get(&**name)).cloned();
    DiskOrder { name: name.to_string(), size: *size, storage }
}

fn attach(pair: Pair<'_>, spec: &DiskSpec, differences: &mut Differences) {
    let Some(MarkedDisk { file: Some(file), id, .. }) = pair.mark.disks.get(&*spec.name) else { return };
    let hot = pair.config.hot.disks;
    let reason = Reason {
        field: format!("disks/{}", spec.name),
        from: None,
        to: Some(spec.size.to_string()),
        because: Because::Returned,
        lands: pair.landing(hot),
        detail: Some(format!("the kept disk {file} is attached again")),
    };
    let change = Change::AttachDisk { name: spec.name.to_string(), file: file.clone(), id: id.clone() };
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
}

fn attached(pair: Pair<'_>, spec: &DiskSpec, disk: &ObservedDisk, differences: &mut Differences) {
    let field = format!("disks/{}/size", spec.name);
    if disk.size != spec.size && !pair.ignores(&field) {
        if disk.size > spec.size {
            let (name, is, wanted) = (&spec.name, disk.size, spec.size);
            let why = format!("disk {name} is {is} and cannot shrink to {wanted}; disks only grow");
            differences.obstacle(BlockCode::DiskUnsafe, why);
        }
        refuse_unsafe(pair, &spec.name, disk, "grown", differences);
        let hot = pair.config.hot.grow_disk;
        let applied = pair.mark.applied.as_ref().and_then(|applied| applied.disks.get(&*spec.name));
        let reason = Reason {
            field,
            from: Some(disk.size.to_string()),
            to: Some(spec.size.to_string()),
            because: because(applied, &spec.size),
            lands: pair.landing(hot),
            detail: told(pair, (!hot).then_some("this disk cannot grow while the VM runs")),
        };
        let change = Change::GrowDisk { disk: disk_at(&spec.name, disk), size: spec.size };
        differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
    } else if pair.mark.disks.get(&*spec.name).is_some_and(|marked| !is_recorded(marked, disk)) {
        let reason = Reason {
            field: format!("disks/{}", spec.name),
            from: None,
            to: Some(disk.slot.to_string()),
            because: Because::Mark,
            lands: crate::plan::Landing::Hot,
            detail: Some("its place is recorded in the mark".to_owned()),
        };
        differences.found.push(Difference { reason, effect: Effect::Mark });
    }
}

/// A disk that left the manifest: detached and kept, or deleted where mark and manifest both say so (the mark alone
/// knows what was agreed before this revision).
fn left(pair: Pair<'_>, name: &str, at: &At<'_>, differences: &mut Differences) {
    let field = format!("disks/{name}");
    if pair.ignores(&field) {
        return;
    }
    let disk = match at {
        // A kept disk that somebody attached by hand is not ours to take off again. One that still counts as applied
        // is: the mark says "kept" before the disk is taken off, and the run that wrote it came no further.
        At::Attached(_) if is_kept(pair, name) => return,
        At::Attached(disk) => *disk,
        At::Detached => return finish_deletion(pair, name, differences),
        At::Incomplete => return unresolved(name, "its slot was never recorded", differences),
        At::Lost { certain: true, why } => {
            let reason = Reason {
                field,
                from: None,
                to: None,
                because: Because::Mark,
                lands: crate::plan::Landing::Hot,
                detail: Some(format!("it is neither in the manifest nor attached ({why}): the mark forgets it")),
            };
            return differences.found.push(Difference { reason, effect: Effect::Mark });
        }
        At::Lost { certain: false, why } => return unresolved(name, why, differences),
    };
    let delete = is_deleted(pair);
    refuse_unsafe(pair, name, disk, if delete { "deleted" } else { "detached" }, differences);
    let hot = pair.config.hot.disks;
    let kept = match (delete, pair.spec.delete_disks) {
        (true, _) => "its file is deleted (deleteDisks)",
        (false, true) => "its file is kept: deleteDisks came with this very change",
        (false, false) => "its file is kept",
    };
    let detail = match told(pair, (!hot).then_some("disks cannot be taken off this VM while it runs")) {
        Some(cannot) => format!("{kept}; {cannot}"),
        None => kept.to_owned(),
    };
    let reason = Reason {
        field,
        from: Some(disk.size.to_string()),
        to: None,
        because: Because::ManifestChanged,
        lands: pair.landing(hot),
        detail: Some(detail),
    };
    let at = disk_at(name, disk);
    let change = if delete { Change::DeleteDisk(at) } else { Change::DetachDisk(at) };
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
}

/// Are disks that leave the manifest deleted, and was that agreed before this revision?
const fn is_deleted(pair: Pair<'_>) -> bool {
    pair.spec.delete_disks && pair.mark.protection.delete_disks
}

/// A disk that was taken off to be deleted, and the run that did so came no further: its file still may be there.
fn finish_deletion(pair: Pair<'_>, name: &str, differences: &mut Differences) {
    let Some(marked) = pair.mark.disks.get(name).filter(|marked| marked.deleting && is_deleted(pair)) else { return };
    if pair.config.snapshots {
        differences.obstacle(BlockCode::Snapshot, has_snapshot(name, "deleted"));
    }
    let file = marked.file.as_deref().unwrap_or_default();
    let reason = Reason {
        field: format!("disks/{name}"),
        from: None,
        to: None,
        because: Because::Unfinished,
        lands: crate::plan::Landing::Hot,
        detail: Some(format!("it was taken off to be deleted; its file {file} is deleted (deleteDisks)")),
    };
    let change = Change::DeleteDisk(DiskAt::taken_off(name, marked));
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
}

/// Was it taken off for good, by an update that came to its end?
fn is_kept(pair: Pair<'_>, name: &str) -> bool {
    let applied = pair.mark.applied.as_ref().is_some_and(|applied| applied.disks.contains_key(name));
    !applied && pair.mark.disks.get(name).is_some_and(|marked| marked.slot.is_none())
}

/// Snapshots and sharing forbid every change of an existing disk.
fn refuse_unsafe(pair: Pair<'_>, name: &str, disk: &ObservedDisk, verb: &str, differences: &mut Differences) {
    if pair.config.snapshots {
        differences.obstacle(BlockCode::Snapshot, has_snapshot(name, verb));
    }
    if disk.shared {
        let why = format!("disk {name} ({}) is shared with another VM and is never {verb}", disk.slot);
        differences.obstacle(BlockCode::DiskUnsafe, why);
    }
}

fn has_snapshot(name: &str, verb: &str) -> String {
    format!("disk {name} cannot be {verb} while a snapshot exists; remove the snapshot first")
}

/// How the hypervisor is told which disk is meant.
pub fn disk_at(name: &str, disk: &ObservedDisk) -> DiskAt {
    DiskAt { name: name.to_owned(), slot: disk.slot.to_string(), id: disk.id.as_deref().map(str::to_owned) }
}
