//! A world of plain values: executes a plan as correct providers would, and remembers as the journal does.

use jiff::Timestamp;
use tierwright::inventory::{Inventory, Missing, Observed, View};
use tierwright::mark::Mark;
use tierwright::model::{EndpointName, ObservedDisk, ObservedVm, OwnId, PowerState};
use tierwright::plan::{Action, CreateVm, Destroyed, History, Operation, Plan, Precondition, Step, memory};
use uuid::Uuid;

use super::fleet::{self, Deployed, INSTALLATION};
use super::hardware::Machine;

/// What is there, and what is remembered of it.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub inventory: Inventory,
    pub history: History,
    /// Detached disks.
    pub shelf: Vec<ObservedDisk>,
}

impl World {
    /// A world in which tierwright has looked around before: its memory is that of this very inventory.
    pub fn settled(inventory: Inventory) -> Self {
        let mut world = Self { inventory, ..Self::default() };
        world.remember();
        world
    }

    /// Executes every step, in order, and lets the endpoints answer once more.
    pub fn apply(&mut self, plan: &Plan, now: Timestamp) {
        let mut done = Vec::new();
        for step in &plan.steps {
            let waits = step
                .depends_on
                .iter()
                .find(|key| plan.steps.iter().any(|other| other.key == **key) && !done.contains(key));
            assert_eq!(waits, None, "{} comes before what it depends on", step.key);
            self.step(step, now);
            done.push(&step.key);
        }
        self.look_again(now);
    }

    /// All endpoints are asked again and the answer is remembered.
    pub fn look_again(&mut self, now: Timestamp) {
        for endpoint in self.inventory.endpoints.values_mut() {
            endpoint.generation += 1;
            endpoint.taken_at = now;
        }
        self.remember();
    }

    fn remember(&mut self) {
        for (name, endpoint) in &self.inventory.endpoints {
            let previous = self.history.last.get(name);
            let accepted = match &endpoint.view {
                View::Observed(observed) => memory::loss(name, previous, observed, &self.history.destroys).is_none(),
                View::Unreachable(_) => false,
            };
            if let Some(last) = memory::remember(previous, endpoint, INSTALLATION, accepted) {
                self.history.last.insert(name.clone(), last);
            }
        }
    }

    fn observed(&mut self, endpoint: &EndpointName) -> &mut Observed {
        match self.inventory.endpoints.get_mut(endpoint).map(|endpoint| &mut endpoint.view) {
            Some(View::Observed(observed)) => observed,
            _ => panic!("a step on {endpoint}, which did not answer"),
        }
    }

    fn step(&mut self, step: &Step, now: Timestamp) {
        let mut own_id = step.own_id.clone();
        self.check_precondition(step);
        let before = own_id.as_ref().and_then(|id| self.mark_of(&step.endpoint, id));
        for operation in &step.operations {
            match operation {
                Operation::Create(create) => own_id = Some(self.create(&step.endpoint, create)),
                Operation::Destroy { .. } => {
                    let id = own_id.clone().expect("a VM that is destroyed has an id");
                    self.operate(&step.endpoint, &id, operation);
                    let after_retire = before.as_ref().is_some_and(|mark| mark.retired.is_some());
                    self.destroyed(step, &id, (after_retire, true), now);
                }
                _ => self.operate(&step.endpoint, own_id.as_ref().expect("a VM that is changed has an id"), operation),
            }
        }
        if step.action == Action::Retire {
            let id = own_id.expect("a VM that is retired has an id");
            let retired = self.mark_of(&step.endpoint, &id).is_some_and(|mark| mark.retired.is_some());
            assert!(retired, "{}: retired without a word in its mark", step.key);
            self.destroyed(step, &id, (false, false), now);
        }
    }

    fn destroyed(&mut self, step: &Step, own_id: &OwnId, (after_retire, deleted): (bool, bool), at: Timestamp) {
        self.history.destroys.push(Destroyed {
            at,
            tier: step.tier.clone(),
            endpoint: step.endpoint.clone(),
            own_id: own_id.clone(),
            key: step.key.clone(),
            after_retire,
            deleted,
        });
    }

    /// What apply repeats just before a call: here it can only fail if the plan contradicts its own input.
    fn check_precondition(&mut self, step: &Step) {
        let observed = self.observed(&step.endpoint);
        match &step.preconditions {
            Precondition::Absent { identity, .. } => {
                let taken = observed.vms.iter().any(|vm| vm.id == OwnId::new(&identity.to_string()));
                let goes_on = step
                    .operations
                    .iter()
                    .any(|operation| matches!(operation, Operation::Create(create) if create.unfinished.is_some()));
                assert!(!taken || goes_on, "{}: created where its identity already is", step.key);
            }
            Precondition::Unchanged(seen) => {
                let vm = observed.vms.iter().find(|vm| vm.id == seen.own_id);
                let vm = vm.unwrap_or_else(|| panic!("{}: {} is not there", step.key, seen.own_id));
                let config = vm.readable().expect("changed without being read");
                let mark = config.mark.as_deref().and_then(|text| serde_json::from_str::<Mark>(text).ok());
                assert_eq!(*vm.name, *seen.name, "{}: the fingerprint's name", step.key);
                assert_eq!(config.power, seen.power, "{}: the fingerprint's power", step.key);
                assert_eq!(mark.map(|mark| mark.generation), seen.mark_generation, "{}: generation", step.key);
                let hardware = (seen.cpus, seen.memory, seen.disks.len(), seen.nics.len(), seen.snapshots);
                let found = (config.cpus, config.memory.0, config.disks.len(), config.nics.len(), config.snapshots);
                assert_eq!(found, hardware, "{}: the fingerprint's hardware", step.key);
            }
        }
    }

