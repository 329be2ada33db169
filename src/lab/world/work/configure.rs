//! Changes of a VM that is there: hardware and settings, by the rules of a real host.
//!
//! All or nothing: tried on a copy, put in place at the end; files are made and removed only then.

use super::devices::Draft;
use super::{VmSpec, World};
use crate::lab::world::{Id, Power, Refusal, Vm};

/// Memory added while running is a multiple of this many MiB.
pub const MEMORY_INCREMENT: u64 = 4;

/// The most memory a VM can be grown to while it runs, in MiB, from what it was booted with.
pub const fn memory_limit(booted_with: u64) -> u64 {
    booted_with * 16
}

impl World {
    /// Changes a VM as asked.
    pub fn reconfigure(&mut self, id: Id, spec: &VmSpec) -> Result<(), Refusal> {
        let vm = self.vms.get(&id).ok_or(Refusal::Gone(id))?;
        if vm.question.is_some() {
            return Err(Refusal::Question);
        }
        if spec.change.is_some_and(|change| change != vm.config_change) {
            return Err(Refusal::ChangedMeanwhile);
        }
        if vm.template && touches_hardware(spec) {
            return Err(Refusal::Template);
        }
        let mut draft = Draft::of(vm.clone());
        if let Some(name) = &spec.name {
            check_name(name)?;
            if let Some(by) = self.name_taken(vm.folder, name, Some(id)) {
                return Err(Refusal::NameTaken { name: name.clone(), by });
            }
            draft.vm.name = name.as_str().into();
        }
        self.apply_spec(&mut draft, spec)?;
        self.commit(draft);
        Ok(())
    }

    /// Applies everything but name and place; also for VMs that are being made.
    pub(super) fn apply_spec(&mut self, draft: &mut Draft, spec: &VmSpec) -> Result<(), Refusal> {
        apply_cpu_and_memory(&mut draft.vm, spec)?;
        apply_identity(self, &mut draft.vm, spec)?;
        apply_flags(&mut draft.vm, spec)?;
        for (key, value) in &spec.settings {
            draft.vm.set_setting(key, value);
        }
        self.apply_devices(draft, &spec.devices)
    }

    /// Puts a changed VM in place.
    pub(super) fn commit(&mut self, draft: Draft) {
        let Draft { mut vm, made, removed, .. } = draft;
        for file in made {
            self.make_file(file.path, file.datastore, file.capacity, file.parent);
        }
        for (path, capacity) in draft_growth(&vm, self) {
            self.grow_file(&path, capacity);
        }
        for path in removed {
            self.delete_file_chain(&path);
        }
        let (number, now) = (self.bump(), self.now);
        vm.touch_config(number, now);
        let id = vm.id;
        if let Some(old) = self.vms.get(&id) {
            let key = (old.folder, Box::<str>::from(&*old.name));
            self.unlist(&key, id);
        }
        self.list((vm.folder, Box::from(&*vm.name)), id);
        self.vms.insert(id, vm);
    }
}

/// Disks whose file is smaller than the VM now says.
fn draft_growth(vm: &Vm, world: &World) -> Vec<(std::sync::Arc<str>, u64)> {
    vm.disks
        .iter()
        .filter(|disk| world.files.get(&disk.file).is_some_and(|file| file.capacity < disk.capacity))
        .map(|disk| (disk.file.clone(), disk.capacity))
        .collect()
}

fn touches_hardware(spec: &VmSpec) -> bool {
    spec.cpus.is_some() || spec.memory_mib.is_some() || !spec.devices.is_empty() || spec.firmware.is_some()
}

/// 1 to 80 characters, as vCenter takes.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > 80 {
        return Err(Refusal::Invalid { field: "configSpec.name".into() });
    }
    Ok(())
}

