//! Fifty VMs made by hand, taken over through `import --all`: the marks are written, and nothing else changes.

use serde_json::Value;

use crate::peer::Vcsim;
use crate::python::python;
use crate::site::{Site, setting};

const MADE: usize = 50;

/// The VMs of a dump without their marks, and without what the server counts up at every write.
fn without_marks(dump: &Value) -> Value {
    let mut dump = dump.clone();
    for vm in dump.as_object_mut().expect("VMs by name").values_mut() {
        let config = &mut vm["config"];
        config["extraConfig"].as_array_mut().expect("settings").retain(|setting| setting["key"] != "tierwright.mark");
        config["changeVersion"] = Value::Null;
        config["modified"] = Value::Null;
    }
    dump
}

fn actions(site: &Site<'_>) -> Vec<String> {
    site.steps().into_iter().map(|(_, action)| action).collect()
}

#[test]
fn fifty_vms_made_by_hand_are_taken_over_and_only_marks_are_written() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let Some(made) = python(&vcsim, "make.py", &[&MADE.to_string()]) else { return };
    assert_eq!(made.lines().count(), MADE);
    let site = Site::new(&vcsim);
    let before = site.dump(&[]).expect("pyvmomi is there");

    // Every VM of the server, vcsim's own too, becomes a manifest, and the manifests are valid.
    let imported = site.run(&["import", "vcsim", "--all", "--tier", "tier-1", "--project", "hand"]);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let all = before.as_object().expect("VMs by name").len();
    assert!(all >= MADE, "{all}");
    assert_eq!(imported.stderr.trim(), format!("{all} imported."));
    site.write("imported.yaml", &imported.stdout);
    site.expect(&["validate", "manifests"], 0);

    // The first plan adopts and does nothing else; not a property changes but for the mark.
    assert_eq!(actions(&site), vec!["adopt"; all]);
    assert_eq!(site.dump(&[]).expect("pyvmomi"), before, "import and plan only look");
    site.expect(&["apply", "--yes"], 0);
    let adopted = site.dump(&[]).expect("pyvmomi is there");
    assert_eq!(without_marks(&adopted), without_marks(&before));
    let marked =
        adopted.as_object().expect("VMs by name").values().filter(|vm| setting(vm, "tierwright.mark").is_some());
    assert_eq!(marked.count(), all);

    // The second records in the marks what was applied; the third has nothing to do, and there is no drift.
    assert_eq!(actions(&site), vec!["update"; all]);
    site.expect(&["apply", "--yes"], 0);
    site.expect(&["plan", "--detailed-exitcode"], 0);
    site.expect(&["drift", "--detailed-exitcode"], 0);
    assert_eq!(without_marks(&site.dump(&[]).expect("pyvmomi")), without_marks(&before));
    println!("{all} VMs, {MADE} of them made by hand: marks written, 0 properties changed");
}
