//! The preview as a unified YAML diff per VM, destructive first, blocked last.
//!
//! Each side holds the fields that the reasons name, as a tree; what is unchanged is not in it. Lines that begin with
//! `#` say what a diff cannot: the action, how it lands, and why something is blocked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::TextDiff;

use super::{escape, outline, values, words};
use crate::model::VmKey;
use crate::plan::{Plan, Reason};

/// The preview of a plan as diffs; empty when there is neither a step nor anything blocked.
pub fn diff(plan: &Plan) -> String {
    let mut out = String::new();
    for step in outline::sections(plan).into_values().flatten() {
        let _ = writeln!(
            out,
            "# {} {}: {} on {}, {}",
            words::sign(step.action),
            step.key,
            words::action_and_landing(step),
            step.endpoint,
            words::risk(step.risk)
        );
        let (from, to) = (step.endpoint.as_str(), plan.revision.0.as_str());
        body(&mut out, &step.key, &step.reasons, (from, to));
    }
    for blocked in &plan.blocked {
        let code = words::code(blocked.code);
        let why = escape::line(&blocked.why);
        let _ = writeln!(out, "# ! {}: {} is blocked, {code}: {why}", blocked.key, words::action(blocked.action));
        if let Some(digest) = &blocked.digest {
            let _ = writeln!(out, "# approve: tierwright apply --approve {}", digest.short());
        }
        let from = blocked.endpoint.as_ref().map_or("", |endpoint| endpoint.as_str());
        body(&mut out, &blocked.key, &blocked.reasons, (from, plan.revision.0.as_str()));
    }
    out
}

fn body(out: &mut String, key: &VmKey, reasons: &[Reason], (from, to): (&str, &str)) {
    for reason in reasons {
        let interruption = words::interruption(reason);
        let detail = reason.detail.as_deref().map(escape::line);
        let told: Vec<_> = interruption.into_iter().chain(detail.as_deref()).collect();
        let told = if told.is_empty() { String::new() } else { format!("; {}", told.join(": ")) };
        let _ = writeln!(out, "#   {}: {}{told}", escape::line(&reason.field), words::because(reason.because));
    }
    let before = tree(reasons, values::from);
    let after = tree(reasons, values::to);
    if before != after {
        let header = (format!("{key} ({from})"), format!("{key} ({})", escape::line(to)));
        let diff = TextDiff::from_lines(before.as_str(), after.as_str());
        let _ = write!(out, "{}", diff.unified_diff().context_radius(3).header(&header.0, &header.1));
    }
    out.push('\n');
}

/// One side's fields, by path.
#[derive(Default)]
struct Node<'a> {
    value: Option<&'a str>,
    children: BTreeMap<&'a str, Node<'a>>,
}

impl Node<'_> {
    fn write(&self, out: &mut String, depth: usize) {
        for (name, node) in &self.children {
            let indent = "  ".repeat(depth);
            let _ = match node.value {
                Some(value) => writeln!(out, "{indent}{}: {}", escape::yaml(name), escape::yaml(value)),
                None => writeln!(out, "{indent}{}:", escape::yaml(name)),
            };
            node.write(out, depth + 1);
        }
    }
}

fn tree(reasons: &[Reason], side: fn(&Reason) -> Option<&str>) -> String {
    let mut root = Node::default();
    for reason in reasons {
        if let Some(value) = side(reason) {
            let mut node = &mut root;
            for part in reason.field.split('/') {
                node = node.children.entry(part).or_default();
            }
            node.value = Some(value);
        }
    }
    let mut out = String::new();
    root.write(&mut out, 0);
    out
}
