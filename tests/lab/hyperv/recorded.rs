//! Exchanges recorded from Windows, sent to the lab as they are: faults and the configuration have the recorded shape.
//!
//! The shape is the HTTP status and the set of element paths, and of a fault its code and subcode; machine names, ids
//! and sizes differ. What differs otherwise is listed with its reason.

use std::collections::BTreeSet;

use serde_yaml::Value;
use tierwright::xml::{Element, Limits};

use super::wsman::{Wsman, lab, options};
use crate::support::reference;

struct Exchange {
    file: String,
    request: String,
    response: String,
}

fn exchanges(reference: &std::path::Path) -> Vec<Exchange> {
    let mut all = Vec::new();
    let folder = reference.join("hyperv/recorded");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("recordings").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for path in files {
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let read: Value = serde_yaml::from_str(&text).expect("YAML");
        for message in read["messages"].as_sequence().into_iter().flatten() {
            let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            all.push(Exchange { file: file.clone(), request: field("request"), response: field("response") });
        }
    }
    all
}

fn shape(text: &str) -> BTreeSet<String> {
    fn walk(element: &Element<'_>, path: &str, out: &mut BTreeSet<String>) {
        let path = format!("{path}/{{{}}}{}", element.head.namespace, element.name());
        for child in &element.children {
            walk(child, &path, out);
        }
        out.insert(path);
    }
    let mut out = BTreeSet::new();
    walk(&Element::parse(text.as_bytes(), Limits::ANSWER).expect("XML"), "", &mut out);
    out
}

/// Code, subcode and number of a fault.
fn fault(text: &str) -> Option<(String, String, String)> {
    let envelope = Element::parse(text.as_bytes(), Limits::ANSWER).expect("XML");
    let fault = envelope.path(&["Body", "Fault"])?;
    let code = fault.child("Code")?;
    let number = fault.path(&["Detail", "WSManFault"])?.attribute("Code")?.to_owned();
    Some((code.text_of("Value")?.to_owned(), code.child("Subcode")?.text_of("Value")?.to_owned(), number))
}

async fn replayed(client: &Wsman, exchange: &Exchange) -> String {
    client.send(exchange.request.clone()).await.expect("an answer").text
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_requests_are_answered_in_the_recorded_shape() {
    let Some(reference) = reference() else { return };
    let (lab, client) = lab(options()).await;
    let mut compared = 0;
    for exchange in exchanges(&reference) {
        // A timeout below zero is refused whatever the resource is; anything else of a shell is not there.
        if !exchange.request.contains("wsman/1/config<") && !exchange.request.contains("PT-1S") {
            continue;
        }
        let ours = replayed(&client, &exchange).await;
        assert_eq!(fault(&ours), fault(&exchange.response), "{}: {ours}", exchange.file);
        let (ours, theirs) = (shape(&ours), shape(&exchange.response));
        let different: Vec<&String> = ours.symmetric_difference(&theirs).collect();
        assert!(different.is_empty(), "{}: {different:?}", exchange.file);
        compared += 1;
    }
    assert_eq!(compared, 4, "three configurations and a fault");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remote_shell_is_refused_by_a_fault_of_the_recorded_form() {
    let Some(reference) = reference() else { return };
    let (lab, client) = lab(options()).await;
    let all = exchanges(&reference);
    let create = all.iter().find(|exchange| exchange.request.contains("transfer/Create")).expect("a shell");
    let recorded =
        all.iter().find(|exchange| exchange.file == "test_winrs_bad_cmd_id" && fault(&exchange.response).is_some());
    let recorded = recorded.expect("a fault");
    let ours = replayed(&client, create).await;
    assert!(fault(&ours).is_some(), "{ours}");
    let mut missing: BTreeSet<String> = shape(&recorded.response);
    missing.retain(|path| !shape(&ours).contains(path));
    // Only newer hosts tell an activity id.
    assert!(missing.iter().all(|path| path.ends_with("}ActivityId") || path.ends_with("}FaultDetail")), "{missing:?}");
    lab.stop().await;
}
