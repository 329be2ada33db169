//! A VM's properties: power, guest, summary, snapshots. `config` has its own file.

use super::super::fault::power_word;
use super::super::morefs::{reference, snapshot_ref, vm_ref};
use super::super::value::{Data, Value};
use super::Entry::{self, Branch, Leaf};
use super::vm_config::{CONFIG, HARDWARE_VERSION, guest_family, guest_name, vmx_path};
use super::{Scope, entity, escaped, lookup, recent_tasks, rest_of};
use crate::lab::world::{Id, Link, Power, Snapshot, Vm};

/// A VM and what its properties are computed from.
pub(super) struct View<'a> {
    pub scope: &'a Scope<'a>,
    pub vm: &'a Vm,
}

const ROOT: &[Entry] = &[
    Branch("config", "VirtualMachineConfigInfo", CONFIG),
    Branch("runtime", "VirtualMachineRuntimeInfo", RUNTIME),
    Branch("guest", "GuestInfo", GUEST),
    Branch("summary", "VirtualMachineSummary", SUMMARY),
];

const RUNTIME: &[Entry] = &[
    Leaf("host", |view| Some(reference(view.scope.world, view.vm.host).into())),
    Leaf("connectionState", |view| {
        Some(Value::Word(match view.vm.link {
            Link::Connected => "connected",
            Link::Disconnected => "disconnected",
            Link::NotResponding => "inaccessible",
        }))
    }),
    Leaf("powerState", |view| Some(Value::Word(power_word(view.vm.power)))),
    Leaf("faultToleranceState", |_| Some(Value::Word("notConfigured"))),
    Leaf("toolsInstallerMounted", |_| Some(false.into())),
    Leaf("bootTime", |view| view.vm.booted_at.map(Value::Time)),
    Leaf("suspendInterval", |_| Some(0.into())),
    Leaf("question", question),
    Leaf("maxCpuUsage", |_| Some(0.into())),
    Leaf("maxMemoryUsage", |_| Some(0.into())),
    Leaf("numMksConnections", |_| Some(0.into())),
    Leaf("recordReplayState", |_| Some(Value::Word("inactive"))),
    Leaf("onlineStandby", |_| Some(false.into())),
    Leaf("consolidationNeeded", |_| Some(false.into())),
    Leaf("paused", |_| Some(false.into())),
    Leaf("snapshotInBackground", |_| Some(false.into())),
    Leaf("instantCloneFrozen", |_| Some(false.into())),
];

const GUEST: &[Entry] = &[
    Leaf("toolsStatus", |view| Some(Value::Word(tools_status(view.vm)))),
    Leaf("toolsVersionStatus", |view| Some(Value::Word(tools_version(view.vm)))),
    Leaf("toolsVersionStatus2", |view| Some(Value::Word(tools_version(view.vm)))),
    Leaf("toolsRunningStatus", |view| Some(Value::Word(tools_running(view.vm)))),
    Leaf("toolsVersion", |view| Some(Value::Word(if view.vm.guest.tools_installed { "12389" } else { "0" }))),
    Leaf("guestId", |view| view.vm.tools_run().then(|| view.vm.guest_id.clone().into())),
    Leaf("guestFamily", |view| view.vm.tools_run().then(|| Value::Word(guest_family(&view.vm.guest_id)))),
    Leaf("guestFullName", |view| view.vm.tools_run().then(|| Value::Word(guest_name(&view.vm.guest_id)))),
    Leaf("hostName", |view| view.vm.tools_run().then(|| view.vm.name.clone().into())),
    Leaf("ipAddress", |view| address(view.vm)),
    Leaf("net", guest_nics),
    Leaf("guestState", |view| Some(Value::Word(if view.vm.tools_run() { "running" } else { "notRunning" }))),
    Leaf("appHeartbeatStatus", |_| Some(Value::Word("appStatusGray"))),
    Leaf("appState", |_| Some(Value::Word("none"))),
    Leaf("guestOperationsReady", |view| Some(view.vm.tools_run().into())),
    Leaf("interactiveGuestOperationsReady", |_| Some(false.into())),
    Leaf("guestStateChangeSupported", |view| Some(view.vm.tools_run().into())),
    Leaf("hwVersion", |_| Some(Value::Word(HARDWARE_VERSION))),
];

