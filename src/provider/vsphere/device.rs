//! Virtual hardware as vim25 describes it, in our words: controllers, disks, NICs. Pure.
//!
//! A disk's slot is its controller's kind and bus and its unit, such as `scsi0:1`: stable while it is attached, the
//! same words as in a `.vmx` file. A NIC's slot is its device key.

use std::collections::HashMap;

use super::names::{datastore_of, unescape};
use crate::model::{Bytes, Hot, NetworkTarget, ObservedDisk, ObservedNic, Words};
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

/// Disk controllers by device key: few enough to be looked through.
#[derive(Debug)]
pub(super) struct Controllers(Vec<(i32, Controller)>);

/// Looks up what a backing is connected to: port group keys and opaque network ids to names.
#[derive(Debug, Clone, Default)]
pub(super) struct NetworkNames {
    /// Distributed port group key -> name.
    pub port_groups: HashMap<String, String>,
    /// Opaque network id -> name.
    pub opaque: HashMap<String, String>,
}

/// Types of device that are neither a controller of disks nor a disk nor a network card, and that every VM has. A type
/// that is not known here is looked at, as something that may be any of these.
pub(super) fn is_of_no_interest(kind: &str) -> bool {
    matches!(
        kind,
        "VirtualPS2Controller"
            | "VirtualPCIController"
            | "VirtualSIOController"
            | "VirtualKeyboard"
            | "VirtualPointingDevice"
            | "VirtualMachineVideoCard"
            | "VirtualMachineVMCIDevice"
            | "VirtualCdrom"
            | "VirtualFloppy"
    )
}

/// Is an element of that name, anywhere in `config.hardware.device`, looked at by anything here? What is not named is
/// not even read from the answers of an inventory, so a field that is looked at below must stand here.
pub(super) fn is_looked_at(name: &str) -> bool {
    matches!(
        name,
        "VirtualDevice"
            | "key"
            | "controllerKey"
            | "unitNumber"
            | "busNumber"
            | "sharedBus"
            | "hotAddRemove"
            | "capacityInBytes"
            | "capacityInKB"
            | "backing"
            | "fileName"
            | "uuid"
            | "sharing"
            | "parent"
            | "macAddress"
            | "deviceName"
            | "port"
            | "portgroupKey"
            | "opaqueNetworkId"
            | "connectable"
            | "startConnected"
            | "connected"
    )
}

/// Disk controllers by device key.
pub(super) fn controllers(devices: &Element<'_>) -> Controllers {
    let all = each(devices)
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
        .collect();
    Controllers(all)
}

impl Controllers {
    fn get(&self, key: i32) -> Option<&Controller> {
        self.0.iter().rev().find(|(known, _)| *known == key).map(|(_, controller)| controller)
    }

    /// The controller a device is plugged in at.
    fn of(&self, device: &Element<'_>) -> Option<&Controller> {
        self.get(number(device, "controllerKey")?)
    }
}

/// Attached disks, in slot order.
pub(super) fn disks(devices: &Element<'_>, controllers: &Controllers, words: &mut Words) -> Vec<ObservedDisk> {
    let mut disks: Vec<_> = each(devices)
        .filter(|device| device.xsi_type() == Some("VirtualDisk"))
        .map(|device| {
            let at = controllers.of(device);
            let unit = number(device, "unitNumber").unwrap_or(-1);
            let order = at.map_or((Bus::Ide, i32::MAX, unit), |at| (at.bus, at.number, unit));
            (order, disk(device, at, unit, words))
        })
        .collect();
    disks.sort_by_key(|(order, _)| *order);
    // Made to measure: collecting in place would keep the room of the order, for as long as the VM is known.
    let mut sorted = Vec::with_capacity(disks.len());
    sorted.extend(disks.into_iter().map(|(_, disk)| disk));
    sorted
}

/// The slot of a device, as in a `.vmx` file.
pub(super) fn slot(controller: Option<&Controller>, unit: i32) -> String {
    match controller {
        Some(at) => format!("{}{}:{unit}", at.bus.word(), at.number),
        None => format!("unknown:{unit}"),
    }
}

fn disk(device: &Element<'_>, at: Option<&Controller>, unit: i32, words: &mut Words) -> ObservedDisk {
    let backing = device.child("backing");
    let fact = |name: &str| backing.and_then(|backing| backing.text_of(name)).filter(|text| !text.is_empty());
    let kind = backing.and_then(Element::xsi_type).unwrap_or_default();
    // A raw device mapping is a LUN that others may use; so may a disk on a shared bus or in multi-writer mode.
    let raw = kind.contains("RawDisk") || kind.contains("PartitionedRaw");
    let file = fact("fileName");
    ObservedDisk {
        id: fact("uuid").map(Into::into),
        slot: words.one(&slot(at, unit)),
        size: capacity(device),
        storage: file.and_then(datastore_of).map(|name| words.one(name)),
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

/// What a NIC's connection follows from, besides what stands in its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    /// Is it connected while the VM runs?
    running: bool,
    /// Is it connected once the VM is started? A powered-off VM's card is never connected; what
    /// counts is what it will be.
    starting: bool,
    /// What it is plugged in at, where that has a name of its own elsewhere.
    port: Option<Port>,
}

/// Where a card is plugged in, as its backing says it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    /// Key of a distributed port group.
    Group(Box<str>),
    /// Id of an opaque network.
    Opaque(Box<str>),
}

