//! A VM that is wanted and there: what is changed on it, and how that lands.
//!
//! An update that needs the VM off is five operations, so that a kill anywhere is finished by the next plan:
//!
//! ```text
//! mark: restart owed -> stop -> changes + mark: restart owed -> start -> mark: nothing owed
//! ```

use super::draft::{About, Draft, Size, StepParts, cost_line, unchanged};
use super::marks::{self, Pen};
use crate::diff::{self, Difference, Differences, Effect, Pair};
use crate::mark::{Mark, Pending};
use crate::model::{AllowReboot, EndpointName, PowerGoal, PowerState, Tier, VmSpec};
use crate::plan::census::Seen;
use crate::plan::placement;
use crate::plan::safety::{No, disks, machine, source};
use crate::plan::{Action, Because, BlockCode, Change, Landing, Operation, Reason, Risk};

/// How the guest fares through an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It runs on, or was off and stays off.
    AsItIs,
    /// Off and on again.
    Restart,
    /// Off, and it stays off.
    Stop,
    /// It was off, and is started.
    Start,
}

impl<'a> Draft<'a> {
    /// Compares, and proposes what differs.
    pub fn update(&mut self, spec: &'a VmSpec, tier: &'a Tier, seen: &'a Seen<'a>) {
        self.tally.there(&seen.mark().tier, Size::of_seen(seen));
        if let Some((action, no)) = self.elsewhere(spec, tier, seen) {
            return self.block(About::seen(&spec.key, seen, action), no, Vec::new());
        }
        let pair = Pair { spec, tier, mark: seen.mark(), vm: seen.vm, config: seen.config };
        let user_data = self.user_data(spec, seen.mark().identity, Some(seen.mark()));
        let mut differences = diff::differences(pair, user_data.as_ref());
        if seen.mark().tier != spec.tier {
            differences.found.push(tier_differs(spec, seen.mark()));
        }
        for note in std::mem::take(&mut differences.notes) {
            self.note(Some(&spec.key), note);
        }
        if let Some(adopt) = spec.adopt.as_ref().filter(|adopt| adopt.id != seen.vm.id) {
            let text =
                format!("adopt names {}, and the key is held by {} already; adopt does nothing", adopt.id, seen.vm.id);
            self.note(Some(&spec.key), text);
        }
        if differences.found.is_empty() && differences.obstacles.is_empty() {
            if let Some(question) = &seen.config.question {
                self.note(Some(&spec.key), format!("the hypervisor waits for an answer: {question}"));
            }
            self.in_sync += 1;
            return;
        }
        self.change(pair, seen, differences, user_data);
    }

    /// Is the VM where its tier does not put it? Then nothing is changed: a VM moves, or it does not.
    fn elsewhere(&self, spec: &VmSpec, tier: &Tier, seen: &Seen<'_>) -> Option<(Action, No)> {
        let own = &seen.mark().tier;
        let moved = own != &spec.tier
            && self
                .tier(own)
                .is_some_and(|before| before.placement != tier.placement && before.endpoints == tier.endpoints);
        if tier.endpoints.contains(seen.endpoint) && !moved {
            return None;
        }
        let hypervisor =
            |endpoint: &EndpointName| self.input.policy.endpoints.get(endpoint).map(|policy| policy.hypervisor);
        let same = tier.endpoints.iter().any(|endpoint| hypervisor(endpoint) == hypervisor(seen.endpoint));
        let action = if same { Action::Move } else { Action::Replace };
        let why =
            format!("it is on {} ({own}) and wanted on {}; moving a VM is not built yet", seen.endpoint, spec.tier);
        Some((action, No::flat(BlockCode::NotBuilt, why)))
    }

    fn change(
        &mut self,
        pair: Pair<'a>,
        seen: &'a Seen<'a>,
        differences: Differences,
        user_data: Option<crate::model::Digest>,
    ) {
        let Pair { spec, tier, .. } = pair;
        let Differences { found, obstacles, notes: _ } = differences;
        let course = course(pair, &found);
        let action = action(&found);
        let mut reasons: Vec<Reason> = found.iter().map(|difference| difference.reason.clone()).collect();
        if course == Course::Stop {
            for reason in reasons.iter_mut().filter(|reason| reason.lands == Landing::Reboot) {
                reason.lands = Landing::PowerOff;
            }
        }
        if !self.is_touchable(About::seen(&spec.key, seen, action), seen, &reasons) {
            return;
        }
        let changes: Vec<Change> = found.iter().flat_map(changes_of).cloned().collect();
        let no = (obstacles.into_iter().next().map(|obstacle| No::flat(obstacle.code, obstacle.why)))
            .or_else(|| reboot_not_allowed(spec, course, &reasons))
            .or_else(|| match course {
                Course::Restart | Course::Stop => machine::may_stop(seen.config, spec.shutdown),
                Course::AsItIs | Course::Start => None,
            })
            .or_else(|| self.deletes_file(seen, &changes))
            .or_else(|| self.takes_what_is_taken(pair, seen, &found, &changes));
        if let Some(no) = no {
            return self.block(About::seen(&spec.key, seen, action), no, reasons);
        }
        let after = marks::after_update(pair, &changes, user_data);
        let lands = reasons.iter().map(|reason| reason.lands).max().unwrap_or(Landing::Hot);
        let parts = StepParts {
            key: spec.key.clone(),
            tier: spec.tier.clone(),
            endpoint: seen.endpoint,
            own_id: Some(seen.vm.id.clone()),
            identity: seen.mark().identity,
            action,
            risk: risk(lands, &changes, &found),
            lands,
            cost: cost_line(Some(tier), Some(Size::of_seen(seen)), Some(Size::of_spec(spec))),
            preconditions: unchanged(seen),
            operations: operations(pair, course, changes, &after, &found),
            reasons,
        };
        self.propose(parts);
    }

