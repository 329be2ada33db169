//! Generic messages: records, and single fields read and set.

use std::borrow::Cow;

use uuid::Uuid;

use super::Turn;
use crate::lab::faults::Effect;
use crate::lab::world::{Firmware, Id, Power};
use crate::lab::xenserver::failure::{
    DEVICE_ALREADY_EXISTS, Failure, INTERNAL_ERROR, INVALID_DEVICE, MAP_DUPLICATE_KEY, UUID_INVALID,
};
use crate::lab::xenserver::operations;
use crate::lab::xenserver::records::Record;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::schema::{Access, Field, Generic};
use crate::lab::xenserver::value::Value;
use crate::lab::xenserver::wire::Wire;

/// `get_all_records`, written object by object.
pub(super) fn all_records(turn: &Turn<'_>, (wire, effects): (&Wire, &[Effect])) -> Result<Value, Failure> {
    let view = turn.view();
    let mut all = view.all(turn.call.class);
    for effect in effects {
        match effect {
            Effect::Truncate(most) => all.truncate(*most),
            Effect::BreakAfterPage(most) if all.len() > *most => {
                return Err(Failure::new(INTERNAL_ERROR, ["the answer was given up"]));
            }
            _ => {}
        }
    }
    let mut out = String::with_capacity(all.len() * 1024);
    let json = matches!(wire, Wire::Json { .. });
    out.push_str(if json { "{" } else { "<value><struct>" });
    let mut first = true;
    for obj in &all {
        let Some(record) = view.record(obj) else { continue };
        let reference = view.codec.reference(obj);
        if json {
            out.push_str(if first { "" } else { "," });
            Value::from(reference).write_json(&mut out);
            out.push(':');
            record.into_value().write_json(&mut out);
        } else {
            out.push_str("<member><name>");
            out.push_str(&reference);
            out.push_str("</name>");
            record.into_value().write_xml(&mut out);
            out.push_str("</member>");
        }
        first = false;
    }
    out.push_str(if json { "}" } else { "</struct></value>" });
    Ok(Value::Written(out))
}

/// Any generic message but `get_all_records`.
pub(super) fn generic(turn: &mut Turn<'_>, message: Generic) -> Result<Value, Failure> {
    let class = turn.call.class;
    match message {
        Generic::GetAll | Generic::GetAllRecords => {
            let view = turn.view();
            Ok(view.all(class).iter().map(|obj| view.codec.reference(obj)).collect())
        }
        Generic::GetByUuid => by_uuid(turn, class),
        Generic::GetByNameLabel => {
            let wanted = Value::from(turn.text(0)?.to_owned());
            let view = turn.view();
            let named = |obj: &&Obj| view.record(obj).is_some_and(|record| record.get("name_label") == Some(&wanted));
            Ok(view.all(class).iter().filter(named).map(|obj| view.codec.reference(obj)).collect())
        }
        Generic::GetRecord => {
            let obj = turn.object(0, class)?;
            let record = turn.view().record(&obj);
            record.map(Record::into_value).ok_or_else(|| Failure::handle(class, &turn.reference(&obj)))
        }
        Generic::Get(field) => {
            let obj = turn.object(0, class)?;
            read(turn, &obj, field)
        }
        Generic::Set(field) => {
            let obj = turn.object(0, class)?;
            let value = checked(field, turn.parameter(1).clone())?;
            write(turn, obj, field, value)?;
            Ok(Value::void())
        }
        Generic::AddTo(field) => add_to(turn, field),
        Generic::RemoveFrom(field) | Generic::Remove(field) => remove(turn, field),
        Generic::Add(field) => {
            let obj = turn.object(0, class)?;
            let mut items = read(turn, &obj, field)?.list().unwrap_or_default().to_vec();
            let item = turn.parameter(1).clone();
            if !items.contains(&item) {
                items.push(item);
                write(turn, obj, field, Value::List(items))?;
            }
            Ok(Value::void())
        }
    }
}

