//! One mutating call: announced, sent, and its outcome told; with whatever trouble befalls it.

use std::time::Duration;

use tierwright::lab::world::{self, Id, Refusal};
use tierwright::model::OwnId;
use tierwright::plan::Step;
use tierwright::provider::{Call, ErrorKind, Outcome, Recorder, StepError};

use super::reading::own_id;
use super::{CallTrouble, OverWorld};

/// One operation of a step being done.
pub(super) struct Work<'a> {
    pub provider: &'a OverWorld,
    pub step: &'a Step,
    pub recorder: &'a dyn Recorder,
    pub operation: usize,
}

/// What a call is to people and the journal.
pub(super) struct Named {
    pub name: &'static str,
    pub destroys: bool,
}

impl Named {
    pub const fn plain(name: &'static str) -> Self {
        Self { name, destroys: false }
    }
}

impl Work<'_> {
    /// Makes a call; the object it made, if it made one and said so.
    pub(super) async fn call(&self, named: Named, work: world::Work) -> Result<Option<Id>, StepError> {
        let Named { name, destroys } = named;
        let target = self.step.own_id.as_ref().map_or_else(|| self.step.identity.to_string(), ToString::to_string);
        let trouble = self.provider.trouble().next_call(&format!("{} {name}", self.step.key));
        if matches!(trouble, Some(CallTrouble::Busy)) {
            return Err(self.error(name, ErrorKind::RateLimited, "too many tasks"));
        }
        let call = Call { name, operation: self.operation, target, destroys, detail: String::new() };
        let intent = self.recorder.before(&call).await?;
        let refused = match trouble {
            None | Some(CallTrouble::LoseReply | CallTrouble::LoseReplyAndEndpoint | CallTrouble::Busy) => None,
            Some(CallTrouble::Drop) => return Err(self.lost(name)),
            Some(CallTrouble::Late) => {
                self.provider.trouble().late.push_back(work);
                return Err(self.lost(name));
            }
            Some(CallTrouble::Refuse) => Some((ErrorKind::Denied, "the account may not".to_owned())),
            Some(CallTrouble::FailTask) => Some((ErrorKind::Unexpected, "the task failed: disk on fire".to_owned())),
            Some(CallTrouble::Unsent) => Some((ErrorKind::Unreachable, "the connection broke".to_owned())),
        };
        if let Some((kind, why)) = refused {
            self.recorder.after(intent, &Outcome::Refused(why.clone())).await?;
            return Err(self.error(name, kind, why));
        }
        match self.provider.world.with(|world| world.perform(work)) {
            Ok(_) if trouble == Some(CallTrouble::LoseReplyAndEndpoint) => {
                self.provider.trouble().out = true;
                Err(self.lost(name))
            }
            // A lost reply is looked into: the change is there.
            Ok(made) => {
                self.recorder.after(intent, &Outcome::Done).await?;
                Ok(made)
            }
            Err(refusal) => {
                let why = format!("{refusal:?}");
                self.recorder.after(intent, &Outcome::Refused(why.clone())).await?;
                Err(self.error(name, ErrorKind::Conflict, why))
            }
        }
    }

    /// A guest is asked to stop: done at once in the world's time, or never.
    pub(super) async fn ask_guest(&self, id: Id) -> Result<(), StepError> {
        let name = "ShutdownGuest";
        let target = self.step.own_id.as_ref().map_or_else(|| self.step.identity.to_string(), ToString::to_string);
        let call = Call { name, operation: self.operation, target, destroys: false, detail: String::new() };
        let intent = self.recorder.before(&call).await?;
        let deaf = self.provider.world.with(|world| world.vm(id).map(own_id));
        let deaf = deaf.is_some_and(|id| self.provider.trouble().deaf.contains(&id));
        let asked = if deaf { Ok(()) } else { self.provider.world.with(|world| world.ask_guest(id, false)) };
        self.provider.clock.advance(Duration::from_secs(1));
        let outcome = asked
            .as_ref()
            .map_or_else(|refusal: &Refusal| Outcome::Refused(format!("{refusal:?}")), |()| Outcome::Done);
        self.recorder.after(intent, &outcome).await?;
        asked.map_err(|refusal| self.error(name, ErrorKind::Conflict, format!("{refusal:?}")))
    }

    /// The VM of the step as it is now; an error when it is not there.
    pub(super) fn vm(&self) -> Result<world::Vm, StepError> {
        let Some(id) = self.step.own_id.clone().or_else(|| self.made()) else {
            return Err(self.error("read the VM", ErrorKind::NotFound, "it has no id yet"));
        };
        self.provider.reach()?;
        let found =
            self.provider.world.with(|world| world.vms().filter(|vm| own_id(vm) == id).cloned().collect::<Vec<_>>());
        match <[world::Vm; 1]>::try_from(found) {
            Ok([vm]) => Ok(vm),
            Err(found) if found.is_empty() => Err(self.error("read the VM", ErrorKind::NotFound, "it is gone")),
            Err(_) => Err(self.error("read the VM", ErrorKind::Conflict, "there are several of that id")),
        }
    }

    /// The own id of what this step's create has made by now.
    pub(super) fn made(&self) -> Option<OwnId> {
        self.begun(self.step.identity).map(|vm| own_id(&vm))
    }

    pub(super) fn error(&self, operation: &str, kind: ErrorKind, why: impl Into<String>) -> StepError {
        let mut error = self.provider.error(operation, kind, why);
        error.vm = Some(self.step.key.clone());
        error.into()
    }

    fn lost(&self, name: &str) -> StepError {
        self.error(name, ErrorKind::Ambiguous, "the answer was lost and the change is not to be seen")
    }
}

impl OverWorld {
    /// What was sent and given up on is done after all, if it still can be.
    pub(super) fn do_late_work(&self) {
        let late = std::mem::take(&mut self.trouble().late);
        for work in late {
            let told = format!("done late: {}", super::trouble::summary(&work));
            let done = self.world.with(|world| world.perform(work));
            self.trouble().befallen.push(format!("{told}: {done:?}"));
        }
    }
}
