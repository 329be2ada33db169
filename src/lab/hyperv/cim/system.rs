//! Computer systems, and the settings of VMs and of their checkpoints.

use super::{View, numbers};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::{Owner, Part, checkpoint_id, path, upper};
use crate::lab::world::{Firmware, Power, Vm, World};

/// `EnabledState` of `Msvm_ComputerSystem`: 2 on, 3 off, 6 saved, 9 paused.
pub(in crate::lab::hyperv) fn enabled_state(vm: &Vm) -> u32 {
    match vm.power {
        Power::On => 2,
        Power::Off => 3,
        Power::Suspended if vm.wmi.as_ref().is_some_and(|wmi| wmi.paused) => 9,
        Power::Suspended => 6,
    }
}

/// When the configuration changed last. The number of the change stands in the microseconds, so that two changes in one
/// millisecond, or in virtual time that stands still, can be told apart.
fn config_changed(vm: &Vm) -> Value {
    Value::Time(vm.config_changed_at * 1000 + i64::try_from(vm.config_change % 1000).unwrap_or(0))
}

/// When the state changed last: moves with every change of the VM, for the same reason.
fn state_changed(vm: &Vm) -> Value {
    let at = vm.booted_at.unwrap_or(vm.created_at);
    Value::Time(at * 1000 + i64::try_from(vm.touched).unwrap_or(0))
}

pub(super) fn computer_systems(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    if view.only.is_none() {
        all.push(hosting(view));
    }
    all.extend(view.realized().map(|vm| of_vm(view.world, vm)));
    all
}

fn hosting(view: &View<'_>) -> Instance {
    let mut system = Instance::of("Msvm_ComputerSystem");
    system.all(&[
        ("Caption", "Hosting Computer System"),
        ("Description", "Microsoft Hosting Computer System"),
        ("CreationClassName", "Msvm_ComputerSystem"),
        ("EnabledState", "2"),
        ("HealthState", "5"),
        ("EnabledDefault", "2"),
        ("RequestedState", "12"),
    ]);
    system.set("ElementName", view.host.name.as_str()).set("Name", view.host.name.as_str());
    system.set("OperationalStatus", numbers(&[2])).set("ResetCapability", "1");
    system
}

pub(super) fn of_vm(world: &World, vm: &Vm) -> Instance {
    let mut system = Instance::of("Msvm_ComputerSystem");
    common(&mut system, vm);
    system.all(&[
        ("Caption", "Virtual Machine"),
        ("Description", "Microsoft Virtual Machine"),
        ("CreationClassName", "Msvm_ComputerSystem"),
        ("NumberOfNumaNodes", "1"),
        ("ReplicationHealth", "0"),
        ("FailedOverReplicationType", "0"),
        ("LastReplicationType", "0"),
        ("EnhancedSessionModeState", "3"),
    ]);
    let mode = vm.wmi.as_ref().map_or(0, |wmi| wmi.replication_mode);
    system.set("ReplicationMode", u64::from(mode)).set("ReplicationState", if mode == 0 { "0" } else { "3" });
    let up = vm.booted_at.map_or(0, |at| world.now_ms() - at);
    system.set("OnTimeInMilliseconds", up.max(0).to_string());
    if vm.power == Power::On {
        system.set("ProcessID", u64::from(vm.id.0) + 4000);
    }
    system
}

pub(super) fn planned_systems(view: &View<'_>) -> Vec<Instance> {
    view.planned()
        .map(|vm| {
            let mut system = Instance::of("Msvm_PlannedComputerSystem");
            common(&mut system, vm);
            system.all(&[
                ("Caption", "Planned Virtual Machine"),
                ("Description", "Microsoft Planned Virtual Machine"),
                ("CreationClassName", "Msvm_PlannedComputerSystem"),
            ]);
            system
        })
        .collect()
}

fn common(system: &mut Instance, vm: &Vm) {
    system.set("ElementName", &*vm.name).set("Name", upper(vm.instance_uuid));
    system.set("EnabledState", u64::from(enabled_state(vm))).set("HealthState", "5").set("EnabledDefault", "2");
    // 32774: a migration is under way (SEQUENCES.md, "Live migration seen").
    let moving = vm.wmi.as_ref().is_some_and(|wmi| wmi.moving_to.is_some());
    system.set("RequestedState", "12").set("OperationalStatus", numbers(if moving { &[2, 32774] } else { &[2] }));
    system.set("StatusDescriptions", Value::Many(vec!["Operating normally".to_owned()])).set("ResetCapability", "1");
    system.set("InstallDate", Value::Time(vm.created_at * 1000));
    system.set("TimeOfLastStateChange", state_changed(vm)).set("TimeOfLastConfigurationChange", config_changed(vm));
}

pub(super) fn settings(view: &View<'_>) -> Vec<Instance> {
    view.owners().iter().map(|owner| of_owner(view, owner)).collect()
}

