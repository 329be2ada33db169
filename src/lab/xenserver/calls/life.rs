//! VMs come and go: create, clone, copy, provision, destroy; snapshots.

use std::collections::BTreeMap;

use super::{Turn, fields};
use crate::lab::world::{CloneVm, Firmware, Id, Nic, Vm, VmSpec, Work};
use crate::lab::xenserver::failure::{Failure, INTERNAL_ERROR};
use crate::lab::xenserver::records::Machine;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::schema;
use crate::lab::xenserver::tables::Memory;
use crate::lab::xenserver::value::Value;
use crate::xml::{Element, Limits};

/// `VM.create`: a VM of nothing but its record.
pub(super) fn create(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let args = turn.parameter(0).clone();
    let name = args.get("name_label").and_then(Value::text).ok_or_else(|| Failure::field_type("name_label"))?;
    let int = |field: &str| args.get(field).and_then(Value::int);
    let static_max = int("memory_static_max").ok_or_else(|| Failure::field_type("memory_static_max"))?;
    let cpus = int("VCPUs_at_startup").ok_or_else(|| Failure::field_type("VCPUs_at_startup"))?;
    let most = int("VCPUs_max").unwrap_or(cpus);
    if cpus < 1 || most < cpus {
        return Err(super::sizes::bad_cpus(cpus));
    }
    let template = args.get("is_a_template").and_then(Value::bool).unwrap_or_default();
    let memory = Memory {
        static_min: int("memory_static_min").unwrap_or(static_max),
        dynamic_min: int("memory_dynamic_min").unwrap_or(static_max),
        dynamic_max: int("memory_dynamic_max").unwrap_or(static_max),
        static_max,
    };
    super::sizes::judge_memory(memory)?;
    let (cluster, pool) = turn.world.clusters.values().next().map_or((Id(0), Id(0)), |at| (at.id, at.pool));
    let folder = turn.world.datacenters.values().next().map_or(Id(0), |at| at.vm_folder);
    let home = turn.world.datastores.keys().next().copied().unwrap_or(Id(0));
    let host = turn.world.hosts_of(cluster).next().map_or(Id(0), |host| host.id);
    let mut vm = turn.world.blank(name, folder, home, host);
    vm.pool = (!template).then_some(pool);
    vm.template = template;
    vm.cpus = u32::try_from(cpus).unwrap_or(1);
    vm.memory_mib = u64::try_from(static_max).unwrap_or_default() >> 20;
    vm.memory_at_boot_mib = vm.memory_mib;
    vm.annotation = args.get("name_description").and_then(Value::text).unwrap_or_default().into();
    let config = args.get("other_config");
    vm.settings = config.into_iter().flat_map(Value::pairs).map(|(key, text)| (key.into(), text.into())).collect();
    let uefi = args.get("HVM_boot_params").and_then(|boot| boot.get("firmware")).and_then(Value::text) == Some("uefi");
    vm.firmware = if uefi { Firmware::Uefi } else { Firmware::Bios };
    let id = turn.world.insert(vm);
    let obj = Obj::Vm(id);
    turn.inner.tables.set_memory(id, memory);
    turn.inner.tables.keep(obj, "VCPUs_max", Value::Int(most));
    keep_given(turn, obj, &args);
    fresh_mac_seed(turn, id, None);
    Ok(turn.reference(&obj).into())
}

/// Fields of a record to be made that are merely kept.
pub(super) fn keep_given(turn: &mut Turn<'_>, obj: Obj, args: &Value) {
    // What the world has of them, or what is set by its own rules.
    let elsewhere: &[&str] = match obj {
        Obj::Vm(_) => &["name_label", "name_description", "other_config", "is_a_template"],
        Obj::Vif(..) => &["locking_mode"],
        Obj::Vbd(..) => &["userdevice", "type"],
        _ => &[],
    };
    for field in &schema::class(obj.class()).fields {
        let elsewhere = elsewhere.contains(&field.name);
        if field.access == schema::Access::Read || elsewhere {
            continue;
        }
        if let Some(value) = args.get(field.name).and_then(|value| fields::checked(field, value.clone()).ok()) {
            turn.inner.tables.keep(obj, field.name, value);
        }
    }
}

