//! Associations between instances.

use super::{View, hardware, network, system};
use crate::lab::hyperv::instance::{Instance, Reference, Value};
use crate::lab::hyperv::parts::upper;
use crate::lab::hyperv::schema::{Class, class};

const ALL: [&str; 7] = [
    "Msvm_SettingsDefineState",
    "Msvm_VirtualSystemSettingDataComponent",
    "Msvm_SettingDataComponent",
    "Msvm_SnapshotOfVirtualSystem",
    "Msvm_MostCurrentSnapshotInBranch",
    "Msvm_AffectedJobElement",
    "MSCluster_ResourceGroupToResource",
];

/// The associations of a namespace.
pub(super) fn classes(namespace: &str) -> Vec<&'static Class> {
    ALL.iter().map(|name| class(name)).filter(|class| class.namespace.eq_ignore_ascii_case(namespace)).collect()
}

pub(super) fn all(view: &View<'_>, name: &'static str) -> Vec<Instance> {
    match name {
        "Msvm_SettingsDefineState" => settings_of_systems(view),
        "Msvm_VirtualSystemSettingDataComponent" => parts_of_settings(view),
        "Msvm_SettingDataComponent" => guests_of_nics(view),
        "Msvm_AffectedJobElement" => systems_of_jobs(view),
        _ => checkpoints_of_systems(view, name),
    }
}

fn link(name: &'static str, ends: [(&'static str, Reference); 2]) -> Instance {
    let mut link = Instance::of(name);
    for (end, reference) in ends {
        link.set(end, Value::Reference(reference));
    }
    link
}

fn settings_of_systems(view: &View<'_>) -> Vec<Instance> {
    let realized = view.owners().into_iter().filter(|owner| owner.checkpoint.is_none() && !owner.planned);
    realized
        .map(|owner| {
            let system = ("ManagedElement", system::of_vm(view.world, owner.vm).reference());
            let settings = ("SettingData", system::of_owner(view, &owner).reference());
            link("Msvm_SettingsDefineState", [system, settings])
        })
        .collect()
}

fn checkpoints_of_systems(view: &View<'_>, name: &'static str) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in view.owners() {
        let Some(number) = owner.checkpoint else { continue };
        let Some(vm) = view.world.vm_by_uuid(owner.system) else { continue };
        if name == "Msvm_MostCurrentSnapshotInBranch" && number + 1 != vm.snapshots.len() {
            continue;
        }
        let system = ("Antecedent", system::of_vm(view.world, vm).reference());
        let settings = ("Dependent", system::of_owner(view, &owner).reference());
        all.push(link(name, [system, settings]));
    }
    all
}

fn parts_of_settings(view: &View<'_>) -> Vec<Instance> {
    let settings = system::settings(view);
    let mut parts = hardware::processors(view);
    parts.extend(hardware::memories(view));
    parts.extend(hardware::allocations(view));
    parts.extend(hardware::media(view));
    parts.extend(network::nics(view));
    parts.extend(network::ports(view));
    let mut all = Vec::new();
    for part in parts {
        let id = part.text("InstanceID").unwrap_or_default();
        let owner = settings.iter().find(|whole| {
            let whole = whole.text("InstanceID").unwrap_or_default();
            id.strip_prefix(whole).is_some_and(|rest| rest.starts_with('\\'))
        });
        if let Some(owner) = owner {
            let ends = [("GroupComponent", owner.reference()), ("PartComponent", part.reference())];
            all.push(link("Msvm_VirtualSystemSettingDataComponent", ends));
        }
    }
    all
}

fn guests_of_nics(view: &View<'_>) -> Vec<Instance> {
    let nics = network::nics(view);
    let find = |id: &str| {
        let wanted = id.replace(r"Microsoft:GuestNetwork\", "Microsoft:");
        nics.iter().find(|nic| nic.text("InstanceID") == Some(wanted.as_str()))
    };
    network::guest_addresses(view)
        .into_iter()
        .filter_map(|guest| {
            let nic = find(guest.text("InstanceID")?)?;
            let ends = [("GroupComponent", nic.reference()), ("PartComponent", guest.reference())];
            Some(link("Msvm_SettingDataComponent", ends))
        })
        .collect()
}

fn systems_of_jobs(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for (id, job) in view.jobs.iter().filter(|(_, job)| job.class == "Msvm_ConcreteJob") {
        let Some(task) = view.world.task(job.task) else { continue };
        let Some(vm) = view.vms().find(|vm| vm.id == task.entity) else { continue };
        let keys = vec![("InstanceID".to_owned(), upper(*id))];
        let job = Reference { class: class(job.class), keys };
        let system = system::of_vm(view.world, vm).reference();
        all.push(link("Msvm_AffectedJobElement", [("AffectedElement", system), ("AffectingElement", job)]));
    }
    all
}
