//! Of the worlds before and after a run.

use std::collections::{BTreeMap, BTreeSet};

use tierwright::lab::world;
use tierwright::mark::{self, Mark};
use tierwright::model::{EndpointName, OwnId};
use tierwright::plan::{Action, Change, DiskAt, Operation};
use uuid::Uuid;

use super::{Holds, Owner, Past, Rule, Truth, own_id, owner};
use crate::marks;
use crate::over_world::slot;
use crate::watched::Sent;

const UNCHANGED: Rule = Rule {
    name: "what_is_not_ours_is_unchanged",
    sentence: "an unmarked VM is unmanaged, counted and listed, never changed; two installations never touch each other's VMs.",
};
const GENERATION: Rule = Rule { name: "a_mark_s_generation_only_grows", sentence: "a generation that only grows." };
const DISKS: Rule = Rule {
    name: "no_disk_is_lost_but_by_its_delete",
    sentence: "Only mapped disks are ever grown, detached or deleted; a disk that left the manifest is detached and kept, and deleted only with deleteDisks.",
};
const TWINS: Rule = Rule { name: "nothing_is_created_twice", sentence: "Nothing is created twice." };

/// To the last property, but for the mark of one that a manifest or a person had us take over.
pub fn what_is_not_ours_is_unchanged(sent: &[Sent], before: &Truth, after: &Truth) -> Holds {
    let taken_over: BTreeSet<&OwnId> = sent
        .iter()
        .filter(|sent| matches!(sent.step.action, Action::Adopt | Action::Update))
        .filter_map(|sent| sent.step.own_id.as_ref())
        .collect();
    for (at, vm) in before.vms.iter().filter(|(_, vm)| owner(vm) == Owner::NotUs) {
        let Some(now) = after.vms.get(at) else {
            return UNCHANGED.broken(format!("{} on {} is gone", vm.name, at.0));
        };
        // `serve` makes the differences of one that it took over go in its next plan, by the mark that it has then.
        let adopted = sent.iter().position(|sent| is_adopt(sent, vm));
        let ours_since = adopted.is_some_and(|at| sent[at..].iter().any(|sent| is_later_change(sent, vm)));
        let same =
            ours_since || now == vm || (taken_over.contains(&own_id(vm)) && without_mark(now) == without_mark(vm));
        if !same {
            return UNCHANGED.broken(format!("{} on {}:\n{vm:?}\nbecame\n{now:?}", vm.name, at.0));
        }
    }
    Ok(())
}

fn is_adopt(sent: &Sent, vm: &world::Vm) -> bool {
    sent.step.action == Action::Adopt && sent.step.own_id.as_ref() == Some(&own_id(vm))
}

fn is_later_change(sent: &Sent, vm: &world::Vm) -> bool {
    sent.step.action != Action::Adopt && sent.step.own_id.as_ref() == Some(&own_id(vm))
}

/// What counts changes counts the mark's too.
fn without_mark(vm: &world::Vm) -> world::Vm {
    let mut vm = vm.clone();
    marks::replace(&mut vm, "");
    (vm.config_change, vm.config_changed_at, vm.touched) = (0, 0, 0);
    vm
}

pub fn a_mark_s_generation_only_grows(before: &Truth, after: &Truth) -> Holds {
    for (at, vm) in &before.vms {
        let (Owner::Us(then), Some(Owner::Us(now))) = (owner(vm), after.vms.get(at).map(owner)) else { continue };
        // What the server chose is filled into a mark of the same generation.
        let changed = then != now;
        let grew = now.generation > then.generation;
        let filled = now.generation == then.generation && then.identity == now.identity;
        if changed && !grew && !filled {
            return GENERATION.broken(format!("{}: {} became {}", vm.name, then.generation, now.generation));
        }
    }
    Ok(())
}

