//! Fleets of plain values: short to write, complete, and the same every time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tierwright::inventory::{
    Capabilities, Catalog, EndpointInventory, Folder, Host, Image, Inventory, Network, Observed, Storage, View,
};
use tierwright::mark::{Applied, Mark, MarkedDisk, MarkedNic, Protection};
use tierwright::model::{
    AllowReboot, Bytes, CloudInit, Config, Currency, Desired, Digest, DiskSpec, EndpointName, Firmware, GuestAgent,
    GuestOs, Hot, HypervisorType, ImageTarget, Money, NetworkTarget, NicSpec, ObservedDisk, ObservedNic, ObservedVm,
    OnRemove, Origin, OwnId, Placed, Placement, PowerGoal, PowerState, Price, Prune, Revision, Secret, Shutdown,
    SyncPolicy, Tier, TierName, VmConfig, VmKey, VmSpec,
};
use tierwright::plan::{EndpointPolicy, EndpointState, History, Limits, Manage, PlanInput, Policy, SourceTrust};
use uuid::Uuid;

/// The installation of all tests.
pub const INSTALLATION: &str = "prod";

/// A Monday at noon.
pub fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

pub fn key(text: &str) -> VmKey {
    VmKey::parse(text).unwrap()
}

pub fn tier_name(text: &str) -> TierName {
    TierName::new(text).unwrap()
}

pub fn endpoint_name(text: &str) -> EndpointName {
    EndpointName::new(text).unwrap()
}

pub fn network(name: &str) -> NetworkTarget {
    NetworkTarget { name: name.into(), vlan: None }
}

/// A tier on some endpoints, with every word that the tests use.
pub fn tier(name: &str, endpoints: &[&str]) -> Tier {
    let money = |text| Money::parse(text).unwrap();
    Tier {
        name: tier_name(name),
        description: None,
        hypervisor: Some(HypervisorType::Vsphere),
        endpoints: endpoints.iter().map(|name| endpoint_name(name)).collect(),
        placement: Placement {
            cluster: Some("gold".into()),
            folder: Some("prod".into()),
            storage: Some("flash".into()),
            ..Placement::default()
        },
        images: BTreeMap::from([("debian-12".into(), ImageTarget { source: "tmpl-debian-12".into(), mode: None })]),
        networks: BTreeMap::from([("app".into(), network("PG-APP")), ("db".into(), network("PG-DB"))]),
        storage: BTreeMap::from([("fast".into(), "nvme".into())]),
        price: Some(Price {
            currency: Currency::new("USD").unwrap(),
            vcpu_hour: money("0.01"),
            memory_gib_hour: money("0.005"),
            storage_gib_month: money("0.10"),
            vm_month: money("5"),
        }),
        sync: SyncPolicy { prune: Prune::Auto, grace_days: 7 },
        firmware: None,
        allow_reboot: None,
        origin: Origin::default(),
    }
}

