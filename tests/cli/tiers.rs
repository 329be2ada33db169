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
