//! A VM put together from its parts: controllers and slots, drives and what is in them, NICs and where they lead. Pure.
//!
//! A slot is `ide0:1` or `scsi0:5`: kind of controller, its number, the place on it. IDE controllers tell their number;
//! SCSI ones are numbered in the order a host lists them, as its own tools do (SEQUENCES.md, "Inventory: devices").

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ident::{device_of, mac};
use super::parts::{Memory, Parts, Port, Resource, Settings, System, Vlan};
use super::paths;

/// ResourceType of an IDE controller, a SCSI controller, a disc drive and a disk drive.
pub(super) const IDE: u64 = 5;
pub(super) const SCSI: u64 = 6;
const DVD_DRIVE: u64 = 16;
const DISK_DRIVE: u64 = 17;

/// One VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub guid: String,
    pub settings: Settings,
    pub cpus: u64,
    pub memory: Memory,
    pub controllers: Vec<Controller>,
    pub drives: Vec<Drive>,
    pub nics: Vec<Adapter>,
    pub checkpointed: bool,
    pub addresses: Vec<Arc<str>>,
    pub obedient: bool,
}

/// A controller with its number among its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Controller {
    pub id: String,
    pub kind: u64,
    pub number: u8,
}

/// A drive in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drive {
    pub id: String,
    pub controller: u64,
    pub number: u8,
    pub unit: u8,
    /// A disk of the host's given to the VM whole.
    pub physical: bool,
    pub disk: Option<Disk>,
    /// A disc drive.
    pub is_dvd: bool,
}

/// A virtual hard disk in a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    pub id: String,
    pub path: String,
    pub shared: bool,
}

/// A NIC with its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adapter {
    pub id: String,
    pub class: &'static str,
    pub name: String,
    /// Lower case with colons; empty until Hyper-V has chosen one.
    pub mac: String,
    pub port: Option<Port>,
    pub vlan: Option<Vlan>,
}

impl Adapter {
    /// The device's own id: stable while it is there.
    pub(super) fn slot(&self) -> &str {
        device_of(&self.id).unwrap_or(&self.id)
    }

    /// Connected, and to a switch.
    pub(super) fn connected(&self) -> bool {
        self.port.as_ref().is_some_and(|port| port.enabled && port.switch.is_some())
    }
}

impl Drive {
    pub(super) fn slot(&self) -> String {
        slot(self.controller, self.number, self.unit)
    }
}

/// How a place is written.
pub(super) fn slot(controller: u64, number: u8, unit: u8) -> String {
    let bus = if controller == IDE { "ide" } else { "scsi" };
    format!("{bus}{number}:{unit}")
}

impl Machine {
    /// Drives that hold a hard disk, in slot order.
    pub(super) fn disks(&self) -> impl Iterator<Item = (&Drive, &Disk)> {
        self.drives.iter().filter_map(|drive| Some((drive, drive.disk.as_ref()?)))
    }

    /// The drive that holds this file.
    pub(super) fn holding(&self, path: &str) -> Option<&Drive> {
        self.disks().find(|(_, disk)| paths::same(&disk.path, path)).map(|(drive, _)| drive)
    }

    /// Generation 2 boots by UEFI and has no IDE.
    pub(super) fn is_generation_2(&self) -> bool {
        self.settings.generation == Some(2)
    }
}

/// Joins the parts by instance ids: the VMs that have settings, with why those that lack something cannot be read.
pub(super) fn join(mut parts: Parts) -> BTreeMap<String, Result<Machine, String>> {
    let settings = std::mem::take(&mut parts.settings);
    let mut grouped = Grouped::of(parts);
    settings.into_iter().map(|(vm, settings)| (vm.clone(), grouped.machine(vm, settings))).collect()
}

/// Parts by VM.
struct Grouped {
    parts: Parts,
    resources: BTreeMap<String, Vec<Resource>>,
    media: BTreeMap<String, Vec<super::parts::Medium>>,
    nics: BTreeMap<String, Vec<super::parts::Nic>>,
    ports: BTreeMap<String, Vec<Port>>,
    vlans: BTreeMap<String, Vec<Vlan>>,
    addresses: BTreeMap<String, Vec<Arc<str>>>,
}

fn group<T>(list: Vec<(String, T)>) -> BTreeMap<String, Vec<T>> {
    let mut grouped: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (vm, part) in list {
        grouped.entry(vm).or_default().push(part);
    }
    grouped
}