    /// A disk's file is deleted only by the source that may destroy, and never one that another disk needs.
    fn deletes_file(&self, seen: &Seen<'_>, changes: &[Change]) -> Option<No> {
        let observed = self.input.inventory.observed(seen.endpoint);
        changes.iter().find_map(|change| {
            let Change::DeleteDisk(at) = change else { return None };
            let disk = seen.config.disks.iter().find(|disk| *disk.slot == *at.slot);
            let marked = || seen.mark().disks.get(&at.name)?.file.as_deref();
            let file = disk.map_or_else(marked, |disk| disk.file.as_deref());
            source::may_destroy(self.input.source)
                .or_else(|| file.and_then(|file| disks::has_child(file, &seen.vm.id, observed)))
        })
    }

    /// Names, MACs and storage that another VM has, or that are not there.
    fn takes_what_is_taken(
        &mut self,
        pair: Pair<'_>,
        seen: &'a Seen<'a>,
        found: &[Difference],
        changes: &[Change],
    ) -> Option<No> {
        let observed = self.input.inventory.observed(seen.endpoint)?;
        let at = (seen.endpoint, observed);
        let own = Some(&seen.vm.id);
        if found.iter().any(|difference| difference.effect == Effect::Name) {
            let folder = seen.vm.placed.folder.as_deref();
            if let Err(why) = self.ledger.take_name(at, pair.spec.key.name().as_str(), folder, own) {
                return Some(No::flat(BlockCode::NameTaken, why));
            }
        }
        changes.iter().find_map(|change| self.lacks(at, seen, change))
    }

    fn lacks(
        &mut self,
        at: (&'a EndpointName, &'a crate::inventory::Observed),
        seen: &Seen<'_>,
        change: &Change,
    ) -> Option<No> {
        let (endpoint, observed) = at;
        match change {
            Change::AddNic(order) => {
                if let Err(no) = placement::network(&order.network, endpoint, observed) {
                    return Some(no);
                }
                let mac = order.mac.as_ref()?;
                self.ledger.take_mac(at, mac, Some(&seen.vm.id)).err().map(|why| No::flat(BlockCode::MacTaken, why))
            }
            Change::MoveNic { network, .. } => placement::network(network, endpoint, observed).err(),
            Change::AddDisk(order) => {
                let storage = order.storage.as_deref()?;
                if let Err(no) = placement::storage(storage, endpoint, observed) {
                    return Some(no);
                }
                self.takes_room(at, storage, order.size.0)
            }
            Change::GrowDisk { disk, size } => {
                let observed_disk = seen.config.disks.iter().find(|observed| *observed.slot == *disk.slot)?;
                let storage = observed_disk.storage.clone()?;
                self.takes_room(at, &storage, size.0.saturating_sub(observed_disk.size.0))
            }
            Change::Cpus(_)
            | Change::Memory(_)
            | Change::AttachDisk { .. }
            | Change::DetachDisk(_)
            | Change::DeleteDisk(_)
            | Change::RemoveNic(_)
            | Change::ConnectNic { .. } => None,
        }
    }

    fn takes_room(
        &mut self,
        (endpoint, observed): (&'a EndpointName, &'a crate::inventory::Observed),
        storage: &str,
        bytes: u64,
    ) -> Option<No> {
        // A store that the catalog does not list is not known to be full.
        let storage = &*observed.catalog.storage_of(storage)?.name;
        let free = self.ledger.storage_free(endpoint, observed, storage);
        if free < bytes {
            let (free, wanted) = (placement::in_mib(free), placement::in_mib(bytes));
            return Some(No::flat(
                BlockCode::NoRoom,
                format!("storage {storage} has {free} free and {wanted} is wanted"),
            ));
        }
        self.ledger.take_storage(endpoint, storage, bytes);
        None
    }
}

fn tier_differs(spec: &VmSpec, mark: &Mark) -> Difference {
    let reason = Reason {
        field: "tier".to_owned(),
        from: Some(mark.tier.to_string()),
        to: Some(spec.tier.to_string()),
        because: Because::ManifestChanged,
        lands: Landing::Hot,
        detail: Some("both tiers put it where it is; only the mark changes".to_owned()),
    };
    Difference { reason, effect: Effect::Mark }
}

