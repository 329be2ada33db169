//! Random fleets on three endpoints, and what may befall an inventory.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;
use tierwright::inventory::{Missing, Observed, View};
use tierwright::mark::Retired;
use tierwright::model::{
    Adopt, AllowReboot, Bytes, Config, DiskSpec, EndpointName, NicSpec, ObservedVm, OnRemove, OwnId, PowerGoal,
    PowerState, Prune, Tier, VmSpec,
};
use tierwright::plan::{History, Limits, SourceTrust};

use crate::support::fleet::{self, Deployed, Input};
use crate::support::simulate::World;

const ENDPOINTS: [&str; 3] = ["vc-prod", "vc-lab", "vc-two"];

/// What has happened to one VM since it was applied, or instead.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// New in Git.
    New,
    /// Nothing.
    InSync,
    /// The manifest asks for more or less.
    Edited(Edit),
    /// Somebody changed the VM.
    Drifted(Drift),
    /// The file is gone.
    Removed { prune: Prune, protected: bool, grace_days: u32, release: bool },
    /// It was retired so many days ago; back in Git or not.
    Retired { days: u8, back: bool },
    /// No mark, not ours.
    Unmanaged,
    /// No mark, and the manifest says to take it over.
    Adopted,
    /// It has another key in Git now, and the manifest says so.
    Renamed,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    Memory(u64),
    Cpus(u32),
    GrowRoot,
    AddDisk,
    AddNic,
    OtherNetwork,
    Power(PowerGoal),
    Protect,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Drift {
    Memory,
    Network,
    Renamed,
    OtherHost,
    Stopped,
    ExtraDisk,
    Snapshot,
    Suspended,
    MarkGone,
}

/// One VM's part of a scene.
#[derive(Debug, Clone)]
pub struct Slot {
    fate: Fate,
    endpoint: usize,
    hot: bool,
    /// On the VM before it, if that one is in Git.
    depends: bool,
    reboot: AllowReboot,
}

/// A fleet and what became of it.
#[derive(Debug, Clone)]
pub struct Scene {
    slots: Vec<Slot>,
    limits: Limits,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (1u64..=8).prop_map(Edit::Memory),
        (1u32..=4).prop_map(Edit::Cpus),
        Just(Edit::GrowRoot),
        Just(Edit::AddDisk),
        Just(Edit::AddNic),
        Just(Edit::OtherNetwork),
        prop_oneof![Just(PowerGoal::Running), Just(PowerGoal::Stopped)].prop_map(Edit::Power),
        Just(Edit::Protect),
    ]
}

fn drift() -> impl Strategy<Value = Drift> {
    prop_oneof![
        Just(Drift::Memory),
        Just(Drift::Network),
        Just(Drift::Renamed),
        Just(Drift::OtherHost),
        Just(Drift::Stopped),
        Just(Drift::ExtraDisk),
        Just(Drift::Snapshot),
        Just(Drift::Suspended),
        Just(Drift::MarkGone),
    ]
}

fn removed() -> impl Strategy<Value = Fate> {
    let prune = prop_oneof![1 => Just(Prune::Never), 1 => Just(Prune::Confirm), 3 => Just(Prune::Auto)];
    (prune, prop::bool::weighted(0.2), prop_oneof![Just(0u32), Just(7)], prop::bool::weighted(0.2))
        .prop_map(|(prune, protected, grace_days, release)| Fate::Removed { prune, protected, grace_days, release })
}

fn slot() -> impl Strategy<Value = Slot> {
    let fate = prop_oneof![
        2 => Just(Fate::New),
        4 => Just(Fate::InSync),
        3 => edit().prop_map(Fate::Edited),
        3 => drift().prop_map(Fate::Drifted),
        2 => removed(),
        1 => (0u8..=20, any::<bool>()).prop_map(|(days, back)| Fate::Retired { days, back }),
        1 => Just(Fate::Unmanaged),
        1 => Just(Fate::Adopted),
        1 => Just(Fate::Renamed),
    ];
    let reboot = prop_oneof![Just(AllowReboot::Never), Just(AllowReboot::Always)];
    (fate, 0usize..3, any::<bool>(), prop::bool::weighted(0.2), reboot)
        .prop_map(|(fate, endpoint, hot, depends, reboot)| Slot { fate, endpoint, hot, depends, reboot })
}

