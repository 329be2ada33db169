//! The marks that steps write. Each write raises the generation by one; the planner computes every one of them.

use crate::diff::{self, At, Pair};
use crate::mark::{Mark, MarkedDisk, MarkedNic, Pending, VERSION};
use crate::model::{Digest, ObservedDisk, OwnId, Tier, VmKey, VmSpec};
use crate::plan::{Change, Operation};

/// The mark of a VM to be made, as it stands when it is finished. Slots, ids and MACs that only the hypervisor knows
/// are filled in by the provider.
pub(super) fn of_new(spec: &VmSpec, tier: &Tier, birth: &Birth, user_data: Option<Digest>) -> Mark {
    Mark {
        version: VERSION,
        installation: birth.installation.clone(),
        key: spec.key.clone(),
        identity: birth.identity,
        own_id: birth.own_id.clone(),
        tier: spec.tier.clone(),
        generation: birth.generation,
        pending: None,
        protection: diff::wanted_protection(spec, tier),
        retired: None,
        disks: spec.disks.iter().map(|disk| (disk.name.to_string(), none())).collect(),
        nics: spec
            .nics
            .iter()
            .map(|nic| (nic.name.to_string(), MarkedNic { mac: nic.mac.clone(), slot: None }))
            .collect(),
        applied: Some(diff::next_applied(spec, tier, None, user_data)),
    }
}

/// What a new mark begins with.
pub(super) struct Birth {
    pub installation: String,
    pub identity: uuid::Uuid,
    pub own_id: Option<OwnId>,
    pub generation: u64,
}

const fn none() -> MarkedDisk {
    MarkedDisk { slot: None, id: None, file: None, deleting: false }
}

/// The mark once an update is done.
pub(super) fn after_update(pair: Pair<'_>, changes: &[Change], user_data: Option<Digest>) -> Mark {
    let Pair { spec, tier, mark, .. } = pair;
    Mark {
        key: spec.key.clone(),
        tier: spec.tier.clone(),
        pending: None,
        retired: None,
        protection: diff::wanted_protection(spec, tier),
        disks: disks_after(pair, changes),
        nics: nics_after(pair, changes),
        applied: Some(diff::next_applied(spec, tier, Some(mark), user_data)),
        ..mark.clone()
    }
}

fn disks_after(pair: Pair<'_>, changes: &[Change]) -> std::collections::BTreeMap<String, MarkedDisk> {
    let mut disks = pair.mark.disks.clone();
    for (name, at) in diff::resolve_disks(pair) {
        match at {
            At::Attached(disk)
                if disks.get(name).is_some_and(|marked| marked.slot.is_none() && marked.file.is_some()) =>
            {
                // A kept disk that is attached already: ours again only if the manifest wants it.
                if pair.spec.disk(name).is_some() {
                    disks.insert(name.to_owned(), attached(disk));
                }
            }
            At::Attached(disk) => {
                disks.insert(name.to_owned(), attached(disk));
            }
            At::Lost { certain: true, .. } if pair.spec.disk(name).is_none() => {
                disks.remove(name);
            }
            // Kept after all, unless a change of this step deletes it.
            At::Detached => {
                disks.entry(name.to_owned()).and_modify(|marked| marked.deleting = false);
            }
            At::Incomplete | At::Lost { .. } => {}
        }
    }
    for change in changes {
        match change {
            Change::AddDisk(order) => {
                disks.insert(order.name.clone(), none());
            }
            Change::AttachDisk { name, file: _, id } => {
                disks.insert(name.clone(), MarkedDisk { slot: None, id: id.clone(), file: None, deleting: false });
            }
            Change::DetachDisk(at) => {
                let observed = pair.config.disks.iter().find(|disk| *disk.slot == *at.slot);
                let file = observed.and_then(|disk| disk.file.as_deref()).unwrap_or(&at.slot).to_owned();
                disks.insert(
                    at.name.clone(),
                    MarkedDisk { slot: None, id: at.id.clone(), file: Some(file), deleting: false },
                );
            }
            Change::DeleteDisk(at) => {
                disks.remove(&at.name);
            }
            Change::Cpus(_)
            | Change::Memory(_)
            | Change::GrowDisk { .. }
            | Change::AddNic(_)
            | Change::RemoveNic(_)
            | Change::MoveNic { .. }
            | Change::ConnectNic { .. } => {}
        }
    }
    disks
}

