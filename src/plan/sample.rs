//! Small worlds of plain values for the unit tests of the core: one tier, one endpoint, VMs that are as applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, BlockCode, Blocked, Destroyed, EndpointPolicy, EndpointState, History, Limits, Manage, Plan, PlanInput,
    Policy, SourceTrust, Step, memory, plan,
};
use crate::diff;
use crate::inventory::{
    Capabilities, Catalog, EndpointInventory, Host, Image, Inventory, Missing, Network, Observed, Storage, View,
};
use crate::mark::{self, Mark, MarkedDisk, MarkedNic};
use crate::model::{
    AllowReboot, Bytes, Config, Currency, Desired, DiskSpec, EndpointName, Firmware, GuestAgent, GuestOs, Hot,
    HypervisorType, ImageTarget, Money, NetworkTarget, NicSpec, ObservedDisk, ObservedNic, ObservedVm, OnRemove,
    Origin, OwnId, Placed, Placement, PowerState, Price, Prune, Revision, Shutdown, SyncPolicy, Tier, TierName,
    VmConfig, VmKey, VmSpec,
};

/// Whose marks are ours.
pub const INSTALLATION: &str = "prod";

/// Everything a plan depends on, owned and open to change.
#[derive(Debug, Clone)]
pub struct World {
    pub now: Timestamp,
    pub desired: Desired,
    pub source: SourceTrust,
    pub inventory: Inventory,
    pub history: History,
    pub policy: Policy,
    pub approvals: BTreeSet<String>,
}

pub fn key(text: &str) -> VmKey {
    VmKey::parse(text).unwrap()
}

pub fn endpoint(text: &str) -> EndpointName {
    EndpointName::new(text).unwrap()
}

pub fn tier_name(text: &str) -> TierName {
    TierName::new(text).unwrap()
}

pub fn network(name: &str) -> NetworkTarget {
    NetworkTarget { name: name.to_owned(), vlan: None }
}

pub fn tier(name: &str, endpoints: &[&str]) -> Tier {
    let money = |text: &str| Money::parse(text).unwrap();
    Tier {
        name: tier_name(name),
        description: None,
        hypervisor: Some(HypervisorType::Vsphere),
        endpoints: endpoints.iter().map(|name| endpoint(name)).collect(),
        placement: Placement { storage: Some("flash".to_owned()), ..Placement::default() },
        images: BTreeMap::from([("debian".to_owned(), ImageTarget { source: "tmpl".to_owned(), mode: None })]),
        networks: BTreeMap::from([("app".to_owned(), network("PG-APP")), ("db".to_owned(), network("PG-DB"))]),
        storage: BTreeMap::from([("fast".to_owned(), "nvme".to_owned())]),
        price: Some(Price {
            currency: Currency::new("USD").unwrap(),
            vcpu_hour: money("0.01"),
            memory_gib_hour: money("0.01"),
            storage_gib_month: money("0.1"),
            vm_month: money("1"),
        }),
        sync: SyncPolicy { prune: Prune::Auto, grace_days: 7 },
        firmware: None,
        allow_reboot: None,
        origin: Origin::default(),
    }
}

pub fn spec(name: &str) -> VmSpec {
    VmSpec {
        key: key(name),
        labels: Arc::default(),
        tier: tier_name("t1"),
        instance_type: None,
        cpus: 2,
        memory: Bytes::gib(4),
        image: Some("debian".into()),
        guest_os: GuestOs::Linux,
        firmware: Firmware::Uefi,
        disks: vec![disk("root", 20)],
        nics: vec![nic("eth0", "app")],
        power: None,
        cloud_init: None,
        prevent_destroy: false,
        on_remove: OnRemove::Delete,
        allow_reboot: AllowReboot::Never,
        shutdown: Shutdown::default(),
        delete_disks: false,
        ignore_drift: Arc::default(),
        depends_on: BTreeSet::new(),
        renamed_from: None,
        adopt: None,
        origin: Origin::default(),
    }
}

pub fn disk(name: &str, gib: u64) -> DiskSpec {
    DiskSpec { name: name.into(), size: Bytes::gib(gib), storage: None }
}

pub fn nic(name: &str, network: &str) -> NicSpec {
    NicSpec { name: name.into(), network: network.into(), mac: None, addresses: vec![], gateway: None }
}

pub fn identity(spec: &VmSpec) -> uuid::Uuid {
    mark::identity(INSTALLATION, &spec.key, 0)
}

