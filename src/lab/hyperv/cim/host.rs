//! The host itself: what it is, its services and pools, and the definitions new settings are made from.

use super::hardware::{DISC, DISK, DISK_DRIVE, DVD_DRIVE, SCSI_TYPE};
use super::network::{CONNECTION, NIC};
use super::{View, numbers};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::world::Power;

/// Where Hyper-V puts what nobody gave a place.
pub(in crate::lab::hyperv) const USER_DATA_ROOT: &str = r"C:\ProgramData\Microsoft\Windows\Hyper-V";

/// Instances of classes of the host; `None`: not one of them.
pub(super) fn all(view: &View<'_>, class: &str) -> Option<Vec<Instance>> {
    Some(match class {
        "Win32_ComputerSystem" => vec![computer(view)],
        "Win32_OperatingSystem" => vec![operating_system(view)],
        "Msvm_VirtualSystemManagementService" => vec![service(view, "Msvm_VirtualSystemManagementService", "vmms")],
        "Msvm_ImageManagementService" => vec![service(view, "Msvm_ImageManagementService", "ims")],
        "Msvm_VirtualSystemManagementServiceSettingData" => vec![service_settings(view)],
        "Msvm_ProcessorPool" => vec![processor_pool(view)],
        "Msvm_ResourcePool" => pools(view),
        _ => return None,
    })
}

/// Memory given to running VMs, in MiB.
fn memory_in_use(view: &View<'_>) -> u64 {
    let running = view.world.vms().filter(|vm| vm.host == view.host.id && vm.power == Power::On);
    running.map(|vm| vm.memory_mib).sum()
}

fn memory_and_cores(view: &View<'_>) -> (u64, u64) {
    view.world.hosts.get(&view.host.id).map_or((0, 0), |host| (host.memory_mib, u64::from(host.cores)))
}

fn computer(view: &View<'_>) -> Instance {
    let (memory, cores) = memory_and_cores(view);
    let name = view.host.name.as_str();
    let mut system = Instance::of("Win32_ComputerSystem");
    system.all(&[
        ("CreationClassName", "Win32_ComputerSystem"),
        ("Description", "AT/AT COMPATIBLE"),
        ("Manufacturer", "Contoso"),
        ("Model", "Simulated host"),
        ("Domain", "lab.example"),
        ("DomainRole", "3"),
        ("PartOfDomain", "true"),
        ("HypervisorPresent", "true"),
        ("Status", "OK"),
        ("SystemType", "x64-based PC"),
        ("BootupState", "Normal boot"),
        ("NumberOfProcessors", "2"),
    ]);
    system.set("Name", name).set("Caption", name).set("DNSHostName", name).set("NumberOfLogicalProcessors", cores);
    system.set("TotalPhysicalMemory", memory << 20);
    system
}

fn operating_system(view: &View<'_>) -> Instance {
    let (memory, _) = memory_and_cores(view);
    let free = memory.saturating_sub(memory_in_use(view)).saturating_sub(2048);
    let mut system = Instance::of("Win32_OperatingSystem");
    system.all(&[
        ("CreationClassName", "Win32_OperatingSystem"),
        ("CSCreationClassName", "Win32_ComputerSystem"),
        ("Caption", "Microsoft Windows Server 2022 Datacenter"),
        ("Name", r"Microsoft Windows Server 2022 Datacenter|C:\Windows|\Device\Harddisk0\Partition3"),
        ("Version", "10.0.20348"),
        ("BuildNumber", "20348"),
        ("OSArchitecture", "64-bit"),
        ("ProductType", "3"),
        ("Status", "OK"),
        ("SystemDrive", "C:"),
        ("WindowsDirectory", r"C:\Windows"),
        ("ServicePackMajorVersion", "0"),
        ("ServicePackMinorVersion", "0"),
    ]);
    system.set("CSName", view.host.name.as_str());
    system.set("TotalVisibleMemorySize", memory << 10).set("FreePhysicalMemory", free << 10);
    let now = view.world.now_ms() * 1000;
    system.set("LocalDateTime", Value::Time(now));
    system
}

fn service(view: &View<'_>, class: &'static str, name: &'static str) -> Instance {
    let mut service = Instance::of(class);
    service.all(&[
        ("CreationClassName", class),
        ("SystemCreationClassName", "Msvm_ComputerSystem"),
        ("Name", name),
        ("Started", "true"),
        ("EnabledState", "2"),
        ("HealthState", "5"),
    ]);
    service.set("SystemName", view.host.name.as_str()).set("OperationalStatus", numbers(&[2]));
    service
}

fn service_settings(view: &View<'_>) -> Instance {
    let mut settings = Instance::of("Msvm_VirtualSystemManagementServiceSettingData");
    settings.all(&[
        ("DefaultExternalDataRoot", USER_DATA_ROOT),
        ("DefaultVirtualHardDiskPath", r"C:\Users\Public\Documents\Hyper-V\Virtual Hard Disks"),
        ("MinimumMacAddress", "00155D800000"),
        ("MaximumMacAddress", "00155DBFFFFF"),
        ("NumaSpanningEnabled", "true"),
        ("EnhancedSessionModeEnabled", "false"),
        ("PrimaryOwnerName", "Administrators"),
    ]);
    settings.set("InstanceID", format!("Microsoft:{}", view.host.name));
    settings
}

