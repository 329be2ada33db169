//! Everything that says no, for all actions, one file per rule (DESIGN section 6).
//!
//! ```text
//! unknown.rs  1 not listed is not gone            creation.rs  2 what a create needs to know
//! source.rs   3 which source may destroy          mark.rs      4 what the mark forbids
//! machine.rs    what the VM's own state forbids   disks.rs       which disks may go with a VM
//! limits.rs   5 caps on destroys, disruptions     rename.rs    6 perhaps a rename
//! approval.rs   what a person's digest lets go    recheck.rs   7 still_safe, promise_kept: around each call
//! ```
//!
//! A rule answers with a [`No`]; it never changes a plan itself.

pub mod approval;
pub mod creation;
pub mod disks;
pub mod fingerprint;
pub mod limits;
pub mod machine;
pub mod mark;
pub mod recheck;
pub mod rename;
pub mod source;
#[cfg(test)]
mod tests;
pub mod unknown;

pub use fingerprint::fingerprint;
pub use recheck::{Progress, promise_kept, still_safe};

use super::BlockCode;
use crate::model::Digest;

/// A rule's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No {
    /// Which rule.
    pub code: BlockCode,
    /// For a person.
    pub why: String,
    /// What a person may do about it.
    pub way_out: WayOut,
}

/// What a person may do about a no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayOut {
    /// Nothing but change what it rests on.
    None,
    /// Approve this very step.
    ApproveStep,
    /// Approve something that the step rests on, such as an endpoint's loss.
    ApproveFact(Digest),
}

impl No {
    /// A no that no approval turns.
    pub fn flat(code: BlockCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), way_out: WayOut::None }
    }

    /// A no that waits for a person's word on this very step.
    pub fn until_approved(code: BlockCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), way_out: WayOut::ApproveStep }
    }
}

impl From<unknown::Doubt> for No {
    fn from(doubt: unknown::Doubt) -> Self {
        let way_out = doubt.digest.map_or(WayOut::None, WayOut::ApproveFact);
        Self { code: doubt.code, why: doubt.why, way_out }
    }
}