/// A fleet of up to 14 VMs.
pub fn scene() -> impl Strategy<Value = Scene> {
    (proptest::collection::vec(slot(), 0..14), 1u32..=20, 0u32..=10).prop_map(|(slots, destroys, disruptions)| Scene {
        slots,
        limits: Limits { destroys_per_day: destroys, disruptions_per_run: disruptions, ..Limits::default() },
    })
}

/// A larger fleet in which all is as it was applied.
pub fn steady() -> impl Strategy<Value = Scene> {
    let slot = |endpoint| Slot { fate: Fate::InSync, endpoint, hot: false, depends: false, reboot: AllowReboot::Never };
    let slots = proptest::collection::vec((0usize..3).prop_map(slot), 16..30);
    slots.prop_map(|slots| Scene { slots, limits: Limits::default() })
}

/// tier-1 on one endpoint, tier-2 on two.
fn tiers() -> Vec<Tier> {
    vec![fleet::tier("tier-1", &ENDPOINTS[..1]), fleet::tier("tier-2", &ENDPOINTS[1..])]
}

impl Slot {
    /// As it was applied, however long ago.
    fn applied(&self, n: usize) -> VmSpec {
        let mut spec = fleet::spec(&format!("erp/vm-{n:02}"));
        spec.tier = fleet::tier_name(if self.endpoint == 0 { "tier-1" } else { "tier-2" });
        spec.allow_reboot = self.reboot;
        if self.fate == Fate::Drifted(Drift::Stopped) {
            spec.power = Some(PowerGoal::Running);
        }
        // Different disks, so that a removed VM and a new one do not look like a rename.
        spec.disks[0].name = format!("root-{n}").into();
        spec
    }

    fn desired(&self, n: usize) -> Option<VmSpec> {
        let mut spec = self.applied(n);
        match &self.fate {
            Fate::New | Fate::InSync | Fate::Drifted(_) | Fate::Retired { back: true, .. } => {}
            Fate::Edited(edit) => edit.make(&mut spec),
            Fate::Adopted => {
                let endpoint = fleet::endpoint_name(ENDPOINTS[self.endpoint]);
                spec.adopt = Some(Adopt { endpoint, id: own_id(n) });
            }
            Fate::Renamed => {
                spec.renamed_from = Some(spec.key);
                spec.key = fleet::key(&format!("erp/renamed-{n:02}"));
            }
            Fate::Removed { .. } | Fate::Retired { back: false, .. } | Fate::Unmanaged => return None,
        }
        Some(spec)
    }

    fn observed(&self, n: usize) -> Option<ObservedVm> {
        let spec = self.applied(n);
        let tier = tiers().into_iter().find(|tier| tier.name == spec.tier).expect("one of the two");
        let mut deployed = Deployed::of(&spec, &tier);
        let hot = self.hot;
        deployed.config().hot.add_memory = hot;
        deployed.config().hot.add_cpu = hot;
        let protection = &mut deployed.mark.as_mut().expect("just applied").protection;
        match &self.fate {
            Fate::New => return None,
            Fate::InSync | Fate::Edited(_) | Fate::Renamed => {}
            Fate::Drifted(drift) => drift.make(&mut deployed),
            Fate::Removed { prune, protected, grace_days, release } => {
                protection.prune = *prune;
                protection.prevent_destroy = *protected;
                protection.grace_days = *grace_days;
                protection.on_remove = if *release { OnRemove::Release } else { OnRemove::Delete };
            }
            Fate::Retired { days, .. } => retire(&mut deployed, *days),
            Fate::Unmanaged | Fate::Adopted => deployed.mark = None,
        }
        if self.fate == Fate::Adopted {
            deployed.vm.id = own_id(n);
        }
        Some(deployed.observed())
    }
}

/// The id of a VM that was there before tierwright.
fn own_id(n: usize) -> OwnId {
    OwnId::new(&format!("legacy-{n:02}"))
}