/// A small desired VM of tier-1.
pub fn spec(name: &str) -> VmSpec {
    VmSpec {
        key: key(name),
        labels: Arc::default(),
        tier: tier_name("tier-1"),
        instance_type: None,
        cpus: 2,
        memory: Bytes::gib(4),
        image: Some("debian-12".into()),
        guest_os: GuestOs::Linux,
        firmware: Firmware::Uefi,
        disks: vec![DiskSpec { name: "root".into(), size: Bytes::gib(20), storage: None }],
        nics: vec![NicSpec { name: "eth0".into(), network: "app".into(), mac: None, addresses: vec![], gateway: None }],
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

/// What a manifest folder would say: the revision follows from the content, as that of a folder does.
pub fn desired(tiers: Vec<Tier>, vms: Vec<VmSpec>) -> Desired {
    let revision = Revision(Digest::of(format!("{tiers:?}{vms:?}").as_bytes()).short().to_owned());
    Desired {
        revision,
        tiers: tiers.into_iter().map(|tier| (tier.name.clone(), tier)).collect(),
        vms: vms.into_iter().map(|vm| (vm.key.clone(), Arc::new(vm))).collect(),
    }
}

/// A VM as it looks on its hypervisor once a manifest was applied, before anybody changes either.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub vm: ObservedVm,
    pub mark: Option<Mark>,
}

impl Deployed {
    /// As `spec` on `tier` would have been applied.
    pub fn of(spec: &VmSpec, tier: &Tier) -> Self {
        let identity = identity_of(&spec.key);
        let own_id = OwnId::new(&identity.to_string());
        let disks: Vec<_> = spec.disks.iter().map(|disk| (&*disk.name, disk.size)).collect();
        let nics: Vec<_> = spec.nics.iter().map(|nic| (&*nic.name, tier.networks[&*nic.network].clone())).collect();
        let mut deployed = Self::bare(spec.key.name().as_str(), own_id, (spec.cpus, spec.memory), &disks, &nics);
        if spec.power == Some(PowerGoal::Stopped) {
            deployed.config().power = PowerState::Stopped;
        }
        deployed.config().firmware = spec.firmware;
        deployed.config().guest_os = spec.guest_os;
        let mut mark = deployed.own_mark(&spec.key, &spec.tier, &disks, &nics);
        mark.protection = Protection {
            prevent_destroy: spec.prevent_destroy,
            on_remove: spec.on_remove,
            prune: tier.sync.prune,
            grace_days: tier.sync.grace_days,
            delete_disks: spec.delete_disks,
            shutdown: spec.shutdown,
        };
        let applied = mark.applied.as_mut().expect("own_mark sets it");
        applied.power = spec.power;
        applied.image = spec.image.as_deref().map(str::to_owned);
        for (nic, spec) in deployed.config().nics.iter_mut().zip(&spec.nics) {
            if let Some(mac) = &spec.mac {
                nic.mac = mac.as_str().into();
            }
        }
        for (marked, nic) in spec.nics.iter().zip(deployed.config().nics.clone()) {
            mark.nics.get_mut(&*marked.name).expect("same names").mac = Some(nic.mac.to_string());
        }
        deployed.mark = Some(mark);
        deployed
    }

    /// A running VM without a mark.
    pub fn bare(
        name: &str,
        own_id: OwnId,
        (cpus, memory): (u32, Bytes),
        disks: &[(&str, Bytes)],
        nics: &[(&str, NetworkTarget)],
    ) -> Self {
        let disks = disks.iter().enumerate().map(|(n, (_, size))| disk(&own_id, name, n, *size)).collect();
        let nics = nics.iter().enumerate().map(|(n, (_, network))| nic(&own_id, n, network.clone())).collect();
        let config = VmConfig {
            cpus,
            memory,
            firmware: Firmware::Uefi,
            guest_os: GuestOs::Linux,
            power: PowerState::Running,
            template: false,
            disks,
            nics,
            snapshots: false,
            question: None,
            guest_agent: GuestAgent::Running,
            hot: usual_hot(),
            mark: None,
            addresses: vec![],
        };
        let placed = Placed {
            host: Some("esx-1".into()),
            cluster: Some("gold".into()),
            folder: Some("prod".into()),
            datacenter: None,
        };
        let handle: Arc<str> = format!("vm-{}", &own_id.as_str()[..8.min(own_id.as_str().len())]).into();
        let vm =
            ObservedVm { id: own_id, handle, name: name.into(), placed, config: Config::Readable(Arc::new(config)) };
        Self { vm, mark: None }
    }

    /// The mark that fits this VM as it is.
    pub fn own_mark(
        &self,
        key: &VmKey,
        tier: &TierName,
        disks: &[(&str, Bytes)],
        nics: &[(&str, NetworkTarget)],
    ) -> Mark {
        let config = self.vm.readable().expect("deployed VMs can be read");
        let marked = |disk: &ObservedDisk| MarkedDisk {
            slot: Some(disk.slot.to_string()),
            id: disk.id.as_ref().map(ToString::to_string),
            file: None,
            deleting: false,
        };
        let nic_of = |nic: &ObservedNic| MarkedNic { mac: Some(nic.mac.to_string()), slot: Some(nic.slot.to_string()) };
        Mark {
            version: 1,
            installation: INSTALLATION.into(),
            key: key.clone(),
            identity: identity_of(key),
            own_id: Some(self.vm.id.clone()),
            tier: tier.clone(),
            generation: 1,
            pending: None,
            protection: Protection {
                prevent_destroy: false,
                on_remove: OnRemove::Delete,
                prune: Prune::Auto,
                grace_days: 7,
                delete_disks: false,
                shutdown: Shutdown::default(),
            },
            retired: None,
            disks: disks.iter().zip(&config.disks).map(|((name, _), disk)| ((*name).into(), marked(disk))).collect(),
            nics: nics.iter().zip(&config.nics).map(|((name, _), nic)| ((*name).into(), nic_of(nic))).collect(),
            applied: Some(Applied {
                cpus: config.cpus,
                memory: config.memory,
                power: None,
                image: Some("debian-12".into()),
                user_data: None,
                disks: disks.iter().map(|(name, size)| ((*name).into(), *size)).collect(),
                nics: nics.iter().map(|(name, network)| ((*name).into(), network.clone())).collect(),
            }),
        }
    }

    /// Its configuration, to change it behind tierwright's back.
    pub fn config(&mut self) -> &mut VmConfig {
        match &mut self.vm.config {
            Config::Readable(config) => Arc::make_mut(config),
            Config::Unreadable(why) => panic!("this VM cannot be read: {why}"),
        }
    }

    /// The VM with its mark written on it.
    pub fn observed(mut self) -> ObservedVm {
        if let Some(mark) = self.mark.take() {
            self.config().mark = Some(serde_json::to_string(&mark).unwrap());
        }
        self.vm
    }
}

/// The identity that a VM of that first key has.
pub fn identity_of(key: &VmKey) -> Uuid {
    tierwright::mark::identity(INSTALLATION, key, 0)
}

/// What a running Linux VM on vSphere usually allows: no hot-add of CPU and memory.
pub fn usual_hot() -> Hot {
    Hot { disks: true, grow_disk: true, nics: true, nic_network: true, ..Hot::default() }
}

/// The nth disk of a VM.
pub fn disk(own_id: &OwnId, vm_name: &str, n: usize, size: Bytes) -> ObservedDisk {
    ObservedDisk {
        id: Some(format!("{own_id}-disk-{n}").into()),
        slot: format!("scsi0:{n}").into(),
        size,
        storage: Some("flash".into()),
        file: Some(format!("[flash] {vm_name}/{vm_name}_{n}.vmdk").into()),
        parent: None,
        shared: false,
    }
}

/// The nth NIC of a VM. Its MAC follows from the VM's id, in VMware's range.
pub fn nic(own_id: &OwnId, n: usize, network: NetworkTarget) -> ObservedNic {
    let digest = Digest::of(format!("{own_id}/{n}").as_bytes());
    let hex = &digest.as_str()[..6];
    let mac = format!("00:50:56:{}:{}:{}", &hex[..2], &hex[2..4], &hex[4..]);
    ObservedNic { slot: format!("{}", 4000 + n).into(), mac: mac.into(), network: Some(network), connected: true }
}

/// An endpoint that answered: two hosts, two datastores, two networks, one template, much room.
pub fn observed(vms: Vec<ObservedVm>) -> Observed {
    let names = |names: &[&str]| names.iter().map(|name| Arc::<str>::from(*name)).collect::<Vec<_>>();
    let host =
        |name| Host { name, cluster: Some("gold".into()), datacenter: None, memory: Bytes::gib(512), usable: true };
    let storage = |name| Storage {
        name,
        datacenter: None,
        capacity: Bytes::gib(20_000),
        free: Bytes::gib(10_000),
        hosts: vec![],
        usable: true,
    };
    let network = |name: Arc<str>| Network { target: network(&name), datacenter: None, hosts: vec![] };
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
            hosts: names(&["esx-1", "esx-2"]).into_iter().map(host).collect(),
            storage: names(&["flash", "nvme"]).into_iter().map(storage).collect(),
            networks: names(&["PG-APP", "PG-DB"]).into_iter().map(network).collect(),
            images: vec![Image {
                source: "tmpl-debian-12".into(),
                datacenter: None,
                disks: vec![Bytes::gib(10)],
                firmware: Some(Firmware::Uefi),
            }],
            folders: vec![Folder { path: "prod".into(), datacenter: None }],
            resource_pools: vec![],
        },
        missing: BTreeMap::new(),
    }
}