/// Every file that is gone was a mapped disk of a VM that was destroyed, or one that was to
/// be deleted with deleteDisks.
pub fn no_disk_is_lost_but_by_its_delete(sent: &[Sent], before: &Truth, after: &Truth) -> Holds {
    let may_go: BTreeSet<(&EndpointName, Uuid)> = sent
        .iter()
        .filter(|call| call.destroys)
        .flat_map(|call| disks_to_go(call, before).map(|disk| (&call.endpoint, disk)))
        .collect();
    let mut lost = before.files.iter().filter(|(file, _)| !after.files.contains_key(*file));
    match lost.find(|((endpoint, _), id)| !may_go.contains(&(endpoint, **id))) {
        Some(((endpoint, file), _)) => DISKS.broken(format!("{file} on {endpoint} is gone")),
        None => Ok(()),
    }
}

/// Disks that a destroying call may take, by the VM's own mark and the order. As the VM was before the run: where a
/// disk is detached by one call and deleted by the next, it has none any more when that one comes.
fn disks_to_go<'a>(call: &'a Sent, before: &'a Truth) -> impl Iterator<Item = Uuid> + 'a {
    let own = |((endpoint, _), vm): &(&(EndpointName, world::Id), &world::Vm)| {
        *endpoint == call.endpoint && call.step.own_id.as_ref() == Some(&own_id(vm))
    };
    let vm = before.vms.iter().find(own).map(|(_, vm)| vm).or(call.vm.as_ref());
    let mark = vm.and_then(|vm| mark::parse(marks::text(vm)?).ok());
    let unfinished = vm.is_some_and(|vm| matches!(owner(vm), Owner::Unfinished(_)));
    let ordered: Vec<&DiskAt> = call
        .step
        .operations
        .iter()
        .flat_map(|operation| match operation {
            Operation::Destroy { disks } => disks.iter().collect(),
            Operation::Reconfigure { changes, mark } if mark.protection.delete_disks => {
                changes.iter().filter_map(deleted).collect()
            }
            _ => Vec::new(),
        })
        .collect();
    let disks = vm.into_iter().flat_map(|vm| vm.disks.iter().map(move |disk| (slot(vm, disk), disk)));
    disks.filter_map(move |(slot, disk)| {
        let id = *before.files.get(&(call.endpoint.clone(), disk.file.clone()))?;
        // By its id, or by where it is plugged in: each protocol writes one of the two as the world does.
        let is = |known: Option<&String>, at: Option<&String>| known == Some(&id.to_string()) || at == Some(&slot);
        let mapped = |mark: &Mark| mark.disks.values().any(|disk| is(disk.id.as_ref(), disk.slot.as_ref()));
        let goes = ordered.iter().any(|at| is(at.id.as_ref(), Some(&at.slot)));
        (goes && (unfinished || mark.as_ref().is_some_and(mapped))).then_some(id)
    })
}

fn deleted(change: &Change) -> Option<&DiskAt> {
    match change {
        Change::DeleteDisk(at) => Some(at),
        _ => None,
    }
}

/// Of the VMs that we made, no two bear one identity.
pub fn nothing_is_created_twice(before: &Truth, after: &Truth, past: &mut Past) -> Holds {
    past.made.extend(after.vms.keys().filter(|at| !before.vms.contains_key(*at)).cloned());
    let mut alive: BTreeMap<Uuid, String> = BTreeMap::new();
    for (at, vm) in after.vms.iter().filter(|(at, _)| past.made.contains(*at)) {
        let identity = match owner(vm) {
            Owner::Us(mark) => mark.identity,
            Owner::Unfinished(identity) => identity,
            Owner::NotUs => continue,
        };
        if past.unknowable.contains(&identity) {
            continue;
        }
        let here = format!("{} on {}", vm.name, at.0);
        if let Some(other) = alive.insert(identity, here.clone()) {
            return TWINS.broken(format!("{here} and {other} are both {identity}"));
        }
    }
    Ok(())
}
