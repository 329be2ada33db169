//! The status file, kept up with the status by a task of its own: at once, then at most once a second.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::session::Session;
use crate::shutdown::Shutdown;
use crate::status::{Conditions, Status, StatusFile};

/// Between two writings: a run of a thousand steps tells of each.
const APART: Duration = Duration::from_secs(1);

/// The task.
pub(super) struct Publishing {
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Publishing {
    /// Begins.
    pub(super) fn begin(status: channel::Receiver<Status>, session: &Arc<Session>) -> Self {
        let (settings, stop) = (session.settings(), Shutdown::new());
        let publisher = Publisher {
            state_dir: settings.state_dir.clone(),
            installation: settings.installation.clone(),
            clock: session.clock().clone(),
            conditions: None,
            failed: false,
        };
        let task = tokio::spawn(publisher.run(status, stop.clone()));
        Self { stop, task }
    }

    /// Writes what stands at the end, and ends; waits no longer than this.
    pub(super) async fn end(self, grace: Duration) {
        self.stop.request();
        if tokio::time::timeout(grace, self.task).await.is_err() {
            tracing::debug!("the status file could not be written in time");
        }
    }
}

struct Publisher {
    state_dir: PathBuf,
    installation: String,
    clock: Clock,
    /// As written last: they say since when.
    conditions: Option<Conditions>,
    failed: bool,
}

impl Publisher {
    async fn run(mut self, mut status: channel::Receiver<Status>, stop: Shutdown) {
        while !stop.requested() {
            let now = status.borrow_and_update().clone();
            self.write(now).await;
            tokio::select! {
                () = tokio::time::sleep(APART) => {}
                () = stop.wait() => break,
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                () = stop.wait() => {}
            }
        }
        let last = status.borrow().clone();
        self.write(last).await;
    }

    async fn write(&mut self, status: Status) {
        let file = StatusFile::of(status, &self.installation, self.conditions.as_ref(), self.clock.now());
        self.conditions = Some(file.conditions.clone());
        let state_dir = self.state_dir.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&state_dir)).await;
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match &error {
            Some(error) if !self.failed => tracing::warn!(error, "the status file cannot be written"),
            None if self.failed => tracing::info!("the status file is written again"),
            _ => {}
        }
        self.failed = error.is_some();
    }
}
