//! NICs, their connections to switches, and the VLANs of those.

use std::sync::Arc;

use super::devices::{chosen_id, device, facts, keep, must_be_off, must_not_rest, parent};
use super::resources::Place;
use super::{Deed, Input, Outcome, bad_text, change, invalid, part_of, queue, ruled_out, vm_of};
use crate::lab::hyperv::embedded::{self, Embedded};
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::instance::{Reference, Value};
use crate::lab::hyperv::operations::Turn;
use crate::lab::hyperv::parts::{Owner, Part};
use crate::lab::hyperv::schema::class;
use crate::lab::hyperv::wql;
use crate::lab::world::refusal::DeviceFault;
use crate::lab::world::{Firmware, Id, Nic, Power, Refusal, Vlan, Vm, World};

/// Synthetic NICs of a VM at most.
const MOST_NICS: usize = 8;
const FIRST_KEY: i32 = 4000;
const HIGHEST_VLAN: u16 = 4094;

/// NICs come and go while generation 2 runs (README, "Hot").
fn may_change_nics(vm: &Vm) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    if vm.firmware == Firmware::Bios { must_be_off(vm) } else { Ok(()) }
}

pub(super) fn add_nic(place: &Place<'_>, vm: &mut Vm, settings: &Embedded) -> Result<Part, Refusal> {
    may_change_nics(vm)?;
    if vm.nics.len() >= MOST_NICS {
        return Err(device(DeviceFault::UnitTaken));
    }
    let is_static = settings.flag("StaticMacAddress").map_err(invalid)?.unwrap_or(false);
    let mac = match settings.get("Address").filter(|_| is_static) {
        Some(address) => colons(address)?,
        None => unused_mac(place.world, vm),
    };
    let key = (FIRST_KEY..FIRST_KEY + 100).find(|key| vm.nics.iter().all(|nic| nic.key != *key)).unwrap_or(FIRST_KEY);
    vm.nics.push(Nic {
        key,
        unit: key - FIRST_KEY,
        adapter: "synthetic".into(),
        mac,
        mac_manual: is_static,
        network: None,
        connected: false,
        start_connected: true,
    });
    vm.nics.sort_by_key(|nic| nic.key);
    chosen_id(vm, settings, key)?;
    keep(vm, settings, &format!("nic {key}"), KNOWN);
    Ok(Part::Nic(key))
}

/// Properties of a NIC that are more than kept.
const KNOWN: &[&str] =
    &["Address", "StaticMacAddress", "VirtualSystemIdentifiers", "ResourceType", "ResourceSubType", "Parent"];

/// The next address of the world's range. The world itself is not changed while a change is tried: the number is one
/// that no VM has.
fn unused_mac(world: &World, vm: &Vm) -> Arc<str> {
    let [a, b, c] = world.oui;
    let used: std::collections::HashSet<&str> =
        world.vms().chain([vm]).flat_map(|vm| &vm.nics).map(|nic| &*nic.mac).collect();
    let all = (0_u32..1 << 22).map(|number| {
        let [_, high, middle, low] = number.to_be_bytes();
        format!("{a:02x}:{b:02x}:{c:02x}:{:02x}:{middle:02x}:{low:02x}", 0x80 | high)
    });
    let mut free = all.filter(|mac| !used.contains(mac.as_str()));
    free.next().unwrap_or_default().into()
}

/// `00155D010203` with colons, in lower case.
fn colons(address: &str) -> Result<Arc<str>, Refusal> {
    let plain = address.len() == 12 && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unicast = plain && u8::from_str_radix(&address[..2], 16).is_ok_and(|first| first & 1 == 0);
    if !unicast {
        return Err(device(DeviceFault::Mac));
    }
    let pairs: Vec<&str> = (0..6).map(|at| &address[at * 2..at * 2 + 2]).collect();
    Ok(pairs.join(":").to_ascii_lowercase().into())
}

pub(super) fn set_nic(vm: &mut Vm, settings: &Embedded, key: i32) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    let running = vm.power == Power::On;
    let nic = vm.nics.iter_mut().find(|nic| nic.key == key).ok_or_else(|| invalid("InstanceID"))?;
    let is_static = settings.flag("StaticMacAddress").map_err(invalid)?.unwrap_or(nic.mac_manual);
    if let Some(address) = settings.get("Address").filter(|_| is_static) {
        let mac = colons(address)?;
        if mac != nic.mac && running {
            return Err(Refusal::Power { wanted: Power::Off, is: Power::On });
        }
        nic.mac = mac;
    }
    nic.mac_manual = is_static;
    keep(vm, settings, &format!("nic {key}"), KNOWN);
    Ok(())
}

pub(super) fn remove_nic(vm: &mut Vm, key: i32) -> Result<(), Refusal> {
    may_change_nics(vm)?;
    remove_port(vm, key);
    vm.nics.retain(|nic| nic.key != key);
    let wmi = facts(vm);
    wmi.ids.remove(&key);
    wmi.kept.retain(|(part, _), _| **part != *format!("nic {key}"));
    Ok(())
}

/// A NIC without a connection; the VLAN goes with it.
pub(super) fn remove_port(vm: &mut Vm, key: i32) {
    if let Some(nic) = vm.nics.iter_mut().find(|nic| nic.key == key) {
        nic.network = None;
        nic.connected = false;
    }
    let wmi = facts(vm);
    wmi.loose_ports.remove(&key);
    wmi.vlans.remove(&key);
}

pub(super) fn add_port(place: &Place<'_>, vm: &mut Vm, settings: &Embedded) -> Result<Part, Refusal> {
    must_not_rest(vm)?;
    let Part::Nic(key) = parent(vm, settings)? else { return Err(invalid("Parent")) };
    if crate::lab::hyperv::parts::has_port(vm, key) {
        return Err(device(DeviceFault::UnitTaken));
    }
    facts(vm).loose_ports.insert(key);
    set_port(place, vm, settings, key)?;
    Ok(Part::Port(key))
}

