//! Tasks: calls that take lab time, `Async.` or not.
//!
//! A call that really works (a clone, a start, a resize) is a task of the world's agenda and is done when it is due,
//! with the checks it begins with made then. `Async.X` answers the task and lets the client wait; plain `X` waits here
//! and answers the outcome, its task being nobody's business. A clean shutdown that was asked of the guest is looked
//! at again until the guest is off. When the master goes, tasks that have not been done are not done any more, and
//! nobody knows their references.

use std::sync::{Arc, Weak};

use super::calls::{self, Done, Turn};
use super::failure::{Failure, TASK_CANCELLED};
use super::refs::Obj;
use super::value::Value;
use super::{Front, Inner};
use crate::lab::world::{Act, Id, Work, World};

/// Old finished tasks are forgotten, the oldest first.
const REMEMBERED: usize = 2_000;

/// How a task stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Pending,
    /// The result as XML, as recorded.
    Success(String),
    Failure(Failure),
    Cancelled(Failure),
}

/// A call with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub class: super::refs::Class,
    pub message: &'static str,
    pub parameters: Vec<Value>,
    pub session: u32,
}

/// One task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub label: String,
    pub description: String,
    pub created: i64,
    pub finished: Option<i64>,
    pub verdict: Verdict,
    /// What it answered.
    pub value: Option<Value>,
    /// The VM that does nothing else meanwhile, and what it does.
    pub vm: Option<Id>,
    pub operation: &'static str,
    /// Can clients see it?
    pub listed: bool,
    /// What is to be done; `None` for one a client made for itself.
    pub call: Option<Call>,
    /// What a fault rule has it end with.
    pub doomed: Option<Failure>,
    /// Times it was looked at.
    pub looks: u32,
}

impl Task {
    pub fn pending(&self) -> bool {
        self.verdict == Verdict::Pending
    }
}

/// What begins a task.
pub(super) struct Start {
    pub call: Call,
    pub listed: bool,
    pub doomed: Option<Failure>,
}

impl Inner {
    /// Queues a call; its task.
    pub fn begin(&mut self, front: &Weak<Front>, world: &mut World, start: Start) -> u32 {
        let number = self.tables.fresh_task();
        let Start { call, listed, doomed } = start;
        let vm = calls::busy_vm(self, &call);
        let label = format!("Async.{}.{}", call.class.name(), call.message);
        let blocked = vm.and_then(|vm| {
            let view = self.view(world);
            super::operations::undisturbed(&view, vm, call.message, None).err()
        });
        let long = matches!(call.message, "clone" | "copy");
        let task = Task {
            label,
            description: String::new(),
            created: world.now_ms(),
            finished: None,
            verdict: Verdict::Pending,
            value: None,
            vm: vm.filter(|_| blocked.is_none()),
            operation: call.message,
            listed,
            call: Some(call),
            doomed: doomed.or(blocked),
            looks: 0,
        };
        self.tables.tasks.insert(number, task);
        self.tables.pending.insert(number);
        vm.map(|vm| world.edit_runtime(vm, |_| {}));
        self.tables.shadow.added(Obj::Task(number), world.bump(), listed);
        self.forget_old_tasks(world);
        schedule(front, world, number, long);
        number
    }

    /// A task a client makes for itself.
    pub fn own_task(&mut self, world: &mut World, label: &str, description: &str) -> u32 {
        let number = self.tables.fresh_task();
        let task = Task {
            label: label.to_owned(),
            description: description.to_owned(),
            created: world.now_ms(),
            finished: None,
            verdict: Verdict::Pending,
            value: None,
            vm: None,
            operation: "",
            listed: true,
            call: None,
            doomed: None,
            looks: 0,
        };
        self.tables.tasks.insert(number, task);
        self.tables.pending.insert(number);
        self.tables.shadow.added(Obj::Task(number), world.bump(), true);
        number
    }

    fn forget_old_tasks(&mut self, world: &mut World) {
        while self.tables.tasks.len() > REMEMBERED {
            let oldest = self.tables.tasks.iter().find(|(_, task)| !task.pending()).map(|(number, _)| *number);
            let Some(oldest) = oldest else { return };
            self.destroy_task(world, oldest);
        }
    }

