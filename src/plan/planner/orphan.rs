//! A key of ours that no manifest wants any more: retire it, delete it when the grace days are over, or let it go.
//!
//! ```text
//! owned --retire--> retired --grace days over--> deleted        with graceDays 0 one delete does both
//!       --release-> unmanaged (onRemove: release)
//! ```

use super::draft::{About, Draft, Size, StepParts, cost_line, unchanged};
use super::marks::Pen;
use super::restore::nic_name;
use std::collections::BTreeSet;

use crate::diff::nic_at;
use crate::mark::{Mark, Pending, Retired};
use crate::model::{OnRemove, OwnId, PowerState, VmKey, VmName};
use crate::plan::census::{KeyStanding, LostMark, Newborn, Seen};
use crate::plan::safety::{self, No, disks, machine, mark as rule4, source, unknown::Sight};
use crate::plan::{Action, Because, BlockCode, Change, DiskAt, Landing, Operation, Precondition, Reason, Risk};

/// Why an unfinished create is not gone on with.
const UNWANTED: &str = "no manifest wants it";

impl<'a> Draft<'a> {
    /// Every VM of ours that no manifest wants, and every one that was ours and cannot be seen.
    pub fn decide_orphans(&mut self) {
        let census = self.census;
        let unwanted = census.all().iter().zip(&self.wanted).filter(|(_, wanted)| !**wanted);
        let mut keys: BTreeSet<VmKey> = unwanted.filter_map(|(seen, _)| seen.key()).collect();
        keys.extend(census.past_keys().cloned());
        keys.retain(|key| !self.input.desired.vms.contains_key(key) && !self.renamed_away.contains(key));
        for key in &keys {
            self.decide_orphan(key);
        }
        self.decide_newborn();
    }

    fn decide_orphan(&mut self, key: &VmKey) {
        let census = self.census;
        match census.standing(key) {
            KeyStanding::Owned(seen) => self.remove(seen),
            KeyStanding::Retired(seen) => self.delete_retired(seen),
            KeyStanding::Unfinished(seen) => {
                self.remove_unfinished(key, (seen.endpoint, seen.vm), Some(seen.mark()), UNWANTED);
            }
            KeyStanding::Twins(twins) => self.block_twins(key, &twins, Action::Retire),
            KeyStanding::Reverted(seen, last) => self.accept_reverted(seen, last),
            KeyStanding::Unknown { endpoint, id, last: Some(_), doubt } => {
                self.block(About { key, endpoint, own_id: id, action: Action::Retire }, doubt.into(), Vec::new());
            }
            KeyStanding::Damaged(seen) => {
                let no = super::desired::unreadable_mark(&seen.vm.name);
                self.block(About::seen(key, seen, Action::Retire), no, Vec::new());
            }
            KeyStanding::Stripped(stripped) if stripped.lost == LostMark::Unreadable => {
                let (endpoint, own_id) = (Some(stripped.endpoint), Some(&stripped.vm.id));
                let no = super::desired::unreadable_mark(&stripped.vm.name);
                self.block(About { key, endpoint, own_id, action: Action::Retire }, no, Vec::new());
            }
            // No mark, no touch: these are nobody's now, or never were ours.
            KeyStanding::Stripped(_)
            | KeyStanding::Unmarked(..)
            | KeyStanding::CloneOnly(_)
            | KeyStanding::Newborn(_)
            | KeyStanding::Unknown { last: None, .. }
            | KeyStanding::Gone
            | KeyStanding::Absent => {}
        }
    }

    /// A VM under a birth name: ours only if we can say for which key it was being made.
    fn decide_newborn(&mut self) {
        for newborn in &self.census.newborn {
            let Newborn { endpoint, vm, identity, .. } = *newborn;
            let wanted = self.input.desired.vms.keys().any(|key| self.census.free_identity(key) == identity);
            if wanted {
                continue;
            }
            let intents = self.input.history.open_intents.iter();
            match intents.filter(|intent| intent.identity == identity).map(|intent| &intent.key).next() {
                Some(key) if !self.input.desired.vms.contains_key(key) => {
                    self.remove_unfinished(key, (endpoint, vm), None, UNWANTED);
                }
                _ => self.note(None, format!("{} on {endpoint} is a create that nobody here knows of", vm.name)),
            }
        }
    }

    fn remove(&mut self, seen: &'a Seen<'a>) {
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        match seen.mark().protection.on_remove {
            OnRemove::Release => self.release(seen),
            OnRemove::Delete if seen.mark().protection.grace_days == 0 => self.delete(seen, Because::Removed),
            OnRemove::Delete => self.retire(seen, Because::Removed),
        }
    }

