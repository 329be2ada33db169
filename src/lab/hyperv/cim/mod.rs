//! The world as instances of CIM classes, as one host shows them.
//!
//! ```text
//! system.rs     computer systems, the settings of VMs and of their checkpoints
//! hardware.rs   processors, memory, controllers, drives, disks
//! network.rs    NICs, their connections and VLANs, switches, guests' addresses
//! guest.rs      integration components
//! host.rs       the host itself: root/cimv2, services, pools, defaults
//! files.rs      files and volumes
//! jobs.rs       jobs
//! cluster.rs    root/MSCluster
//! links.rs      associations
//! ```

mod cluster;
mod files;
mod guest;
mod hardware;
mod host;
mod jobs;
mod links;
mod network;
mod system;

pub(super) use files::{disk_settings, disk_state};
pub(super) use host::USER_DATA_ROOT;
pub(super) use network::switch_of;
pub(super) use system::enabled_state;

use uuid::Uuid;

use super::instance::{Instance, Reference, Value};
use super::jobs::Jobs;
use super::parts::{Owner, guid_in, upper};
use super::schema::{Class, family};
use super::wql::Condition;
use crate::lab::faults::{Effect, StateRules};
use crate::lab::world::{Id, Vm, World};

/// What a host looks at when it answers.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub world: &'a World,
    pub host: &'a Host,
    pub rules: &'a StateRules,
    pub jobs: &'a Jobs,
    /// Only what belongs to this VM or checkpoint is asked for; it is then shown though a rule hides it from listings.
    pub only: Option<Uuid>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lab) struct Host {
    /// Its number in the world.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The cluster it is a node of.
    pub cluster: Option<String>,
}

impl<'a> View<'a> {
    /// VMs here that may be seen, planned ones included.
    pub fn vms(&self) -> impl Iterator<Item = &'a Vm> + use<'a> {
        let Self { world, host, rules, only, .. } = *self;
        world.vms().filter(move |vm| {
            vm.host == host.id
                && !vm.template
                && only.is_none_or(|only| belongs(vm, only))
                && shown(rules, vm, only.is_some())
        })
    }

    /// Planned VMs, and those that are on their way here.
    pub fn planned(&self) -> impl Iterator<Item = &'a Vm> + use<'a> {
        let Self { world, host, only, .. } = *self;
        let arrives = move |vm: &&Vm| vm.wmi.as_ref().is_some_and(|wmi| wmi.moving_to == Some(host.id));
        let arriving = world.vms().filter(arrives).filter(move |vm| only.is_none_or(|only| belongs(vm, only)));
        self.vms().filter(|vm| is_planned(vm)).chain(arriving)
    }

    /// VMs that are VMs already.
    pub fn realized(&self) -> impl Iterator<Item = &'a Vm> + use<'a> {
        self.vms().filter(|vm| !is_planned(vm))
    }

    /// Whose settings can be read: VMs and their checkpoints.
    pub fn owners(&self) -> Vec<Owner<'a>> {
        let rules = self.rules;
        let only = self.only;
        let readable = move |vm: &&Vm| !holds(rules, &Effect::UnsetConfig, vm);
        let planned = self.planned().map(|vm| vec![Owner { planned: true, ..Owner::vm(vm) }]);
        let all = self.realized().filter(readable).map(Owner::all).chain(planned).flatten();
        all.filter(|owner| only.is_none_or(|only| owner.guid == only || owner.system == only)).collect()
    }
}

/// Does a rule's effect hold for a VM?
pub(super) fn holds(rules: &StateRules, effect: &Effect, vm: &Vm) -> bool {
    !rules.is_empty() && rules.holds(effect, &[&vm.name, &vm.instance_uuid.to_string(), &upper(vm.instance_uuid)])
}

/// May the account see a VM?
pub(super) fn denied(rules: &StateRules, vm: &Vm) -> bool {
    !rules.is_empty() && rules.denies(super::rights::HYPERV, &[&vm.name, &vm.instance_uuid.to_string()])
}

fn shown(rules: &StateRules, vm: &Vm, asked_for: bool) -> bool {
    let hidden = holds(rules, &Effect::Hide, vm) && !asked_for;
    !hidden && !denied(rules, vm)
}

pub(super) fn is_planned(vm: &Vm) -> bool {
    vm.wmi.as_ref().is_some_and(|wmi| wmi.planned)
}

fn belongs(vm: &Vm, guid: Uuid) -> bool {
    vm.instance_uuid == guid || (0..vm.snapshots.len()).any(|n| super::parts::checkpoint_id(vm, n) == guid)
}

