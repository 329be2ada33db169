//! The lab's time: real (moves by itself) or virtual (moves only when told, or when a call would wait for it).
//!
//! Every time a lab shows, and every due time in it, comes from here, so that a test with a virtual clock sees the same
//! bytes on each run. The start is a fixed instant for the same reason. Virtual time stands still while requests are
//! answered; a call that has nothing to do but wait for the next due event makes it jump there.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

/// 2026-01-05T08:00:00Z, a Monday: when every lab starts.
const START_MS: i64 = 1_767_600_000_000;

/// How lab time moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// As wall time does.
    #[default]
    Real,
    /// Only by [`LabClock::advance`] and by jumps to the next due event when a call waits for one.
    Virtual,
}

/// The clock of one lab; clones share the time.
#[derive(Debug, Clone)]
pub struct LabClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mode: ClockMode,
    origin: tokio::time::Instant,
    /// Milliseconds added by `advance` and jumps.
    offset: AtomicI64,
    moved: watch::Sender<i64>,
    /// Jumps are switched off while a test wants to hold tasks in flight.
    held: RwLock<bool>,
}

impl LabClock {
    /// A clock that stands at the start.
    pub fn new(mode: ClockMode) -> Self {
        Self(Arc::new(Inner {
            mode,
            origin: tokio::time::Instant::now(),
            offset: AtomicI64::new(0),
            moved: watch::Sender::new(0),
            held: RwLock::new(false),
        }))
    }

    /// How it moves.
    pub fn mode(&self) -> ClockMode {
        self.0.mode
    }

    /// Lab time in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        let passed = match self.0.mode {
            ClockMode::Real => i64::try_from(self.0.origin.elapsed().as_millis()).unwrap_or(i64::MAX / 4),
            ClockMode::Virtual => 0,
        };
        START_MS + passed + self.0.offset.load(Ordering::SeqCst)
    }

    /// Lab time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or_default()
    }

    /// Moves the time on; what is due by then happens at the next look at the world, and waiting calls look at once.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 8);
        self.0.offset.fetch_add(by, Ordering::SeqCst);
        self.0.moved.send_modify(|n| *n += 1);
    }

    /// Holds virtual time still even when calls wait for it (so that a test can look at a task in flight), or lets go.
    pub fn hold(&self, held: bool) {
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        self.0.moved.send_modify(|n| *n += 1);
    }

    /// In virtual time that is not held: goes on to a time at once.
    pub(in crate::lab) fn jump(&self, due: i64) {
        let held = *self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        let left = due.saturating_sub(self.now_ms());
        if self.0.mode == ClockMode::Virtual && !held && left > 0 {
            self.advance(Duration::from_millis(left.unsigned_abs()));
        }
    }

    /// Waits until `due`, or jumps there; returns early when the time was moved by hand.
    pub(in crate::lab) async fn wait_until(&self, due: i64) {
        let mut moved = self.0.moved.subscribe();
        let left = due.saturating_sub(self.now_ms());
        if left <= 0 {
            return;
        }
        let held = *self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        if self.0.mode == ClockMode::Virtual {
            if held {
                let _ = moved.changed().await;
            } else {
                self.advance(Duration::from_millis(left.unsigned_abs()));
            }
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left.unsigned_abs())) => {}
            _ = moved.changed() => {}
        }
    }
}
