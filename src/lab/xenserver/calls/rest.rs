//! Sessions, tasks, the pool, hosts, and what is left of a VM.

use super::{Turn, power, vbd, vif};
use crate::lab::xenserver::failure::{Failure, SESSION_AUTHENTICATION_FAILED};
use crate::lab::xenserver::operations;
use crate::lab::xenserver::records::free_memory;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tasks::Verdict;
use crate::lab::xenserver::value::Value;

/// `session.login_with_password` and `session.logout`.
pub(super) fn session(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    if turn.call.message == "logout" {
        turn.inner.sessions.logout(turn.call.session);
        return Ok(Value::void());
    }
    let (user, password) = (turn.text(0)?.to_owned(), turn.text(1)?);
    let (own_user, own_password) = &turn.inner.account;
    if user != *own_user || password != own_password {
        return Err(Failure::new(SESSION_AUTHENTICATION_FAILED, [&*user, "Authentication failure"]));
    }
    let originator = turn.text(3).unwrap_or_default().to_owned();
    let number = turn.inner.sessions.login(&user, &originator, turn.world.now_ms());
    Ok(turn.reference(&Obj::Session(number)).into())
}

/// Tasks: a client makes its own, gives one up, takes one away.
pub(super) fn task(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    if turn.call.message == "create" {
        let (label, description) = (turn.text(0)?.to_owned(), turn.text(1)?.to_owned());
        let number = turn.inner.own_task(turn.world, &label, &description);
        return Ok(turn.reference(&Obj::Task(number)).into());
    }
    let Obj::Task(number) = turn.object(0, Class::Task)? else { return Err(Failure::field_type("task")) };
    match turn.call.message {
        "destroy" => turn.inner.destroy_task(turn.world, number),
        "cancel" => turn.inner.cancel_task(turn.world, number),
        "set_status" => {
            let verdict = match turn.text(1)? {
                "success" => Verdict::Success(String::new()),
                "failure" => Verdict::Failure(Failure::new("", [] as [&str; 0])),
                _ => Verdict::Pending,
            };
            turn.inner.settle_task(turn.world, number, verdict, None);
        }
        _ => turn.touch(Obj::Task(number)),
    }
    Ok(Value::void())
}

/// Another master.
pub(super) fn pool(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    if turn.call.message == "designate_new_master" {
        let Obj::Host(host) = turn.object(0, Class::Host)? else { return Err(Failure::field_type("host")) };
        let member = turn.inner.standing.hosts.iter().position(|known| *known == host);
        if let Some(member) = member {
            turn.inner.lead(turn.world, member);
        }
    }
    Ok(Value::void())
}

pub(super) fn host_has(message: &str) -> bool {
    matches!(message, "compute_free_memory" | "compute_memory_overhead" | "enable" | "disable" | "get_servertime")
}

pub(super) fn host(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let Obj::Host(id) = turn.object(0, Class::Host)? else { return Err(Failure::field_type("host")) };
    match turn.call.message {
        "compute_free_memory" => Ok(Value::Int(free_memory(turn.world, id))),
        "compute_memory_overhead" => Ok(Value::Int(1 << 30)),
        "get_servertime" => Ok(Value::Time(turn.world.now_ms())),
        message => {
            if let Some(host) = turn.world.hosts.get_mut(&id) {
                host.maintenance = message == "disable";
            }
            turn.world.bump();
            Ok(Value::void())
        }
    }
}

pub(super) fn vm_has(message: &str) -> bool {
    matches!(
        message,
        "get_allowed_VBD_devices"
            | "get_allowed_VIF_devices"
            | "get_possible_hosts"
            | "assert_operation_valid"
            | "assert_can_boot_here"
            | "update_allowed_operations"
            | "compute_memory_overhead"
    )
}

/// Questions about a VM.
pub(super) fn vm(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let Obj::Vm(id) = turn.object(0, Class::Vm)? else { return Err(Failure::field_type("vm")) };
    let view = turn.view();
    let numbers = |free: Vec<i32>| free.into_iter().map(|number| number.to_string()).collect::<Value>();
    match turn.call.message {
        "get_allowed_VBD_devices" => Ok(numbers(view.world.vm(id).map_or_else(Vec::new, |vm| vbd::free(&view, vm)))),
        "get_allowed_VIF_devices" => Ok(numbers(view.world.vm(id).map_or_else(Vec::new, vif::free))),
        "get_possible_hosts" => {
            let fitting = view.world.hosts.keys().filter(|host| power::fits(turn, id, **host).is_ok());
            Ok(fitting.map(|host| view.codec.reference(&Obj::Host(*host))).collect())
        }
        "assert_operation_valid" => {
            let operation = turn.text(1)?;
            operations::check(&view, id, operation, None).map(|()| Value::void())
        }
        "assert_can_boot_here" => match turn.object(1, Class::Host)? {
            Obj::Host(host) => power::fits(turn, id, host).map(|()| Value::void()),
            _ => Err(Failure::field_type("host")),
        },
        "compute_memory_overhead" => Ok(Value::Int(15 << 20)),
        _ => Ok(Value::void()),
    }
}
