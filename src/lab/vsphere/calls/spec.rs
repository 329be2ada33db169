//! `VirtualMachineConfigSpec` and its kin in the world's words.
//!
//! Fields the lab does not model are taken and have no effect, as a real server takes many it does not show again.

use std::sync::Arc;

use uuid::Uuid;

use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::morefs::{Object, resolve};
use crate::lab::vsphere::properties::{change_number, unescaped};
use crate::lab::vsphere::value::{Data, Ref, Value};
use crate::lab::world::files::split_path;
use crate::lab::world::refusal::DeviceFault;
use crate::lab::world::{
    CloneVm, ControllerKind, CreateVm, DeviceEdit, DiskSource, Firmware, Id, NewDisk, NewNic, NicEdit, Refusal, VmSpec,
    Work, World,
};

/// The id of a folder, pool, host, datastore, network or VM.
pub(super) fn id_of(world: &World, reference: &Ref) -> Result<Id, Fault> {
    match resolve(world, reference) {
        Some(
            Object::Folder(id)
            | Object::Pool(id)
            | Object::Host(id)
            | Object::Datastore(id)
            | Object::Network(id)
            | Object::Vm(id),
        ) => Ok(id),
        Some(_) => Err(Fault::invalid_argument("object")),
        None => Err(Fault::not_found(reference)),
    }
}

fn maybe_id(world: &World, reference: Option<&Ref>) -> Result<Option<Id>, Fault> {
    reference.map(|reference| id_of(world, reference)).transpose()
}

/// `CreateVM_Task`.
pub(super) fn create(world: &World, parameters: &Data, folder: Id, pool: Id, host: Option<Id>) -> Result<Work, Fault> {
    let config = parameters.data("config").ok_or_else(|| Fault::invalid_argument("config"))?;
    let mut spec = vm_spec(world, config)?;
    spec.name = config.text("name").map(unescaped);
    let path = config.data("files").and_then(|files| files.text("vmPathName")).unwrap_or_default();
    let (place, _) = split_path(path).ok_or_else(|| Fault::invalid_argument("config.files.vmPathName"))?;
    spec.home = world.datastore_named(place).map(|datastore| datastore.id);
    if spec.home.is_none() {
        return Err(Fault::new("InvalidDatastore", format!("Invalid datastore path '{path}'.")));
    }
    Ok(Work::Create(Box::new(CreateVm { folder, pool, host, spec })))
}

