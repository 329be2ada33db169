//! The one place to add a hypervisor: the contract every provider keeps, and the only match on the endpoint type.
//!
//! A provider speaks one endpoint's protocol and our words. It never judges: it reports what is there, and does what a
//! step says, no more. Each line of the contract below that says MUST has a case in the conformance suite.
//!
//! - `collect` MUST list every VM it can see, with a readable configuration or the reason why not; it MUST say
//!   `incomplete` when a page, a host or a part is missing, and MUST NOT make calls per VM.
//! - `collect` MUST read, by id, each VM in `known` that the listing lacks.
//! - `find` MUST tell not-found from no-permission: only the first is [`Found::Nothing`].
//! - `execute` MUST ask the recorder before each mutating call and tell it the outcome after.
//! - `execute` MUST find what an earlier, interrupted run of the same step did, and do only the rest.
//! - `settle` MUST return only when nothing that an earlier run began on the step's VM, or to make it, is still at work.
//! - After an ambiguous outcome (time-out, lost reply, vanished task) `execute` MUST look for the task and for the
//!   identity; if it stays unclear it answers [`ErrorKind::Ambiguous`] and does nothing more.
//! - Nothing foreign on a VM (annotation, tags, other extra configuration) MUST change.
//! - No secret MUST appear in an error, a log or a [`Call`].

mod announced;
mod cloud_init;
pub mod hyperv;
mod password;
pub mod vsphere;
mod wrap;
pub mod xenserver;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::inventory::{Capabilities, Known, Observed};
use crate::model::{EndpointName, HypervisorType, ObservedVm, OwnId, Secret, VmKey};
use crate::plan::Step;
use crate::settings::EndpointSettings;

/// The provider for an endpoint: the only match on its type. Makes no connection yet; the first call does.
pub fn connect(settings: &EndpointSettings) -> Result<Arc<dyn Provider>, ProviderError> {
    let provider: Arc<dyn Provider> = match settings.hypervisor {
        HypervisorType::Vsphere => Arc::new(vsphere::Vsphere::new(settings)?),
        HypervisorType::Xenserver => Arc::new(xenserver::Xenserver::new(settings)?),
        HypervisorType::Hyperv => Arc::new(hyperv::Hyperv::new(settings)?),
    };
    Ok(Arc::new(wrap::Wrapped::new(provider, settings)))
}

/// One endpoint of one hypervisor.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What can be done there, asked of the server.
    async fn capabilities(&self) -> Result<Capabilities, ProviderError>;

    /// Everything there. `known` are VMs seen before: those not listed are read one by one.
    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError>;

    /// One VM, read in full and fresh, never from a cache.
    async fn find(&self, target: &Target) -> Result<Found, ProviderError>;

    /// Waits until nothing is at work any more that an earlier run began for this step's VM and did not see the end of: a
    /// clone may take an hour, and the program that asked for it be dead. Asked before the VM is looked at and the step
    /// executed, where the journal has no outcome of the last call. Changes nothing. By itself it waits for nothing,
    /// which is right only where a call's work ends with its connection.
    async fn settle(&self, _step: &Step) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Does one step. Returns when it is done or has failed; what was done is seen by the next read.
    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError>;

    /// Checks what the account may do, for `check`: rights missing, by name, and what they are needed for.
    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError>;

    /// Logs out. Called once; errors are not worth telling.
    async fn close(&self);
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By the hypervisor's lasting id.
    OwnId(OwnId),
    /// By our identity: as own id where that is ours to choose, else by birth name and mark.
    Identity(Uuid),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Exactly one VM.
    Vm(Box<ObservedVm>),
    /// The server says there is none.
    Nothing,
    /// More than one.
    Several(Vec<ObservedVm>),
}

/// One step to be done, with what must not stand in a plan.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The step.
    pub step: &'a Step,
    /// Cloud-init user data, read just before.
    pub user_data: Option<&'a Secret>,
}

