//! What the log is told of the VMs: what is new in their status lines, and no more.
//!
//! A fleet with a thousand VMs held back would otherwise fill the log each time one of them changes.

use std::collections::BTreeMap;

use crate::model::VmKey;
use crate::plan::{Action, BlockCode, Plan};
use crate::status::{VmIs, VmStatus};

/// Lines of one plan at most; the rest is a number, and `tierwright plan` shows all of it.
const MOST_LINES: usize = 100;

/// A line as far as the log cares.
type Line = (VmIs, Option<Action>, Option<BlockCode>);

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Telling {
    counts: Option<(usize, usize, u32)>,
    lines: BTreeMap<VmKey, Line>,
    problems: usize,
}

impl Telling {
    /// Tells of the problems of the source that what is in force was not made from.
    pub(super) fn tell_problems(&mut self, problems: usize) {
        if problems > 0 && problems != self.problems {
            tracing::warn!(
                problems,
                "the source has errors: the last good revision stays in force, nothing is removed"
            );
        }
        self.problems = problems;
    }

    /// Tells of a plan, by the lines that it left of each VM.
    pub(super) fn tell(&mut self, plan: &Plan, lines: &BTreeMap<VmKey, VmStatus>) {
        let count = |is| lines.values().filter(|line| line.is == is).count();
        let counts = (count(VmIs::Planned), count(VmIs::Held), u32::try_from(count(VmIs::InSync)).unwrap_or(u32::MAX));
        let now: BTreeMap<VmKey, Line> = lines
            .iter()
            .filter(|(_, line)| line.is != VmIs::InSync)
            .map(|(key, line)| (key.clone(), (line.is, line.action, line.code)))
            .collect();
        if self.counts == Some(counts) && self.lines == now {
            tracing::debug!(plan = plan.hash.short(), "unchanged");
            return;
        }
        let (steps, blocked, in_sync) = counts;
        tracing::info!(plan = plan.hash.short(), steps, blocked, in_sync, "planned");
        let is_new = |key: &&VmKey| now.get(*key) != self.lines.get(*key);
        let new: Vec<&VmKey> = now.keys().filter(is_new).collect();
        for key in new.iter().take(MOST_LINES) {
            tell_line(key, &lines[*key]);
        }
        if new.len() > MOST_LINES {
            tracing::info!(more = new.len() - MOST_LINES, "more than is told here: `tierwright plan` shows all");
        }
        self.counts = Some(counts);
        self.lines = now;
    }
}

fn tell_line(key: &VmKey, line: &VmStatus) {
    let endpoint = line.endpoint.as_ref().map(tracing::field::display);
    match line.is {
        VmIs::Planned => tracing::info!(%key, endpoint, action = ?line.action, "to do"),
        VmIs::Held => {
            let (action, code, why) = (line.action, line.code, line.why.as_deref());
            tracing::info!(%key, endpoint, ?action, ?code, why, "held back");
        }
        VmIs::InSync => {}
    }
}