fn changes_of(difference: &Difference) -> &[Change] {
    match &difference.effect {
        Effect::Hardware(changes) => changes,
        Effect::Name | Effect::Power(_) | Effect::OwedStart | Effect::Mark => &[],
    }
}

/// How the guest fares: what it is asked to be, and what the changes need.
fn course(pair: Pair<'_>, found: &[Difference]) -> Course {
    let goal = found.iter().find_map(|difference| match difference.effect {
        Effect::Power(goal) => Some(goal),
        Effect::OwedStart => Some(PowerGoal::Running),
        Effect::Hardware(_) | Effect::Name | Effect::Mark => None,
    });
    let off = found.iter().any(|difference| difference.reason.lands == Landing::Reboot);
    match (pair.config.power, goal) {
        (_, Some(PowerGoal::Stopped)) => Course::Stop,
        (_, Some(PowerGoal::Running)) => Course::Start,
        (PowerState::Stopped, None) => Course::AsItIs,
        (_, None) => {
            if off {
                Course::Restart
            } else {
                Course::AsItIs
            }
        }
    }
}

/// Power alone has actions of its own; anything else with it is an update.
fn action(found: &[Difference]) -> Action {
    let mut powers =
        found.iter().filter(|difference| difference.effect != Effect::Mark || difference.reason.field == "power");
    match (powers.next().map(|difference| &difference.effect), found.len()) {
        (Some(Effect::Power(PowerGoal::Running) | Effect::OwedStart), 1) => Action::PowerOn,
        (Some(Effect::Power(PowerGoal::Stopped)), 1) => Action::PowerOff,
        _ => Action::Update,
    }
}

fn reboot_not_allowed(spec: &VmSpec, course: Course, reasons: &[Reason]) -> Option<No> {
    if course != Course::Restart {
        return None;
    }
    let allow = match spec.allow_reboot {
        AllowReboot::Always => return None,
        AllowReboot::Never => "allowReboot is never",
        AllowReboot::Window => "allowReboot is window, which acts as never until windows are built",
    };
    let needs = reasons.iter().filter(|reason| reason.lands == Landing::Reboot).map(|reason| {
        let detail = reason.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        format!("{}{detail}", reason.field)
    });
    let why = format!("it would have to be powered off for {}, and {allow}", needs.collect::<Vec<_>>().join(", "));
    Some(No::flat(BlockCode::RebootNotAllowed, why))
}

fn risk(lands: Landing, changes: &[Change], found: &[Difference]) -> Risk {
    let deletes = changes.iter().any(|change| matches!(change, Change::DeleteDisk(_)));
    let takes = changes
        .iter()
        .any(|change| matches!(change, Change::RemoveNic(_) | Change::DetachDisk(_) | Change::MoveNic { .. }));
    match lands {
        _ if deletes => Risk::High,
        Landing::Reboot | Landing::PowerOff => Risk::Medium,
        Landing::Hot if takes => Risk::Medium,
        Landing::Hot if found.iter().all(|difference| difference.effect == Effect::Mark) => Risk::None,
        Landing::Hot => Risk::Low,
    }
}

fn operations(
    pair: Pair<'_>,
    course: Course,
    changes: Vec<Change>,
    after: &Mark,
    found: &[Difference],
) -> Vec<Operation> {
    let Pair { spec, mark, .. } = pair;
    let mut pen = Pen::after(mark);
    let writes = !changes.is_empty() || !marks::same(mark, after);
    let mut operations = Vec::new();
    match course {
        Course::AsItIs if writes => operations.push(pen.write(changes, after, None)),
        Course::AsItIs => {}
        Course::Stop => {
            operations.push(Operation::Stop(spec.shutdown));
            if writes {
                operations.push(pen.write(changes, after, None));
            }
        }
        Course::Restart => {
            if mark.pending != Some(Pending::Restart) {
                operations.push(pen.write(Vec::new(), mark, Some(Pending::Restart)));
            }
            operations.push(Operation::Stop(spec.shutdown));
            operations.push(pen.write(changes, after, Some(Pending::Restart)));
            operations.push(Operation::Start);
            operations.push(pen.write(Vec::new(), after, None));
        }
        // The start stays owed until it is done.
        Course::Start if mark.pending == Some(Pending::Restart) => {
            if !changes.is_empty() {
                operations.push(pen.write(changes, after, Some(Pending::Restart)));
            }
            operations.push(Operation::Start);
            operations.push(pen.write(Vec::new(), after, None));
        }
        Course::Start => {
            if writes {
                operations.push(pen.write(changes, after, None));
            }
            operations.push(Operation::Start);
        }
    }
    if found.iter().any(|difference| difference.effect == Effect::Name) {
        operations.push(Operation::Rename(spec.key.name().clone()));
    }
    operations
}
