//! `get vms`: every VM that is there and whose it is; with its sizes from the inventory.

use std::collections::HashMap;

use serde::Serialize;

use super::{Args, Row, ask, code_for, or_dash, print};
use crate::inventory::Inventory;
use crate::model::{Bytes, ObservedVm, PowerState};
use crate::plan::census::{Class, ListedVm, listing};
use crate::session::Session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VmRow {
    #[serde(flatten)]
    listed: ListedVm,
    cpus: Option<u32>,
    memory: Option<Bytes>,
    host: Option<String>,
    addresses: Vec<String>,
}

impl Row for VmRow {
    const HEADINGS: &'static [&'static str] =
        &["vm", "endpoint", "is", "power", "cpus", "memory", "host", "addresses", "name", "id", "detail"];
    const NARROW: usize = 6;

    fn cells(&self) -> Vec<String> {
        vec![
            self.name(),
            self.listed.endpoint.to_string(),
            class_word(self.listed.class).to_owned(),
            or_dash(self.listed.power.map(power_word)),
            or_dash(self.cpus),
            or_dash(self.memory),
            or_dash(self.host.as_ref()),
            if self.addresses.is_empty() { "-".to_owned() } else { self.addresses.join(",") },
            self.listed.name.clone(),
            self.listed.id.to_string(),
            or_dash(self.listed.detail.as_ref()),
        ]
    }

    /// The key where there is one: what Git calls it.
    fn name(&self) -> String {
        match (&self.listed.key, self.listed.class) {
            (Some(key), Class::Owned | Class::Retired | Class::Unfinished) => key.to_string(),
            _ => self.listed.name.clone(),
        }
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
    let inventory = ask(session).await?;
    let seen = seen(&inventory);
    let listed = listing(&inventory, &session.settings().installation);
    let row = |listed: ListedVm| {
        let vm = seen.get(&(listed.endpoint.as_str(), listed.id.as_str(), listed.name.as_str())).copied();
        row(vm, listed)
    };
    print(listed.into_iter().map(row).collect(), args)?;
    Ok(code_for(&inventory))
}

fn row(vm: Option<&ObservedVm>, listed: ListedVm) -> VmRow {
    let config = vm.and_then(ObservedVm::readable);
    VmRow {
        cpus: config.map(|config| config.cpus),
        memory: config.map(|config| config.memory),
        host: vm.and_then(|vm| vm.placed.host.as_ref()).map(ToString::to_string),
        addresses: config.map(|config| config.addresses.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        listed,
    }
}

/// Observed VMs by endpoint, id and name: two may share an id.
fn seen(inventory: &Inventory) -> HashMap<(&str, &str, &str), &ObservedVm> {
    let mut seen = HashMap::new();
    for endpoint in inventory.endpoints.keys() {
        for vm in inventory.observed(endpoint).iter().flat_map(|observed| &observed.vms) {
            seen.insert((endpoint.as_str(), vm.id.as_str(), &*vm.name), vm);
        }
    }
    seen
}
