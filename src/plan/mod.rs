//! A plan: everything that will be done, everything that will not and why, and what it costs.
//!
//! Made by one call from plain values; preview and apply use the same one. A plan is complete: executing it needs no
//! further decision. Each desired or owned VM appears exactly once: a step, in sync, or blocked. Nothing here does I/O.
//!
//! ```text
//! input.rs     PlanInput: desired, inventory, history, policy, approvals, time      lasting.rs  how long a plan stands
//! operation.rs what a step does, one operation after another, for providers
//! planner.rs   plan(&PlanInput) -> Plan     placement.rs  where a new VM goes
//! order.rs     dependencies, destructive last    cost.rs  before and after
//! safety.rs    everything that says no           render/  text, markdown, diff
//! ```

pub mod census;
pub mod cost;
mod halves;
pub mod input;
mod lasting;
pub mod memory;
pub mod operation;
mod order;
mod pairing;
mod placement;
mod planner;
pub mod render;
pub mod safety;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use input::{
    Destroyed, EndpointPolicy, EndpointState, History, LastInventory, LastOwned, LastVm, Limits, Manage, OpenIntent,
    PlanInput, Policy, SourceTrust,
};
pub use lasting::lasts_until;
pub use operation::{Change, CreateVm, DiskAt, DiskOrder, NicAt, NicOrder, Operation};
pub use planner::{content_hash, plan};

use crate::model::{Currency, Digest, EndpointName, Money, OwnId, PowerState, Revision, TierName, VmKey};

/// A complete plan. The JSON form is this, field for field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// 1.
    pub format_version: u32,
    /// For which installation.
    pub installation: String,
    /// Of which revision of the source.
    pub revision: Revision,
    /// Digest of the settings that decided it.
    pub settings: Digest,
    /// Which inventories it rests on.
    pub inventory: Vec<InventoryLine>,
    /// What will be done, in order of execution.
    pub steps: Vec<Step>,
    /// What will not be done, and why; by key.
    pub blocked: Vec<Blocked>,
    /// How many VMs are as desired.
    pub in_sync: u32,
    /// How many VMs carry no mark of ours.
    pub unmanaged: u32,
    /// Counts by action.
    pub summary: BTreeMap<Action, u32>,
    /// Before and after, by currency.
    pub cost: Vec<CostLine>,
    /// What a person should know and need not act on, such as an image that changed after creation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Over the canonical JSON of revision, settings digest, steps and blocked.
    pub hash: Digest,
    /// The digest that approves everything that waits for a person; `None` when nothing does.
    pub approval: Option<Digest>,
}

/// One endpoint in a plan's account of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryLine {
    /// Which.
    pub endpoint: EndpointName,
    /// How it answered.
    pub status: InventoryStatus,
    /// Which of its inventories.
    pub generation: u64,
    /// What is wrong, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It is retired: nobody counts on its answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excused: bool,
}

/// How an endpoint answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InventoryStatus {
    /// Whole.
    Complete,
    /// In part: what was not seen is unknown.
    Incomplete,
    /// Not at all.
    Unreachable,
}

/// What is done to a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Start it.
    PowerOn,
    /// Stop it.
    PowerOff,
    /// Shut down, disconnect, rename; its disks are kept.
    Retire,
    /// Undo a retire.
    Restore,
    /// Remove it and its own disks.
    Delete,
    /// Take an existing VM over: writes the mark only.
    Adopt,
    /// Forget it: removes the mark only.
    Release,
    /// Give it its new key and name.
    Rename,
    /// Delete and create: always blocked until built.
    Replace,
    /// To another endpoint: always blocked until built.
    Move,
}

impl Plan {
    /// What waits for a person's approval.
    pub fn waits(&self) -> impl Iterator<Item = &Blocked> {
        self.blocked.iter().filter(|blocked| blocked.digest.is_some())
    }
}

impl Action {
    /// Does it take a VM away, now or in time?
    pub const fn is_destroy(self) -> bool {
        matches!(self, Self::Retire | Self::Delete | Self::Replace)
    }
}

/// One VM's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which VM.
    pub key: VmKey,
    /// Its tier.
    pub tier: TierName,
    /// Where.
    pub endpoint: EndpointName,
    /// Its own id, when it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<OwnId>,
    /// Its identity.
    pub identity: Uuid,
    /// What is done.
    pub action: Action,
    /// Why, field by field.
    pub reasons: Vec<Reason>,
    /// How the change lands on the guest.
    pub lands: Landing,
    /// How much can go wrong.
    pub risk: Risk,
    /// Per month; `None` without a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostLine>,
    /// Keys whose steps must have succeeded first.
    pub depends_on: Vec<VmKey>,
    /// What must still hold when it runs.
    pub preconditions: Precondition,
    /// What the provider does, in order.
    pub operations: Vec<Operation>,
}

