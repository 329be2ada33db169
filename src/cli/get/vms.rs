//! `get vms`: every VM that is desired or there, whose it is, and how it stands against Git.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::served::{Told, served};
use super::words::{self, Standing};
use super::{Args, Row, ask, code_for, or_dash, print};
use crate::cli::{edge, plan};
use crate::inventory::Inventory;
use crate::model::{Bytes, Desired, EndpointName, ObservedVm, OwnId, PowerState, TierName, VmKey};
use crate::plan::census::{Class, ListedVm, listing};
use crate::plan::{BlockCode, Blocked, Plan};
use crate::session::{LookRequest, Session};
use crate::status::{Status, StatusFile, VmIs, VmStatus};

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
    /// `absent`: desired and not there; `unknown`: nobody can tell whether it is there.
    is: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<PowerState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Bytes>,
    /// Of a VM that Git or a mark names: `in sync`, what is to be done, or what holds it back.
    #[serde(flatten)]
    standing: Standing,
    #[serde(flatten)]
    told: Option<Told>,
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
        "since",
        "why",
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
            or_dash(self.standing.status.as_ref()),
            or_dash(self.standing.since),
            or_dash(self.standing.why.as_ref()),
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
    let (inventory, lines, told) = see(session, args).await?;
    let seen = seen(&inventory);
    let listed = listing(&inventory, &session.settings().installation);
    let mut rows: Vec<VmRow> = listed.into_iter().map(|listed| row(&seen, &lines, told, listed)).collect();
    let there: HashSet<VmKey> = rows.iter().filter_map(|row| row.key.clone()).collect();
    let not_there = lines.into_iter().filter(|(key, _)| !there.contains(key));
    rows.extend(not_there.map(|(key, line)| not_seen(key, line, &inventory, told)));
    rows.sort_by(|a, b| {
        (a.key.is_none(), &a.key, &a.endpoint, &a.name).cmp(&(b.key.is_none(), &b.key, &b.endpoint, &b.name))
    });
    print(rows, args)?;
    Ok(code_for(&inventory))
}

/// What the endpoints list, and how each VM that Git or a mark names stands: as the running `serve` says; else, and of
/// other manifests, as a plan made now says.
async fn see(session: &Session, args: &Args) -> anyhow::Result<(Inventory, Lines, Option<Told>)> {
    let planned = |file: &StatusFile| file.status.plan.is_some();
    let served = match &args.source.file {
        None => served(session, planned, "STATUS is from a plan made now"),
        Some(_) => None,
    };
    if let Some(served) = served {
        let told = Told::by_serve(&served);
        return Ok((ask(session).await?, lines_of_serve(&served.file.status), Some(told)));
    }
    let request = LookRequest { manifests: args.source.file.clone(), ..LookRequest::default() };
    let mut look = plan::look(session, request).await?;
    edge::say_diagnostics(&look.diagnostics);
    let (Some(plan), Some(desired)) = (&look.plan, &look.desired) else {
        // With errors in the manifests no endpoint was asked; what is there can still be listed.
        look.inventory = ask(session).await?;
        return Ok((look.inventory, Lines::new(), None));
    };
    let lines = lines_of_plan(plan, desired);
    Ok((look.inventory, lines, Some(Told::by_look())))
}

fn row(seen: &Seen<'_>, lines: &Lines, told: Option<Told>, listed: ListedVm) -> VmRow {
    let vm = seen.get(&(listed.endpoint.as_str(), listed.id.as_str(), listed.name.as_str())).copied();
    let config = vm.and_then(ObservedVm::readable);
    let ours = matches!(listed.class, Class::Owned | Class::Retired | Class::Unfinished);
    // A clone is not the VM whose key it copied.
    let key = listed.key.filter(|_| ours);
    let line = key.as_ref().and_then(|key| lines.get(key));
    VmRow {
        tier: line.and_then(|line| line.tier.clone()),
        standing: line.map(|line| line.standing.clone()).unwrap_or_default(),
        told: told.filter(|_| line.is_some()),
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

/// A VM that Git or a mark names and no endpoint listed. Not listed is not gone.
fn not_seen(key: VmKey, line: Line, inventory: &Inventory, told: Option<Told>) -> VmRow {
    let is_whole = |endpoint| inventory.observed(endpoint).is_some_and(|observed| observed.incomplete.is_none());
    let unknown = line.unknown || line.endpoint.as_ref().is_some_and(|endpoint| !is_whole(endpoint));
    VmRow {
        name: key.name().to_string(),
        key: Some(key),
        tier: line.tier,
        endpoint: line.endpoint.filter(|_| unknown),
        standing: line.standing,
        told,
        is: if unknown { class_word(Class::Unknown) } else { "absent" },
        cpus: None,
        memory: None,
        id: None,
        power: None,
        host: None,
        addresses: Vec::new(),
        detail: None,
    }
}

/// How a VM that Git or a mark names stands.
struct Line {
    tier: Option<TierName>,
    /// Where it is or comes, as far as known.
    endpoint: Option<EndpointName>,
    standing: Standing,
    /// Whether it is there is not known.
    unknown: bool,
}

type Lines = BTreeMap<VmKey, Line>;

fn lines_of_serve(status: &Status) -> Lines {
    let line = |(key, vm): (&VmKey, &VmStatus)| {
        let standing = words::vm(key, vm, status);
        let unknown = vm.code.is_some_and(BlockCode::is_unknown);
        (key.clone(), Line { tier: vm.tier.clone(), endpoint: vm.endpoint.clone(), standing, unknown })
    };
    status.vms.iter().map(line).collect()
}

fn lines_of_plan(plan: &Plan, desired: &Desired) -> Lines {
    let tier = |key| desired.vms.get(key).map(|spec| spec.tier.clone());
    let stands = |status, why| Standing { status: Some(status), since: None, why };
    let mut lines = Lines::new();
    for key in desired.vms.keys() {
        let standing = stands(words::planned(VmIs::InSync, None, None), None);
        lines.insert(key.clone(), Line { tier: tier(key), endpoint: None, standing, unknown: false });
    }
    for Blocked { key, endpoint, action, code, why, .. } in &plan.blocked {
        let standing = stands(words::planned(VmIs::Held, Some(*action), Some(*code)), Some(why.clone()));
        let (tier, endpoint, unknown) = (tier(key), endpoint.clone(), code.is_unknown());
        lines.insert(key.clone(), Line { tier, endpoint, standing, unknown });
    }
    for step in &plan.steps {
        let standing = stands(words::planned(VmIs::Planned, Some(step.action), None), None);
        let (tier, endpoint) = (Some(step.tier.clone()), Some(step.endpoint.clone()));
        lines.insert(step.key.clone(), Line { tier, endpoint, standing, unknown: false });
    }
    lines
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
