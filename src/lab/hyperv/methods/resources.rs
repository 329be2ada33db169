//! Add-, Modify- and RemoveResourceSettings: from parameters to changes of a VM.

use super::{
    Deed, Input, Outcome, bad_text, cards, change, devices, invalid, part_of, queue, ruled_out, vm_here, vm_of,
};
use crate::lab::faults::StateRules;
use crate::lab::hyperv::cim::{Host, View};
use crate::lab::hyperv::embedded::{self, Embedded};
use crate::lab::hyperv::fault::Fault;
use crate::lab::hyperv::instance::{Reference, Value};
use crate::lab::hyperv::jobs::Jobs;
use crate::lab::hyperv::operations::Turn;
use crate::lab::hyperv::parts::{Owner, Part};
use crate::lab::hyperv::schema::class;
use crate::lab::world::{Id, Power, Refusal, Vm, World};

/// Where a change is made: what its settings may name.
pub(super) struct Place<'a> {
    pub world: &'a World,
    pub host: &'a Host,
}

impl Place<'_> {
    /// The switch of this GUID.
    pub fn switch(&self, guid: &str) -> Option<Id> {
        let (rules, jobs) = (StateRules::default(), Jobs::default());
        let view = View { world: self.world, host: self.host, rules: &rules, jobs: &jobs, only: None };
        crate::lab::hyperv::cim::switch_of(&view, guid)
    }
}

fn settings(input: &Input, name: &str) -> Result<Vec<Embedded>, Fault> {
    let all: Result<Vec<_>, _> = input.texts(name).iter().map(|text| embedded::read(text)).collect();
    let all = all.map_err(bad_text)?;
    if all.is_empty() { Err(Fault::parameter(format!("The parameter {name} is missing. "))) } else { Ok(all) }
}

/// On a VM that is off it is done at once; on one that runs by a job that tells no results.
pub(super) fn add(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let vm = vm_of(turn, input.reference("AffectedConfiguration")?)?;
    let all = settings(input, "ResourceSettings")?;
    let host = turn.node.host.clone();
    let off = turn.world.vm(vm).is_some_and(|vm| vm.power == Power::Off);
    let perform = move |world: &mut World| -> Result<Vec<Part>, Refusal> {
        change(world, vm, |world, draft| {
            let place = Place { world, host: &host };
            all.iter().map(|each| add_one(&place, draft, each)).collect()
        })
    };
    if !off || ruled_out(turn) || turn.world.is_busy(vm) {
        let perform = Box::new(move |world: &mut World| perform(world).map(|_| None));
        return Ok(queue(
            turn,
            Deed { method: "AddResourceSettings", vm: Some(vm), storage: false, long: false, perform },
        ));
    }
    let made = match perform(turn.world) {
        Ok(made) => made,
        Err(refusal) => return Ok(Outcome::refused(&refusal)),
    };
    let Some(vm) = turn.world.vm(vm) else { return Err(Fault::not_found()) };
    let references = made.into_iter().map(|part| reference(vm, part)).collect();
    Ok(Outcome::returns(super::DONE).with("ResultingResourceSettings", Value::References(references)))
}

fn reference(vm: &Vm, part: Part) -> Reference {
    let name = match part {
        Part::System => "Msvm_VirtualSystemSettingData",
        Part::Processor => "Msvm_ProcessorSettingData",
        Part::Memory => "Msvm_MemorySettingData",
        Part::Controller(_) | Part::Drive(..) => "Msvm_ResourceAllocationSettingData",
        Part::Medium(..) => "Msvm_StorageAllocationSettingData",
        Part::Nic(_) => "Msvm_SyntheticEthernetPortSettingData",
        Part::Port(_) => "Msvm_EthernetPortAllocationSettingData",
        Part::Vlan(_) => "Msvm_EthernetSwitchPortVlanSettingData",
    };
    Reference { class: class(name), keys: vec![("InstanceID".to_owned(), Owner::vm(vm).id(part))] }
}

