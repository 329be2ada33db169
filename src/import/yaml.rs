//! An imported VM as a manifest: YAML for people and for the source, or the same as a value for programs.
//!
//! Every text that is not plainly text in all YAML versions is quoted; comments hold nothing that could end them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ImportedVm;
use crate::diagnostic::escaped;
use crate::manifest::schema::API_VERSION;
use crate::model::{DiskSpec, NicSpec, VmKey};

/// The manifest as one YAML document, its `---` before it, so that documents can be put one after the other.
pub fn write(vm: &ImportedVm) -> String {
    let mut text = String::from("---\n");
    for remark in &vm.remarks {
        let _ = writeln!(text, "# {}", remark.chars().flat_map(escaped).collect::<String>());
    }
    let project = vm.key.project();
    let project =
        if project == VmKey::DEFAULT_PROJECT { String::new() } else { format!("project: {}, ", scalar(project)) };
    let _ = writeln!(text, "apiVersion: {API_VERSION}\nkind: VirtualMachine");
    let _ = writeln!(text, "metadata: {{{project}name: {}}}", scalar(vm.key.name().as_str()));
    let _ = writeln!(text, "spec:\n  tier: {}\n  cpus: {}\n  memory: {}", scalar(vm.tier.as_str()), vm.cpus, vm.memory);
    for (field, value) in choices(vm) {
        let _ = writeln!(text, "  {field}: {value}");
    }
    list(&mut text, "disks", vm.disks.iter().map(disk));
    list(&mut text, "nics", vm.nics.iter().map(nic));
    if !vm.ignore_drift.is_empty() {
        let paths: Vec<String> = vm.ignore_drift.iter().map(|path| scalar(path)).collect();
        let _ = writeln!(text, "  ignoreDrift: [{}]", paths.join(", "));
    }
    let (endpoint, id) = (scalar(vm.adopt.endpoint.as_str()), quoted(vm.adopt.id.as_str()));
    let _ = writeln!(text, "  adopt: {{endpoint: {endpoint}, id: {id}}}");
    text
}

/// The manifest as a value.
pub fn value(vm: &ImportedVm) -> Value {
    let mut metadata = json!({"name": vm.key.name()});
    if vm.key.project() != VmKey::DEFAULT_PROJECT {
        metadata["project"] = vm.key.project().into();
    }
    let mut spec = json!({"tier": vm.tier, "cpus": vm.cpus, "memory": vm.memory, "adopt": vm.adopt});
    for (field, value) in choices(vm) {
        spec[field] = value.into();
    }
    if !vm.disks.is_empty() {
        spec["disks"] = json!(vm.disks);
    }
    if !vm.nics.is_empty() {
        spec["nics"] = json!(vm.nics);
    }
    if !vm.ignore_drift.is_empty() {
        spec["ignoreDrift"] = json!(vm.ignore_drift);
    }
    json!({"apiVersion": API_VERSION, "kind": "VirtualMachine", "metadata": metadata, "spec": spec})
}

/// Fields that take a word, where they are not their default.
fn choices(vm: &ImportedVm) -> impl Iterator<Item = (&'static str, String)> {
    let word = |value: Value| value.as_str().map(str::to_owned);
    let guest_os = (vm.guest_os != crate::model::GuestOs::default()).then(|| word(json!(vm.guest_os))).flatten();
    let firmware = vm.firmware.and_then(|firmware| word(json!(firmware)));
    [("guestOs", guest_os), ("firmware", firmware)].into_iter().filter_map(|(field, value)| Some((field, value?)))
}

fn list(text: &mut String, field: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() > 0 {
        let _ = writeln!(text, "  {field}:");
    }
    for item in items {
        let _ = writeln!(text, "    - {{{item}}}");
    }
}

fn disk(disk: &DiskSpec) -> String {
    let storage = disk.storage.as_ref().map(|storage| format!(", storage: {}", scalar(storage))).unwrap_or_default();
    format!("name: {}, size: {}{storage}", scalar(&disk.name), disk.size)
}

fn nic(nic: &NicSpec) -> String {
    format!("name: {}, network: {}", scalar(&nic.name), scalar(&nic.network))
}

/// A text as a YAML scalar: as it is where no reader can take it for anything else.
fn scalar(text: &str) -> String {
    /// What YAML 1.1 or 1.2 take for a truth value, nothing or a number.
    const OTHER: [&str; 13] =
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity", "none"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
        && !OTHER.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A JSON string is a double-quoted YAML scalar.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
