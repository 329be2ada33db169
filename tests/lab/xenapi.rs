//! XenServer's own Python client, as it is, on the lab.

use std::process::Command;

use crate::support::python;
use crate::xapi::pool;

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_python_client_makes_runs_and_removes_a_vm() {
    let Some(python) = python("XenAPI") else { return };
    let (lab, endpoint) = pool().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/xenapi_life.py");
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python).args([script, endpoint.url(), &endpoint.username, &endpoint.password]).output()
    })
    .await
    .expect("joined")
    .expect("python runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts = lab.record().mutating_counts();
    assert_eq!((counts["VM.clone"], counts["VM.start"], counts["VM.destroy"]), (1, 2, 1), "{counts:?}");
    lab.stop().await;
}
