//! `config` of a VM: what is configured, as recorded for a real VM where the lab does not model more.

use super::super::value::{Data, Value};
use super::Entry::{self, Branch, Leaf};
use super::devices;
use super::escaped;
use super::vm::View;
use crate::lab::world::work::{MEMORY_INCREMENT, memory_limit};
use crate::lab::world::{Firmware, Power};

/// What new VMs get (vSphere 8.0 U2).
pub(super) const HARDWARE_VERSION: &str = "vmx-21";

pub(super) const CONFIG: &[Entry] = &[
    Leaf("changeVersion", |view| Some(change_version(view.vm.config_change, view.vm.config_changed_at).into())),
    // 1970, as recorded: vCenter does not keep it.
    Leaf("modified", |_| Some(Value::Time(0))),
    Leaf("name", |view| Some(escaped(&view.vm.name).into())),
    Leaf("guestFullName", |view| Some(Value::Word(guest_name(&view.vm.guest_id)))),
    Leaf("version", |_| Some(Value::Word(HARDWARE_VERSION))),
    Leaf("uuid", |view| Some(view.vm.bios_uuid.to_string().into())),
    Leaf("createDate", |view| Some(Value::Time(view.vm.created_at))),
    Leaf("instanceUuid", |view| Some(view.vm.instance_uuid.to_string().into())),
    Leaf("npivTemporaryDisabled", |_| Some(true.into())),
    Leaf("template", |view| Some(view.vm.template.into())),
    Leaf("guestId", |view| Some(view.vm.guest_id.clone().into())),
    Leaf("alternateGuestName", |_| Some(Value::Word(""))),
    Leaf("annotation", |view| Some(view.vm.annotation.clone().into())),
    Leaf("files", |view| {
        let path = vmx_path(view);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let files = Data::new("VirtualMachineFileInfo")
            .with("vmPathName", path.as_str())
            .with("snapshotDirectory", format!("{folder}/"))
            .with("suspendDirectory", format!("{folder}/"))
            .with("logDirectory", format!("{folder}/"));
        Some(files.into())
    }),
    Leaf("tools", |view| {
        let tools = Data::new("ToolsConfigInfo")
            .with("toolsVersion", if view.vm.guest.tools_installed { 12389 } else { 0 })
            .with("afterPowerOn", true)
            .with("afterResume", true)
            .with("beforeGuestStandby", true)
            .with("beforeGuestShutdown", true)
            .with("toolsUpgradePolicy", "manual")
            .with("syncTimeWithHost", false);
        Some(tools.into())
    }),
    Leaf("flags", |_| {
        let flags = Data::new("VirtualMachineFlagInfo")
            .with("enableLogging", true)
            .with("snapshotDisabled", false)
            .with("snapshotLocked", false)
            .with("diskUuidEnabled", false);
        Some(flags.into())
    }),
    Leaf("defaultPowerOps", |_| {
        let operations = Data::new("VirtualMachineDefaultPowerOpInfo")
            .with("powerOffType", "soft")
            .with("suspendType", "hard")
            .with("resetType", "soft")
            .with("standbyAction", "checkpoint");
        Some(operations.into())
    }),
    Leaf("rebootPowerOff", |_| Some(false.into())),
    Branch("hardware", "VirtualHardware", HARDWARE),
    Leaf("cpuAllocation", |view| Some(allocation(u64::from(view.vm.cpus) * 1000))),
    Leaf("memoryAllocation", |view| Some(allocation(view.vm.memory_mib * 10))),
    Leaf("memoryHotAddEnabled", |view| Some(view.vm.hot_add_memory.into())),
    Leaf("cpuHotAddEnabled", |view| Some(view.vm.hot_add_cpu.into())),
    Leaf("cpuHotRemoveEnabled", |view| Some(view.vm.hot_remove_cpu.into())),
    // As recorded: without hot-add the limit is what it has, and the increment 0.
    Leaf("hotPlugMemoryLimit", |view| {
        let vm = view.vm;
        let hot = vm.hot_add_memory && vm.power == Power::On;
        Some(if hot { memory_limit(vm.memory_at_boot_mib) } else { vm.memory_mib }.into())
    }),
    Leaf("hotPlugMemoryIncrementSize", |view| {
        let hot = view.vm.hot_add_memory && view.vm.power == Power::On;
        Some(if hot { MEMORY_INCREMENT } else { 0 }.into())
    }),
    Leaf("extraConfig", |view| {
        // What every VM has of itself (recorded); what is set by hand wins.
        let own = [("nvram", format!("{}.nvram", view.vm.name)), ("svga.present", "TRUE".into())];
        let own = own.into_iter().filter(|(key, _)| view.vm.setting(key).is_none());
        let own = own.map(|(key, value)| Data::new("OptionValue").with("key", key).with("value", value));
        let set = view.vm.settings.iter();
        let set =
            set.map(|(key, value)| Data::new("OptionValue").with("key", key.clone()).with("value", value.clone()));
        Some(Value::list(own.chain(set)))
    }),
    Leaf("swapPlacement", |_| Some(Value::Word("inherit"))),
    Leaf("bootOptions", |view| {
        let options = Data::new("VirtualMachineBootOptions")
            .with("bootDelay", 0)
            .with("enterBIOSSetup", false)
            .with("efiSecureBootEnabled", false)
            .with("bootRetryEnabled", false)
            .with("bootRetryDelay", 10000);
        let _ = view;
        Some(options.into())
    }),
    Leaf("changeTrackingEnabled", |_| Some(false.into())),
    Leaf("firmware", |view| {
        Some(Value::Word(match view.vm.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "efi",
        }))
    }),
    Leaf("maxMksConnections", |_| Some(40.into())),
    Leaf("guestAutoLockEnabled", |_| Some(true.into())),
    Leaf("memoryReservationLockedToMax", |_| Some(false.into())),
    Leaf("nestedHVEnabled", |_| Some(false.into())),
    Leaf("vPMCEnabled", |_| Some(false.into())),
];

