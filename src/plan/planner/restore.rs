//! A retired VM whose manifest is back: its name, its NICs and its power are given back. What else differs comes in the
//! next plan.

use super::draft::{About, Draft, Size, StepParts, cost_line, unchanged};
use super::marks::Pen;
use crate::diff::{Pair, nic_at};
use crate::mark::{Mark, Pending};
use crate::model::{PowerGoal, PowerState, Tier, VmSpec};
use crate::plan::census::Seen;
use crate::plan::safety::{No, disks};
use crate::plan::{Action, Because, BlockCode, Change, Landing, Operation, Reason, Risk};

impl<'a> Draft<'a> {
    /// Undoes a retire.
    pub fn restore(&mut self, spec: &'a VmSpec, tier: &'a Tier, seen: &'a Seen<'a>) {
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        let Some(retired) = seen.mark().retired.clone() else { return };
        let about = About::seen(&spec.key, seen, Action::Restore);
        let starts = seen.config.power == PowerState::Stopped
            && match spec.power {
                Some(goal) => goal == PowerGoal::Running,
                None => retired.running,
            };
        let changes: Vec<Change> = (seen.config.nics.iter())
            .filter(|nic| !nic.connected && retired.connected.iter().any(|mac| mac.eq_ignore_ascii_case(&nic.mac)))
            .map(|nic| Change::ConnectNic { nic: nic_at(nic_name(seen.mark(), &nic.mac), nic), connected: true })
            .collect();
        let renames = &*seen.vm.name != spec.key.name().as_str();
        let reasons = reasons(spec, seen, changes.len(), starts);
        if !self.is_touchable(about, seen, &reasons) {
            return;
        }
        if let (true, Some(observed)) = (renames, self.input.inventory.observed(seen.endpoint)) {
            let (folder, name) = (seen.vm.placed.folder.as_deref(), spec.key.name().as_str());
            if let Err(why) = self.ledger.take_name((seen.endpoint, observed), name, folder, Some(&seen.vm.id)) {
                return self.block(about, No::flat(BlockCode::NameTaken, why), reasons);
            }
        }
        let pair = Pair { spec, tier, mark: seen.mark(), vm: seen.vm, config: seen.config };
        if let Some(no) = disks::may_come_back(pair) {
            return self.block(about, no, reasons);
        }
        let mut pen = Pen::after(seen.mark());
        let after = Mark { retired: None, ..seen.mark().clone() };
        let mut operations = vec![pen.write(changes, &after, starts.then_some(Pending::Restart))];
        if renames {
            operations.push(Operation::Rename(spec.key.name().clone()));
        }
        if starts {
            operations.push(Operation::Start);
            operations.push(pen.write(Vec::new(), &after, None));
        }
        let size = Size::of_seen(seen);
        let parts = StepParts {
            key: spec.key.clone(),
            tier: seen.mark().tier.clone(),
            endpoint: seen.endpoint,
            own_id: Some(seen.vm.id.clone()),
            identity: seen.mark().identity,
            action: Action::Restore,
            reasons,
            lands: Landing::Hot,
            risk: Risk::Low,
            cost: cost_line(Some(tier), Some(size), Some(size)),
            preconditions: unchanged(seen),
            operations,
        };
        self.propose(parts);
    }
}

/// The name that the mark gives to the NIC of this MAC.
pub(super) fn nic_name<'m>(mark: &'m Mark, mac: &'m str) -> &'m str {
    let own = mark.nics.iter().find(|(_, nic)| nic.mac.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(mac)));
    own.map_or(mac, |(name, _)| name.as_str())
}

fn reasons(spec: &VmSpec, seen: &Seen<'_>, nics: usize, starts: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut field = |field: &str, from: Option<String>, to: Option<String>| {
        let (field, because, lands) = (field.to_owned(), Because::Returned, Landing::Hot);
        reasons.push(Reason { field, from, to, because, lands, detail: None });
    };
    field("retired", seen.mark().retired.as_ref().map(|retired| retired.since.to_string()), None);
    if &*seen.vm.name != spec.key.name().as_str() {
        field("name", Some(seen.vm.name.to_string()), Some(spec.key.name().to_string()));
    }
    if nics > 0 {
        field("nics", Some("disconnected".to_owned()), Some("connected".to_owned()));
    }
    if starts {
        field("power", Some("stopped".to_owned()), Some("running".to_owned()));
    }
    reasons
}
