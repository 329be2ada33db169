//! `serve`: the loop. Looks, plans, and applies where the settings say `manage: enforce`.

use tokio::sync::watch;

use crate::clock::Clock;
use crate::session::SessionError;
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::status::Status;

/// A running loop.
pub struct Reconciler {
    status: watch::Sender<Status>,
}

impl Reconciler {
    /// Takes serve.lock (a second `serve` fails at once) and opens a session.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, SessionError> {
        let _ = (settings, clock);
        todo!()
    }

    /// What it sees and does, as it goes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until asked to end; what is in flight is finished or recorded first.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), SessionError> {
        let _ = shutdown;
        todo!()
    }
}
