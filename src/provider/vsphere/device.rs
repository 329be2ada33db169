//! Virtual hardware as vim25 describes it, in our words: controllers, disks, NICs. Pure.
//!
//! A disk's slot is its controller's kind and bus and its unit, such as `scsi0:1`: stable while it is attached, the same
//! words as in a `.vmx` file. A NIC's slot is its device key.

use std::collections::HashMap;

use super::names::{datastore_of, unescape};
use crate::model::{Bytes, Hot, NetworkTarget, ObservedDisk, ObservedNic};
use crate::xml::Element;

/// What a controller plugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bus {
    /// 16 units, 7 is the controller itself.
    Scsi,
    /// 15 units.
    Nvme,
    /// 30 units.
    Sata,
    /// 2 units.
    Ide,
}

impl Bus {
    /// By the controller's type.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "ParaVirtualSCSIController"
            | "VirtualLsiLogicController"
            | "VirtualLsiLogicSASController"
            | "VirtualBusLogicController"
            | "VirtualSCSIController" => Some(Self::Scsi),
            "VirtualNVMEController" => Some(Self::Nvme),
            "VirtualAHCIController" | "VirtualSATAController" => Some(Self::Sata),
            "VirtualIDEController" => Some(Self::Ide),
            _ => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Scsi => "scsi",
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Ide => "ide",
        }
    }
}

/// One disk controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Controller {
    pub bus: Bus,
    pub number: i32,
    /// Its disks may be shared between VMs.
    shares: bool,
    /// Devices can come and go while the VM runs.
    hot: bool,
}

impl Controller {
    /// One that nobody shares.
    pub(super) const fn new(bus: Bus, number: i32) -> Self {
        Self { bus, number, shares: false, hot: true }
    }
}

/// Looks up what a backing is connected to: port group keys and opaque network ids to names.
#[derive(Debug, Clone, Default)]
pub(super) struct NetworkNames {
    /// Distributed port group key -> name.
    pub port_groups: HashMap<String, String>,
    /// Opaque network id -> name.
    pub opaque: HashMap<String, String>,
}

/// Disk controllers by device key.
pub(super) fn controllers(devices: &Element<'_>) -> HashMap<i32, Controller> {
    each(devices)
        .filter_map(|device| {
            let bus = Bus::of(device.xsi_type()?)?;
            let shared = device.text_of("sharedBus").is_some_and(|sharing| sharing != "noSharing");
            let hot = match bus {
                Bus::Scsi => device.text_of("hotAddRemove") != Some("false"),
                Bus::Nvme | Bus::Sata => true,
                Bus::Ide => false,
            };
            Some((
                number(device, "key")?,
                Controller { bus, number: number(device, "busNumber")?, shares: shared, hot },
            ))
        })
        .collect()
}

/// Attached disks, in slot order.
pub(super) fn disks(devices: &Element<'_>) -> Vec<ObservedDisk> {
    let controllers = controllers(devices);
    let mut disks: Vec<_> = each(devices)
        .filter(|device| device.xsi_type() == Some("VirtualDisk"))
        .map(|device| {
            let at = number(device, "controllerKey").and_then(|key| controllers.get(&key));
            let unit = number(device, "unitNumber").unwrap_or(-1);
            let order = at.map_or((Bus::Ide, i32::MAX, unit), |at| (at.bus, at.number, unit));
            (order, disk(device, at, unit))
        })
        .collect();
    disks.sort_by_key(|(order, _)| *order);
    disks.into_iter().map(|(_, disk)| disk).collect()
}

/// The slot of a device, as in a `.vmx` file.
pub(super) fn slot(controller: Option<&Controller>, unit: i32) -> String {
    match controller {
        Some(at) => format!("{}{}:{unit}", at.bus.word(), at.number),
        None => format!("unknown:{unit}"),
    }
}

fn disk(device: &Element<'_>, at: Option<&Controller>, unit: i32) -> ObservedDisk {
    let backing = device.child("backing");
    let fact = |name: &str| backing.and_then(|backing| backing.text_of(name)).filter(|text| !text.is_empty());
    let kind = backing.and_then(Element::xsi_type).unwrap_or_default();
    // A raw device mapping is a LUN that others may use; so may a disk on a shared bus or in multi-writer mode.
    let raw = kind.contains("RawDisk") || kind.contains("PartitionedRaw");
    let file = fact("fileName");
    ObservedDisk {
        id: fact("uuid").map(Into::into),
        slot: slot(at, unit).into(),
        size: capacity(device),
        storage: file.and_then(datastore_of).map(Into::into),
        file: file.map(Into::into),
        parent: backing.and_then(|backing| backing.path(&["parent", "fileName"])).map(|file| file.text.as_ref().into()),
        shared: raw || at.is_some_and(|at| at.shares) || fact("sharing").is_some_and(|word| word != "sharingNone"),
    }
}

