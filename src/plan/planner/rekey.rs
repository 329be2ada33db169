//! `renamedFrom`: the VM of the old key takes the new key and name along, and stays the same VM.

use super::draft::{About, Draft, Size, StepParts, cost_line, unchanged};
use super::marks::{self, Pen};
use crate::model::{VmKey, VmSpec};
use crate::plan::census::{KeyStanding, Seen};
use crate::plan::safety::No;
use crate::plan::{Action, Because, BlockCode, Landing, Operation, Reason, Risk};

impl<'a> Draft<'a> {
    /// Which new keys take which old keys' VMs along. An old key that is still wanted keeps its VM; one that is known
    /// to be nowhere has none to give.
    pub fn find_renames(&mut self) {
        let desired = self.input.desired;
        for spec in desired.vms.values() {
            let Some(old) = &spec.renamed_from else { continue };
            if desired.vms.contains_key(old) {
                let text = format!("renamedFrom {old} does nothing: {old} is in the manifests too");
                self.note(Some(&spec.key), text);
                continue;
            }
            let takes = match self.census.standing(old) {
                KeyStanding::Gone | KeyStanding::Absent | KeyStanding::CloneOnly(_) => false,
                KeyStanding::Owned(_)
                | KeyStanding::Retired(_)
                | KeyStanding::Unfinished(_)
                | KeyStanding::Newborn(_)
                | KeyStanding::Twins(_)
                | KeyStanding::Damaged(_)
                | KeyStanding::Reverted(..)
                | KeyStanding::Stripped(_)
                | KeyStanding::Unmarked(..)
                | KeyStanding::Unknown { .. } => self.census.standing(&spec.key).is_nowhere(),
            };
            if takes && self.renamed_away.insert(old) {
                self.renames.insert(&spec.key, old);
            }
        }
    }

    /// Gives the old key's VM its new key and name.
    pub fn rekey(&mut self, spec: &'a VmSpec, old: &'a VmKey) {
        for position in self.census.positions(old) {
            self.wanted[position] = true;
        }
        let census = self.census;
        let seen = match census.standing(old) {
            KeyStanding::Owned(seen) | KeyStanding::Retired(seen) => seen,
            KeyStanding::Unknown { endpoint, id, doubt, .. } => {
                let about = About { key: &spec.key, endpoint, own_id: id, action: Action::Rename };
                let no = No::from(doubt);
                let no = No { why: format!("it was {old}, and {}", no.why), ..no };
                return self.block(about, no, Vec::new());
            }
            other => {
                let why = format!("it was {old}, and that one needs a person first: {}", describe(&other));
                return self.block(
                    About::key(&spec.key, Action::Rename),
                    No::flat(BlockCode::NeedsHuman, why),
                    Vec::new(),
                );
            }
        };
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        let reasons = reasons(spec, old, seen);
        let about = About::seen(&spec.key, seen, Action::Rename);
        if !self.is_touchable(about, seen, &reasons) {
            return;
        }
        // A retired VM keeps its name for now: the restore that follows gives it the new one.
        let renames = seen.mark().retired.is_none() && &*seen.vm.name != spec.key.name().as_str();
        if let (true, Some(observed)) = (renames, self.input.inventory.observed(seen.endpoint)) {
            let (folder, name) = (seen.vm.placed.folder.as_deref(), spec.key.name().as_str());
            if let Err(why) = self.ledger.take_name((seen.endpoint, observed), name, folder, Some(&seen.vm.id)) {
                return self.block(about, No::flat(BlockCode::NameTaken, why), reasons);
            }
        }
        let mut pen = Pen::after(seen.mark());
        let mut operations = vec![pen.write(Vec::new(), &marks::rekeyed(seen.mark(), &spec.key), seen.mark().pending)];
        if renames {
            operations.push(Operation::Rename(spec.key.name().clone()));
        }
        let size = Size::of_seen(seen);
        let parts = StepParts {
            key: spec.key.clone(),
            tier: seen.mark().tier.clone(),
            endpoint: seen.endpoint,
            own_id: Some(seen.vm.id.clone()),
            identity: seen.mark().identity,
            action: Action::Rename,
            reasons,
            lands: Landing::Hot,
            risk: Risk::Low,
            cost: cost_line(self.tier(&seen.mark().tier), Some(size), Some(size)),
            preconditions: unchanged(seen),
            operations,
        };
        self.propose(parts);
    }
}

fn reasons(spec: &VmSpec, old: &VmKey, seen: &Seen<'_>) -> Vec<Reason> {
    let field = |field: &str, from: String, to: String| Reason {
        field: field.to_owned(),
        from: Some(from),
        to: Some(to),
        because: Because::Renamed,
        lands: Landing::Hot,
        detail: None,
    };
    let mut reasons = vec![field("key", old.to_string(), spec.key.to_string())];
    if seen.mark().retired.is_none() && &*seen.vm.name != spec.key.name().as_str() {
        reasons.push(field("name", seen.vm.name.to_string(), spec.key.name().to_string()));
    }
    reasons
}

fn describe(standing: &KeyStanding<'_, '_>) -> &'static str {
    match standing {
        KeyStanding::Unfinished(_) | KeyStanding::Newborn(_) => "its create was never finished",
        KeyStanding::Twins(_) => "two VMs carry its mark",
        KeyStanding::Reverted(..) => "an older mark of it is back",
        KeyStanding::Stripped(_) | KeyStanding::Unmarked(..) | KeyStanding::Damaged(_) => {
            "its mark was removed or damaged"
        }
        KeyStanding::CloneOnly(_) => "only a copy of its mark is there",
        KeyStanding::Owned(_) | KeyStanding::Retired(_) => "it is in order",
        KeyStanding::Unknown { .. } => "it cannot be seen",
        KeyStanding::Gone | KeyStanding::Absent => "it is not there",
    }
}
