//! The XenServer front against the whole data model of the Xen API: no message, field, type or error code of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tierwright::lab::xenserver::CODES;

use crate::support::reference;
use crate::xapi::{Xapi, disk, options, ready, slot, text, texts};

/// Codes that messages may answer though the data model names them at none: errors any message may meet. Those of this
/// list stand in the API's error reference (`api_errors.ml`); the recordings have some more.
const DOCUMENTED: &[&str] = &[
    "DEVICE_ALREADY_ATTACHED",
    "DEVICE_ALREADY_EXISTS",
    "FIELD_TYPE_ERROR",
    "INVALID_DEVICE",
    "MAC_INVALID",
    "MESSAGE_PARAMETER_COUNT_MISMATCH",
    "ONLY_PROVISION_TEMPLATE",
    "ONLY_REVERT_SNAPSHOT",
    "OPERATION_BLOCKED",
    "RBAC_PERMISSION_DENIED",
    // What an SR driver says: 79 is `VDISize` of the storage manager's error list.
    "SR_BACKEND_FAILURE_79",
    "TASK_CANCELLED",
    "UUID_INVALID",
    "VM_IS_SNAPSHOT",
    "VM_LACKS_FEATURE_SHUTDOWN",
    "VM_MISSING_PV_DRIVERS",
    "VM_SHUTDOWN_TIMEOUT",
];

struct Model(BTreeMap<String, Value>);

impl Model {
    fn read() -> Option<Self> {
        let file = reference()?.join("xenserver/xenapi.json");
        let classes: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(file).expect("readable")).expect("JSON");
        Some(Self(classes.into_iter().map(|class| (text(&class["name"]), class)).collect()))
    }

    fn find<'a>(&'a self, class: &str, list: &str, name: &str) -> Option<&'a Value> {
        self.0.get(class)?[list].as_array()?.iter().find(|one| one["name"] == name)
    }

    /// Words of an enumeration, wherever it is declared.
    fn words(&self, name: &str) -> BTreeSet<String> {
        let enums = self.0.values().flat_map(|class| class["enums"].as_array().expect("enums"));
        let found = enums.filter(|one| one["name"] == name).flat_map(|one| one["values"].as_array().expect("values"));
        found.map(|value| text(&value["name"])).collect()
    }

    fn fits(&self, kind: &str, value: &Value) -> bool {
        if let Some(of) = kind.strip_suffix(" set") {
            return value.as_array().is_some_and(|items| items.iter().all(|item| self.fits(of, item)));
        }
        if kind.ends_with(" map") {
            return value.is_object();
        }
        if let Some(name) = kind.strip_prefix("enum ") {
            return value.as_str().is_some_and(|word| self.words(name).contains(word));
        }
        match kind {
            "int" => value.is_i64(),
            "float" => value.is_number(),
            "bool" => value.is_boolean(),
            _ if kind.ends_with(" ref") => value.as_str().is_some_and(|text| text.starts_with("OpaqueRef:")),
            _ => value.is_string(),
        }
    }
}

/// How many parameters the lab takes: it says so when it gets too many.
async fn parameters(xapi: &Xapi, name: &str) -> usize {
    let many = Value::Array(vec![json!(""); 40]);
    let answer =
        if name == "session.login_with_password" { xapi.raw(name, many).await } else { xapi.call(name, many).await };
    let (code, words) = answer.expect_err("too many parameters");
    assert_eq!(code, "MESSAGE_PARAMETER_COUNT_MISMATCH", "{name}");
    words[1].parse().expect("a number")
}

#[tokio::test]
async fn every_message_is_one_of_the_api_with_its_parameters() {
    let Some(model) = Model::read() else { return };
    let (_lab, xapi) = ready(options()).await;
    let messages = texts(&xapi.raw("system.listMethods", json!([])).await.expect("a list"));
    assert!(messages.len() > 400, "{}", messages.len());
    for name in &messages {
        let (class, message) = name.split_once('.').expect("CLASS.message");
        let known = model.find(class, "messages", message).unwrap_or_else(|| panic!("{name} is not in the API"));
        let all = known["params"].as_array().expect("parameters");
        let wanted = all.len() + usize::from(all.first().is_none_or(|first| first["type"] != "session ref"));
        // A login comes without a session; all others count theirs in.
        let wanted = if name == "session.login_with_password" { all.len() } else { wanted };
        assert_eq!(parameters(&xapi, name).await, wanted, "{name}: {all:?}");
    }
}