fn add_one(place: &Place<'_>, vm: &mut Vm, settings: &Embedded) -> Result<Part, Refusal> {
    let kind: u32 = settings.number("ResourceType").map_err(invalid)?.ok_or_else(|| invalid("ResourceType"))?;
    match (kind, settings.class.name) {
        (6, "Msvm_ResourceAllocationSettingData") => devices::add_controller(vm, settings),
        (16 | 17, "Msvm_ResourceAllocationSettingData") => devices::add_drive(vm, settings, kind == 16),
        // As SASD, or as libvirt sends it (SEQUENCES.md, "Disk, step 2").
        (31, "Msvm_StorageAllocationSettingData" | "Msvm_ResourceAllocationSettingData") => {
            devices::add_medium(place, vm, settings)
        }
        (10, "Msvm_SyntheticEthernetPortSettingData") => cards::add_nic(place, vm, settings),
        (33, "Msvm_EthernetPortAllocationSettingData") => cards::add_port(place, vm, settings),
        _ => Err(invalid(format!("ResourceType {kind} of {}", settings.class.name))),
    }
}

pub(super) fn modify(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let all = settings(input, "ResourceSettings")?;
    let ids = all.iter().map(|each| vm_here(turn, each.get("InstanceID").unwrap_or_default()));
    let vms: Option<Vec<Id>> = ids.collect();
    let Some([vm, others @ ..]) = vms.as_deref() else { return Err(Fault::not_found()) };
    if others.iter().any(|other| other != vm) {
        return Err(Fault::parameter("ResourceSettings belong to several virtual machines. "));
    }
    let (vm, host) = (*vm, turn.node.host.clone());
    let perform = Box::new(move |world: &mut World| {
        change(world, vm, |world, draft| {
            let place = Place { world, host: &host };
            all.iter().try_for_each(|each| modify_one(&place, draft, each))
        })?;
        Ok(None)
    });
    Ok(queue(turn, Deed { method: "ModifyResourceSettings", vm: Some(vm), storage: false, long: false, perform }))
}

fn modify_one(place: &Place<'_>, vm: &mut Vm, settings: &Embedded) -> Result<(), Refusal> {
    let part = part_of(vm, settings.get("InstanceID").unwrap_or_default())?;
    if reference(vm, part).class.name != settings.class.name {
        return Err(invalid(format!("InstanceID of {}", settings.class.name)));
    }
    match part {
        Part::Processor => devices::set_processors(vm, settings),
        Part::Memory => devices::set_memory(place.world, vm, settings),
        Part::Medium(controller, unit) => devices::set_medium(place, vm, settings, (controller, unit)),
        Part::Nic(key) => cards::set_nic(vm, settings, key),
        Part::Port(key) => cards::set_port(place, vm, settings, key),
        Part::System | Part::Controller(_) | Part::Drive(..) | Part::Vlan(_) => Err(Refusal::Unsupported),
    }
}

pub(super) fn remove(turn: &mut Turn<'_>, input: &Input) -> Result<Outcome, Fault> {
    let references = input.references("ResourceSettings");
    let vm = vm_of(turn, input.reference("ResourceSettings")?)?;
    let mut ids = Vec::new();
    for reference in references {
        if vm_of(turn, reference)? != vm {
            return Err(Fault::parameter("ResourceSettings belong to several virtual machines. "));
        }
        ids.push(reference.key("InstanceID").unwrap_or_default().to_owned());
    }
    let perform = Box::new(move |world: &mut World| {
        change(world, vm, |_, draft| ids.iter().try_for_each(|id| remove_one(draft, id)))?;
        Ok(None)
    });
    Ok(queue(turn, Deed { method: "RemoveResourceSettings", vm: Some(vm), storage: false, long: false, perform }))
}

fn remove_one(vm: &mut Vm, id: &str) -> Result<(), Refusal> {
    match part_of(vm, id)? {
        Part::Controller(key) => devices::remove_controller(vm, key),
        Part::Drive(controller, unit) => devices::remove_drive(vm, (controller, unit)),
        Part::Medium(controller, unit) => devices::remove_medium(vm, (controller, unit)),
        Part::Nic(key) => cards::remove_nic(vm, key),
        Part::Port(key) => {
            cards::remove_port(vm, key);
            Ok(())
        }
        Part::System | Part::Processor | Part::Memory | Part::Vlan(_) => Err(Refusal::Unsupported),
    }
}
