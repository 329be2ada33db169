//! What the teams change in Git.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, RngExt};

use crate::git::{DiskLine, Git, Shape, VmFile};

/// One kind of edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    AddVm,
    RemoveVm,
    RemoveMany,
    RenameVm,
    Size,
    GrowDisk,
    AddDisk,
    DropDisk,
    AddNic,
    DropNic,
    OtherNetwork,
    Power,
    Protection,
    OnRemove,
    Reboot,
    DeleteDisks,
    OtherTier,
    DependsOn,
    TierPrune,
    TierGrace,
    DropTier,
    Break,
    Empty,
    TakeAway,
    Repair,
    BringBack,
}

const EDITS: &[(Edit, u32)] = &[
    (Edit::AddVm, 10),
    (Edit::RemoveVm, 18),
    (Edit::RemoveMany, 2),
    (Edit::RenameVm, 4),
    (Edit::Size, 8),
    (Edit::GrowDisk, 4),
    (Edit::AddDisk, 5),
    (Edit::DropDisk, 5),
    (Edit::AddNic, 3),
    (Edit::DropNic, 2),
    (Edit::OtherNetwork, 3),
    (Edit::Power, 5),
    (Edit::Protection, 3),
    (Edit::OnRemove, 3),
    (Edit::Reboot, 2),
    (Edit::DeleteDisks, 3),
    (Edit::OtherTier, 2),
    (Edit::DependsOn, 2),
    (Edit::TierPrune, 3),
    (Edit::TierGrace, 3),
    (Edit::DropTier, 1),
    (Edit::Break, 2),
    (Edit::Empty, 1),
    (Edit::TakeAway, 1),
    (Edit::Repair, 4),
    (Edit::BringBack, 7),
];

/// An edit at random.
pub fn edit(rng: &mut StdRng) -> Edit {
    EDITS.choose_weighted(rng, |(_, weight)| *weight).expect("there are some").0
}

/// VMs that were taken out, to be brought back, and how many were ever made.
#[derive(Debug, Default)]
pub struct Drawer {
    pub removed: Vec<(String, VmFile)>,
    pub made: u32,
}

/// Makes an edit; what was edited, or `None` when there was nothing to edit.
pub fn make(edit: Edit, git: &mut Git, drawer: &mut Drawer, rng: &mut StdRng) -> Option<String> {
    match edit {
        Edit::AddVm => add_vm(git, drawer, rng),
        Edit::RemoveVm => remove_vm(git, drawer, rng),
        Edit::RemoveMany => {
            let gone: Vec<String> = (0..git.vms.len() / 2).filter_map(|_| remove_vm(git, drawer, rng)).collect();
            (!gone.is_empty()).then(|| gone.join(" "))
        }
        Edit::RenameVm => rename_vm(git, drawer, rng),
        Edit::BringBack => {
            let (key, vm) = drawer.removed.pop()?;
            let known = git.tiers.contains_key(&vm.tier) && !git.vms.contains_key(&key);
            known.then(|| {
                git.vms.insert(key.clone(), VmFile { depends_on: None, renamed_from: None, adopt: None, ..vm });
                key
            })
        }
        Edit::TierPrune | Edit::TierGrace | Edit::DropTier => edit_tier(edit, git, rng),
        Edit::Break => shape(git, Shape::Broken),
        Edit::Empty => shape(git, Shape::Empty),
        Edit::TakeAway => shape(git, Shape::Missing),
        Edit::Repair => shape(git, Shape::Good),
        _ => {
            let fits = |vm: &VmFile| match edit {
                Edit::DropDisk => vm.disks.len() > 1,
                Edit::DropNic => vm.nics.len() > 1,
                _ => true,
            };
            let key = git.vms.iter().filter(|(_, vm)| fits(vm)).map(|(key, _)| key).choose(rng)?.clone();
            edit_vm(edit, git, &key, rng).then_some(key)
        }
    }
}

fn shape(git: &mut Git, shape: Shape) -> Option<String> {
    (git.shape != shape).then(|| {
        git.shape = shape;
        format!("{shape:?}")
    })
}

fn add_vm(git: &mut Git, drawer: &mut Drawer, rng: &mut StdRng) -> Option<String> {
    let tier = git.tiers.keys().choose(rng)?.clone();
    drawer.made += 1;
    let key = format!("sim/vm-{}", drawer.made);
    git.vms.insert(key.clone(), VmFile::new(&tier, drawer.made));
    Some(key)
}