/// The executor's side of a step: told before and after each mutating call.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Called just before a mutating call; records the intent durably. `Err`: do not send it.
    async fn before(&self, call: &Call) -> Result<IntentId, Halt>;

    /// Called by a create as soon as it knows its VM by its own id, before its next call: from then on an answer that lacks
    /// the VM makes it unknown, never absent. `handle` is what [`ObservedVm::handle`] will be.
    async fn made(&self, own_id: &OwnId, handle: &str) -> Result<(), Halt>;

    /// Called once the outcome is known. An unclear outcome is not told: the intent stays open.
    async fn after(&self, intent: IntentId, outcome: &Outcome) -> Result<(), Halt>;

    /// Something to show while waiting: a task's percentage, a guest that shuts down.
    fn progress(&self, text: &str, percent: Option<u8>);

    /// Why the step should stop between two operations, if it should (a pause, a shutdown of the program).
    fn interrupted(&self) -> Option<Halt>;
}

/// Names an intent in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId(pub i64);

/// One mutating call, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The server's name of it, such as `ReconfigVM_Task`.
    pub name: &'static str,
    /// Which operation of the step it belongs to, from 0.
    pub operation: usize,
    /// Own id or identity of the VM.
    pub target: String,
    /// Does it take something away for good (a VM, a disk's file)? The preconditions are then read again.
    pub destroys: bool,
    /// What it does, for people; no secrets.
    pub detail: String,
}

/// How a mutating call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The server refused it, in its own words; nothing was changed.
    Refused(String),
}

/// Why nothing more may be sent: a normal outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// A person paused changes.
    #[error("paused: {0}")]
    Paused(String),
    /// The program is ending.
    #[error("stopping")]
    Stopping,
    /// A precondition no longer holds.
    #[error("changed since the plan: {0}")]
    Changed(String),
    /// The journal cannot be written: nothing is done that is not recorded.
    #[error("the journal cannot be written: {0}")]
    Journal(String),
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The endpoint or the transport failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// We stopped it.
    #[error(transparent)]
    Halted(#[from] Halt),
}

/// A right the account lacks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MissingRight {
    /// The hypervisor's name of it, such as `VirtualMachine.Config.AddNewDisk`.
    pub right: String,
    /// On what object.
    pub on: String,
    /// What fails without it.
    pub needed_for: String,
}

/// A failure of an endpoint: what was tried, on what, and what to do next. The message leaves out its source; the chain
/// is printed once, at the edge.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {operation}{}: {message}", vm.as_ref().map(|vm| format!(" for {vm}")).unwrap_or_default())]
pub struct ProviderError {
    /// What kind.
    pub kind: ErrorKind,
    /// Where.
    pub endpoint: EndpointName,
    /// The call, such as `CloneVM_Task`.
    pub operation: String,
    /// For which VM, when for one.
    pub vm: Option<VmKey>,
    /// The server's own words, or ours about the transport.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Sorted by what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// The account may not, or the password is wrong.
    Denied,
    /// The object's state does not allow it now.
    Conflict,
    /// The endpoint cannot do it.
    Unsupported,
    /// Too many requests or tasks: later.
    RateLimited,
    /// Not reached, or the connection broke before anything was sent.
    Unreachable,
    /// The certificate is not the one expected.
    Certificate,
    /// A guest did not do in time what it was asked.
    GuestTimeout,
    /// Sent, and the outcome stays unknown: a person or the next inventory must tell.
    Ambiguous,
    /// An answer that makes no sense.
    Unexpected,
}

/// What a person does about a detached disk that is to be attached again and is not there any more. (The mark goes on
/// naming it, for the day that it comes back; so its name would lead there again.)
pub(crate) const DISK_IS_GONE: &str =
    "bring it back from a backup, or give the disk another name in the manifest to have a new, empty one";

/// What to do after a [`ProviderError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Again, with back-off.
    Retry,
    /// Nothing until something changes: the next cycle looks again.
    Wait,
    /// Tell a person.
    Stop,
}

impl ErrorKind {
    /// What to do next.
    pub const fn next(self) -> Next {
        match self {
            Self::RateLimited | Self::Unreachable => Next::Retry,
            Self::Conflict | Self::NotFound | Self::GuestTimeout | Self::Ambiguous => Next::Wait,
            Self::Denied | Self::Unsupported | Self::Certificate | Self::Unexpected => Next::Stop,
        }
    }
}