/// Every VM has a seed for its MACs; one made from a template remembers which, as recorded.
fn fresh_mac_seed(turn: &mut Turn<'_>, id: Id, template: Option<&str>) {
    let seed = turn.world.fresh_uuid().to_string();
    turn.world.edit(id, |vm| {
        vm.settings.insert("mac_seed".into(), seed.into());
        if let Some(template) = template {
            vm.settings.insert("base_template_name".into(), template.into());
        }
    });
}

/// `VM.clone` and `VM.copy`: what comes of a template is a template.
pub(super) fn copy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let source = turn.vm_for(turn.call.message)?;
    let name = turn.text(1)?.to_owned();
    let sr = if turn.call.message == "copy" { turn.object_or_none(2, Class::Sr)? } else { None };
    let datastore = match sr {
        Some(Obj::Sr(id)) => Some(id),
        _ => None,
    };
    let view = turn.view();
    let Some(Machine::Vm(from)) = view.machine(source) else {
        return Err(Failure::not_allowed("snapshots are reverted to, not cloned, here"));
    };
    let (template, from_name) = (from.template, from.name.to_string());
    room_for(turn, from, datastore)?;
    let clone = CloneVm {
        source,
        name,
        folder: from.folder,
        pool: from.pool,
        host: None,
        datastore,
        disk_places: Vec::new(),
        template,
        power_on: false,
        linked: false,
        spec: VmSpec::default(),
    };
    let made = turn.world.perform(Work::Clone(Box::new(clone)));
    let made = made.map_err(|refusal| turn.refused(&refusal))?;
    let made = made.ok_or_else(|| Failure::new(INTERNAL_ERROR, ["nothing was made"]))?;
    copy_tables(turn, source, made);
    turn.world.edit(made, |vm| {
        vm.settings.remove("default_template");
    });
    fresh_mac_seed(turn, made, template.then_some(&*from_name));
    Ok(turn.reference(&Obj::Vm(made)).into())
}

/// Is there room for a copy of its disks, where they are or on one SR?
fn room_for(turn: &Turn<'_>, vm: &Vm, datastore: Option<Id>) -> Result<(), Failure> {
    let mut needed: BTreeMap<Id, u64> = BTreeMap::new();
    for disk in &vm.disks {
        let own = turn.world.files.get(&disk.file).map(|file| file.datastore);
        if let Some(sr) = datastore.or(own) {
            *needed.entry(sr).or_default() += disk.capacity;
        }
    }
    needed.into_iter().try_for_each(|(sr, size)| super::vdi::room(turn, sr, size))
}

/// What the tables know of the source, its devices and disks holds for the copy.
fn copy_tables(turn: &mut Turn<'_>, source: Id, made: Id) {
    let tables = &mut turn.inner.tables;
    tables.copy_kept(&Obj::Vm(source), Obj::Vm(made));
    let (Some(from), Some(to)) = (turn.world.vm(source), turn.world.vm(made)) else { return };
    tables.set_memory(made, tables.memory(from));
    for nic in &from.nics {
        tables.copy_kept(&Obj::Vif(source, nic.key), Obj::Vif(made, nic.key));
    }
    for (old, new) in from.disks.iter().zip(&to.disks) {
        tables.copy_kept(&Obj::Vbd(source, old.key), Obj::Vbd(made, new.key));
        let file = |path: &str| turn.world.files.get(path).map(|file| file.uuid);
        if let (Some(old), Some(new)) = (file(&old.file), file(&new.file)) {
            tables.copy_kept(&Obj::Vdi(old), Obj::Vdi(new));
        }
    }
    let drives: Vec<_> = tables.drives_of(source).map(|(key, drive)| (key, *drive)).collect();
    for (key, drive) in drives {
        tables.drives.insert((made, key), drive);
    }
}

