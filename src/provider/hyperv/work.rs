//! One step: its operations in order, each mutating call announced to the recorder, and lost replies looked into.
//!
//! ```text
//! interrupted? -> before(call) -> send -+-> answer, job ends      -> after(Done)
//!                                       +-> refused               -> after(Refused), error
//!                                       +-> not sent at all       -> after(Refused), error
//!                                       +-> lost -> wait for jobs of the host -> is the change there?
//!                                                     yes -> after(Done)      no -> Ambiguous, the intent stays open
//! ```
//!
//! Where a VM is is asked anew before each change. One that moved between the asking and the call is not there any
//! more: the operation is then begun once more where the VM is now, and finds what it has done already.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cim::{Instance, Namespace, Reference};
use super::client::Invoke;
use super::fault::{Failure, Fault};
use super::host::Host;
use super::hosts::{self, Hosts, Live};
use super::job;
use super::notes;
use super::parts::Subset;
use super::wsman::Output;
use crate::mark::{self, Mark};
use crate::model::{EndpointName, OwnId, Secret};
use crate::plan::{Operation, Step};
use crate::provider::announced::{Announced, Unanswered};
use crate::provider::{Call, ErrorKind, Order, Recorder, StepError};

/// Looks for a change whose answer was lost: at once, and again after these pauses, since the host may only be about to
/// begin.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// One step being done.
pub(super) struct Work<'a> {
    pub hosts: &'a Hosts,
    pub endpoint: &'a EndpointName,
    pub step: &'a Step,
    pub user_data: Option<&'a Secret>,
    pub recorder: &'a dyn Recorder,
    /// Which operation is being done, from 0.
    pub operation: usize,
    /// The VM's GUID, once its identity has led to it.
    guid: OnceLock<String>,
}