    /// Forgets the VM and leaves it running.
    fn release(&mut self, seen: &'a Seen<'a>) {
        let reasons = vec![reason("mark", Some(seen.mark().key.to_string()), None, Because::Removed)];
        let no = source::may_destroy(self.input.source)
            .or_else(|| machine::may_touch(self.input.policy, seen.endpoint, seen.config));
        if let Some(no) = no {
            return self.block(About::seen(&seen.mark().key, seen, Action::Release), no, reasons);
        }
        let parts = self.parts(seen, Action::Release, reasons, vec![Operation::Unmark]);
        // Released is unmanaged, and only what is managed is counted.
        let cost = cost_line(self.tier(&seen.mark().tier), Some(Size::of_seen(seen)), None);
        self.propose(StepParts { risk: Risk::Low, cost, ..parts });
    }

    /// What forbids that this VM is taken away, whoever approves.
    fn keeps(&self, seen: &Seen<'_>) -> Option<No> {
        let unseen = match self.census.sights.get(seen.endpoint) {
            Some(Sight::Whole(_)) => None,
            Some(sight) => sight.doubt().map(No::from),
            None => Some(No::flat(BlockCode::EndpointUnknown, "its endpoint was not asked")),
        };
        unseen
            .or_else(|| source::may_destroy(self.input.source))
            .or_else(|| rule4::forbids_destroy(seen.mark(), self.input.desired))
            .or_else(|| machine::may_touch(self.input.policy, seen.endpoint, seen.config))
            .or_else(|| machine::may_stop(seen.config, seen.mark().protection.shutdown))
    }

    /// Shut down, disconnect, rename: all of it can be undone.
    fn retire(&mut self, seen: &'a Seen<'a>, because: Because) {
        let running = seen.config.power != PowerState::Stopped;
        let mut reasons = vec![removed(seen, because)];
        if running {
            let power = reason("power", Some("running".to_owned()), Some("stopped".to_owned()), because);
            reasons.push(Reason { lands: Landing::PowerOff, ..power });
        }
        if let Some(no) = self.keeps(seen) {
            return self.block(About::seen(&seen.mark().key, seen, Action::Retire), no, reasons);
        }
        if seen.config.nics.iter().any(|nic| nic.connected) {
            reasons.push(reason("nics", Some("connected".to_owned()), Some("disconnected".to_owned()), because));
        }
        let name = self.retired_name(seen);
        reasons.push(reason("name", Some(seen.vm.name.to_string()), Some(name.to_string()), because));
        let operations = retire_operations(seen, &self.retired(seen), name);
        let lands = if running { Landing::PowerOff } else { Landing::Hot };
        let parts = self.parts(seen, Action::Retire, reasons, operations);
        let waits = rule4::wants_approval(seen.mark());
        self.propose_held(StepParts { lands, risk: Risk::High, ..parts }, waits);
    }

    /// How the VM is now, for the mark of a retired one. What stands there from a retire cut short stays.
    fn retired(&self, seen: &Seen<'_>) -> Retired {
        seen.mark().retired.clone().unwrap_or_else(|| Retired {
            since: self.input.now,
            name: VmName::new(&seen.vm.name).unwrap_or_else(|_| seen.mark().key.name().clone()),
            running: seen.config.power != PowerState::Stopped || seen.mark().pending == Some(Pending::Restart),
            connected: (seen.config.nics.iter()).filter(|nic| nic.connected).map(|nic| nic.mac.to_string()).collect(),
            approved: false,
        })
    }

    /// `NAME.retired-YYYYMMDD`, within the 80 characters a name may have, and free.
    fn retired_name(&mut self, seen: &'a Seen<'a>) -> VmName {
        let retired = self.retired(seen);
        let day = retired.since.strftime("%Y%m%d").to_string();
        for n in 1u32.. {
            let suffix = if n == 1 { format!(".retired-{day}") } else { format!(".retired-{day}-{n}") };
            let kept: String = retired.name.as_str().chars().take(80 - suffix.len()).collect();
            let Ok(name) = VmName::new(&format!("{kept}{suffix}")) else { break };
            let taken = self.input.inventory.observed(seen.endpoint).is_some_and(|observed| {
                let folder = seen.vm.placed.folder.as_deref();
                self.ledger.take_name((seen.endpoint, observed), name.as_str(), folder, Some(&seen.vm.id)).is_err()
            });
            if !taken {
                return name;
            }
        }
        seen.mark().key.name().clone()
    }

