//! Which operation a VM allows, and why not.
//!
//! The order of the questions is xapi's (`xapi_vm_lifecycle.ml`): blocked by a person, power, another
//! operation, template, snapshot, control domain, drivers. `allowed_operations` is every operation with no
//! answer to them, as a client sees it.

use super::failure::{
    Failure, ONLY_PROVISION_TEMPLATE, ONLY_REVERT_SNAPSHOT, OPERATION_BLOCKED, OTHER_OPERATION_IN_PROGRESS,
    VM_BAD_POWER_STATE, VM_IS_SNAPSHOT, VM_IS_TEMPLATE, VM_LACKS_FEATURE_SHUTDOWN,
};
use super::records::{Machine, View};
use super::refs::Obj;
use super::tables::Tables;
use super::value::Value;
use crate::lab::world::{Id, Power, Vm};

/// Operations, as `allowed_operations` names them.
const ALL: &[&str] = &[
    "snapshot",
    "clone",
    "copy",
    "provision",
    "start",
    "start_on",
    "suspend",
    "resume",
    "clean_shutdown",
    "clean_reboot",
    "hard_shutdown",
    "hard_reboot",
    "destroy",
    "revert",
    "make_into_template",
    "changing_VCPUs",
    "changing_VCPUs_live",
    "changing_memory_limits",
    "changing_static_range",
    "changing_dynamic_range",
];

/// Power states an operation may be done in.
fn power_states(operation: &str) -> &'static [Power] {
    match operation {
        "changing_memory_limits"
        | "changing_static_range"
        | "changing_VCPUs"
        | "make_into_template"
        | "provision"
        | "start"
        | "start_on"
        | "clone"
        | "copy" => &[Power::Off],
        "resume" => &[Power::Suspended],
        "clean_reboot" | "clean_shutdown" | "changing_VCPUs_live" | "suspend" | "hard_reboot" => &[Power::On],
        "changing_dynamic_range" => &[Power::Off, Power::On],
        "destroy" => &[Power::Off, Power::Suspended],
        "hard_shutdown" => &[Power::Suspended, Power::On],
        _ => &[Power::Off, Power::Suspended, Power::On],
    }
}

/// Power as errors say it.
pub(super) const fn word(power: Power) -> &'static str {
    match power {
        Power::On => "running",
        Power::Off => "halted",
        Power::Suspended => "suspended",
    }
}

/// `VM_BAD_POWER_STATE`, as recorded: the VM, what it would have to be, what it is.
pub(super) fn bad_power(reference: &str, wanted: &[Power], is: Power) -> Failure {
    let wanted: Vec<&str> = wanted.iter().map(|power| word(*power)).collect();
    Failure::new(VM_BAD_POWER_STATE, [reference, &wanted.join(", "), word(is)])
}

/// What is under way on a VM: number of the task, and the operation. Asked for every operation of every VM of a
/// listing, so that tasks that are over must cost nothing.
fn under_way(tables: &Tables, vm: Id) -> impl Iterator<Item = (u32, &'static str)> {
    let pending = tables.pending.iter().filter_map(|number| Some((*number, tables.tasks.get(number)?)));
    pending.filter(move |(_, task)| task.vm == Some(vm)).map(|(number, task)| (number, task.operation))
}

/// `current_operations` of a VM.
pub(super) fn current(view: &View<'_>, vm: Id) -> Value {
    Value::texts(
        under_way(view.tables, vm).map(|(number, operation)| (view.codec.reference(&Obj::Task(number)), operation)),
    )
}

/// Refuses an operation while another is under way; a hard shutdown breaks into a clean one.
pub(super) fn undisturbed(view: &View<'_>, vm: Id, operation: &str, own: Option<u32>) -> Result<(), Failure> {
    let mut others = under_way(view.tables, vm).filter(|(number, _)| Some(*number) != own);
    let other = others
        .find(|(_, other)| !(operation == "hard_shutdown" && matches!(*other, "clean_shutdown" | "clean_reboot")));
    match other {
        None => Ok(()),
        Some((_, other)) => {
            let reference = view.codec.reference(&Obj::Vm(vm));
            Err(Failure::new(OTHER_OPERATION_IN_PROGRESS, [format!("VM.{other}"), reference]))
        }
    }
}

/// May this be done to this VM now?
pub(super) fn check(view: &View<'_>, id: Id, operation: &str, own: Option<u32>) -> Result<(), Failure> {
    let reference = view.codec.reference(&Obj::Vm(id));
    let Some(machine) = view.machine(id) else {
        return Err(Failure::handle(super::refs::Class::Vm, &reference));
    };
    let blocked = view.tables.kept(&Obj::Vm(id)).and_then(|fields| fields.get("blocked_operations"));
    if let Some(why) = blocked.and_then(|blocked| blocked.get(operation)) {
        return Err(Failure::new(OPERATION_BLOCKED, [&*reference, why.text().unwrap_or_default()]));
    }
    let vm = match machine {
        Machine::Control(_) => return Err(Failure::not_allowed("Operations on domain 0 are not allowed")),
        Machine::Snapshot(..) if matches!(operation, "revert" | "clone" | "copy" | "destroy") => return Ok(()),
        Machine::Snapshot(..) => return Err(Failure::new(VM_IS_SNAPSHOT, [&*reference, operation])),
        Machine::Vm(vm) => vm,
    };
    let allowed = power_states(operation);
    if !allowed.contains(&vm.power) {
        return Err(bad_power(&reference, allowed, vm.power));
    }
    undisturbed(view, id, operation, own)?;
    of_kind(vm, operation, &reference)?;
    if matches!(operation, "clean_shutdown" | "clean_reboot" | "changing_VCPUs_live") && !vm.tools_run() {
        return Err(Failure::new(VM_LACKS_FEATURE_SHUTDOWN, [reference]));
    }
    Ok(())
}

/// What templates allow and VMs do not, and the other way round.
fn of_kind(vm: &Vm, operation: &str, reference: &str) -> Result<(), Failure> {
    let default_template = vm.setting("default_template") == Some("true");
    let for_templates = matches!(operation, "clone" | "copy" | "provision")
        || operation.starts_with("changing_")
        || (operation == "destroy" && !default_template);
    if vm.template && !for_templates {
        return Err(Failure::new(VM_IS_TEMPLATE, [reference, operation]));
    }
    if !vm.template && operation == "provision" {
        return Err(Failure::new(ONLY_PROVISION_TEMPLATE, [] as [&str; 0]));
    }
    if operation == "revert" {
        return Err(Failure::new(ONLY_REVERT_SNAPSHOT, [] as [&str; 0]));
    }
    Ok(())
}

/// `allowed_operations`.
pub(super) fn allowed(view: &View<'_>, id: Id) -> Value {
    Value::List(ALL.iter().filter(|word| check(view, id, word, None).is_ok()).map(|word| Value::from(*word)).collect())
}
