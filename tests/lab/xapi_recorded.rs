//! Requests recorded at a real xapi, sent to the lab as they are and in their order: the answers must have the shape of
//! the recorded ones, the same keys and the same error codes and parameters, but for the differences listed in
//! `xapi_recorded_differences.txt`.
//!
//! References and tokens of the recording stand for what the lab answered in their place; a difference that is not
//! listed fails, and so does a listed one that is none any more. Values inside records are compared by kind; what is in
//! string maps and plain lists is data, not shape.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tierwright::lab::LabOptions;

use crate::support::{lab, reference};
use crate::xapi::{Xapi, options, text};

/// A listed difference: `-` the lab lacks it, `+` only the lab has it.
struct Listed {
    file: String,
    sign: char,
    path: String,
}

fn listed() -> Vec<Listed> {
    let lines = include_str!("xapi_recorded_differences.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let read = |line: &str| {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().expect("FILE SIGN PATH");
        let (file, sign, path) = (word(), word(), word());
        Listed { file, sign: sign.chars().next().expect("a sign"), path }
    };
    lines.map(read).collect()
}

/// Is it an object whose keys are the API's, not data?
fn is_record(value: &Value) -> bool {
    ["uuid", "events", "snapshot", "operation", "session"].iter().any(|key| value.get(key).is_some())
}

fn shape(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if is_record(value) => {
            let name = match (value["class"].as_str(), value["operation"].as_str()) {
                (Some(class), Some(operation)) => format!("{path}<{class} {operation}>"),
                _ => path.to_owned(),
            };
            for (key, field) in fields {
                shape(field, &format!("{name}/{key}"), out);
            }
        }
        // Records by reference.
        Value::Object(fields) if fields.values().any(is_record) => {
            for record in fields.values() {
                shape(record, &format!("{path}/*"), out);
            }
        }
        Value::Object(fields) if path.ends_with("valid_ref_counts") => {
            out.extend(fields.keys().map(|key| format!("{path}/{key}")));
        }
        Value::Array(items) if items.iter().any(is_record) => {
            for item in items {
                shape(item, &format!("{path}[]"), out);
            }
        }
        Value::Object(_) => drop(out.insert(format!("{path}: map"))),
        Value::Array(_) => drop(out.insert(format!("{path}: list"))),
        Value::String(_) => drop(out.insert(format!("{path}: text"))),
        Value::Number(_) => drop(out.insert(format!("{path}: number"))),
        Value::Bool(_) => drop(out.insert(format!("{path}: bool"))),
        Value::Null => drop(out.insert(format!("{path}: null"))),
    }
}

/// Everything that stands for something.
struct Ids(BTreeMap<String, String>);

impl Ids {
    fn translate(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs.as_str(), ours))
    }

    /// What the lab answered stands for what was recorded.
    fn learn(&mut self, theirs: &Value, ours: &Value) {
        let pair = |theirs: &Value, ours: &Value| Some((theirs.as_str()?.to_owned(), ours.as_str()?.to_owned()));
        self.0.extend(
            pair(theirs, ours).filter(|(theirs, _)| theirs.starts_with("OpaqueRef:") && theirs != "OpaqueRef:NULL"),
        );
        self.0.extend(pair(&theirs["token"], &ours["token"]));
    }
}

async fn ids(xapi: &Xapi) -> Ids {
    let first =
        async |class: &str, name: &str| text(&xapi.ok(&format!("{class}.get_by_name_label"), json!([name])).await[0]);
    let fixed = [
        ("OpaqueRef:48ac7dcf-8095-8580-aee0-342e788fc747", xapi.session.clone()),
        ("OpaqueRef:ee8ebaeb-8626-61d7-15f1-86e49438642a", xapi.session.clone()),
        ("OpaqueRef:0f81d887-741c-e975-5688-e55fbb25726a", first("VM", "tmpl-debian-12").await),
        ("OpaqueRef:f0f5e56f-b8e5-d458-5856-70cc985f1427", first("SR", "sr-hosted").await),
    ];
    Ids(fixed.into_iter().map(|(theirs, ours)| (theirs.to_owned(), ours)).collect())
}

/// Waits for the tasks under way, as the recording's clients did.
async fn rest(xapi: &Xapi) {
    loop {
        let tasks = xapi.ok("task.get_all_records", json!([])).await;
        if tasks.as_object().expect("records").values().all(|task| task["status"] != "pending") {
            return;
        }
        xapi.events(&["task"], "", 0.0).await;
    }
}