pub(super) fn of_owner(view: &View<'_>, owner: &Owner<'_>) -> Instance {
    let vm = owner.vm;
    let mut data = Instance::of("Msvm_VirtualSystemSettingData");
    let wmi = vm.wmi.as_deref();
    let root = wmi.map_or(super::USER_DATA_ROOT, |wmi| &wmi.root);
    let uefi = vm.firmware == Firmware::Uefi;
    defaults(&mut data);
    data.set("InstanceID", owner.id(Part::System)).set("VirtualSystemIdentifier", upper(owner.system));
    data.set("VirtualSystemSubType", if uefi { "Microsoft:Hyper-V:SubType:2" } else { "Microsoft:Hyper-V:SubType:1" });
    data.set("Notes", Value::Many(vec![vm.annotation.to_string()])).set("ElementName", element_name(view, owner));
    data.set("VirtualSystemType", system_type(owner)).set("BIOSGUID", format!("{{{}}}", upper(vm.bios_uuid)));
    data.set("SecureBootEnabled", uefi)
        .set("PauseAfterBootFailure", false)
        .set("IsSaved", vm.power == Power::Suspended);
    data.set("CreationTime", Value::Time(vm.created_at * 1000));
    for folder in [
        "ConfigurationDataRoot",
        "SnapshotDataRoot",
        "SuspendDataRoot",
        "SwapFileDataRoot",
        "LogDataRoot",
        "GuestStateDataRoot",
    ] {
        data.set(folder, root);
    }
    data.set("ConfigurationID", upper(owner.guid));
    data.set("ConfigurationFile", format!(r"Virtual Machines\{}.vmcx", upper(owner.guid)));
    if !uefi {
        data.set("BootOrder", numbers(&[1, 2, 0, 3]));
    }
    let parent = match owner.checkpoint {
        Some(0) => None,
        Some(number) => view.world.vm_by_uuid(owner.system).map(|vm| checkpoint_id(vm, number - 1)),
        None => vm.snapshots.len().checked_sub(1).map(|last| checkpoint_id(vm, last)),
    };
    if let Some(parent) = parent {
        let id = format!("Microsoft:{}", upper(parent));
        data.set("Parent", path(&view.host.name, "Msvm_VirtualSystemSettingData", &id));
    }
    keep(&mut data, owner, "system");
    data
}

/// What a VM has that nobody set otherwise.
fn defaults(data: &mut Instance) {
    data.all(&[
        ("Caption", "Virtual Machine Settings"),
        ("Description", "Virtual Machine Settings"),
        ("AutomaticStartupAction", "3"),
        ("AutomaticShutdownAction", "3"),
        ("AutomaticRecoveryAction", "3"),
        ("AutomaticStartupActionSequenceNumber", "0"),
        ("UserSnapshotType", "5"),
        ("VirtualNumaEnabled", "true"),
        ("IncrementalBackupEnabled", "false"),
        ("Version", "10.0"),
        ("BIOSNumLock", "false"),
        ("AutomaticSnapshotsEnabled", "false"),
        ("IsAutomaticSnapshot", "false"),
        ("GuestControlledCacheTypes", "false"),
        ("LockOnDisconnect", "false"),
        ("DebugPortEnabled", "0"),
        ("EnhancedSessionTransportType", "0"),
        ("NetworkBootPreferredProtocol", "4096"),
        ("ConsoleMode", "0"),
        ("Architecture", "x64"),
        ("BIOSSerialNumber", "4823-1746-5528-0917-2262-8531-47"),
        ("ChassisAssetTag", "7783-7084-3265-9085-8269-3286-77"),
        ("AutomaticCriticalErrorAction", "1"),
    ]);
}

fn system_type(owner: &Owner<'_>) -> &'static str {
    match owner.checkpoint {
        Some(_) => "Microsoft:Hyper-V:Snapshot:Realized",
        None if owner.planned => "Microsoft:Hyper-V:System:Planned",
        None => "Microsoft:Hyper-V:System:Realized",
    }
}

/// A checkpoint has a name of its own.
fn element_name(view: &View<'_>, owner: &Owner<'_>) -> String {
    let of_checkpoint =
        |number: usize| view.world.vm_by_uuid(owner.system).and_then(|vm| Some(vm.snapshots.get(number)?.name.clone()));
    owner.checkpoint.and_then(of_checkpoint).unwrap_or_else(|| owner.vm.name.to_string())
}

/// Settings that are only kept.
pub(super) fn keep(instance: &mut Instance, owner: &Owner<'_>, part: &str) {
    let Some(wmi) = owner.vm.wmi.as_deref() else { return };
    for ((of, property), values) in &wmi.kept {
        if &**of != part {
            continue;
        }
        let many = instance.class.property(property).is_some_and(|field| field.many);
        match values.as_slice() {
            values if many => drop(instance.set(property, Value::Many(values.to_vec()))),
            [value, ..] => drop(instance.set(property, value.as_str())),
            [] => {}
        }
    }
}

pub(super) fn summaries(view: &View<'_>) -> Vec<Instance> {
    let realized = view.owners().into_iter().filter(|owner| owner.checkpoint.is_none() && !owner.planned);
    realized
        .map(|owner| {
            let vm = owner.vm;
            let mut summary = Instance::of("Msvm_SummaryInformation");
            summary.set("InstanceID", owner.id(Part::System)).set("Name", upper(vm.instance_uuid));
            summary.set("ElementName", &*vm.name).set("Notes", &*vm.annotation).set("Version", "10.0");
            summary.set("EnabledState", u64::from(enabled_state(vm))).set("HealthState", "5");
            summary.set("NumberOfProcessors", u64::from(vm.cpus)).set("OperationalStatus", numbers(&[2]));
            summary.set("CreationTime", Value::Time(vm.created_at * 1000));
            let on = vm.power == Power::On;
            summary.set("MemoryUsage", if on { vm.memory_mib } else { 0 });
            let up = vm.booted_at.map_or(0, |at| view.world.now_ms() - at);
            summary.set("UpTime", up.max(0).to_string()).set("HostComputerSystemName", view.host.name.as_str());
            if vm.tools_run() {
                summary.set("Heartbeat", "2").set("GuestOperatingSystem", super::guest::os_name(vm));
            }
            summary
        })
        .collect()
}
