//! Everything a plan depends on, as one value: time, settings, approvals and history included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::inventory::Inventory;
use crate::model::{Desired, Digest, EndpointName, HypervisorType, OwnId, Secret, TierName, VmKey};

/// The whole input of [`super::plan`]. Equal input gives an equal plan, to the byte.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The time of planning.
    pub now: Timestamp,
    /// What is wanted.
    pub desired: &'a Desired,
    /// How far the source may be trusted with destroys.
    pub source: SourceTrust,
    /// What is there.
    pub inventory: &'a Inventory,
    /// What was there, and what we did.
    pub history: &'a History,
    /// The administrator's part.
    pub policy: &'a Policy,
    /// Digests a person approved for this run, as typed.
    pub approvals: &'a BTreeSet<String>,
    /// Cloud-init user data of the desired VMs, read at the edge since `userDataFile` is a file; only its salted digest
    /// gets into a mark, and nothing of it into a plan.
    pub user_data: &'a BTreeMap<VmKey, Secret>,
}

/// How far the source may be trusted with destroys (safety rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceTrust {
    /// The configured source, whole, and settled long enough for its reader.
    Settled,
    /// Other manifests, by `-f`: a plan holds no destroy and says so.
    Elsewhere,
    /// Git is at work in it: what was read may be half of one revision and half of another.
    InProgress,
    /// Changed too recently for a destroy by `serve`.
    Unsettled,
    /// It is empty, missing or has an error; `serve` goes on with the last good revision and destroys nothing.
    Broken,
}

/// The administrator's settings, as far as they decide something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Part of every mark.
    pub installation: String,
    /// Endpoints by name.
    pub endpoints: BTreeMap<EndpointName, EndpointPolicy>,
    /// The caps.
    pub limits: Limits,
}

impl Policy {
    /// Names the settings that decided a plan.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// One endpoint, as far as it decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPolicy {
    /// Its type.
    #[serde(rename = "type")]
    pub hypervisor: HypervisorType,
    /// Who may change it.
    pub manage: Manage,
    /// Whether it is counted on.
    pub state: EndpointState,
}

/// Who may change an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Manage {
    /// Nobody.
    Observe,
    /// Only `apply`.
    #[default]
    Suggest,
    /// `serve` too.
    Enforce,
}

/// Whether an endpoint is counted on (safety rule 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// It must answer.
    #[default]
    Active,
    /// Excused where its last complete inventory lacked the key.
    Maintenance,
    /// Excused always.
    Retired,
}

/// The caps (safety rule 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Retires and direct deletes in any 24 hours.
    pub destroys_per_day: u32,
    /// Of a tier's owned VMs in any 24 hours: floor, at least 1; 100 switches it off.
    pub destroy_percent_per_tier_per_day: u32,
    /// Power-offs, reboots, NIC and detach changes of running VMs in one run without a person's word.
    pub disruptions_per_run: u32,
    /// Steps at a time on one endpoint.
    pub parallel_per_endpoint: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            destroys_per_day: 20,
            destroy_percent_per_tier_per_day: 5,
            disruptions_per_run: 10,
            parallel_per_endpoint: 8,
        }
    }
}

/// What stateDir remembers. It may only forbid, never permit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// The last inventory of each endpoint, complete ones only.
    pub last: BTreeMap<EndpointName, LastInventory>,
    /// Since stateDir began empty, there was no time at which every endpoint of the settings had answered in full: what
    /// is not in `last` may never have been seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Destroys in the last 24 hours at least, oldest first.
    pub destroys: Vec<Destroyed>,
    /// Calls whose outcome was never recorded.
    pub open_intents: Vec<OpenIntent>,
    /// Owned VMs per tier when the 24-hour window began.
    pub owned_at_window_start: BTreeMap<TierName, u32>,
    /// VMs that were disturbed in the run that this plan continues: `serve` plans many times for one
    /// revision, and all of it is one run.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub disturbed: BTreeSet<VmKey>,
}

/// One endpoint's last complete inventory, as far as it matters later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastInventory {
    /// Its generation.
    pub generation: u64,
    /// When.
    pub taken_at: Timestamp,
    /// All VMs of it, and older owned ones that are not gone yet; by id. Shared: the journal, the loop and
    /// each plan look at the same.
    pub vms: Arc<Vec<LastVm>>,
}

/// One VM as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastVm {
    /// Its own id.
    pub id: OwnId,
    /// The provider's short-lived reference to it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub handle: Arc<str>,
    /// Its name.
    pub name: String,
    /// From a valid mark of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned: Option<LastOwned>,
    /// A direct read in the last complete inventory already answered not-found: one more makes it gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing_once: bool,
}

/// What the mark of a VM as last seen said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOwned {
    /// Its key.
    pub key: VmKey,
    /// Its identity.
    pub identity: Uuid,
    /// Its tier.
    pub tier: TierName,
    /// Its mark's generation: one that is lower later is a reverted snapshot.
    pub generation: u64,
    /// `disk names` and image, for the rename guard.
    pub disks: Vec<String>,
    /// Image name at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// It was not seen whole: still being made, without its mark, or not listed. It is remembered and guarded, but is
    /// no VM of its tier that would raise a limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", alias = "unfinished")]
    pub uncounted: bool,
}

/// One destroy that we did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destroyed {
    /// When.
    pub at: Timestamp,
    /// Of which tier.
    pub tier: TierName,
    /// Where.
    pub endpoint: EndpointName,
    /// Which VM.
    pub own_id: OwnId,
    /// Its key.
    pub key: VmKey,
    /// True for a delete that a retire preceded: it does not count again.
    pub after_retire: bool,
    /// True once the VM is really gone (a delete), false for a retire.
    pub deleted: bool,
}

/// A call whose outcome was never recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenIntent {
    /// Where.
    pub endpoint: EndpointName,
    /// For which key.
    pub key: VmKey,
    /// The VM's identity.
    pub identity: Uuid,
    /// The call's name, for people.
    pub call: String,
    /// When it was about to be sent.
    pub at: Timestamp,
}
