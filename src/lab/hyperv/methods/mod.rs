//! Methods: their parameters are judged by the schema, the work is queued in the world, and a job is answered.
//!
//! ```text
//! define.rs      DefineSystem, DestroySystem, ModifySystemSettings
//! resources.rs   Add-, Modify-, RemoveResourceSettings
//! devices.rs     what these do to a VM: controllers, drives, disks
//! cards.rs       the same for NICs, connections and VLANs (Add-, RemoveFeatureSettings)
//! power.rs       RequestStateChange, InitiateShutdown
//! images.rs      virtual disks
//! other.rs       files, jobs, summaries, the cluster
//! ```
//!
//! What changes a VM is done when its job comes due, all or nothing, by rules that are looked at then.

mod cards;
mod define;
mod devices;
mod images;
mod other;
mod power;
mod resources;

use std::sync::Arc;

use super::fault::Fault;
use super::instance::{Instance, Reference, Value, write_value};
use super::jobs::{Job, error_of, ruled};
use super::operations::{Answered, Turn, class_asked, finish, instance_asked, method_writer};
use super::parts::{Owner, guid_in, upper};
use super::schema::{Field, Kind, Method, class};
use crate::lab::faults::Effect;
use crate::lab::world::{Act, Id, Refusal, Vm, Work, World};
use crate::xml::Element;

/// Completed with no error.
const DONE: u32 = 0;
/// The parameters were checked and a job was started.
const JOB: u32 = 4096;
/// Invalid parameter.
const INVALID_PARAMETER: u32 = 32773;
/// Invalid state for this operation.
const INVALID_STATE: u32 = 32775;

/// What a method gives: its return value (`None` for one that has none) and its outputs.
#[derive(Debug)]
struct Outcome {
    returns: Option<u32>,
    outputs: Vec<(&'static str, Value)>,
}

impl Outcome {
    fn returns(code: u32) -> Self {
        Self { returns: Some(code), outputs: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.outputs.push((name, value.into()));
        self
    }

    /// The code a refusal stands for.
    fn refused(refusal: &Refusal) -> Self {
        Self::returns(error_of(refusal).0)
    }
}

/// A parameter that was given.
#[derive(Debug)]
enum Given {
    Texts(Vec<String>),
    References(Vec<Reference>),
}

/// The parameters of a call.
#[derive(Debug)]
struct Input(Vec<(&'static str, Given)>);

impl Input {
    fn read(method: &Method, body: Option<&Element<'_>>) -> Result<Self, Fault> {
        let mut all: Vec<(&'static str, Given)> = Vec::new();
        let given = body.map_or(&[][..], |body| &body.children);
        for element in given {
            let name = element.name();
            let field = method
                .input
                .iter()
                .find(|field| field.name == name)
                .ok_or_else(|| Fault::parameter(format!("{} has no parameter {}. ", method.name, cut(name))))?;
            let nil = element.head.attribute_in(crate::xml::XSI, "nil") == Some("true");
            let value = if nil { None } else { Some(given_value(field, element)?) };
            match (all.iter_mut().find(|(known, _)| *known == field.name), value) {
                (_, None) => {}
                (None, Some(value)) => all.push((field.name, value)),
                (Some((_, Given::Texts(texts))), Some(Given::Texts(more))) if field.many => texts.extend(more),
                (Some((_, Given::References(known))), Some(Given::References(more))) if field.many => {
                    known.extend(more);
                }
                (Some(_), Some(_)) => return Err(Fault::parameter(format!("{} is given twice. ", field.name))),
            }
        }
        Ok(Self(all))
    }

    fn texts(&self, name: &str) -> &[String] {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, Given::Texts(texts))) => texts,
            _ => &[],
        }
    }

    fn text(&self, name: &str) -> Result<&str, Fault> {
        let found = self.texts(name).first().map(String::as_str);
        found.ok_or_else(|| Fault::parameter(format!("The parameter {name} is missing. ")))
    }

    fn references(&self, name: &str) -> &[Reference] {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, Given::References(references))) => references,
            _ => &[],
        }
    }

    fn reference(&self, name: &str) -> Result<&Reference, Fault> {
        let found = self.references(name).first();
        found.ok_or_else(|| Fault::parameter(format!("The parameter {name} is missing. ")))
    }
}

fn given_value(field: &Field, element: &Element<'_>) -> Result<Given, Fault> {
    if field.kind != Kind::Reference {
        return Ok(Given::Texts(vec![element.text.to_string()]));
    }
    match Reference::read(element) {
        Ok(Some(reference)) => Ok(Given::References(vec![reference])),
        Ok(None) => Err(Fault::parameter(format!("{} is no endpoint reference. ", field.name))),
        Err(uri) => Err(Fault::no_resource(&uri)),
    }
}

/// Does a method.
pub(super) fn invoke(turn: &mut Turn<'_>, name: &str) -> Answered {
    let class = class_asked(&turn.asked.uri)?;
    let method = class.method(name).ok_or_else(|| Fault::action(&turn.asked.action))?;
    let input = Input::read(method, turn.asked.body.as_ref())?;
    let target = instance_asked(turn)?;
    let outcome = perform(turn, &target, method.name, &input)?;
    let mut writer = method_writer(turn, &class.uri, method.name);
    for field in &method.output {
        if let Some((_, value)) = outcome.outputs.iter().find(|(name, _)| *name == field.name) {
            write_value(&mut writer, field, Some(value));
        }
    }
    if let Some(code) = outcome.returns {
        writer.leaf("p:ReturnValue", &code.to_string());
    }
    finish(turn, writer)
}

