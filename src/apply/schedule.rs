//! Which step may start now: dependencies, slots per endpoint, destructive last. Pure: the runner tells what ended.
//!
//! ```text
//! waiting --next()--> running --ended()--> done | not done
//!    |
//!    +--(a step it depends on was not done, its endpoint was lost)--> skipped
//! ```
//!
//! Destroys begin when no building step is left: what a failed build still needs must not be gone. The plan's order
//! decides among the steps that may start.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{EndpointName, VmKey};
use crate::plan::Step;

/// What the runner should do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Start this step.
    Start(usize),
    /// A step it depends on was not done.
    Skip(usize, VmKey),
    /// It waits for steps that wait for it; no plan of ours says so, but a saved one is only a file.
    Circular(usize),
}

/// The state of one run.
pub(super) struct Schedule<'p> {
    steps: &'p [Step],
    by_key: BTreeMap<&'p VmKey, usize>,
    slots: BTreeMap<&'p EndpointName, usize>,
    waiting: BTreeSet<usize>,
    done: Vec<Option<bool>>,
    /// Building steps that have not ended.
    building: usize,
    running: usize,
    /// A step was not done, so that others may have to be skipped.
    any_failed: bool,
}

impl<'p> Schedule<'p> {
    /// All steps wait; `parallel` says how many may run at a time on an endpoint.
    pub(super) fn new(steps: &'p [Step], parallel: impl Fn(&EndpointName) -> usize) -> Self {
        Self {
            steps,
            by_key: (0..).zip(steps).map(|(at, step)| (&step.key, at)).collect(),
            slots: steps.iter().map(|step| (&step.endpoint, parallel(&step.endpoint).max(1))).collect(),
            waiting: (0..steps.len()).collect(),
            done: vec![None; steps.len()],
            building: steps.iter().filter(|step| !step.action.is_destroy()).count(),
            running: 0,
            any_failed: false,
        }
    }

    /// The next thing to do, if there is one now. Takes the step out of waiting.
    pub(super) fn next(&mut self) -> Option<Next> {
        let next = self.scan().or_else(|| self.unstick())?;
        match next {
            Next::Start(at) => {
                self.waiting.remove(&at);
                self.running += 1;
                if let Some(slots) = self.slots.get_mut(&self.steps[at].endpoint) {
                    *slots = slots.saturating_sub(1);
                }
            }
            Next::Skip(at, _) | Next::Circular(at) => self.settle(at, false),
        }
        Some(next)
    }

    /// A started step ended.
    pub(super) fn ended(&mut self, at: usize, done: bool) {
        self.running = self.running.saturating_sub(1);
        if let Some(slots) = self.slots.get_mut(&self.steps[at].endpoint) {
            *slots += 1;
        }
        self.settle(at, done);
    }

    fn settle(&mut self, at: usize, done: bool) {
        self.waiting.remove(&at);
        self.done[at] = Some(done);
        self.any_failed |= !done;
        if !self.steps[at].action.is_destroy() {
            self.building = self.building.saturating_sub(1);
        }
    }

    fn scan(&self) -> Option<Next> {
        // Asked after each start and each end of ten thousand steps: without a slot only what
        // waits for a failed one moves.
        if !self.any_failed && self.slots.values().all(|slots| *slots == 0) {
            return None;
        }
        self.waiting.iter().find_map(|&at| {
            let step = &self.steps[at];
            if let Some(failed) = self.failed_dependency(step) {
                return Some(Next::Skip(at, failed.clone()));
            }
            let free = self.slots.get(&step.endpoint).is_some_and(|slots| *slots > 0);
            let its_turn = !step.action.is_destroy() || self.building == 0;
            (free && its_turn && self.dependencies_done(step)).then_some(Next::Start(at))
        })
    }

    /// Nothing runs and nothing may start: a build that depends on a destroy goes past the barrier; what is left then
    /// waits in a circle.
    fn unstick(&self) -> Option<Next> {
        if self.running > 0 {
            return None;
        }
        let first = *self.waiting.first()?;
        let ready = self.waiting.iter().find(|at| self.dependencies_done(&self.steps[**at]));
        Some(ready.map_or(Next::Circular(first), |at| Next::Start(*at)))
    }

    /// A dependency without a step in this plan is in place already: the planner blocks what depends on anything else.
    fn dependencies_done(&self, step: &Step) -> bool {
        step.depends_on.iter().all(|key| self.by_key.get(key).is_none_or(|at| self.done[*at] == Some(true)))
    }

    fn failed_dependency<'s>(&self, step: &'s Step) -> Option<&'s VmKey> {
        step.depends_on.iter().find(|key| self.by_key.get(key).is_some_and(|at| self.done[*at] == Some(false)))
    }
}
