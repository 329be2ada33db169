//! `config.hardware.device` of a VM, in the order and with the fields of the recorded VM: fixed devices first, then
//! disk controllers, disks and NICs.

use std::sync::Arc;

use super::super::morefs::reference;
use super::super::value::{Data, Value};
use super::vm::View;
use crate::lab::world::{Controller, ControllerKind, Disk, Distributed, Nic, Power};

/// Every device.
pub(super) fn all(view: &View<'_>) -> Vec<Value> {
    let vm = view.vm;
    let pci: Vec<i32> = [500, 12000]
        .into_iter()
        .chain(vm.controllers.iter().map(|controller| controller.key))
        .chain(vm.nics.iter().map(|nic| nic.key))
        .collect();
    let mut out: Vec<Value> = Vec::with_capacity(9 + vm.disks.len() + vm.nics.len());
    out.push(bus("VirtualIDEController", 200, "IDE 0", 0, &[]).into());
    out.push(bus("VirtualIDEController", 201, "IDE 1", 1, &[]).into());
    out.push(bus("VirtualPS2Controller", 300, "PS2 controller 0", 0, &[600, 700]).into());
    out.push(bus("VirtualPCIController", 100, "PCI controller 0", 0, &pci).into());
    out.push(bus("VirtualSIOController", 400, "SIO controller 0", 0, &[]).into());
    out.push(on(device("VirtualKeyboard", 600, "Keyboard", "Keyboard"), 300, 0).into());
    let mouse = Data::new("VirtualPointingDeviceDeviceBackingInfo")
        .with("deviceName", "")
        .with("useAutoDetect", false)
        .with("hostPointingDevice", "autodetect");
    let pointing = device("VirtualPointingDevice", 700, "Pointing device", "Pointing device; Device");
    out.push(on(pointing.with("backing", mouse), 300, 1).into());
    let video = on(device("VirtualMachineVideoCard", 500, "Video card", "Video card"), 100, 0)
        .with("videoRamSizeInKB", 4096)
        .with("numDisplays", 1)
        .with("useAutoDetect", false);
    out.push(video.into());
    out.extend(vm.controllers.iter().map(|each| controller(view, each).into()));
    out.extend(vm.disks.iter().enumerate().map(|(number, each)| disk(view, number, each).into()));
    out.extend(vm.nics.iter().enumerate().map(|(number, each)| nic(view, number, each).into()));
    out
}

fn device(kind: &'static str, key: i32, label: &str, summary: &str) -> Data {
    let info = Data::new("Description").with("label", label).with("summary", summary);
    Data::new(kind).with("key", key).with("deviceInfo", info)
}

fn on(device: Data, controller: i32, unit: i32) -> Data {
    device.with("controllerKey", controller).with("unitNumber", unit)
}

fn bus(kind: &'static str, key: i32, label: &str, number: i32, devices: &[i32]) -> Data {
    device(kind, key, label, label).with("busNumber", number).with("device", Value::list(devices.iter().copied()))
}

fn controller(view: &View<'_>, each: &Controller) -> Data {
    let on_it: Vec<i32> =
        view.vm.disks.iter().filter(|disk| disk.controller == each.key).map(|disk| disk.key).collect();
    let (kind, label, summary) = match each.kind {
        ControllerKind::ParaVirtual => ("ParaVirtualSCSIController", "SCSI controller", "VMware paravirtual SCSI"),
        ControllerKind::LsiSas => ("VirtualLsiLogicSASController", "SCSI controller", "LSI Logic SAS"),
        ControllerKind::LsiLogic => ("VirtualLsiLogicController", "SCSI controller", "LSI Logic"),
        ControllerKind::Ide => ("VirtualIDEController", "IDE", "IDE"),
        ControllerKind::Sata => ("VirtualAHCIController", "SATA controller", "AHCI"),
        ControllerKind::Nvme => ("VirtualNVMEController", "NVME controller", "NVME"),
    };
    let data = device(kind, each.key, &format!("{label} {}", each.bus), summary);
    let data = on(data, 100, 3 + each.bus).with("busNumber", each.bus).with("device", Value::list(on_it));
    match each.kind {
        ControllerKind::Ide | ControllerKind::Sata | ControllerKind::Nvme => data,
        _ => data.with("hotAddRemove", true).with("sharedBus", Value::Word("noSharing")).with("scsiCtlrUnitNumber", 7),
    }
}

