//! The world at the end against what Git says: twins, losses, and anything else that is not as it should be.
//!
//! Sizes, power and names are compared with the wish itself; everything else about the VM and its mark with what a run
//! that nobody disturbed made of the same wish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tierwright::lab::world::{Id, Power, Vm, World};
use tierwright::mark::{self, Mark};
use tierwright::model::ObservedVm;

use crate::scenarios::{Left, Scenario, Wish};

/// What is none of the scenario's business and must be there at the end as it was.
#[derive(Default)]
pub struct Bystanders {
    vms: BTreeMap<Id, Vm>,
    /// Disk files that no VM had when the lab was new: images.
    files: BTreeSet<Arc<str>>,
}

impl Bystanders {
    /// All VMs but the subject.
    pub fn of(world: &World, subject: Option<Id>, files: BTreeSet<Arc<str>>) -> Self {
        let others = world.vms().filter(|vm| Some(vm.id) != subject);
        Self { vms: others.map(|vm| (vm.id, vm.clone())).collect(), files }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Something is there twice.
    Twin(String),
    /// Something is gone.
    Loss(String),
    /// It is not as it should be.
    Differs(String),
}

/// What stands at the end, without what may differ from run to run: ids, generated addresses, generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    subjects: Vec<Shape>,
    marks: Vec<Mark>,
    /// Disk files that no VM has.
    unheld: usize,
}

/// One VM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    name: String,
    power: Power,
    template: bool,
    cpus: u32,
    memory_mib: u64,
    annotation: String,
    folder: Id,
    /// Unit, bytes, place of the file, if it is there.
    disks: Vec<(i32, u64, Option<Id>)>,
    /// Network, connected now, connected at start.
    nics: Vec<(Option<Id>, bool, bool)>,
}

impl Shape {
    fn of(vm: &Vm, world: &World) -> Self {
        let disk = |disk: &tierwright::lab::world::Disk| {
            (disk.unit, disk.capacity, world.files.get(&disk.file).map(|file| file.datastore))
        };
        Self {
            name: vm.name.to_string(),
            power: vm.power,
            template: vm.template,
            cpus: vm.cpus,
            memory_mib: vm.memory_mib,
            annotation: without_mark(&vm.annotation),
            folder: vm.folder,
            disks: vm.disks.iter().map(disk).collect(),
            nics: vm.nics.iter().map(|nic| (nic.network, nic.connected, nic.start_connected)).collect(),
        }
    }

    /// Is it this VM, hardware and name?
    fn is(&self, wish: &Wish) -> bool {
        let sizes: Vec<u64> = self.disks.iter().map(|(_, size, _)| size >> 30).collect();
        let wished: Vec<u64> = wish.disks.iter().map(|(_, size, _)| *size).collect();
        self.name.starts_with(wish.name)
            && !self.template
            && (self.cpus, self.memory_mib) == (2, wish.memory_gib * 1024)
            && sizes == wished
            && self.disks.iter().all(|(.., file)| file.is_some())
            && self.nics.len() == wish.nics.len()
    }

    /// On or off, and its NICs with it.
    fn runs(&self, wish: &Wish) -> bool {
        let power = if wish.runs { Power::On } else { Power::Off };
        self.power == power && self.nics.iter().all(|(_, now, at_start)| *now == wish.runs && *at_start)
    }

    fn rests(&self) -> bool {
        self.power == Power::Off && self.nics.iter().all(|(_, now, at_start)| !now && !at_start)
    }
}

/// Notes without the block that holds the mark where a hypervisor has no better place: the mark is compared by itself.
fn without_mark(notes: &str) -> String {
    match (notes.find("[tierwright"), notes.find("[end of tierwright]")) {
        (Some(from), Some(to)) => notes[..from].to_owned() + &notes[to..],
        _ => notes.to_owned(),
    }
}

/// Disk files that no VM and no snapshot of one has, and that are no parents of such.
pub fn unheld_files(world: &World) -> BTreeSet<Arc<str>> {
    let mut held: BTreeSet<Arc<str>> = BTreeSet::new();
    let states = world.vms().flat_map(|vm| std::iter::once(vm).chain(vm.snapshots.iter().map(|at| &*at.state)));
    for disk in states.flat_map(|vm| &vm.disks) {
        let mut next = Some(disk.file.clone());
        while let Some(file) = next {
            next = world.files.get(&file).and_then(|found| found.parent.clone());
            held.insert(file);
        }
    }
    world.files.keys().filter(|file| !held.contains(*file)).cloned().collect()
}

/// The scene as it stands; `listed` is what the program sees there.
pub fn scene(world: &World, bystanders: &Bystanders, listed: &[ObservedVm]) -> Scene {
    let subjects: Vec<&Vm> = world.vms().filter(|vm| !bystanders.vms.contains_key(&vm.id)).collect();
    let ids: BTreeSet<String> = subjects.iter().map(|vm| vm.instance_uuid.to_string()).collect();
    let marks = listed
        .iter()
        .filter(|vm| ids.contains(&vm.id.as_str().to_lowercase()))
        .filter_map(|vm| mark::parse(vm.readable()?.mark.as_deref()?).ok());
    Scene {
        subjects: subjects.iter().map(|vm| Shape::of(vm, world)).collect(),
        marks: marks.map(comparable).collect(),
        unheld: unheld_files(world).difference(&bystanders.files).count(),
    }
}