fn differences(file: &str, theirs: &Value, ours: &Value, ids: &Ids, found: &mut Vec<(String, char, String)>) {
    let recorded: Value = serde_json::from_str(&ids.translate(&theirs.to_string())).expect("JSON");
    for key in ["jsonrpc", "error"] {
        if recorded.get(key) != ours.get(key) {
            found.push((file.to_owned(), '-', format!("{key} {}", recorded.get(key).unwrap_or(&Value::Null))));
            found.push((file.to_owned(), '+', format!("{key} {}", ours.get(key).unwrap_or(&Value::Null))));
        }
    }
    let of = |answer: &Value| {
        let mut out = BTreeSet::new();
        if let Some(result) = answer.get("result") {
            shape(result, "", &mut out);
        }
        out
    };
    let (theirs, ours) = (of(&recorded), of(ours));
    // More kinds of events than were recorded are no difference: the lab has more objects than that server had. A kind
    // that is missing is one.
    let kind = |path: &String| path.split_once('>').map(|(kind, _)| format!("{kind}>"));
    let kinds = |shape: &BTreeSet<String>| shape.iter().filter_map(kind).collect::<BTreeSet<String>>();
    let (recorded_kinds, our_kinds) = (kinds(&theirs), kinds(&ours));
    let lacking = recorded_kinds.difference(&our_kinds).map(|kind| (file.to_owned(), '-', kind.clone()));
    found.extend(lacking);
    let both =
        |path: &&String| kind(path).is_none_or(|kind| recorded_kinds.contains(&kind) && our_kinds.contains(&kind));
    found.extend(theirs.difference(&ours).filter(both).map(|path| (file.to_owned(), '-', path.clone())));
    found.extend(ours.difference(&theirs).filter(both).map(|path| (file.to_owned(), '+', path.clone())));
}

#[tokio::test]
async fn recorded_requests_get_answers_of_the_recorded_shape() {
    let Some(folder) = reference() else { return };
    let login = Some(("root".to_owned(), "xenroot".to_owned()));
    let (_lab, endpoint) = lab(LabOptions { login, ..options() }).await;
    let xapi = Xapi::logged_in(&endpoint, 0).await;
    let mut ids = ids(&xapi).await;
    let mut files: Vec<_> = std::fs::read_dir(folder.join("xenserver/recorded"))
        .expect("recordings")
        .map(|entry| entry.expect("one").path())
        .collect();
    files.sort();
    assert!(files.len() > 40, "{}", files.len());
    let mut found = Vec::new();
    for path in files {
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("readable")).expect("JSON");
        // The recording's own waits: a task's record is read when it is done, and its event while it is not.
        if !file.starts_with("21-") {
            rest(&xapi).await;
        }
        let reply = xapi.send(ids.translate(&recorded["request"].to_string())).await.expect("an answer");
        let ours: Value = serde_json::from_str(&reply).expect("JSON");
        if file != "01-login" {
            ids.learn(&recorded["response"]["result"], &ours["result"]);
        }
        // Two of the recording's own requests name what another run of it was answered.
        if file == "17-event.from-delta" {
            let earlier = "00000000000000001001,00000000000000000000";
            ids.0.insert(earlier.to_owned(), text(&ours["result"]["token"]));
        }
        if file == "36-Async-failing" {
            ids.0.insert("OpaqueRef:cd8c7a04-67c0-e192-fb94-6d49d2cddd95".to_owned(), text(&ours["result"]));
        }
        differences(&file, &recorded["response"], &ours, &ids, &mut found);
    }
    judge(&found);
}

fn judge(found: &[(String, char, String)]) {
    let listed = listed();
    let covers = |one: &Listed, (file, sign, path): &(String, char, String)| {
        (one.file == "*" || one.file == *file) && one.sign == *sign && one.path == *path
    };
    let unlisted: Vec<String> = found
        .iter()
        .filter(|difference| !listed.iter().any(|one| covers(one, difference)))
        .map(|(file, sign, path)| format!("{file} {sign} {path}"))
        .collect();
    assert!(unlisted.is_empty(), "differences that are not listed:\n{}", unlisted.join("\n"));
    let stale: Vec<String> = listed
        .iter()
        .filter(|one| !found.iter().any(|difference| covers(one, difference)))
        .map(|one| format!("{} {} {}", one.file, one.sign, one.path))
        .collect();
    assert!(stale.is_empty(), "listed and none any more:\n{}", stale.join("\n"));
}