    fn mark_of(&mut self, endpoint: &EndpointName, id: &OwnId) -> Option<Mark> {
        let vm = self.observed(endpoint).vms.iter().find(|vm| vm.id == *id)?;
        serde_json::from_str(vm.readable()?.mark.as_deref()?).ok()
    }

    fn operate(&mut self, endpoint: &EndpointName, id: &OwnId, operation: &Operation) {
        let mut detached = std::mem::take(&mut self.shelf);
        let observed = self.observed(endpoint);
        let others = observed.clone();
        let index = observed.vms.iter().position(|vm| vm.id == *id);
        let index = index.unwrap_or_else(|| panic!("{id} is not on {endpoint}"));
        let mut machine = Machine { vm: &mut observed.vms[index], shelf: &mut detached };
        assert!(machine.config().question.is_none(), "{id}: changed while the hypervisor waits for an answer");
        match operation {
            Operation::Create(_) => unreachable!("handled by the caller"),
            Operation::Reconfigure { changes, mark } => machine.reconfigure(changes, mark),
            Operation::Stop(_) => machine.config().power = PowerState::Stopped,
            Operation::Start => machine.config().power = PowerState::Running,
            Operation::Rename(name) => machine.vm.name = name.as_str().into(),
            Operation::Unmark => machine.config().mark = None,
            Operation::Destroy { disks } => {
                machine.check_destroy(disks, &others);
                observed.vms.remove(index);
                // Asked for by id, a server says so from now on.
                observed.missing.insert(id.clone(), Missing::NotFound);
            }
        }
        self.shelf = detached;
    }

    /// Makes a VM, or finishes one that was begun; answers its own id.
    fn create(&mut self, endpoint: &EndpointName, create: &CreateVm) -> OwnId {
        let observed = self.observed(endpoint);
        let taken = observed
            .vms
            .iter()
            .any(|vm| *vm.name == *create.name.as_str() && Some(&vm.id) != create.unfinished.as_ref());
        assert!(!taken, "{}: the name is taken on {endpoint}", create.name);
        let own_id = match (&create.unfinished, observed.capabilities.own_id_is_identity) {
            (Some(id), _) => id.clone(),
            (None, true) => OwnId::new(&create.identity.to_string()),
            // The hypervisor's choice: anything that nobody could have known before.
            (None, false) => OwnId::new(&Uuid::new_v5(&create.identity, b"chosen by the host").to_string()),
        };
        observed.vms.retain(|vm| vm.id != own_id);
        let images = observed.catalog.images.clone();
        let host = create.placement.host.clone().unwrap_or_else(|| "esx-1".into());
        let mut vm = Deployed::bare(create.name.as_str(), own_id.clone(), (create.cpus, create.memory), &[], &[]).vm;
        vm.placed.host = Some(host.into());
        vm.placed.cluster = create.placement.cluster.as_deref().map(Into::into);
        vm.placed.folder = create.placement.folder.as_deref().map(Into::into);
        let mut mark = (*create.mark).clone();
        let mut nothing = Vec::new();
        let mut machine = Machine { vm: &mut vm, shelf: &mut nothing };
        machine.config().power = PowerState::Stopped;
        machine.config().firmware = create.firmware;
        machine.config().guest_os = create.guest_os;
        if let Some(image) = &create.image {
            let found = images.iter().find(|found| *found.source == *image.source);
            let brought = found.unwrap_or_else(|| panic!("no image {}", image.source)).disks.len();
            assert_eq!(create.image_disks, brought, "{}: disks that the image brings", create.key);
        }
        for order in &create.disks {
            machine.add_disk(order, &mut mark);
        }
        for order in &create.nics {
            machine.add_nic(order, &mut mark);
        }
        machine.config().power = if create.start { PowerState::Running } else { PowerState::Stopped };
        machine.config().hot = fleet::usual_hot();
        mark.pending = None;
        machine.write(mark);
        self.add(endpoint, vm);
        self.take_room(endpoint, create);
        own_id
    }

    fn take_room(&mut self, endpoint: &EndpointName, create: &CreateVm) {
        for order in &create.disks {
            let on = order.storage.as_deref().or(create.placement.storage.as_deref()).expect("a place for disks");
            let storages = &mut self.observed(endpoint).catalog.storage;
            let storage = storages.iter_mut().find(|storage| *storage.name == *on).expect("a datastore that is there");
            assert!(storage.free >= order.size, "{}: no room for it on {on}", create.key);
            storage.free.0 -= order.size.0;
        }
    }

    /// Puts a VM on an endpoint, behind tierwright's back or not.
    pub fn add(&mut self, endpoint: &EndpointName, vm: ObservedVm) {
        let observed = self.observed(endpoint);
        observed.vms.push(vm);
        observed.vms.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// A VM by name, to change it behind tierwright's back.
    pub fn vm(&mut self, endpoint: &str, name: &str) -> &mut ObservedVm {
        let observed = self.observed(&fleet::endpoint_name(endpoint));
        observed.vms.iter_mut().find(|vm| *vm.name == *name).unwrap_or_else(|| panic!("no VM {name} on {endpoint}"))
    }
}
