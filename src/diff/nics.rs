//! NICs, by name: which observed NIC a name stands for (by MAC, else by slot), and what the manifest wants of it.
//!
//! A MAC cannot be changed in place on all hypervisors, and to the guest it is another card anyway: a NIC whose
//! declared MAC differs is replaced, and says so.

use super::sizes::told;
use super::{Difference, Differences, Effect, Pair, because};
use crate::mark::MarkedNic;
use crate::model::{NetworkTarget, NicSpec, ObservedNic, PowerState};
use crate::plan::{Because, Change, Landing, NicAt, NicOrder, Reason};

/// Equal, whatever the case.
pub fn same_mac(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A network target as text.
pub fn target_text(target: &NetworkTarget) -> String {
    let NetworkTarget { name, vlan } = target;
    vlan.map_or_else(|| name.clone(), |vlan| format!("{name} vlan {vlan}"))
}

/// Which observed NIC a marked one is: by MAC, which follows the card, else by slot.
pub fn resolve<'a>(marked: &MarkedNic, nics: &'a [ObservedNic]) -> Option<&'a ObservedNic> {
    let MarkedNic { mac, slot } = marked;
    let by_mac = mac.as_ref().and_then(|mac| nics.iter().find(|nic| same_mac(&nic.mac, mac)));
    by_mac.or_else(|| slot.as_ref().and_then(|slot| nics.iter().find(|nic| &*nic.slot == slot.as_str())))
}

/// The NIC of each marked name; names whose MAC the hypervisor chose and nobody recorded are matched where
/// there is only one way to do so.
pub fn resolve_all(pair: Pair<'_>) -> Vec<(&str, Option<&ObservedNic>)> {
    let nics = &pair.config.nics;
    let mut all: Vec<(&str, Option<&ObservedNic>)> =
        pair.mark.nics.iter().map(|(name, marked)| (name.as_str(), resolve(marked, nics))).collect();
    let incomplete = |name: &str| pair.mark.nics.get(name).is_some_and(|nic| nic.mac.is_none() && nic.slot.is_none());
    let names: Vec<&str> = pair.spec.nics.iter().map(|nic| &*nic.name).filter(|name| incomplete(name)).collect();
    let free: Vec<&ObservedNic> = nics
        .iter()
        .filter(|nic| !all.iter().any(|(_, found)| found.is_some_and(|found| found.slot == nic.slot)))
        .collect();
    if names.len() == free.len() && names.len() == all.iter().filter(|(name, _)| incomplete(name)).count() {
        for (name, nic) in names.into_iter().zip(free) {
            for (_, found) in all.iter_mut().filter(|(marked, _)| *marked == name) {
                *found = Some(nic);
            }
        }
    }
    all
}

pub(super) fn compare(pair: Pair<'_>, differences: &mut Differences) {
    if pair.spec.nics.len() == pair.mark.nics.len() && pair.spec.nics.iter().all(|spec| is_as_wanted(pair, spec)) {
        return;
    }
    let resolved = resolve_all(pair);
    for spec in &pair.spec.nics {
        let Some((_, found)) = resolved.iter().find(|(name, _)| **name == *spec.name) else {
            add(pair, spec, Because::ManifestChanged, differences);
            continue;
        };
        match found {
            None => add(pair, spec, Because::Drifted, differences),
            Some(nic) => present(pair, spec, nic, differences),
        }
    }
    for (name, found) in &resolved {
        if pair.spec.nic(name).is_none() && !pair.ignores(&format!("nics/{name}")) {
            remove(pair, name, *found, differences);
        }
    }
}

fn is_as_wanted(pair: Pair<'_>, spec: &NicSpec) -> bool {
    let NicSpec { name, network, mac, addresses: _, gateway: _ } = spec; // addresses are the guest's, told at creation
    let Some(marked) = pair.mark.nics.get(&**name) else { return false };
    let Some(nic) = resolve(marked, &pair.config.nics) else { return false };
    nic.connected
        && nic.network.is_some()
        && nic.network.as_ref() == pair.tier.networks.get(&**network)
        && marked.mac.as_deref().is_some_and(|recorded| same_mac(recorded, &nic.mac))
        && mac.as_deref().is_none_or(|wanted| same_mac(wanted, &nic.mac))
}

fn add(pair: Pair<'_>, spec: &NicSpec, because: Because, differences: &mut Differences) {
    let Some(target) = pair.tier.networks.get(&*spec.network) else { return };
    // One that was taken off by hand comes back as the card the guest knew.
    let mac = spec.mac.clone().or_else(|| pair.mark.nics.get(&*spec.name).and_then(|nic| nic.mac.clone()));
    let reason = Reason {
        field: format!("nics/{}", spec.name),
        from: None,
        to: Some(target_text(target)),
        because,
        lands: pair.landing(pair.config.hot.nics),
        detail: told(pair, (!pair.config.hot.nics).then_some("NICs cannot be added to this VM while it runs")),
    };
    let effect = Effect::Hardware(vec![Change::AddNic(order(spec, target, mac))]);
    differences.found.push(Difference { reason, effect });
}

