//! Wrong usage exits 64, broken settings exit 1, and both say what to do.

use std::process::Stdio;

use crate::harness::{Bench, LabBench};

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let bench = Bench::new();
    for line in [
        &["plam"][..],
        &["plan", "--frobnicate"],
        &["plan", "-o", "wide"],
        &["get", "clusters"],
        &["apply", "plan.json", "--approve", "0123456789abcdef"],
        &["completion", "cobol"],
        &[],
    ] {
        let ran = bench.run(line).expect(64);
        assert_eq!(ran.stdout, "", "{line:?}");
        assert!(ran.stderr.contains("--help") || ran.stderr.contains("Usage:"), "{line:?}: {}", ran.stderr);
    }
}

#[test]
fn a_misspelt_command_is_guessed() {
    assert!(Bench::new().run(&["aply"]).stderr.contains("'apply'"));
}

#[test]
fn apply_without_a_terminal_and_without_yes_exits_64_before_anything_else() {
    // There are no settings here: had it looked, it would have said so.
    let ran = Bench::new().run(&["apply"]).expect(64);
    assert_eq!(ran.stderr, "error: there is no terminal to ask on: look at `tierwright plan`, then use --yes\n");
}

#[test]
fn missing_settings_are_an_error_that_names_the_file() {
    let bench = Bench::new();
    let ran = bench.run(&["plan", "--config", "nowhere.yaml"]).expect(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("nowhere.yaml"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Bench::new().command(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().expect("the binary was built");
    drop(child.stdout.take());
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().expect("piped"), &mut said).expect("UTF-8");
    assert_eq!(said, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn apply_without_anybody_to_show_the_preview_to_changes_nothing() {
    let bench = LabBench::new();
    let mut child = bench.command(&["apply", "--yes"]).stdout(Stdio::piped()).spawn().expect("the binary was built");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert_eq!(bench.lab.record().mutating(), []);
}

#[test]
fn apply_goes_on_when_nobody_listens_to_its_messages() {
    let bench = LabBench::new();
    let mut child =
        bench.command(&["apply", "--yes", "-vvv"]).stderr(Stdio::piped()).spawn().expect("the binary was built");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    bench.run(&["plan", "--detailed-exitcode"]).expect(0);
}