fn apply_cpu_and_memory(vm: &mut Vm, spec: &VmSpec) -> Result<(), Refusal> {
    let running = vm.power != Power::Off;
    if let Some(cpus) = spec.cpus {
        if cpus == 0 || cpus > 768 {
            return Err(Refusal::Invalid { field: "configSpec.numCPUs".into() });
        }
        if running && cpus > vm.cpus && !vm.hot_add_cpu {
            return Err(Refusal::NoCpuHotAdd);
        }
        if running && cpus < vm.cpus && !vm.hot_remove_cpu {
            return Err(Refusal::NoCpuHotRemove);
        }
        vm.cpus = cpus;
    }
    if let Some(cores) = spec.cores_per_socket {
        if running && cores != vm.cores_per_socket {
            return Err(Refusal::Power { wanted: Power::Off, is: vm.power });
        }
        vm.cores_per_socket = cores;
    }
    if vm.cores_per_socket == 0 || !vm.cpus.is_multiple_of(vm.cores_per_socket) {
        if spec.cores_per_socket.is_some() {
            return Err(Refusal::Invalid { field: "configSpec.numCoresPerSocket".into() });
        }
        return Err(Refusal::Invalid { field: "configSpec.numCPUs".into() });
    }
    let Some(memory) = spec.memory_mib else { return Ok(()) };
    if memory == 0 || !memory.is_multiple_of(4) || memory > 24 * 1024 * 1024 {
        return Err(Refusal::Invalid { field: "configSpec.memoryMB".into() });
    }
    if running && memory > vm.memory_mib {
        if !vm.hot_add_memory {
            return Err(Refusal::NoMemoryHotAdd);
        }
        let limit = memory_limit(vm.memory_at_boot_mib);
        if !(memory - vm.memory_mib).is_multiple_of(MEMORY_INCREMENT) || memory > limit {
            return Err(Refusal::MemoryStep { increment: MEMORY_INCREMENT, limit });
        }
    }
    if running && memory < vm.memory_mib {
        return Err(Refusal::NoMemoryHotRemove);
    }
    vm.memory_mib = memory;
    if !running {
        vm.memory_at_boot_mib = memory;
    }
    Ok(())
}

fn apply_identity(world: &mut World, vm: &mut Vm, spec: &VmSpec) -> Result<(), Refusal> {
    if let Some(uuid) = spec.instance_uuid
        && uuid != vm.instance_uuid
    {
        // vCenter keeps these unique by choosing another itself
        // (VirtualMachineConfigSpec.instanceUuid), not by refusing.
        let taken = world.vms.values().any(|other| other.id != vm.id && other.instance_uuid == uuid);
        vm.instance_uuid = if taken { world.fresh_uuid() } else { uuid };
    }
    if let Some(uuid) = spec.bios_uuid
        && uuid != vm.bios_uuid
    {
        if vm.power != Power::Off {
            return Err(Refusal::Power { wanted: Power::Off, is: vm.power });
        }
        vm.bios_uuid = uuid;
    }
    if let Some(annotation) = &spec.annotation {
        vm.annotation = annotation.as_str().into();
    }
    Ok(())
}

/// What is fixed while a VM runs.
fn apply_flags(vm: &mut Vm, spec: &VmSpec) -> Result<(), Refusal> {
    let changed = spec.firmware.is_some_and(|firmware| firmware != vm.firmware)
        || spec.guest_id.as_deref().is_some_and(|guest| guest != &*vm.guest_id)
        || spec.hot_add_cpu.is_some_and(|flag| flag != vm.hot_add_cpu)
        || spec.hot_add_memory.is_some_and(|flag| flag != vm.hot_add_memory)
        || spec.hot_remove_cpu.is_some_and(|flag| flag != vm.hot_remove_cpu);
    if changed && vm.power != Power::Off {
        return Err(Refusal::Power { wanted: Power::Off, is: vm.power });
    }
    vm.firmware = spec.firmware.unwrap_or(vm.firmware);
    if let Some(guest) = &spec.guest_id {
        vm.guest_id = guest.as_str().into();
    }
    vm.hot_add_cpu = spec.hot_add_cpu.unwrap_or(vm.hot_add_cpu);
    vm.hot_add_memory = spec.hot_add_memory.unwrap_or(vm.hot_add_memory);
    vm.hot_remove_cpu = spec.hot_remove_cpu.unwrap_or(vm.hot_remove_cpu);
    Ok(())
}
