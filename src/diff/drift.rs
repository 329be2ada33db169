//! Drift: applied against observed. What somebody changed on a VM of ours since we last wrote its mark.

use serde::Serialize;

use super::disks::{At, resolve as resolve_disk};
use super::nics::{resolve as resolve_nic, same_mac, target_text};
use super::{ignored, power};
use crate::mark::Applied;
use crate::model::{Desired, EndpointName, OwnId, VmKey, VmSpec};
use crate::plan::census::{Census, KeyStanding, Seen};

/// One field that somebody changed since we last applied it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftLine {
    /// Which VM.
    pub key: VmKey,
    /// Where.
    pub endpoint: EndpointName,
    /// Its own id.
    pub id: OwnId,
    /// Path of the field in the manifest's words.
    pub field: String,
    /// As last applied; `None`: it was not there.
    pub from: Option<String>,
    /// As observed; `None`: it is not there.
    pub to: Option<String>,
}

/// Applied against observed, for every VM of ours that is alive; by key, then in the manifest's order. `desired`, where
/// given, says which fields a manifest does not want watched (`ignoreDrift`).
pub fn drift(census: &Census<'_>, desired: Option<&Desired>) -> Vec<DriftLine> {
    let mut lines = Vec::new();
    for seen in census.all() {
        let Some(key) = seen.key() else { continue };
        if let KeyStanding::Owned(owned) = census.standing(&key) {
            let spec = desired.and_then(|desired| desired.vms.get(&owned.mark().key)).map(|spec| &**spec);
            of_vm(owned, spec, &mut lines);
        }
    }
    lines.sort_by(|a, b| a.key.cmp(&b.key));
    lines
}

fn of_vm(seen: &Seen<'_>, spec: Option<&VmSpec>, lines: &mut Vec<DriftLine>) {
    let Some(applied) = &seen.mark().applied else { return };
    let Applied { cpus, memory, power, image: _, user_data: _, disks, nics } = applied;
    let config = seen.config;
    let mut line = |field: String, from: Option<String>, to: Option<String>| {
        let watched = spec.is_none_or(|spec| !ignored(&spec.ignore_drift, &field));
        if from != to && watched {
            let (key, endpoint, id) = (seen.mark().key.clone(), seen.endpoint.clone(), seen.vm.id.clone());
            lines.push(DriftLine { key, endpoint, id, field, from, to });
        }
    };
    line("cpus".to_owned(), Some(cpus.to_string()), Some(config.cpus.to_string()));
    line("memory".to_owned(), Some(memory.to_string()), Some(config.memory.to_string()));
    for (name, size) in disks {
        let at = seen.mark().disks.get(name).map(|marked| resolve_disk(marked, &config.disks));
        match at {
            Some(At::Attached(disk)) => {
                line(format!("disks/{name}/size"), Some(size.to_string()), Some(disk.size.to_string()));
            }
            Some(At::Incomplete) => {}
            Some(At::Detached | At::Lost { .. }) | None => line(format!("disks/{name}"), Some(size.to_string()), None),
        }
    }
    for (name, target) in nics {
        let Some(marked) = seen.mark().nics.get(name) else { continue };
        let Some(nic) = resolve_nic(marked, &config.nics) else {
            if marked.mac.is_some() || marked.slot.is_some() {
                line(format!("nics/{name}"), Some(target_text(target)), None);
            }
            continue;
        };
        if let Some(network) = &nic.network {
            line(format!("nics/{name}/network"), Some(target_text(target)), Some(target_text(network)));
        }
        line(format!("nics/{name}/connected"), Some("true".to_owned()), Some(nic.connected.to_string()));
        if let Some(mac) = marked.mac.as_ref().filter(|mac| !same_mac(mac, &nic.mac)) {
            line(format!("nics/{name}/mac"), Some(mac.clone()), Some(nic.mac.to_string()));
        }
    }
    let name = seen.mark().key.name().to_string();
    line("name".to_owned(), Some(name), Some(seen.vm.name.to_string()));
    if let Some(goal) = power.filter(|goal| !power::reached(*goal, config.power)) {
        let (from, to) = (power::goal_text(goal), power::state_text(config.power));
        line("power".to_owned(), Some(from.to_owned()), Some(to.to_owned()));
    }
}
