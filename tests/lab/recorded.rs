//! Requests recorded from real clients at real vCenters, sent to the lab as they are: the answers must have the shape
//! of the recorded ones, but for the differences listed in `recorded_differences.txt`.
//!
//! The shape of an answer is its HTTP status and the set of its element paths with their `xsi:type`. Ids are mapped:
//! recorded VMs, datastores and networks stand for VMs, datastores and networks of the lab. A difference that is not
//! listed fails, and so does a listed one that is none any more. A path begins with the call,
//! or with the property asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;
use tierwright::lab::{Lab, LabOptions};
use tierwright::xml::{Element, Limits};

use crate::support::{Reply, Soap, lab, moref, reference};

/// A listed difference: `-` the lab lacks it, `+` only the lab has it.
struct Listed {
    file: String,
    sign: char,
    path: String,
    reason: String,
}

fn listed() -> Vec<Listed> {
    let text = include_str!("recorded_differences.txt");
    let mut reason = String::new();
    let mut out = Vec::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            words.clone_into(&mut reason);
        } else if !line.trim().is_empty() {
            let mut words = line.split_whitespace();
            let mut word = || words.next().expect("FILE SIGN PATH").to_owned();
            let (file, sign, path) = (word(), word(), word());
            let sign = sign.chars().next().expect("a sign");
            out.push(Listed { file, sign, path, reason: reason.clone() });
        }
    }
    out
}

impl Listed {
    fn covers(&self, file: &str, sign: char, path: &str) -> bool {
        let here = self.file == "*" || self.file == file;
        here && self.sign == sign && matches(&self.path, path)
    }
}

/// `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((front, rest)) => text.strip_prefix(front).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
        }),
    }
}

struct Interaction {
    request: String,
    status: u64,
    answer: String,
}

/// Strings come plain or with a tag of Python's.
fn text(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => text(&tagged.value),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

fn interactions(file: &std::path::Path) -> Vec<Interaction> {
    let yaml: Value = serde_yaml::from_str(&std::fs::read_to_string(file).expect("readable")).expect("YAML");
    let list = yaml["interactions"].as_sequence().expect("interactions");
    let read = |each: &Value| Interaction {
        request: text(&each["request"]["body"]),
        status: each["response"]["status"]["code"].as_u64().expect("a status"),
        answer: text(&each["response"]["body"]["string"]),
    };
    // Other services of a vCenter (storage policies, version lists) are none of the lab's.
    list.iter()
        .filter(|each| text(&each["request"]["uri"]).ends_with("/sdk"))
        .map(read)
        .filter(|each| each.request.contains("urn:vim25"))
        .collect()
}

fn shape(text: &str) -> BTreeSet<String> {
    fn walk(element: &Element<'_>, above: &str, out: &mut BTreeSet<String>) {
        let kind = element.xsi_type().map(|kind| format!("[{kind}]")).unwrap_or_default();
        let path = format!("{above}/{}{kind}", element.name());
        for child in &element.children {
            walk(child, &path, out);
        }
        out.insert(path);
    }
    let envelope = Element::parse(text.as_bytes(), Limits::ANSWER).expect("XML");
    let body = envelope.child("Body").expect("a body");
    let mut out = BTreeSet::new();
    for call in &body.children {
        for child in &call.children {
            walk(child, "", &mut out);
        }
    }
    out
}

/// What stands for what.
fn map(lab: &Lab) -> BTreeMap<&'static str, String> {
    let (datacenter, datastore, network) = lab.world().with(|world| {
        let id = |id: Option<&tierwright::lab::world::Id>| id.expect("one").0;
        (id(world.datacenters.keys().next()), id(world.datastores.keys().next()), id(world.networks.keys().next()))
    });
    BTreeMap::from([
        // A running VM with tools, one with a snapshot would differ from the recorded one.
        ("vm-19", moref(lab, "legacy-000")),
        ("vm-18", moref(lab, "legacy-001")),
        ("vm-20", moref(lab, "legacy-002")),
        ("datacenter-3", format!("datacenter-{datacenter}")),
        ("datastore-17", format!("datastore-{datastore}")),
        ("network-13", format!("network-{network}")),
    ])
}

