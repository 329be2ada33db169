//! CPUs and memory, by the recorded rules: the most a VM may have and its static memory are set while it is halted; the
//! CPUs it starts with are taken at any time and land at its next boot.

use super::Turn;
use crate::lab::world::{Id, Power};
use crate::lab::xenserver::failure::{Failure, INVALID_VALUE, MEMORY_CONSTRAINT_VIOLATION};
use crate::lab::xenserver::operations;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tables::Memory;
use crate::lab::xenserver::value::Value;

/// Messages that are answered here.
pub(super) fn has(message: &str) -> bool {
    message.starts_with("set_VCPUs_m")
        || message.starts_with("set_VCPUs_at")
        || message.starts_with("set_VCPUs_number")
        || message.starts_with("set_memory")
}

/// Sets one of them.
pub(super) fn set(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    match turn.call.message {
        "set_VCPUs_max" => most_cpus(turn),
        "set_VCPUs_at_startup" => startup_cpus(turn),
        "set_VCPUs_number_live" => live_cpus(turn),
        "set_memory_dynamic_range" | "set_memory_dynamic_min" | "set_memory_dynamic_max" | "set_memory_target_live" => {
            dynamic_memory(turn)
        }
        _ => static_memory(turn),
    }?;
    Ok(Value::void())
}

pub(super) fn bad_cpus(value: i64) -> Failure {
    Failure::new(
        INVALID_VALUE,
        ["VCPU values must satisfy: 0 < VCPUs_at_startup <= VCPUs_max".to_owned(), value.to_string()],
    )
}

fn count(turn: &Turn<'_>) -> Result<u32, Failure> {
    let value = turn.int(1)?;
    u32::try_from(value).ok().filter(|cpus| *cpus > 0).ok_or_else(|| bad_cpus(value))
}

fn most_cpus(turn: &mut Turn<'_>) -> Result<(), Failure> {
    let id = turn.vm_for("changing_VCPUs")?;
    let cpus = count(turn)?;
    if turn.world.vm(id).is_some_and(|vm| vm.cpus > cpus) {
        return Err(bad_cpus(i64::from(cpus)));
    }
    turn.inner.tables.keep(Obj::Vm(id), "VCPUs_max", Value::Int(i64::from(cpus)));
    turn.world.edit(id, |_| {});
    Ok(())
}

fn a_vm(turn: &Turn<'_>) -> Result<Id, Failure> {
    match turn.object(0, Class::Vm)? {
        Obj::Vm(id) if turn.world.vm(id).is_some() => Ok(id),
        _ => Err(Failure::not_allowed("only of a VM")),
    }
}

fn startup_cpus(turn: &mut Turn<'_>) -> Result<(), Failure> {
    let (id, cpus) = (a_vm(turn)?, count(turn)?);
    let Some(vm) = turn.world.vm(id) else { return Ok(()) };
    if cpus > turn.inner.tables.most_cpus(vm) {
        return Err(bad_cpus(i64::from(cpus)));
    }
    let (most, live) = (turn.inner.tables.most_cpus(vm), turn.inner.tables.live_cpus(vm));
    // The most it may have does not shrink with what it starts with.
    turn.inner.tables.keep(Obj::Vm(id), "VCPUs_max", Value::Int(i64::from(most)));
    turn.inner.tables.hold_live_cpus(vm, live);
    turn.world.edit(id, |vm| vm.cpus = cpus);
    Ok(())
}

fn live_cpus(turn: &mut Turn<'_>) -> Result<(), Failure> {
    let id = turn.vm_for("changing_VCPUs_live")?;
    let cpus = count(turn)?;
    let Some(vm) = turn.world.vm(id) else { return Ok(()) };
    let most = turn.inner.tables.most_cpus(vm);
    if cpus > most {
        return Err(bad_cpus(i64::from(cpus)));
    }
    turn.inner.tables.keep(Obj::Vm(id), "VCPUs_max", Value::Int(i64::from(most)));
    turn.inner.tables.hold_live_cpus(vm, cpus);
    turn.world.edit(id, |vm| vm.cpus = cpus);
    Ok(())
}

/// static_min <= dynamic_min <= dynamic_max <= static_max.
pub(super) fn judge_memory(memory: Memory) -> Result<(), Failure> {
    let Memory { static_min, dynamic_min, dynamic_max, static_max } = memory;
    if static_min < 0
        || static_min > dynamic_min
        || dynamic_min > dynamic_max
        || dynamic_max > static_max
        || static_max < 1 << 20
    {
        let rule = "Memory limits must satisfy: static_min <= dynamic_min <= dynamic_max <= static_max";
        return Err(Failure::new(MEMORY_CONSTRAINT_VIOLATION, [rule]));
    }
    Ok(())
}

fn static_memory(turn: &mut Turn<'_>) -> Result<(), Failure> {
    let message = turn.call.message;
    let operation = if message == "set_memory_limits" { "changing_memory_limits" } else { "changing_static_range" };
    let id = turn.vm_for(operation)?;
    let Some(vm) = turn.world.vm(id) else { return Ok(()) };
    let was = turn.inner.tables.memory(vm);
    let memory = match message {
        "set_memory_limits" => Memory {
            static_min: turn.int(1)?,
            static_max: turn.int(2)?,
            dynamic_min: turn.int(3)?,
            dynamic_max: turn.int(4)?,
        },
        "set_memory_static_range" => Memory { static_min: turn.int(1)?, static_max: turn.int(2)?, ..was },
        "set_memory_static_min" => Memory { static_min: turn.int(1)?, ..was },
        "set_memory_static_max" => Memory { static_max: turn.int(1)?, ..was },
        _ => {
            let all = turn.int(1)?;
            Memory { static_min: was.static_min.min(all), dynamic_min: all, dynamic_max: all, static_max: all }
        }
    };
    judge_memory(memory)?;
    let mib = u64::try_from(memory.static_max).unwrap_or_default() >> 20;
    // The world counts in MiB; what is less of it is dropped, as real servers round.
    let memory = Memory { static_max: crate::lab::xenserver::tables::bytes(mib), ..memory };
    turn.inner.tables.set_memory(id, memory);
    turn.world.edit(id, |vm| {
        vm.memory_mib = mib;
        vm.memory_at_boot_mib = mib;
    });
    Ok(())
}

fn dynamic_memory(turn: &mut Turn<'_>) -> Result<(), Failure> {
    let id = a_vm(turn)?;
    operations::check(&turn.view(), id, "changing_dynamic_range", turn.task)?;
    let Some(vm) = turn.world.vm(id) else { return Ok(()) };
    if turn.call.message == "set_memory_target_live" && vm.power != Power::On {
        let reference = turn.reference(&Obj::Vm(id));
        return Err(operations::bad_power(&reference, &[Power::On], vm.power));
    }
    let was = turn.inner.tables.memory(vm);
    let memory = match turn.call.message {
        "set_memory_dynamic_range" => Memory { dynamic_min: turn.int(1)?, dynamic_max: turn.int(2)?, ..was },
        "set_memory_dynamic_min" => Memory { dynamic_min: turn.int(1)?, ..was },
        "set_memory_dynamic_max" => Memory { dynamic_max: turn.int(1)?, ..was },
        _ => Memory { dynamic_min: turn.int(1)?, dynamic_max: turn.int(1)?, ..was },
    };
    judge_memory(memory)?;
    turn.inner.tables.set_memory(id, memory);
    turn.world.edit(id, |_| {});
    Ok(())
}
