//! Plans, settings and sessions made by hand, small enough to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tierwright::apply::{ApplyReport, ApplyRun, StepOutcome, apply};
use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::events::EventSink;
use tierwright::gate::Who;
use tierwright::journal::Journal;
use tierwright::mark::{Applied, Mark, Protection};
use tierwright::model::{
    Bytes, Config, Desired, Digest, EndpointName, Firmware, GuestAgent, GuestOs, Hot, HypervisorType, ObservedVm,
    OnRemove, OwnId, Placed, Placement, PowerState, Prune, Revision, Shutdown as GuestShutdown, TierName, VmConfig,
    VmKey, VmSpec,
};
use tierwright::plan::{
    Action, Because, Change, CreateVm, EndpointPolicy, EndpointState, Landing, Limits, Manage, Operation, Plan, Policy,
    Precondition, Reason, Risk, Step, safety,
};
use tierwright::shutdown::Shutdown;
use tierwright::userdata::UserData;

use crate::provider::{Memory, config};

pub const INSTALLATION: &str = "test";

pub fn key(text: &str) -> VmKey {
    VmKey::parse(text).unwrap()
}

pub fn endpoint(name: &str) -> EndpointName {
    EndpointName::new(name).unwrap()
}

pub fn tier() -> TierName {
    TierName::new("tier-1").unwrap()
}

pub fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub fn own_id(key_text: &str) -> OwnId {
    OwnId::new(&tierwright::mark::identity(INSTALLATION, &key(key_text), 0).to_string())
}

fn mark_of(key_text: &str) -> Mark {
    Mark {
        version: 1,
        installation: INSTALLATION.into(),
        key: key(key_text),
        identity: tierwright::mark::identity(INSTALLATION, &key(key_text), 0),
        own_id: Some(own_id(key_text)),
        tier: tier(),
        generation: 1,
        pending: None,
        protection: Protection {
            prevent_destroy: false,
            on_remove: OnRemove::Delete,
            prune: Prune::Auto,
            grace_days: 0,
            delete_disks: false,
            shutdown: GuestShutdown::default(),
        },
        retired: None,
        disks: BTreeMap::new(),
        nics: BTreeMap::new(),
        applied: Some(Applied {
            cpus: 2,
            memory: Bytes::gib(4),
            power: None,
            image: None,
            user_data: None,
            disks: BTreeMap::new(),
            nics: BTreeMap::new(),
        }),
    }
}

/// A running VM of ours with 2 CPUs and 4 GiB.
pub fn owned_vm(key_text: &str) -> ObservedVm {
    ObservedVm {
        id: own_id(key_text),
        handle: "".into(),
        name: key(key_text).name().as_str().into(),
        placed: Placed::default(),
        config: Config::Readable(Arc::new(VmConfig {
            cpus: 2,
            memory: Bytes::gib(4),
            firmware: Firmware::Uefi,
            guest_os: GuestOs::Linux,
            power: PowerState::Running,
            template: false,
            disks: Vec::new(),
            nics: Vec::new(),
            snapshots: false,
            question: None,
            guest_agent: GuestAgent::Running,
            hot: Hot { add_cpu: true, add_memory: true, ..Hot::default() },
            mark: Some(tierwright::mark::write(&mark_of(key_text))),
            addresses: Vec::new(),
        })),
    }
}

fn step(at: &str, key_text: &str, action: Action, operations: Vec<Operation>) -> Step {
    Step {
        key: key(key_text),
        tier: tier(),
        endpoint: endpoint(at),
        own_id: Some(own_id(key_text)),
        identity: tierwright::mark::identity(INSTALLATION, &key(key_text), 0),
        action,
        reasons: vec![Reason {
            field: "memory".into(),
            from: None,
            to: None,
            because: Because::ManifestChanged,
            lands: Landing::Hot,
            detail: None,
        }],
        lands: Landing::Hot,
        risk: Risk::Low,
        cost: None,
        depends_on: Vec::new(),
        preconditions: Precondition::Unchanged(safety::fingerprint(&owned_vm(key_text))),
        operations,
    }
}

fn next_mark(key_text: &str, memory: Bytes) -> Box<Mark> {
    let mut mark = mark_of(key_text);
    mark.generation += 1;
    mark.applied.as_mut().unwrap().memory = memory;
    Box::new(mark)
}

/// More memory, hot.
pub fn grow(at: &str, key_text: &str) -> Step {
    let memory = Bytes::gib(8);
    let change = Operation::Reconfigure { changes: vec![Change::Memory(memory)], mark: next_mark(key_text, memory) };
    step(at, key_text, Action::Update, vec![change])
}

/// More memory by way of a shutdown.
pub fn grow_cold(at: &str, key_text: &str) -> Step {
    let mut step = grow(at, key_text);
    step.operations.insert(0, Operation::Stop(GuestShutdown::default()));
    step.operations.push(Operation::Start);
    step.lands = Landing::Reboot;
    step
}

/// Shut down and removed, with nothing to wait for.
pub fn delete(at: &str, key_text: &str) -> Step {
    let operations = vec![Operation::Stop(GuestShutdown::default()), Operation::Destroy { disks: Vec::new() }];
    Step { lands: Landing::PowerOff, risk: Risk::High, ..step(at, key_text, Action::Delete, operations) }
}

