//! A VM read in full and fresh, to be changed.

use super::convert::{self, Heavy, Light};
use super::device::{self, Bus, Controller};
use super::fault::Failure;
use super::find;
use super::node::Node;
use super::pages::{self, Each};
use super::property::{From, Object, Wanted};
use super::session::{Door, Session};
use super::soap::Moref;
use crate::mark::{self, Mark};
use crate::model::{GuestAgent, ObservedDisk, OwnId, PowerState, Words};
use crate::plan::{DiskAt, NicAt};
use crate::provider::ErrorKind;

/// A VM and its devices as the server describes them.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub light: Light,
    pub heavy: Heavy,
    pub devices: Vec<Node>,
}

/// A disk controller with the units that are taken.
#[derive(Debug, Clone)]
pub(super) struct Plugs {
    pub key: i32,
    pub controller: Controller,
    pub taken: Vec<i32>,
}

/// The light part, and the rest when the server gave it.
type Parts = (Light, Option<(Heavy, Vec<Node>)>);

fn parts(object: &Object<'_>, words: &mut Words) -> Option<Parts> {
    let light = convert::light(object, words)?;
    let devices = object.get("config.hardware.device");
    let nodes = devices.map(|devices| device::each(devices).map(Node::from).collect());
    Some((light, convert::heavy(object, words).zip(nodes)))
}

/// Reads one VM by reference.
pub(super) async fn read(door: &Door, session: &Session, moref: &Moref) -> Result<Option<Machine>, Failure> {
    let paths = convert::all_paths();
    let wanted = [Wanted { kind: "VirtualMachine", paths: &paths }];
    let objects = [moref.clone()];
    let mut found = pages::read(door, session, &wanted, &From::Objects(&objects), Each::whole(parts)).await?;
    let Some((light, rest)) = found.pop() else { return Ok(None) };
    if let Some(why) = light.unreadable() {
        return Err(Failure::because(ErrorKind::Conflict, format!("it cannot be read: {why}")));
    }
    let Some((heavy, devices)) = rest else {
        return Err(Failure::because(ErrorKind::Conflict, "the server gives no hardware of it"));
    };
    Ok(Some(Machine { light, heavy, devices }))
}

/// Reads one VM by its lasting id; `None` when the server shows none.
pub(super) async fn by_id(door: &Door, id: &OwnId) -> Result<Option<Machine>, Failure> {
    door.within(|session| async move {
        match find::by_instance_uuid(door, &session, id).await?.as_slice() {
            [] => Ok(None),
            [moref] => read(door, &session, moref).await,
            several => Err(Failure::because(
                ErrorKind::Conflict,
                format!("{} VMs have the instance UUID {id}; nothing is done to any", several.len()),
            )),
        }
    })
    .await
}

impl Machine {
    pub(super) fn moref(&self) -> &Moref {
        &self.light.moref
    }

    pub(super) fn power(&self) -> PowerState {
        self.light.power
    }

    pub(super) fn guest_agent(&self) -> GuestAgent {
        self.light.guest_agent
    }

    /// The mark as it stands on the VM, when it can be read.
    pub(super) fn mark(&self) -> Option<Mark> {
        mark::parse(self.heavy.config.mark.as_deref()?).ok()
    }

    /// Does exactly this mark stand on it?
    pub(super) fn bears(&self, mark: &Mark) -> bool {
        self.heavy.config.mark.as_deref() == Some(mark::write(mark).as_str())
    }

    /// Disk controllers by slot order.
    pub(super) fn plugs(&self) -> Vec<Plugs> {
        let mut plugs: Vec<Plugs> = self
            .devices
            .iter()
            .filter_map(|device| {
                let bus = Bus::of(device.kind.as_deref()?)?;
                let key = device.number("key")?;
                let controller = Controller::new(bus, device.number("busNumber")?);
                let taken = self.units_on(key);
                Some(Plugs { key, controller, taken })
            })
            .collect();
        plugs.sort_by_key(|plugs| (plugs.controller.bus, plugs.controller.number));
        plugs
    }

    fn units_on(&self, controller: i32) -> Vec<i32> {
        self.devices
            .iter()
            .filter(|device| device.number("controllerKey") == Some(controller))
            .filter_map(|device| device.number("unitNumber"))
            .collect()
    }

    /// The attached disk that is meant: by slot, and by id when one is given. `Ok(None)`: that slot is empty and no
    /// disk of that id is attached.
    pub(super) fn disk(&self, at: &DiskAt) -> Result<Option<(&ObservedDisk, &Node)>, Failure> {
        let by_slot = self.heavy.config.disks.iter().find(|disk| *disk.slot == *at.slot);
        let same_id = |disk: &&ObservedDisk| at.id.is_none() || disk.id.as_deref() == at.id.as_deref();
        let found = match by_slot {
            Some(disk) if same_id(&disk) => disk,
            Some(disk) => {
                let id = disk.id.as_deref().unwrap_or("no id");
                let why = format!("at {} there is another disk ({id}) than `{}`", at.slot, at.name);
                return Err(Failure::because(ErrorKind::Conflict, why));
            }
            None if at.id.is_some() && self.heavy.config.disks.iter().any(|disk| same_id(&disk)) => {
                let why = format!("disk `{}` is no longer at {}", at.name, at.slot);
                return Err(Failure::because(ErrorKind::Conflict, why));
            }
            None => return Ok(None),
        };
        let node = self.devices.iter().find(|device| device.is_disk() && self.slot_of(device) == at.slot);
        let node = node.ok_or_else(|| Failure::senseless("a disk without its device"))?;
        Ok(Some((found, node)))
    }

    fn slot_of(&self, device: &Node) -> String {
        let plugs = self.plugs();
        let at = device.number("controllerKey").and_then(|key| plugs.iter().find(|plugs| plugs.key == key));
        device::slot(at.map(|plugs| &plugs.controller), device.number("unitNumber").unwrap_or(-1))
    }

    /// The NIC that is meant: by slot and MAC, both.
    pub(super) fn nic(&self, at: &NicAt) -> Result<Option<&Node>, Failure> {
        let nic = self.nics().find(|nic| nic.text_of("key") == Some(at.slot.as_str()));
        match nic {
            Some(nic) if !mac_of(nic).eq_ignore_ascii_case(&at.mac) => {
                let why = format!("at {} there is another NIC ({}) than `{}`", at.slot, mac_of(nic), at.name);
                Err(Failure::because(ErrorKind::Conflict, why))
            }
            found => Ok(found),
        }
    }

    pub(super) fn nics(&self) -> impl Iterator<Item = &Node> {
        self.devices.iter().filter(|device| device.is_nic())
    }
}

/// A NIC's MAC as the server writes it.
pub(super) fn mac_of(nic: &Node) -> &str {
    nic.text_of("macAddress").unwrap_or_default()
}