    /// Takes a task off the list.
    pub fn destroy_task(&mut self, world: &mut World, number: u32) {
        self.tables.pending.remove(&number);
        if let Some(task) = self.tables.tasks.remove(&number) {
            let change = world.bump();
            self.tables.forget(&Obj::Task(number));
            self.tables.shadow.removed(Obj::Task(number), change, task.listed);
        }
    }

    /// Ends a task that is still pending.
    pub fn settle_task(&mut self, world: &mut World, number: u32, verdict: Verdict, value: Option<Value>) {
        let now = world.now_ms();
        let vm = self.tables.tasks.get(&number).and_then(|task| task.vm);
        // Its VM is at work no more, which its record shows.
        vm.map(|vm| world.edit_runtime(vm, |_| {}));
        let change = world.bump();
        if let Some(task) = self.tables.tasks.get_mut(&number).filter(|task| task.pending()) {
            if verdict != Verdict::Pending {
                self.tables.pending.remove(&number);
            }
            task.verdict = verdict;
            task.value = value;
            task.finished = Some(now);
            self.tables.shadow.touched(Obj::Task(number), change);
        }
    }

    /// Gives up a task at a client's wish.
    pub fn cancel_task(&mut self, world: &mut World, number: u32) {
        let failure = Failure::new(TASK_CANCELLED, [self.codec.reference(&Obj::Task(number))]);
        self.settle_task(world, number, Verdict::Cancelled(failure), None);
    }

    /// Ends the clean shutdowns and reboots that a hard one breaks into.
    pub fn break_into(&mut self, world: &mut World, vm: Id, own: Option<u32>) {
        let waiting = |task: &Task| task.vm == Some(vm) && task.pending();
        let gentle = |task: &Task| matches!(task.operation, "clean_shutdown" | "clean_reboot");
        let tasks = self.tables.tasks.iter().filter(|(_, task)| waiting(task) && gentle(task));
        let numbers: Vec<u32> = tasks.map(|(number, _)| *number).filter(|number| Some(*number) != own).collect();
        for number in numbers {
            self.cancel_task(world, number);
        }
    }

    /// All tasks of a master that is gone: nobody knows them, and what was not done is not done.
    pub fn lose_tasks(&mut self, world: &mut World) {
        let numbers: Vec<u32> = self.tables.tasks.keys().copied().collect();
        for number in numbers {
            self.destroy_task(world, number);
        }
    }
}

fn schedule(front: &Weak<Front>, world: &mut World, number: u32, long: bool) {
    let front = front.clone();
    let perform = move |world: &mut World| {
        if let Some(front) = front.upgrade() {
            step(&front, world, number);
        }
        Ok(None)
    };
    let act = Act { kind: "xapi.task", entity: Id(0), vm: None, long, perform: Arc::new(perform) };
    world.start(Work::Act(act), "");
}

/// Does what is due of a task.
fn step(front: &Arc<Front>, world: &mut World, number: u32) {
    let mut inner = front.inner();
    let Some(task) = inner.tables.tasks.get_mut(&number).filter(|task| task.pending()) else { return };
    let Some(call) = task.call.clone() else { return };
    let (doomed, looks) = (task.doomed.clone(), task.looks);
    task.looks += 1;
    let done = if let Some(failure) = doomed {
        Err(failure)
    } else {
        let mut turn = Turn { inner: &mut inner, world, call: &call, task: Some(number), looks };
        calls::perform(&mut turn)
    };
    match done {
        Ok(Done::Value(value)) => {
            let mut xml = String::new();
            value.write_xml(&mut xml);
            inner.settle_task(world, number, Verdict::Success(xml), Some(value));
        }
        Ok(Done::Later) => {
            drop(inner);
            schedule(&Arc::downgrade(front), world, number, false);
        }
        Err(failure) => inner.settle_task(world, number, Verdict::Failure(failure), None),
    }
}
