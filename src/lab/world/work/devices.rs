//! Disks, controllers and NICs of a VM that is being changed or made.
//!
//! Keys: a device of a request has a key of the request's own choosing, negative by custom, by which other devices of
//! the same request name it. What it gets is the host's: controllers 1000 + bus (SCSI), disks 2000 + 16 x bus + unit,
//! NICs from 4000, as in recorded traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DeviceEdit, DiskSource, NewDisk, NewNic, NicEdit, World};
use crate::lab::world::refusal::DeviceFault;
use crate::lab::world::{Controller, ControllerKind, Disk, Id, Nic, Power, Refusal, Vm};

/// The unit a SCSI controller takes itself.
const SCSI_OWN_UNIT: i32 = 7;
/// The most NICs of a VM.
const MAX_NICS: usize = 10;
/// The largest disk: 62 TiB.
const MAX_DISK: u64 = 62 << 40;

/// A VM as it will be, and what happens to files once it is put in place.
#[derive(Debug)]
pub(super) struct Draft {
    pub vm: Vm,
    pub made: Vec<MadeFile>,
    pub removed: Vec<Arc<str>>,
    /// Key in the request -> key on the VM, for controllers.
    keys: BTreeMap<i32, i32>,
}

/// A file that will be made.
#[derive(Debug)]
pub(super) struct MadeFile {
    pub path: Arc<str>,
    pub datastore: Id,
    pub capacity: u64,
    pub parent: Option<Arc<str>>,
}

impl Draft {
    pub fn of(vm: Vm) -> Self {
        Self { vm, made: Vec::new(), removed: Vec::new(), keys: BTreeMap::new() }
    }

    /// Paths that are promised to new files.
    pub fn promised(&self) -> Vec<Arc<str>> {
        self.made.iter().map(|file| file.path.clone()).collect()
    }
}

impl World {
    pub(super) fn apply_devices(&mut self, draft: &mut Draft, edits: &[DeviceEdit]) -> Result<(), Refusal> {
        // Controllers first, wherever they stand: real servers take a disk that is listed before its new controller.
        for (index, edit) in edits.iter().enumerate() {
            if let DeviceEdit::AddController { key, kind, bus } = edit {
                add_controller(draft, *key, *kind, *bus).map_err(|why| Refusal::Device { index, why })?;
            }
        }
        for (index, edit) in edits.iter().enumerate() {
            let result = match edit {
                DeviceEdit::AddController { .. } | DeviceEdit::Other => Ok(()),
                DeviceEdit::RemoveController(key) => remove_controller(draft, *key),
                DeviceEdit::AddDisk(disk) => self.add_disk(draft, disk)?,
                DeviceEdit::EditDisk { key, capacity } => self.edit_disk(draft, *key, *capacity)?,
                DeviceEdit::RemoveDisk { key, destroy } => self.remove_disk(draft, *key, *destroy)?,
                DeviceEdit::AddNic(nic) => self.add_nic(draft, nic),
                DeviceEdit::EditNic(nic) => self.edit_nic(draft, nic),
                DeviceEdit::RemoveNic(key) => remove_nic(draft, *key),
            };
            result.map_err(|why| Refusal::Device { index, why })?;
        }
        Ok(())
    }

    fn add_disk(&self, draft: &mut Draft, new: &NewDisk) -> Result<Result<(), DeviceFault>, Refusal> {
        let place = match place_disk(draft, new) {
            Ok(place) => place,
            Err(why) => return Ok(Err(why)),
        };
        let (file, capacity) = match &new.source {
            DiskSource::New { datastore, path, capacity } => {
                if *capacity == 0 || *capacity > MAX_DISK {
                    return Ok(Err(DeviceFault::Capacity));
                }
                let datastore = datastore.unwrap_or(draft.vm.home);
                let Some(room) = self.datastores.get(&datastore) else { return Ok(Err(DeviceFault::Backing)) };
                let promised: u64 =
                    draft.made.iter().filter(|file| file.datastore == datastore).map(|file| file.capacity).sum();
                if room.used.saturating_add(promised).saturating_add(*capacity) > room.capacity {
                    return Err(Refusal::NoRoom(datastore));
                }
                let taken = draft.promised();
                let path = match path {
                    Some(path) if self.files.contains_key(path) || taken.contains(path) => {
                        return Err(Refusal::FileExists(path.to_string()));
                    }
                    Some(path) => path.clone(),
                    None => self.free_path(datastore, &draft.vm.name, &taken),
                };
                draft.made.push(MadeFile { path: path.clone(), datastore, capacity: *capacity, parent: None });
                (path, *capacity)
            }
            DiskSource::Existing(path) => {
                let capacity = self.files.get(path).ok_or_else(|| Refusal::NoFile(path.to_string()))?.capacity;
                if draft.vm.disks.iter().any(|disk| disk.file == *path) {
                    return Ok(Err(DeviceFault::Backing));
                }
                if draft.vm.power == Power::On && !new.shared && self.file_in_use(path, draft.vm.id) {
                    return Err(Refusal::FileLocked(path.to_string()));
                }
                (path.clone(), capacity)
            }
        };
        let (controller, bus, unit) = place;
        draft.vm.disks.push(Disk {
            key: 2000 + bus * 16 + unit,
            controller,
            unit,
            file,
            capacity,
            thin: new.thin,
            shared: new.shared,
            mode: new.mode.clone().unwrap_or_else(|| "persistent".into()),
        });
        draft.vm.disks.sort_by_key(|disk| disk.key);
        Ok(Ok(()))
    }

