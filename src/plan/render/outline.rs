//! A plan in reading order: the verdict, sections with what hurts first, and blocked changes grouped by reason.

use std::collections::BTreeMap;

use super::words::count;
use crate::plan::safety::approval;
use crate::plan::{Action, BlockCode, Blocked, Change, InventoryStatus, Landing, Operation, Plan, Step};

/// What a step is filed under; in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// A VM or a disk goes away, now or in time.
    Destroy,
    /// A guest is interrupted.
    Interrupt,
    /// A VM comes.
    Create,
    /// Anything else.
    Change,
}

impl Section {
    /// Files a step.
    pub(super) fn of(step: &Step) -> Self {
        match step.action {
            action if action.is_destroy() || deleted_disks(step) > 0 => Self::Destroy,
            Action::PowerOff => Self::Interrupt,
            _ if step.lands > Landing::Hot => Self::Interrupt,
            Action::Create => Self::Create,
            _ => Self::Change,
        }
    }

    /// Its heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Destroy => "DESTROY",
            Self::Interrupt => "INTERRUPT: a guest is rebooted or stopped",
            Self::Create => "CREATE",
            Self::Change => "CHANGE: no guest is interrupted",
        }
    }
}

/// How many disk files a step takes away.
pub(super) fn deleted_disks(step: &Step) -> usize {
    let changes = step.operations.iter().filter_map(|operation| match operation {
        Operation::Reconfigure { changes, .. } => Some(changes),
        _ => None,
    });
    changes.flatten().filter(|change| matches!(change, Change::DeleteDisk(_))).count()
}

/// Steps by section, each in the plan's order.
pub(super) fn sections(plan: &Plan) -> BTreeMap<Section, Vec<&Step>> {
    let mut sections: BTreeMap<Section, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        sections.entry(Section::of(step)).or_default().push(step);
    }
    sections
}

/// Blocked changes that one rule and one explanation cover.
pub(super) struct Group<'a> {
    /// The explanation.
    pub why: &'a str,
    /// Does an approval help?
    pub approvable: bool,
    /// What is blocked, in the plan's order.
    pub blocked: Vec<&'a Blocked>,
}

/// Blocked changes by rule, then by explanation; those that wait for a person come first.
pub(super) fn blocked(plan: &Plan) -> Vec<(BlockCode, Vec<Group<'_>>)> {
    let mut rules: BTreeMap<BlockCode, BTreeMap<(bool, &str), Vec<&Blocked>>> = BTreeMap::new();
    for blocked in &plan.blocked {
        let place = (blocked.digest.is_none(), blocked.why.as_str());
        rules.entry(blocked.code).or_default().entry(place).or_default().push(blocked);
    }
    let mut rules: Vec<_> = rules.into_iter().map(|(code, groups)| (code, in_groups(groups))).collect();
    rules.sort_by_key(|(code, groups)| (!groups.iter().any(|group| group.approvable), *code));
    rules
}

fn in_groups<'a>(groups: BTreeMap<(bool, &'a str), Vec<&'a Blocked>>) -> Vec<Group<'a>> {
    groups.into_iter().map(|((hopeless, why), blocked)| Group { why, approvable: !hopeless, blocked }).collect()
}

/// How many blocked changes an approval would let go ahead.
pub(super) fn waiting(plan: &Plan) -> usize {
    plan.blocked.iter().filter(|blocked| blocked.digest.is_some()).count()
}

/// How many of them the plan's one digest would let go ahead.
pub(super) fn approvable_at_once(plan: &Plan) -> usize {
    plan.blocked.iter().filter_map(approval::covered).count()
}

/// How bad the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gravity {
    /// Nothing happens.
    Calm,
    /// Something changes.
    Change,
    /// A person should look.
    Care,
    /// Something goes away.
    Danger,
}

/// The first line: what would happen, worst first, and what would not.
pub(super) fn verdict(plan: &Plan) -> (Gravity, String) {
    let mut sentences = Vec::new();
    let done = deeds(plan);
    sentences.push(match (done.is_empty(), plan.blocked.is_empty()) {
        (false, _) => format!("Will {}.", done.join(", ")),
        (true, true) => format!("Nothing to do: {} as desired.", count(plan.in_sync as usize, "VM is", "VMs are")),
        (true, false) => "Nothing will be changed.".to_owned(),
    });
    if !plan.blocked.is_empty() {
        sentences.push(match waiting(plan) {
            0 => format!("{} blocked.", plan.blocked.len()),
            waiting => format!("{} blocked ({waiting} {} approval).", plan.blocked.len(), awaits(waiting)),
        });
    }
    let unseen = plan.inventory.iter().filter(|line| line.status != InventoryStatus::Complete).count();
    if unseen > 0 {
        sentences.push(format!("{} IN DOUBT.", count(unseen, "endpoint", "endpoints")));
    }
    let gravity = match () {
        () if plan.steps.iter().any(|step| Section::of(step) == Section::Destroy) => Gravity::Danger,
        () if unseen > 0 || !plan.blocked.is_empty() => Gravity::Care,
        () if plan.steps.iter().any(|step| Section::of(step) == Section::Interrupt) => Gravity::Care,
        () if !plan.steps.is_empty() => Gravity::Change,
        () => Gravity::Calm,
    };
    (gravity, sentences.join(" "))
}

const fn awaits(n: usize) -> &'static str {
    if n == 1 { "awaits" } else { "await" }
}

/// What the steps do, in a few words each, worst first.
fn deeds(plan: &Plan) -> Vec<String> {
    let number = |wanted: &dyn Fn(&Step) -> bool| plan.steps.iter().filter(|step| wanted(step)).count();
    let calm = |action: Action| number(&|step| step.action == action && step.lands == Landing::Hot);
    let interrupts = |landing: Landing| {
        number(&|step| !step.action.is_destroy() && step.action != Action::PowerOff && step.lands == landing)
    };
    let disks: usize = plan.steps.iter().map(deleted_disks).sum();
    let all = [
        ("DELETE", number(&|step| matches!(step.action, Action::Delete | Action::Replace)), ("VM", "VMs")),
        ("RETIRE", number(&|step| step.action == Action::Retire), ("VM", "VMs")),
        ("DELETE", disks, ("disk", "disks")),
        ("REBOOT", interrupts(Landing::Reboot), ("", "")),
        ("POWER OFF", number(&|step| step.action == Action::PowerOff) + interrupts(Landing::PowerOff), ("", "")),
        ("create", calm(Action::Create), ("", "")),
        ("update", calm(Action::Update), ("", "")),
        ("power on", calm(Action::PowerOn), ("", "")),
        ("restore", calm(Action::Restore), ("", "")),
        ("rename", calm(Action::Rename), ("", "")),
        ("adopt", calm(Action::Adopt), ("", "")),
        ("release", calm(Action::Release), ("", "")),
        ("move", calm(Action::Move), ("", "")),
    ];
    let told = all.into_iter().filter(|(_, n, _)| *n > 0);
    told.map(|(verb, n, (one, many))| format!("{verb} {}", count(n, one, many)).trim_end().to_owned()).collect()
}
