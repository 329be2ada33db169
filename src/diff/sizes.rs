//! CPUs and memory: hot only upwards, and only as the VM's own flags and limits say.

use super::{Difference, Differences, Effect, Pair, because};
use crate::model::{Bytes, PowerState};
use crate::plan::{Change, Reason};

pub(super) fn cpus(pair: Pair<'_>, wanted: u32, differences: &mut Differences) {
    let now = pair.config.cpus;
    if now == wanted || pair.ignores("cpus") {
        return;
    }
    let cannot = match () {
        () if wanted < now => Some("CPUs are taken away only while it is off"),
        () if !pair.config.hot.add_cpu => Some("CPU hot-add is off on this VM"),
        () => None,
    };
    let applied = pair.mark.applied.as_ref().map(|applied| applied.cpus);
    let reason = Reason {
        field: "cpus".to_owned(),
        from: Some(now.to_string()),
        to: Some(wanted.to_string()),
        because: because(applied.as_ref(), &wanted),
        lands: pair.landing(cannot.is_none()),
        detail: told(pair, cannot),
    };
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![Change::Cpus(wanted)]) });
}

pub(super) fn memory(pair: Pair<'_>, wanted: Bytes, differences: &mut Differences) {
    let now = pair.config.memory;
    if now == wanted || pair.ignores("memory") {
        return;
    }
    let hot = &pair.config.hot;
    let cannot = match () {
        () if wanted < now => Some("memory is taken away only while it is off"),
        () if !hot.add_memory => Some("memory hot-add is off on this VM"),
        () if hot.memory_limit.is_some_and(|limit| wanted > limit) => Some("that is above its hot-add limit"),
        () if hot.memory_increment.is_some_and(|step| step.0 != 0 && !(wanted.0 - now.0).is_multiple_of(step.0)) => {
            Some("that is not a multiple of its hot-add increment")
        }
        () => None,
    };
    let applied = pair.mark.applied.as_ref().map(|applied| applied.memory);
    let reason = Reason {
        field: "memory".to_owned(),
        from: Some(now.to_string()),
        to: Some(wanted.to_string()),
        because: because(applied.as_ref(), &wanted),
        lands: pair.landing(cannot.is_none()),
        detail: told(pair, cannot),
    };
    differences.found.push(Difference { reason, effect: Effect::Hardware(vec![Change::Memory(wanted)]) });
}

/// Why it cannot be hot, where that matters.
pub(super) fn told(pair: Pair<'_>, cannot: Option<&str>) -> Option<String> {
    cannot.filter(|_| pair.config.power != PowerState::Stopped).map(str::to_owned)
}
