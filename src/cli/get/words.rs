//! How an endpoint, a tier or a VM stands, in the same words whoever tells of it: the running `serve`,
//! or a plan made on the spot.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::{progress, view};
use crate::model::{EndpointName, TierName, VmKey};
use crate::plan::{Action, BlockCode, InventoryStatus};
use crate::status::{EndpointStatus, Status, TierStatus, VmIs, VmStatus};

/// How one of them stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    /// In a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    /// Since when, where somebody watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// What is behind it, where there is anything to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

/// How an endpoint answered.
pub(super) const fn answer(answer: InventoryStatus) -> &'static str {
    match answer {
        InventoryStatus::Complete => "complete",
        InventoryStatus::Incomplete => "incomplete",
        InventoryStatus::Unreachable => "unreachable",
    }
}

/// An endpoint, as `serve` last heard of it.
pub(super) fn endpoint(name: &EndpointName, endpoint: &EndpointStatus) -> Standing {
    let mut status = match endpoint.answer() {
        None => "no answer yet".to_owned(),
        Some(InventoryStatus::Unreachable) => answer(InventoryStatus::Unreachable).to_owned(),
        Some(seen) => format!("{}, {}", answer(seen), view::count(endpoint.vms, "VM")),
    };
    if endpoint.asking {
        status.push_str("; being asked");
    }
    Standing { status: Some(status), since: endpoint.since, why: without_name(name, endpoint.why.as_ref()) }
}

/// Most reasons begin with the endpoint's name, which stands beside them.
pub(super) fn without_name(name: &EndpointName, why: Option<&String>) -> Option<String> {
    why.map(|why| why.strip_prefix(&format!("{name}: ")).unwrap_or(why).to_owned())
}

/// A tier, as `serve` counts it; the reason is that of the first of its VMs that failed or is held back.
pub(super) fn tier(name: &TierName, tier: TierStatus, status: &Status) -> Standing {
    let mut parts = vec![format!("{} of {} in sync", tier.in_sync, tier.vms)];
    let counts =
        [(tier.running, "being changed"), (tier.planned, "to do"), (tier.held, "held back"), (tier.failing, "failed")];
    parts.extend(counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let its = || status.vms.iter().filter(|(_, vm)| vm.tier.as_ref() == Some(name));
    let failed = its().find_map(|(key, _)| Some((key, status.failing.get(key)?)));
    let first = failed.or_else(|| its().find_map(|(key, vm)| Some((key, vm.why.as_ref()?))));
    let why = first.map(|(key, why)| format!("{key}: {why}"));
    Standing { status: Some(parts.join(", ")), since: tier.since, why }
}

/// A VM, as `serve` keeps its line.
pub(super) fn vm(key: &VmKey, vm: &VmStatus, status: &Status) -> Standing {
    let line =
        Standing { status: Some(planned(vm.is, vm.action, vm.code)), since: Some(vm.since), why: vm.why.clone() };
    if let Some(running) = status.running.get(key) {
        let percent = running.percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
        let now = format!("{} now{percent}", progress::action_word(running.action));
        return Standing { status: Some(now), since: Some(running.since), why: running.text.clone() };
    }
    match (status.failing.get(key), line.status) {
        (Some(why), status) => {
            Standing { status: status.map(|status| format!("failed: {status}")), why: Some(why.clone()), ..line }
        }
        (None, status) => Standing { status, ..line },
    }
}

/// What a plan says of a VM.
pub(super) fn planned(is: VmIs, action: Option<Action>, code: Option<BlockCode>) -> String {
    let action = action.map(progress::action_word).unwrap_or_default();
    match (is, code) {
        (VmIs::InSync, _) => "in sync".to_owned(),
        (VmIs::Planned, _) => format!("to {action}"),
        (VmIs::Held, Some(code)) => format!("{action} held: {}", super::code_word(code)),
        (VmIs::Held, None) => format!("{action} held"),
    }
}