    /// Does another running VM use the file, without sharing it?
    pub(super) fn file_in_use(&self, path: &str, except: Id) -> bool {
        self.vms.values().any(|vm| {
            vm.id != except && vm.power == Power::On && vm.disks.iter().any(|disk| *disk.file == *path && !disk.shared)
        })
    }

    fn edit_disk(&self, draft: &mut Draft, key: i32, capacity: u64) -> Result<Result<(), DeviceFault>, Refusal> {
        let has_snapshots = !draft.vm.snapshots.is_empty();
        let Some(disk) = draft.vm.disks.iter_mut().find(|disk| disk.key == key) else {
            return Ok(Err(DeviceFault::NotFound));
        };
        if capacity == disk.capacity {
            return Ok(Ok(()));
        }
        if capacity < disk.capacity || capacity > MAX_DISK {
            return Ok(Err(DeviceFault::Capacity));
        }
        // A disk with a parent or a child cannot be grown: the layers would not fit any more.
        let layered =
            self.files.get(&disk.file).is_some_and(|file| file.parent.is_some()) || self.children_of(&disk.file) > 0;
        if has_snapshots || layered {
            return Ok(Err(DeviceFault::Unsupported));
        }
        if let Some(file) = self.files.get(&disk.file)
            && let Some(room) = self.datastores.get(&file.datastore)
            && room.used.saturating_add(capacity - disk.capacity) > room.capacity
        {
            return Err(Refusal::NoRoom(file.datastore));
        }
        disk.capacity = capacity;
        Ok(Ok(()))
    }

    fn remove_disk(&self, draft: &mut Draft, key: i32, destroy: bool) -> Result<Result<(), DeviceFault>, Refusal> {
        let Some(position) = draft.vm.disks.iter().position(|disk| disk.key == key) else {
            return Ok(Err(DeviceFault::NotFound));
        };
        if destroy && !draft.vm.snapshots.is_empty() {
            return Ok(Err(DeviceFault::Unsupported));
        }
        let disk = draft.vm.disks.remove(position);
        if destroy {
            if self.file_in_use(&disk.file, draft.vm.id) {
                return Err(Refusal::FileLocked(disk.file.to_string()));
            }
            draft.removed.push(disk.file);
        }
        Ok(Ok(()))
    }

    fn add_nic(&mut self, draft: &mut Draft, new: &NewNic) -> Result<(), DeviceFault> {
        if draft.vm.nics.len() >= MAX_NICS {
            return Err(DeviceFault::Unsupported);
        }
        if !self.networks.contains_key(&new.network) {
            return Err(DeviceFault::Backing);
        }
        let mac = match &new.mac {
            Some(mac) => checked_mac(mac)?,
            None => self.fresh_mac().into(),
        };
        let key = (4000..4100).find(|key| draft.vm.nics.iter().all(|nic| nic.key != *key)).unwrap_or(4000);
        let unit = (7..100).find(|unit| draft.vm.nics.iter().all(|nic| nic.unit != *unit)).unwrap_or(7);
        let running = draft.vm.power == Power::On;
        draft.vm.nics.push(Nic {
            key,
            unit,
            adapter: new.adapter.clone(),
            mac,
            mac_manual: new.mac.is_some(),
            network: Some(new.network),
            connected: running && new.connected,
            start_connected: new.start_connected,
        });
        draft.vm.nics.sort_by_key(|nic| nic.key);
        Ok(())
    }

    fn edit_nic(&self, draft: &mut Draft, edit: &NicEdit) -> Result<(), DeviceFault> {
        if edit.network.is_some_and(|network| !self.networks.contains_key(&network)) {
            return Err(DeviceFault::Backing);
        }
        let running = draft.vm.power == Power::On;
        let nic = draft.vm.nics.iter_mut().find(|nic| nic.key == edit.key).ok_or(DeviceFault::NotFound)?;
        if let Some(mac) = &edit.mac {
            let mac = checked_mac(mac)?;
            if mac != nic.mac && running {
                return Err(DeviceFault::Unsupported);
            }
            nic.mac_manual |= mac != nic.mac;
            nic.mac = mac;
        }
        nic.network = edit.network.or(nic.network);
        nic.start_connected = edit.start_connected.unwrap_or(nic.start_connected);
        if let Some(connected) = edit.connected {
            nic.connected = running && connected;
        }
        Ok(())
    }
}