    /// A retired VM: a retire cut short is finished; when the grace days are over it is deleted.
    fn delete_retired(&mut self, seen: &'a Seen<'a>) {
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        if seen.mark().pending == Some(Pending::Retire) && seen.mark().protection.grace_days > 0 {
            return self.retire(seen, Because::Unfinished);
        }
        match rule4::in_grace(seen.mark(), self.input.now) {
            Some(no) => {
                let reasons = vec![removed(seen, Because::Removed)];
                self.block(About::seen(&seen.mark().key, seen, Action::Delete), no, reasons);
            }
            None => self.delete(seen, Because::GraceOver),
        }
    }

    /// Removes the VM and its mapped, attached disks; with graceDays 0 that includes the retire.
    fn delete(&mut self, seen: &'a Seen<'a>, because: Because) {
        let mut reasons = vec![removed(seen, because)];
        let observed = self.input.inventory.observed(seen.endpoint);
        let checked = match self.keeps(seen) {
            Some(no) => Err(no),
            None => disks::that_go(seen.mark(), &seen.vm.id, seen.config, observed),
        };
        let disks = match checked {
            Ok(disks) => disks,
            Err(no) => return self.block(About::seen(&seen.mark().key, seen, Action::Delete), no, reasons),
        };
        let running = seen.config.power != PowerState::Stopped;
        if running {
            let power = reason("power", Some("running".to_owned()), Some("stopped".to_owned()), because);
            reasons.push(Reason { lands: Landing::PowerOff, ..power });
        }
        reasons.extend(disks.iter().map(|disk| {
            let size = seen
                .config
                .disks
                .iter()
                .find(|observed| *observed.slot == *disk.slot)
                .map(|disk| disk.size.to_string());
            reason(&format!("disks/{}", disk.name), size, None, because)
        }));
        let operations = delete_operations(seen, &self.retired(seen), disks);
        let lands = if running { Landing::PowerOff } else { Landing::Hot };
        let parts = self.parts(seen, Action::Delete, reasons, operations);
        let cost = cost_line(self.tier(&seen.mark().tier), Some(Size::of_seen(seen)), None);
        let started_again = running && seen.mark().retired.is_some() && seen.mark().pending != Some(Pending::Retire);
        let waits = if started_again {
            let why = "it was retired, and somebody started it again; approve to stop and delete it";
            Some(No::until_approved(BlockCode::NeedsHuman, why))
        } else {
            rule4::wants_approval(seen.mark())
        };
        self.propose_held(StepParts { lands, risk: Risk::High, cost, ..parts }, waits);
    }

    /// A create that was never finished and that nobody wants now, or that cannot be finished:
    /// removed only on a person's word.
    pub(super) fn remove_unfinished(
        &mut self,
        key: &VmKey,
        (endpoint, vm): (&'a crate::model::EndpointName, &'a crate::model::ObservedVm),
        mark: Option<&Mark>,
        because: &str,
    ) {
        let (at, own_id): (_, Option<&OwnId>) = (Some(endpoint), Some(&vm.id));
        let about = About { key, endpoint: at, own_id, action: Action::Delete };
        let mut reasons = vec![reason("key", Some(key.to_string()), None, Because::Unfinished)];
        let shutdown = mark.map(|mark| mark.protection.shutdown).unwrap_or_default();
        let whole = match self.census.sights.get(endpoint) {
            Some(Sight::Whole(_)) => None,
            Some(sight) => sight.doubt().map(No::from),
            None => Some(No::flat(BlockCode::EndpointUnknown, "its endpoint was not asked")),
        };
        let no = whole
            .or_else(|| source::may_destroy(self.input.source))
            .or_else(|| machine::may_change(self.input.policy, endpoint));
        let goes = match (no, vm.readable()) {
            (Some(no), _) => Err(no),
            (None, None) => Err(No::flat(BlockCode::VmUnknown, "its configuration could not be read")),
            (None, Some(config)) => machine::may_touch_vm(config)
                .or_else(|| machine::may_stop(config, shutdown))
                .map_or_else(|| disks::of_unfinished(mark, config), Err)
                .map(|disks| (config, disks)),
        };
        let (config, disks) = match goes {
            Ok(goes) => goes,
            Err(no) => return self.block(about, no, reasons),
        };
        // One that was cut short after its start runs, and is stopped as any other.
        let running = config.power != PowerState::Stopped;
        if running {
            let power = reason("power", Some("running".to_owned()), Some("stopped".to_owned()), Because::Unfinished);
            reasons.push(Reason { lands: Landing::PowerOff, ..power });
        }
        let stop = running.then_some(Operation::Stop(shutdown));
        let operations = stop.into_iter().chain([Operation::Destroy { disks }]).collect();
        let why =
            format!("its create on {endpoint} was never finished, and {because}; approve to remove what is there");
        let Some(tier) = mark.map(|mark| mark.tier.clone()).or_else(|| self.any_tier()) else {
            return self.block(about, No::flat(BlockCode::UnfinishedCreate, why), reasons);
        };
        let identity = mark.map_or_else(|| self.census.free_identity(key), |mark| mark.identity);
        let parts = StepParts {
            key: key.clone(),
            tier,
            endpoint,
            own_id: Some(vm.id.clone()),
            identity,
            action: Action::Delete,
            reasons,
            lands: if running { Landing::PowerOff } else { Landing::Hot },
            risk: Risk::High,
            cost: None,
            preconditions: Precondition::Unchanged(safety::fingerprint(vm)),
            operations,
        };
        self.propose_held(parts, Some(No::until_approved(BlockCode::UnfinishedCreate, why)));
    }

