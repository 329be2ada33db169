//! One step: its operations in order, each mutating call announced to the recorder, and lost replies looked into.
//!
//! ```text
//! interrupted? -> before(call) -> send -+-> answer, task ends     -> after(Done)
//!                                       +-> refused               -> after(Refused), error
//!                                       +-> not sent at all       -> after(Refused), error
//!                                       +-> lost -> wait for tasks on the object -> is the change there?
//!                                                     yes -> after(Done)      no -> Ambiguous, the intent stays open
//! ```

use std::future::Future;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::fault::Failure;
use super::find;
use super::machine::{self, Machine};
use super::memory::Memory;
use super::session::Door;
use super::soap::{Answer, Moref, Request};
use super::task::{self, End, Running};
use super::tree::Tree;
use crate::model::{EndpointName, OwnId, Secret};
use crate::plan::{Operation, Step};
use crate::provider::announced::{Announced, Unanswered};
use crate::provider::{Call, ErrorKind, Recorder, StepError};

/// Looks for a change whose answer was lost: at once, and again after these pauses, since the server may only be about
/// to begin.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// One step being done.
pub(super) struct Work<'a> {
    pub door: &'a Door,
    pub endpoint: &'a EndpointName,
    pub memory: &'a tokio::sync::Mutex<Memory>,
    pub step: &'a Step,
    pub user_data: Option<&'a Secret>,
    pub recorder: &'a dyn Recorder,
    /// Which operation is being done, from 0.
    pub operation: usize,
    tree: OnceCell<Tree>,
}

/// A mutating call about to be made.
#[derive(Debug)]
pub(super) struct Change {
    /// What is sent.
    pub request: Request,
    /// On what a task of it would run.
    pub entity: Moref,
    /// Does it take something away for good?
    pub destroys: bool,
    /// For people; no secrets.
    pub detail: String,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        door: &'a Door,
        endpoint: &'a EndpointName,
        memory: &'a tokio::sync::Mutex<Memory>,
        order: &crate::provider::Order<'a>,
        recorder: &'a dyn Recorder,
    ) -> Self {
        let tree = OnceCell::new();
        Self { door, endpoint, memory, step: order.step, user_data: order.user_data, recorder, operation: 0, tree }
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

    /// The VM the step is about.
    pub(super) fn id(&self) -> OwnId {
        self.step.own_id.clone().unwrap_or_else(|| OwnId::new(&self.step.identity.to_string()))
    }

    /// The VM, read fresh; an error when it is not there.
    pub(super) async fn machine(&self) -> Result<Machine, StepError> {
        let id = self.id();
        match self.look(&id).await? {
            Some(machine) => Ok(machine),
            None => Err(self.error("read the VM", ErrorKind::NotFound, format!("no VM has the instance UUID {id}"))),
        }
    }

    /// The VM, read fresh, if it is there.
    pub(super) async fn look(&self, id: &OwnId) -> Result<Option<Machine>, StepError> {
        machine::by_id(self.door, id).await.map_err(self.failed("read the VM"))
    }

    /// Hosts, folders, networks: read once for a step.
    pub(super) async fn tree(&self) -> Result<&Tree, StepError> {
        self.tree.get_or_try_init(|| self.read_tree()).await
    }

    /// The same, read anew.
    pub(super) async fn read_tree(&self) -> Result<Tree, StepError> {
        self.door
            .within(|session| async move { find::surroundings(self.door, &session).await })
            .await
            .map_err(self.failed("read the inventory"))
    }

    /// Makes a change and waits until it is done; gives the object it made, if it made one. `witness` tells whether the
    /// change is in place, for when the answer is lost.
    pub(super) async fn make<W, F>(&self, change: Change, witness: W) -> Result<Option<Moref>, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let name = change.request.method;
        let call = Call {
            name,
            operation: self.operation,
            target: self.id().to_string(),
            destroys: change.destroys,
            detail: change.detail.clone(),
        };
        let act = async { self.send(&change).await.map_err(self.unanswered(name)) };
        let announced = Announced { recorder: self.recorder, endpoint: self.endpoint, vm: &self.step.key, call };
        Ok(announced.make(act, self.settled(&change, &witness)).await?.flatten())
    }

    /// Sends a change and waits for its task, if it makes one.
    async fn send(&self, change: &Change) -> Result<Option<Moref>, Failure> {
        let answer: Answer = self.door.call(&change.request).await?;
        let task = {
            let tree = answer.tree()?;
            task::of(&tree)
        };
        match task {
            None => answer.returned(),
            Some(task) => self.wait_for(&task, &change.detail).await,
        }
    }

    async fn wait_for(&self, task: &Moref, text: &str) -> Result<Option<Moref>, Failure> {
        match task::wait(self.door, task, &|percent| self.recorder.progress(text, percent)).await {
            Ok(End::Success(made)) => Ok(made),
            Ok(End::Failed(fault)) => Err(Failure::Fault(fault)),
            // The task was accepted: whatever keeps us from seeing its end leaves its outcome open.
            Err(failure @ Failure::Lost(..)) => Err(failure),
            Err(failure) => Err(Failure::Lost(format!("its task cannot be followed: {failure}"), None)),
        }
    }

    /// After a lost answer: waits for tasks that run on the object, then looks whether the change is in place.
    async fn settled<W, F>(&self, change: &Change, witness: &W) -> Result<bool, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let mut looks = LOOKS.iter();
        loop {
            let tasks = task::running(self.door).await.unwrap_or_default();
            let perhaps_ours = |found: &&Running| found.entity == change.entity && found.is(change.request.method);
            for found in tasks.iter().filter(perhaps_ours) {
                // Its end does not matter, only that it is over: it may be somebody else's.
                let _ = self.wait_for(&found.task, &change.detail).await;
            }
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
