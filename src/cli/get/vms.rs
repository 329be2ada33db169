//! `get vms`: every VM that is desired or there, whose it is, and how it stands against Git.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::{Args, Row, ask, code_for, code_word, or_dash, print};
use crate::cli::{edge, plan, progress};
use crate::inventory::Inventory;
use crate::model::{Bytes, Desired, EndpointName, ObservedVm, OwnId, PowerState, TierName, VmKey};
use crate::plan::Plan;
use crate::plan::census::{Class, ListedVm, listing};
use crate::session::{LookRequest, Session};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VmRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<VmKey>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<TierName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<OwnId>,
    /// `absent`: desired and not there.
    is: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<PowerState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Bytes>,
    /// Of a VM that Git or a mark names: `in sync`, what the next apply does, or what holds it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Row for VmRow {
    const HEADINGS: &'static [&'static str] = &[
        "vm",
        "tier",
        "endpoint",
        "is",
        "power",
        "cpus",
        "memory",
        "status",
        "host",
        "addresses",
        "name",
        "id",
        "detail",
    ];
    const NARROW: usize = 8;

    fn cells(&self) -> Vec<String> {
        vec![
            self.name(),
            or_dash(self.tier.as_ref()),
            or_dash(self.endpoint.as_ref()),
            self.is.to_owned(),
            or_dash(self.power.map(power_word)),
            or_dash(self.cpus),
            or_dash(self.memory),
            or_dash(self.status.as_ref()),
            or_dash(self.host.as_ref()),
            if self.addresses.is_empty() { "-".to_owned() } else { self.addresses.join(",") },
            self.name.clone(),
            or_dash(self.id.as_ref()),
            or_dash(self.detail.as_ref()),
        ]
    }

    /// The key where there is one: what Git calls it.
    fn name(&self) -> String {
        self.key.as_ref().map_or_else(|| self.name.clone(), ToString::to_string)
    }
}

/// Power as a word.
pub(super) const fn power_word(power: PowerState) -> &'static str {
    match power {
        PowerState::Running => "running",
        PowerState::Stopped => "stopped",
        PowerState::Suspended => "suspended",
        PowerState::Unknown => "unknown",
    }
}

const fn class_word(class: Class) -> &'static str {
    match class {
        Class::Owned => "owned",
        Class::Retired => "retired",
        Class::Unfinished => "unfinished",
        Class::Unmanaged => "unmanaged",
        Class::Foreign => "foreign",
        Class::Clone => "clone",
        Class::MarkUnreadable => "mark unreadable",
        Class::Unknown => "unknown",
    }
}

pub(super) async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let request = LookRequest { manifests: args.source.file.clone(), ..LookRequest::default() };
    let mut look = plan::look(session, request).await?;
    edge::say_diagnostics(&look.diagnostics);
    if look.plan.is_none() {
        // With errors in the manifests no endpoint was asked; what is there can still be listed.
        look.inventory = ask(session).await?;
    }
    let seen = seen(&look.inventory);
    let status = Status::of(look.plan.as_ref(), look.desired.as_deref());
    let listed = listing(&look.inventory, &session.settings().installation);
    let mut rows: Vec<VmRow> = listed.into_iter().map(|listed| row(&seen, &status, listed)).collect();
    let there: HashSet<VmKey> = rows.iter().filter_map(|row| row.key.clone()).collect();
    rows.extend(look.desired.iter().flat_map(|desired| absent(desired, &there, &status)));
    rows.sort_by(|a, b| {
        (a.key.is_none(), &a.key, &a.endpoint, &a.name).cmp(&(b.key.is_none(), &b.key, &b.endpoint, &b.name))
    });
    print(rows, args)?;
    Ok(code_for(&look.inventory))
}

fn row(seen: &Seen<'_>, status: &Status<'_>, listed: ListedVm) -> VmRow {
    let vm = seen.get(&(listed.endpoint.as_str(), listed.id.as_str(), listed.name.as_str())).copied();
    let config = vm.and_then(ObservedVm::readable);
    let ours = matches!(listed.class, Class::Owned | Class::Retired | Class::Unfinished);
    // A clone is not the VM whose key it copied.
    let key = listed.key.filter(|_| ours);
    VmRow {
        tier: key.as_ref().and_then(|key| status.tier(key)),
        status: key.as_ref().and_then(|key| status.word(key)),
        cpus: config.map(|config| config.cpus),
        memory: config.map(|config| config.memory),
        host: vm.and_then(|vm| vm.placed.host.as_ref()).map(ToString::to_string),
        addresses: config.map(|config| config.addresses.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        key,
        name: listed.name,
        endpoint: Some(listed.endpoint),
        id: Some(listed.id),
        is: class_word(listed.class),
        power: listed.power,
        detail: listed.detail,
    }
}

fn absent<'a>(desired: &'a Desired, there: &HashSet<VmKey>, status: &Status<'_>) -> Vec<VmRow> {
    let absent = |spec: &'a crate::model::VmSpec| VmRow {
        key: Some(spec.key.clone()),
        name: spec.key.name().to_string(),
        tier: Some(spec.tier.clone()),
        status: status.word(&spec.key),
        is: "absent",
        cpus: None,
        memory: None,
        endpoint: None,
        id: None,
        power: None,
        host: None,
        addresses: Vec::new(),
        detail: None,
    };
    desired.vms.values().filter(|spec| !there.contains(&spec.key)).map(|spec| absent(spec)).collect()
}

/// How each key stands in the plan.
struct Status<'a> {
    planned: BTreeMap<&'a VmKey, String>,
    desired: Option<&'a Desired>,
    known: bool,
}

impl<'a> Status<'a> {
    fn of(plan: Option<&'a Plan>, desired: Option<&'a Desired>) -> Self {
        let mut planned = BTreeMap::new();
        for blocked in plan.iter().flat_map(|plan| &plan.blocked) {
            planned.insert(&blocked.key, format!("held: {}", code_word(blocked.code)));
        }
        for step in plan.iter().flat_map(|plan| &plan.steps) {
            planned.insert(&step.key, format!("to {}", progress::action_word(step.action)));
        }
        Self { planned, desired, known: plan.is_some() }
    }

    fn word(&self, key: &VmKey) -> Option<String> {
        let planned = self.planned.get(key).cloned();
        planned.or_else(|| self.known.then(|| "in sync".to_owned()))
    }

    fn tier(&self, key: &VmKey) -> Option<TierName> {
        self.desired?.vms.get(key).map(|spec| spec.tier.clone())
    }
}

/// Observed VMs by endpoint, id and name: two may share an id.
type Seen<'a> = HashMap<(&'a str, &'a str, &'a str), &'a ObservedVm>;

fn seen(inventory: &Inventory) -> Seen<'_> {
    let mut seen = HashMap::new();
    for endpoint in inventory.endpoints.keys() {
        for vm in inventory.observed(endpoint).iter().flat_map(|observed| &observed.vms) {
            seen.insert((endpoint.as_str(), vm.id.as_str(), &*vm.name), vm);
        }
    }
    seen
}
