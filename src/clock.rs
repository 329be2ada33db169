//! The only caller of "now". A [`Clock`] is handed to whatever needs the time; tests hand over one that stands still.
//!
//! Waiting is tokio's business (`tokio::time`, which tests pause); this is the wall clock that goes into plans, the
//! journal and inventories, always UTC and cut to whole seconds, so that two runs of one second print the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// One that only moves when told to; clones share it.
    Virtual(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// A clock that stands at this time.
    pub fn standing_at(now: Timestamp) -> Self {
        Self::Virtual(Arc::new(Mutex::new(now)))
    }

    /// The time, in whole seconds.
    #[expect(clippy::disallowed_methods, reason = "this is the one caller of now")]
    pub fn now(&self) -> Timestamp {
        let now = match self {
            Self::Real => Timestamp::now(),
            Self::Virtual(shared) => *shared.lock().unwrap_or_else(PoisonError::into_inner),
        };
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// Moves a virtual clock on; a real one does what it does.
    pub fn advance(&self, by: Duration) {
        if let Self::Virtual(shared) = self {
            let mut now = shared.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.saturating_add(by).unwrap_or(*now);
        }
    }
}

/// This moment, for waiting and time-outs only: tokio's monotonic time, which tests pause. It says nothing of the date
/// and never goes into a plan, the journal or an inventory.
pub fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Microseconds of CLOCK_MONOTONIC, as systemd counts them.
pub fn monotonic_usec() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000).saturating_add(now.tv_nsec.unsigned_abs() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_when_told_and_clones_share_it() {
        let clock = Clock::standing_at(Timestamp::from_second(1_000).unwrap());
        let other = clock.clone();
        assert_eq!(clock.now(), other.now());
        other.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_second(1_005).unwrap());
    }
}
