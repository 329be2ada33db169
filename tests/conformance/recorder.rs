//! A recorder that keeps what it was told, and orders written as a planner would write them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tierwright::mark::{Applied, Mark, MarkedDisk, MarkedNic, Protection};
use tierwright::model::{
    Bytes, EndpointName, Firmware, GuestOs, ImageTarget, NetworkTarget, OnRemove, OwnId, Placement, Prune, Secret,
    Shutdown, TierName, VmKey,
};
use tierwright::plan::{Action, CreateVm, DiskOrder, Landing, NicOrder, Operation, Precondition, Risk, Step};
use tierwright::provider::{Call, Halt, IntentId, Order, Outcome, Provider, Recorder, StepError};
use uuid::Uuid;

/// Keeps every call and its outcome.
#[derive(Debug, Default)]
pub struct Kept {
    pub calls: Mutex<Vec<(Call, Option<Outcome>)>>,
    /// The VMs that it was told of as made.
    pub made: Mutex<Vec<Made>>,
    /// So many calls are let through, as if the program ended before the next one.
    pub allowed: Option<usize>,
}

/// A VM as a create told of it, after so many calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub own_id: OwnId,
    pub handle: String,
    pub calls: usize,
}

impl Kept {
    /// Names of the calls, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().iter().map(|(call, _)| call.name).collect()
    }

    /// True when each call has an outcome.
    pub fn all_settled(&self) -> bool {
        self.calls.lock().unwrap().iter().all(|(_, outcome)| outcome.is_some())
    }
}

#[async_trait]
impl Recorder for Kept {
    async fn before(&self, call: &Call) -> Result<IntentId, Halt> {
        let mut calls = self.calls.lock().unwrap();
        if self.allowed == Some(calls.len()) {
            return Err(Halt::Stopping);
        }
        calls.push((call.clone(), None));
        Ok(IntentId(i64::try_from(calls.len()).unwrap() - 1))
    }

    async fn made(&self, own_id: &OwnId, handle: &str) -> Result<(), Halt> {
        let calls = self.calls.lock().unwrap().len();
        self.made.lock().unwrap().push(Made { own_id: own_id.clone(), handle: handle.to_owned(), calls });
        Ok(())
    }

    async fn after(&self, intent: IntentId, outcome: &Outcome) -> Result<(), Halt> {
        self.calls.lock().unwrap()[usize::try_from(intent.0).unwrap()].1 = Some(outcome.clone());
        Ok(())
    }

    fn progress(&self, _text: &str, _percent: Option<u8>) {}

    fn interrupted(&self) -> Option<Halt> {
        None
    }
}

/// Does these operations; gives what the recorder kept.
pub async fn execute(
    provider: &dyn Provider,
    vm: &Wanted,
    operations: Vec<Operation>,
) -> (Kept, Result<(), StepError>) {
    execute_some(provider, vm, operations, None).await
}

/// The same, stopped before it makes one call too many.
pub async fn execute_some(
    provider: &dyn Provider,
    vm: &Wanted,
    operations: Vec<Operation>,
    allowed: Option<usize>,
) -> (Kept, Result<(), StepError>) {
    let kept = Kept { allowed, ..Kept::default() };
    let step = vm.step(operations);
    let secret = Secret::new("#cloud-config\n# user-data-canary\n".to_owned());
    let order = Order { step: &step, user_data: vm.cloud_init.then_some(&secret) };
    let outcome = provider.execute(&order, &kept).await;
    (kept, outcome)
}

/// A VM as a test wants it.
#[derive(Debug)]
pub struct Wanted {
    pub name: String,
    pub identity: Uuid,
    /// Its own id, once known: beforehand where it is ours to choose.
    own_id: Mutex<Option<OwnId>>,
    /// Whether cloud-init data goes with it; off where the provider says that it cannot.
    pub cloud_init: bool,
}

impl Wanted {
    /// One whose own id is its identity.
    pub fn new(name: &str) -> Self {
        let wanted = Self::told(name);
        wanted.learn(OwnId::new(&wanted.identity.to_string()));
        wanted
    }