/// A mutating call about to be made.
#[derive(Debug)]
pub(super) struct Change {
    pub host: Arc<Host>,
    pub invoke: Invoke,
    /// Does it take something away for good?
    pub destroys: bool,
    /// For people; no secrets.
    pub detail: String,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        hosts: &'a Hosts,
        endpoint: &'a EndpointName,
        order: &Order<'a>,
        recorder: &'a dyn Recorder,
    ) -> Self {
        Self {
            hosts,
            endpoint,
            step: order.step,
            user_data: order.user_data,
            recorder,
            operation: 0,
            guid: OnceLock::new(),
        }
    }

    /// All operations, in order.
    pub(super) async fn run(mut self) -> Result<(), StepError> {
        let step = self.step;
        for (index, operation) in step.operations.iter().enumerate() {
            self.operation = index;
            self.check_interrupted()?;
            let before = self.owner().await;
            if let Err(error) = self.perform(operation).await {
                let moved = before.is_some() && is_refusal(&error) && self.owner().await != before;
                if !moved {
                    return Err(error);
                }
                tracing::info!(endpoint = %self.endpoint, vm = %step.key, "it has moved to another node; once more there");
                self.perform(operation).await?;
            }
        }
        Ok(())
    }

    // Boxed here and below: the futures of a step nest some twenty deep, which a test's stack would not bear unboxed.
    async fn perform(&self, operation: &Operation) -> Result<(), StepError> {
        match operation {
            Operation::Create(order) => Box::pin(self.create(order)).await,
            Operation::Reconfigure { changes, mark } => Box::pin(self.reconfigure(changes, mark)).await,
            Operation::Stop(shutdown) => Box::pin(self.stop(*shutdown)).await,
            Operation::Start => Box::pin(self.start()).await,
            Operation::Rename(name) => Box::pin(self.rename(name)).await,
            Operation::Unmark => Box::pin(self.unmark()).await,
            Operation::Destroy { disks } => Box::pin(self.destroy(disks)).await,
        }
    }

    /// The VM's GUID, as far as it is known.
    fn guid(&self) -> Option<&str> {
        let told = self.step.own_id.as_ref().map(OwnId::as_str);
        told.or_else(|| self.guid.get().map(String::as_str))
    }

    /// The node that has the VM, where a cluster says so.
    async fn owner(&self) -> Option<String> {
        self.hosts.role(self.guid()?).await.ok().flatten().map(|role| role.owner)
    }

    /// The VM, read fresh, if it is there. Before a create has made it, its identity leads to it.
    pub(super) async fn look(&self) -> Result<Option<Live>, StepError> {
        let failed = self.failed("read the VM");
        if let Some(guid) = self.guid() {
            return Box::pin(self.hosts.look(guid)).await.map_err(failed);
        }
        let mut found = Box::pin(super::find::by_identity(self.hosts, self.step.identity)).await.map_err(failed)?;
        match (found.pop(), found.len()) {
            (live, 0) => {
                if let Some(live) = &live {
                    self.guid.get_or_init(|| live.whole.system.guid.clone());
                }
                Ok(live)
            }
            (_, more) => {
                let why = format!("{} VMs have the identity {}; nothing is done to any", more + 1, self.step.identity);
                Err(self.error("read the VM", ErrorKind::Conflict, why))
            }
        }
    }

    /// The VM, read fresh; an error when it is not there.
    pub(super) async fn live(&self) -> Result<Live, StepError> {
        let found = self.look().await?;
        found.ok_or_else(|| self.error("read the VM", ErrorKind::NotFound, "there is no such VM on any host"))
    }

    /// The VM after a change of one sort of its settings, which alone are read again.
    pub(super) async fn again(&self, live: &Live, subset: Subset) -> Result<Live, StepError> {
        match Box::pin(hosts::refresh(live, subset)).await.map_err(self.failed("read the VM"))? {
            Some(live) => Ok(live),
            None => self.live().await,
        }
    }

    /// A service of a host.
    pub(super) async fn service(&self, host: &Host, class: &'static str) -> Result<Reference, StepError> {
        host.client.service(class).await.map_err(self.failed("find the service"))
    }

    fn target(&self) -> String {
        self.step.own_id.as_ref().map_or_else(|| self.step.identity.to_string(), ToString::to_string)
    }

    /// Makes a change and waits until it is done; gives what the method gave, unless its answer was lost. `witness`
    /// tells whether the change is in place.
    pub(super) async fn make<W, F>(&self, change: Change, witness: W) -> Result<Option<Output>, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let name = change.invoke.method;
        let call = Call {
            name,
            operation: self.operation,
            target: self.target(),
            destroys: change.destroys,
            detail: change.detail.clone(),
        };
        let act = async { self.send(&change).await.map_err(self.unanswered(name)) };
        let announced = Announced { recorder: self.recorder, endpoint: self.endpoint, vm: &self.step.key, call };
        Box::pin(announced.make(act, self.settled(&change, &witness))).await
    }

    /// Calls a method and waits for its job, if it starts one.
    async fn send(&self, change: &Change) -> Result<Output, Failure> {
        let client = &change.host.client;
        let output = client.invoke(&change.invoke).await?;
        match output.value {
            0 => Ok(output),
            4096 => {
                let Some(job) = &output.job else {
                    return Err(Failure::lost("it goes on as a job that is not named"));
                };
                job::wait(client, job, &|percent| self.recorder.progress(&change.detail, percent)).await?;
                Ok(output)
            }
            value if change.invoke.method == "Delete" => Err(Failure::Fault(Fault::file_returned(value))),
            value => Err(Failure::Fault(Fault::returned(value))),
        }
    }

    /// After a lost answer: waits for jobs of that kind that the host has, then looks whether the change is in place.
    async fn settled<W, F>(&self, change: &Change, witness: &W) -> Result<bool, StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let mut looks = LOOKS.iter();
        loop {
            for job in running(change).await.unwrap_or_default() {
                // Its end does not matter, only that it is over: it may be somebody else's.
                let told = |percent| self.recorder.progress(&change.detail, percent);
                let _ = job::wait(&change.host.client, &job, &told).await;
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

/// Classes of jobs: those of disks are no Msvm_ConcreteJob.
const JOBS: [&str; 2] = ["Msvm_ConcreteJob", "Msvm_StorageJob"];

/// Jobs that the host has not finished, of the kind that this change would make.
async fn running(change: &Change) -> Result<Vec<Reference>, Failure> {
    let on_disks = change.invoke.target.uri.ends_with(super::vhd::IMAGES);
    unfinished(&change.host, JOBS[usize::from(on_disks)]).await
}

async fn unfinished(host: &Host, class: &'static str) -> Result<Vec<Reference>, Failure> {
    let query = format!("SELECT InstanceID FROM {class} WHERE JobState < 7");
    let job = |instance: &Instance<'_>| Some(Reference::setting(class, instance.text("InstanceID")?));
    host.client.enumerate(Namespace::Virtualization, &query, job).await
}

/// Waits for every job of every host that is not finished: which of them an earlier run of ours began is not told.
/// Their ends do not matter, only that they are over.
pub(super) async fn settle(hosts: &Hosts) -> Result<(), Failure> {
    for host in &hosts.list {
        for class in JOBS {
            for job in unfinished(host, class).await? {
                let _ = job::wait(&host.client, &job, &|_| {}).await;
            }
        }
    }
    Ok(())
}

/// Was nothing done because the host would not, or could not find it?
fn is_refusal(error: &StepError) -> bool {
    matches!(error, StepError::Provider(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict))
}

impl Live {
    /// The mark as it stands on the VM, when it can be read.
    pub(super) fn mark(&self) -> Option<Mark> {
        mark::parse(notes::mark(&self.whole.machine.settings.notes)?).ok()
    }

    /// Does exactly this mark stand on it?
    pub(super) fn bears(&self, mark: &Mark) -> bool {
        notes::mark(&self.whole.machine.settings.notes) == Some(mark::write(mark).as_str())
    }

    /// Does this mark stand on it, or one that is newer? (A mark is written twice in one generation when work begins
    /// and when it is done; `pending` tells them apart.)
    pub(super) fn has_recorded(&self, mark: &Mark) -> bool {
        self.mark().is_some_and(|found| {
            let same = found.generation == mark.generation && found.pending == mark.pending;
            found.identity == mark.identity && (same || found.generation > mark.generation)
        })
    }
}
