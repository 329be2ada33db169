//! The preview in a terminal: made to be read at two in the morning.
//!
//! ```text
//! verdict                      what will happen, worst first, in one sentence
//! ENDPOINTS NOT FULLY SEEN     what the plan could not know
//! DESTROY, INTERRUPT, CREATE, CHANGE    a line for each VM, a line for each field
//! BLOCKED                      by rule, with why, and what an approval would let go ahead
//! NOTES, counts, cost, hash
//! ```
//!
//! What is unchanged is only counted.

use std::collections::BTreeSet;

use super::outline::{self, Gravity, Group, Section};
use super::page::{Line, Page, Tone};
use super::words::{self, count};
use super::{TextOptions, values};
use crate::plan::{Action, Because, BlockCode, Blocked, CostLine, InventoryStatus, Plan, Reason, Step, cost};

/// More blocked VMs than this of which one thing is true are named in a row, not a line each.
const CROWD: usize = 6;
/// So many of a crowd are named where no approval helps; the rest is counted and stands in the JSON.
const NAMED_PER_GROUP: usize = 20;
/// A key column wider than this is not filled up for the others.
const KEY_COLUMN: usize = 40;

/// The preview of a plan.
pub fn text(plan: &Plan, options: &TextOptions) -> String {
    let mut page = Page::new(options.width);
    verdict(&mut page, plan);
    endpoints(&mut page, plan);
    let keys = plan.steps.iter().map(|step| step.key.to_string().chars().count()).max().unwrap_or_default();
    for (section, steps) in outline::sections(plan) {
        steps_of(&mut page, section, &steps, 6 + keys.min(KEY_COLUMN));
    }
    blocked(&mut page, plan);
    notes(&mut page, plan);
    footer(&mut page, plan);
    page.finish(options.color)
}

fn verdict(page: &mut Page, plan: &Plan) {
    let (gravity, text) = outline::verdict(plan);
    let tone = match gravity {
        Gravity::Calm => Tone::Good,
        Gravity::Change => Tone::Strong,
        Gravity::Care => Tone::Care,
        Gravity::Danger => Tone::Danger,
    };
    page.flow(Line::default(), tone, &text);
}

fn endpoints(page: &mut Page, plan: &Plan) {
    let unseen: Vec<_> = plan.inventory.iter().filter(|line| line.status != InventoryStatus::Complete).collect();
    if unseen.is_empty() {
        return;
    }
    page.heading(Tone::Care, "ENDPOINTS NOT FULLY SEEN: nothing is concluded from what is missing there");
    let column = 6 + unseen.iter().map(|line| line.endpoint.as_str().len()).max().unwrap_or_default();
    for line in unseen {
        let start = Line::at(2)
            .put(Tone::Care, "? ")
            .put(Tone::Strong, line.endpoint.as_str())
            .column(column)
            .put(Tone::Care, words::status(line.status))
            .put(Tone::Plain, "  ");
        page.flow(start, Tone::Plain, line.why.as_deref().unwrap_or("no reason given"));
    }
}

const fn tone_of(section: Section) -> Tone {
    match section {
        Section::Destroy => Tone::Danger,
        Section::Interrupt => Tone::Care,
        Section::Create => Tone::Good,
        Section::Change => Tone::Change,
    }
}

fn steps_of(page: &mut Page, section: Section, steps: &[&Step], column: usize) {
    let tone = tone_of(section);
    page.heading(tone, &format!("{} ({})", section.title(), steps.len()));
    let mut explained = BTreeSet::new();
    for step in steps {
        step_line(page, step, column, tone);
        if let Some(meaning) = words::meaning(step.action).filter(|_| explained.insert(step.action)) {
            page.flow(Line::at(6), Tone::Quiet, meaning);
        }
        if step.action == Action::Create {
            created(page, &step.reasons);
        } else {
            reasons(page, &step.reasons);
        }
        if !step.depends_on.is_empty() {
            let keys: Vec<_> = step.depends_on.iter().map(ToString::to_string).collect();
            page.flow(Line::at(6).put(Tone::Quiet, "after "), Tone::Quiet, &keys.join(", "));
        }
    }
}

