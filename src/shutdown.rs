//! One flag that says "finish what is in flight and end": set by Ctrl-C or SIGTERM, looked at everywhere.
//!
//! ```text
//! running --request()--> stopping     (there is no way back; a second signal ends the process at once)
//! ```

use std::sync::Arc;

use tokio::sync::watch;

/// A cheap handle on the flag; clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    flag: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Not requested yet, and no signal is listened to.
    pub fn new() -> Self {
        Self { flag: Arc::new(watch::Sender::new(false)) }
    }

    /// One that SIGINT and SIGTERM request; a second signal ends the process with 128 plus its number.
    ///
    /// Needs a tokio runtime. Signals that cannot be listened to keep their default effect.
    pub fn on_signals() -> Self {
        let shutdown = Self::new();
        let handle = shutdown.clone();
        tokio::spawn(async move {
            let first = next_signal().await;
            tracing::info!(signal = first, "ending: what is in flight is finished or recorded first");
            handle.request();
            let second = next_signal().await;
            std::process::exit(128 + second);
        });
        shutdown
    }

    /// Asks everything to end.
    pub fn request(&self) {
        self.flag.send_replace(true);
    }

    /// Has it been asked?
    pub fn requested(&self) -> bool {
        *self.flag.borrow()
    }

    /// Returns once it has been asked.
    pub async fn wait(&self) {
        let mut receiver = self.flag.subscribe();
        // The sender lives in `self`, so the wait cannot fail; were it to, nobody could ask any more either.
        if receiver.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for SIGINT or SIGTERM and says which (2 or 15).
async fn next_signal() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_wakes_every_waiter_and_stays() {
        let shutdown = Shutdown::new();
        let waiter = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        assert!(!shutdown.requested());
        shutdown.request();
        waiter.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.requested());
    }
}
