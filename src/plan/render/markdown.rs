//! The preview in a pull request: the verdict, a table that fits a phone, and details to unfold.
//!
//! What destroys or interrupts stands unfolded. All outside text is escaped: a VM's name cannot mention a person or add
//! a link.

use std::fmt::Write as _;

use super::escape::markdown as md;
use super::outline::{self, Group, Section};
use super::values;
use super::words;
use crate::plan::{Action, Because, BlockCode, InventoryStatus, Plan, Reason, Step, cost};

/// The preview of a plan as markdown.
pub fn markdown(plan: &Plan) -> String {
    let mut out = format!("### tierwright plan for {}\n\n", md(&plan.installation));
    push(&mut out, &format!("**{}**", md(&outline::verdict(plan).1)));
    summary(&mut out, plan);
    endpoints(&mut out, plan);
    for (section, steps) in outline::sections(plan) {
        section_details(&mut out, section, &steps);
    }
    for (code, groups) in outline::blocked(plan) {
        blocked_details(&mut out, code, &groups);
    }
    if let Some(digest) = &plan.approval {
        let waiting = outline::approvable_at_once(plan);
        let what = if waiting == 1 { "what waits".to_owned() } else { format!("all {waiting} that wait") };
        push(&mut out, &format!("\nTo approve {what}:"));
        push(&mut out, &format!("\n```sh\ntierwright apply --approve {}\n```", digest.short()));
    }
    notes(&mut out, plan);
    push(&mut out, &format!("\nrevision `{}`, hash `{}`", code_span(&plan.revision.0), plan.hash));
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Text inside backticks: escaping does not work there, so what could end the span is replaced.
fn code_span(text: &str) -> String {
    super::escape::line(text).replace(['`', '|'], "'")
}

fn summary(out: &mut String, plan: &Plan) {
    push(out, "\n| what | how many |\n| --- | ---: |");
    for (action, n) in &plan.summary {
        let _ = writeln!(out, "| {} {} | {n} |", md(words::sign(*action)), words::action(*action));
    }
    let _ = writeln!(out, "| ! blocked | {} |", plan.blocked.len());
    let _ = writeln!(out, "| in sync | {} |", plan.in_sync);
    let _ = writeln!(out, "| unmanaged, never touched | {} |", plan.unmanaged);
    if !plan.cost.is_empty() {
        push(out, "\n| cost per month | before | after | change |\n| --- | ---: | ---: | ---: |");
    }
    for line in &plan.cost {
        let _ = writeln!(out, "| {} | {} | {} | {} |", line.currency, line.before, line.after, cost::difference(line));
    }
}

fn endpoints(out: &mut String, plan: &Plan) {
    let unseen: Vec<_> = plan.inventory.iter().filter(|line| line.status != InventoryStatus::Complete).collect();
    if unseen.is_empty() {
        return;
    }
    push(out, "\n| endpoint not fully seen | answer | why |\n| --- | --- | --- |");
    for line in unseen {
        let why = line.why.as_deref().unwrap_or("no reason given");
        let _ = writeln!(out, "| {} | {} | {} |", line.endpoint, words::status(line.status), md(why));
    }
}

fn section_details(out: &mut String, section: Section, steps: &[&Step]) {
    let open = if section <= Section::Interrupt { " open" } else { "" };
    let _ = writeln!(out, "\n<details{open}><summary><b>{} ({})</b></summary>\n", section.title(), steps.len());
    push(out, "| VM | action | on | cost per month | what changes and why |\n| --- | --- | --- | ---: | --- |");
    for step in steps {
        let cost = step.cost.as_ref().filter(|line| line.before != line.after);
        let cost = cost.map(|line| format!("{} {}", cost::difference(line), line.currency)).unwrap_or_default();
        let mut changes: Vec<_> = words::meaning(step.action).map(str::to_owned).into_iter().collect();
        changes.extend(step.reasons.iter().map(|reason| change(step.action, reason)));
        let _ = writeln!(
            out,
            "| `{}` | {} {} ({}) | {} on {} | {cost} | {} |",
            step.key,
            md(words::sign(step.action)),
            words::action_and_landing(step),
            words::risk(step.risk),
            step.tier,
            step.endpoint,
            changes.join("<br>")
        );
    }
    push(out, "\n</details>");
}

fn change(action: Action, reason: &Reason) -> String {
    let new = action == Action::Create && reason.because == Because::New;
    let mut line = if let (true, None, Some(to)) = (new, values::from(reason), values::to(reason)) {
        format!("{}: {}", md(&reason.field), md(to))
    } else {
        let change = values::change(reason);
        let gap = if change.is_empty() { "" } else { " " };
        format!("{}: {}{gap}({})", md(&reason.field), md(&change), words::because(reason.because))
    };
    if let Some(interruption) = words::interruption(reason) {
        let _ = write!(line, " **{interruption}**");
    }
    if let Some(detail) = &reason.detail {
        let _ = write!(line, " {}", md(detail));
    }
    line
}

fn blocked_details(out: &mut String, code: BlockCode, groups: &[Group<'_>]) {
    let number: usize = groups.iter().map(|group| group.blocked.len()).sum();
    let _ = writeln!(
        out,
        "\n<details><summary>! blocked: <b>{}</b>, {} ({number})</summary>\n",
        words::code(code),
        words::rule(code)
    );
    push(out, "| VM | action | on | why | approve |\n| --- | --- | --- | --- | --- |");
    for group in groups {
        for blocked in &group.blocked {
            let endpoint = blocked.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
            let changes = blocked.reasons.iter().filter(|_| blocked.action != Action::Create);
            let changes: Vec<_> = changes.map(|reason| format!("<br>{}", change(blocked.action, reason))).collect();
            let digest = blocked.digest.as_ref().map(|digest| format!("`{}`", digest.short())).unwrap_or_default();
            let _ = writeln!(
                out,
                "| `{}` | {} | {endpoint} | {}{} | {digest} |",
                blocked.key,
                words::action(blocked.action),
                md(group.why),
                changes.concat()
            );
        }
    }
    push(out, "\n</details>");
}

fn notes(out: &mut String, plan: &Plan) {
    if plan.notes.is_empty() {
        return;
    }
    push(out, "\n<details><summary>Notes</summary>\n");
    for note in &plan.notes {
        let about = note.key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default();
        let _ = writeln!(out, "- {about}{}", md(&note.text));
    }
    push(out, "\n</details>");
}