fn retire(deployed: &mut Deployed, days: u8) {
    let connected = deployed.config().nics.iter().map(|nic| nic.mac.to_string()).collect();
    let config = deployed.config();
    config.power = PowerState::Stopped;
    for nic in &mut config.nics {
        nic.connected = false;
    }
    let mark = deployed.mark.as_mut().expect("just applied");
    let name = mark.key.name().clone();
    let since = fleet::noon() - SignedDuration::from_hours(24 * i64::from(days));
    mark.retired = Some(Retired { since, name, running: true, connected, approved: false });
    deployed.vm.name = format!("{}-retired", deployed.vm.name).into();
}

impl Edit {
    fn make(&self, spec: &mut VmSpec) {
        match self {
            Self::Memory(gib) => spec.memory = Bytes::gib(*gib),
            Self::Cpus(cpus) => spec.cpus = *cpus,
            Self::GrowRoot => spec.disks[0].size = Bytes::gib(50),
            Self::AddDisk => {
                let storage = (spec.tier.as_str() == "tier-1").then(|| "fast".into());
                spec.disks.push(DiskSpec { name: "data".into(), size: Bytes::gib(10), storage });
            }
            Self::AddNic => spec.nics.push(NicSpec {
                name: "eth1".into(),
                network: "db".into(),
                mac: None,
                addresses: vec![],
                gateway: None,
            }),
            Self::OtherNetwork => spec.nics[0].network = "db".into(),
            Self::Power(power) => spec.power = Some(*power),
            Self::Protect => spec.prevent_destroy = true,
        }
    }
}

impl Drift {
    fn make(&self, deployed: &mut Deployed) {
        let own_id = deployed.vm.id.clone();
        let config = deployed.config();
        match self {
            Self::Memory => config.memory = Bytes::gib(6),
            Self::Network => config.nics[0].network = Some(fleet::network("PG-DB")),
            Self::Renamed => deployed.vm.name = format!("{} (old)", deployed.vm.name).into(),
            Self::OtherHost => deployed.vm.placed.host = Some("esx-2".into()),
            Self::Stopped => config.power = PowerState::Stopped,
            Self::ExtraDisk => config.disks.push(fleet::disk(&own_id, "usb", 5, Bytes::gib(7))),
            Self::Snapshot => config.snapshots = true,
            Self::Suspended => config.power = PowerState::Suspended,
            Self::MarkGone => deployed.mark = None,
        }
    }
}

impl Scene {
    /// Without what takes two plans by design.
    pub fn at_once(mut self) -> Self {
        self.slots.retain(|slot| slot.fate != Fate::Adopted);
        self
    }

    fn desired(&self) -> Vec<VmSpec> {
        let mut vms: Vec<VmSpec> = Vec::new();
        for (n, slot) in self.slots.iter().enumerate() {
            if let Some(mut spec) = slot.desired(n) {
                let before = vms.last().filter(|_| slot.depends).map(|before| before.key.clone());
                spec.depends_on.extend(before);
                vms.push(spec);
            }
        }
        vms
    }

    /// The scene as a planner's input; what was seen before is what was there before any drift.
    pub fn input(&self) -> Input {
        let slots = || self.slots.iter().enumerate();
        let on = |endpoint: usize, vm: &dyn Fn(&Slot, usize) -> Option<ObservedVm>| -> Observed {
            let vms = slots().filter(|(_, slot)| slot.endpoint == endpoint);
            let mut vms: Vec<_> = vms.filter_map(|(n, slot)| vm(slot, n)).collect();
            vms.sort_by(|a, b| a.id.cmp(&b.id));
            fleet::observed(vms)
        };
        let look = |vm: &dyn Fn(&Slot, usize) -> Option<ObservedVm>| {
            fleet::inventory(ENDPOINTS.iter().enumerate().map(|(n, name)| (*name, on(n, vm))).collect())
        };
        let undrifted = |slot: &Slot, n: usize| match slot.fate {
            Fate::Drifted(_) => Slot { fate: Fate::InSync, ..slot.clone() }.observed(n),
            _ => slot.observed(n),
        };
        let history: History = World::settled(look(&undrifted)).history;
        Input {
            now: fleet::noon(),
            desired: fleet::desired(tiers(), self.desired()),
            source: SourceTrust::Settled,
            inventory: look(&|slot, n| slot.observed(n)),
            history,
            policy: {
                let mut policy = fleet::policy(&ENDPOINTS);
                policy.limits = self.limits;
                policy
            },
            approvals: BTreeSet::new(),
        }
    }
}