/// A VM with all kinds of things on it.
async fn furnish(xapi: &Xapi) {
    let vm = xapi.started("furnished").await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-hosted"])).await[0].clone();
    let vdi = text(&xapi.ok("VDI.create", disk(&sr, "data", 1)).await);
    xapi.ok("VBD.create", slot(&vm, &vdi, "3")).await;
    let mut drive = slot(&vm, "OpaqueRef:NULL", "autodetect");
    (drive[0]["type"], drive[0]["mode"], drive[0]["empty"]) = (json!("CD"), json!("RO"), json!(true));
    xapi.ok("VBD.create", drive).await;
    xapi.ok("VM.snapshot", json!([vm, "before"])).await;
    xapi.ok("VM.add_tags", json!([vm, "here"])).await;
    xapi.ok("Async.VM.clean_shutdown", json!([vm])).await;
}

#[tokio::test]
async fn every_record_has_every_field_of_its_class_and_no_other() {
    let Some(model) = Model::read() else { return };
    let (_lab, xapi) = ready(options()).await;
    furnish(&xapi).await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let batch = xapi.events(&["*"], "", 0.0).await;
    let session = xapi.ok("session.get_record", json!([xapi.session])).await;
    let mut records: Vec<(String, Value)> = vec![("session".into(), session)];
    for event in batch["events"].as_array().expect("events") {
        let class = text(&event["class"]);
        let name = model.0.keys().find(|name| name.to_lowercase() == class).unwrap_or_else(|| panic!("{class}"));
        records.push((name.clone(), event["snapshot"].clone()));
    }
    for (class, record) in records {
        *seen.entry(class.clone()).or_default() += 1;
        let fields = model.0[&class]["fields"].as_array().expect("fields");
        let wanted: BTreeSet<String> = fields.iter().map(|field| text(&field["name"])).collect();
        let given: BTreeSet<String> = record.as_object().expect("a record").keys().cloned().collect();
        assert_eq!(given, wanted, "{class}");
        for field in fields {
            let (name, kind) = (text(&field["name"]), text(&field["type"]));
            assert!(model.fits(&kind, &record[&name]), "{class}.{name} ({kind}): {}", record[&name]);
        }
    }
    let classes: Vec<&str> = seen.keys().map(String::as_str).collect();
    let all = [
        "PBD",
        "PIF",
        "SR",
        "VBD",
        "VDI",
        "VIF",
        "VM",
        "VM_guest_metrics",
        "VM_metrics",
        "host",
        "host_metrics",
        "network",
        "pool",
        "session",
        "task",
    ];
    assert_eq!(classes, all);
}

#[tokio::test]
async fn counts_name_the_classes_of_the_api() {
    let Some(model) = Model::read() else { return };
    let (_lab, xapi) = ready(options()).await;
    let batch = xapi.events(&["pool"], "", 0.0).await;
    let mut known: BTreeSet<String> = model.0.keys().map(|name| name.to_lowercase()).collect();
    // Recorded, though no class of the data model.
    known.insert("diagnostics".to_owned());
    let counted: BTreeSet<String> = batch["valid_ref_counts"].as_object().expect("counts").keys().cloned().collect();
    assert!(counted.is_subset(&known), "{:?}", counted.difference(&known).collect::<Vec<_>>());
}

#[test]
fn every_error_code_is_one_of_the_api() {
    let Some(model) = Model::read() else { return };
    let mut known: BTreeSet<String> = DOCUMENTED.iter().map(ToString::to_string).collect();
    for class in model.0.values() {
        for message in class["messages"].as_array().expect("messages") {
            known.extend(message["errors"].as_array().expect("errors").iter().map(|error| text(&error["name"])));
        }
    }
    let documented_only: Vec<_> = DOCUMENTED.iter().filter(|code| !CODES.contains(code)).collect();
    assert_eq!(documented_only, Vec::<&&str>::new(), "the lab answers these no more");
    for entry in std::fs::read_dir(reference().expect("checked").join("xenserver/recorded")).expect("recordings") {
        let text = std::fs::read_to_string(entry.expect("one").path()).expect("readable");
        let recorded: Value = serde_json::from_str(&text).expect("JSON");
        let error = &recorded["response"]["error"];
        let code = error["message"].as_str().or_else(|| error[0].as_str());
        known.extend(code.map(str::to_owned));
    }
    for code in CODES {
        assert!(known.contains(*code), "{code} is no error of the API");
    }
}
