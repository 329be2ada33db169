//! What differs: desired against observed (for the plan) and applied against observed (drift).
//!
//! Only fields the manifest owns are compared: placement, tags, annotations and whatever else stands on a VM
//! are nobody's business here. Disks and NICs are matched by the mark's names, never by position. What comes
//! out says, per field, why it changes and how the change lands on this very VM as it runs now; nothing is
//! decided about whether it may.
//!
//! ```text
//! sizes.rs  CPUs, memory      disks.rs  grow, add, detach, attach, delete      nics.rs  add, remove, move, connect, MAC
//! power.rs  goals, owed starts      protection.rs  what guards the VM      applied.rs  what the mark records
//! drift.rs  applied against observed      in_sync.rs  the quick look that most VMs pass
//! ```

mod applied;
mod disks;
mod drift;
mod in_sync;
mod nics;
mod power;
mod protection;
mod sizes;
#[cfg(test)]
mod tests;

pub use applied::{next_applied, salted};
pub use disks::{At, disk_at, resolve as resolve_disk, resolve_all as resolve_disks, taken_by_a_delete};
pub use drift::{DriftLine, drift};
pub use in_sync::{Candidate, is_plainly_in_sync};
pub use nics::{nic_at, resolve as resolve_nic, resolve_all as resolve_nics, same_mac, target_text};
pub use protection::wanted as wanted_protection;

use std::collections::BTreeSet;

use crate::mark::Mark;
use crate::model::{Digest, ObservedVm, PowerGoal, PowerState, Tier, VmConfig, VmSpec};
use crate::plan::{Because, BlockCode, Change, Landing, Reason};

/// A desired VM and the one that is there.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What is wanted.
    pub spec: &'a VmSpec,
    /// Its tier, for the meaning of its words.
    pub tier: &'a Tier,
    /// What the VM's mark says.
    pub mark: &'a Mark,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration.
    pub config: &'a VmConfig,
}

/// Everything that differs between a desired VM and the one that is there.
#[derive(Debug, Default)]
pub struct Differences {
    /// Field by field, in the manifest's order.
    pub found: Vec<Difference>,
    /// What stands in the way of some of them; the first names the block.
    pub obstacles: Vec<Obstacle>,
    /// What counts at creation only and differs now.
    pub notes: Vec<String>,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Why and how.
    pub reason: Reason,
    /// What would be done.
    pub effect: Effect,
}

/// What would be done about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Hardware changes, in order.
    Hardware(Vec<Change>),
    /// Its name on the hypervisor.
    Name,
    /// Its power.
    Power(PowerGoal),
    /// The start we owe after powering it off.
    OwedStart,
    /// Only the mark is written.
    Mark,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Which rule.
    pub code: BlockCode,
    /// For a person.
    pub why: String,
}

/// Compares a desired VM with the one that is there. `user_data` is the digest of today's user data, salted with the
/// VM's identity.
pub fn differences(pair: Pair<'_>, user_data: Option<&Digest>) -> Differences {
    // Every field by name: a new one does not compile until someone decides what a difference in it means.
    let VmSpec {
        key,
        labels: _,        // for reports
        tier: _,          // a VM does not change tier in place: the planner's own rule
        instance_type: _, // resolved into cpus and memory
        cpus,
        memory,
        image: _,    // these three count at creation; applied.rs tells of a difference
        guest_os: _, // counts at creation, and the hypervisor's own word for it is finer than ours
        firmware: _,
        disks: _, // taken apart in disks.rs
        nics: _,  // taken apart in nics.rs
        power: _, // power.rs
        cloud_init: _,
        prevent_destroy: _, // these five: protection.rs
        on_remove: _,
        shutdown: _,
        delete_disks: _,
        allow_reboot: _, // a permission, not a state of the VM
        ignore_drift: _,
        depends_on: _,
        renamed_from: _,
        adopt: _,
        origin: _,
    } = pair.spec;
    let mut differences = Differences::default();
    sizes::cpus(pair, *cpus, &mut differences);
    sizes::memory(pair, *memory, &mut differences);
    disks::compare(pair, &mut differences);
    nics::compare(pair, &mut differences);
    if &*pair.vm.name != key.name().as_str() && !pair.ignores("name") {
        differences.push("name", Some(pair.vm.name.to_string()), Some(key.name().to_string()), Effect::Name);
    }
    protection::compare(pair, &mut differences);
    power::compare(pair, &mut differences);
    applied::compare(pair, &mut differences);
    let applied = pair.mark.applied.as_ref();
    applied::note_creation_only(pair.spec, user_data, applied, pair.config, &mut differences.notes);
    differences
}

impl Differences {
    /// A difference that lands without the guest's notice and has no story to tell.
    fn push(&mut self, field: &str, from: Option<String>, to: Option<String>, effect: Effect) {
        let because = if effect == Effect::Name { Because::Drifted } else { Because::ManifestChanged };
        let reason = Reason { field: field.to_owned(), from, to, because, lands: Landing::Hot, detail: None };
        self.found.push(Difference { reason, effect });
    }

    fn obstacle(&mut self, code: BlockCode, why: String) {
        self.obstacles.push(Obstacle { code, why });
    }
}

impl Pair<'_> {
    /// Is this field, or a part that holds it, used at creation only?
    pub fn ignores(&self, field: &str) -> bool {
        ignored(&self.spec.ignore_drift, field)
    }

    /// How a change lands that this VM takes while running only if `hot`. Unknown power counts as running.
    fn landing(&self, hot: bool) -> Landing {
        if hot || self.config.power == PowerState::Stopped { Landing::Hot } else { Landing::Reboot }
    }
}

/// Is `field`, or a path above it, in the list?
fn ignored(list: &BTreeSet<String>, field: &str) -> bool {
    !list.is_empty()
        && list
            .iter()
            .any(|path| field.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Did the manifest change, or the VM?
fn because<T: PartialEq>(applied: Option<&T>, desired: &T) -> Because {
    if applied == Some(desired) { Because::Drifted } else { Because::ManifestChanged }
}
