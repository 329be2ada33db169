//! `VirtualMachineConfigSpec` and the devices in it, written in schema order. Pure.
//!
//! Orders are those of the vim25 type information: base type first. vCenter refuses an element out of its place.

use super::convert::MARK_KEY;
use super::device::Bus;
use super::node::Node;
use super::soap::{Moref, option};
use crate::mark::{self, Mark};
use crate::model::{Bytes, Firmware, GuestOs, Secret};
use crate::xml::Writer;

/// What a reconfigure or create says. Everything left out stays as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigSpec {
    /// The server refuses the change when the VM's is another.
    pub change_version: Option<String>,
    pub name: Option<String>,
    pub instance_uuid: Option<String>,
    pub guest_id: Option<&'static str>,
    /// Datastore of the VM's own files.
    pub datastore: Option<String>,
    pub cpus: Option<u32>,
    pub memory: Option<Bytes>,
    pub devices: Vec<DeviceChange>,
    /// Extra configuration, key and value; some values are secret.
    pub extra: Vec<(&'static str, Secret)>,
    pub firmware: Option<Firmware>,
}

/// One device to be added, changed or removed.
#[derive(Debug, Clone)]
pub(super) enum DeviceChange {
    AddController {
        key: i32,
        bus_number: i32,
        kind: &'static str,
    },
    AddDisk {
        key: i32,
        at: Plug,
        size: Bytes,
        datastore: Option<String>,
    },
    /// A file that is there already.
    AttachDisk {
        key: i32,
        at: Plug,
        file: String,
    },
    AddNic {
        key: i32,
        kind: String,
        backing: Backing,
        mac: Option<String>,
    },
    /// As it is to be.
    Edit(Node),
    /// Its file is kept.
    Remove(Node),
    /// Its file is deleted.
    Destroy(Node),
}

/// Where a disk is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plug {
    pub controller: i32,
    pub unit: i32,
    /// In our words, such as `scsi0:1`.
    pub slot: String,
}

/// What a NIC is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backing {
    Standard { name: String, network: Moref },
    Distributed { switch: String, key: String },
    Opaque { id: String, kind: String },
}

impl ConfigSpec {
    /// Nothing but a mark.
    pub(super) fn marking(mark: &Mark) -> Self {
        Self { extra: vec![(MARK_KEY, Secret::new(mark::write(mark)))], ..Self::default() }
    }

    /// Does it say anything at all?
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.cpus.is_none()
            && self.memory.is_none()
            && self.devices.is_empty()
            && self.extra.is_empty()
    }

    /// Does it delete a file?
    pub(super) fn destroys(&self) -> bool {
        self.devices.iter().any(|device| matches!(device, DeviceChange::Destroy(_)))
    }

    /// In schema order.
    pub(super) fn write(&self, writer: &mut Writer, name: &str) {
        writer.open(name);
        let leaf = |writer: &mut Writer, name, text: Option<&str>| {
            if let Some(text) = text {
                writer.leaf(name, text);
            }
        };
        leaf(writer, "changeVersion", self.change_version.as_deref());
        leaf(writer, "name", self.name.as_deref());
        leaf(writer, "instanceUuid", self.instance_uuid.as_deref());
        leaf(writer, "guestId", self.guest_id);
        if let Some(datastore) = &self.datastore {
            writer.open("files").leaf("vmPathName", &format!("[{datastore}]")).close();
        }
        leaf(writer, "numCPUs", self.cpus.map(|count| count.to_string()).as_deref());
        leaf(writer, "memoryMB", self.memory.map(|size| size.as_mib().to_string()).as_deref());
        for device in &self.devices {
            device.write(writer);
        }
        for (key, value) in &self.extra {
            option(writer, "extraConfig", key, value.expose());
        }
        let firmware = self.firmware.map(|firmware| match firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "efi",
        });
        leaf(writer, "firmware", firmware);
        writer.close();
    }
}

impl DeviceChange {
    fn write(&self, writer: &mut Writer) {
        let (operation, file_operation) = match self {
            Self::AddController { .. } | Self::AttachDisk { .. } | Self::AddNic { .. } => ("add", None),
            Self::AddDisk { .. } => ("add", Some("create")),
            Self::Edit(_) => ("edit", None),
            Self::Remove(_) => ("remove", None),
            Self::Destroy(_) => ("remove", Some("destroy")),
        };
        writer.open("deviceChange").attribute("xsi:type", "VirtualDeviceConfigSpec").leaf("operation", operation);
        if let Some(file_operation) = file_operation {
            writer.leaf("fileOperation", file_operation);
        }
        match self {
            Self::AddController { key, bus_number, kind } => write_controller(writer, *key, *bus_number, kind),
            Self::AddDisk { key, at, size, datastore } => {
                // An empty path lets the server choose the file's name beside the VM.
                let path = datastore.as_ref().map(|name| format!("[{name}]")).unwrap_or_default();
                write_disk(writer, *key, at, &path, *size);
            }
            Self::AttachDisk { key, at, file } => write_disk(writer, *key, at, file, Bytes(0)),
            Self::AddNic { key, kind, backing, mac } => write_nic(writer, *key, kind, backing, mac.as_deref()),
            Self::Edit(device) | Self::Remove(device) | Self::Destroy(device) => device.write_as(writer, "device"),
        }
        writer.close();
    }
}

