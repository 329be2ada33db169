//! Everything that says no, for all actions, one file per rule (DESIGN section 6).
//!
//! ```text
//! unknown.rs   1 not listed is not gone          creation.rs  2 what a create needs to know
//! source.rs    3 which source may destroy        mark.rs      4 what the mark forbids
//! machine.rs     what the VM's own state forbids limits.rs    5 caps on destroys and disruptions
//! rename.rs    6 perhaps a rename                approval.rs    what a person's digest lets go
//! recheck.rs     still_safe, promise_kept: what apply repeats around each call
//! ```
//!
//! A rule answers with a [`No`]; it never changes a plan itself. What waits for a person carries a digest.

pub mod fingerprint;
pub mod recheck;
pub mod unknown;

pub use fingerprint::fingerprint;
pub use recheck::{promise_kept, still_safe};