/// `capacityInBytes` is newer than `capacityInKB` (5.5) and finer.
pub(super) fn capacity(device: &Element<'_>) -> Bytes {
    let of = |name: &str| device.text_of(name).and_then(|text| text.trim().parse::<u64>().ok());
    Bytes(of("capacityInBytes").or_else(|| of("capacityInKB").map(|kb| kb.saturating_mul(1024))).unwrap_or_default())
}

/// Every network card has one of these, whatever its make.
pub(super) fn is_nic(device: &Element<'_>) -> bool {
    device.child("macAddress").is_some() || device.xsi_type().is_some_and(is_nic_kind)
}

/// Is it a type of network card?
pub(super) fn is_nic_kind(kind: &str) -> bool {
    matches!(
        kind,
        "VirtualE1000" | "VirtualE1000e" | "VirtualPCNet32" | "VirtualSriovEthernetCard" | "VirtualEthernetCard"
    ) || kind.starts_with("VirtualVmxnet")
}

/// NICs, in slot order.
pub(super) fn nics(devices: &Element<'_>, networks: &NetworkNames, running: bool) -> Vec<ObservedNic> {
    let mut nics: Vec<_> = each(devices)
        .filter(|device| is_nic(device))
        .map(|device| (number(device, "key").unwrap_or_default(), nic(device, networks, running)))
        .collect();
    nics.sort_by_key(|(key, _)| *key);
    nics.into_iter().map(|(_, nic)| nic).collect()
}

fn nic(device: &Element<'_>, networks: &NetworkNames, running: bool) -> ObservedNic {
    let connect = device.child("connectable");
    let flag = |name: &str| connect.and_then(|connect| connect.text_of(name)).is_none_or(|text| text == "true");
    ObservedNic {
        slot: device.text_of("key").unwrap_or_default().trim().into(),
        mac: device.text_of("macAddress").unwrap_or_default().to_ascii_lowercase().into(),
        network: device.child("backing").and_then(|backing| network(backing, networks)),
        // A powered-off VM's card is never connected; what counts is what it will be.
        connected: flag("startConnected") && (!running || flag("connected")),
    }
}

/// The network a card's backing names.
pub(super) fn network(backing: &Element<'_>, networks: &NetworkNames) -> Option<NetworkTarget> {
    let name = match backing.xsi_type()? {
        "VirtualEthernetCardNetworkBackingInfo" => unescape(backing.text_of("deviceName")?),
        "VirtualEthernetCardDistributedVirtualPortBackingInfo" => {
            let key = backing.path(&["port", "portgroupKey"])?.trimmed();
            networks.port_groups.get(key)?.clone()
        }
        "VirtualEthernetCardOpaqueNetworkBackingInfo" => {
            networks.opaque.get(backing.text_of("opaqueNetworkId")?)?.clone()
        }
        _ => return None,
    };
    (!name.is_empty()).then_some(NetworkTarget { name, vlan: None })
}

/// What may change while the VM runs, as far as its devices say.
///
/// Disks grow hot on SCSI only: NVMe and SATA disks do so on newer hosts, and IDE never; not known is no.
pub(super) fn hot_devices(devices: &Element<'_>, hot: &mut Hot) {
    let controllers = controllers(devices);
    hot.disks = controllers.values().any(|controller| controller.hot);
    let mut disks = each(devices).filter(|device| device.xsi_type() == Some("VirtualDisk")).peekable();
    hot.grow_disk = disks.peek().is_some()
        && disks.all(|disk| {
            let at = number(disk, "controllerKey").and_then(|key| controllers.get(&key));
            at.is_some_and(|at| at.bus == Bus::Scsi)
        });
    hot.nics = true;
    hot.nic_network = true;
}

/// The devices of `config.hardware.device`.
pub(super) fn each<'e, 'a>(devices: &'e Element<'a>) -> impl Iterator<Item = &'e Element<'a>> + use<'e, 'a> {
    devices.children.iter()
}

/// A property that is a number.
pub(super) fn number(element: &Element<'_>, name: &str) -> Option<i32> {
    element.text_of(name)?.trim().parse().ok()
}
