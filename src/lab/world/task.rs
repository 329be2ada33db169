//! Work that takes lab time, and its outcome.
//!
//! A task is queued with its work and a due time; what was asked is looked at and done when it is due, all at once or
//! not at all. Until then the VM it works on is busy: another task for it is refused. Old finished tasks are forgotten,
//! as a real server forgets them.

use std::sync::Arc;

use super::{Id, Power, Refusal, Work, World};

/// How many tasks are remembered.
const REMEMBERED: usize = 2_000;

/// How long work takes, in lab milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Making a VM from another.
    pub clone: i64,
    /// Powering on.
    pub power_on: i64,
    /// Anything else that is a task.
    pub other: i64,
    /// Multiplies all of them, in percent: a demo is watched by people.
    pub percent: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { clone: 40, power_on: 15, other: 8, percent: 100 }
    }
}

impl Pace {
    fn of(self, work: &Work) -> i64 {
        let base = match work {
            Work::Clone(_) => self.clone,
            Work::Act(act) if act.long => self.clone,
            Work::PowerOn(_) => self.power_on,
            _ => self.other,
        };
        base.saturating_mul(self.percent.clamp(0, 1_000_000)) / 100
    }
}

/// What comes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Task,
    GuestStops,
    GuestReboots,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Being worked on.
    Running,
    /// Done; the object it made, if it made one.
    Success(Option<Id>),
    /// Not done, and why.
    Error(Box<Refusal>),
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its id.
    pub id: Id,
    /// What is done, in vSphere's words, such as `VirtualMachine.clone`.
    pub kind: &'static str,
    /// The object it is done to.
    pub entity: Id,
    /// That object's name when the task began.
    pub entity_name: Arc<str>,
    /// Where it stands.
    pub state: TaskState,
    /// When it began, lab time in milliseconds.
    pub started_at: i64,
    /// When it will end, or ended.
    pub ends_at: i64,
    /// Who asked.
    pub user: Arc<str>,
    /// Number of its last change.
    pub touched: u64,
    work: Option<Work>,
}

impl Task {
    /// How far it is, 0 to 100.
    pub fn percent(&self, now: i64) -> i64 {
        let length = (self.ends_at - self.started_at).max(1);
        ((now - self.started_at) * 100 / length).clamp(0, 99)
    }
}

impl World {
    /// Queues work and returns its task. Refused work is a task that has already failed.
    pub fn start(&mut self, work: Work, user: &str) -> Id {
        let id = self.fresh_id();
        let entity = work.entity();
        let touched = self.bump();
        let vm = work.vm();
        let blocked = vm.and_then(|vm| self.busy.get(&vm)).map(|task| Refusal::Busy(*task));
        let ends_at = self.now + self.pace.of(&work);
        let (state, work) = match blocked {
            Some(refusal) => (TaskState::Error(Box::new(refusal)), None),
            None => (TaskState::Running, Some(work)),
        };
        if let (Some(vm), Some(_)) = (vm, &work) {
            self.busy.insert(vm, id);
        }
        let ends_at = if work.is_some() { ends_at } else { self.now };
        if work.is_some() {
            self.agenda.insert((ends_at, id, Due::Task));
        }
        let entity_name = self.name_of(entity);
        let kind = work.as_ref().map_or("VirtualMachine.reconfigure", Work::kind);
        let started_at = self.now;
        let task = Task { id, kind, entity, entity_name, state, started_at, ends_at, user: user.into(), touched, work };
        self.tasks.insert(id, task);
        self.forget_old_tasks();
        id
    }

    /// A task by id.
    pub fn task(&self, id: Id) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// All tasks still remembered, oldest first.
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.tasks.values()
    }

    /// Forgets a task, as a server does that was restarted; its work is still done when due.
    pub fn forget_task(&mut self, id: Id) {
        if let Some(task) = self.tasks.remove(&id)
            && let Some(work) = task.work
        {
            self.finish(id, work);
        }
    }

    /// When something next comes due.
    pub(in crate::lab) fn next_due(&self) -> Option<i64> {
        self.agenda.first().map(|(at, ..)| *at)
    }

    /// Does everything that is due by `now`, in order.
    pub(in crate::lab) fn settle(&mut self, now: i64) {
        while let Some((at, id, due)) = self.agenda.first().copied().filter(|(at, ..)| *at <= now) {
            self.agenda.pop_first();
            self.now = self.now.max(at);
            match due {
                Due::Task => {
                    if let Some(work) = self.tasks.get_mut(&id).and_then(|task| task.work.take()) {
                        self.finish(id, work);
                    }
                }
                Due::GuestStops => {
                    self.set_power(id, Power::Off);
                }
                Due::GuestReboots => {
                    self.set_power(id, Power::On);
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// The guest was asked to stop (or to start again) and will do so.
    pub(super) fn guest_will(&mut self, vm: Id, after: i64, reboots: bool) {
        let due = if reboots { Due::GuestReboots } else { Due::GuestStops };
        self.agenda.insert((self.now + after, vm, due));
    }

    /// Does another task work on the VM?
    pub(in crate::lab) fn is_busy(&self, vm: Id) -> bool {
        self.busy.contains_key(&vm)
    }

    /// A guest that is off has nothing left to do.
    pub(in crate::lab) fn guest_rests(&mut self, vm: Id) {
        self.agenda.retain(|(_, id, due)| *id != vm || *due == Due::Task);
    }

    fn finish(&mut self, id: Id, work: Work) {
        if let Some(vm) = work.vm() {
            self.busy.remove(&vm);
        }
        let state = match self.perform(work) {
            Ok(made) => TaskState::Success(made),
            Err(refusal) => TaskState::Error(Box::new(refusal)),
        };
        let (touched, now) = (self.bump(), self.now);
        if let Some(task) = self.tasks.get_mut(&id) {
            task.state = state;
            task.ends_at = now;
            task.touched = touched;
        }
    }

    fn forget_old_tasks(&mut self) {
        while self.tasks.len() > REMEMBERED {
            let Some(oldest) = self.tasks.values().find(|task| task.work.is_none()).map(|task| task.id) else { return };
            self.tasks.remove(&oldest);
        }
    }

    /// The name of any object.
    pub fn name_of(&self, id: Id) -> Arc<str> {
        let text = |name: &String| Some(Arc::from(name.as_str()));
        None.or_else(|| self.vms.get(&id).map(|vm| vm.name.clone()))
            .or_else(|| self.folders.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.datacenters.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.clusters.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.hosts.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.pools.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.datastores.get(&id).and_then(|at| text(&at.name)))
            .or_else(|| self.networks.get(&id).and_then(|at| text(&at.name)))
            .unwrap_or_default()
    }
}