    /// A step needs a tier for its accounts; a VM without a mark cannot say which was its own.
    fn any_tier(&self) -> Option<crate::model::TierName> {
        self.input.desired.tiers.keys().next().cloned()
    }

    fn parts<'s>(
        &self,
        seen: &'s Seen<'a>,
        action: Action,
        reasons: Vec<Reason>,
        operations: Vec<Operation>,
    ) -> StepParts<'s> {
        let size = Size::of_seen(seen);
        StepParts {
            key: seen.mark().key.clone(),
            tier: seen.mark().tier.clone(),
            endpoint: seen.endpoint,
            own_id: Some(seen.vm.id.clone()),
            identity: seen.mark().identity,
            action,
            reasons,
            lands: Landing::Hot,
            risk: Risk::None,
            cost: cost_line(self.tier(&seen.mark().tier), Some(size), Some(size)),
            preconditions: unchanged(seen),
            operations,
        }
    }
}

/// The mark says "being retired" first, so that a kill in between is seen for what it is and the former power is known.
fn retire_operations(seen: &Seen<'_>, retired: &Retired, name: VmName) -> Vec<Operation> {
    let mut pen = Pen::after(seen.mark());
    let mark = Mark { retired: Some(retired.clone()), ..seen.mark().clone() };
    let mut operations = Vec::new();
    if seen.mark().pending != Some(Pending::Retire) {
        operations.push(pen.write(Vec::new(), &mark, Some(Pending::Retire)));
    }
    if seen.config.power != PowerState::Stopped {
        operations.push(Operation::Stop(seen.mark().protection.shutdown));
    }
    let disconnect: Vec<Change> = (seen.config.nics.iter())
        .filter(|nic| nic.connected)
        .map(|nic| Change::ConnectNic { nic: nic_at(nic_name(seen.mark(), &nic.mac), nic), connected: false })
        .collect();
    if !disconnect.is_empty() {
        operations.push(pen.write(disconnect, &mark, Some(Pending::Retire)));
    }
    if *seen.vm.name != *name.as_str() {
        operations.push(Operation::Rename(name));
    }
    operations.push(pen.write(Vec::new(), &mark, None));
    operations
}

/// A VM that is not retired yet is marked so first: cut short, the next plan goes on, and the approval stays with it.
fn delete_operations(seen: &Seen<'_>, retired: &Retired, disks: Vec<DiskAt>) -> Vec<Operation> {
    let mut operations = Vec::new();
    if seen.mark().retired.is_none() {
        let mark = Mark { retired: Some(retired.clone()), ..seen.mark().clone() };
        operations.push(Pen::after(seen.mark()).write(Vec::new(), &mark, Some(Pending::Retire)));
    }
    if seen.config.power != PowerState::Stopped {
        operations.push(Operation::Stop(seen.mark().protection.shutdown));
    }
    operations.push(Operation::Destroy { disks });
    operations
}

fn removed(seen: &Seen<'_>, because: Because) -> Reason {
    reason("key", Some(seen.mark().key.to_string()), None, because)
}

fn reason(field: &str, from: Option<String>, to: Option<String>, because: Because) -> Reason {
    Reason { field: field.to_owned(), from, to, because, lands: Landing::Hot, detail: None }
}
