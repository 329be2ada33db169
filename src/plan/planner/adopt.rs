//! Taking a VM over as it is: adoption by the manifest's word, and acceptance by a person's.
//!
//! Adopting never changes the own id and writes only the mark; differences come in the next plan.

use super::desired::unreadable_mark;
use super::draft::{About, Draft, Size, StepParts, cost_line, unchanged};
use super::marks::{self, Birth, Pen};
use crate::mark::{self, Mark, Standing};
use crate::model::{Adopt, EndpointName, ObservedVm, OwnId, Tier, VmConfig, VmKey, VmSpec};
use crate::plan::census::{KeyStanding, LostMark, Seen};
use crate::plan::safety::{self, No, creation, machine};
use crate::plan::{Action, Because, BlockCode, Landing, LastOwned, Operation, Precondition, Reason, Risk};

impl<'a> Draft<'a> {
    /// Takes over the VM that the manifest names.
    pub fn adopt(&mut self, spec: &'a VmSpec, tier: &'a Tier, standing: &KeyStanding<'a, '_>) {
        let Some(Adopt { endpoint, id }) = &spec.adopt else { return };
        let about = About { key: &spec.key, endpoint: Some(endpoint), own_id: Some(id), action: Action::Adopt };
        let found = self.adoptable(tier, endpoint, id).and_then(|vm| {
            let kept = kept_mark(vm, spec, self.census.installation)?;
            // A backup stands in for a VM that is gone, and that is known only with a full view, as for a new one.
            if let Some(no) = kept.as_ref().and_then(|_| creation::may_create(self.census, &spec.key, tier)) {
                return Err(no);
            }
            if let Some(other) = self.held_otherwise(spec, endpoint, id) {
                return Err(mismatch(format!(
                    "it was {other} and lost its mark, and the manifest of {other} is there; remove that one first, or let \
                     {other} have it back"
                )));
            }
            // A mark that was removed by hand from another VM: that one must be settled, not forgotten.
            match standing {
                KeyStanding::Stripped(other) if other.vm.id != vm.id => Err(mismatch(format!(
                    "the key belongs to {} ({}), whose mark was removed; adopt that one, or remove it",
                    other.vm.name, other.vm.id
                ))),
                KeyStanding::Unmarked(_, other) if other.id != vm.id => {
                    Err(mismatch(format!("the key belongs to {} ({})", other.name, other.id)))
                }
                _ => Ok((vm, kept)),
            }
        });
        match found.and_then(|(vm, kept)| Ok((vm, kept, matching(spec, vm)?))) {
            Err(no) => self.block(about, no, adopted_reasons(spec)),
            Ok((vm, kept, config)) => {
                let past = kept.map_or(Past::default(), |mark| Past {
                    identity: Some(mark.identity),
                    generation: mark.generation,
                });
                self.take_over(spec, tier, (endpoint, vm, config), (past, None));
            }
        }
    }

