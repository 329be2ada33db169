//! pyvmomi, unmodified, against the front.

use std::process::Command;

use tierwright::lab::LabOptions;

use crate::support::{lab, python};

#[tokio::test(flavor = "multi_thread")]
async fn pyvmomi_does_a_vms_whole_life() {
    let Some(python) = python("pyVmomi") else { return };
    let (lab, endpoint) = lab(LabOptions::default()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/pyvmomi_life.py");
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python).args([script, endpoint.url(), &endpoint.username, &endpoint.password]).output()
    })
    .await
    .expect("joined")
    .expect("python runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = lab.record();
    assert_eq!((record.count("CreateVM_Task"), record.mutating_on("born/here").len()), (2, 11));
    lab.stop().await;
}
