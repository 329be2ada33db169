//! The executor's side of one step: intent before and outcome after each mutating call, and the last chance to say no.
//!
//! ```text
//! before(call): stop asked? paused? --> destroys? look at the VM again --> intent on disk --> send
//! made(own id): the VM of a create is known from now on
//! after(intent, outcome): outcome on disk
//! ```
//!
//! The call that makes a VM stays open until its VM is known: were it settled first, and we killed in between, nothing
//! would tell that there is one, and a listing without it would lead to a twin.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::ApplyRun;
use super::checks;
use crate::events::{Event, chain};
use crate::journal::Intent;
use crate::model::OwnId;
use crate::plan::safety::Progress;
use crate::plan::{Operation, Step, memory};
use crate::provider::{Call, Halt, IntentId, Outcome, Provider, Recorder};

/// See the module.
pub(super) struct StepRecorder<'a> {
    run: &'a ApplyRun<'a>,
    step: &'a Step,
    provider: &'a dyn Provider,
    /// Calls let through.
    sent: AtomicUsize,
    /// How many operations, from the first on, had a call let through.
    begun: AtomicUsize,
    /// We stopped the guest and owe it a start.
    owes_start: AtomicBool,
    /// The VM of a create is known.
    is_made: AtomicBool,
    /// Of a create whose VM is not known: the call that was done last.
    held: Mutex<Option<IntentId>>,
}

impl<'a> StepRecorder<'a> {
    /// For one attempt at one step.
    pub(super) fn new(run: &'a ApplyRun<'a>, step: &'a Step, provider: &'a dyn Provider) -> Self {
        let (sent, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (owes_start, is_made, held) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::default());
        Self { run, step, provider, sent, begun, owes_start, is_made, held }
    }

    /// Was any mutating call let through? Then another attempt is for the next plan to decide.
    pub(super) fn sent_any(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 0
    }

    /// A guest that we shut down for a change is started again before the program ends: whoever asked it to end did not
    /// ask for an outage. A pause is a person's emergency brake and has no such exception.
    fn stopping(&self) -> bool {
        self.run.shutdown.requested() && !self.owes_start.load(Ordering::Relaxed)
    }

    /// Settles a call that was left open: its VM is known, or it made none.
    async fn settle_held(&self) -> Result<(), Halt> {
        let held = self.held.lock().await.take();
        match held {
            Some(intent) => self.settle(intent, &Outcome::Done).await,
            None => Ok(()),
        }
    }

    async fn settle(&self, intent: IntentId, outcome: &Outcome) -> Result<(), Halt> {
        let settled = self.run.journal.settle(intent, outcome, self.run.clock.now()).await;
        settled.map_err(|error| Halt::Journal(chain(&error)))
    }

    /// Does the step make a VM that nothing remembers yet?
    fn is_making(&self) -> bool {
        !self.is_made.load(Ordering::Relaxed)
            && self.step.operations.iter().any(|operation| matches!(operation, Operation::Create(_)))
    }

    /// Notes that the step has shut its guest down and will start it later.
    fn note_stop(&self, call: &Call) {
        let Some((Operation::Stop(_), rest)) = self.step.operations.get(call.operation..).and_then(<[_]>::split_first)
        else {
            return;
        };
        if rest.iter().any(|operation| matches!(operation, Operation::Start)) {
            self.owes_start.store(true, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Recorder for StepRecorder<'_> {
    async fn before(&self, call: &Call) -> Result<IntentId, Halt> {
        if let Some(halt) = self.interrupted() {
            return Err(halt);
        }
        if call.destroys {
            let found = checks::look(self.provider, self.step).await;
            let found =
                found.map_err(|error| Halt::Changed(format!("it could not be read again: {}", chain(&error))))?;
            let begun = self.begun.load(Ordering::Relaxed) > call.operation;
            let at = Progress { operation: call.operation, begun };
            checks::still_safe(self.run, self.step, at, found).map_err(Halt::Changed)?;
        }
        self.settle_held().await?;
        let intent = Intent { run: &self.run.id, step: self.step, call, at: self.run.clock.now() };
        let id = self.run.journal.intend(&intent).await.map_err(|error| Halt::Journal(chain(&error)))?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.begun.store(call.operation + 1, Ordering::Relaxed);
        let (key, endpoint) = (&self.step.key, &self.step.endpoint);
        tracing::info!(%key, %endpoint, call = call.name, on = call.target, detail = call.detail, "sending");
        self.note_stop(call);
        Ok(id)
    }

    async fn made(&self, own_id: &OwnId, handle: &str) -> Result<(), Halt> {
        let Some(made) = memory::made(self.step, own_id, handle) else { return Ok(()) };
        let kept = self.run.journal.witness(&self.step.endpoint, &made).await;
        kept.map_err(|error| Halt::Journal(chain(&error)))?;
        self.is_made.store(true, Ordering::Relaxed);
        self.settle_held().await
    }

    async fn after(&self, intent: IntentId, outcome: &Outcome) -> Result<(), Halt> {
        if matches!(outcome, Outcome::Done) && self.is_making() {
            *self.held.lock().await = Some(intent);
            return Ok(());
        }
        self.settle(intent, outcome).await
    }

    fn progress(&self, text: &str, percent: Option<u8>) {
        let event = Event::StepProgress { key: self.step.key.clone(), text: text.to_owned(), percent };
        self.run.events.send(event);
    }

    fn interrupted(&self) -> Option<Halt> {
        if self.stopping() {
            return Some(Halt::Stopping);
        }
        crate::pause::paused(self.run.journal.state_dir()).map(Halt::Paused)
    }
}
