//! Rule 6: a key that vanished and a new one like it on one tier, seen by one plan, are perhaps one VM with a new name.

use std::collections::BTreeSet;

use crate::mark::Mark;
use crate::model::{TierName, VmSpec};

/// What two VMs must share to look like one: tier, image and disk names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness {
    tier: TierName,
    image: Option<String>,
    disks: BTreeSet<String>,
}

impl Likeness {
    /// Of a VM that is to go. Disks that were detached before do not count.
    pub fn of_mark(mark: &Mark) -> Self {
        let attached = mark.disks.iter().filter(|(_, disk)| disk.slot.is_some() || disk.file.is_none());
        Self {
            tier: mark.tier.clone(),
            image: mark.applied.as_ref().and_then(|applied| applied.image.clone()),
            disks: attached.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Of a VM that is to come.
    pub fn of_spec(spec: &VmSpec) -> Self {
        Self {
            tier: spec.tier.clone(),
            image: spec.image.as_deref().map(str::to_owned),
            disks: spec.disks.iter().map(|disk| disk.name.to_string()).collect(),
        }
    }
}
