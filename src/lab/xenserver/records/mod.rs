//! What each object shows: the records of `get_record`, `get_all_records` and events.
//!
//! ```text
//! vm.rs        VMs, templates, snapshots, control domains, and their metrics
//! device.rs    VBDs, VIFs
//! storage.rs   SRs, PBDs, VDIs
//! place.rs     pool, hosts, networks, PIFs
//! other.rs     tasks, sessions
//! ```
//!
//! A record has every field of its class: the default of the data model, over it what the world and the tables know,
//! over that what a client set. It is made when it is asked for; nothing here changes anything.

mod device;
mod other;
mod place;
mod storage;
mod vm;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) use place::free_memory;

use super::members::Standing;
use super::refs::{Class, Codec, Obj};
use super::schema::{self, ClassModel};
use super::session::Sessions;
use super::tables::Tables;
use super::value::{NULL, Value};
use crate::lab::faults::{Effect, StateRules};
use crate::lab::world::{Id, Snapshot, Vm, World};

/// A record that is being filled in.
pub(super) struct Record {
    model: &'static ClassModel,
    values: Vec<Value>,
}

impl Record {
    fn new(class: Class) -> Self {
        let model = schema::class(class);
        Self { model, values: model.fields.iter().map(|field| field.default.clone()).collect() }
    }

    fn set(&mut self, field: &str, value: impl Into<Value>) -> &mut Self {
        if let Ok(at) = self.model.fields.binary_search_by(|known| known.name.cmp(field)) {
            self.values[at] = value.into();
        }
        self
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.model.fields.binary_search_by(|known| known.name.cmp(field)).ok().map(|at| &self.values[at])
    }

    /// As a value of the wire.
    pub fn into_value(self) -> Value {
        Value::Map(self.model.fields.iter().map(|field| field.name.into()).zip(self.values).collect())
    }
}

/// A VM, or what looks like one.
#[derive(Clone, Copy)]
pub(super) enum Machine<'a> {
    /// A VM or template.
    Vm(&'a Vm),
    /// A snapshot, of the VM of this number.
    Snapshot(&'a Snapshot, Id),
    /// The control domain of a host.
    Control(Id),
}

impl<'a> Machine<'a> {
    /// Its hardware; a control domain has none that could be touched.
    pub fn hardware(self) -> Option<&'a Vm> {
        match self {
            Self::Vm(vm) => Some(vm),
            Self::Snapshot(snapshot, _) => Some(&snapshot.state),
            Self::Control(_) => None,
        }
    }
}

/// Everything that can be looked at.
pub(super) struct View<'a> {
    pub world: &'a World,
    pub tables: &'a Tables,
    pub sessions: &'a Sessions,
    pub codec: Codec,
    pub standing: &'a Standing,
    pub rules: &'a StateRules,
    users: OnceCell<HashMap<Arc<str>, Vec<Obj>>>,
    snapshots: OnceCell<HashMap<Id, (Id, usize)>>,
}

impl<'a> View<'a> {
    pub fn new(
        world: &'a World,
        tables: &'a Tables,
        sessions: &'a Sessions,
        front: (Codec, &'a Standing, &'a StateRules),
    ) -> Self {
        let (codec, standing, rules) = front;
        Self { world, tables, sessions, codec, standing, rules, users: OnceCell::new(), snapshots: OnceCell::new() }
    }

    fn reference(&self, obj: &Obj) -> Value {
        self.codec.reference(obj).into()
    }