fn write_controller(writer: &mut Writer, key: i32, bus_number: i32, kind: &str) {
    writer.open("device").attribute("xsi:type", kind);
    writer.leaf("key", &key.to_string()).leaf("busNumber", &bus_number.to_string()).leaf("sharedBus", "noSharing");
    writer.close();
}

/// VirtualDevice: key, backing, controllerKey, unitNumber; then VirtualDisk: capacityInKB, capacityInBytes.
fn write_disk(writer: &mut Writer, key: i32, at: &Plug, path: &str, size: Bytes) {
    writer.open("device").attribute("xsi:type", "VirtualDisk").leaf("key", &key.to_string());
    writer.open("backing").attribute("xsi:type", "VirtualDiskFlatVer2BackingInfo");
    writer.leaf("fileName", path).leaf("diskMode", "persistent");
    if size.0 > 0 {
        writer.leaf("thinProvisioned", "true");
    }
    writer.close();
    writer.leaf("controllerKey", &at.controller.to_string()).leaf("unitNumber", &at.unit.to_string());
    writer.leaf("capacityInKB", &(size.0 / 1024).to_string());
    if size.0 > 0 {
        writer.leaf("capacityInBytes", &size.0.to_string());
    }
    writer.close();
}

/// VirtualDevice: key, backing, connectable; then VirtualEthernetCard: addressType, macAddress, wakeOnLanEnabled.
fn write_nic(writer: &mut Writer, key: i32, kind: &str, backing: &Backing, mac: Option<&str>) {
    writer.open("device").attribute("xsi:type", kind).leaf("key", &key.to_string());
    backing.node().write_as(writer, "backing");
    writer.open("connectable");
    writer.leaf("startConnected", "true").leaf("allowGuestControl", "true").leaf("connected", "true").close();
    match mac {
        Some(mac) => writer.leaf("addressType", "manual").leaf("macAddress", mac),
        None => writer.leaf("addressType", "generated"),
    };
    writer.leaf("wakeOnLanEnabled", "true").close();
}

impl Backing {
    /// Is this what that NIC is connected to?
    pub(super) fn is_that_of(&self, nic: &Node) -> bool {
        let Some(backing) = nic.child("backing") else { return false };
        match self {
            Self::Standard { name, network } => match backing.text_of("network") {
                Some(found) if !found.is_empty() => *found == *network.value,
                _ => backing.text_of("deviceName") == Some(name),
            },
            Self::Distributed { key, .. } => {
                backing.path(&["port", "portgroupKey"]).is_some_and(|found| found.text.trim() == key)
            }
            Self::Opaque { id, .. } => backing.text_of("opaqueNetworkId") == Some(id),
        }
    }

    /// As an element; `VirtualDeviceDeviceBackingInfo` has `deviceName` before what its subtype adds.
    pub(super) fn node(&self) -> Node {
        match self {
            Self::Standard { name, network } => Node::typed("backing", "VirtualEthernetCardNetworkBackingInfo")
                .with(Node::leaf("deviceName", name.as_str()))
                .with(Node::reference("network", network)),
            Self::Distributed { switch, key } => {
                let port = Node::leaf("port", "")
                    .with(Node::leaf("switchUuid", switch.as_str()))
                    .with(Node::leaf("portgroupKey", key.as_str()));
                Node::typed("backing", "VirtualEthernetCardDistributedVirtualPortBackingInfo").with(port)
            }
            Self::Opaque { id, kind } => Node::typed("backing", "VirtualEthernetCardOpaqueNetworkBackingInfo")
                .with(Node::leaf("opaqueNetworkId", id.as_str()))
                .with(Node::leaf("opaqueNetworkType", kind.as_str())),
        }
    }
}

/// The guest identifier of a new VM: the family's plain 64-bit one that every host from 6.7 on knows.
pub(super) const fn guest_id(family: GuestOs) -> &'static str {
    match family {
        GuestOs::Linux => "otherLinux64Guest",
        GuestOs::Windows => "windows9Server64Guest",
        GuestOs::Other => "otherGuest64",
    }
}

/// The disk controller of a new VM. Windows has no driver for the paravirtual one on its installation medium.
pub(super) const fn controller_kind(family: GuestOs) -> &'static str {
    match family {
        GuestOs::Windows => "VirtualLsiLogicSASController",
        GuestOs::Linux | GuestOs::Other => "ParaVirtualSCSIController",
    }
}

/// The NIC of a new VM, for the same reason.
pub(super) const fn nic_kind(family: GuestOs) -> &'static str {
    match family {
        GuestOs::Windows => "VirtualE1000e",
        GuestOs::Linux | GuestOs::Other => "VirtualVmxnet3",
    }
}

/// Units of a controller that a disk may take: 7 is the SCSI controller itself.
pub(super) fn units(bus: Bus) -> impl Iterator<Item = i32> {
    let count = match bus {
        Bus::Scsi => 16,
        Bus::Nvme => 15,
        Bus::Sata => 30,
        Bus::Ide => 2,
    };
    (0..count).filter(move |unit| !(bus == Bus::Scsi && *unit == 7))
}
