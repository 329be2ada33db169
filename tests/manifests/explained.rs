//! `explain` knows every code, every field and every reason to hold a change back, and its examples are true.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tierwright::explain::{Example, Explained, Fragment, ROOTS, Within, example, explain, paths, render};
use tierwright::manifest::{SourceText, codes, compile};
use tierwright::model::Revision;
use tierwright::settings;

/// What a document of this kind has if the piece does not say it.
fn usual(within: Within) -> (&'static str, &'static str, &'static str) {
    match within {
        Within::Vm => ("VirtualMachine", "metadata: {name: web}", "  tier: tier-1\n  cpus: 1\n  memory: 1GiB\n"),
        Within::Tier => ("Tier", "metadata: {name: tier-x}", "  endpoints: [vc-prod]\n"),
        Within::InstanceType => ("InstanceType", "metadata: {name: small}", ""),
        Within::File | Within::Settings | Within::Told => ("", "", ""),
    }
}

/// The piece as a whole document: what is usual added where the piece does not say it.
fn whole(Fragment { within, text }: &Fragment) -> String {
    let (kind, metadata, spec) = usual(*within);
    if kind.is_empty() {
        return (*text).to_owned();
    }
    let mut document = format!("apiVersion: tierwright.dev/v1\nkind: {kind}\n");
    if !text.contains("metadata:") {
        document.push_str(metadata);
        document.push('\n');
    }
    document.push_str(text);
    if !text.contains("spec:") {
        document.push_str("spec:\n");
    } else if text.contains("spec: {") {
        return document;
    }
    for line in spec.lines() {
        let field = line.split_once(':').map_or(line, |(field, _)| field);
        if !text.contains(&format!("{field}:")) && !text.contains("instanceType") {
            document.push_str(line);
            document.push('\n');
        }
    }
    if text.contains("instanceType") && !text.contains("  tier:") {
        document.push_str("  tier: tier-1\n");
    }
    document
}

const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vc-prod]
  images: {debian-12: {template: tmpl}}
  networks: {app: {portGroup: PG-APP}}
";

/// The codes that come out when the example is read.
fn triggered(example: &Example) -> BTreeSet<&'static str> {
    let documents: Vec<String> = example.fragments.iter().map(whole).collect();
    let text = documents.join("---\n");
    let bytes = |text: String| SourceText { path: Arc::from("a.yaml"), bytes: text.into_bytes().into() };
    let diagnostics = if example.fragments[0].within == Within::Settings {
        let usual = [("installation", "installation: prod\n"), ("source", "source: {path: manifests}\n")];
        let missing = usual.iter().filter(|(field, _)| !text.is_empty() && !text.contains(&format!("{field}:")));
        let text = missing.map(|(_, line)| *line).chain([text.as_str()]).collect::<String>();
        let parsed = settings::parse(Path::new("/etc/t.yaml"), text.as_bytes(), &settings::Environment::default());
        parsed.map_or_else(|refused| refused.diagnostics, |_| Vec::new())
    } else {
        let tier = SourceText { path: Arc::from("tier.yaml"), ..bytes(TIER.to_owned()) };
        compile(Revision::default(), &[bytes(text), tier]).diagnostics
    };
    diagnostics.iter().map(|problem| problem.code).collect()
}

#[test]
fn every_example_triggers_its_code() {
    for code in codes::ALL {
        let example = example(code.id).unwrap_or_else(|| panic!("{} has no example", code.id));
        if example.fragments[0].within != Within::Told {
            let found = triggered(example);
            assert!(found.contains(code.id), "the example of {} triggers {found:?}:\n{example}", code.id);
        }
    }
}

#[test]
fn every_code_is_explained_with_an_example() {
    for code in codes::ALL {
        let explained = explain(Some(&code.id.to_lowercase())).expect("a code");
        let text = render(&explained);
        assert!(text.starts_with(&format!("{}: {}\n", code.id, code.title)), "{text}");
        let (_, example) = text.split_once("\nFor example:\n").expect("an example");
        assert!(!example.trim().is_empty() || code.id == "TW0501", "{text}");
    }
}

#[test]
fn every_field_of_every_schema_can_be_explained() {
    let all = paths();
    assert!(all.len() > 90, "only {} fields", all.len());
    for path in &all {
        let Ok(Explained::Field(field)) = explain(Some(path)) else { panic!("{path}") };
        assert_eq!(&field.path, path);
        assert!(!field.description.is_empty() && !field.takes.is_empty(), "{path} says nothing: {field:?}");
        for line in &field.fields {
            assert!(!line.description.is_empty(), "{path}.{} has no description", line.name);
        }
    }
    for root in ROOTS {
        assert!(all.contains(&root.to_owned()));
    }
}

#[test]
fn a_path_is_found_as_people_write_it() {
    let path = |topic: &str| match explain(Some(topic)) {
        Ok(Explained::Field(field)) => field.path,
        other => panic!("{topic}: {other:?}"),
    };
    assert_eq!(path("vm.spec.disks"), "VirtualMachine.spec.disks");
    assert_eq!(path("virtual-machine.SPEC.disks[].size"), "VirtualMachine.spec.disks.size");
    assert_eq!(path("Tier.spec.networks.app.portGroup"), "Tier.spec.networks.portGroup");
    assert_eq!(path("Tier.spec.price"), "Tier.spec.price");
    assert_eq!(path("settings.endpoints.tls.pinSha256"), "settings.endpoints.tls.pinSha256");
}

#[test]
fn what_is_not_there_is_told_with_what_was_meant() {
    let meant = |topic: &str| explain(Some(topic)).expect_err("no such topic").meant;
    assert_eq!(meant("VirtualMachine.spec.disk"), ["VirtualMachine.spec.disks"]);
    assert_eq!(meant("preventDestroy"), ["VirtualMachine.spec.preventDestroy"]);
    assert_eq!(meant("preventDestory"), ["VirtualMachine.spec.preventDestroy"]);
    assert_eq!(meant("rebootNotAlowed"), ["rebootNotAllowed"]);
    assert_eq!(meant("TW9999"), Vec::<String>::new());
    let error = explain(Some("\u{1b}[2J")).expect_err("no such topic").to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn exit_codes_are_explained_one_by_one_and_all_at_once() {
    let told = |topic: &str| match explain(Some(topic)) {
        Ok(Explained::Exit(exits)) => exits.exits.iter().map(|exit| exit.code).collect::<Vec<_>>(),
        other => panic!("{topic}: {other:?}"),
    };
    assert_eq!(told("exit-codes"), [0, 1, 2, 3, 4, 64]);
    assert_eq!((told("3"), told("exit 64")), (vec![3], vec![64]));
}

#[test]
fn nothing_that_is_explained_is_wider_than_a_terminal() {
    let topics = paths().into_iter().chain(codes::ALL.iter().map(|code| code.id.to_owned()));
    for topic in topics.chain(["exit-codes".to_owned()]) {
        let text = render(&explain(Some(&topic)).expect("a topic"));
        for line in text.lines().filter(|line| !line.starts_with("    ")) {
            assert!(line.chars().count() <= 110, "{topic}: {line}");
        }
    }
}