/// `CloneVM_Task`.
pub(super) fn clone(world: &World, parameters: &Data, source: Id, folder: Id) -> Result<Work, Fault> {
    let spec = parameters.data("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
    let location = spec.data("location").ok_or_else(|| Fault::invalid_argument("spec.location"))?;
    let mut config = match spec.data("config") {
        Some(config) => vm_spec(world, config)?,
        None => VmSpec::default(),
    };
    let mut devices = devices(world, location)?;
    devices.append(&mut config.devices);
    config.devices = devices;
    let mut disk_places = Vec::new();
    for disk in location.datas("disk") {
        let datastore = maybe_id(world, disk.reference("datastore"))?;
        let key = disk.int("diskId").and_then(|key| i32::try_from(key).ok());
        disk_places.extend(key.zip(datastore));
    }
    // A folder in the location wins over the parameter (VirtualMachineRelocateSpec.folder).
    let folder = maybe_id(world, location.reference("folder"))?.unwrap_or(folder);
    Ok(Work::Clone(Box::new(CloneVm {
        source,
        name: unescaped(parameters.text("name").unwrap_or_default()),
        folder,
        pool: maybe_id(world, location.reference("pool"))?,
        host: maybe_id(world, location.reference("host"))?,
        datastore: maybe_id(world, location.reference("datastore"))?,
        disk_places,
        template: spec.flag("template").unwrap_or(false),
        power_on: spec.flag("powerOn").unwrap_or(false),
        linked: location.text("diskMoveType") == Some("createNewChildDiskBacking"),
        spec: config,
    })))
}

/// `ReconfigVM_Task`.
pub(super) fn reconfigure(world: &World, parameters: &Data, vm: Id) -> Result<Work, Fault> {
    let data = parameters.data("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
    let mut spec = vm_spec(world, data)?;
    spec.name = data.text("name").map(unescaped);
    Ok(Work::Reconfigure { vm, spec: Box::new(spec) })
}

fn vm_spec(world: &World, data: &Data) -> Result<VmSpec, Fault> {
    let firmware = match data.text("firmware") {
        None => None,
        Some("bios") => Some(Firmware::Bios),
        Some("efi") => Some(Firmware::Uefi),
        Some(_) => return Err(Fault::invalid_argument("configSpec.firmware")),
    };
    let number = |name: &str| -> Result<Option<u32>, Fault> {
        let negative = || Fault::invalid_argument(&format!("configSpec.{name}"));
        data.int(name).map(|value| u32::try_from(value).map_err(|_| negative())).transpose()
    };
    let memory = data.int("memoryMB").map(|memory| u64::try_from(memory).unwrap_or(0));
    let settings = data.datas("extraConfig").map(|option| {
        let value = option.get("value").and_then(Value::as_text).unwrap_or_default();
        (option.text("key").unwrap_or_default().to_owned(), value.to_owned())
    });
    Ok(VmSpec {
        // A version that was never given out is as good as an old one.
        change: data
            .text("changeVersion")
            .filter(|version| !version.is_empty())
            .map(|version| change_number(version).unwrap_or(u64::MAX)),
        name: None,
        instance_uuid: uuid(data, "instanceUuid")?,
        bios_uuid: uuid(data, "uuid")?,
        annotation: data.text("annotation").map(Into::into),
        cpus: number("numCPUs")?,
        cores_per_socket: number("numCoresPerSocket")?,
        memory_mib: memory,
        guest_id: data.text("guestId").map(Into::into),
        firmware,
        hot_add_cpu: data.flag("cpuHotAddEnabled"),
        hot_add_memory: data.flag("memoryHotAddEnabled"),
        hot_remove_cpu: data.flag("cpuHotRemoveEnabled"),
        settings: settings.collect(),
        home: None,
        devices: devices(world, data)?,
    })
}

fn uuid(data: &Data, field: &str) -> Result<Option<Uuid>, Fault> {
    let Some(text) = data.text(field) else { return Ok(None) };
    match Uuid::parse_str(text.trim()) {
        Ok(uuid) => Ok(Some(uuid)),
        Err(_) => Err(Fault::invalid_argument(&format!("configSpec.{field}"))),
    }
}

/// `deviceChange` of a config or relocate spec.
fn devices(world: &World, data: &Data) -> Result<Vec<DeviceEdit>, Fault> {
    let changes = data.datas("deviceChange").enumerate();
    changes
        .map(|(index, change)| {
            let edit = change.data("device").ok_or(DeviceFault::NotFound).and_then(|device| {
                let operation = change.text("operation").ok_or(DeviceFault::Unsupported)?;
                edit(world, device, operation, change.text("fileOperation"))
            });
            edit.map_err(|why| Fault::from_refusal(&Refusal::Device { index, why }, world))
        })
        .collect()
}

fn edit(world: &World, device: &Data, operation: &str, file: Option<&str>) -> Result<DeviceEdit, DeviceFault> {
    let key = small(device, "key").ok_or(DeviceFault::NotFound)?;
    if device.is_a("VirtualDisk") {
        return match operation {
            "add" => add_disk(world, device, key, file),
            "remove" => Ok(DeviceEdit::RemoveDisk { key, destroy: file == Some("destroy") }),
            _ => Ok(DeviceEdit::EditDisk { key, capacity: capacity(device) }),
        };
    }
    if device.is_a("VirtualEthernetCard") {
        return match operation {
            "add" => add_nic(world, device, key),
            "remove" => Ok(DeviceEdit::RemoveNic(key)),
            _ => edit_nic(world, device, key),
        };
    }
    let kind = match device.kind {
        "ParaVirtualSCSIController" => ControllerKind::ParaVirtual,
        "VirtualLsiLogicSASController" => ControllerKind::LsiSas,
        "VirtualLsiLogicController" | "VirtualBusLogicController" => ControllerKind::LsiLogic,
        "VirtualAHCIController" => ControllerKind::Sata,
        "VirtualNVMEController" => ControllerKind::Nvme,
        _ => return Ok(DeviceEdit::Other),
    };
    match operation {
        "add" => Ok(DeviceEdit::AddController { key, kind, bus: small(device, "busNumber").unwrap_or(0) }),
        "remove" => Ok(DeviceEdit::RemoveController(key)),
        _ => Ok(DeviceEdit::Other),
    }
}

fn small(data: &Data, field: &str) -> Option<i32> {
    data.int(field).and_then(|number| i32::try_from(number).ok())
}

/// Bytes win over KiB where both are told (VirtualDisk.capacityInBytes).
fn capacity(device: &Data) -> u64 {
    let bytes = device.int("capacityInBytes").filter(|bytes| *bytes > 0);
    let kib = device.int("capacityInKB").and_then(|kib| kib.checked_mul(1024));
    bytes.or(kib).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

fn add_disk(world: &World, device: &Data, key: i32, file: Option<&str>) -> Result<DeviceEdit, DeviceFault> {
    let backing = device.data("backing").ok_or(DeviceFault::Backing)?;
    if !backing.is_a("VirtualDiskFlatVer2BackingInfo") {
        return Err(DeviceFault::Backing);
    }
    let name = backing.text("fileName").unwrap_or_default();
    let named = split_path(name);
    let datastore = match (backing.reference("datastore"), named) {
        (Some(reference), _) => Some(id_of(world, reference).map_err(|_| DeviceFault::Backing)?),
        (None, Some((place, _))) => Some(world.datastore_named(place).ok_or(DeviceFault::Backing)?.id),
        (None, None) => None,
    };
    let path: Option<Arc<str>> = named.filter(|(_, path)| !path.is_empty()).map(|_| name.into());
    let source = match (file, path) {
        (Some("create"), path) => DiskSource::New { datastore, path, capacity: capacity(device) },
        (None, Some(path)) => DiskSource::Existing(path),
        _ => return Err(DeviceFault::Backing),
    };
    Ok(DeviceEdit::AddDisk(NewDisk {
        key,
        controller: small(device, "controllerKey").ok_or(DeviceFault::NoController)?,
        // -1 leaves it to the server, as the vSphere clients do.
        unit: small(device, "unitNumber").filter(|unit| *unit >= 0),
        source,
        thin: backing.flag("thinProvisioned").unwrap_or(false),
        shared: backing.text("sharing") == Some("sharingMultiWriter"),
        mode: backing.text("diskMode").filter(|mode| !mode.is_empty()).map(Into::into),
    }))
}

/// The network of a NIC's backing; a standard one by reference or name, a distributed one by port group and switch.
fn network(world: &World, backing: &Data) -> Result<Id, DeviceFault> {
    if let Some(port) = backing.data("port") {
        let (key, switch) = (port.text("portgroupKey"), port.text("switchUuid"));
        let found = world.networks.values().find(|network| {
            network
                .distributed
                .as_ref()
                .is_some_and(|more| key == Some(more.key.as_str()) && switch == Some(more.switch_uuid.as_str()))
        });
        return found.map(|network| network.id).ok_or(DeviceFault::Backing);
    }
    if let Some(reference) = backing.reference("network") {
        return match resolve(world, reference) {
            Some(Object::Network(id)) => Ok(id),
            _ => Err(DeviceFault::Backing),
        };
    }
    let name = backing.text("deviceName").ok_or(DeviceFault::Backing)?;
    let standard = |network: &&crate::lab::world::Network| network.name == name && network.distributed.is_none();
    world.networks.values().find(standard).map(|network| network.id).ok_or(DeviceFault::Backing)
}

/// A MAC counts only where it is said to be given by hand.
fn mac(device: &Data) -> Option<String> {
    let manual = device.text("addressType").is_some_and(|kind| kind.eq_ignore_ascii_case("manual"));
    device.text("macAddress").filter(|mac| manual && !mac.is_empty()).map(Into::into)
}

fn add_nic(world: &World, device: &Data, key: i32) -> Result<DeviceEdit, DeviceFault> {
    let adapter = match device.kind {
        "VirtualE1000" => "e1000",
        "VirtualE1000e" => "e1000e",
        "VirtualPCNet32" => "pcnet32",
        "VirtualVmxnet2" => "vmxnet2",
        _ => "vmxnet3",
    };
    let connectable = device.data("connectable");
    Ok(DeviceEdit::AddNic(NewNic {
        key,
        adapter: adapter.into(),
        mac: mac(device),
        network: network(world, device.data("backing").ok_or(DeviceFault::Backing)?)?,
        start_connected: connectable.is_none_or(|it| it.flag("startConnected") == Some(true)),
        connected: connectable.is_none_or(|it| it.flag("connected") == Some(true)),
    }))
}

fn edit_nic(world: &World, device: &Data, key: i32) -> Result<DeviceEdit, DeviceFault> {
    let connectable = device.data("connectable");
    Ok(DeviceEdit::EditNic(NicEdit {
        key,
        network: device.data("backing").map(|backing| network(world, backing)).transpose()?,
        mac: mac(device),
        start_connected: connectable.and_then(|it| it.flag("startConnected")),
        connected: connectable.and_then(|it| it.flag("connected")),
    }))
}