const SUMMARY: &[Entry] = &[
    Leaf("vm", |view| Some(vm_ref(view.vm.id).into())),
    Branch("runtime", "VirtualMachineRuntimeInfo", RUNTIME),
    Branch("guest", "VirtualMachineGuestSummary", SUMMARY_GUEST),
    Branch("config", "VirtualMachineConfigSummary", SUMMARY_CONFIG),
    Leaf("storage", |view| Some(storage(view).into())),
    Leaf("quickStats", |view| {
        let up = view.vm.booted_at.map_or(0, |at| (view.scope.world.now_ms() - at) / 1000);
        let stats = Data::new("VirtualMachineQuickStats")
            .with("overallCpuUsage", 0)
            .with("guestMemoryUsage", 0)
            .with("hostMemoryUsage", 0)
            .with("guestHeartbeatStatus", Value::Word(if view.vm.tools_run() { "green" } else { "gray" }))
            .with("uptimeSeconds", up);
        Some(stats.into())
    }),
    Leaf("overallStatus", |_| Some(Value::Word("green"))),
];

const SUMMARY_GUEST: &[Entry] = &[
    Leaf("guestId", |view| view.vm.tools_run().then(|| view.vm.guest_id.clone().into())),
    Leaf("guestFullName", |view| view.vm.tools_run().then(|| Value::Word(guest_name(&view.vm.guest_id)))),
    Leaf("toolsStatus", |view| Some(Value::Word(tools_status(view.vm)))),
    Leaf("toolsVersionStatus", |view| Some(Value::Word(tools_version(view.vm)))),
    Leaf("toolsVersionStatus2", |view| Some(Value::Word(tools_version(view.vm)))),
    Leaf("toolsRunningStatus", |view| Some(Value::Word(tools_running(view.vm)))),
    Leaf("hostName", |view| view.vm.tools_run().then(|| view.vm.name.clone().into())),
    Leaf("ipAddress", |view| address(view.vm)),
    Leaf("hwVersion", |_| Some(Value::Word(HARDWARE_VERSION))),
];

const SUMMARY_CONFIG: &[Entry] = &[
    Leaf("name", |view| Some(escaped(&view.vm.name).into())),
    Leaf("template", |view| Some(view.vm.template.into())),
    Leaf("vmPathName", |view| Some(vmx_path(view).into())),
    Leaf("memorySizeMB", |view| Some(view.vm.memory_mib.into())),
    Leaf("cpuReservation", |_| Some(0.into())),
    Leaf("memoryReservation", |_| Some(0.into())),
    Leaf("numCpu", |view| Some(view.vm.cpus.into())),
    Leaf("numEthernetCards", |view| Some(view.vm.nics.len().into())),
    Leaf("numVirtualDisks", |view| Some(view.vm.disks.len().into())),
    Leaf("uuid", |view| Some(view.vm.bios_uuid.to_string().into())),
    Leaf("instanceUuid", |view| Some(view.vm.instance_uuid.to_string().into())),
    Leaf("guestId", |view| Some(view.vm.guest_id.clone().into())),
    Leaf("guestFullName", |view| Some(Value::Word(guest_name(&view.vm.guest_id)))),
    Leaf("annotation", |view| Some(view.vm.annotation.clone().into())),
    Leaf("installBootRequired", |_| Some(false.into())),
    Leaf("tpmPresent", |_| Some(false.into())),
    Leaf("numVmiopBackings", |_| Some(0.into())),
    Leaf("hwVersion", |_| Some(Value::Word(HARDWARE_VERSION))),
];

