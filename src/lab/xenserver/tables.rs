//! What XAPI keeps of its objects and the world does not: side tables, by object.
//!
//! The world has the VMs, their disks and NICs, power, notes, free settings (`other_config`), hosts, SRs and
//! networks. Here stands what only this API has: fields that are merely kept, memory ranges, drives without a
//! disk in them, what is plugged, what was imported into a VDI, and tasks. Whoever holds the lock on these tables
//! holds the world's already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use uuid::Uuid;

use super::events::Shadow;
use super::refs::Obj;
use super::tasks::Task;
use super::value::Value;
use crate::lab::world::{Id, Power, Vm};

/// Memory ranges of a VM, in bytes; they hold as long as its static maximum is the one they were set with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub static_min: i64,
    pub dynamic_min: i64,
    pub dynamic_max: i64,
    pub static_max: i64,
}

/// A drive for discs: no disk of the VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drive {
    pub userdevice: i32,
    pub medium: Option<Uuid>,
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Fields that were set and are merely kept.
    kept: HashMap<Obj, BTreeMap<&'static str, Value>>,
    memory: HashMap<Id, Memory>,
    /// CPUs a VM runs with, where it was set while it ran; with the boot it holds for.
    live_cpus: HashMap<Id, (u32, i64)>,
    /// Devices that are not plugged though their VM runs; with the boot it holds for.
    unplugged: HashMap<Obj, i64>,
    pub drives: BTreeMap<(Id, i32), Drive>,
    /// What was imported, by VDI.
    pub contents: HashMap<Uuid, Bytes>,
    pub tasks: BTreeMap<u32, Task>,
    /// Those of them that are not over.
    pub pending: BTreeSet<u32>,
    pub shadow: Shadow,
    next_task: u32,
    next_key: i32,
}

impl Tables {
    /// A field that was set.
    pub fn kept(&self, obj: &Obj) -> Option<&BTreeMap<&'static str, Value>> {
        self.kept.get(obj)
    }

    pub fn keep(&mut self, obj: Obj, field: &'static str, value: Value) {
        self.kept.entry(obj).or_default().insert(field, value);
    }

    /// A field is as the world has it again.
    pub fn forget_field(&mut self, obj: &Obj, field: &str) {
        if let Some(fields) = self.kept.get_mut(obj) {
            fields.remove(field);
        }
    }

    /// A copy begins with what was set on the original.
    pub fn copy_kept(&mut self, from: &Obj, to: Obj) {
        if let Some(fields) = self.kept.get(from).cloned() {
            self.kept.insert(to, fields);
        }
    }

    /// Forgets what was kept of an object that is gone.
    pub fn forget(&mut self, obj: &Obj) {
        self.kept.remove(obj);
        self.unplugged.remove(obj);
        match obj {
            Obj::Vm(id) => {
                self.memory.remove(id);
                self.live_cpus.remove(id);
                self.drives.retain(|(vm, _), _| vm != id);
            }
            Obj::Vdi(file) => {
                self.contents.remove(file);
                self.drives.values_mut().filter(|drive| drive.medium == Some(*file)).for_each(|drive| {
                    drive.medium = None;
                });
            }
            _ => {}
        }
    }

    /// A device number that no device had before.
    pub fn fresh_key(&mut self) -> i32 {
        self.next_key += 1;
        10_000 + self.next_key
    }

    pub fn fresh_task(&mut self) -> u32 {
        self.next_task += 1;
        self.next_task
    }

    /// A VM's memory ranges.
    pub fn memory(&self, vm: &Vm) -> Memory {
        let static_max = bytes(vm.memory_mib);
        let plain = Memory { static_min: static_max, dynamic_min: static_max, dynamic_max: static_max, static_max };
        self.memory.get(&vm.id).copied().filter(|set| set.static_max == static_max).unwrap_or(plain)
    }

    pub fn set_memory(&mut self, vm: Id, memory: Memory) {
        self.memory.insert(vm, memory);
    }

    /// CPUs a VM runs with.
    pub fn live_cpus(&self, vm: &Vm) -> u32 {
        let set = self.live_cpus.get(&vm.id).filter(|(_, boot)| Some(*boot) == vm.booted_at);
        set.map_or(vm.cpus, |(cpus, _)| *cpus)
    }

    /// What it runs with stays as it is, whatever is set for the next boot.
    pub fn hold_live_cpus(&mut self, vm: &Vm, cpus: u32) {
        if let Some(boot) = vm.booted_at {
            self.live_cpus.insert(vm.id, (cpus, boot));
        }
    }

    /// The most CPUs a VM may have.
    pub fn most_cpus(&self, vm: &Vm) -> u32 {
        let set = self.kept(&Obj::Vm(vm.id)).and_then(|fields| fields.get("VCPUs_max")).and_then(Value::int);
        set.and_then(|most| u32::try_from(most).ok()).map_or(vm.cpus, |most| most.max(vm.cpus))
    }

    /// Is a device of this VM plugged?
    pub fn plugged(&self, device: &Obj, vm: &Vm) -> bool {
        vm.power == Power::On && self.unplugged.get(device).is_none_or(|boot| Some(*boot) != vm.booted_at)
    }

    pub fn set_plugged(&mut self, device: Obj, vm: &Vm, plugged: bool) {
        match (plugged, vm.booted_at) {
            (false, Some(boot)) => drop(self.unplugged.insert(device, boot)),
            _ => drop(self.unplugged.remove(&device)),
        }
    }

    /// Drives of a VM.
    pub fn drives_of(&self, vm: Id) -> impl Iterator<Item = (i32, &Drive)> {
        self.drives.range((vm, i32::MIN)..=(vm, i32::MAX)).map(|((_, key), drive)| (*key, drive))
    }
}

/// MiB in bytes, as the API counts.
pub(super) fn bytes(mib: u64) -> i64 {
    i64::try_from(mib.saturating_mul(1 << 20)).unwrap_or(i64::MAX)
}