fn checked_mac(mac: &str) -> Result<Arc<str>, DeviceFault> {
    let parts: Vec<&str> = mac.split(':').collect();
    let plain = parts.len() == 6
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // The first byte's lowest bit says multicast: no card has such an address.
    let unicast = plain && u8::from_str_radix(parts[0], 16).is_ok_and(|first| first & 1 == 0);
    if unicast { Ok(mac.to_ascii_lowercase().into()) } else { Err(DeviceFault::Mac) }
}

const fn units(kind: ControllerKind) -> i32 {
    match kind {
        ControllerKind::ParaVirtual | ControllerKind::LsiSas | ControllerKind::LsiLogic => 16,
        ControllerKind::Ide => 2,
        ControllerKind::Sata => 30,
        ControllerKind::Nvme => 15,
    }
}

/// First key of a kind of controller; one range per kind, a key per bus.
const fn key_base(kind: ControllerKind) -> i32 {
    match kind {
        ControllerKind::ParaVirtual | ControllerKind::LsiSas | ControllerKind::LsiLogic => 1000,
        ControllerKind::Ide => 200,
        ControllerKind::Sata => 15000,
        ControllerKind::Nvme => 31000,
    }
}

fn add_controller(draft: &mut Draft, key: i32, kind: ControllerKind, bus: i32) -> Result<(), DeviceFault> {
    if !(0..4).contains(&bus) {
        return Err(DeviceFault::UnitTaken);
    }
    let given = key_base(kind) + bus;
    if draft.vm.controllers.iter().any(|controller| controller.key == given) {
        return Err(DeviceFault::UnitTaken);
    }
    if draft.vm.power == Power::Suspended {
        return Err(DeviceFault::Unsupported);
    }
    draft.vm.controllers.push(Controller { key: given, bus, kind });
    draft.vm.controllers.sort_by_key(|controller| controller.key);
    draft.keys.insert(key, given);
    Ok(())
}

fn remove_controller(draft: &mut Draft, key: i32) -> Result<(), DeviceFault> {
    if draft.vm.disks.iter().any(|disk| disk.controller == key) {
        return Err(DeviceFault::Unsupported);
    }
    let before = draft.vm.controllers.len();
    draft.vm.controllers.retain(|controller| controller.key != key);
    if draft.vm.controllers.len() == before { Err(DeviceFault::NotFound) } else { Ok(()) }
}

/// Controller key, offset for the disk's key, and unit.
fn place_disk(draft: &Draft, new: &NewDisk) -> Result<(i32, i32, i32), DeviceFault> {
    let key = draft.keys.get(&new.controller).copied().unwrap_or(new.controller);
    let controller =
        draft.vm.controllers.iter().find(|controller| controller.key == key).ok_or(DeviceFault::NoController)?;
    let scsi = key_base(controller.kind) == 1000;
    let taken = |unit: i32| {
        (scsi && unit == SCSI_OWN_UNIT) || draft.vm.disks.iter().any(|disk| disk.controller == key && disk.unit == unit)
    };
    let unit = match new.unit {
        Some(unit) if unit < 0 || unit >= units(controller.kind) || taken(unit) => return Err(DeviceFault::UnitTaken),
        Some(unit) => unit,
        None => (0..units(controller.kind)).find(|unit| !taken(*unit)).ok_or(DeviceFault::UnitTaken)?,
    };
    // Disk keys of other kinds of controllers start elsewhere, so that no two disks share one.
    let offset = match controller.kind {
        ControllerKind::Ide => controller.bus + 62,       // 2000 + 62 * 16 = 2992
        ControllerKind::Sata => controller.bus * 2 + 875, // 2000 + 875 * 16 = 16000
        ControllerKind::Nvme => controller.bus + 1875,    // 2000 + 1875 * 16 = 32000
        ControllerKind::ParaVirtual | ControllerKind::LsiSas | ControllerKind::LsiLogic => controller.bus,
    };
    Ok((key, offset, unit))
}

fn remove_nic(draft: &mut Draft, key: i32) -> Result<(), DeviceFault> {
    let before = draft.vm.nics.len();
    draft.vm.nics.retain(|nic| nic.key != key);
    if draft.vm.nics.len() == before { Err(DeviceFault::NotFound) } else { Ok(()) }
}