/// A NIC as the hypervisor is asked for it.
fn order(spec: &NicSpec, network: &NetworkTarget, mac: Option<String>) -> NicOrder {
    let NicSpec { name, network: _, mac: _, addresses, gateway } = spec;
    NicOrder { name: name.to_string(), network: network.clone(), mac, addresses: addresses.clone(), gateway: *gateway }
}

fn present(pair: Pair<'_>, spec: &NicSpec, nic: &ObservedNic, differences: &mut Differences) {
    let Some(target) = pair.tier.networks.get(&*spec.network) else { return };
    let path = |part: &str| format!("nics/{}/{part}", spec.name);
    if let Some(mac) = spec.mac.as_deref().filter(|mac| !same_mac(mac, &nic.mac) && !pair.ignores(&path("mac"))) {
        return replace(pair, spec, nic, mac, differences);
    }
    let applied = pair.mark.applied.as_ref().and_then(|applied| applied.nics.get(&*spec.name));
    // A network that the server could not resolve is unknown, not wrong; only a change of the manifest acts on it.
    let wrong = match &nic.network {
        Some(network) => network != target,
        None => applied.is_some_and(|applied| applied != target),
    };
    if wrong && !pair.ignores(&path("network")) {
        let hot = pair.config.hot.nic_network;
        let reason = Reason {
            field: path("network"),
            from: nic.network.as_ref().map(target_text),
            to: Some(target_text(target)),
            because: because(applied, target),
            lands: pair.landing(hot),
            detail: told(pair, (!hot).then_some("this VM's NICs cannot change network while it runs")),
        };
        let change = Change::MoveNic { nic: nic_at(&spec.name, nic), network: target.clone() };
        differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
    }
    if !nic.connected && !pair.ignores(&path("connected")) {
        let reason = Reason {
            field: path("connected"),
            from: Some("false".to_owned()),
            to: Some("true".to_owned()),
            because: Because::Drifted,
            lands: pair.landing(pair.config.hot.nic_network),
            detail: None,
        };
        let change = Change::ConnectNic { nic: nic_at(&spec.name, nic), connected: true };
        differences.found.push(Difference { reason, effect: Effect::Hardware(vec![change]) });
    }
    let recorded = pair.mark.nics.get(&*spec.name).and_then(|marked| marked.mac.as_deref());
    if recorded.is_none_or(|recorded| !same_mac(recorded, &nic.mac)) && !pair.ignores(&path("mac")) {
        let reason = Reason {
            field: path("mac"),
            from: recorded.map(str::to_owned),
            to: Some(nic.mac.to_string()),
            because: Because::Mark,
            lands: Landing::Hot,
            detail: Some("its MAC is recorded in the mark".to_owned()),
        };
        differences.found.push(Difference { reason, effect: Effect::Mark });
    }
}

fn replace(pair: Pair<'_>, spec: &NicSpec, nic: &ObservedNic, mac: &str, differences: &mut Differences) {
    let Some(target) = pair.tier.networks.get(&*spec.network) else { return };
    let recorded = pair.mark.nics.get(&*spec.name).and_then(|marked| marked.mac.as_deref());
    let drifted = recorded.is_some_and(|recorded| same_mac(recorded, mac));
    let reason = Reason {
        field: format!("nics/{}/mac", spec.name),
        from: Some(nic.mac.to_string()),
        to: Some(mac.to_owned()),
        because: if drifted { Because::Drifted } else { Because::ManifestChanged },
        lands: pair.landing(pair.config.hot.nics),
        detail: Some("the NIC is replaced: to the guest it is another card".to_owned()),
    };
    let changes =
        vec![Change::RemoveNic(nic_at(&spec.name, nic)), Change::AddNic(order(spec, target, Some(mac.to_owned())))];
    differences.found.push(Difference { reason, effect: Effect::Hardware(changes) });
}

fn remove(pair: Pair<'_>, name: &str, found: Option<&ObservedNic>, differences: &mut Differences) {
    let (effect, from, lands) = match found {
        Some(nic) => (
            Effect::Hardware(vec![Change::RemoveNic(nic_at(name, nic))]),
            Some(nic.network.as_ref().map_or_else(|| nic.mac.to_string(), target_text)),
            pair.landing(pair.config.hot.nics),
        ),
        None => (Effect::Mark, None, Landing::Hot),
    };
    let running = pair.config.power != PowerState::Stopped && lands != Landing::Hot;
    let reason = Reason {
        field: format!("nics/{name}"),
        from,
        to: None,
        because: if found.is_some() { Because::ManifestChanged } else { Because::Mark },
        lands,
        detail: running.then(|| "NICs cannot be taken off this VM while it runs".to_owned()),
    };
    differences.found.push(Difference { reason, effect });
}

/// How the hypervisor is told which NIC is meant.
pub fn nic_at(name: &str, nic: &ObservedNic) -> NicAt {
    NicAt { name: name.to_owned(), slot: nic.slot.to_string(), mac: nic.mac.to_string() }
}