impl Grouped {
    fn of(mut all: Parts) -> Self {
        let resources = group(std::mem::take(&mut all.resources));
        let media = group(std::mem::take(&mut all.media));
        let nics = group(std::mem::take(&mut all.nics));
        let ports = group(std::mem::take(&mut all.ports));
        let vlans = group(std::mem::take(&mut all.vlans));
        let addresses = group(std::mem::take(&mut all.addresses));
        Self { parts: all, resources, media, nics, ports, vlans, addresses }
    }

    fn machine(&mut self, vm: String, settings: Settings) -> Result<Machine, String> {
        let lacks = |what: &str| format!("the host gives no {what} of it");
        let cpus = self.parts.processors.get(&vm).ok_or_else(|| lacks("processor settings"))?.1;
        let memory = self.parts.memories.get(&vm).ok_or_else(|| lacks("memory settings"))?.1;
        let resources = self.resources.remove(&vm).unwrap_or_default();
        let controllers = controllers(&resources);
        let media = self.media.remove(&vm).unwrap_or_default();
        let drives = drives(&resources, &controllers, media)?;
        let (ports, vlans) = (self.ports.remove(&vm).unwrap_or_default(), self.vlans.remove(&vm).unwrap_or_default());
        let mut nics: Vec<Adapter> =
            self.nics.remove(&vm).unwrap_or_default().into_iter().map(|nic| adapter(nic, &ports, &vlans)).collect();
        nics.sort_by(|one, other| one.id.cmp(&other.id));
        let mut addresses = self.addresses.remove(&vm).unwrap_or_default();
        addresses.sort();
        let checkpointed = self.parts.checkpointed.contains(&vm);
        let obedient = self.parts.obedient.contains(&vm);
        Ok(Machine { guid: vm, settings, cpus, memory, controllers, drives, nics, checkpointed, addresses, obedient })
    }
}

fn controllers(resources: &[Resource]) -> Vec<Controller> {
    let mut scsi = 0;
    let of = |resource: &Resource| {
        let number = match resource.kind {
            IDE => resource.address?,
            SCSI => {
                scsi += 1;
                scsi - 1
            }
            _ => return None,
        };
        Some(Controller { id: resource.id.clone(), kind: resource.kind, number })
    };
    resources.iter().filter_map(of).collect()
}

fn drives(
    resources: &[Resource],
    controllers: &[Controller],
    media: Vec<super::parts::Medium>,
) -> Result<Vec<Drive>, String> {
    let same = |id: &str, parent: Option<&String>| parent.is_some_and(|parent| parent.eq_ignore_ascii_case(id));
    let mut drives = Vec::new();
    for resource in resources.iter().filter(|resource| matches!(resource.kind, DISK_DRIVE | DVD_DRIVE)) {
        let controller = controllers.iter().find(|controller| same(&controller.id, resource.parent.as_ref()));
        let (Some(controller), Some(unit)) = (controller, resource.unit) else {
            return Err(format!("the host does not tell where the drive {} is plugged in", resource.id));
        };
        let is_dvd = resource.kind == DVD_DRIVE;
        let (kind, number) = (controller.kind, controller.number);
        let physical = resource.subtype == "Microsoft:Hyper-V:Physical Disk Drive";
        drives.push(Drive { id: resource.id.clone(), controller: kind, number, unit, physical, disk: None, is_dvd });
    }
    for medium in media.into_iter().filter(|medium| medium.is_disk) {
        let Some(drive) = drives.iter_mut().find(|drive| same(&drive.id, medium.parent.as_ref())) else {
            return Err(format!("the host does not tell in which drive {} is", medium.path));
        };
        drive.disk = Some(Disk { id: medium.id, path: medium.path, shared: medium.shared });
    }
    drives.sort_by_key(|drive| (drive.controller, drive.number, drive.unit));
    Ok(drives)
}

fn adapter(nic: super::parts::Nic, ports: &[Port], vlans: &[Vlan]) -> Adapter {
    let super::parts::Nic { id, class, name, address } = nic;
    let port = ports.iter().find(|port| port.parent.as_ref().is_some_and(|parent| parent.eq_ignore_ascii_case(&id)));
    let below = |port: &Port, vlan: &Vlan| {
        let front = vlan.id.get(..port.id.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(&port.id))
            && vlan.id.get(port.id.len()..).is_some_and(|rest| rest.starts_with('\\'))
    };
    let vlan = port.and_then(|port| vlans.iter().find(|vlan| below(port, vlan)));
    Adapter { mac: mac(&address), id, class, name, port: port.cloned(), vlan: vlan.cloned() }
}

/// A machine read fresh, with the system it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub system: System,
    pub machine: Machine,
}