    fn references<'o>(&self, all: impl IntoIterator<Item = &'o Obj>) -> Value {
        all.into_iter().map(|obj| self.codec.reference(obj)).collect()
    }

    /// A VM, snapshot or control domain by number.
    pub fn machine(&self, id: Id) -> Option<Machine<'a>> {
        if let Some(vm) = self.world.vm(id) {
            return Some(Machine::Vm(vm));
        }
        if self.world.hosts.contains_key(&id) {
            return Some(Machine::Control(id));
        }
        let (vm, at) = self.snapshots().get(&id)?;
        Some(Machine::Snapshot(self.world.vm(*vm)?.snapshots.get(*at)?, *vm))
    }

    fn snapshots(&self) -> &HashMap<Id, (Id, usize)> {
        self.snapshots.get_or_init(|| {
            let of = |vm: &'a Vm| vm.snapshots.iter().enumerate().map(move |(at, one)| (one.id, (vm.id, at)));
            self.world.vms().flat_map(of).collect()
        })
    }

    /// Devices that use a file, snapshots' among them.
    pub fn users(&self, path: &str) -> &[Obj] {
        let all = self.users.get_or_init(|| {
            let mut users: HashMap<Arc<str>, Vec<Obj>> = HashMap::new();
            for vm in self.world.vms() {
                let own = vm.disks.iter().map(|disk| (vm.id, disk));
                let before = vm.snapshots.iter().flat_map(|one| one.state.disks.iter().map(|disk| (one.id, disk)));
                for (id, disk) in own.chain(before) {
                    users.entry(disk.file.clone()).or_default().push(Obj::Vbd(id, disk.key));
                }
            }
            for ((vm, key), drive) in &self.tables.drives {
                if let Some((path, _)) = drive.medium.and_then(|medium| self.world.file_by_id(medium)) {
                    users.entry(path.clone()).or_default().push(Obj::Vbd(*vm, *key));
                }
            }
            users
        });
        all.get(path).map_or(&[], Vec::as_slice)
    }

    /// The record of an object, if it is there.
    pub fn record(&self, obj: &Obj) -> Option<Record> {
        let mut record = match *obj {
            Obj::Pool => self.pool(),
            Obj::Vm(id) => self.vm(id)?,
            Obj::VmMetrics(id) => self.vm_metrics(id)?,
            Obj::GuestMetrics(id) => self.guest_metrics(id)?,
            Obj::Host(id) => self.host(id)?,
            Obj::HostMetrics(id) => self.host_metrics(id)?,
            Obj::Network(id) => self.network(id)?,
            Obj::Pif(host, network) => self.pif(host, network)?,
            Obj::Vif(vm, key) => self.vif(vm, key)?,
            Obj::Sr(id) => self.sr(id)?,
            Obj::Pbd(host, sr) => self.pbd(host, sr)?,
            Obj::Vdi(file) => self.vdi(file)?,
            Obj::Vbd(vm, key) => self.vbd(vm, key)?,
            Obj::Task(number) => self.task(number)?,
            Obj::Session(number) => self.session(number)?,
        };
        for (field, value) in self.tables.kept(obj).into_iter().flatten() {
            record.set(field, value.clone());
        }
        Some(record)
    }

    /// Is it there?
    pub fn exists(&self, obj: &Obj) -> bool {
        match *obj {
            Obj::Pool => true,
            Obj::Vm(id) | Obj::VmMetrics(id) => self.machine(id).is_some(),
            Obj::Host(id) | Obj::HostMetrics(id) => self.world.hosts.contains_key(&id),
            Obj::Network(id) => self.world.networks.contains_key(&id),
            Obj::Sr(id) => self.world.datastores.contains_key(&id),
            Obj::Vdi(file) => self.world.file_by_id(file).is_some(),
            Obj::Vif(vm, key) => {
                let hardware = self.machine(vm).and_then(Machine::hardware);
                hardware.is_some_and(|vm| vm.nics.iter().any(|nic| nic.key == key))
            }
            Obj::Vbd(vm, key) => {
                let hardware = self.machine(vm).and_then(Machine::hardware);
                hardware.is_some_and(|vm| vm.disk(key).is_some()) || self.tables.drives.contains_key(&(vm, key))
            }
            Obj::Task(number) => self.tables.tasks.get(&number).is_some_and(|task| task.listed),
            Obj::Session(number) => self.sessions.get(number).is_some(),
            Obj::GuestMetrics(_) | Obj::Pif(..) | Obj::Pbd(..) => self.record(obj).is_some(),
        }
    }

    /// What is to be listed of a VM besides itself, in order.
    pub fn belongings(&self, vm: &Vm) -> Vec<Obj> {
        let mut all = vec![Obj::VmMetrics(vm.id)];
        all.extend(vm.tools_run().then_some(Obj::GuestMetrics(vm.id)));
        all.extend(vm.nics.iter().map(|nic| Obj::Vif(vm.id, nic.key)));
        all.extend(vm.disks.iter().map(|disk| Obj::Vbd(vm.id, disk.key)));
        all.extend(self.tables.drives_of(vm.id).map(|(key, _)| Obj::Vbd(vm.id, key)));
        for one in &vm.snapshots {
            all.extend([Obj::Vm(one.id), Obj::VmMetrics(one.id)]);
            all.extend(one.state.nics.iter().map(|nic| Obj::Vif(one.id, nic.key)));
            all.extend(one.state.disks.iter().map(|disk| Obj::Vbd(one.id, disk.key)));
        }
        all
    }

    /// Names of a VM in fault rules.
    pub fn names(&self, vm: &Vm) -> [String; 3] {
        [vm.name.to_string(), self.codec.reference(&Obj::Vm(vm.id)), vm.instance_uuid.to_string()]
    }

    /// Does a fault rule keep it from listings? With a VM its devices are kept from them; a VM whose configuration is
    /// not readable is listed and its devices are not, so that it names devices nobody finds.
    pub fn hidden(&self, obj: &Obj) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let (vm, device) = match *obj {
            Obj::Vm(id) | Obj::VmMetrics(id) | Obj::GuestMetrics(id) => (id, false),
            Obj::Vif(id, _) | Obj::Vbd(id, _) => (id, true),
            _ => return false,
        };
        let Some(vm) = self.world.vm(vm) else { return false };
        let names = self.names(vm);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let holds = |effect: &Effect| self.rules.holds(effect, &names);
        holds(&Effect::Hide) || (device && (holds(&Effect::UnsetConfig) || self.rules.denies("System.Read", &names)))
    }

    /// May it be read when it is asked for by name? A VM out of sight (`System.View`) may not.
    pub fn out_of_sight(&self, obj: &Obj) -> bool {
        let (Obj::Vm(id) | Obj::Vif(id, _) | Obj::Vbd(id, _)) = *obj else { return false };
        if self.rules.is_empty() {
            return false;
        }
        let Some(vm) = self.world.vm(id) else { return false };
        let names = self.names(vm);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.rules.denies("System.View", &names)
    }

    /// All objects of a class that listings show, in order.
    pub fn all(&self, class: Class) -> Vec<Obj> {
        let world = self.world;
        let hosts = || world.hosts.keys().copied();
        let mut all: Vec<Obj> = match class {
            Class::Pool => vec![Obj::Pool],
            Class::Vm | Class::VmMetrics | Class::GuestMetrics | Class::Vif | Class::Vbd => self.of_vms(class),
            Class::Host => hosts().map(Obj::Host).collect(),
            Class::HostMetrics => hosts().map(Obj::HostMetrics).collect(),
            Class::Network => world.networks.keys().map(|id| Obj::Network(*id)).collect(),
            Class::Pif => hosts().flat_map(|host| world.networks.keys().map(move |at| Obj::Pif(host, *at))).collect(),
            Class::Sr => world.datastores.keys().map(|id| Obj::Sr(*id)).collect(),
            Class::Pbd => hosts().flat_map(|host| world.datastores.keys().map(move |at| Obj::Pbd(host, *at))).collect(),
            Class::Vdi => {
                let mut files: Vec<_> = world.files.values().map(|file| Obj::Vdi(file.uuid)).collect();
                files.sort_unstable();
                files
            }
            Class::Task => self.tables.tasks.iter().filter(|(_, one)| one.listed).map(|(n, _)| Obj::Task(*n)).collect(),
            Class::Session | Class::Event => Vec::new(),
        };
        all.retain(|obj| !self.hidden(obj) && (!matches!(obj, Obj::Pif(..)) || self.exists(obj)));
        all
    }

    fn of_vms(&self, class: Class) -> Vec<Obj> {
        let mut all = Vec::new();
        for vm in self.world.vms() {
            let own = std::iter::once(Obj::Vm(vm.id)).chain(self.belongings(vm));
            all.extend(own.filter(|obj| obj.class() == class));
        }
        for host in self.world.hosts.keys() {
            all.extend([Obj::Vm(*host), Obj::VmMetrics(*host)].into_iter().filter(|obj| obj.class() == class));
        }
        all.sort_unstable();
        all
    }
}

/// A reference, or the null one.
fn or_null(reference: Option<Value>) -> Value {
    reference.unwrap_or_else(|| NULL.into())
}