/// Without what may differ from run to run. That an id or an address is known stays.
fn comparable(mut mark: Mark) -> Mark {
    mark.generation = 0;
    mark.own_id = None;
    for disk in mark.disks.values_mut() {
        disk.id = disk.id.take().map(|_| "known".to_owned());
        disk.file = disk.file.take().map(|_| "known".to_owned());
    }
    for nic in mark.nics.values_mut() {
        nic.mac = nic.mac.take().map(|_| "known".to_owned());
        nic.slot = nic.slot.take().map(|_| "known".to_owned());
    }
    if let Some(retired) = &mut mark.retired {
        retired.connected.iter_mut().for_each(|mac| "known".clone_into(mac));
    }
    mark
}

/// Everything that is wrong with a scene, bystanders included; `undisturbed` is what a run in peace made.
pub fn judge(
    world: &World,
    bystanders: &Bystanders,
    (scenario, kept_files): (&Scenario, usize),
    (scene, undisturbed): (&Scene, Option<&Scene>),
) -> Vec<Finding> {
    let mut findings = counted(scene, (scenario, kept_files));
    findings.extend(untouched(world, bystanders));
    findings.extend(same_ids(world));
    if findings.is_empty() {
        findings.extend(as_git_says(scene, &scenario.left));
    }
    if let Some(peace) = undisturbed.filter(|peace| *peace != scene && findings.is_empty()) {
        findings.push(Finding::Differs(format!("not what a run in peace made:\n{scene:#?}\nin peace:\n{peace:#?}")));
    }
    findings
}

/// More than there should be is a twin, fewer a loss.
fn counted(scene: &Scene, (scenario, kept_files): (&Scenario, usize)) -> Vec<Finding> {
    let vms = usize::from(!matches!(scenario.left, Left::Nothing));
    let marks = usize::from(matches!(scenario.left, Left::AsWished(_) | Left::Retired(_)));
    let counts = [
        ("VMs", scene.subjects.len(), vms),
        ("marks", scene.marks.len(), marks),
        ("disk files without a VM", scene.unheld, kept_files),
    ];
    let wrong = |(what, is, should): (&str, usize, usize)| {
        let text = format!("{is} {what} instead of {should}: {scene:#?}");
        match is.cmp(&should) {
            std::cmp::Ordering::Greater => Some(Finding::Twin(text)),
            std::cmp::Ordering::Less => Some(Finding::Loss(text)),
            std::cmp::Ordering::Equal => None,
        }
    };
    counts.into_iter().filter_map(wrong).collect()
}

/// Bystanders are as they were, to the last property.
fn untouched(world: &World, bystanders: &Bystanders) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, before) in &bystanders.vms {
        match world.vm(*id) {
            None => findings.push(Finding::Loss(format!("the bystander {} is gone", before.name))),
            Some(now) if now != before => {
                findings.push(Finding::Differs(format!("a bystander changed: {before:#?}\nnow: {now:#?}")));
            }
            Some(now) if now.disks.iter().any(|disk| !world.files.contains_key(&disk.file)) => {
                findings.push(Finding::Loss(format!("a disk of the bystander {} is gone", before.name)));
            }
            Some(_) => {}
        }
    }
    for file in bystanders.files.iter().filter(|file| !world.files.contains_key(*file)) {
        findings.push(Finding::Loss(format!("the file {file} is gone")));
    }
    findings
}

/// No lasting id twice.
fn same_ids(world: &World) -> Option<Finding> {
    let mut ids = BTreeSet::new();
    let twin = world.vms().find(|vm| !ids.insert(vm.instance_uuid))?;
    Some(Finding::Twin(format!("two VMs have the id {}", twin.instance_uuid)))
}

fn as_git_says(scene: &Scene, left: &Left) -> Option<Finding> {
    let (subject, mark) = (scene.subjects.first(), scene.marks.first());
    let key = |name: &str| mark.is_some_and(|mark| mark.key.to_string() == format!("shop/{name}"));
    let whole = mark.is_none_or(|mark| mark.pending.is_none());
    let good = match (left, subject) {
        (Left::AsWished(wish), Some(vm)) => vm.is(wish) && vm.name == wish.name && vm.runs(wish) && key(wish.name),
        (Left::Retired(wish), Some(vm)) => vm.is(wish) && vm.name.contains(".retired-") && vm.rests() && key(wish.name),
        (Left::Unmarked(wish), Some(vm)) => vm.is(wish) && vm.name == wish.name && vm.runs(wish),
        (Left::Nothing, vm) => vm.is_none(),
        (_, None) => false,
    };
    (!good || !whole).then(|| Finding::Differs(format!("not what Git says: {left:?}\nbut {scene:#?}")))
}
