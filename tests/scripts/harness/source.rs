//! The folder of manifests that a script edits.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn source(root: &Path) -> PathBuf {
    let path = root.join("manifests");
    fs::create_dir_all(&path).expect("the source folder can be made");
    path
}

/// Writes tier-1 as the lab has it; `prune` and `graceDays` may be given.
pub fn write_tier(root: &Path, fields: &[&str]) {
    let value = |name: &str, default: &'static str| {
        fields
            .iter()
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            .map_or_else(|| default.to_owned(), str::to_owned)
    };
    let text = format!(
        "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {{name: tier-1}}
spec:
  endpoints: [vc-prod]
  placement: {{cluster: gold, folder: Prod/tierwright, createFolders: true, storage: flash-repl}}
  images: {{debian-12: {{template: tmpl-debian-12}}, windows: {{template: tmpl-windows-2022}}}}
  networks: {{app: {{portGroup: PG-APP-10}}, db: {{portGroup: PG-DB-20}}}}
  storage: {{fast: {{datastore: nvme-01}}}}
  price: {{currency: USD, vcpuHour: \"0.025\", memoryGiBHour: \"0.008\", storageGiBMonth: \"0.25\", vmMonth: \"40\"}}
  sync: {{prune: {}, graceDays: {}}}
",
        value("prune", "auto"),
        value("graceDays", "7"),
    );
    fs::write(source(root).join("tier-1.yaml"), text).expect("the tier can be written");
}

/// Writes a VM's manifest from `field=value` words; what is not given is small.
pub fn write_vm(root: &Path, name: &str, fields: &[&str]) {
    let mut project = "erp";
    let (mut cpus, mut memory, mut disks, mut nics) = ("2", "2GiB", "root:16GiB", "eth0:app");
    let mut image = "debian-12";
    let mut others = String::new();
    for field in fields {
        match field.split_once('=').expect("field=value") {
            ("project", value) => project = value,
            ("cpus", value) => cpus = value,
            ("memory", value) => memory = value,
            ("disks", value) => disks = value,
            ("nics", value) => nics = value,
            ("image", value) => image = value,
            (other, value) => {
                let _ = writeln!(others, "  {other}: {value}");
            }
        }
    }
    let list = |pairs: &str, field: &str| {
        let items: Vec<String> = pairs
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
            .map(|(name, value)| format!("{{name: {name}, {field}: {value}}}"))
            .collect();
        format!("[{}]", items.join(", "))
    };
    let image = if image == "none" { String::new() } else { format!("  image: {image}\n") };
    let text = format!(
        "apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {{project: {project}, name: {name}}}
spec:
  tier: tier-1
  cpus: {cpus}
  memory: {memory}
{image}  disks: {}
  nics: {}
{others}",
        list(disks, "size"),
        list(nics, "network"),
    );
    fs::write(source(root).join(format!("{name}.yaml")), text).expect("the manifest can be written");
}

/// Writes any text.
pub fn write_text(root: &Path, name: &str, text: &str) {
    fs::write(source(root).join(name), format!("{text}\n")).expect("the file can be written");
}

/// Changes a text; what is to be changed must be there.
pub fn edit(root: &Path, name: &str, old: &str, new: &str) {
    let path = source(root).join(name);
    let text = fs::read_to_string(&path).expect("the file is there");
    assert!(text.contains(old), "{name} has no `{old}`:\n{text}");
    fs::write(path, text.replace(old, new)).expect("the file can be written");
}

/// Adds a line.
pub fn append(root: &Path, name: &str, line: &str) {
    let path = source(root).join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).expect("the file is there");
    fs::write(path, format!("{text}{line}\n")).expect("the file can be written");
}

/// Removes manifests; `PREFIX*` removes all of that prefix.
pub fn remove(root: &Path, names: &[&str]) {
    for name in names {
        if let Some(prefix) = name.strip_suffix('*') {
            for entry in fs::read_dir(source(root)).expect("the source can be read") {
                let entry = entry.expect("a folder entry");
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    fs::remove_file(entry.path()).expect("the file can be removed");
                }
            }
        } else {
            let file = if name.contains('.') { (*name).to_owned() } else { format!("{name}.yaml") };
            fs::remove_file(source(root).join(file)).expect("the file is there");
        }
    }
}

/// Leaves an empty source.
pub fn remove_all(root: &Path) {
    remove_source(root);
    source(root);
}

/// Leaves no source at all.
pub fn remove_source(root: &Path) {
    fs::remove_dir_all(root.join("manifests")).expect("the source is there");
}