/// All instances of one class.
pub(super) fn instances(view: &View<'_>, class: &Class) -> Vec<Instance> {
    match class.name {
        "Msvm_ComputerSystem" => system::computer_systems(view),
        "Msvm_PlannedComputerSystem" => system::planned_systems(view),
        "Msvm_VirtualSystemSettingData" => system::settings(view),
        "Msvm_ProcessorSettingData" => hardware::processors(view),
        "Msvm_MemorySettingData" => hardware::memories(view),
        "Msvm_ResourceAllocationSettingData" => hardware::allocations(view),
        "Msvm_StorageAllocationSettingData" => hardware::media(view),
        "Msvm_SyntheticEthernetPortSettingData" => network::nics(view),
        "Msvm_EthernetPortAllocationSettingData" => network::ports(view),
        "Msvm_EthernetSwitchPortVlanSettingData" => network::vlans(view),
        "Msvm_VirtualEthernetSwitch" => network::switches(view),
        "Msvm_GuestNetworkAdapterConfiguration" => network::guest_addresses(view),
        "Msvm_ShutdownComponent" | "Msvm_HeartbeatComponent" => guest::components(view, class.name),
        "Msvm_KvpExchangeComponent" => guest::exchanges(view),
        "Msvm_SummaryInformation" => system::summaries(view),
        "Msvm_ConcreteJob" | "Msvm_StorageJob" | "Msvm_MigrationJob" => jobs::all(view, class.name),
        "Msvm_SettingsDefineState"
        | "Msvm_VirtualSystemSettingDataComponent"
        | "Msvm_SettingDataComponent"
        | "Msvm_SnapshotOfVirtualSystem"
        | "Msvm_MostCurrentSnapshotInBranch"
        | "Msvm_AffectedJobElement" => links::all(view, class.name),
        name if name.starts_with("MSCluster_") => cluster::all(view, name),
        name => host::all(view, name).unwrap_or_else(|| files::all(view, name)),
    }
}

/// The VM or checkpoint that a condition confines a query to, if it does.
pub(super) fn confined(condition: Option<&Condition>) -> Option<Uuid> {
    const NAMING: [&str; 4] = ["Name", "SystemName", "VirtualSystemIdentifier", "InstanceID"];
    let demands = condition?.demands();
    demands
        .into_iter()
        .filter(|(property, _)| NAMING.iter().any(|known| known.eq_ignore_ascii_case(property)))
        .find_map(|(_, literal)| guid_in(literal))
}

/// The VM or checkpoint that keys confine a lookup to.
pub(super) fn confined_by(keys: &[(String, String)]) -> Option<Uuid> {
    const NAMING: [&str; 3] = ["Name", "SystemName", "InstanceID"];
    keys.iter()
        .filter(|(key, _)| NAMING.iter().any(|known| known.eq_ignore_ascii_case(key)))
        .find_map(|(_, value)| guid_in(value))
}

/// One instance by its reference.
pub(super) fn find(view: &View<'_>, reference: &Reference) -> Option<Instance> {
    let narrowed = View { only: confined_by(&reference.keys), ..*view };
    let found = |view: &View<'_>| instances(view, reference.class).into_iter().find(|each| reference.names(each));
    // Jobs, switches and the like have GUIDs that are no VM's.
    found(&narrowed).or_else(|| found(&View { only: None, ..*view }))
}

/// Instances of a class, or of those below it.
pub(super) fn of_family(view: &View<'_>, namespace: &str, name: &str) -> Option<Vec<Instance>> {
    let classes = family(namespace, name);
    (!classes.is_empty()).then(|| classes.into_iter().flat_map(|class| instances(view, class)).collect())
}

/// What associations lead to from an instance.
pub(super) fn associated(
    view: &View<'_>,
    source: &Reference,
    association: Option<&str>,
    result: Option<&str>,
) -> Vec<Instance> {
    let mut out: Vec<Instance> = Vec::new();
    for link in links_of(view, source, association) {
        for end in link.class.properties.iter().filter_map(|field| match link.get(field.name) {
            Some(Value::Reference(end)) if !same(end, source) => Some(end),
            _ => None,
        }) {
            let wanted = result.is_none_or(|result| {
                family(end.class.namespace, result).iter().any(|class| class.name == end.class.name)
            });
            if wanted
                && let Some(found) = find(view, end)
                && !out.contains(&found)
            {
                out.push(found);
            }
        }
    }
    out
}

/// Associations that name an instance.
pub(super) fn links_of(view: &View<'_>, source: &Reference, association: Option<&str>) -> Vec<Instance> {
    let narrowed = View { only: confined_by(&source.keys), ..*view };
    let classes = match association {
        Some(name) => family(source.class.namespace, name),
        None => links::classes(source.class.namespace),
    };
    let all = classes.into_iter().flat_map(|class| instances(&narrowed, class));
    all.filter(|link| {
        link.class
            .properties
            .iter()
            .any(|field| matches!(link.get(field.name), Some(Value::Reference(end)) if same(end, source)))
    })
    .collect()
}

/// Do two references name the same, as far as both give keys?
fn same(one: &Reference, other: &Reference) -> bool {
    one.class.name == other.class.name
        && !other.keys.is_empty()
        && other.keys.iter().all(|(key, value)| one.key(key).is_some_and(|own| own.eq_ignore_ascii_case(value)))
}

/// Numbers as the values of an array.
fn numbers(all: &[u32]) -> Value {
    Value::Many(all.iter().map(u32::to_string).collect())
}
