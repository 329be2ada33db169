//! Power, and guests that are asked to stop.

use super::devices::facts;
use super::{Deed, INVALID_PARAMETER, INVALID_STATE, Input, Outcome, queue, vm_here};
use crate::lab::hyperv::cim::enabled_state;
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::instance::Instance;
use crate::lab::hyperv::operations::Turn;
use crate::lab::world::{Id, Power, Refusal, World};

/// `The system is not ready`: nobody in the guest listens.
const NOT_READY: u32 = 32780;
/// Memory the host keeps for itself.
const HOST_OWN_MIB: u64 = 2048;

/// What a VM is asked to be; `RequestedState` of SEQUENCES.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    On,
    Off,
    GuestStops,
    Saved,
    Paused,
    GuestReboots,
    Reset,
}

pub(super) fn request(turn: &mut Turn<'_>, target: &Instance, input: &Input) -> Result<Outcome, Fault> {
    let id = target.text("Name").unwrap_or_default();
    let Some(vm) = vm_here(turn, id) else { return Ok(Outcome::returns(1)) };
    let wanted = match input.text("RequestedState")?.trim() {
        "2" => Wanted::On,
        "3" => Wanted::Off,
        "4" => Wanted::GuestStops,
        "6" | "32773" => Wanted::Saved,
        "9" | "32776" => Wanted::Paused,
        "10" => Wanted::GuestReboots,
        "11" => Wanted::Reset,
        _ => return Ok(Outcome::returns(INVALID_PARAMETER)),
    };
    let now = turn.world.vm(vm).map_or(0, enabled_state);
    let there = matches!((wanted, now), (Wanted::On, 2) | (Wanted::Off, 3) | (Wanted::Saved, 6) | (Wanted::Paused, 9));
    if there || turn.world.is_busy(vm) {
        return Ok(Outcome::returns(INVALID_STATE));
    }
    let perform = Box::new(move |world: &mut World| become_so(world, vm, wanted).map(|()| None));
    Ok(queue(turn, Deed { method: "RequestStateChange", vm: Some(vm), storage: false, long: false, perform }))
}

fn become_so(world: &mut World, id: Id, wanted: Wanted) -> Result<(), Refusal> {
    let is = world.vm(id).ok_or(Refusal::Gone(id))?.power;
    let refuse = Err(Refusal::Power { wanted: Power::On, is });
    match (wanted, is) {
        (Wanted::On, Power::Off | Power::Suspended) => start(world, id)?,
        (Wanted::Off, Power::On | Power::Suspended) => turn_off(world, id),
        (Wanted::GuestStops | Wanted::GuestReboots, Power::On) => {
            world.ask_guest(id, wanted == Wanted::GuestReboots)?;
        }
        (Wanted::Saved | Wanted::Paused, Power::On) => {
            world.guest_rests(id);
            world.set_power(id, Power::Suspended);
            world.edit_runtime(id, |vm| facts(vm).paused = wanted == Wanted::Paused);
        }
        (Wanted::Reset, Power::On) => {
            world.guest_rests(id);
            world.set_power(id, Power::On);
        }
        _ => return refuse,
    }
    Ok(())
}

fn turn_off(world: &mut World, id: Id) {
    world.guest_rests(id);
    world.set_power(id, Power::Off);
    world.edit_runtime(id, |vm| facts(vm).paused = false);
}

fn start(world: &mut World, id: Id) -> Result<(), Refusal> {
    let vm = world.vm(id).ok_or(Refusal::Gone(id))?;
    if vm.wmi.as_ref().is_some_and(|wmi| wmi.planned || wmi.replication_mode == 2) {
        return Err(Refusal::Unsupported);
    }
    let paused = vm.wmi.as_ref().is_some_and(|wmi| wmi.paused);
    let mut bootable = false;
    for disk in &vm.disks {
        let file = world.files.get(&disk.file).ok_or_else(|| Refusal::NoFile(disk.file.to_string()))?;
        bootable |= file.bootable;
        let parent_gone = file.parent.as_ref().is_some_and(|parent| !world.files.contains_key(parent));
        if parent_gone {
            return Err(Refusal::NoFile(file.parent.as_deref().unwrap_or_default().to_owned()));
        }
        let others = world.vms().filter(|other| other.id != id && other.power == Power::On);
        let locked = others.flat_map(|other| &other.disks).any(|other| other.file == disk.file && !other.shared);
        if locked && !disk.shared {
            return Err(Refusal::FileLocked(disk.file.to_string()));
        }
    }
    if !paused {
        room(world, vm.host, vm.memory_mib)?;
    }
    world.set_power(id, Power::On);
    world.edit_runtime(id, |vm| {
        facts(vm).paused = false;
        vm.memory_at_boot_mib = vm.memory_mib;
        // What was installed from an image has the integration services in it.
        vm.guest.tools_installed |= bootable;
        if vm.guest.addresses.is_empty() && vm.guest.tools_installed {
            let [_, _, high, low] = vm.id.0.to_be_bytes();
            vm.guest.addresses.push(format!("10.30.{high}.{low}").into());
        }
    });
    Ok(())
}

/// Has the host so much memory left?
pub(super) fn room(world: &World, host: Id, wanted_mib: u64) -> Result<(), Refusal> {
    let total = world.hosts.get(&host).map_or(0, |host| host.memory_mib);
    let running = world.vms().filter(|vm| vm.host == host && vm.power == Power::On);
    let used: u64 = running.map(|vm| vm.memory_mib).sum();
    let free_mib = total.saturating_sub(HOST_OWN_MIB).saturating_sub(used);
    if wanted_mib > free_mib { Err(Refusal::NoMemory { wanted_mib, free_mib }) } else { Ok(()) }
}

pub(super) fn shut_down(turn: &mut Turn<'_>, target: &Instance) -> Result<Outcome, Fault> {
    let Some(vm) = vm_here(turn, target.text("SystemName").unwrap_or_default()) else { return Err(Fault::not_found()) };
    match turn.world.ask_guest(vm, false) {
        Ok(()) => Ok(Outcome::returns(super::DONE)),
        Err(Refusal::NoTools) => Ok(Outcome::returns(NOT_READY)),
        Err(refusal) => Ok(Outcome::refused(&refusal)),
    }
}
