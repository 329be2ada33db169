//! Codes and fields: each code is its own and in use; the fields that are read are those of the schemas.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tierwright::manifest::schema::generate;
use tierwright::manifest::{SourceText, codes, compile};
use tierwright::model::Revision;
use tierwright::settings::Environment;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are part of the crate") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_code_is_unique_in_order_and_explained() {
    let ids: Vec<&str> = codes::ALL.iter().map(|code| code.id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted, "codes are unique and in order");
    for code in codes::ALL {
        let digits = code.id.strip_prefix("TW").unwrap_or_default();
        assert!(digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()), "{}", code.id);
        assert!(!code.title.ends_with('.') && code.text.ends_with('.'), "{}: a title and sentences", code.id);
        assert_eq!(codes::find(&code.id.to_lowercase()), Some(*code));
    }
}

#[test]
fn every_code_is_used() {
    let source = std::fs::read_to_string("src/manifest/codes.rs").expect("the codes are part of the crate");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" \"TW"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), codes::ALL.len());
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    let texts: Vec<String> = files
        .iter()
        .filter(|path| !path.ends_with("manifest/codes.rs"))
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .collect();
    for name in names {
        let used = texts.iter().any(|text| {
            text.match_indices(&format!("codes::{name}"))
                .any(|(at, found)| !text[at + found.len()..].starts_with(|c: char| c == '_' || c.is_alphanumeric()))
        });
        assert!(used, "{name} is used nowhere");
    }
}

/// The fields that the reader takes where `wrap` puts a mapping, as it says itself about an unknown one.
fn fields_read(wrap: &dyn Fn(Value) -> Value) -> BTreeSet<String> {
    let document = wrap(json!({"zzzzzz": 1})).to_string();
    let text = SourceText { path: Arc::from("a.yaml"), bytes: document.as_bytes().into() };
    let diagnostics = compile(Revision("r".into()), &[text]).diagnostics;
    let unknown = diagnostics.iter().find(|problem| problem.code == "TW0104" && problem.summary.contains("zzzzzz"));
    let unknown = unknown.unwrap_or_else(|| panic!("{document}: {diagnostics:?}"));
    let list = unknown.hint.as_deref().and_then(|hint| hint.strip_prefix("its fields are "));
    list.expect("an unknown field lists the known ones").split(", ").map(ToOwned::to_owned).collect()
}

fn compare(schema: &Value, at: &str, wrap: &dyn Fn(Value) -> Value, compared: &mut usize) {
    let Some(properties) = schema["properties"].as_object() else {
        if schema["items"].is_object() {
            compare(&schema["items"], &format!("{at}[]"), &|inner| wrap(json!([inner])), compared);
        } else if schema["additionalProperties"].is_object() {
            let inner = &schema["additionalProperties"];
            compare(inner, &format!("{at}.NAME"), &|inner| wrap(json!({"some": inner})), compared);
        }
        return;
    };
    assert_eq!(schema["additionalProperties"], json!(false), "{at} takes unknown fields");
    let declared: BTreeSet<String> = properties.keys().cloned().collect();
    assert_eq!(fields_read(wrap), declared, "at {at}: left is what is read, right what the schema says");
    *compared += 1;
    for (name, inner) in properties {
        if name != "apiVersion" && name != "kind" {
            compare(inner, &format!("{at}.{name}"), &|value| wrap(json!({name: value})), compared);
        }
    }
}

#[test]
fn the_fields_that_are_read_are_those_of_the_schemas() {
    let mut compared = 0;
    for (name, kind) in [("tier", "Tier"), ("instance-type", "InstanceType"), ("virtual-machine", "VirtualMachine")] {
        let schema: Value = serde_json::from_str(&generate(name).expect("a schema")).expect("JSON");
        let wrap = |mut value: Value| {
            if let Some(object) = value.as_object_mut() {
                object.insert("kind".into(), json!(kind));
                object.insert("apiVersion".into(), json!("tierwright.dev/v1"));
            }
            value
        };
        compare(&schema, kind, &wrap, &mut compared);
    }
    assert!(compared >= 18, "only {compared} mappings were compared");
}

/// The fields that the settings take where `wrap` puts a mapping, but for those that are only asked for to say something
/// better than "unknown".
fn settings_read(wrap: &dyn Fn(Value) -> Value) -> BTreeSet<String> {
    let document = wrap(json!({"zzzzzz": 1})).to_string();
    let path = Path::new("/etc/tierwright.yaml");
    let refused = tierwright::settings::parse(path, document.as_bytes(), &Environment::default()).expect_err("unknown");
    let unknown = refused.diagnostics.iter().find(|problem| problem.summary.contains("zzzzzz"));
    let unknown = unknown.unwrap_or_else(|| panic!("{document}: {:?}", refused.diagnostics));
    let list = unknown.hint.as_deref().and_then(|hint| hint.strip_prefix("its fields are "));
    let read = list.expect("an unknown field lists the known ones").split(", ").map(ToOwned::to_owned);
    read.filter(|name| !["password", "git"].contains(&name.as_str())).collect()
}

fn compare_settings(schema: &Value, at: &str, wrap: &dyn Fn(Value) -> Value, compared: &mut usize) {
    if schema["items"].is_object() {
        return compare_settings(&schema["items"], at, &|inner| wrap(json!([inner])), compared);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let declared: BTreeSet<String> = properties.keys().cloned().collect();
    assert_eq!(settings_read(wrap), declared, "at {at}: left is what is read, right what the schema says");
    *compared += 1;
    for (name, inner) in properties {
        compare_settings(inner, &format!("{at}.{name}"), &|value| wrap(json!({name: value})), compared);
    }
}

#[test]
fn the_settings_that_are_read_are_those_of_their_schema() {
    let schema: Value = serde_json::from_str(&tierwright::settings::schema::generate()).expect("JSON");
    let mut compared = 0;
    compare_settings(&schema, "settings", &|value| value, &mut compared);
    assert_eq!(compared, 6);
}
