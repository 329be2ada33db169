//! Rule 3: only the configured source, whole and settled, may take a VM away or forget one.

use super::No;
use crate::plan::{BlockCode, SourceTrust};

/// May this source lead to a destroy, a release, or the deletion of a disk's file?
pub fn may_destroy(source: SourceTrust) -> Option<No> {
    let why = match source {
        SourceTrust::Settled => return None,
        SourceTrust::Elsewhere => "manifests given by -f never take anything away; only the configured source does",
        SourceTrust::InProgress => {
            "Git is at work in the source (a rebase, a merge, its index.lock); nothing is taken away until it has ended"
        }
        SourceTrust::Unsettled => "the source changed moments ago; nothing is taken away until it has settled",
        SourceTrust::Broken => "the source is empty, missing or has an error; nothing is taken away until it is whole",
    };
    Some(No::flat(BlockCode::SourceNotTrusted, why))
}