fn read(turn: &Turn<'_>, obj: &Obj, field: &Field) -> Result<Value, Failure> {
    let record = turn.view().record(obj);
    let value = record.as_ref().and_then(|record| record.get(field.name)).cloned();
    value.ok_or_else(|| Failure::handle(obj.class(), &turn.reference(obj)))
}

fn by_uuid(turn: &Turn<'_>, class: Class) -> Result<Value, Failure> {
    let text = turn.text(0)?;
    let view = turn.view();
    let unknown = || Failure::new(UUID_INVALID, [class.name(), text]);
    let uuid = Uuid::try_parse(text).map_err(|_| unknown())?;
    let found = match class {
        Class::Vm => view.world.vm_by_uuid(uuid).map(|vm| Obj::Vm(vm.id)),
        Class::Vdi => Some(Obj::Vdi(uuid)),
        _ => None,
    };
    let found = found.or_else(|| view.codec.by_uuid(class, uuid)).filter(|obj| view.exists(obj));
    let found = found.ok_or_else(unknown)?;
    turn.named(class, &view.codec.reference(&found))?;
    Ok(view.codec.reference(&found).into())
}

fn add_to(turn: &mut Turn<'_>, field: &'static Field) -> Result<Value, Failure> {
    let class = turn.call.class;
    let obj = turn.object(0, class)?;
    let (key, text) = (turn.text(1)?.to_owned(), turn.text(2)?.to_owned());
    let mut pairs = read(turn, &obj, field)?.map().unwrap_or_default().to_vec();
    if pairs.iter().any(|(known, _)| *known == key) {
        // As recorded: class, field, reference, key.
        return Err(Failure::new(MAP_DUPLICATE_KEY, [class.name(), field.name, &turn.reference(&obj), &key]));
    }
    pairs.push((Cow::Owned(key), text.into()));
    write(turn, obj, field, Value::Map(pairs))?;
    Ok(Value::void())
}

/// A key of a map, or an element of a set; one that is not there is as good as removed, as recorded.
fn remove(turn: &mut Turn<'_>, field: &'static Field) -> Result<Value, Failure> {
    let class = turn.call.class;
    let obj = turn.object(0, class)?;
    let key = turn.text(1)?.to_owned();
    let before = read(turn, &obj, field)?;
    let after = match &before {
        Value::Map(pairs) => Value::Map(pairs.iter().filter(|(known, _)| *known != key).cloned().collect()),
        Value::List(items) => {
            Value::List(items.iter().filter(|item| item.text() != Some(key.as_str())).cloned().collect())
        }
        other => other.clone(),
    };
    if after != before {
        write(turn, obj, field, after)?;
    }
    Ok(Value::void())
}

/// A value of the field's kind, or a refusal.
pub(super) fn checked(field: &Field, value: Value) -> Result<Value, Failure> {
    let wrong = || Failure::field_type(field.name);
    match field.kind {
        "int" => value.int().map(Value::Int).ok_or_else(wrong),
        "float" => value.float().map(Value::Float).ok_or_else(wrong),
        "bool" => value.bool().map(Value::Bool).ok_or_else(wrong),
        "map" if value.map().is_some() => Ok(value),
        "texts" | "ints" if value.list().is_some() => Ok(value),
        "text" | "ref" | "time" if value.text().is_some() => Ok(value),
        _ => Err(wrong()),
    }
}

