//! Reads the source in a task of its own, so that a file system which hangs holds up the reading and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::session::{Session, SessionError, Wanted};

/// How long a plan waits for the source to be read. A folder of 10,000 manifests takes a second from a cold disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// A reading this young need not be repeated for the next plan.
const YOUNG: Duration = Duration::from_secs(1);

/// The reading under way, and when the last one ended.
#[derive(Default)]
pub(super) struct Reading {
    task: Option<JoinHandle<Result<Wanted, SessionError>>>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Reading {
    /// Begins to read, unless that is under way.
    pub(super) fn begin(&mut self, session: &Arc<Session>, now: Instant) {
        if self.task.is_none() {
            let session = Arc::clone(session);
            self.task = Some(tokio::spawn(async move { session.read_source(None).await }));
            self.began = Some(now);
        }
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