/// A blank VM.
pub fn create(at: &str, key_text: &str) -> Step {
    let identity = tierwright::mark::identity(INSTALLATION, &key(key_text), 0);
    let create = CreateVm {
        key: key(key_text),
        name: key(key_text).name().clone(),
        identity,
        unfinished: None,
        placement: Placement::default(),
        image: None,
        guest_os: GuestOs::Linux,
        firmware: Firmware::Uefi,
        cpus: 2,
        memory: Bytes::gib(4),
        disks: Vec::new(),
        image_disks: 0,
        nics: Vec::new(),
        cloud_init: false,
        start: true,
        mark: Box::new(mark_of(key_text)),
    };
    Step {
        own_id: None,
        preconditions: Precondition::Absent { identity, name: key(key_text).name().to_string() },
        ..step(at, key_text, Action::Create, vec![Operation::Create(Box::new(create))])
    }
}

pub fn after(mut step: Step, keys: &[&str]) -> Step {
    step.depends_on = keys.iter().map(|text| key(text)).collect();
    step
}

pub fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        format_version: 1,
        installation: INSTALLATION.into(),
        revision: Revision("r1".into()),
        settings: policy(&[]).digest(),
        inventory: Vec::new(),
        steps,
        blocked: Vec::new(),
        in_sync: 0,
        unmanaged: 0,
        summary: BTreeMap::new(),
        cost: Vec::new(),
        notes: Vec::new(),
        hash: Digest::of(b"test"),
        approval: None,
    }
}

pub fn policy(endpoints: &[(&str, Manage)]) -> Policy {
    let entry = |(name, manage): &(&str, Manage)| {
        let policy =
            EndpointPolicy { hypervisor: HypervisorType::Vsphere, manage: *manage, state: EndpointState::Active };
        (endpoint(name), policy)
    };
    Policy {
        installation: INSTALLATION.into(),
        endpoints: endpoints.iter().map(entry).collect(),
        limits: Limits::default(),
    }
}

/// A run over providers in memory.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub journal: Journal,
    pub clock: Clock,
    pub endpoints: Endpoints,
    pub policy: Policy,
    pub shutdown: Shutdown,
    pub events: EventSink,
}

impl Bench {
    /// Two steps at a time on each endpoint; all may be changed.
    pub async fn new(providers: &[(&str, &Arc<Memory>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).await.unwrap();
        let mut endpoints = Endpoints::default();
        for (name, provider) in providers {
            endpoints = endpoints.with(endpoint(name), Arc::clone(provider) as _, 2);
        }
        let names: Vec<(&str, Manage)> = providers.iter().map(|(name, _)| (*name, Manage::Enforce)).collect();
        Self {
            dir,
            journal,
            clock: Clock::standing_at(noon()),
            endpoints,
            policy: policy(&names),
            shutdown: Shutdown::new(),
            events: EventSink::nowhere(),
        }
    }

    pub fn state_dir(&self) -> &Path {
        self.dir.path()
    }

    pub async fn apply(&self, steps: Vec<Step>) -> ApplyReport {
        self.apply_by(steps, Who::Apply).await
    }

    pub async fn apply_by(&self, steps: Vec<Step>, by: Who) -> ApplyReport {
        let user_data = UserData::new(Arc::new(Desired::default()), self.dir.path());
        let run = ApplyRun {
            id: "run".into(),
            endpoints: &self.endpoints,
            journal: &self.journal,
            clock: &self.clock,
            policy: &self.policy,
            by,
            user_data: &user_data,
            held: None,
            no_destroys: None,
            events: &self.events,
            shutdown: &self.shutdown,
        };
        apply(&plan(steps), &run).await
    }
}

/// `KEY: outcome`, in plan order.
pub fn told(report: &ApplyReport) -> Vec<String> {
    let word = |outcome: &StepOutcome| match outcome {
        StepOutcome::Done => "done",
        StepOutcome::Failed(_) => "failed",
        StepOutcome::EndpointLost(_) => "endpoint lost",
        StepOutcome::Gated(_) => "gated",
        StepOutcome::Changed(_) => "changed",
        StepOutcome::Dependency(_) => "dependency",
        StepOutcome::Stopped(_) => "stopped",
    };
    report.steps.iter().map(|step| format!("{}: {}", step.key, word(&step.outcome))).collect()
}

pub fn why(report: &ApplyReport, at: usize) -> &str {
    report.steps[at].outcome.why()
}

pub fn memory_of(vm: &ObservedVm) -> Bytes {
    config(&mut vm.clone()).memory
}

/// A blank VM as desired.
pub fn spec(key_text: &str) -> VmSpec {
    VmSpec {
        key: key(key_text),
        labels: Arc::default(),
        tier: tier(),
        instance_type: None,
        cpus: 2,
        memory: Bytes::gib(4),
        image: None,
        guest_os: GuestOs::Linux,
        firmware: Firmware::Uefi,
        disks: Vec::new(),
        nics: Vec::new(),
        power: None,
        cloud_init: None,
        prevent_destroy: false,
        on_remove: OnRemove::Delete,
        allow_reboot: tierwright::model::AllowReboot::Never,
        shutdown: GuestShutdown::default(),
        delete_disks: false,
        ignore_drift: Arc::default(),
        depends_on: BTreeSet::new(),
        renamed_from: None,
        adopt: None,
        origin: tierwright::model::Origin::default(),
    }
}
