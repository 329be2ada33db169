//! A hypervisor of a few values in memory: keeps the provider contract, and breaks it where a test says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tierwright::inventory::{Capabilities, Catalog, Host, Known, Missing, Network, Observed, Storage};
use tierwright::mark::{self, Mark};
use tierwright::model::{
    Bytes, Config, EndpointName, HypervisorType, NetworkTarget, ObservedDisk, ObservedNic, ObservedVm, OwnId, Placed,
    PowerState, VmConfig, VmKey,
};
use tierwright::plan::{Change, CreateVm, Operation, Step};
use tierwright::provider::{
    Call, ErrorKind, Found, MissingRight, Order, Outcome, Provider, ProviderError, Recorder, StepError, Target,
};
use tokio::sync::{Barrier, Notify};

/// What goes wrong, once, with the step of a VM.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The change is made and its reply is lost.
    LoseReply,
    /// The server refuses the first call.
    Refuse(&'static str),
    /// Not reached before anything was sent.
    Unreachable,
    /// The provider has a bug.
    Panic,
    /// The call never ends.
    Hang,
    /// The server refuses every call after the first operation.
    RefuseLater(&'static str),
    /// Somebody starts the VM between two of our calls.
    ChangedMidway,
    /// The server says done and did nothing.
    Lie,
}

/// See the module.
pub struct Memory {
    pub name: EndpointName,
    pub vms: Mutex<BTreeMap<OwnId, ObservedVm>>,
    pub faults: Mutex<BTreeMap<VmKey, Fault>>,
    /// `KEY CALL`, in the order of sending.
    pub calls: Mutex<Vec<String>>,
    /// Keys of steps whose earlier calls were waited for.
    pub settled: Mutex<Vec<String>>,
    /// Steps at a time, now and at most.
    pub busy: AtomicUsize,
    pub most_busy: AtomicUsize,
    /// Each step waits here for others to be in the same place.
    pub meet: Option<Barrier>,
    /// Collect does not answer.
    pub hangs: bool,
    /// How often collect was asked.
    pub asked: AtomicUsize,
    /// Collect answers this.
    pub fails: Mutex<Option<&'static str>>,
    /// Own ids that collect leaves out though they are there.
    pub hidden: Mutex<Vec<OwnId>>,
    /// At the n-th point of a call (before its intent, before the change, after it) the program dies.
    pub dies_at: Mutex<Option<usize>>,
    /// Told when it has.
    pub died: Notify,
}

impl Memory {
    pub fn new(name: &str) -> Self {
        Self {
            name: EndpointName::new(name).unwrap(),
            vms: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            settled: Mutex::default(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
            meet: None,
            hangs: false,
            asked: AtomicUsize::new(0),
            fails: Mutex::new(None),
            hidden: Mutex::default(),
            dies_at: Mutex::default(),
            died: Notify::new(),
        }
    }

    pub fn with(self, vms: impl IntoIterator<Item = ObservedVm>) -> Self {
        self.vms.lock().unwrap().extend(vms.into_iter().map(|vm| (vm.id.clone(), vm)));
        self
    }

    pub fn faulty(self, key: &str, fault: Fault) -> Self {
        self.faults.lock().unwrap().insert(VmKey::parse(key).unwrap(), fault);
        self
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub fn vm(&self, id: &OwnId) -> Option<ObservedVm> {
        self.vms.lock().unwrap().get(id).cloned()
    }

    fn error(&self, kind: ErrorKind, message: &str) -> ProviderError {
        ProviderError {
            kind,
            endpoint: self.name.clone(),
            operation: "Test".into(),
            vm: None,
            message: message.into(),
            source: None,
        }
    }

    /// Goes no further when the program is to die here.
    async fn point(&self) {
        let dies = {
            let mut dies_at = self.dies_at.lock().unwrap();
            let dies = *dies_at == Some(0);
            *dies_at = dies_at.and_then(|left| left.checked_sub(1));
            dies
        };
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// One mutating call: before, the change, after.
    async fn send(
        &self,
        (step, operation): (&Step, usize),
        name: &'static str,
        recorder: &dyn Recorder,
        change: impl FnOnce(&mut BTreeMap<OwnId, ObservedVm>),
    ) -> Result<(), StepError> {
        let target = step.own_id.as_ref().map_or_else(|| step.identity.to_string(), ToString::to_string);
        let call = Call { name, operation, target, destroys: name == "Destroy", detail: String::new() };
        let fault = self.faults.lock().unwrap().get(&step.key).cloned();
        if matches!(fault, Some(Fault::Unreachable)) {
            return Err(self.error(ErrorKind::Unreachable, "connection refused").into());
        }
        if matches!(fault, Some(Fault::ChangedMidway)) && operation > 0 {
            for vm in self.vms.lock().unwrap().values_mut() {
                config(vm).power = PowerState::Running;
            }
        }
        self.point().await;
        let intent = recorder.before(&call).await?;
        self.point().await;
        self.calls.lock().unwrap().push(format!("{} {name}", step.key));
        match fault {
            Some(Fault::RefuseLater(_)) if operation == 0 => change(&mut self.vms.lock().unwrap()),
            Some(Fault::Refuse(why) | Fault::RefuseLater(why)) => {
                recorder.after(intent, &Outcome::Refused(why.into())).await?;
                return Err(self.error(ErrorKind::Denied, why).into());
            }
            Some(Fault::Panic) => panic!("a bug in a provider"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Lie) => {}
            _ => change(&mut self.vms.lock().unwrap()),
        }
        self.point().await;
        if matches!(fault, Some(Fault::LoseReply)) {
            return Err(self.error(ErrorKind::Ambiguous, "the reply was lost").into());
        }
        recorder.after(intent, &Outcome::Done).await?;
        recorder.progress(name, Some(100));
        // Lets whoever listens act before the next call.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn operate(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        let step = order.step;
        for (at, operation) in step.operations.iter().enumerate() {
            if let Some(halt) = recorder.interrupted() {
                return Err(halt.into());
            }
            let id = step.own_id.clone().unwrap_or_else(|| OwnId::new(&step.identity.to_string()));
            match operation {
                Operation::Create(create) => {
                    let make = |vms: &mut BTreeMap<_, _>| drop(vms.insert(id.clone(), made(create)));
                    self.send((step, at), "Create", recorder, make).await?;
                    recorder.made(&id, "").await?;
                }
                Operation::Reconfigure { changes, mark } => {
                    let change = |vms: &mut BTreeMap<_, _>| change(vms.get_mut(&id).unwrap(), changes, mark);
                    self.send((step, at), "Reconfigure", recorder, change).await?;
                }
                Operation::Stop(_) => self.power((step, at), "Stop", recorder, PowerState::Stopped).await?,
                Operation::Start => self.power((step, at), "Start", recorder, PowerState::Running).await?,
                Operation::Rename(name) => {
                    let rename = |vms: &mut BTreeMap<OwnId, ObservedVm>| {
                        vms.get_mut(&id).unwrap().name = name.as_str().into();
                    };
                    self.send((step, at), "Rename", recorder, rename).await?;
                }
                Operation::Unmark => {
                    let unmark = |vms: &mut BTreeMap<_, _>| config(vms.get_mut(&id).unwrap()).mark = None;
                    self.send((step, at), "Unmark", recorder, unmark).await?;
                }
                Operation::Destroy { .. } => {
                    self.send((step, at), "Destroy", recorder, |vms| drop(vms.remove(&id))).await?;
                }
            }
        }
        Ok(())
    }

    async fn power(
        &self,
        (step, at): (&Step, usize),
        name: &'static str,
        recorder: &dyn Recorder,
        power: PowerState,
    ) -> Result<(), StepError> {
        let id = step.own_id.clone().unwrap();
        self.send((step, at), name, recorder, |vms| config(vms.get_mut(&id).unwrap()).power = power).await
    }
}

pub fn config(vm: &mut ObservedVm) -> &mut VmConfig {
    match &mut vm.config {
        Config::Readable(config) => Arc::make_mut(config),
        Config::Unreadable(_) => unreachable!("test VMs are readable"),
    }
}

fn made(create: &CreateVm) -> ObservedVm {
    let own_id = OwnId::new(&create.identity.to_string());
    let mark = Mark { own_id: Some(own_id.clone()), pending: None, ..(*create.mark).clone() };
    let disks = create.disks.iter().enumerate().map(|(at, disk)| ObservedDisk {
        id: Some(format!("disk-{}-{at}", create.name).into()),
        slot: format!("scsi0:{at}").into(),
        size: disk.size,
        storage: Some("ssd".into()),
        file: Some(format!("[ssd] {}/{at}.vmdk", create.name).into()),
        parent: None,
        shared: false,
    });
    let nics = create.nics.iter().enumerate().map(|(at, nic)| ObservedNic {
        slot: format!("nic{at}").into(),
        mac: nic.mac.clone().unwrap_or_else(|| format!("00:50:56:00:00:{at:02x}")).into(),
        network: Some(nic.network.clone()),
        connected: true,
    });
    let mut vm = ObservedVm {
        id: own_id,
        handle: "".into(),
        name: create.name.as_str().into(),
        placed: Placed { host: Some("host-1".into()), ..Placed::default() },
        config: Config::Readable(Arc::new(VmConfig {
            cpus: create.cpus,
            memory: create.memory,
            firmware: create.firmware,
            guest_os: create.guest_os,
            power: if create.start { PowerState::Running } else { PowerState::Stopped },
            template: false,
            disks: disks.collect(),
            nics: nics.collect(),
            snapshots: false,
            question: None,
            guest_agent: tierwright::model::GuestAgent::Running,
            hot: tierwright::model::Hot::default(),
            mark: None,
            addresses: Vec::new(),
        })),
    };
    write_mark(&mut vm, mark);
    vm
}

/// Slots, ids and MACs that only the hypervisor knows are filled in, as the contract says.
fn write_mark(vm: &mut ObservedVm, mut mark: Mark) {
    let config = config(vm);
    for (disk, marked) in config.disks.iter().zip(mark.disks.values_mut()) {
        marked.slot.get_or_insert_with(|| disk.slot.to_string());
        if marked.id.is_none() {
            marked.id = disk.id.as_ref().map(ToString::to_string);
        }
    }
    for (nic, marked) in config.nics.iter().zip(mark.nics.values_mut()) {
        marked.mac.get_or_insert_with(|| nic.mac.to_string());
        marked.slot.get_or_insert_with(|| nic.slot.to_string());
    }
    config.mark = Some(mark::write(&mark));
}

fn change(vm: &mut ObservedVm, changes: &[Change], mark: &Mark) {
    for change in changes {
        let config = config(vm);
        match change {
            Change::Cpus(cpus) => config.cpus = *cpus,
            Change::Memory(memory) => config.memory = *memory,
            Change::ConnectNic { nic, connected } => {
                for observed in config.nics.iter_mut().filter(|observed| *observed.slot == *nic.slot) {
                    observed.connected = *connected;
                }
            }
            other => unimplemented!("no test makes {other:?}"),
        }
    }
    write_mark(vm, mark.clone());
}

#[async_trait]
impl Provider for Memory {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        Ok(Capabilities {
            hypervisor: HypervisorType::Vsphere,
            product: "Memory 1.0".into(),
            create_from_image: true,
            create_blank: true,
            cloud_init: true,
            own_id_is_identity: true,
            names_by_folder: true,
        })
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if let Some(why) = *self.fails.lock().unwrap() {
            return Err(self.error(ErrorKind::Unreachable, why));
        }
        let hidden = self.hidden.lock().unwrap().clone();
        let vms: Vec<ObservedVm> =
            self.vms.lock().unwrap().values().filter(|vm| !hidden.contains(&vm.id)).cloned().collect();
        let missing = known.iter().map(|known| &known.id).filter(|id| vms.iter().all(|vm| vm.id != **id)).map(|id| {
            let there = self.vms.lock().unwrap().contains_key(id);
            (id.clone(), if there { Missing::Unknown("it is there".into()) } else { Missing::NotFound })
        });
        let missing = missing.collect();
        let capabilities = self.capabilities().await?;
        Ok(Observed { capabilities, incomplete: None, vms, catalog: catalog(), missing })
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        let id = match target {
            Target::OwnId(id) => id.clone(),
            Target::Identity(identity) => OwnId::new(&identity.to_string()),
        };
        Ok(self.vm(&id).map_or(Found::Nothing, |vm| Found::Vm(Box::new(vm))))
    }

    async fn settle(&self, step: &Step) -> Result<(), ProviderError> {
        self.settled.lock().unwrap().push(step.key.to_string());
        Ok(())
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        if let Some(meet) = &self.meet {
            meet.wait().await;
        }
        let done = self.operate(order, recorder).await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        done
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        Ok(Vec::new())
    }

    async fn close(&self) {}
}

fn catalog() -> Catalog {
    Catalog {
        hosts: vec![Host {
            name: "host-1".into(),
            cluster: None,
            datacenter: None,
            memory: Bytes::gib(512),
            usable: true,
        }],
        storage: vec![Storage {
            name: "ssd".into(),
            datacenter: None,
            capacity: Bytes::gib(4096),
            free: Bytes::gib(4096),
            hosts: Vec::new(),
            usable: true,
        }],
        networks: vec![Network {
            target: NetworkTarget { name: "lan".into(), vlan: None },
            datacenter: None,
            hosts: Vec::new(),
        }],
        ..Catalog::default()
    }
}

/// As endpoints take it.
pub fn shared(provider: Memory) -> Arc<Memory> {
    Arc::new(provider)
}
