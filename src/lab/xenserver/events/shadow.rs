//! Which objects there are, when each came, when it last changed, and which are gone.
//!
//! Changes are numbered by the world's own count. The shadow is brought up to date before each answer: VMs the
//! world has touched since are looked at again, and everything that belongs to one counts as changed with it
//! (real servers tell of more than was changed, too); storage is compared where a file was made, grown or
//! removed; the few places always.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};

use uuid::Uuid;

use crate::lab::world::{Id, Power, Vm, World};
use crate::lab::xenserver::records::View;
use crate::lab::xenserver::refs::{Class, Obj};

/// How many objects that went are remembered; who comes later than that sees it by the counts.
const GONE: usize = 50_000;

/// When an object came and last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lab::xenserver) struct Stamp {
    pub created: u64,
    pub touched: u64,
}

/// An object that is gone.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab::xenserver) struct Departure {
    pub obj: Obj,
    pub created: u64,
    pub at: u64,
}

/// What was known of a VM.
#[derive(Debug, Default)]
struct Known {
    belongings: Vec<Obj>,
    networks: Vec<Id>,
    files: Vec<Uuid>,
    /// The host it runs on.
    host: Option<Id>,
}

/// The shadow of a pool's objects.
#[derive(Debug, Default)]
pub(in crate::lab::xenserver) struct Shadow {
    stamps: BTreeMap<Obj, Stamp>,
    by_change: BTreeSet<(u64, Obj)>,
    pub gone: VecDeque<Departure>,
    pub counts: HashMap<Class, usize>,
    vms: HashMap<Id, Known>,
    files: HashMap<Uuid, (Id, u64)>,
    places: BTreeMap<Obj, u64>,
    seen: u64,
    seen_files: u64,
    seen_gone: usize,
}

impl Shadow {
    /// All objects, in order.
    pub fn all(&self) -> impl Iterator<Item = (&Obj, &Stamp)> {
        self.stamps.iter()
    }

