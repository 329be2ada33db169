//! Forms for programs: complete, parseable, and on stdout alone.

use serde_json::Value;

use crate::harness::LabBench;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn the_plan_as_json_has_every_part_and_yaml_says_the_same() {
    let bench = LabBench::new();
    let json = bench.run(&["plan", "-o", "json"]).expect(0).stdout;
    let plan: Value = serde_json::from_str(&json).expect("JSON and nothing else");
    for part in [
        "formatVersion",
        "installation",
        "revision",
        "settings",
        "inventory",
        "steps",
        "blocked",
        "inSync",
        "unmanaged",
        "summary",
        "cost",
        "hash",
        "approval",
    ] {
        assert!(keys(&plan).contains(&part), "{part} is not among {:?}", keys(&plan));
    }
    assert_eq!(plan["formatVersion"], 1);
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(3));
    let yaml = bench.run(&["plan", "-o", "yaml"]).expect(0).stdout;
    let same: Value = serde_yaml::from_str(&yaml).expect("YAML and nothing else");
    assert_eq!(same["steps"], plan["steps"]);
    assert_eq!(same["hash"], plan["hash"]);
}

#[test]
fn apply_as_json_is_one_object_with_plan_and_report() {
    let bench = LabBench::new();
    let applied: Value =
        serde_json::from_str(&bench.run(&["apply", "--yes", "-o", "json"]).expect(0).stdout).expect("JSON");
    assert_eq!(keys(&applied), ["plan", "report"]);
    let steps = applied["report"]["steps"].as_array().expect("a list");
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| step["outcome"] == "done"), "{steps:?}");
}

#[test]
fn every_list_comes_in_every_form() {
    let bench = LabBench::new();
    bench.run(&["apply", "--yes"]).expect(0);
    for (kind, name) in
        [("vms", "shop/shop-db-01"), ("tiers", "tier-1"), ("endpoints", "vc-prod"), ("inventory", "shop-db-01")]
    {
        let get = |form: &str| bench.run(&["get", kind, "-o", form]).expect(0).stdout;
        assert!(get("name").lines().any(|line| line == name), "{kind}: {}", get("name"));
        assert!(get("table").contains(name) && get("wide").contains(name), "{kind}");
        assert!(get("wide").lines().next() > get("table").lines().next(), "{kind}: wide has more columns");
        let json: Value = serde_json::from_str(&get("json")).expect("JSON");
        let yaml: Value = serde_yaml::from_str(&get("yaml")).expect("YAML");
        if kind != "inventory" {
            assert_eq!(json, yaml, "{kind}");
        }
        assert!(json.to_string().contains(name), "{kind}");
    }
    let only = bench.run(&["get", "vms", "-o", "name", "web"]).expect(0).stdout;
    assert_eq!(only, "shop/shop-web-01\n");
}
