//! One step: its operations in order, each mutating call announced to the recorder, and lost replies looked into.
//!
//! ```text
//! interrupted? -> before(call) -> send -+-> answer, task ends     -> after(Done)
//!                                       +-> refused               -> after(Refused), error
//!                                       +-> not sent at all       -> after(Refused), error
//!                                       +-> lost -> wait for tasks of that kind -> is the change there?
//!                                                     yes -> after(Done)      no -> Ambiguous, the intent stays open
//! ```

use std::future::Future;
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::collect::Memory;
use super::fault::Failure;
use super::machine::{self, Machine};
use super::rpc::{Ref, Request};
use super::session::Door;
use super::task::{self, End, Patience};
use crate::model::{EndpointName, OwnId, Secret};
use crate::plan::{Operation, Step};
use crate::provider::announced::{Announced, Unanswered};
use crate::provider::{Call, ErrorKind, Recorder, StepError};

/// Looks for a change whose answer was lost: at once, and again after these pauses, since the server may only be about
/// to begin.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// A task that may be ours is waited for so long; one of somebody else's may copy for hours.
const STRAY_LIMIT: Duration = Duration::from_mins(10);

/// One step being done.
pub(super) struct Work<'a> {
    pub door: &'a Door,
    pub endpoint: &'a EndpointName,
    pub memory: &'a Mutex<Memory>,
    pub step: &'a Step,
    pub user_data: Option<&'a Secret>,
    pub recorder: &'a dyn Recorder,
    /// Which operation is being done, from 0.
    pub operation: usize,
    /// The VM, once it is known which it is: its reference and its own id.
    found: Lock<Option<(Ref, OwnId)>>,
}

/// A mutating call about to be made.
#[derive(Debug)]
pub(super) struct Change {
    /// What is sent.
    pub request: Request,
    /// Does it take something away for good?
    pub destroys: bool,
    /// For people; no secrets.
    pub detail: String,
}

impl Change {
    /// One that takes nothing away for good.
    pub(super) fn new(request: Request, detail: impl Into<String>) -> Self {
        Self { request, destroys: false, detail: detail.into() }
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(
        door: &'a Door,
        endpoint: &'a EndpointName,
        memory: &'a Mutex<Memory>,
        order: &crate::provider::Order<'a>,
        recorder: &'a dyn Recorder,
    ) -> Self {
        let (step, user_data) = (order.step, order.user_data);
        Self { door, endpoint, memory, step, user_data, recorder, operation: 0, found: Lock::default() }
    }

    /// All operations, in order.
    pub(super) async fn run(mut self) -> Result<(), StepError> {
        let step = self.step;
        for (index, operation) in step.operations.iter().enumerate() {
            self.operation = index;
            self.check_interrupted()?;
            match operation {
                Operation::Create(order) => self.create(order).await?,
                Operation::Reconfigure { changes, mark } => self.reconfigure(changes, mark).await?,
                Operation::Stop(shutdown) => self.stop(*shutdown).await?,
                Operation::Start => self.start().await?,
                Operation::Rename(name) => self.rename(name).await?,
                Operation::Unmark => self.unmark().await?,
                Operation::Destroy { disks } => self.destroy(disks).await?,
            }
        }
        Ok(())
    }

    /// The memory of the pool, brought up to date and whole.
    pub(super) async fn memory(&self) -> Result<MutexGuard<'_, Memory>, StepError> {
        let mut memory = self.memory.lock().await;
        memory.refresh(self.door).await.map_err(self.failed("read the inventory"))?;
        memory.check_whole().map_err(self.failed("read the inventory"))?;
        Ok(memory)
    }

    /// The VM, read fresh; an error when it is not there.
    pub(super) async fn machine(&self) -> Result<Machine, StepError> {
        self.look().await?.ok_or_else(|| {
            let why = format!("there is no VM {}", self.target());
            self.error("read the VM", ErrorKind::NotFound, why)
        })
    }

    /// The VM, read fresh, if it is there.
    pub(super) async fn look(&self) -> Result<Option<Machine>, StepError> {
        let memory = self.memory().await?;
        let reference = match (self.found(), &self.step.own_id) {
            (Some((reference, _)), _) => Some(reference),
            (None, Some(id)) => memory.by_uuid(id.as_str()),
            (None, None) => None,
        };
        let Some(reference) = reference else { return Ok(None) };
        let machine = machine::of(&memory, &reference).map_err(self.failed("read the VM"))?;
        if let Some(machine) = &machine {
            self.note(machine);
        }
        Ok(machine)
    }

    /// From now on the step is about this VM.
    pub(super) fn note(&self, machine: &Machine) {
        let found = Some((machine.reference.clone(), OwnId::new(&machine.vm.uuid)));
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn found(&self) -> Option<(Ref, OwnId)> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Own id or identity of the VM the step is about.
    fn target(&self) -> String {
        let id = self.step.own_id.clone().or_else(|| self.found().map(|(_, id)| id));
        id.map_or_else(|| self.step.identity.to_string(), |id| id.to_string())
    }

    /// Makes a change and waits until it is done; gives what the server answered, if anything. `witness` tells whether
    /// the change is in place, for when the answer is lost.
    pub(super) async fn make<W, F>(&self, change: Change, witness: W) -> Result<Option<String>, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        self.perform(&change, || self.send(&change), witness).await
    }