    /// Objects that changed after a number, oldest change first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (&Obj, &Stamp)> {
        let from = (number.saturating_add(1), Obj::Pool);
        self.by_change.range(from..).filter_map(|(_, obj)| self.stamps.get_key_value(obj))
    }

    /// An object came. One that nobody may see has no stamp.
    pub fn added(&mut self, obj: Obj, number: u64, listed: bool) {
        if listed {
            self.touch(obj, number);
        }
    }

    /// An object changed.
    pub fn touched(&mut self, obj: Obj, number: u64) {
        if self.stamps.contains_key(&obj) {
            self.touch(obj, number);
        }
    }

    pub fn removed(&mut self, obj: Obj, number: u64, listed: bool) {
        if listed {
            self.depart(obj, number);
        }
    }

    fn touch(&mut self, obj: Obj, number: u64) {
        if let Some(stamp) = self.stamps.get_mut(&obj) {
            self.by_change.remove(&(stamp.touched, obj));
            stamp.touched = number;
        } else {
            self.stamps.insert(obj, Stamp { created: number, touched: number });
            *self.counts.entry(obj.class()).or_default() += 1;
        }
        self.by_change.insert((number, obj));
    }

    fn depart(&mut self, obj: Obj, number: u64) {
        let Some(stamp) = self.stamps.remove(&obj) else { return };
        self.by_change.remove(&(stamp.touched, obj));
        if let Some(count) = self.counts.get_mut(&obj.class()) {
            *count -= 1;
        }
        if self.gone.len() == GONE {
            self.gone.pop_front();
        }
        self.gone.push_back(Departure { obj, created: stamp.created, at: number });
    }

    /// The places whose looks changed by hand; they take a new number.
    pub fn moved_places(&self, view: &View<'_>) -> Vec<(Obj, u64)> {
        let world = view.world;
        let mut now: Vec<(Obj, u64)> = vec![(Obj::Pool, digest(&view.standing.master()))];
        for host in world.hosts.values() {
            let look = (&host.name, host.memory_mib, host.link == crate::lab::world::Link::Connected, host.maintenance);
            now.push((Obj::Host(host.id), digest(&look)));
            now.push((Obj::HostMetrics(host.id), digest(&look)));
            now.push((Obj::Vm(host.id), digest(&host.name)));
            now.push((Obj::VmMetrics(host.id), digest(&host.name)));
            for sr in world.datastores.values() {
                now.push((Obj::Pbd(host.id, sr.id), digest(&(look.2, sr.accessible, &sr.hosts))));
            }
            for network in world.networks.keys().filter(|network| view.exists(&Obj::Pif(host.id, **network))) {
                now.push((Obj::Pif(host.id, *network), digest(&look.2)));
            }
        }
        for sr in world.datastores.values() {
            now.push((Obj::Sr(sr.id), digest(&(&sr.name, sr.capacity, sr.used))));
        }
        now.extend(world.networks.values().map(|network| (Obj::Network(network.id), digest(&network.name))));
        now.retain(|(obj, look)| self.places.get(obj) != Some(look));
        now
    }

    /// Notes the places as they now are.
    pub fn note_places(&mut self, moved: Vec<(Obj, u64)>, number: u64) {
        for (obj, look) in moved {
            self.places.insert(obj, look);
            self.touch(obj, number);
        }
    }

    /// Is there nothing new to look at?
    pub fn current(&self, world: &World) -> bool {
        self.seen == world.change
    }

    /// Looks at what changed; returns what is gone for good.
    pub fn follow(&mut self, view: &View<'_>) -> Vec<Obj> {
        let world = view.world;
        let number = world.change;
        let (seen, mut lost) = (self.seen, Vec::new());
        for vm in world.vms().filter(|vm| vm.touched > seen || seen == 0) {
            self.look_at(view, vm, number, &mut lost);
        }
        for at in self.seen_gone..world.gone.len() {
            let id = world.gone[at].1;
            if let Some(known) = self.vms.remove(&id) {
                self.part_from(id, known, number, &mut lost);
            }
        }
        if self.seen_files != world.files_change || seen == 0 {
            self.compare_files(world, number, &mut lost);
        }
        self.seen = number;
        self.seen_files = world.files_change;
        self.seen_gone = world.gone.len();
        lost
    }

    fn look_at(&mut self, view: &View<'_>, vm: &Vm, number: u64, lost: &mut Vec<Obj>) {
        let file_id = |disk: &crate::lab::world::Disk| view.world.files.get(&disk.file).map(|file| file.uuid);
        let drives = view.tables.drives_of(vm.id).filter_map(|(_, drive)| drive.medium);
        let now = Known {
            belongings: view.belongings(vm),
            networks: vm.nics.iter().filter_map(|nic| nic.network).collect(),
            files: vm.disks.iter().filter_map(file_id).chain(drives).collect(),
            host: (vm.power == Power::On).then_some(vm.host),
        };
        let before = self.vms.remove(&vm.id).unwrap_or_default();
        self.touch(Obj::Vm(vm.id), number);
        let kept: HashSet<&Obj> = now.belongings.iter().collect();
        for obj in before.belongings.iter().filter(|obj| !kept.contains(obj)) {
            self.depart(*obj, number);
            lost.push(*obj);
        }
        for obj in &now.belongings {
            self.touch(*obj, number);
        }
        for file in before.files.iter().chain(&now.files) {
            self.touched(Obj::Vdi(*file), number);
        }
        if before.networks != now.networks {
            for network in before.networks.iter().chain(&now.networks) {
                self.touched(Obj::Network(*network), number);
            }
        }
        if before.host != now.host {
            for host in before.host.iter().chain(&now.host) {
                self.touched(Obj::Host(*host), number);
                self.touched(Obj::HostMetrics(*host), number);
            }
        }
        self.vms.insert(vm.id, now);
    }

    fn part_from(&mut self, id: Id, known: Known, number: u64, lost: &mut Vec<Obj>) {
        for obj in std::iter::once(Obj::Vm(id)).chain(known.belongings) {
            self.depart(obj, number);
            lost.push(obj);
        }
        for network in known.networks {
            self.touched(Obj::Network(network), number);
        }
        for file in known.files {
            self.touched(Obj::Vdi(file), number);
        }
        if let Some(host) = known.host {
            self.touched(Obj::Host(host), number);
        }
    }

    fn compare_files(&mut self, world: &World, number: u64, lost: &mut Vec<Obj>) {
        let mut before = std::mem::take(&mut self.files);
        let mut changed: BTreeSet<Id> = BTreeSet::new();
        for file in world.files.values() {
            let now = (file.datastore, file.capacity);
            if before.remove(&file.uuid) != Some(now) {
                self.touch(Obj::Vdi(file.uuid), number);
                changed.insert(file.datastore);
            }
            self.files.insert(file.uuid, now);
        }
        for (uuid, (sr, _)) in before {
            self.depart(Obj::Vdi(uuid), number);
            lost.push(Obj::Vdi(uuid));
            changed.insert(sr);
        }
        for sr in changed {
            self.touched(Obj::Sr(sr), number);
        }
    }
}

fn digest(look: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    look.hash(&mut hasher);
    hasher.finish()
}