fn processor_pool(view: &View<'_>) -> Instance {
    let (_, cores) = memory_and_cores(view);
    let mut pool = Instance::of("Msvm_ProcessorPool");
    pool.all(&[
        ("InstanceID", r"Microsoft:B637F347-6A0E-4DEC-AF52-BD70CB80A21D\Root"),
        ("PoolID", ""),
        ("Primordial", "true"),
        ("ResourceType", "3"),
        ("ResourceSubType", "Microsoft:Hyper-V:Processor"),
        ("AllocationUnits", "percent / 1000"),
    ]);
    pool.set("Capacity", cores * 100_000);
    pool
}

fn pools(view: &View<'_>) -> Vec<Instance> {
    let (memory, _) = memory_and_cores(view);
    let kinds = [
        ("4764334D-E001-4176-82EE-5594EC9B530E", "4", "Microsoft:Hyper-V:Memory"),
        ("70BB60D2-A9D3-46AA-B654-3DE53004B4F8", "31", DISK),
        ("72027ECE-E44A-446E-AF2B-8D8C4B8A2279", "33", CONNECTION),
    ];
    kinds
        .into_iter()
        .map(|(id, kind, sub)| {
            let mut pool = Instance::of("Msvm_ResourcePool");
            pool.all(&[("PoolID", ""), ("Primordial", "true"), ("ResourceType", kind), ("ResourceSubType", sub)]);
            pool.set("InstanceID", format!(r"Microsoft:{id}\Root"));
            if kind == "4" {
                pool.set("AllocationUnits", "byte * 2^20").set("Capacity", memory).set("Reserved", memory_in_use(view));
            }
            pool
        })
        .collect()
}

/// What new settings of a class are made from: `Microsoft:Definition\…\Default`, and how far processors and memory go.
pub(super) fn definitions(view: &View<'_>, class: &'static str) -> Vec<Instance> {
    if view.only.is_some() {
        return Vec::new();
    }
    let kinds: &[(&str, &str, &str, &str)] = match class {
        "Msvm_ProcessorSettingData" => &[
            ("B637F347-6A0E-4DEC-AF52-BD70CB80A21D", "Default", "3", "1"),
            ("B637F347-6A0E-4DEC-AF52-BD70CB80A21D", "Minimum", "3", "1"),
            ("B637F347-6A0E-4DEC-AF52-BD70CB80A21D", "Maximum", "3", "240"),
        ],
        "Msvm_MemorySettingData" => &[
            ("4764334D-E001-4176-82EE-5594EC9B530E", "Default", "4", "1024"),
            ("4764334D-E001-4176-82EE-5594EC9B530E", "Minimum", "4", "32"),
            ("4764334D-E001-4176-82EE-5594EC9B530E", "Maximum", "4", "12582912"),
        ],
        "Msvm_ResourceAllocationSettingData" => &[
            ("118C3BE5-0D31-4804-85F0-5C6074ABEA8F", "Default", "6", ""),
            ("6C09BB55-D683-4DA0-8931-C9BF705F6480", "Default", "17", ""),
            ("3CCFAA8F-F3DE-4A4A-B3A7-0F6BF2CC4F50", "Default", "16", ""),
        ],
        "Msvm_StorageAllocationSettingData" => &[
            ("70BB60D2-A9D3-46AA-B654-3DE53004B4F8", "Default", "31", ""),
            ("AFA47ED4-E0D2-4E22-A0F3-8DB5C8A4D8C6", "Default", "31", "disc"),
        ],
        "Msvm_SyntheticEthernetPortSettingData" => &[("6A45335D-4C3A-44B7-B61F-C9808BBDF8ED", "Default", "10", "")],
        "Msvm_EthernetPortAllocationSettingData" => &[("72027ECE-E44A-446E-AF2B-8D8C4B8A2279", "Default", "33", "")],
        _ => &[],
    };
    kinds.iter().map(|kind| definition(class, *kind)).collect()
}

fn definition(class: &'static str, (id, role, kind, quantity): (&str, &str, &'static str, &str)) -> Instance {
    let mut data = Instance::of(class);
    data.set("InstanceID", format!(r"Microsoft:Definition\{id}\{role}")).set("ResourceType", kind);
    let sub = match (kind, quantity) {
        ("3", _) => "Microsoft:Hyper-V:Processor",
        ("4", _) => "Microsoft:Hyper-V:Memory",
        ("6", _) => SCSI_TYPE,
        ("10", _) => NIC,
        ("16", _) => DVD_DRIVE,
        ("17", _) => DISK_DRIVE,
        ("31", "disc") => DISC,
        ("31", _) => DISK,
        _ => CONNECTION,
    };
    data.set("ResourceSubType", sub);
    if matches!(kind, "3" | "4") {
        data.set("VirtualQuantity", quantity);
    }
    data
}
