//! The JSON Schemas: as generated, and as an independent validator (PyPI `jsonschema`) judges by them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tierwright::manifest::schema::{NAMES, generate};
use tierwright::model::HypervisorType;
use tierwright::source;

#[test]
fn the_schema_files_are_as_generated() {
    for name in NAMES {
        let path = format!("schemas/{name}.json");
        let file = std::fs::read_to_string(&path).unwrap_or_default();
        let fresh = generate(name).expect("every name has a schema");
        assert!(file == fresh, "{path} is stale; renew it: cargo run -- schema {name} > {path}");
    }
}

#[test]
fn the_schema_of_the_settings_is_as_generated() {
    let file = std::fs::read_to_string("schemas/settings.json").unwrap_or_default();
    let stale = "schemas/settings.json is stale; renew it: cargo run -- schema settings > schemas/settings.json";
    assert!(file == tierwright::settings::schema::generate(), "{stale}");
}

#[test]
fn the_examples_are_valid_and_hold_three_tiers() {
    let loaded = source::load(Path::new("examples"));
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let desired = loaded.desired.expect("valid");
    let hypervisors: Vec<_> = desired.tiers.values().map(|tier| tier.hypervisor.map(HypervisorType::as_str)).collect();
    assert_eq!(hypervisors, [Some("vsphere"), Some("hyperv"), Some("xenserver")]);
    assert!(desired.vms.len() >= 10);
}

fn bad_manifests() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/manifests/bad").expect("they are part of the crate");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    files
}

#[test]
fn every_bad_manifest_is_refused_by_us_too() {
    let files = bad_manifests();
    assert!(files.len() >= 25);
    for path in files {
        let loaded = source::load(&path);
        let own: Vec<_> = loaded
            .diagnostics
            .iter()
            // Bad in itself, not for what is not beside it.
            .filter(|problem| {
                !problem.code.starts_with("TW03") || matches!(problem.code, "TW0311" | "TW0315" | "TW0318")
            })
            .collect();
        assert!(!own.is_empty(), "{} was taken: {:?}", path.display(), loaded.diagnostics);
    }
}

#[test]
fn an_independent_validator_agrees_on_good_and_bad_manifests() {
    let python = std::env::var("TIERWRIGHT_PYTHON").unwrap_or_else(|_| "python3".into());
    let required = std::env::var("TIERWRIGHT_PEERS").is_ok_and(|value| value == "required");
    let output = Command::new(&python)
        .args(["tests/manifests/judge_schemas.py", "schemas", "examples", "tests/manifests/bad"])
        .output();
    let (code, said) = match &output {
        Ok(output) => {
            let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            (output.status.code(), String::from_utf8_lossy(&said).into_owned())
        }
        Err(error) => (Some(77), format!("{python}: {error}")),
    };
    match code {
        Some(0) => print!("{said}"),
        Some(77) if !required => println!("skipped: the schemas are not judged by jsonschema: {}", said.trim()),
        _ => panic!("{said}"),
    }
}