/// The VM of a manifest, as it was applied long ago and nobody touched since.
pub fn applied(spec: &VmSpec, tier: &Tier) -> ObservedVm {
    let identity = identity(spec);
    let mut vm = bare(&identity.to_string(), spec.key.name().as_str(), spec, tier);
    let config = config_mut(&mut vm);
    let marked = |disk: &ObservedDisk| MarkedDisk {
        slot: Some(disk.slot.to_string()),
        id: disk.id.as_deref().map(str::to_owned),
        file: None,
        deleting: false,
    };
    let nic = |nic: &ObservedNic| MarkedNic { mac: Some(nic.mac.to_string()), slot: Some(nic.slot.to_string()) };
    let mark = Mark {
        version: 1,
        installation: INSTALLATION.to_owned(),
        key: spec.key.clone(),
        identity,
        own_id: Some(OwnId::new(&identity.to_string())),
        tier: spec.tier.clone(),
        generation: 5,
        pending: None,
        protection: diff::wanted_protection(spec, tier),
        retired: None,
        disks: spec.disks.iter().zip(&config.disks).map(|(spec, disk)| (spec.name.to_string(), marked(disk))).collect(),
        nics: spec.nics.iter().zip(&config.nics).map(|(spec, found)| (spec.name.to_string(), nic(found))).collect(),
        applied: Some(diff::next_applied(spec, tier, None, None)),
    };
    config.mark = Some(mark::write(&mark));
    vm
}

/// A running VM with the hardware of a manifest and no mark.
pub fn bare(id: &str, name: &str, spec: &VmSpec, tier: &Tier) -> ObservedVm {
    let disks = spec.disks.iter().enumerate().map(|(n, disk)| ObservedDisk {
        id: Some(format!("{id}-disk-{n}").into()),
        slot: format!("scsi0:{n}").into(),
        size: disk.size,
        storage: Some("flash".into()),
        file: Some(format!("[flash] {name}/{}-{n}.vmdk", disk.name).into()),
        parent: None,
        shared: false,
    });
    let hash = mark::identity("mac", &key(&format!("mac/{name}")), 0).to_string();
    let nics = spec.nics.iter().enumerate().map(|(n, nic)| ObservedNic {
        slot: (4000 + n).to_string().into(),
        mac: format!("00:50:56:{}:{}:{n:02x}", &hash[0..2], &hash[2..4]).into(),
        network: tier.networks.get(&*nic.network).cloned(),
        connected: true,
    });
    let config = VmConfig {
        cpus: spec.cpus,
        memory: spec.memory,
        firmware: spec.firmware,
        guest_os: spec.guest_os,
        power: PowerState::Running,
        template: false,
        disks: disks.collect(),
        nics: nics.collect(),
        snapshots: false,
        question: None,
        guest_agent: GuestAgent::Running,
        hot: Hot { disks: true, grow_disk: true, nics: true, nic_network: true, ..Hot::default() },
        mark: None,
        addresses: vec![],
    };
    ObservedVm {
        id: OwnId::new(id),
        handle: "vm-1".into(),
        name: name.into(),
        placed: Placed { host: Some("esx-1".into()), ..Placed::default() },
        config: Config::Readable(Arc::new(config)),
    }
}

pub fn config_mut(vm: &mut ObservedVm) -> &mut VmConfig {
    match &mut vm.config {
        Config::Readable(config) => Arc::make_mut(config),
        Config::Unreadable(why) => panic!("unreadable: {why}"),
    }
}

/// Changes the mark on a VM as a program would that can write it.
pub fn remark(vm: &mut ObservedVm, change: impl FnOnce(&mut Mark)) {
    let config = config_mut(vm);
    let mut mark = mark::parse(config.mark.as_deref().unwrap()).unwrap();
    change(&mut mark);
    config.mark = Some(mark::write(&mark));
}

pub fn observed(vms: Vec<ObservedVm>) -> Observed {
    let host =
        |name: &str| Host { name: name.into(), cluster: None, datacenter: None, memory: Bytes::gib(256), usable: true };
    let storage = |name: &str| Storage {
        name: name.into(),
        datacenter: None,
        capacity: Bytes(Bytes::TIB),
        free: Bytes::gib(900),
        hosts: vec![],
        usable: true,
    };
    let network = |name: &str| Network { target: network(name), datacenter: None, hosts: vec![] };
    Observed {
        capabilities: Capabilities {
            hypervisor: HypervisorType::Vsphere,
            product: "a vCenter".to_owned(),
            create_from_image: true,
            create_blank: true,
            cloud_init: true,
            own_id_is_identity: true,
            names_by_folder: true,
        },
        incomplete: None,
        vms,
        catalog: Catalog {
            hosts: vec![host("esx-1"), host("esx-2")],
            storage: vec![storage("flash"), storage("nvme")],
            networks: vec![network("PG-APP"), network("PG-DB")],
            images: vec![Image {
                source: "tmpl".into(),
                datacenter: None,
                disks: vec![Bytes::gib(10)],
                firmware: None,
            }],
            folders: vec![],
            resource_pools: vec![],
        },
        missing: BTreeMap::new(),
    }
}