/// What befalls an inventory: by endpoint, and by VM.
#[derive(Debug, Clone)]
pub struct Outage {
    endpoints: [Answer; 3],
    /// Bit n: the nth VM of an endpoint is hidden or unreadable.
    hidden: u16,
    unreadable: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Whole,
    Unreachable,
    Incomplete,
    /// Good-looking, and VMs are missing; direct reads do not say not-found.
    Silent,
}

/// Any mixture of trouble, often none.
pub fn outages() -> impl Strategy<Value = Outage> {
    let answer = || {
        prop_oneof![
            3 => Just(Answer::Whole),
            1 => Just(Answer::Unreachable),
            1 => Just(Answer::Incomplete),
            1 => Just(Answer::Silent)
        ]
    };
    ([answer(), answer(), answer()], any::<u16>(), any::<u16>(), any::<u16>())
        .prop_map(|(endpoints, hidden, a, b)| Outage { endpoints, hidden, unreadable: a & b })
}

impl Outage {
    /// May VMs be hidden on this endpoint as a whole?
    pub fn hides(&self, endpoint: &EndpointName) -> bool {
        let n = ENDPOINTS.iter().position(|name| *name == endpoint.as_str()).expect("one of the three");
        matches!(self.endpoints[n], Answer::Unreachable | Answer::Incomplete)
    }

    /// Changes what an input sees.
    pub fn strike(&self, input: &mut Input) {
        for (name, answer) in ENDPOINTS.iter().zip(self.endpoints) {
            let endpoint = input.inventory.endpoints.get_mut(&fleet::endpoint_name(name)).expect("all three answer");
            let View::Observed(observed) = &mut endpoint.view else { continue };
            match answer {
                Answer::Whole => {}
                Answer::Unreachable => endpoint.view = View::Unreachable("connection refused".into()),
                Answer::Incomplete => {
                    observed.incomplete = Some("page 2 is missing".into());
                    self.hide(observed);
                }
                Answer::Silent => {
                    for id in self.hide(observed) {
                        observed.missing.insert(id, Missing::Unknown("no permission".into()));
                    }
                    self.blind(observed);
                }
            }
        }
    }

    fn hide(&self, observed: &mut Observed) -> Vec<OwnId> {
        let is_hidden = |n: usize| self.hidden >> (n % 16) & 1 == 1;
        let gone =
            observed.vms.iter().enumerate().filter(|(n, _)| is_hidden(*n)).map(|(_, vm)| vm.id.clone()).collect();
        let mut n = 0;
        observed.vms.retain(|_| {
            n += 1;
            !is_hidden(n - 1)
        });
        gone
    }

    fn blind(&self, observed: &mut Observed) {
        for (n, vm) in observed.vms.iter_mut().enumerate() {
            if self.unreadable >> (n % 16) & 1 == 1 {
                vm.config = Config::Unreadable("the server sent no configuration".into());
            }
        }
    }
}

/// The same input with every list whose order means nothing in another order.
pub fn shuffled(input: &Input, seed: u64) -> Input {
    let mut input = input.clone();
    for endpoint in input.inventory.endpoints.values_mut() {
        if let View::Observed(observed) = &mut endpoint.view {
            turn(&mut observed.vms, seed);
            turn(&mut observed.catalog.hosts, seed);
            turn(&mut observed.catalog.storage, seed);
            turn(&mut observed.catalog.networks, seed);
        }
    }
    for last in input.history.last.values_mut() {
        turn(Arc::make_mut(&mut last.vms).as_mut_slice(), seed);
    }
    input
}

/// A rotation and, for odd seeds, a reversal: enough to move every element.
fn turn<T>(list: &mut [T], seed: u64) {
    if list.is_empty() {
        return;
    }
    let by = usize::try_from(seed % list.len() as u64).expect("less than the length");
    list.rotate_left(by);
    if seed % 2 == 1 {
        list.reverse();
    }
}