/// Sets a field: in the world where the world has it, else in the tables.
pub(super) fn write(turn: &mut Turn<'_>, obj: Obj, field: &Field, value: Value) -> Result<(), Failure> {
    debug_assert!(field.access != Access::Read, "{} is set by no message", field.name);
    match (obj, field.name) {
        (Obj::Vm(id), "name_label" | "name_description" | "other_config" | "HVM_boot_params" | "is_a_template")
            if turn.world.vm(id).is_some() =>
        {
            return write_vm(turn, id, field, value);
        }
        (Obj::Vbd(vm, key), "userdevice") => return set_userdevice(turn, vm, key, &value),
        (Obj::Vif(vm, key), "locking_mode") => {
            let shut = value.text() == Some("disabled");
            super::vif::shut(turn, vm, key, shut);
            if shut {
                // Told by the card itself, whatever its mode was before.
                turn.inner.tables.forget_field(&obj, "locking_mode");
            } else {
                turn.inner.tables.keep(obj, "locking_mode", value);
            }
            return Ok(());
        }
        _ => {}
    }
    if let Some(name) = kept_name(obj.class(), field.name) {
        turn.inner.tables.keep(obj, name, value);
    }
    match obj {
        // A VM numbers its own changes, and its devices' with it.
        Obj::Vm(id) | Obj::Vbd(id, _) | Obj::Vif(id, _) if turn.world.vm(id).is_some() => {
            turn.world.edit(id, |_| {});
        }
        other => turn.touch(other),
    }
    Ok(())
}

/// The name of a field as the model has it.
fn kept_name(class: Class, field: &str) -> Option<&'static str> {
    crate::lab::xenserver::schema::class(class).field(field).map(|field| field.name)
}

fn write_vm(turn: &mut Turn<'_>, id: Id, field: &Field, value: Value) -> Result<(), Failure> {
    match field.name {
        "name_label" => turn.world.edit(id, |vm| vm.name = value.text().unwrap_or_default().into()),
        "name_description" => turn.world.edit(id, |vm| vm.annotation = value.text().unwrap_or_default().into()),
        "other_config" => turn.world.edit(id, |vm| {
            vm.settings = value.pairs().map(|(key, text)| (key.into(), text.into())).collect();
        }),
        "HVM_boot_params" => {
            let uefi = value.pairs().any(|pair| pair == ("firmware", "uefi"));
            turn.inner.tables.keep(Obj::Vm(id), "HVM_boot_params", value);
            turn.world.edit(id, |vm| vm.firmware = if uefi { Firmware::Uefi } else { Firmware::Bios })
        }
        _ => {
            let template = value.bool().unwrap_or_default();
            return make_template(turn, id, template);
        }
    };
    Ok(())
}

/// Makes a VM a template, or a template a VM.
pub(super) fn make_template(turn: &mut Turn<'_>, id: Id, template: bool) -> Result<(), Failure> {
    let is = turn.world.vm(id).is_some_and(|vm| vm.template);
    if is == template {
        return Ok(());
    }
    if template {
        operations::check(&turn.view(), id, "make_into_template", turn.task)?;
        return turn.world.mark_as_template(id).map_err(|refusal| turn.refused(&refusal));
    }
    let pool = turn.world.clusters.values().next().map(|cluster| cluster.pool);
    let pool = pool.ok_or_else(|| Failure::not_allowed("there is no pool"))?;
    turn.world.mark_as_vm(id, pool, None).map_err(|refusal| turn.refused(&refusal))
}

fn set_userdevice(turn: &mut Turn<'_>, vm: Id, key: i32, value: &Value) -> Result<(), Failure> {
    let text = value.text().unwrap_or_default();
    let unit: i32 = text.parse().map_err(|_| Failure::new(INVALID_DEVICE, [text]))?;
    let view = turn.view();
    let machine = view.world.vm(vm).ok_or_else(|| Failure::not_allowed("a snapshot's devices stay as they are"))?;
    if machine.power != Power::Off {
        let reference = view.codec.reference(&Obj::Vm(vm));
        return Err(operations::bad_power(&reference, &[Power::Off], machine.power));
    }
    let own = machine.disk(key).map(|disk| disk.unit);
    if own != Some(unit) && super::vbd::taken(&view, machine).contains(&unit) {
        return Err(Failure::new(DEVICE_ALREADY_EXISTS, [text]));
    }
    if let Some(drive) = turn.inner.tables.drives.get_mut(&(vm, key)) {
        drive.userdevice = unit;
    }
    turn.world.edit(vm, |vm| {
        vm.disks.iter_mut().filter(|disk| disk.key == key).for_each(|disk| disk.unit = unit);
        vm.disks.sort_by_key(|disk| disk.unit);
    });
    Ok(())
}