/// An inventory of endpoints that answered.
pub fn inventory(endpoints: Vec<(&str, Observed)>) -> Inventory {
    let entry = |(name, observed)| {
        let view = View::Observed(Box::new(observed));
        (endpoint_name(name), EndpointInventory { generation: 1, taken_at: noon(), view })
    };
    Inventory { endpoints: endpoints.into_iter().map(entry).collect() }
}

/// Endpoints that may be changed by anybody, and the usual limits.
pub fn policy(endpoints: &[&str]) -> Policy {
    let active =
        EndpointPolicy { hypervisor: HypervisorType::Vsphere, manage: Manage::Enforce, state: EndpointState::Active };
    Policy {
        installation: INSTALLATION.into(),
        endpoints: endpoints.iter().map(|name| (endpoint_name(name), active)).collect(),
        limits: Limits::default(),
    }
}

/// All that a plan needs, owned.
#[derive(Debug, Clone)]
pub struct Input {
    pub now: Timestamp,
    pub desired: Desired,
    pub source: SourceTrust,
    pub inventory: Inventory,
    pub history: History,
    pub policy: Policy,
    pub approvals: BTreeSet<String>,
}

impl Input {
    /// Borrows it as the planner wants it.
    pub fn plan(&self) -> tierwright::plan::Plan {
        self.plan_for().0
    }

    /// The plan, and until when it stands if nothing but the time moves.
    pub fn plan_for(&self) -> (tierwright::plan::Plan, Option<jiff::Timestamp>) {
        let user_data = user_data(&self.desired);
        let input = PlanInput {
            now: self.now,
            desired: &self.desired,
            source: self.source,
            inventory: &self.inventory,
            history: &self.history,
            policy: &self.policy,
            approvals: &self.approvals,
            user_data: &user_data,
        };
        let plan = tierwright::plan::plan(&input);
        let until = tierwright::plan::lasts_until(&input, &plan);
        (plan, until)
    }
}

/// The user data that the edge would have read.
fn user_data(desired: &Desired) -> BTreeMap<VmKey, Secret> {
    let inline = desired.vms.iter().filter_map(|(key, spec)| match &spec.cloud_init {
        Some(CloudInit::Inline(secret)) => Some((key.clone(), secret.clone())),
        _ => None,
    });
    inline.collect()
}