pub(super) fn property(scope: &Scope<'_>, vm: &Vm, path: &[&str]) -> Option<Value> {
    let view = View { scope, vm };
    match *path.first()? {
        "config" if scope.config_unset(vm) => None,
        // Without a configuration the summary has none of the optional parts either.
        "config" | "runtime" | "guest" | "summary" => lookup(ROOT, &view, path),
        "name" => Some(escaped(&vm.name).into()),
        "resourcePool" => vm.pool.map(|pool| reference(scope.world, pool).into()),
        "datastore" => Some(datastores(&view)),
        "network" => Some(networks(&view)),
        "snapshot" => rest_of(snapshot_info(&view)?, &path[1..]),
        "rootSnapshot" => vm.snapshots.first().map(|first| Value::list([snapshot_ref(first.id)])),
        "capability" => rest_of(capability().into(), &path[1..]),
        "guestHeartbeatStatus" => Some(Value::Word(if vm.tools_run() { "green" } else { "gray" })),
        "recentTask" => Some(recent_tasks(scope, Some(vm.id))),
        name => entity(&vm.name, Some(reference(scope.world, vm.folder)), name),
    }
}

/// Properties of a snapshot: its configuration is the VM's as it was.
pub(super) fn snapshot_property(scope: &Scope<'_>, vm: &Vm, id: Id, path: &[&str]) -> Option<Value> {
    let position = vm.snapshots.iter().position(|snapshot| snapshot.id == id)?;
    match *path.first()? {
        "config" => lookup(ROOT, &View { scope, vm: &vm.snapshots[position].state }, path),
        "vm" => Some(vm_ref(vm.id).into()),
        "childSnapshot" => Some(Value::list(vm.snapshots.get(position + 1).map(|child| snapshot_ref(child.id)))),
        "value" | "availableField" => Some(Value::List(Vec::new())),
        _ => None,
    }
}

/// As recorded.
fn capability() -> Data {
    let yes = [
        "snapshotOperationsSupported",
        "multipleSnapshotsSupported",
        "snapshotConfigSupported",
        "poweredOffSnapshotsSupported",
        "memorySnapshotsSupported",
        "revertToSnapshotSupported",
        "quiescedSnapshotsSupported",
        "lockSnapshotsSupported",
        "cpuFeatureMaskSupported",
        "s1AcpiManagementSupported",
        "vmNpivWwnSupported",
        "npivWwnOnNonRdmVmSupported",
        "vmNpivWwnDisableSupported",
        "vmNpivWwnUpdateSupported",
        "swapPlacementSupported",
        "toolsSyncTimeSupported",
        "diskSharesSupported",
        "bootOptionsSupported",
        "bootRetryOptionsSupported",
        "settingVideoRamSizeSupported",
        "changeTrackingSupported",
        "multipleCoresPerSocketSupported",
        "hostBasedReplicationSupported",
        "guestAutoLockSupported",
        "memoryReservationLockSupported",
        "featureRequirementSupported",
        "poweredOnMonitorTypeChangeSupported",
        "seSparseDiskSupported",
        "nestedHVSupported",
        "vPMCSupported",
        "virtualMmuUsageIgnored",
        "virtualExecUsageIgnored",
        "diskOnlySnapshotOnSuspendedVMSupported",
        "suspendToMemorySupported",
        "toolsSyncTimeAllowSupported",
        "changeModeDisksSupported",
    ];
    let no = [
        "disableSnapshotsSupported",
        "consolePreferencesSupported",
        "settingScreenResolutionSupported",
        "toolsAutoUpdateSupported",
        "virtualMmuUsageSupported",
        "settingDisplayTopologySupported",
        "recordReplaySupported",
        "secureBootSupported",
        "perVmEvcSupported",
        "sevSupported",
        "pmemFailoverSupported",
        "requireSgxAttestationSupported",
        "vendorDeviceGroupSupported",
    ];
    let data = yes.into_iter().fold(Data::new("VirtualMachineCapability"), |data, name| data.with(name, true));
    no.into_iter().fold(data, |data, name| data.with(name, false))
}

fn tools_status(vm: &Vm) -> &'static str {
    match (vm.guest.tools_installed, vm.power) {
        (false, _) => "toolsNotInstalled",
        (true, Power::On) => "toolsOk",
        (true, _) => "toolsNotRunning",
    }
}

const fn tools_version(vm: &Vm) -> &'static str {
    if vm.guest.tools_installed { "guestToolsUnmanaged" } else { "guestToolsNotInstalled" }
}