fn disk(view: &View<'_>, number: usize, each: &Disk) -> Data {
    let kib = each.capacity / 1024;
    let label = format!("Hard disk {}", number + 1);
    let shares = Data::new("SharesInfo").with("shares", 1000).with("level", Value::Word("normal"));
    let data = device("VirtualDisk", each.key, &label, &format!("{} KB", grouped(kib)))
        .with("backing", backing(view, each, &each.file, 0))
        .with("capacityInKB", kib)
        .with("capacityInBytes", each.capacity)
        .with("shares", shares)
        .with("diskObjectId", format!("{}-{}", view.vm.id.0, each.key))
        .with("nativeUnmanagedLinkedClone", false);
    on(data, each.controller, each.unit)
}

/// A file and the chain of its parents, cut where no reader would follow.
fn backing(view: &View<'_>, disk: &Disk, path: &Arc<str>, depth: usize) -> Data {
    let world = view.scope.world;
    let file = world.files.get(path);
    let parent = file.and_then(|file| file.parent.as_ref()).filter(|_| depth < 8);
    Data::new("VirtualDiskFlatVer2BackingInfo")
        .with("fileName", path.clone())
        .maybe("datastore", file.map(|file| reference(world, file.datastore)))
        .with("diskMode", disk.mode.clone())
        .with("split", false)
        .with("writeThrough", false)
        .with("thinProvisioned", disk.thin)
        .maybe("uuid", file.map(|file| backing_uuid(file.uuid)))
        .maybe("parent", parent.map(|parent| backing(view, disk, parent, depth + 1)))
        .with("digestEnabled", false)
        .with("sharing", Value::Word(if disk.shared { "sharingMultiWriter" } else { "sharingNone" }))
}

/// VMware's own prefix, upper case, as recorded (`6000C290-a113-...`).
fn backing_uuid(uuid: uuid::Uuid) -> String {
    let text = uuid.to_string();
    format!("6000C29{}", text.get(7..).unwrap_or_default())
}

fn nic(view: &View<'_>, number: usize, each: &Nic) -> Data {
    let kind = match &*each.adapter {
        "e1000" => "VirtualE1000",
        "e1000e" => "VirtualE1000e",
        "pcnet32" => "VirtualPCNet32",
        "vmxnet2" => "VirtualVmxnet2",
        _ => "VirtualVmxnet3",
    };
    let network = each.network.and_then(|id| view.scope.world.networks.get(&id));
    let running = view.vm.power == Power::On;
    let connectable = Data::new("VirtualDeviceConnectInfo")
        .with("migrateConnect", "unset")
        .with("startConnected", each.start_connected)
        .with("allowGuestControl", true)
        .with("connected", each.connected)
        .with("status", if running { "ok" } else { "untried" });
    let (summary, backing) = match network.map(|network| (network, &network.distributed)) {
        Some((_, Some(more))) => (format!("DVSwitch: {}", more.switch_uuid), Some(port_backing(view, more))),
        Some((network, None)) => {
            let backing = Data::new("VirtualEthernetCardNetworkBackingInfo")
                .with("deviceName", network.name.as_str())
                .with("useAutoDetect", false)
                .with("network", reference(view.scope.world, network.id))
                .with("inPassthroughMode", false);
            (network.name.clone(), Some(backing))
        }
        None => (String::new(), None),
    };
    let data = device(kind, each.key, &format!("Network adapter {}", number + 1), &summary)
        .maybe("backing", backing)
        .with("connectable", connectable)
        .with("addressType", if each.mac_manual { "manual" } else { "assigned" })
        .with("macAddress", each.mac.clone())
        .with("wakeOnLanEnabled", true)
        .with("uptCompatibilityEnabled", false);
    on(data, 100, each.unit)
}

/// The backing of a NIC on a distributed port group.
fn port_backing(view: &View<'_>, more: &Distributed) -> Data {
    let port = Data::new("DistributedVirtualSwitchPortConnection")
        .with("switchUuid", more.switch_uuid.as_str())
        .with("portgroupKey", more.key.as_str())
        .with("portKey", format!("{}", view.vm.id.0 % 1_000_000))
        .with("connectionCookie", 1);
    Data::new("VirtualEthernetCardDistributedVirtualPortBackingInfo").with("port", port)
}

/// 2,097,152
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