impl World {
    /// Tier `t1` on endpoint `vc`; each of these manifests was applied long ago, and was seen before.
    pub fn of(specs: &[VmSpec]) -> Self {
        let tier = tier("t1", &["vc"]);
        let vms = specs.iter().map(|spec| applied(spec, &tier)).collect();
        let mut world = Self {
            now: "2026-03-02T12:00:00Z".parse().unwrap(),
            desired: Desired {
                revision: Revision("r1".to_owned()),
                tiers: BTreeMap::from([(tier.name.clone(), tier)]),
                vms: specs.iter().map(|spec| (spec.key.clone(), Arc::new(spec.clone()))).collect(),
            },
            source: SourceTrust::Settled,
            inventory: Inventory::default(),
            history: History::default(),
            policy: Policy {
                installation: INSTALLATION.to_owned(),
                endpoints: BTreeMap::new(),
                limits: Limits::default(),
            },
            approvals: BTreeSet::new(),
        };
        world.add_endpoint("vc", vms);
        world.remember();
        world
    }

    /// The fleet `app/vm-00` and so on.
    pub fn fleet(number: usize) -> Self {
        Self::of(&(0..number).map(|n| spec(&format!("app/vm-{n:02}"))).collect::<Vec<_>>())
    }

    pub fn add_endpoint(&mut self, name: &str, vms: Vec<ObservedVm>) {
        let answer =
            EndpointInventory { generation: 3, taken_at: self.now, view: View::Observed(Box::new(observed(vms))) };
        self.inventory.endpoints.insert(endpoint(name), answer);
        let settings = EndpointPolicy {
            hypervisor: HypervisorType::Vsphere,
            manage: Manage::Enforce,
            state: EndpointState::Active,
        };
        self.policy.endpoints.insert(endpoint(name), settings);
    }

    /// What is there now becomes what was last seen.
    pub fn remember(&mut self) {
        for (name, answer) in &self.inventory.endpoints {
            if let Some(last) = memory::remember(self.history.last.get(name), answer, INSTALLATION, true) {
                self.history.last.insert(name.clone(), last);
            }
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&PlanInput {
            now: self.now,
            desired: &self.desired,
            source: self.source,
            inventory: &self.inventory,
            history: &self.history,
            policy: &self.policy,
            approvals: &self.approvals,
            user_data: &BTreeMap::new(),
        })
    }

    pub fn seen(&mut self) -> &mut Observed {
        match &mut self.inventory.endpoints.get_mut(&endpoint("vc")).unwrap().view {
            View::Observed(observed) => observed,
            View::Unreachable(why) => panic!("{why}"),
        }
    }

    pub fn vm(&mut self, name: &str) -> &mut ObservedVm {
        self.seen().vms.iter_mut().find(|vm| &*vm.name == name).unwrap()
    }

    pub fn config(&mut self, name: &str) -> &mut VmConfig {
        config_mut(self.vm(name))
    }

    pub fn spec(&mut self, name: &str) -> &mut VmSpec {
        Arc::make_mut(self.desired.vms.get_mut(&key(name)).unwrap())
    }

    pub fn want(&mut self, spec: VmSpec) {
        self.desired.vms.insert(spec.key.clone(), Arc::new(spec));
    }

    /// The manifest is removed from Git.
    pub fn unwant(&mut self, name: &str) {
        self.desired.vms.remove(&key(name)).unwrap();
    }

    /// Somebody removes the VM on the hypervisor.
    pub fn vanish(&mut self, name: &str) -> ObservedVm {
        let at = self.seen().vms.iter().position(|vm| &*vm.name == name).unwrap();
        self.seen().vms.remove(at)
    }

    /// A direct read of a missing VM says so.
    pub fn read_missing(&mut self, vm: &ObservedVm, answer: Missing) {
        self.seen().missing.insert(vm.id.clone(), answer);
    }

    pub fn pass(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    /// A retire that we did so many hours ago, of a VM nobody remembers.
    pub fn destroyed(&mut self, n: usize, hours_ago: i64) {
        self.history.destroys.push(Destroyed {
            at: self.now - SignedDuration::from_hours(hours_ago),
            tier: tier_name("t1"),
            endpoint: endpoint("vc"),
            own_id: OwnId::new(&format!("gone-{n}")),
            key: key(&format!("app/gone-{n}")),
            after_retire: false,
            deleted: false,
        });
    }

    /// Approves what waits for this key.
    pub fn approve(&mut self, name: &str) {
        let digest = self.plan().blocked_of(name).digest.clone().expect("it waits for an approval");
        self.approvals.insert(digest.short().to_owned());
    }
}

impl Plan {
    pub(crate) fn step_of(&self, name: &str) -> &Step {
        let found = self.steps.iter().find(|step| step.key == key(name));
        found.unwrap_or_else(|| panic!("no step for {name}: {:#?}", self.blocked))
    }

    pub(crate) fn blocked_of(&self, name: &str) -> &Blocked {
        let found = self.blocked.iter().find(|blocked| blocked.key == key(name));
        found.unwrap_or_else(|| panic!("{name} is not blocked: {:#?}", self.steps))
    }

    pub(crate) fn actions(&self) -> Vec<(String, Action)> {
        self.steps.iter().map(|step| (step.key.name().to_string(), step.action)).collect()
    }

    pub(crate) fn codes(&self) -> Vec<(String, BlockCode)> {
        self.blocked.iter().map(|blocked| (blocked.key.name().to_string(), blocked.code)).collect()
    }
}