fn step_line(page: &mut Page, step: &Step, column: usize, tone: Tone) {
    let cost = step.cost.as_ref().filter(|line| line.before != line.after);
    let cost = cost.map(|line| format!("{} {}/mo", cost::difference(line), line.currency)).unwrap_or_default();
    let place = format!("{} on {}, {}", step.tier, step.endpoint, words::risk(step.risk));
    let line = Line::at(2)
        .put(tone, &format!("{} ", words::sign(step.action)))
        .put(Tone::Strong, &step.key.to_string())
        .column(column)
        .put(tone, words::action_and_landing(step));
    let line = if line.width().max(column + 18) + place.len() + cost.len() + 4 > page.width() {
        page.push(line);
        Line::at(6)
    } else {
        line.column(column + 18)
    };
    let line = line.put(Tone::Plain, &place);
    let edge = page.width();
    page.push(line.right(edge, Tone::Plain, &cost));
}

/// All fields of a new VM, in a row: nothing about them is a change.
fn created(page: &mut Page, reasons: &[Reason]) {
    let (plain, told): (Vec<_>, Vec<_>) =
        reasons.iter().partition(|reason| reason.from.is_none() && reason.detail.is_none());
    let fields: Vec<_> =
        plain.iter().filter_map(|reason| Some(format!("{} {}", reason.field, values::to(reason)?))).collect();
    if !fields.is_empty() {
        page.flow(Line::at(6), Tone::Plain, &fields.join(", "));
    }
    if plain.iter().any(|reason| reason.because == Because::Unfinished) {
        page.push(Line::at(6).put(Tone::Quiet, "goes on with a create that was cut short"));
    }
    reasons_of(page, &told);
}

fn reasons(page: &mut Page, reasons: &[Reason]) {
    reasons_of(page, &reasons.iter().collect::<Vec<_>>());
}

/// A line for each field: what it is, what it becomes, and why; what interrupts the guest stands on its own.
fn reasons_of(page: &mut Page, reasons: &[&Reason]) {
    let fields = reasons.iter().map(|reason| reason.field.chars().count()).max().unwrap_or_default().min(28);
    for reason in reasons {
        let start = Line::at(6).put(Tone::Plain, &reason.field).column(8 + fields);
        let change = values::change(reason);
        let because = words::because(reason.because);
        let text = if change.is_empty() { because.to_owned() } else { format!("{change}  ({because})") };
        page.flow(start, Tone::Plain, &text);
        match (words::interruption(reason), reason.detail.as_deref()) {
            (Some(interruption), Some(detail)) => {
                page.flow(Line::at(8 + fields), Tone::Care, &format!("{interruption}: {detail}"));
            }
            (Some(interruption), None) => page.flow(Line::at(8 + fields), Tone::Care, interruption),
            (None, Some(detail)) => page.flow(Line::at(8 + fields), Tone::Quiet, detail),
            (None, None) => {}
        }
    }
}

fn blocked(page: &mut Page, plan: &Plan) {
    let rules = outline::blocked(plan);
    if rules.is_empty() {
        return;
    }
    page.heading(Tone::Care, &format!("BLOCKED ({}): left as they are", plan.blocked.len()));
    let keys = plan.blocked.iter().map(|blocked| blocked.key.to_string().chars().count()).max().unwrap_or_default();
    for (code, groups) in rules {
        let number = groups.iter().map(|group| group.blocked.len()).sum();
        rule(page, code, number);
        for group in groups {
            blocked_group(page, &group, 8 + keys.min(KEY_COLUMN));
        }
    }
    let waiting = outline::approvable_at_once(plan);
    if let Some(digest) = plan.approval.as_ref().filter(|_| waiting > 1) {
        page.push(Line::default());
        page.push(Line::at(2).put(Tone::Strong, &format!("To approve all {waiting} that wait:")));
        page.push(Line::at(6).put(Tone::Care, &command(digest.short())));
    }
}

fn rule(page: &mut Page, code: BlockCode, number: usize) {
    let count = if number > 1 { format!(" ({number})") } else { String::new() };
    let line = Line::at(2).put(Tone::Care, &words::code(code)).put(Tone::Plain, ": ");
    page.flow(line, Tone::Plain, &format!("{}{count}", words::rule(code)));
}

fn blocked_group(page: &mut Page, group: &Group<'_>, column: usize) {
    let mut digests: Vec<_> = group.blocked.iter().filter_map(|blocked| blocked.digest.as_ref()).collect();
    digests.dedup();
    let in_a_row = digests.len() <= 1 || group.blocked.len() > NAMED_PER_GROUP;
    if in_a_row && is_crowd(&group.blocked) {
        crowd(page, &group.blocked, group.approvable);
        if digests.len() > 1 {
            page.push(Line::at(8).put(Tone::Quiet, "each has a digest of its own: `-o json`"));
        }
    } else {
        for blocked in &group.blocked {
            blocked_line(page, blocked, column, digests.len() > 1);
        }
    }
    page.flow(Line::at(8), Tone::Plain, group.why);
    if let [digest] = digests[..] {
        let all = if group.blocked.len() > 1 { "approve all of these: " } else { "approve: " };
        page.push(Line::at(8).put(Tone::Quiet, all).put(Tone::Care, &command(digest.short())));
    }
}

