//! What the log is told of a plan: what is new in it, and no more.
//!
//! A fleet with a thousand VMs held back would otherwise fill the log each time one of them changes.

use std::collections::BTreeSet;

use crate::model::{Digest, VmKey};
use crate::plan::{Action, BlockCode, Plan, SourceTrust};

/// Lines of one plan at most; the rest is a number, and `tierwright plan` shows all of it.
const MOST_LINES: usize = 100;

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Telling {
    plan: Option<Digest>,
    lines: BTreeSet<(VmKey, Action, Option<BlockCode>)>,
    problems: usize,
}

impl Telling {
    /// Tells of a plan, and of the problems of the source that it was not made from.
    pub(super) fn tell(&mut self, plan: &Plan, problems: usize, trust: SourceTrust) {
        let problems = if trust == SourceTrust::Broken { problems } else { 0 };
        if problems > 0 && problems != self.problems {
            tracing::warn!(
                problems,
                "the source has errors: the last good revision stays in force, nothing is removed"
            );
        }
        self.problems = problems;
        if self.plan.as_ref() == Some(&plan.hash) {
            tracing::debug!(plan = plan.hash.short(), "unchanged");
            return;
        }
        let (steps, blocked, in_sync) = (plan.steps.len(), plan.blocked.len(), plan.in_sync);
        tracing::info!(plan = plan.hash.short(), steps, blocked, in_sync, "planned");
        let lines = self.lines_of(plan);
        self.plan = Some(plan.hash.clone());
        self.lines = lines;
    }

    /// Tells what was not there last time; gives what is there now.
    fn lines_of(&self, plan: &Plan) -> BTreeSet<(VmKey, Action, Option<BlockCode>)> {
        let mut now = BTreeSet::new();
        let mut left = MOST_LINES;
        let mut more = 0_usize;
        let mut is_told = |line| {
            let new = !self.lines.contains(&line);
            now.insert(line);
            let told = new && left > 0;
            left -= usize::from(told);
            more += usize::from(new && !told);
            told
        };
        for step in &plan.steps {
            if is_told((step.key.clone(), step.action, None)) {
                tracing::info!(key = %step.key, endpoint = %step.endpoint, action = ?step.action, "to do");
            }
        }
        for held in &plan.blocked {
            if is_told((held.key.clone(), held.action, Some(held.code))) {
                tracing::info!(key = %held.key, action = ?held.action, code = ?held.code, why = held.why, "held back");
            }
        }
        if more > 0 {
            tracing::info!(more, "more than is told here: `tierwright plan` shows all");
        }
        now
    }
}