impl Card {
    /// Is it connected, of a VM that runs or does not?
    pub(super) const fn is_connected(&self, running: bool) -> bool {
        if running { self.running } else { self.starting }
    }

    /// Can what a configuration says of its NIC change while the configuration stays?
    pub(super) fn varies(&self) -> bool {
        self.running != self.starting || self.port.is_some()
    }

    /// Does this NIC of a configuration say what is so?
    pub(super) fn agrees(&self, nic: &ObservedNic, running: bool, networks: &NetworkNames) -> bool {
        let named = nic.network.as_ref().map(|network| network.name.as_str());
        nic.connected == self.is_connected(running)
            && self.port.as_ref().is_none_or(|port| networks.of(port).map(String::as_str) == named)
    }

    /// Makes it say so.
    pub(super) fn tell(&self, nic: &mut ObservedNic, running: bool, networks: &NetworkNames) {
        nic.connected = self.is_connected(running);
        if let Some(port) = &self.port {
            nic.network = networks.of(port).map(|name| NetworkTarget { name: name.clone(), vlan: None });
        }
    }
}

impl NetworkNames {
    fn of(&self, port: &Port) -> Option<&String> {
        match port {
            Port::Group(key) => self.port_groups.get(&**key),
            Port::Opaque(id) => self.opaque.get(&**id),
        }
    }
}

/// NICs of a running VM in slot order, and what their connections follow from.
pub(super) fn nics(devices: &Element<'_>, words: &mut Words) -> (Vec<ObservedNic>, Vec<Card>) {
    let mut nics: Vec<_> = each(devices)
        .filter(|device| is_nic(device))
        .map(|device| (number(device, "key").unwrap_or_default(), nic(device, words)))
        .collect();
    nics.sort_by_key(|(key, _)| *key);
    let (mut sorted, mut cards) = (Vec::with_capacity(nics.len()), Vec::with_capacity(nics.len()));
    for (_, (nic, card)) in nics {
        sorted.push(nic);
        cards.push(card);
    }
    (sorted, cards)
}

fn nic(device: &Element<'_>, words: &mut Words) -> (ObservedNic, Card) {
    let connect = device.child("connectable");
    let flag = |name: &str| connect.and_then(|connect| connect.text_of(name)).is_none_or(|text| text == "true");
    let backing = device.child("backing");
    let id = |path: &[&str]| backing.and_then(|backing| backing.path(path)).map(Element::trimmed);
    let group = id(&["port", "portgroupKey"]).map(|key| Port::Group(key.into()));
    let card = Card {
        running: flag("startConnected") && flag("connected"),
        starting: flag("startConnected"),
        port: group.or_else(|| id(&["opaqueNetworkId"]).map(|id| Port::Opaque(id.into()))),
    };
    let nic = ObservedNic {
        slot: words.one(device.text_of("key").unwrap_or_default().trim()),
        mac: device.text_of("macAddress").unwrap_or_default().to_ascii_lowercase().into(),
        network: backing.and_then(network),
        connected: card.running,
    };
    (nic, card)
}

/// The network a card's backing names; the other kinds of backing name a key, and
/// [`NetworkNames`] what that stands for.
fn network(backing: &Element<'_>) -> Option<NetworkTarget> {
    let name = match backing.xsi_type()? {
        "VirtualEthernetCardNetworkBackingInfo" => unescape(backing.text_of("deviceName")?),
        _ => return None,
    };
    (!name.is_empty()).then_some(NetworkTarget { name, vlan: None })
}

/// What may change while the VM runs, as far as its devices say.
///
/// Disks grow hot on SCSI only: NVMe and SATA disks do so on newer hosts, and IDE never; not known is no.
pub(super) fn hot_devices(devices: &Element<'_>, controllers: &Controllers, hot: &mut Hot) {
    hot.disks = controllers.0.iter().any(|(_, controller)| controller.hot);
    let mut disks = each(devices).filter(|device| device.xsi_type() == Some("VirtualDisk")).peekable();
    hot.grow_disk =
        disks.peek().is_some() && disks.all(|disk| controllers.of(disk).is_some_and(|at| at.bus == Bus::Scsi));
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
