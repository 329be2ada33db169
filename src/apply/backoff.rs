//! How long to leave alone what just failed: a VM within a run and across the cycles of `serve`.
//!
//! Pure: told the time, asked for a verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Digest, VmKey};
use crate::plan::Step;

/// After the first failure; doubles with each one more.
const FIRST: Duration = Duration::from_secs(30);

/// Never longer than this: a cause that was removed is noticed within it.
const LONGEST: Duration = Duration::from_mins(15);

/// What failed lately, by VM.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failing: BTreeMap<VmKey, Failing>,
}

#[derive(Debug, Clone)]
struct Failing {
    /// Of what was to be done and why: other work on the VM is another try. The step itself would not do, since the
    /// mark's generation in it moves with each attempt.
    work: Digest,
    times: u32,
    until: Timestamp,
    why: String,
}

impl Backoff {
    /// Why this step should wait, if it should.
    pub fn holds(&self, step: &Step, now: Timestamp) -> Option<String> {
        let failing = self.failing.get(&step.key)?;
        (failing.until > now && failing.work == work(step)).then(|| {
            format!("failed {} time(s), tried again after {}; last: {}", failing.times, failing.until, failing.why)
        })
    }

    /// A step failed.
    pub fn failed(&mut self, step: &Step, why: &str, now: Timestamp) {
        let work = work(step);
        let before = self.failing.get(&step.key).filter(|failing| failing.work == work);
        let times = before.map_or(1, |failing| failing.times.saturating_add(1));
        let wait = FIRST.saturating_mul(1 << (times - 1).min(10)).min(LONGEST);
        let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.failing.insert(step.key.clone(), Failing { work, times, until, why: why.to_owned() });
    }

    /// A step was done.
    pub fn done(&mut self, key: &VmKey) {
        self.failing.remove(key);
    }

    /// Forgets VMs that nothing is planned for any more.
    pub fn keep_only(&mut self, planned: impl Fn(&VmKey) -> bool) {
        self.failing.retain(|key, _| planned(key));
    }
}

fn work(step: &Step) -> Digest {
    Digest::of_json(&(step.action, &step.reasons))
}