    /// Announces a call, does it, and tells how it ended.
    pub(super) async fn perform<A, G, W, F>(
        &self,
        change: &Change,
        act: A,
        witness: W,
    ) -> Result<Option<String>, StepError>
    where
        A: FnOnce() -> G + Send,
        G: Future<Output = Result<Option<String>, Failure>> + Send,
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let name = change.request.method;
        let call = Call {
            name,
            operation: self.operation,
            target: self.target(),
            destroys: change.destroys,
            detail: change.detail.clone(),
        };
        let sent = async { act().await.map_err(self.unanswered(name)) };
        let announced = Announced { recorder: self.recorder, endpoint: self.endpoint, vm: &self.step.key, call };
        // Boxed: a create makes a dozen calls, each of which would be a part of its future.
        Ok(Box::pin(announced.make(sent, self.settled(change, &witness))).await?.flatten())
    }

    /// Sends a change and waits for its task, if it makes one.
    async fn send(&self, change: &Change) -> Result<Option<String>, Failure> {
        let text = self.door.call(&change.request).await?.text()?;
        if !change.request.asynchronous {
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        let Some(task) = Ref::of(&text) else { return Err(Failure::senseless("a task without a reference")) };
        self.follow(&task, &change.detail).await
    }

    /// Waits for a task and removes it.
    async fn follow(&self, task: &Ref, text: &str) -> Result<Option<String>, Failure> {
        self.door.follow(task);
        let stop = |percent| {
            self.recorder.progress(text, percent);
            false
        };
        let ended = task::wait(self.door, task, &Patience { limit: None, stop: &stop }).await;
        self.door.unfollow(task);
        match ended {
            Ok(End::Success(made)) => {
                task::destroy(self.door, task).await;
                Ok(made)
            }
            Ok(End::Failed(fault)) => {
                task::destroy(self.door, task).await;
                Err(Failure::Fault(fault))
            }
            Ok(End::Runs) => Err(Failure::Lost("its task takes too long".to_owned(), None)),
            // The task was accepted: whatever keeps us from seeing its end leaves its outcome open.
            Err(failure @ Failure::Lost(..)) => Err(failure),
            Err(failure) => Err(Failure::Lost(format!("its task cannot be followed: {failure}"), None)),
        }
    }

    /// After a lost answer: waits for tasks that may be its, then looks whether the change is in place.
    async fn settled<W, F>(&self, change: &Change, witness: &W) -> Result<bool, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let mut looks = LOOKS.iter();
        loop {
            self.wait_for_its_tasks(&change.request).await;
            if let Ok(true) = witness().await {
                return Ok(true);
            }
            self.check_interrupted()?;
            match looks.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Ok(false),
            }
        }
    }

    /// Waits for tasks that may be those of a call whose answer was lost. What is done to a VM stands in its record; a
    /// clone, or what is done to a disk, can only be told by the message.
    async fn wait_for_its_tasks(&self, request: &Request) {
        match request.method {
            _ if !request.asynchronous => {}
            "VM.clone" | "VM.copy" => self.wait_for_strays(&[request.method]).await,
            method if !method.starts_with("VM.") => self.wait_for_strays(&[method]).await,
            _ => {
                let tasks = self.look().await.ok().flatten().map(|machine| machine.vm.operations);
                for task in tasks.unwrap_or_default().keys().filter_map(|task| Ref::of(task)) {
                    self.see_out(&task).await;
                }
            }
        }
    }

    /// Waits until no task for these messages runs that nobody here waits for: one of them may be ours.
    pub(super) async fn wait_for_strays(&self, methods: &[&str]) {
        for method in methods {
            for stray in task::strays(self.door, method).await.unwrap_or_default() {
                self.see_out(&stray).await;
            }
        }
    }

    /// Waits for a task that may be ours, or somebody else's, who still wants to read it: it is not removed. Nor is it
    /// kept from others here who wait for one of theirs. Its end does not matter, only that it is over.
    async fn see_out(&self, task: &Ref) {
        let stop = |percent| {
            self.recorder.progress("wait for a task that may be ours", percent);
            false
        };
        let _ = task::wait(self.door, task, &Patience { limit: Some(STRAY_LIMIT), stop: &stop }).await;
    }

    pub(super) fn check_interrupted(&self) -> Result<(), StepError> {
        match self.recorder.interrupted() {
            Some(halt) => Err(halt.into()),
            None => Ok(()),
        }
    }

    fn unanswered(&self, call: &'static str) -> impl FnOnce(Failure) -> Unanswered + '_ {
        move |failure| match failure {
            Failure::Lost(why, source) => Unanswered::Lost(why, source),
            refused => Unanswered::Refused(refused.into_error(self.endpoint, call, Some(&self.step.key))),
        }
    }

    pub(super) fn failed(&self, operation: &'static str) -> impl FnOnce(Failure) -> StepError + '_ {
        move |failure| failure.into_error(self.endpoint, operation, Some(&self.step.key)).into()
    }

    pub(super) fn error(&self, operation: &str, kind: ErrorKind, message: impl Into<String>) -> StepError {
        Failure::because(kind, message).into_error(self.endpoint, operation, Some(&self.step.key)).into()
    }
}
