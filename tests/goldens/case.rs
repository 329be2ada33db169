//! Reads one case's folder into a whole planner input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tierwright::inventory::{EndpointInventory, View};
use tierwright::manifest::{SourceText, compile};
use tierwright::model::{Desired, EndpointName, ObservedDisk, Revision};
use tierwright::plan::{Destroyed, EndpointState, Limits, Manage, OpenIntent, Plan, SourceTrust, memory};

use super::terse::{self, VmLine};
use crate::support::fleet::{self, INSTALLATION, Input};
use crate::support::simulate::World;

/// One case.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub input: Input,
    pub shelf: Vec<ObservedDisk>,
    approvals: Approvals,
}

/// `policy.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PolicyLines {
    now: Option<Timestamp>,
    source: Option<SourceTrust>,
    limits: Option<Limits>,
    endpoints: BTreeMap<String, EndpointPolicyLine>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct EndpointPolicyLine {
    manage: Option<Manage>,
    state: Option<EndpointState>,
    /// In the inventory, and not in the settings.
    absent: bool,
}

/// `history.yaml`: what differs from a memory of this very inventory.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct HistoryLines {
    /// Nothing is remembered at all.
    empty: bool,
    /// Nothing is remembered of these endpoints.
    forget: Vec<String>,
    /// VMs as last seen, in addition or instead.
    last: BTreeMap<String, Vec<VmLine>>,
    /// A direct read has already answered not-found once.
    missing_once: Vec<String>,
    destroys: Vec<DestroyLine>,
    open_intents: Vec<IntentLine>,
    owned_at_window_start: BTreeMap<String, u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DestroyLine {
    vm: String,
    #[serde(default = "tier_1")]
    tier: String,
    endpoint: String,
    hours_ago: i64,
    /// So many of them: `#` becomes 001, 002, ...
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    after_retire: bool,
}

fn tier_1() -> String {
    "tier-1".into()
}

const fn once() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IntentLine {
    vm: String,
    endpoint: String,
    call: String,
}

/// `approvals.yaml`: `all`, keys whose blocked change is approved, or an endpoint whose loss is accepted.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Approvals {
    #[default]
    None,
    All(String),
    Keys(BTreeSet<String>),
    Loss {
        loss: String,
    },
}

fn optional<T: Default + serde::de::DeserializeOwned>(folder: &Path, name: &str) -> T {
    let Ok(text) = fs::read_to_string(folder.join(name)) else { return T::default() };
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display()))
}