    /// Another key that this VM held when last seen, and that a manifest still wants: two would take one VM.
    fn held_otherwise(&self, spec: &VmSpec, endpoint: &EndpointName, id: &OwnId) -> Option<&'a VmKey> {
        let held = self.census.stripped().find(|lost| lost.endpoint == endpoint && lost.vm.id == *id);
        held.map(|lost| &lost.last.key).filter(|key| **key != spec.key && self.input.desired.vms.contains_key(*key))
    }

    /// The VM that is to be taken over, if it can be told which one that is.
    fn adoptable(&self, tier: &Tier, endpoint: &'a EndpointName, id: &OwnId) -> Result<&'a ObservedVm, No> {
        if let Some(no) = machine::may_change(self.input.policy, endpoint) {
            return Err(no);
        }
        if !tier.endpoints.contains(endpoint) {
            return Err(mismatch(format!("{endpoint} is not an endpoint of {}", tier.name)));
        }
        let listed = self.census.listed(endpoint, id);
        match (
            listed.as_slice(),
            self.census.sights.get(endpoint).and_then(super::super::safety::unknown::Sight::doubt),
        ) {
            ([vm], _) => Ok(vm),
            ([], Some(doubt)) => Err(doubt.into()),
            ([], None) => Err(mismatch(format!("there is no VM {id} on {endpoint}"))),
            (several, _) => Err(mismatch(format!("{} VMs have the id {id} on {endpoint}", several.len()))),
        }
    }

    /// A VM of ours whose mark was removed by hand: a person may take it over again as it is.
    pub fn accept_stripped(
        &mut self,
        spec: &'a VmSpec,
        tier: &'a Tier,
        (endpoint, vm): (&'a EndpointName, &'a ObservedVm),
        last: Option<&LastOwned>,
    ) {
        let about = About { key: &spec.key, endpoint: Some(endpoint), own_id: Some(&vm.id), action: Action::Adopt };
        let why = format!(
            "its VM {} ({} on {endpoint}) is there, and its mark was removed; approve to take it over as it is, or delete it \
             or leave it unmanaged under another key",
            vm.name, vm.id
        );
        match mark::judge(vm, self.census.installation) {
            Standing::NoMark => {}
            Standing::Unreadable(_) | Standing::Unknown(_) => {
                return self.block(about, unreadable_mark(&vm.name), Vec::new());
            }
            Standing::Foreign(other) => {
                let why = format!("its VM {} carries a mark of installation {other}", vm.id);
                return self.block(about, No::flat(BlockCode::NeedsHuman, why), Vec::new());
            }
            Standing::Ours(_) | Standing::Unfinished { .. } | Standing::Clone(_) => {
                return self.block(about, No::flat(BlockCode::NeedsHuman, why), Vec::new());
            }
        }
        let touchable = machine::may_change(self.input.policy, endpoint);
        match touchable.map_or_else(|| matching(spec, vm), Err) {
            Ok(config) => {
                let no = No::until_approved(BlockCode::NeedsHuman, why);
                let past = Past { identity: last.map(|last| last.identity), generation: 0 };
                self.take_over(spec, tier, (endpoint, vm, config), (past, Some(no)));
            }
            Err(no) => {
                let why = format!("{why}; it cannot be taken over as it is: {}", no.why);
                self.block(about, No::flat(BlockCode::NeedsHuman, why), Vec::new());
            }
        }
    }

    fn take_over(
        &mut self,
        spec: &VmSpec,
        tier: &Tier,
        (endpoint, vm, config): (&EndpointName, &ObservedVm, &VmConfig),
        (past, waits): (Past, Option<No>),
    ) {
        let identity = past.identity.unwrap_or_else(|| self.census.free_identity(&spec.key));
        let birth = Birth {
            installation: self.input.policy.installation.clone(),
            identity,
            own_id: Some(vm.id.clone()),
            // Above whatever stands or was last seen there, or the mark would be taken for an older one put back.
            generation: self.census.last_generation(&vm.id).max(past.generation) + 1,
        };
        let mark = marks::of_adopted(spec, tier, &birth, config);
        let parts = StepParts {
            key: spec.key.clone(),
            tier: spec.tier.clone(),
            endpoint,
            own_id: Some(vm.id.clone()),
            identity,
            action: Action::Adopt,
            reasons: adopted_reasons(spec),
            lands: Landing::Hot,
            risk: Risk::None,
            cost: cost_line(Some(tier), None, Some(Size::of_config(config))),
            preconditions: Precondition::Unchanged(safety::fingerprint(vm)),
            operations: vec![Operation::Reconfigure { changes: Vec::new(), mark: Box::new(mark) }],
        };
        self.propose_held(parts, waits);
    }

    /// An older mark is back on a VM of ours: a snapshot was put back. A person may accept it as it is now.
    pub fn accept_reverted(&mut self, seen: &'a Seen<'a>, last: u64) {
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        let key = &seen.mark().key;
        let why = format!(
            "its mark has generation {}, and {last} was seen before: a snapshot was put back; approve to accept the VM as it \
             is now",
            seen.mark().generation
        );
        let reasons = vec![Reason {
            field: "mark/generation".to_owned(),
            from: Some(seen.mark().generation.to_string()),
            to: Some((last + 1).to_string()),
            because: Because::Mark,
            lands: Landing::Hot,
            detail: Some("an older mark is back".to_owned()),
        }];
        if !self.is_touchable(About::seen(key, seen, Action::Update), seen, &reasons) {
            return;
        }
        let mut pen = Pen::after(&Mark { generation: last, ..seen.mark().clone() });
        let size = Size::of_seen(seen);
        let parts = StepParts {
            key: key.clone(),
            tier: seen.mark().tier.clone(),
            endpoint: seen.endpoint,
            own_id: Some(seen.vm.id.clone()),
            identity: seen.mark().identity,
            action: Action::Update,
            reasons,
            lands: Landing::Hot,
            risk: Risk::None,
            cost: cost_line(self.tier(&seen.mark().tier), Some(size), Some(size)),
            preconditions: unchanged(seen),
            operations: vec![pen.write(Vec::new(), seen.mark(), seen.mark().pending)],
        };
        self.propose_held(parts, Some(No::until_approved(BlockCode::NeedsHuman, why)));
    }
}

