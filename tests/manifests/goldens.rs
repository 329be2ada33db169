//! One folder is one case: `cases/NAME/*.yaml` and `expected.txt`, which is what `validate` prints of them.
//!
//! `UPDATE_GOLDENS=1 cargo test --test manifests` writes the expected files anew; look at what changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tierwright::diagnostic::{Style, render};
use tierwright::source;

/// The report of one case, with paths below its folder.
fn report(case: &Path) -> String {
    let loaded = source::load(case);
    let mut text = render(&loaded.diagnostics, Style::default()).replace(&format!("{}/", case.display()), "");
    let errors = loaded.diagnostics.iter().any(|diagnostic| diagnostic.code != "TW0319");
    assert_eq!(loaded.desired.is_none(), errors, "desired state is there exactly when there is no error: {text}");
    if let Some(desired) = &loaded.desired {
        let _ = writeln!(text, "{} VMs, {} tiers", desired.vms.len(), desired.tiers.len());
    }
    text
}

#[test]
fn every_case_is_reported_as_expected() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut cases: Vec<PathBuf> = std::fs::read_dir("tests/manifests/cases")
        .expect("the cases are part of the crate")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 25, "only {} cases were found", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let (path, actual) = (case.join("expected.txt"), report(&case));
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if update {
            std::fs::write(&path, &actual).expect("the expected file can be written");
        } else if actual != expected {
            let _ = writeln!(wrong, "== {}\n-- expected\n{expected}-- actual\n{actual}", case.display());
        }
        assert!(actual.lines().count() < 60, "{} is longer than a screen", case.display());
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE_GOLDENS=1 writes them anew");
}

#[test]
fn the_order_of_texts_does_not_matter() {
    let folder = Path::new("tests/manifests/cases");
    let mut texts = source::read(folder).texts().to_vec();
    let revision = tierwright::model::Revision("same".into());
    let forward = tierwright::manifest::compile(revision.clone(), &texts);
    texts.reverse();
    let backward = tierwright::manifest::compile(revision, &texts);
    assert_eq!(forward.diagnostics, backward.diagnostics);
    assert!(forward.diagnostics.len() > 25);
}

#[test]
fn user_data_is_in_no_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "metadata: {name: a}\nspec:\n  tier: t\n";
    let texts = [
        // In a block, in a flow, in quotes over lines, in JSON style, beside every kind of mistake.
        format!(
            "kind: VirtualMachine\n{line}  cloudInit:\n    userData: |\n      CANARY\n      x: CANARY\n    nonsense: 1\n"
        ),
        format!("kind: VirtualMachine\n{line}  cloudInit: {{userData: CANARY, userDataFile: ../x, oops: [}}\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit:\n    userData: \"CANARY\n      CANARY\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit: {{\"userData\":\"CANARY\", \"userData\":\"CANARY\"}}\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit:\n    userData: [CANARY, {{a: CANARY}}]\n"),
        format!(
            "kind: VirtualMachine\n{line}  cloudInit:\n    userData:\n      CANARY: CANARY\n      CANARY: CANARY\n"
        ),
        format!("kind: VirtualMachine\n{line}  cloudInit:\n    userData: !CANARY CANARY\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit: |\n    CANARY\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit: {{userdata: CANARY}}\n  user_data: CANARY\n"),
        format!("kind: VirtualMachine\n{line}  cloudInit:\n    userDataFile: \"#cloud-config\\nCANARY\"\n"),
    ];
    for (n, text) in texts.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.yaml")), text).expect("a file can be written");
    }
    let loaded = source::load(folder.path());
    assert!(loaded.diagnostics.len() >= texts.len());
    let shown = render(&loaded.diagnostics, Style { color: true });
    let json = serde_json::to_string(&loaded.diagnostics).expect("problems serialize");
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(!json.contains("CANARY"));
}
