//! `tierwright lab` as a program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

#[test]
fn the_program_says_ready_serves_and_counts_when_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("lab/tierwright.yaml");
    let mut lab = Command::new(env!("CARGO_BIN_EXE_tierwright"))
        .args(["lab", "--only", "vsphere", "--vms", "3", "--seed", "5", "--settings"])
        .arg(&settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the lab starts");
    let mut out = BufReader::new(lab.stdout.take().expect("its output"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    assert!(settings.exists() && settings.with_file_name("secrets").join("vc-prod").exists());
    let stop = Command::new("kill").args(["-TERM", &lab.id().to_string()]).status().expect("kill runs");
    assert!(stop.success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    assert!(lab.wait().expect("it ends").success());
    assert_eq!(rest, "mutating calls: 0\n");
}

#[test]
fn a_front_that_is_not_there_is_told() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tierwright")).args(["lab", "--only", "proxmox"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("vsphere, hyperv, xenserver"), "{said}");
}