/// What a VM that is taken over was before.
#[derive(Default)]
struct Past {
    /// The identity it keeps.
    identity: Option<uuid::Uuid>,
    /// The generation of the mark it carries.
    generation: u64,
}

/// May `adopt:` have its say? Not while the key is held by a VM, or may be.
pub(super) fn may_adopt(standing: &KeyStanding<'_, '_>) -> bool {
    match standing {
        KeyStanding::Gone | KeyStanding::Absent | KeyStanding::CloneOnly(_) | KeyStanding::Unmarked(..) => true,
        KeyStanding::Stripped(stripped) => stripped.lost == LostMark::Removed,
        KeyStanding::Owned(_)
        | KeyStanding::Retired(_)
        | KeyStanding::Unfinished(_)
        | KeyStanding::Newborn(_)
        | KeyStanding::Twins(_)
        | KeyStanding::Damaged(_)
        | KeyStanding::Reverted(..)
        | KeyStanding::Unknown { .. } => false,
    }
}

/// The mark of ours that a VM to be adopted goes on from, if it has one; or why it may not be adopted.
fn kept_mark(vm: &ObservedVm, spec: &VmSpec, installation: &str) -> Result<Option<Box<Mark>>, No> {
    match mark::judge(vm, installation) {
        Standing::NoMark => Ok(None),
        // The marked VM is gone, or the key's standing would not have let us come here: a restored backup.
        Standing::Clone(mark) if mark.key == spec.key => Ok(Some(mark)),
        Standing::Clone(mark) => Err(mismatch(format!("it carries a copy of the mark of {}", mark.key))),
        Standing::Ours(mark) => Err(mismatch(format!("it is {} already", mark.key))),
        Standing::Unfinished { .. } => Err(mismatch("it is a create that was never finished")),
        Standing::Foreign(other) => Err(mismatch(format!("it belongs to installation {other}"))),
        Standing::Unreadable(why) => Err(No::flat(BlockCode::MarkUnreadable, why)),
        Standing::Unknown(why) => {
            Err(No::flat(BlockCode::VmUnknown, format!("its configuration could not be read: {why}")))
        }
    }
}

/// Disks and NICs are taken in slot order, so number and sizes must match.
fn matching<'v>(spec: &VmSpec, vm: &'v ObservedVm) -> Result<&'v VmConfig, No> {
    let Some(config) = vm.readable() else {
        return Err(No::flat(BlockCode::VmUnknown, "its configuration could not be read"));
    };
    if let Some(no) = machine::may_touch_vm(config) {
        return Err(no);
    }
    let counts = [("disks", spec.disks.len(), config.disks.len()), ("NICs", spec.nics.len(), config.nics.len())];
    for (what, declared, has) in counts {
        if declared != has {
            return Err(mismatch(format!("{what}: the manifest declares {declared}, the VM has {has}")));
        }
    }
    if let Some(disk) = config.disks.iter().find(|disk| disk.shared) {
        return Err(mismatch(format!("its disk at {} is shared with another VM", disk.slot)));
    }
    match spec.disks.iter().zip(&config.disks).find(|(declared, disk)| declared.size != disk.size) {
        Some((declared, disk)) => Err(mismatch(format!(
            "disk {} is declared with {} and the disk at {} has {}",
            declared.name, declared.size, disk.slot, disk.size
        ))),
        None => Ok(config),
    }
}

fn mismatch(why: impl Into<String>) -> No {
    No::flat(BlockCode::AdoptMismatch, why)
}

fn adopted_reasons(spec: &VmSpec) -> Vec<Reason> {
    vec![Reason {
        field: "key".to_owned(),
        from: None,
        to: Some(spec.key.to_string()),
        because: Because::Adopted,
        lands: Landing::Hot,
        detail: Some("writes the mark only; differences come in the next plan".to_owned()),
    }]
}