fn remove_vm(git: &mut Git, drawer: &mut Drawer, rng: &mut StdRng) -> Option<String> {
    let key = git.vms.keys().choose(rng)?.clone();
    drawer.removed.push((key.clone(), git.vms[&key].clone()));
    git.remove(&key);
    Some(key)
}

/// With `renamedFrom` or, so that the guard has something to guard, without.
fn rename_vm(git: &mut Git, drawer: &mut Drawer, rng: &mut StdRng) -> Option<String> {
    let old = git.vms.keys().choose(rng)?.clone();
    let mut vm = git.vms[&old].clone();
    git.remove(&old);
    drawer.made += 1;
    let key = format!("sim/named-{}", drawer.made);
    vm.depends_on = None;
    vm.renamed_from = rng.random_bool(0.7).then(|| old.clone());
    git.vms.insert(key.clone(), vm);
    Some(format!("{old} to {key}"))
}

fn edit_tier(edit: Edit, git: &mut Git, rng: &mut StdRng) -> Option<String> {
    let name = git.tiers.keys().choose(rng)?.clone();
    if edit == Edit::DropTier {
        // A source without any manifest is an empty one.
        if git.tiers.len() == 1 {
            return None;
        }
        git.tiers.remove(&name);
        git.vms.retain(|_, vm| vm.tier != name);
        let keys: Vec<String> = git.vms.keys().cloned().collect();
        for vm in git.vms.values_mut() {
            vm.depends_on = vm.depends_on.take().filter(|key| keys.contains(key));
        }
        return Some(name);
    }
    let tier = git.tiers.get_mut(&name)?;
    if edit == Edit::TierPrune {
        tier.prune = ["never", "confirm", "auto", "auto", "auto"].choose(rng)?;
    } else {
        tier.grace_days = *[0, 0, 1, 7].choose(rng)?;
    }
    Some(name)
}

fn edit_vm(edit: Edit, git: &mut Git, key: &str, rng: &mut StdRng) -> bool {
    let tiers: Vec<String> = git.tiers.keys().cloned().collect();
    // Only a key that comes before: no circle of dependencies.
    let earlier = git.vms.range(..key.to_owned()).map(|(key, _)| key.clone()).choose(rng);
    let Some(vm) = git.vms.get_mut(key) else { return false };
    let n = rng.next_u32() % 1_000;
    match edit {
        Edit::Size => {
            vm.cpus = rng.random_range(1..=4);
            vm.memory_gib = rng.random_range(1..=4);
        }
        Edit::GrowDisk => {
            let Some(disk) = vm.disks.iter_mut().choose(rng) else { return false };
            disk.gib += 5;
        }
        Edit::AddDisk if vm.disks.len() < 4 => {
            vm.disks.push(DiskLine { name: format!("data-{n}"), gib: 5, fast: n.is_multiple_of(2) });
        }
        Edit::DropDisk if vm.disks.len() > 1 => drop(vm.disks.pop()),
        Edit::AddNic if vm.nics.len() < 3 => {
            let name = format!("eth{}", vm.nics.len());
            vm.nics.push((name, if n.is_multiple_of(2) { "app" } else { "db" }));
        }
        Edit::DropNic if vm.nics.len() > 1 => drop(vm.nics.pop()),
        Edit::OtherNetwork => {
            let Some(nic) = vm.nics.iter_mut().choose(rng) else { return false };
            nic.1 = if nic.1 == "app" { "db" } else { "app" };
        }
        Edit::Power => vm.power = *[None, Some("running"), Some("stopped")].choose(rng).expect("three"),
        Edit::Protection => vm.prevent_destroy = !vm.prevent_destroy,
        Edit::OnRemove => vm.release = !vm.release,
        Edit::Reboot => vm.reboot = !vm.reboot,
        Edit::DeleteDisks => vm.delete_disks = !vm.delete_disks,
        Edit::OtherTier => {
            vm.tier.clone_from(tiers.choose(rng).expect("it has one"));
            // Its endpoint may be none of the other tier's.
            vm.adopt = None;
        }
        Edit::DependsOn => vm.depends_on = earlier,
        _ => return false,
    }
    true
}