fn tools_running(vm: &Vm) -> &'static str {
    if vm.tools_run() { "guestToolsRunning" } else { "guestToolsNotRunning" }
}

fn address(vm: &Vm) -> Option<Value> {
    vm.guest.addresses.first().filter(|_| vm.tools_run()).map(|address| address.clone().into())
}

fn guest_nics(view: &View<'_>) -> Option<Value> {
    let vm = view.vm;
    vm.tools_run().then(|| {
        Value::list(vm.nics.iter().enumerate().map(|(index, nic)| {
            let addresses: Vec<_> = if index == 0 { vm.guest.addresses.clone() } else { Vec::new() };
            Data::new("GuestNicInfo")
                .maybe("network", nic.network.map(|network| view.scope.world.name_of(network)))
                .with("ipAddress", Value::list(addresses))
                .with("macAddress", nic.mac.clone())
                .with("connected", nic.connected)
                .with("deviceConfigId", nic.key)
        }))
    })
}

fn question(view: &View<'_>) -> Option<Value> {
    let asked = view.vm.question.as_ref()?;
    let choices = asked.choices.iter().enumerate().map(|(index, choice)| {
        Data::new("ElementDescription")
            .with("label", choice.as_str())
            .with("summary", choice.as_str())
            .with("key", index.to_string())
    });
    let choice = Data::new("ChoiceOption").with("choiceInfo", Value::list(choices)).with("defaultIndex", 0);
    let data = Data::new("VirtualMachineQuestionInfo")
        .with("id", asked.id.as_str())
        .with("text", asked.text.as_str())
        .with("choice", choice);
    Some(data.into())
}

fn storage(view: &View<'_>) -> Data {
    let committed: u64 = view.vm.disks.iter().map(|disk| disk.capacity).sum();
    Data::new("VirtualMachineStorageSummary")
        .with("committed", committed)
        .with("uncommitted", 0)
        .with("unshared", committed)
        .with("timestamp", Value::Time(view.scope.world.now_ms()))
}

fn datastores(view: &View<'_>) -> Value {
    let mut ids: Vec<Id> = vec![view.vm.home];
    for disk in &view.vm.disks {
        ids.extend(view.scope.world.files.get(&disk.file).map(|file| file.datastore));
    }
    ids.sort_unstable();
    ids.dedup();
    Value::list(ids.into_iter().map(|id| reference(view.scope.world, id)))
}

fn networks(view: &View<'_>) -> Value {
    let mut ids: Vec<Id> = view.vm.nics.iter().filter_map(|nic| nic.network).collect();
    ids.sort_unstable();
    ids.dedup();
    Value::list(ids.into_iter().map(|id| reference(view.scope.world, id)))
}

/// The chain of snapshots, each the child of the one before.
fn snapshot_info(view: &View<'_>) -> Option<Value> {
    let vm = view.vm;
    let last = vm.snapshots.last()?;
    let tree = |snapshot: &Snapshot, number: usize, child: Option<Data>| {
        Data::new("VirtualMachineSnapshotTree")
            .with("snapshot", snapshot_ref(snapshot.id))
            .with("vm", vm_ref(vm.id))
            .with("name", snapshot.name.as_str())
            .with("description", snapshot.description.as_str())
            .with("id", number + 1)
            .with("createTime", Value::Time(snapshot.at))
            .with("state", Value::Word(power_word(Power::Off)))
            .with("quiesced", false)
            .with("childSnapshotList", Value::list(child))
            .with("replaySupported", false)
    };
    // Deep trees would pass any reader's depth; the newest are shown.
    let shown = vm.snapshots.len().min(12);
    let mut below = None;
    for (number, snapshot) in vm.snapshots.iter().enumerate().rev().take(shown) {
        below = Some(tree(snapshot, number, below));
    }
    let roots = Value::list(below);
    let info = Data::new("VirtualMachineSnapshotInfo")
        .with("currentSnapshot", snapshot_ref(last.id))
        .with("rootSnapshotList", roots);
    Some(info.into())
}
