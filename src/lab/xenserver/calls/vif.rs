//! VIFs: a VM's card on a network.

use super::{Turn, life, vbd};
use crate::lab::world::{Id, Power, Vm};
use crate::lab::xenserver::failure::{
    DEVICE_ALREADY_ATTACHED, DEVICE_ALREADY_DETACHED, DEVICE_ALREADY_EXISTS, Failure, INVALID_DEVICE, MAC_INVALID,
};
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::value::Value;

/// Cards of a VM.
const MOST: i32 = 7;

/// Device numbers that are free.
pub(super) fn free(vm: &Vm) -> Vec<i32> {
    (0..MOST).filter(|device| vm.nics.iter().all(|nic| nic.unit != *device)).collect()
}

fn checked_mac(mac: &str) -> Option<String> {
    let parts: Vec<&str> = mac.split(':').collect();
    let hex = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = parts.len() == 6 && parts.iter().all(hex);
    // The first byte's lowest bit says multicast: no card has such an address.
    let unicast = plain && u8::from_str_radix(parts[0], 16).is_ok_and(|first| first & 1 == 0);
    unicast.then(|| mac.to_ascii_lowercase())
}

pub(super) fn create(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let args = turn.parameter(0).clone();
    let text = |field: &'static str| args.get(field).and_then(Value::text).ok_or_else(|| Failure::field_type(field));
    let Obj::Vm(id) = turn.named(Class::Vm, text("VM")?)? else { return Err(Failure::field_type("VM")) };
    let Obj::Network(network) = turn.named(Class::Network, text("network")?)? else {
        return Err(Failure::field_type("network"));
    };
    let vm = turn.world.vm(id).ok_or_else(|| Failure::not_allowed("a snapshot's devices stay as they are"))?;
    let free = free(vm);
    let device = match text("device")? {
        "autodetect" => free.first().copied().ok_or_else(|| Failure::new(INVALID_DEVICE, ["autodetect"]))?,
        given => {
            let device = given.parse::<i32>().ok().filter(|device| (0..MOST).contains(device));
            let device = device.ok_or_else(|| Failure::new(INVALID_DEVICE, [given]))?;
            if !free.contains(&device) {
                return Err(Failure::new(DEVICE_ALREADY_EXISTS, [given]));
            }
            device
        }
    };
    let mac = match text("MAC").unwrap_or_default() {
        "" => (turn.world.fresh_mac(), false),
        given => (checked_mac(given).ok_or_else(|| Failure::new(MAC_INVALID, [given]))?, true),
    };
    let key = turn.inner.tables.fresh_key();
    let obj = Obj::Vif(id, key);
    if let Some(vm) = turn.world.vm(id) {
        turn.inner.tables.set_plugged(obj, vm, false);
    }
    turn.world.edit(id, |vm| {
        vm.nics.push(life::nic(key, device, mac, network));
        vm.nics.sort_by_key(|nic| nic.unit);
    });
    life::keep_given(turn, obj, &args);
    shut(turn, id, key, args.get("locking_mode").and_then(Value::text) == Some("disabled"));
    Ok(turn.reference(&obj).into())
}

fn the_vif(turn: &Turn<'_>) -> Result<(Obj, Id, i32), Failure> {
    match turn.object(0, Class::Vif)? {
        obj @ Obj::Vif(vm, key) if turn.world.vm(vm).is_some() => Ok((obj, vm, key)),
        _ => Err(Failure::not_allowed("a snapshot's devices stay as they are")),
    }
}

pub(super) fn destroy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (obj, id, key) = the_vif(turn)?;
    if turn.world.vm(id).is_some_and(|vm| turn.inner.tables.plugged(&obj, vm)) {
        let (vif, vm) = (turn.reference(&obj), turn.reference(&Obj::Vm(id)));
        return Err(Failure::not_allowed(&format!("VIF '{vif}' still attached to '{vm}'")));
    }
    turn.inner.tables.forget(&obj);
    turn.world.edit(id, |vm| vm.nics.retain(|nic| nic.key != key));
    Ok(Value::void())
}

/// `VIF.plug` and `VIF.unplug`.
pub(super) fn plug(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (obj, id, key) = the_vif(turn)?;
    let Some(vm) = turn.world.vm(id).cloned() else { return Ok(Value::void()) };
    vbd::hot(turn, &vm)?;
    let plug = turn.call.message == "plug";
    let plugged = turn.inner.tables.plugged(&obj, &vm);
    if plug == plugged {
        let code = if plug { DEVICE_ALREADY_ATTACHED } else { DEVICE_ALREADY_DETACHED };
        return Err(Failure::new(code, [turn.reference(&obj)]));
    }
    turn.inner.tables.set_plugged(obj, &vm, plug);
    turn.world.edit_runtime(id, |vm| {
        vm.nics.iter_mut().filter(|nic| nic.key == key).for_each(|nic| nic.connected = plug && nic.start_connected);
    });
    Ok(Value::void())
}

/// `VIF.move`: another network, running or not.
pub(super) fn connect(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (_, id, key) = the_vif(turn)?;
    let Obj::Network(network) = turn.object(1, Class::Network)? else { return Err(Failure::field_type("network")) };
    turn.world.edit(id, |vm| {
        vm.nics.iter_mut().filter(|nic| nic.key == key).for_each(|nic| nic.network = Some(network));
    });
    Ok(Value::void())
}

/// A card in locking mode `disabled` lets nothing through: it is not connected, now and at the next start.
pub(super) fn shut(turn: &mut Turn<'_>, vm: Id, key: i32, shut: bool) {
    let plugged = turn.world.vm(vm).is_some_and(|at| turn.inner.tables.plugged(&Obj::Vif(vm, key), at));
    turn.world.edit(vm, |vm| {
        let running = vm.power == Power::On;
        vm.nics.iter_mut().filter(|nic| nic.key == key).for_each(|nic| {
            nic.start_connected = !shut;
            nic.connected = running && plugged && !shut;
        });
    });
}
