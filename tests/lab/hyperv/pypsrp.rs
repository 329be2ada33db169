//! pypsrp's WSMan client, unmodified, against the front.

use std::process::Command;

use tierwright::lab::{HYPERV, HYPERV_SEALED, Lab};

use super::wsman::options;
use crate::support::python;

#[tokio::test(flavor = "multi_thread")]
async fn pypsrp_logs_in_every_way_and_stays_logged_in() {
    let Some(python) = python("pypsrp") else { return };
    let lab = Lab::start(options()).await.expect("the lab starts");
    let find = |name: &str| lab.endpoints().into_iter().find(|endpoint| endpoint.name == name).expect("a front");
    let (https, http) = (find(HYPERV), find(HYPERV_SEALED));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/hyperv/pypsrp_session.py");
    let output = tokio::task::spawn_blocking(move || {
        let passwords = [https.password.as_str(), &http.password];
        Command::new(python).args([script, https.url(), http.url(), &https.username]).args(passwords).output()
    })
    .await
    .expect("joined")
    .expect("python runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lab.stop().await;
}