/// `VM.provision`: makes the disks that `other_config:disks` asks for, and a VM of the template.
pub(super) fn provision(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for("provision")?;
    let vm = turn.world.vm(id).ok_or_else(|| Failure::field_type("vm"))?;
    let (name, asked) = (vm.name.to_string(), vm.setting("disks").map(str::to_owned));
    let disks = match &asked {
        Some(text) => disks_of(turn, text)?,
        None => Vec::new(),
    };
    for disk in &disks {
        super::vdi::room(turn, disk.sr, disk.size)?;
    }
    for disk in disks {
        let path = turn.world.free_path(disk.sr, &name, &[]);
        turn.world.make_file(path.clone(), disk.sr, disk.size, None);
        let key = turn.inner.tables.fresh_key();
        super::vbd::attach(turn.world, id, (key, disk.device), path);
    }
    fields::make_template(turn, id, false)?;
    turn.world.edit(id, |vm| {
        vm.settings.remove("disks");
    });
    Ok(Value::void())
}

/// A disk a template asks for.
struct Asked {
    device: i32,
    size: u64,
    sr: Id,
}

/// `<provision><disk device="0" size="8589934592" sr="" bootable="true" type="system"/></provision>`.
fn disks_of(turn: &Turn<'_>, text: &str) -> Result<Vec<Asked>, Failure> {
    let malformed = |why: String| Failure::new(INTERNAL_ERROR, ["other_config:disks".to_owned(), why]);
    let root = Element::parse(text.as_bytes(), Limits::REQUEST).map_err(|error| malformed(error.to_string()))?;
    let view = turn.view();
    root.children("disk")
        .map(|disk| {
            let number = |name: &str| disk.attribute(name).and_then(|text| text.parse::<u64>().ok());
            let given = disk.attribute("sr").filter(|sr| !sr.is_empty());
            let sr = match given {
                None => view.world.datastores.keys().next().copied(),
                Some(uuid) => {
                    view.world.datastores.keys().copied().find(|id| view.codec.uuid(&Obj::Sr(*id)).to_string() == uuid)
                }
            };
            let device = number("device").and_then(|device| i32::try_from(device).ok());
            match (device, number("size"), sr) {
                (Some(device), Some(size), Some(sr)) => Ok(Asked { device, size, sr }),
                _ => Err(malformed("a disk has device, size and sr".to_owned())),
            }
        })
        .collect()
}

/// `VM.destroy`: the VM, its VBDs and VIFs; its VDIs stay. A snapshot goes with its disks.
pub(super) fn destroy(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for("destroy")?;
    let snapshot = match turn.view().machine(id) {
        Some(Machine::Snapshot(_, of)) => Some(of),
        _ => None,
    };
    if let Some(vm) = snapshot {
        let work = Work::RemoveSnapshot { vm, snapshot: Some(id) };
        turn.world.perform(work).map_err(|refusal| turn.refused(&refusal))?;
    } else {
        turn.world.remove(id, false);
        turn.inner.tables.forget(&Obj::Vm(id));
    }
    Ok(Value::void())
}

/// `VM.snapshot`.
pub(super) fn snapshot(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for("snapshot")?;
    let name = turn.text(1)?.to_owned();
    let made = turn.world.take_snapshot(id, &name, "").map_err(|refusal| turn.refused(&refusal))?;
    Ok(turn.reference(&Obj::Vm(made)).into())
}

/// `VM.revert`, asked of a snapshot.
pub(super) fn revert(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for("revert")?;
    let Some(Machine::Snapshot(_, vm)) = turn.view().machine(id) else {
        return Err(Failure::field_type("snapshot"));
    };
    let work = Work::Revert { vm, snapshot: id };
    turn.world.perform(work).map_err(|refusal| turn.refused(&refusal))?;
    Ok(Value::void())
}

/// A NIC as the world keeps it.
pub(super) fn nic(key: i32, device: i32, mac: (String, bool), network: Id) -> Nic {
    Nic {
        key,
        unit: device,
        adapter: "vif".into(),
        mac: mac.0.into(),
        mac_manual: mac.1,
        network: Some(network),
        connected: false,
        start_connected: true,
    }
}
