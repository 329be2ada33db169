//! Power: start, shutdowns clean and hard, reboots, suspend and resume.

use super::{Done, Turn};
use crate::lab::world::{Id, Link, Power, Work};
use crate::lab::xenserver::failure::{
    Failure, HOST_DISABLED, HOST_NOT_ENOUGH_FREE_MEMORY, HOST_NOT_LIVE, NO_HOSTS_AVAILABLE, VM_SHUTDOWN_TIMEOUT,
};
use crate::lab::xenserver::records::free_memory;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tables::bytes;
use crate::lab::xenserver::value::Value;

/// A guest that has not shut down by then is given up, in lab milliseconds (xapi's `domain_shutdown_total_timeout`).
const PATIENCE: i64 = 20 * 60 * 1000;

/// `VM.start`, `VM.start_on`, `VM.resume`: on a live host with the memory for it.
pub(super) fn start(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for(turn.call.message)?;
    let host = match turn.call.message {
        "start_on" => match turn.object(1, Class::Host)? {
            Obj::Host(host) => {
                fits(turn, id, host)?;
                host
            }
            _ => return Err(Failure::field_type("host")),
        },
        _ => choose_host(turn, id)?,
    };
    turn.world.edit_runtime(id, |vm| vm.host = host);
    turn.world.perform(Work::PowerOn(id)).map_err(|refusal| turn.refused(&refusal))?;
    Ok(Value::void())
}

/// Could it run there?
pub(super) fn fits(turn: &Turn<'_>, id: Id, host: Id) -> Result<(), Failure> {
    let reference = turn.reference(&Obj::Host(host));
    let Some(at) = turn.world.hosts.get(&host) else { return Err(Failure::handle(Class::Host, &reference)) };
    if at.link != Link::Connected {
        return Err(Failure::new(HOST_NOT_LIVE, [reference]));
    }
    if at.maintenance {
        return Err(Failure::new(HOST_DISABLED, [reference]));
    }
    let (free, needed) = (free_memory(turn.world, host), turn.world.vm(id).map_or(0, |vm| bytes(vm.memory_mib)));
    if free < needed {
        return Err(Failure::new(HOST_NOT_ENOUGH_FREE_MEMORY, [needed.to_string(), free.to_string()]));
    }
    Ok(())
}

/// The host it likes, else the one with the most free memory.
fn choose_host(turn: &Turn<'_>, id: Id) -> Result<Id, Failure> {
    let kept = turn.inner.tables.kept(&Obj::Vm(id)).and_then(|fields| fields.get("affinity"));
    let liked = kept.and_then(Value::text).and_then(|text| turn.inner.codec.object(Class::Host, text));
    if let Some(Obj::Host(host)) = liked
        && fits(turn, id, host).is_ok()
    {
        return Ok(host);
    }
    let fitting = turn.world.hosts.keys().copied().filter(|host| fits(turn, id, *host).is_ok());
    let most = fitting.max_by_key(|host| (free_memory(turn.world, *host), std::cmp::Reverse(*host)));
    most.ok_or_else(|| Failure::new(NO_HOSTS_AVAILABLE, [] as [&str; 0]))
}

/// What asks no guest. A hard shutdown ends a clean one that is under way.
pub(super) fn hard(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let id = turn.vm_for(turn.call.message)?;
    let work = match turn.call.message {
        "hard_shutdown" => Work::PowerOff(id),
        "hard_reboot" => Work::Reset(id),
        _ => Work::Suspend(id),
    };
    turn.inner.break_into(turn.world, id, turn.task);
    turn.world.perform(work).map_err(|refusal| turn.refused(&refusal))?;
    Ok(Value::void())
}

/// Asks the guest, then looks until it has done so. `VM.shutdown` goes on hard where the guest cannot be asked.
pub(super) fn clean(turn: &mut Turn<'_>) -> Result<Done, Failure> {
    let message = turn.call.message;
    let Obj::Vm(id) = turn.object(0, Class::Vm)? else { return Err(Failure::field_type("vm")) };
    if turn.looks == 0 {
        let asked = if message == "shutdown" { "clean_shutdown" } else { message };
        if let Err(failure) = turn.vm_for(asked) {
            let running = turn.world.vm(id).is_some_and(|vm| vm.power == Power::On && !vm.guest.tools_installed);
            if message == "shutdown" && running {
                turn.vm_for("hard_shutdown")?;
                turn.world.perform(Work::PowerOff(id)).map_err(|refusal| turn.refused(&refusal))?;
                return Ok(Value::void().into());
            }
            return Err(failure);
        }
        let reboot = message == "clean_reboot";
        turn.world.ask_guest(id, reboot).map_err(|refusal| turn.refused(&refusal))?;
        return Ok(Done::Later);
    }
    let begun = turn.task.and_then(|number| turn.inner.tables.tasks.get(&number)).map_or(0, |task| task.created);
    let Some(vm) = turn.world.vm(id) else {
        return Err(Failure::handle(Class::Vm, &turn.reference(&Obj::Vm(id))));
    };
    let done = match message {
        "clean_reboot" => vm.booted_at.is_some_and(|boot| boot > begun),
        _ => vm.power == Power::Off,
    };
    if done {
        return Ok(Value::void().into());
    }
    if turn.world.now_ms() - begun > PATIENCE {
        let seconds = (PATIENCE / 1000).to_string();
        return Err(Failure::new(VM_SHUTDOWN_TIMEOUT, [turn.reference(&Obj::Vm(id)), seconds]));
    }
    Ok(Done::Later)
}
