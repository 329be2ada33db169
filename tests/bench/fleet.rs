//! A fleet of plain values in sync, for benches: desired, observed and remembered agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tierwright::inventory::{Capabilities, Catalog, EndpointInventory, Host, Inventory, Observed, View};
use tierwright::mark::{self, Applied, Mark, MarkedDisk, MarkedNic, Protection};
use tierwright::model::{
    AllowReboot, Bytes, Config, Currency, Desired, DiskSpec, EndpointName, Firmware, GuestAgent, GuestOs, Hot,
    HypervisorType, Money, NetworkTarget, NicSpec, ObservedDisk, ObservedNic, ObservedVm, OnRemove, Origin, OwnId,
    Placed, Placement, PowerState, Price, Prune, Revision, Shutdown, SyncPolicy, Tier, TierName, VmConfig, VmKey,
    VmSpec, Words,
};
use tierwright::plan::{
    EndpointPolicy, EndpointState, History, Limits, Manage, PlanInput, Policy, SourceTrust, memory,
};
use uuid::Uuid;

/// Everything a plan is made from.
pub struct Fleet {
    pub desired: Desired,
    pub inventory: Inventory,
    pub history: History,
    pub policy: Policy,
    none: BTreeSet<String>,
    no_data: BTreeMap<VmKey, tierwright::model::Secret>,
}

impl Fleet {
    /// So many VMs on one endpoint.
    pub fn of(vms: u32) -> Self {
        let endpoint = EndpointName::new("vc-prod").unwrap();
        let mut words = Words::default();
        let specs: Vec<VmSpec> = (0..vms).map(|n| spec(n, &mut words)).collect();
        let mut listed: Vec<ObservedVm> = specs.iter().map(|spec| observed(spec, &mut words)).collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        let answer =
            EndpointInventory { generation: 7, taken_at: now(), view: View::Observed(Box::new(answer(listed))) };
        let last = memory::remember(None, &answer, "prod", true).unwrap();
        let manage = EndpointPolicy {
            hypervisor: HypervisorType::Vsphere,
            manage: Manage::Enforce,
            state: EndpointState::Active,
        };
        Self {
            desired: Desired {
                revision: Revision("1".into()),
                tiers: BTreeMap::from([(tier_name(), tier(&endpoint))]),
                vms: specs.into_iter().map(|spec| (spec.key.clone(), Arc::new(spec))).collect(),
            },
            inventory: Inventory { endpoints: BTreeMap::from([(endpoint.clone(), answer)]) },
            history: History { last: BTreeMap::from([(endpoint.clone(), last)]), ..History::default() },
            policy: Policy {
                installation: "prod".into(),
                endpoints: BTreeMap::from([(endpoint, manage)]),
                limits: Limits::default(),
            },
            none: BTreeSet::new(),
            no_data: BTreeMap::new(),
        }
    }