/// A disk as the mark names it while it is attached.
pub(super) fn attached(disk: &ObservedDisk) -> MarkedDisk {
    let (slot, id) = (Some(disk.slot.to_string()), disk.id.as_deref().map(str::to_owned));
    MarkedDisk { slot, id, file: None, deleting: false }
}

fn nics_after(pair: Pair<'_>, changes: &[Change]) -> std::collections::BTreeMap<String, MarkedNic> {
    let mut nics = std::collections::BTreeMap::new();
    for (name, found) in diff::resolve_nics(pair) {
        let keep = pair.spec.nic(name).is_some() || pair.ignores(&format!("nics/{name}"));
        match found {
            Some(nic) if keep => nics.insert(name.to_owned(), self::nic(nic)),
            None if keep => nics.insert(name.to_owned(), pair.mark.nics.get(name).cloned().unwrap_or_else(no_nic)),
            Some(_) | None => None,
        };
    }
    for change in changes {
        if let Change::AddNic(order) = change {
            nics.insert(order.name.clone(), MarkedNic { mac: order.mac.clone(), slot: None });
        }
    }
    nics
}

const fn no_nic() -> MarkedNic {
    MarkedNic { mac: None, slot: None }
}

/// A NIC as the mark names it.
pub(super) fn nic(nic: &crate::model::ObservedNic) -> MarkedNic {
    MarkedNic { mac: Some(nic.mac.to_ascii_lowercase()), slot: Some(nic.slot.to_string()) }
}

/// A first or new mark for a VM that is taken over as it is: names in slot order.
pub(super) fn of_adopted(spec: &VmSpec, tier: &Tier, birth: &Birth, config: &crate::model::VmConfig) -> Mark {
    Mark {
        version: VERSION,
        installation: birth.installation.clone(),
        key: spec.key.clone(),
        identity: birth.identity,
        own_id: birth.own_id.clone(),
        tier: spec.tier.clone(),
        generation: birth.generation,
        pending: None,
        protection: diff::wanted_protection(spec, tier),
        retired: None,
        disks: spec
            .disks
            .iter()
            .zip(&config.disks)
            .map(|(spec, disk)| (spec.name.to_string(), attached(disk)))
            .collect(),
        nics: spec.nics.iter().zip(&config.nics).map(|(spec, found)| (spec.name.to_string(), nic(found))).collect(),
        applied: None,
    }
}

/// Writes the marks of one step, one generation after the other.
pub(super) struct Pen {
    generation: u64,
}

impl Pen {
    /// Goes on from the generation that stands on the VM.
    pub fn after(mark: &Mark) -> Self {
        Self { generation: mark.generation }
    }

    /// Changes and mark in one operation.
    pub fn write(&mut self, changes: Vec<Change>, mark: &Mark, pending: Option<Pending>) -> Operation {
        self.generation += 1;
        let mark = Mark { generation: self.generation, pending, ..mark.clone() };
        Operation::Reconfigure { changes, mark: Box::new(mark) }
    }
}

/// Is this the same mark but for its generation?
pub(super) fn same(a: &Mark, b: &Mark) -> bool {
    Mark { generation: 0, ..a.clone() } == Mark { generation: 0, ..b.clone() }
}

/// The key that a rename gives.
pub(super) fn rekeyed(mark: &Mark, key: &VmKey) -> Mark {
    Mark { key: key.clone(), ..mark.clone() }
}
