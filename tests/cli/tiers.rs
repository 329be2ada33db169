//! The examples' tiers, end to end by the binary: what they ask for is made, found in sync, changed, and taken away.

use std::path::Path;

use tierwright::lab::LabOptions;
use tierwright::model::HypervisorType;

use crate::harness::LabBench;

/// A lab with one hypervisor, and the manifests of the examples.
fn bench(hypervisor: HypervisorType) -> LabBench {
    let bench = LabBench::with(LabOptions { vms: 3, only: vec![hypervisor], ..LabOptions::default() });
    let manifests = bench.path().join("manifests");
    std::fs::remove_dir_all(&manifests).expect("the folder is ours");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), &manifests);
    bench
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is ours");
    for entry in std::fs::read_dir(from).expect("the examples are part of the crate") {
        let path = entry.expect("it can be listed").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("the folder is ours");
        }
    }
}

fn plan(bench: &LabBench) -> serde_json::Value {
    serde_json::from_str(&bench.run(&["plan", "-o", "json"]).expect(0).stdout).expect("JSON")
}

fn actions(plan: &serde_json::Value) -> Vec<String> {
    let steps = plan["steps"].as_array().expect("steps").iter();
    steps.map(|step| format!("{} {}", step["key"].as_str().unwrap(), step["action"].as_str().unwrap())).collect()
}

#[test]
fn tier_2_of_the_examples_is_made_changed_and_taken_away_on_hyper_v() {
    let bench = bench(HypervisorType::Hyperv);
    bench.run(&["check"]).expect(0);
    assert_eq!(actions(&plan(&bench)), ["qa/erp-db-01 create", "qa/erp-app-01 create", "qa/win-client-01 create"]);
    bench.run(&["apply", "--yes"]).expect(0);
    let after = plan(&bench);
    assert_eq!((actions(&after), after["inSync"].as_u64()), (Vec::new(), Some(3)));
    assert_eq!(bench.run(&["drift"]).expect(0).stdout.lines().count(), 0);
    // A disk grows while it runs; memory needs a reboot, which this tier allows.
    bench.edit("qa/erp-copy.yaml", "size: 100GiB", "size: 120GiB");
    bench.edit("qa/erp-copy.yaml", "memory: 6GiB", "memory: 8GiB");
    let changes = plan(&bench);
    assert_eq!(actions(&changes), ["qa/erp-db-01 update", "qa/win-client-01 update"]);
    let lands: Vec<_> =
        changes["steps"].as_array().unwrap().iter().map(|step| step["lands"].as_str().unwrap()).collect();
    assert_eq!(lands, ["hot", "reboot"]);
    bench.run(&["apply", "--yes"]).expect(0);
    assert_eq!(actions(&plan(&bench)), [] as [String; 0]);
    // `prune: auto` with a day of grace: out of Git it is retired.
    std::fs::remove_file(bench.path().join("manifests/qa/erp-copy.yaml")).expect("the folder is ours");
    let removal = plan(&bench);
    assert!(actions(&removal).iter().all(|action| action.ends_with(" retire")), "{:?}", actions(&removal));
}

#[test]
fn tier_3_of_the_examples_is_made_changed_and_let_go_on_xenserver() {
    let bench = bench(HypervisorType::Xenserver);
    bench.run(&["check"]).expect(0);
    let before = plan(&bench);
    assert_eq!(actions(&before), ["hosted/acme-www create", "hosted/globex-mail create"]);
    bench.run(&["apply", "--yes"]).expect(0);
    let after = plan(&bench);
    assert_eq!((actions(&after), after["inSync"].as_u64()), (Vec::new(), Some(2)));
    assert_eq!(bench.run(&["drift"]).expect(0).stdout.lines().count(), 0);
    // XenServer grows a disk only while it is unplugged, and this tier reboots nobody without being told.
    bench.edit("hosted/customers.yaml", "size: 200GiB", "size: 300GiB");
    let held = plan(&bench);
    let blocked = held["blocked"].as_array().unwrap().iter().find(|blocked| blocked["key"] == "hosted/globex-mail");
    assert_eq!((actions(&held), blocked.unwrap()["code"].as_str()), (Vec::new(), Some("rebootNotAllowed")));
    bench.edit("hosted/customers.yaml", "preventDestroy: true", "preventDestroy: true\n  allowReboot: always");
    let told = plan(&bench);
    assert_eq!(actions(&told), ["hosted/globex-mail update"]);
    assert_eq!(told["steps"][0]["lands"], "reboot");
    bench.run(&["apply", "--yes"]).expect(0);
    assert_eq!(actions(&plan(&bench)), [] as [String; 0]);
    // Out of Git is out of our care, and the customers' VMs go on: `onRemove: release`.
    std::fs::remove_file(bench.path().join("manifests/hosted/customers.yaml")).expect("the folder is ours");
    assert_eq!(actions(&plan(&bench)), ["hosted/acme-www release", "hosted/globex-mail release"]);
    bench.run(&["apply", "--yes"]).expect(0);
    let left = plan(&bench);
    let unmanaged = |plan: &serde_json::Value| plan["unmanaged"].as_u64().unwrap();
    assert_eq!((actions(&left), unmanaged(&left)), (Vec::new(), unmanaged(&before) + 2));
}