    /// As the planner takes it.
    pub fn input(&self) -> PlanInput<'_> {
        PlanInput {
            now: now(),
            desired: &self.desired,
            source: SourceTrust::Settled,
            inventory: &self.inventory,
            history: &self.history,
            policy: &self.policy,
            approvals: &self.none,
            user_data: &self.no_data,
        }
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn tier_name() -> TierName {
    TierName::new("tier-1").unwrap()
}

fn network() -> NetworkTarget {
    NetworkTarget { name: "PG-APP-10".into(), vlan: None }
}

fn tier(endpoint: &EndpointName) -> Tier {
    let money = |text: &str| Money::parse(text).unwrap();
    Tier {
        name: tier_name(),
        description: None,
        hypervisor: Some(HypervisorType::Vsphere),
        endpoints: vec![endpoint.clone()],
        placement: Placement { cluster: Some("gold".into()), ..Placement::default() },
        images: BTreeMap::new(),
        networks: BTreeMap::from([("app".into(), network())]),
        storage: BTreeMap::new(),
        price: Some(Price {
            currency: Currency::new("USD").unwrap(),
            vcpu_hour: money("0.025"),
            memory_gib_hour: money("0.008"),
            storage_gib_month: money("0.25"),
            vm_month: money("40"),
        }),
        sync: SyncPolicy::default(),
        firmware: None,
        allow_reboot: None,
        origin: Origin::default(),
    }
}

fn spec(n: u32, words: &mut Words) -> VmSpec {
    let mut disk = |name: &str, gib| DiskSpec { name: words.one(name), size: Bytes::gib(gib), storage: None };
    VmSpec {
        disks: vec![disk("root", 40), disk("data", 200)],
        key: VmKey::new(&format!("team-{:03}", n % 97), &format!("vm-{n:06}")).unwrap().sharing(words),
        labels: Arc::default(),
        tier: tier_name(),
        instance_type: None,
        cpus: 4,
        memory: Bytes::gib(16),
        image: Some(words.one("debian-12")),
        guest_os: GuestOs::Linux,
        firmware: Firmware::Uefi,
        nics: vec![NicSpec {
            name: words.one("eth0"),
            network: words.one("app"),
            mac: None,
            addresses: vec![],
            gateway: None,
        }],
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

fn mark_of(spec: &VmSpec, identity: Uuid, id: &OwnId, mac: &str, disks: &[ObservedDisk]) -> Mark {
    let marked = |disk: &ObservedDisk| MarkedDisk {
        slot: Some(disk.slot.to_string()),
        id: disk.id.as_deref().map(str::to_owned),
        file: None,
        deleting: false,
    };
    Mark {
        version: 1,
        installation: "prod".into(),
        key: spec.key.clone(),
        identity,
        own_id: Some(id.clone()),
        tier: spec.tier.clone(),
        generation: 3,
        pending: None,
        protection: Protection {
            prevent_destroy: false,
            on_remove: OnRemove::Delete,
            prune: Prune::Confirm,
            grace_days: 7,
            delete_disks: false,
            shutdown: Shutdown::default(),
        },
        retired: None,
        disks: spec.disks.iter().zip(disks).map(|(spec, disk)| (spec.name.to_string(), marked(disk))).collect(),
        nics: BTreeMap::from([("eth0".into(), MarkedNic { mac: Some(mac.to_owned()), slot: Some("4000".into()) })]),
        applied: Some(Applied {
            cpus: spec.cpus,
            memory: spec.memory,
            power: None,
            image: spec.image.as_deref().map(str::to_owned),
            user_data: None,
            disks: spec.disks.iter().map(|disk| (disk.name.to_string(), disk.size)).collect(),
            nics: BTreeMap::from([("eth0".into(), network())]),
        }),
    }
}

fn observed(spec: &VmSpec, words: &mut Words) -> ObservedVm {
    let identity = mark::identity("prod", &spec.key, 0);
    let id = OwnId::new(&identity.to_string());
    let mac = format!("00:50:56:{}:{}:{}", &id.as_str()[0..2], &id.as_str()[2..4], &id.as_str()[4..6]);
    let disks: Vec<ObservedDisk> = (spec.disks.iter().enumerate())
        .map(|(n, disk)| ObservedDisk {
            id: Some(format!("6000c29{n}-{identity}").into()),
            slot: words.one(&format!("scsi0:{n}")),
            size: disk.size,
            storage: Some(words.one("flash")),
            file: Some(format!("[flash] {}/{}.vmdk", spec.key.name(), disk.name).into()),
            parent: None,
            shared: false,
        })
        .collect();
    let mark = mark_of(spec, identity, &id, &mac, &disks);
    let config = VmConfig {
        cpus: spec.cpus,
        memory: spec.memory,
        firmware: spec.firmware,
        guest_os: spec.guest_os,
        power: PowerState::Running,
        template: false,
        disks,
        nics: vec![ObservedNic { slot: words.one("4000"), mac: mac.into(), network: Some(network()), connected: true }],
        snapshots: false,
        question: None,
        guest_agent: GuestAgent::Running,
        hot: Hot::default(),
        mark: Some(mark::write(&mark)),
        addresses: vec![],
    };
    ObservedVm {
        id,
        handle: "vm-1".into(),
        name: spec.key.name().as_str().into(),
        placed: Placed::default(),
        config: Config::Readable(Arc::new(config)),
    }
}

fn answer(vms: Vec<ObservedVm>) -> Observed {
    let host: Arc<str> = "esx-1".into();
    Observed {
        capabilities: Capabilities {
            hypervisor: HypervisorType::Vsphere,
            product: "VMware vCenter Server 8.0.3".into(),
            create_from_image: true,
            create_blank: true,
            cloud_init: true,
            own_id_is_identity: true,
            names_by_folder: true,
        },
        incomplete: None,
        vms,
        catalog: Catalog {
            hosts: vec![Host { name: host, cluster: None, datacenter: None, memory: Bytes::gib(1024), usable: true }],
            ..Catalog::default()
        },
        missing: BTreeMap::new(),
    }
}
