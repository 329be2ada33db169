//! The mark on a VM: identity, ownership, protection, and what was last applied (DESIGN section 5).
//!
//! There is no state file: what belongs to a VM stands on the VM, as one versioned JSON value. Providers carry the text
//! to and from the hypervisor and never look inside; this module reads, writes and judges it. A mark that cannot be
//! read is not ours to guess about: the VM is then left alone and said so.

mod canon;
mod identity;
mod judge;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    Bytes, Digest, NetworkTarget, OnRemove, OwnId, PowerGoal, Prune, Shutdown, TierName, VmKey, VmName,
};

pub use canon::{Head, Walk};
pub use identity::{identity, of_birth_name};
pub use judge::{Standing, judge};
pub use text::{MAX_BYTES, MarkError, VERSION, parse, write};

/// What stands on a VM of ours. Field order is the JSON's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Format version: 1.
    pub version: u32,
    /// Which installation owns it.
    pub installation: String,
    /// Its key in Git.
    pub key: VmKey,
    /// UUIDv5 of installation, first key and n.
    pub identity: Uuid,
    /// The own id of the VM it was written for; another VM with this mark is a clone. `None` while being created where
    /// the own id is not known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<OwnId>,
    /// Its tier.
    pub tier: TierName,
    /// Grows with each write.
    pub generation: u64,
    /// Work begun and not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// As last applied; a delete is judged by this, not by a file that may be gone.
    pub protection: Protection,
    /// Set while retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retired>,
    /// Disk name -> which disk that is.
    #[serde(default)]
    pub disks: BTreeMap<String, MarkedDisk>,
    /// NIC name -> MAC, lower case with colons; empty until the hypervisor chose it.
    #[serde(default)]
    pub nics: BTreeMap<String, MarkedNic>,
    /// The owned fields as last applied. `None` right after adoption: the next plan brings the differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
}

/// Work begun on a VM and not finished: the next plan finishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pending {
    /// It is being created.
    Create,
    /// We powered it off for an update and owe it a start.
    Restart,
    /// It is being retired: not yet all of stopped, disconnected and renamed.
    Retire,
}

/// What guards a VM, as last applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protection {
    /// Never destroyed while true.
    pub prevent_destroy: bool,
    /// What leaving Git means.
    pub on_remove: OnRemove,
    /// Whether, and on whose word, it is destroyed.
    pub prune: Prune,
    /// Days between retire and delete.
    pub grace_days: u32,
    /// Are disks that leave the manifest deleted?
    pub delete_disks: bool,
    /// How its guest is stopped.
    pub shutdown: Shutdown,
}

/// How a retired VM was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retired {
    /// When.
    pub since: Timestamp,
    /// Its name before.
    pub name: VmName,
    /// Did it run?
    pub running: bool,
    /// MACs of the NICs that were connected.
    pub connected: Vec<String>,
    /// Whether a person approved the retire; that covers the delete.
    #[serde(default)]
    pub approved: bool,
}

/// Which disk a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkedDisk {
    /// Where it is plugged in; `None` once detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Its stable id, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// File of a detached disk, to attach it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its file is on its way to being deleted; written before the disk is taken off, where that takes more than one
    /// call. Whoever comes after a crash deletes a detached disk that says so, and no other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
}

/// Which NIC a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkedNic {
    /// Its MAC, lower case with colons; `None` until the hypervisor chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Where it is plugged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
}

/// The owned fields as last applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// The power that is kept, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerGoal>,
    /// Image name at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Digest of the user data at creation, salted with the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<Digest>,
    /// Disk name -> size.
    pub disks: BTreeMap<String, Bytes>,
    /// NIC name -> network target.
    pub nics: BTreeMap<String, NetworkTarget>,
}

/// The name under which a VM is born where its own id is known only afterwards: `tierwright-IDENTITY`. It counts as a
/// mark.
pub fn birth_name(identity: Uuid) -> String {
    format!("tierwright-{identity}")
}