    /// One whose own id the hypervisor tells once it is there.
    pub fn told(name: &str) -> Self {
        let identity = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Self { name: name.to_owned(), identity, own_id: Mutex::new(None), cloud_init: true }
    }

    /// Notes the own id that the hypervisor gave.
    pub fn learn(&self, id: OwnId) {
        *self.own_id.lock().unwrap() = Some(id);
    }

    pub fn own_id(&self) -> Option<OwnId> {
        self.own_id.lock().unwrap().clone()
    }

    pub fn key(&self) -> VmKey {
        VmKey::new("test", &self.name).unwrap()
    }

    /// The own id of a VM that was found before.
    pub fn id(&self) -> OwnId {
        self.own_id().expect("it was made and found")
    }

    pub fn mark(&self, generation: u64, disks: &[&str], nics: &[&str]) -> Mark {
        let unknown_disk = MarkedDisk { slot: None, id: None, file: None, deleting: false };
        let unknown_nic = MarkedNic { mac: None, slot: None };
        Mark {
            version: 1,
            installation: "test".to_owned(),
            key: self.key(),
            identity: self.identity,
            own_id: self.own_id(),
            tier: TierName::new("tier-1").unwrap(),
            generation,
            pending: None,
            protection: Protection {
                prevent_destroy: false,
                on_remove: OnRemove::Delete,
                prune: Prune::Auto,
                grace_days: 0,
                delete_disks: true,
                shutdown: Shutdown::default(),
            },
            retired: None,
            disks: disks.iter().map(|name| ((*name).to_owned(), unknown_disk.clone())).collect(),
            nics: nics.iter().map(|name| ((*name).to_owned(), unknown_nic.clone())).collect(),
            applied: Some(Applied {
                cpus: 1,
                memory: Bytes::gib(1),
                power: None,
                image: None,
                user_data: None,
                disks: BTreeMap::new(),
                nics: BTreeMap::new(),
            }),
        }
    }

    /// A create order; `image`: a template or VM with one disk.
    pub fn create(&self, placement: Placement, network: &str, image: Option<&str>) -> CreateVm {
        let disk = |name: &str, gib| DiskOrder { name: name.to_owned(), size: Bytes::gib(gib), storage: None };
        let nic = |name: &str, addresses: &[&str]| NicOrder {
            name: name.to_owned(),
            network: NetworkTarget { name: network.to_owned(), vlan: None },
            mac: None,
            // Addresses are told to the guest by cloud-init.
            addresses: addresses.iter().filter(|_| self.cloud_init).map(|text| (*text).to_owned()).collect(),
            gateway: None,
        };
        CreateVm {
            key: self.key(),
            name: self.key().name().clone(),
            identity: self.identity,
            unfinished: None,
            placement,
            image: image.map(|source| ImageTarget { source: source.to_owned(), mode: None }),
            guest_os: GuestOs::Linux,
            firmware: Firmware::Uefi,
            cpus: 2,
            memory: Bytes::gib(1),
            disks: vec![disk("root", 12), disk("data", 3)],
            image_disks: usize::from(image.is_some()),
            nics: vec![nic("eth0", &["10.0.0.5/24"]), nic("eth1", &[])],
            cloud_init: self.cloud_init,
            start: true,
            mark: Box::new(self.mark(1, &["root", "data"], &["eth0", "eth1"])),
        }
    }

    /// A step of these operations.
    pub fn step(&self, operations: Vec<Operation>) -> Step {
        let creates = matches!(operations.first(), Some(Operation::Create(_)));
        Step {
            key: self.key(),
            tier: TierName::new("tier-1").unwrap(),
            endpoint: EndpointName::new("vcsim").unwrap(),
            own_id: (!creates).then(|| self.id()),
            identity: self.identity,
            action: if creates { Action::Create } else { Action::Update },
            reasons: Vec::new(),
            lands: Landing::Hot,
            risk: Risk::Low,
            cost: None,
            depends_on: Vec::new(),
            preconditions: Precondition::Absent { identity: self.identity, name: self.name.clone() },
            operations,
        }
    }
}
