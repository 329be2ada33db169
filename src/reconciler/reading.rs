//! Reads the source in a task of its own, so that a file system which hangs holds up the reading and nothing else; and takes
//! in what was read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Reconciler;
use crate::events::chain;
use crate::gate::Who;
use crate::plan::SourceTrust;
use crate::session::{Reread, Session, SessionError, Wanted};
use crate::status::Status;

/// How long a plan waits for the source to be read. A folder of 10,000 manifests takes a second from a cold disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// A reading this young need not be repeated for the next plan.
const YOUNG: Duration = Duration::from_secs(1);

/// From a hint to the reading: an editor truncates a file, writes it, closes it, renames it, all in a moment.
const TOGETHER: Duration = Duration::from_millis(20);

/// After a reading hints ask for no other one for this many times as long: reading takes a third of the time at most. What
/// is half written is not planned with however soon it is read; that it stands for a while is for `settle.rs` to see.
const REST: u32 = 2;

/// The reading under way, and when the last one ended.
#[derive(Default)]
pub(super) struct Reading {
    task: Option<JoinHandle<Result<Wanted, SessionError>>>,
    began: Option<Instant>,
    ended: Option<Instant>,
    /// How long the files took to be read the last time.
    took: Duration,
}

impl Reading {
    /// Begins to read, unless that is under way.
    pub(super) fn begin(&mut self, session: &Arc<Session>, reread: Reread, now: Instant) {
        if self.task.is_none() {
            let session = Arc::clone(session);
            self.task = Some(tokio::spawn(async move { session.read_configured(reread).await }));
            self.began = Some(now);
        }
    }

    /// When to read after a hint: files that change all the time must not be read all the time, but one of many within a
    /// moment.
    pub(super) fn after_hint(&self, now: Instant) -> Instant {
        let soon = now + TOGETHER;
        self.ended.map_or(soon, |ended| (ended + self.took * REST).max(soon))
    }

    /// Was the source read just now?
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < YOUNG)
    }

    /// Returns what was read; never, when nothing is being read. Cancelled, it goes on.
    pub(super) async fn done(&mut self) -> Result<Wanted, SessionError> {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let read = task.await;
        self.task = None;
        self.ended = Some(crate::clock::instant());
        if let Ok(Ok(wanted)) = &read {
            self.took = wanted.read.to.saturating_duration_since(wanted.read.from);
        }
        read.unwrap_or(Err(SessionError::Internal("reading the source")))
    }

    /// The same, for as long as a plan waits; `None`: it takes too long. One that is late already is not waited for again.
    pub(super) async fn done_soon(&mut self) -> Option<Result<Wanted, SessionError>> {
        let until = self.began? + PATIENCE;
        tokio::time::timeout_at(until, self.done()).await.ok()
    }

    /// Forgets what is being read: another source counts now.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

impl Reconciler {
    /// Reads the source once more, since hints get lost and a plan may remove. One that cannot be read in time is not
    /// trusted with that, whatever it said before.
    pub(super) async fn read_source_now(&mut self) {
        let now = crate::clock::instant();
        if self.reading.is_young(now) {
            return;
        }
        self.begin_reading(now);
        match self.reading.done_soon().await {
            Some(read) => {
                self.take_reading(read).await;
                self.plan_wanted = false;
            }
            None if self.in_force.trust == SourceTrust::Settled => {
                self.in_force.trust = SourceTrust::Unsettled;
                self.tell_of_source(0, Some("reading it takes too long".to_owned()));
            }
            None => {}
        }
    }

    /// Begins to read the source.
    pub(super) fn begin_reading(&mut self, now: Instant) {
        self.reading.begin(&self.session, self.settling.reread(now), now);
        self.read_at = now + self.interval();
    }

    /// Takes in what the source says: what is in force now, and how far it may be trusted.
    pub(super) async fn take_reading(&mut self, read: Result<Wanted, SessionError>) {
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(error) => return self.stall(&chain(&error)),
        };
        if wanted.desired.is_none() && self.settling.lacks_good() && wanted.in_progress.is_none() {
            match self.session.last_good().await {
                Ok(Some(good)) => self.settling.fall_back_on(good),
                Ok(None) => {}
                Err(error) => self.stall(&chain(&error)),
            }
        }
        let in_force = if wanted.in_progress.is_some() {
            self.settling.take_nothing()
        } else {
            self.settling.take(wanted.desired.clone(), wanted.read)
        };
        if let (true, Some(desired)) = (in_force.is_new, &in_force.desired) {
            if let Err(error) = self.session.keep_good(desired, &wanted.texts, Who::Serve).await {
                self.stall(&chain(&error));
            }
            tracing::info!(revision = %desired.revision, "in force");
            self.fleet.new_revision(self.moment());
            self.disturbed.clear();
        }
        self.plan_wanted |= in_force.is_new || in_force.trust != self.in_force.trust;
        let again = in_force.read_again_in.map_or(self.interval(), |again| again.min(self.interval()));
        self.read_at = wanted.read.from + again;
        // Not before: a file system that hangs would hang the loop too, and this one has just been read.
        if self.watch.ensure() {
            self.read_at = crate::clock::instant();
        }
        let problems = if in_force.trust == SourceTrust::Broken { wanted.diagnostics.len() } else { 0 };
        self.telling.tell_problems(problems);
        self.in_force = in_force;
        self.tell_of_source(problems, wanted.in_progress);
    }

    /// Says in status and log how the source is.
    fn tell_of_source(&self, problems: usize, waits: Option<String>) {
        let told = |status: &Status| status.source_problems == problems && status.source_waits == waits;
        if told(&self.status.borrow()) {
            return;
        }
        if let Some(why) = waits.as_ref().filter(|_| self.status.borrow().source_waits != waits) {
            tracing::info!(why, "the source is not taken up yet");
        }
        self.status.send_modify(|status| {
            status.source_problems = problems;
            status.source_waits = waits;
        });
    }
}