const HARDWARE: &[Entry] = &[
    Leaf("numCPU", |view| Some(view.vm.cpus.into())),
    Leaf("numCoresPerSocket", |view| Some(view.vm.cores_per_socket.into())),
    Leaf("autoCoresPerSocket", |_| Some(false.into())),
    Leaf("memoryMB", |view| Some(view.vm.memory_mib.into())),
    Leaf("virtualICH7MPresent", |_| Some(false.into())),
    Leaf("virtualSMCPresent", |_| Some(false.into())),
    Leaf("device", |view| Some(Value::List(devices::all(view)))),
    Leaf("motherboardLayout", |_| Some(Value::Word("i440bxHostBridge"))),
    Leaf("simultaneousThreads", |_| Some(1.into())),
];

fn allocation(shares: u64) -> Value {
    let shares = Data::new("SharesInfo").with("shares", shares).with("level", Value::Word("normal"));
    Data::new("ResourceAllocationInfo")
        .with("reservation", 0)
        .with("expandableReservation", false)
        .with("limit", -1)
        .with("shares", shares)
        .into()
}

/// `2023-12-12T10:06:30.840412Z` in recorded traffic. The last six digits carry the change number, so that two changes
/// within one lab millisecond differ.
pub(in crate::lab::vsphere) fn change_version(change: u64, at: i64) -> String {
    let second = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    format!("{}.{change:06}Z", second.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The change number in a version; `None` for one that was never given out.
pub(in crate::lab::vsphere) fn change_number(version: &str) -> Option<u64> {
    version.strip_suffix('Z')?.rsplit_once('.')?.1.parse().ok()
}

/// `[store] name/name.vmx`.
pub(super) fn vmx_path(view: &View<'_>) -> String {
    let name = view.vm.name.replace('/', "_");
    format!("[{}] {name}/{name}.vmx", view.scope.world.name_of(view.vm.home))
}

/// What people call a guest id.
pub(super) fn guest_name(id: &str) -> &'static str {
    match id {
        "debian12_64Guest" => "Debian GNU/Linux 12 (64-bit)",
        "debian11_64Guest" => "Debian GNU/Linux 11 (64-bit)",
        "ubuntu64Guest" => "Ubuntu Linux (64-bit)",
        "windows2019srvNext_64Guest" => "Microsoft Windows Server 2022 (64-bit)",
        "windows2019srv_64Guest" => "Microsoft Windows Server 2019 (64-bit)",
        "otherLinux64Guest" => "Other Linux (64-bit)",
        "other6xLinux64Guest" => "Other 6.x or later Linux (64-bit)",
        "other5xLinux64Guest" => "Other 5.x Linux (64-bit)",
        "otherGuest64" => "Other (64-bit)",
        id if id.starts_with("win") => "Microsoft Windows",
        id if id.contains("inux") => "Other Linux (32-bit)",
        _ => "Other (32-bit)",
    }
}

/// `guestFamily` of a guest id.
pub(super) fn guest_family(id: &str) -> &'static str {
    let linux = ["inux", "debian", "ubuntu", "rhel", "centos", "sles", "photon", "rocky", "alma", "fedora", "opensuse"];
    match id {
        id if id.starts_with("win") => "windowsGuest",
        id if linux.iter().any(|name| id.contains(name)) => "linuxGuest",
        _ => "otherGuestFamily",
    }
}