impl Case {
    /// Reads a case; panics with the file's name where it is wrong.
    pub fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let lines: PolicyLines = optional(folder, "policy.yaml");
        let now = lines.now.unwrap_or_else(fleet::noon);
        let text = fs::read_to_string(folder.join("inventory.yaml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (inventory, shelf) = terse::inventory(&text, now);
        let names: Vec<_> = inventory.endpoints.keys().map(EndpointName::as_str).collect();
        let mut policy = fleet::policy(&names);
        policy.limits = lines.limits.unwrap_or_default();
        for (endpoint, line) in &lines.endpoints {
            let endpoint = fleet::endpoint_name(endpoint);
            if line.absent {
                policy.endpoints.remove(&endpoint);
                continue;
            }
            let entry = policy.endpoints.get_mut(&endpoint).expect("the inventory names every endpoint");
            entry.manage = line.manage.unwrap_or(entry.manage);
            entry.state = line.state.unwrap_or(entry.state);
        }
        let mut input = Input {
            now,
            desired: desired(folder),
            source: lines.source.unwrap_or(SourceTrust::Settled),
            inventory,
            history: tierwright::plan::History::default(),
            policy,
            approvals: BTreeSet::new(),
        };
        remember(&mut input, &optional(folder, "history.yaml"));
        Self { name, folder: folder.to_owned(), input, shelf, approvals: optional(folder, "approvals.yaml") }
    }

    /// Plans; where something is approved, plans again with the digests that the first plan shows.
    pub fn plan(&self) -> Plan {
        let shown = self.input.plan();
        let approvals: BTreeSet<String> = match &self.approvals {
            Approvals::None => return shown,
            Approvals::All(all) => {
                assert_eq!(all, "all", "{}: approvals", self.name);
                shown.approval.iter().map(|digest| digest.short().to_owned()).collect()
            }
            Approvals::Keys(keys) => {
                let meant = shown.blocked.iter().filter(|blocked| keys.contains(&blocked.key.to_string()));
                meant.filter_map(|blocked| Some(blocked.digest.as_ref()?.short().to_owned())).collect()
            }
            Approvals::Loss { loss } => {
                let endpoint = fleet::endpoint_name(loss);
                let observed = self.input.inventory.observed(&endpoint).expect("it answers");
                let last = self.input.history.last.get(&endpoint);
                let loss = memory::loss(&endpoint, last, observed, &self.input.history.destroys);
                loss.into_iter().map(|loss| loss.digest.short().to_owned()).collect()
            }
        };
        assert!(!approvals.is_empty(), "{}: there is nothing to approve", self.name);
        Input { approvals, ..self.input.clone() }.plan()
    }
}

fn desired(folder: &Path) -> Desired {
    let read = |path: PathBuf| SourceText {
        path: path.file_name().unwrap().to_string_lossy().into_owned().into(),
        bytes: fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into(),
    };
    let own = read(folder.join("desired.yaml"));
    let has_tiers = String::from_utf8_lossy(&own.bytes).contains("kind: Tier");
    let mut texts = vec![own];
    if !has_tiers {
        texts.push(read(folder.parent().unwrap().join("tiers.yaml")));
    }
    let compiled = compile(Revision("4f1c22d".into()), &texts);
    compiled.desired.unwrap_or_else(|| panic!("{}: {:#?}", folder.display(), compiled.diagnostics))
}

fn remember(input: &mut Input, lines: &HistoryLines) {
    if lines.empty {
        return;
    }
    let mut world = World::settled(input.inventory.clone());
    world.history.last.retain(|endpoint, _| !lines.forget.contains(&endpoint.to_string()));
    for (endpoint, vms) in &lines.last {
        let endpoint = fleet::endpoint_name(endpoint);
        let seen = vms.iter().flat_map(VmLine::expand).map(|line| line.observed(input.now)).collect();
        let view = View::Observed(Box::new(fleet::observed(seen)));
        let then = EndpointInventory { generation: 6, taken_at: input.now - SignedDuration::from_mins(1), view };
        let last = memory::remember(None, &then, INSTALLATION, true).expect("a whole inventory is remembered");
        let known = world.history.last.entry(endpoint).or_insert_with(|| last.clone());
        let known = Arc::make_mut(&mut known.vms);
        known.retain(|vm| !last.vms.iter().any(|older| older.id == vm.id));
        known.extend(last.vms.iter().cloned());
        known.sort_by(|a, b| a.id.cmp(&b.id));
    }
    let missing: Vec<_> = lines.missing_once.iter().map(|key| terse::own_id_of(key)).collect();
    for vm in world.history.last.values_mut().flat_map(|last| Arc::make_mut(&mut last.vms)) {
        vm.missing_once = missing.contains(&vm.id);
    }
    input.history = world.history;
    input.history.destroys = lines.destroys.iter().flat_map(|line| line.destroyed(input.now)).collect();
    input.history.open_intents = lines.open_intents.iter().map(|line| line.intent(input.now)).collect();
    let owned = lines.owned_at_window_start.iter();
    input.history.owned_at_window_start = owned.map(|(tier, n)| (fleet::tier_name(tier), *n)).collect();
}

impl DestroyLine {
    fn destroyed(&self, now: Timestamp) -> impl Iterator<Item = Destroyed> {
        (1..=self.times).map(move |n| {
            let key = self.vm.replace('#', &format!("{n:03}"));
            Destroyed {
                at: now - SignedDuration::from_hours(self.hours_ago),
                tier: fleet::tier_name(&self.tier),
                endpoint: fleet::endpoint_name(&self.endpoint),
                own_id: terse::own_id_of(&key),
                key: fleet::key(&key),
                after_retire: self.after_retire,
                deleted: self.deleted,
            }
        })
    }
}

impl IntentLine {
    fn intent(&self, now: Timestamp) -> OpenIntent {
        OpenIntent {
            endpoint: fleet::endpoint_name(&self.endpoint),
            key: fleet::key(&self.vm),
            identity: fleet::identity_of(&fleet::key(&self.vm)),
            call: self.call.clone(),
            at: now - SignedDuration::from_mins(1),
        }
    }
}