/// Many of which there is nothing to say one by one.
fn is_crowd(blocked: &[&Blocked]) -> bool {
    let alike = |other: &&Blocked| (other.action, &other.endpoint) == (blocked[0].action, &blocked[0].endpoint);
    blocked.len() > CROWD
        && blocked.iter().all(alike)
        && blocked.iter().all(|blocked| changes(blocked).next().is_none())
}

/// Names in a row; all of them where a person may be about to approve them.
fn crowd(page: &mut Page, blocked: &[&Blocked], approvable: bool) {
    let shown = if approvable { blocked.len() } else { blocked.len().min(NAMED_PER_GROUP) };
    let mut names: Vec<_> = blocked[..shown].iter().map(|blocked| blocked.key.to_string()).collect();
    if shown < blocked.len() {
        names.push(format!("and {} more (`-o json` names each)", blocked.len() - shown));
    }
    let place = blocked[0].endpoint.as_ref().map(|endpoint| format!(" on {endpoint}")).unwrap_or_default();
    let start = Line::at(4).put(Tone::Care, "! ");
    page.flow(start, Tone::Strong, &format!("{}{place}: {}", words::action(blocked[0].action), names.join(", ")));
}

/// What would have changed, field by field. Of a VM that would have come or gone, the action says it all.
fn changes(blocked: &Blocked) -> impl Iterator<Item = &Reason> {
    let told = blocked.action != Action::Create && !blocked.action.is_destroy();
    blocked.reasons.iter().filter(move |reason| told && !values::change(reason).is_empty())
}

fn blocked_line(page: &mut Page, blocked: &Blocked, column: usize, own_digest: bool) {
    let place = blocked.endpoint.as_ref().map(|endpoint| format!(" on {endpoint}")).unwrap_or_default();
    let mut line = Line::at(4)
        .put(Tone::Care, "! ")
        .put(Tone::Strong, &blocked.key.to_string())
        .column(column)
        .put(Tone::Plain, &format!("{}{place}", words::action(blocked.action)));
    if let (true, Some(digest)) = (own_digest, &blocked.digest) {
        line = line.right(page.width(), Tone::Quiet, &format!("--approve {}", digest.short()));
    }
    page.push(line);
    for reason in changes(blocked) {
        let interruption = words::interruption(reason).map(|what| format!(", {what}")).unwrap_or_default();
        page.flow(Line::at(8), Tone::Plain, &format!("{}  {}{interruption}", reason.field, values::change(reason)));
    }
}

fn command(digest: &str) -> String {
    format!("tierwright apply --approve {digest}")
}

fn notes(page: &mut Page, plan: &Plan) {
    if plan.notes.is_empty() {
        return;
    }
    page.heading(Tone::Strong, "NOTES: nothing to approve, good to know");
    for note in &plan.notes {
        let start = Line::at(2).put(Tone::Quiet, "* ");
        let about = note.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        page.flow(start.put(Tone::Strong, &about), Tone::Plain, &note.text);
    }
}

fn footer(page: &mut Page, plan: &Plan) {
    let label = |name: &str| Line::default().put(Tone::Quiet, &format!("{name:<10}"));
    page.push(Line::default());
    page.flow(label("counts"), Tone::Plain, &counts(plan));
    for line in &plan.cost {
        page.flow(label("cost"), Tone::Plain, &cost_line(line));
    }
    page.flow(label("revision"), Tone::Plain, &format!("{}, for {}", plan.revision, plan.installation));
    page.push(label("hash").put(Tone::Plain, plan.hash.as_str()));
}

/// Steps by action, then what is not a step.
pub(super) fn counts(plan: &Plan) -> String {
    let mut counts: Vec<_> = plan.summary.iter().map(|(action, n)| format!("{n} {}", words::action(*action))).collect();
    if counts.is_empty() {
        counts.push("no steps".to_owned());
    }
    counts.push(format!("{} blocked", plan.blocked.len()));
    counts.push(format!("{} in sync", plan.in_sync));
    counts.push(format!("{} never touched", count(plan.unmanaged as usize, "unmanaged VM", "unmanaged VMs")));
    counts.join(", ")
}

fn cost_line(line: &CostLine) -> String {
    format!("{} {} -> {} per month ({})", line.currency, line.before, line.after, cost::difference(line))
}
