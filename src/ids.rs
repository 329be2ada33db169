//! The only caller of "random". Nothing that a plan depends on comes from here: identities are UUIDv5 of known parts.

use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

/// Seeded by the operating system; were that to fail, by the process id: nothing here guards a secret.
fn generator() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::seed_from_u64(u64::from(std::process::id())))
}

/// Names one run or cycle in logs: eight hex digits.
pub fn run_id() -> String {
    format!("{:08x}", generator().random::<u32>())
}

/// Names one message on the wire.
pub fn message_id() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(generator().random()).into_uuid()
}

/// A back-off between half of `base` and all of it, so that many waiters do not come back at once.
pub fn jittered(base: Duration) -> Duration {
    base.mul_f64(generator().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_half_and_whole() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(10));
            assert!(wait >= Duration::from_secs(5) && wait <= Duration::from_secs(10));
        }
    }
}