/// Why a field changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Path of the field in the manifest's words, such as `disks/data/size`.
    pub field: String,
    /// What it is; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it becomes; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The kind of reason.
    pub because: Because,
    /// How this one lands; the step's `lands` is the worst of them.
    pub lands: Landing,
    /// More for a person, such as why it cannot be hot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// The manifest is new.
    New,
    /// The manifest changed since it was last applied.
    ManifestChanged,
    /// Somebody changed the VM since it was last applied.
    Drifted,
    /// The manifest is gone.
    Removed,
    /// The grace days are over.
    GraceOver,
    /// The manifest is back.
    Returned,
    /// Earlier work was not finished.
    Unfinished,
    /// The manifest says to take this VM over.
    Adopted,
    /// The manifest says it had another key.
    Renamed,
    /// The mark itself needs writing.
    Mark,
}

/// How a change lands on the guest; ordered by how much it hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Landing {
    /// The guest goes on running, or is not running.
    Hot,
    /// It is shut down and started again.
    Reboot,
    /// It is shut down and stays so.
    PowerOff,
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    /// Nothing the guest could notice.
    None,
    /// A hot change.
    Low,
    /// The guest is interrupted.
    Medium,
    /// Something goes away.
    High,
    /// Cannot be told.
    Unknown,
}

/// What must still hold when a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Precondition {
    /// No VM of this identity, birth name or name is there (an unfinished create of ours aside).
    Absent {
        /// The identity to come.
        identity: Uuid,
        /// The name to come.
        name: String,
    },
    /// The VM is still as the plan saw it.
    Unchanged(Fingerprint),
}

/// What a plan saw of a VM that does not move by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    /// Its own id.
    pub own_id: OwnId,
    /// Its mark's generation; `None`: unmarked.
    pub mark_generation: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its power.
    pub power: PowerState,
    /// `slot id size file`, in slot order.
    pub disks: Vec<String>,
    /// `slot mac network connected`, in slot order.
    pub nics: Vec<String>,
    /// Whether a snapshot exists.
    pub snapshots: bool,
    /// CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// Something that is not done, and why: a normal outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Which VM.
    pub key: VmKey,
    /// Where, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointName>,
    /// Its own id, when it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<OwnId>,
    /// What would have been done.
    pub action: Action,
    /// Which rule said no.
    pub code: BlockCode,
    /// What a person should know.
    pub why: String,
    /// What would have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Approving this digest lets exactly this go ahead; `None`: no approval helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Which rule said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockCode {
    /// The tier's endpoint is not in the settings: no failure.
    NotConfigured,
    /// An endpoint did not answer, or answered in part: not known is not gone.
    EndpointUnknown,
    /// This VM's configuration could not be read, or it may be gone.
    VmUnknown,
    /// The endpoint lost too many VMs at once to be believed.
    InventoryShrunk,
    /// The source is not one that may lead to a destroy now.
    SourceNotTrusted,
    /// preventDestroy stands on the mark.
    Protected,
    /// prune is `never`, or the tier of an orphan is gone.
    PruneForbidden,
    /// A person must approve first.
    NeedsApproval,
    /// The grace days are not over.
    InGrace,
    /// A cap on destroys would be passed.
    DestroyLimit,
    /// More disruptions in one run than allowed without a person's word.
    DisruptionLimit,
    /// A key left and one like it came: perhaps a rename.
    LooksLikeRename,
    /// A person must look: two VMs with one mark, an older mark back, an outcome that stayed unclear.
    NeedsHuman,
    /// An unfinished create that nobody wants now or that cannot be finished.
    UnfinishedCreate,
    /// The mark was copied to a VM it was not written for.
    Clone,
    /// The mark cannot be read.
    MarkUnreadable,
    /// Its name is taken there by another VM.
    NameTaken,
    /// A MAC it asks for is taken there by another VM.
    MacTaken,
    /// No room, or nothing fits its placement.
    NoRoom,
    /// The endpoint cannot do it.
    Unsupported,
    /// It needs a reboot that allowReboot does not permit now.
    RebootNotAllowed,
    /// It would have to be stopped, its guest cannot be asked (no guest tools run), and `shutdown.force` is off.
    NoGuestTools,
    /// A snapshot or checkpoint stands in the way.
    Snapshot,
    /// A disk is shared, unmapped, ambiguous, or would shrink.
    DiskUnsafe,
    /// It is suspended, saved or paused.
    Suspended,
    /// The hypervisor waits for an answer.
    Question,
    /// Something it depends on is blocked.
    Dependency,
    /// Replace and move are not built.
    NotBuilt,
    /// What is to be adopted is not there or does not match.
    AdoptMismatch,
    /// The endpoint is only observed.
    ObserveOnly,
    /// The placement, image, network or storage named by the tier is not there.
    TargetMissing,
}

impl BlockCode {
    /// Does it only say that nobody knows what is there?
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::EndpointUnknown | Self::VmUnknown)
    }
}

/// Cost per month in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostLine {
    /// In.
    pub currency: Currency,
    /// As things are.
    pub before: Money,
    /// As they will be.
    pub after: Money,
}

/// Something a person should know and need not act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// About which VM, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<VmKey>,
    /// The text.
    pub text: String,
}