pub(super) fn set_port(place: &Place<'_>, vm: &mut Vm, settings: &Embedded, key: i32) -> Result<(), Refusal> {
    must_not_rest(vm)?;
    let network = settings.array("HostResource").map(|paths| leads_to(place, paths)).transpose()?;
    let enabled = match settings.number::<u32>("EnabledState").map_err(invalid)? {
        None => None,
        Some(2) => Some(true),
        Some(3) => Some(false),
        Some(_) => return Err(invalid("EnabledState")),
    };
    let running = vm.power == Power::On;
    let nic = vm.nics.iter_mut().find(|nic| nic.key == key).ok_or_else(|| invalid("Parent"))?;
    if let Some(network) = network {
        nic.network = network;
    }
    nic.start_connected = enabled.unwrap_or(nic.start_connected);
    nic.connected = running && nic.start_connected && nic.network.is_some();
    facts(vm).loose_ports.insert(key);
    Ok(())
}

/// The switch a `HostResource` names; an empty one names none.
fn leads_to(place: &Place<'_>, paths: &[String]) -> Result<Option<Id>, Refusal> {
    let Some(path) = paths.first().filter(|path| !path.is_empty()) else { return Ok(None) };
    let path = wql::path(path).filter(|path| path.class.eq_ignore_ascii_case("Msvm_VirtualEthernetSwitch"));
    let path = path.ok_or_else(|| invalid("HostResource"))?;
    let name = path.keys.iter().find(|(key, _)| key.eq_ignore_ascii_case("Name")).map(|(_, value)| value.as_str());
    let network = place.switch(name.unwrap_or_default()).ok_or_else(|| device(DeviceFault::Backing))?;
    Ok(Some(network))
}

pub(super) fn add_features(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let affected = input.reference("AffectedConfiguration")?;
    let vm = vm_of(turn, affected)?;
    let port = affected.key("InstanceID").unwrap_or_default().to_owned();
    let all: Result<Vec<_>, _> = input.texts("FeatureSettings").iter().map(|text| embedded::read(text)).collect();
    let all = all.map_err(bad_text)?;
    let id = turn.world.fresh_uuid();
    let perform = move |world: &mut World| {
        change(world, vm, |_, draft| {
            let Part::Port(key) = part_of(draft, &port)? else { return Err(invalid("AffectedConfiguration")) };
            all.iter().try_for_each(|each| add_vlan(draft, each, key, id))?;
            Ok(key)
        })
    };
    if ruled_out(turn) || turn.world.is_busy(vm) {
        let perform = Box::new(move |world: &mut World| perform(world).map(|_| None));
        return Ok(queue(
            turn,
            Deed { method: "AddFeatureSettings", vm: Some(vm), storage: false, long: false, perform },
        ));
    }
    let key = match perform(turn.world) {
        Ok(key) => key,
        Err(refusal) => return Ok(Outcome::refused(&refusal)),
    };
    let Some(vm) = turn.world.vm(vm) else { return Err(Fault::not_found()) };
    let keys = vec![("InstanceID".to_owned(), Owner::vm(vm).id(Part::Vlan(key)))];
    let made = Reference { class: class("Msvm_EthernetSwitchPortVlanSettingData"), keys };
    Ok(Outcome::returns(super::DONE).with("ResultingFeatureSettings", Value::References(vec![made])))
}

fn add_vlan(vm: &mut Vm, settings: &Embedded, key: i32, id: uuid::Uuid) -> Result<(), Refusal> {
    if !settings.is("Msvm_EthernetSwitchPortVlanSettingData") {
        return Err(Refusal::Unsupported);
    }
    let number = |name| settings.number::<u16>(name).map_err(invalid);
    let mode = settings.number::<u32>("OperationMode").map_err(invalid)?.unwrap_or(0);
    let access = number("AccessVlanId")?.unwrap_or(0);
    let trunk: Result<Vec<u16>, _> =
        settings.array("TrunkVlanIdArray").unwrap_or_default().iter().map(|text| text.trim().parse()).collect();
    let trunk = trunk.map_err(|_| invalid("TrunkVlanIdArray"))?;
    let good = match mode {
        1 => (1..=HIGHEST_VLAN).contains(&access),
        2 => trunk.iter().all(|id| (1..=HIGHEST_VLAN).contains(id)),
        _ => false,
    };
    if !good {
        return Err(invalid("OperationMode and its VLANs"));
    }
    let vlan = Vlan { mode, access, native: number("NativeVlanId")?.unwrap_or(0), trunk, id };
    match facts(vm).vlans.entry(key) {
        std::collections::btree_map::Entry::Occupied(_) => Err(device(DeviceFault::UnitTaken)),
        std::collections::btree_map::Entry::Vacant(free) => {
            free.insert(vlan);
            Ok(())
        }
    }
}

pub(super) fn remove_features(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let vm = vm_of(turn, input.reference("FeatureSettings")?)?;
    let ids: Vec<String> = input
        .references("FeatureSettings")
        .iter()
        .map(|each| each.key("InstanceID").unwrap_or_default().to_owned())
        .collect();
    let perform = Box::new(move |world: &mut World| {
        change(world, vm, |_, draft| {
            for id in &ids {
                let Part::Vlan(key) = part_of(draft, id)? else { return Err(invalid("FeatureSettings")) };
                facts(draft).vlans.remove(&key);
            }
            Ok(())
        })?;
        Ok(None)
    });
    Ok(queue(turn, Deed { method: "RemoveFeatureSettings", vm: Some(vm), storage: false, long: false, perform }))
}