fn perform(turn: &mut Turn<'_>, target: &Instance, method: &'static str, input: &Input) -> Result<Outcome, Fault> {
    match method {
        "DefineSystem" => define::define(turn, input),
        "DestroySystem" => define::destroy(turn, input),
        "ModifySystemSettings" => define::modify(turn, input),
        "AddResourceSettings" => resources::add(turn, input),
        "ModifyResourceSettings" => resources::modify(turn, input),
        "RemoveResourceSettings" => resources::remove(turn, input),
        "AddFeatureSettings" => cards::add_features(turn, input),
        "RemoveFeatureSettings" => cards::remove_features(turn, input),
        // A VLAN is removed and added again; modifying it fails (SEQUENCES.md, "NIC, step 3").
        "ModifyFeatureSettings" => Ok(Outcome::returns(32768)),
        "RequestStateChange" => power::request(turn, target, input),
        "InitiateShutdown" => power::shut_down(turn, target),
        "CreateVirtualHardDisk" => images::create(turn, input),
        "ConvertVirtualHardDisk" => images::convert(turn, input),
        "ResizeVirtualHardDisk" => images::resize(turn, input),
        "SetVirtualHardDiskSettingData" => images::set(turn, input),
        "GetVirtualHardDiskSettingData" | "GetVirtualHardDiskState" | "ValidateVirtualHardDisk" => {
            images::look(turn, method, input)
        }
        "GetSummaryInformation" => other::summaries(turn, input),
        "GetError" | "GetErrorEx" => Ok(other::job_error(turn, target, method)),
        "Copy" => other::copy_file(turn, target, input),
        "Delete" => Ok(other::delete_file(turn, target)),
        "AddVirtualMachine" => other::add_role(turn, input),
        "DestroyGroup" => other::remove_role(turn, target),
        "MoveToNewNode" => other::move_role(turn, target, input),
        _ => Err(Fault::action(method)),
    }
}

/// Does an operation change anything?
pub(super) fn is_mutating(operation: &str) -> bool {
    !matches!(
        operation,
        "" | "Identify"
            | "Get"
            | "Enumerate"
            | "Pull"
            | "Release"
            | "GetError"
            | "GetErrorEx"
            | "GetSummaryInformation"
            | "GetVirtualHardDiskSettingData"
            | "GetVirtualHardDiskState"
            | "ValidateVirtualHardDisk"
    )
}

/// Work that is queued.
struct Deed<'a> {
    method: &'static str,
    /// The VM that is busy meanwhile.
    vm: Option<Id>,
    /// Work on virtual disks.
    storage: bool,
    /// Copies much.
    long: bool,
    perform: Box<Perform<'a>>,
}

type Perform<'a> = dyn Fn(&mut World) -> Result<Option<Id>, Refusal> + Send + Sync + 'a;

/// Queues work and answers its job.
fn queue(turn: &mut Turn<'_>, deed: Deed<'static>) -> Outcome {
    let entity = deed.vm.unwrap_or(turn.node.host.id);
    let failed = turn.effects.iter().find_map(|effect| match effect {
        Effect::FailTask(with) => Some(Box::new(ruled(with))),
        _ => None,
    });
    let work = match failed {
        Some(refusal) => Work::Fail { entity, refusal },
        None => {
            Work::Act(Act { kind: deed.method, entity, vm: deed.vm, long: deed.long, perform: Arc::from(deed.perform) })
        }
    };
    let task = turn.world.start(work, "");
    if turn.effects.contains(&Effect::LoseTask) {
        turn.world.forget_task(task);
    }
    let kind = if deed.storage { "Msvm_StorageJob" } else { "Msvm_ConcreteJob" };
    let id = turn.node.jobs().add(&turn.node.host.name, Job { task, class: kind, operation: deed.method });
    let reference = Reference { class: class(kind), keys: vec![("InstanceID".to_owned(), upper(id))] };
    Outcome::returns(JOB).with("Job", Value::Reference(reference))
}

/// What a rule makes of work that would be done at once.
fn ruled_out(turn: &Turn<'_>) -> bool {
    turn.effects.iter().any(|effect| matches!(effect, Effect::FailTask(_)))
}

/// The VM on this host that a reference or `InstanceID` belongs to. Checkpoints are nobody's to change.
fn vm_here(turn: &Turn<'_>, id: &str) -> Option<Id> {
    let guid = guid_in(id)?;
    let host = turn.node.host.id;
    turn.world.vms().find(|vm| vm.host == host && vm.instance_uuid == guid).map(|vm| vm.id)
}

/// As [`vm_here`], for a parameter: what is not there is a fault.
fn vm_of(turn: &Turn<'_>, reference: &Reference) -> Result<Id, Fault> {
    super::operations::look_up(turn, reference)?;
    let id = reference.key("InstanceID").or_else(|| reference.key("Name")).unwrap_or_default();
    vm_here(turn, id).ok_or_else(|| Fault::parameter(format!("{} is not a virtual machine. ", cut(id))))
}

/// Tries a change on a copy of a VM and puts it in place when all of it went well.
fn change<R>(
    world: &mut World,
    id: Id,
    change: impl FnOnce(&World, &mut Vm) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let mut draft = world.vm(id).cloned().ok_or(Refusal::Gone(id))?;
    let result = change(world, &mut draft)?;
    world.edit(id, |vm| *vm = draft);
    Ok(result)
}

/// The part of a VM that an `InstanceID` names.
fn part_of(vm: &Vm, id: &str) -> Result<super::parts::Part, Refusal> {
    Owner::vm(vm).part(id).ok_or_else(|| Refusal::Invalid { field: format!("InstanceID {}", cut(id)) })
}

fn invalid(field: impl Into<String>) -> Refusal {
    Refusal::Invalid { field: field.into() }
}

fn bad_text(words: String) -> Fault {
    Fault::parameter(words + ". ")
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