/// The recorded request with the lab's ids and password in it.
fn translated(request: &str, ids: &BTreeMap<&str, String>, views: &BTreeMap<String, String>, lab: &Lab) -> String {
    let endpoint = &lab.endpoints()[0];
    let mut out = request.to_owned();
    for (from, to) in ids {
        out = out.replace(&format!(">{from}<"), &format!(">{to}<"));
    }
    for (from, to) in views {
        out = out.replace(from.as_str(), to);
    }
    let id = lab.world().with(|world| world.vm_named("legacy-000").expect("it").instance_uuid.to_string());
    out = out.replace("50201f05-b37c-db69-fda5-fb077e87af04", &id);
    out = out.replace("my_user", &endpoint.username);
    // The wrong password stays wrong.
    for known in ["my_password", "my_pass", "Admin!23"] {
        out = out.replace(&format!(">{known}<"), &format!(">{}<", endpoint.password));
    }
    out = out.replace("Administrator@vsphere.local", &endpoint.username);
    out
}

async fn replay(file: &str, interactions: &[Interaction], found: &mut Vec<(String, char, String)>) {
    let (lab, endpoint) = lab(LabOptions::default()).await;
    let soap = Soap::new(&endpoint);
    let ids = map(&lab);
    let mut views = BTreeMap::new();
    for each in interactions {
        let request = translated(&each.request, &ids, &views, &lab);
        let reply = soap.send(request.clone()).await.expect("an answer");
        let recorded = Reply { status: u16::try_from(each.status).expect("a status"), text: each.answer.clone() };
        if reply.status != recorded.status {
            found.push((file.into(), '+', format!("{}:{}", called(&request), reply.status)));
            continue;
        }
        if let (true, Some(theirs), Some(ours)) =
            (request.contains("CreateContainerView"), recorded.value("returnval"), reply.value("returnval"))
        {
            views.insert(theirs, ours);
        }
        let (ours, theirs) = (shape(&reply.text), shape(&recorded.text));
        let call = called(&request);
        found.extend(theirs.difference(&ours).map(|path| (file.into(), '-', format!("{call}{path}"))));
        found.extend(ours.difference(&theirs).map(|path| (file.into(), '+', format!("{call}{path}"))));
    }
}

/// The call in a request, for messages.
fn called(request: &str) -> String {
    let envelope = Element::parse(request.as_bytes(), Limits::REQUEST).expect("XML");
    let call = envelope.child("Body").and_then(|body| body.children.first()).expect("a call");
    call.text_of("prop").unwrap_or(call.name()).to_owned()
}

#[tokio::test]
async fn recorded_requests_are_answered_in_the_recorded_shape() {
    let Some(reference) = reference() else { return };
    let mut found = Vec::new();
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir(reference.join("vsphere/recorded"))
        .expect("readable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    for path in files {
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let interactions = interactions(&path);
        count += interactions.len();
        replay(&file, &interactions, &mut found).await;
    }
    assert!(count > 80, "only {count} recorded calls were found");
    let listed = listed();
    let unlisted: BTreeSet<String> = found
        .iter()
        .filter(|(file, sign, path)| !listed.iter().any(|each| each.covers(file, *sign, path)))
        .map(|(file, sign, path)| format!("{file} {sign} {path}"))
        .collect();
    let stale: Vec<&str> = listed
        .iter()
        .filter(|each| !found.iter().any(|(file, sign, path)| each.covers(file, *sign, path)))
        .map(|each| each.path.as_str())
        .collect();
    assert!(listed.iter().all(|each| !each.reason.is_empty()), "each difference needs its reason");
    assert!(unlisted.is_empty(), "not listed:\n{}", unlisted.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(stale.is_empty(), "listed and no difference any more:\n{}", stale.join("\n"));
}
