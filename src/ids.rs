//! The only caller of "random". Nothing that a plan depends on comes from here: identities are UUIDv5 of known parts.

use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

thread_local! {
    /// Set on the thread of a simulation, which must come out the same for the same seed.
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on this thread draws from a sequence that the seed determines.
pub fn seed_this_thread(seed: u64) {
    SEEDED.with_borrow_mut(|seeded| *seeded = Some(StdRng::seed_from_u64(seed)));
}

/// Draws from this thread's sequence, or from one that nobody can repeat.
fn draw<T>(draw: impl Fn(&mut StdRng) -> T) -> T {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(generator) => draw(generator),
        None => draw(&mut generator()),
    })
}

/// Seeded by the operating system; were that to fail, by the process id: nothing here guards a secret.
fn generator() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::seed_from_u64(u64::from(std::process::id())))
}

/// Names one run or cycle in logs: eight hex digits.
pub fn run_id() -> String {
    format!("{:08x}", draw(StdRng::random::<u32>))
}

/// Names one message on the wire.
pub fn message_id() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(generator().random()).into_uuid()
}

/// A back-off between half of `base` and all of it, so that many waiters do not come back at once.
pub fn jittered(base: Duration) -> Duration {
    base.mul_f64(draw(|generator| generator.random_range(0.5..=1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_thread_draws_the_same_again() {
        let draws = || {
            seed_this_thread(7);
            (run_id(), jittered(Duration::from_secs(10)))
        };
        assert_eq!(draws(), draws());
    }

    #[test]
    fn jitter_stays_within_half_and_whole() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(10));
            assert!(wait >= Duration::from_secs(5) && wait <= Duration::from_secs(10));
        }
    }
}
