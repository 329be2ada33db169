//! `get` beside a running `serve`: how things stand is what that says, and nobody is asked again for it.

use serde_json::Value;
use tierwright::clock::Clock;
use tierwright::journal::Lock;
use tierwright::status::{Status, StatusFile};

use crate::harness::{LabBench, Ran};
use crate::systemd::{Service, bench, settled_rows};

fn rows(ran: &Ran) -> Vec<Value> {
    serde_json::from_str(&ran.stdout).expect("a JSON list")
}

fn row(ran: &Ran, name: &str, value: &str) -> Value {
    let found = rows(ran).into_iter().find(|row| row[name] == value);
    found.unwrap_or_else(|| panic!("no {value} in {}", ran.stdout))
}

/// The same settings, but for an endpoint at an address where nobody listens.
fn where_nobody_listens(bench: &LabBench) -> String {
    let settings = std::fs::read_to_string(bench.path().join("tierwright.yaml")).expect("the lab wrote it");
    let port = settings.split_once("https://127.0.0.1:").expect("a URL").1;
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    bench.write("deaf.yaml", &settings.replace(&port, "9")).to_string_lossy().into_owned()
}

#[test]
fn beside_a_serve_the_lists_say_how_things_stand_in_its_words_and_endpoints_are_not_asked_again() {
    let mut bench = bench();
    let mut service = Service::start(&mut bench);
    service.told("STATUS=3 in sync");
    settled_rows(&bench);
    let deaf = where_nobody_listens(&bench);

    let endpoints = bench.run(&["--config", &deaf, "get", "endpoints", "-o", "json"]).expect(0);
    let vcenter = row(&endpoints, "name", "vc-prod");
    assert_eq!((&vcenter["status"], &vcenter["vms"]), (&"complete".into(), &6.into()));
    assert_eq!(vcenter["statusBy"], "serve");
    assert!(vcenter["product"].is_string() && vcenter["since"].is_string() && vcenter["statusAt"].is_string());
    assert!(endpoints.stderr.starts_with("STATUS is what serve (process "), "{}", endpoints.stderr);
    assert!(endpoints.stderr.contains(" s ago: ready; last cycle ended at "), "{}", endpoints.stderr);

    let tier = row(&bench.run(&["--config", &deaf, "get", "tiers", "-o", "json"]).expect(0), "name", "tier-1");
    assert_eq!((&tier["status"], &tier["statusBy"]), (&"3 of 3 in sync".into(), &"serve".into()));
    assert!(bench.run(&["get", "tiers"]).expect(0).stdout.contains("3 of 3 in sync"));

    // Power and addresses are in no status: for them it asks.
    let vms = bench.run(&["get", "vms", "-o", "json"]).expect(0);
    let ours = row(&vms, "key", "shop/shop-db-01");
    assert_eq!((&ours["status"], &ours["power"], &ours["is"]), (&"in sync".into(), &"running".into(), &"owned".into()));
    assert!(ours["statusBy"] == "serve" && ours["since"].is_string(), "{ours}");
    let others = rows(&vms).into_iter().filter(|row| row["is"] == "unmanaged");
    assert!(others.clone().count() == 3 && others.into_iter().all(|row| row["statusBy"].is_null()));
    // Of other manifests it says nothing.
    let elsewhere = bench.run(&["get", "vms", "-f", "manifests", "-o", "json"]).expect(0);
    assert_eq!(row(&elsewhere, "key", "shop/shop-db-01")["statusBy"], "look");
    assert!(
        row(&bench.run(&["get", "tiers", "-f", "manifests", "-o", "json"]).expect(0), "name", "tier-1")["status"]
            .is_null()
    );

    let yaml = bench.run(&["get", "tiers", "-o", "yaml"]).expect(0).stdout;
    assert!(yaml.contains("status: 3 of 3 in sync") && yaml.contains("statusBy: serve"), "{yaml}");
    assert_eq!(service.end(), Some(0));
    alone(&bench);
}

/// The same lists when no serve runs: a look, and it is said.
fn alone(bench: &LabBench) {
    let endpoints = bench.run(&["get", "endpoints", "-o", "json"]).expect(0);
    let vcenter = row(&endpoints, "name", "vc-prod");
    assert_eq!((&vcenter["status"], &vcenter["statusBy"]), (&"complete".into(), &"look".into()));
    assert_eq!(endpoints.stderr, "No `serve` runs: each endpoint is asked now.\n");
    let vms = bench.run(&["get", "vms", "-o", "json"]).expect(0);
    let ours = row(&vms, "key", "shop/shop-db-01");
    assert_eq!((&ours["status"], &ours["statusBy"]), (&"in sync".into(), &"look".into()));
    assert_eq!(vms.stderr, "No `serve` runs: STATUS is from a plan made now.\n");
    let tiers = bench.run(&["get", "tiers", "-o", "json"]).expect(0);
    assert!(row(&tiers, "name", "tier-1")["status"].is_null());
    assert!(tiers.stderr.starts_with("No `serve` runs: STATUS is not known"), "{}", tiers.stderr);
}

#[test]
fn a_status_that_nobody_keeps_up_is_not_taken_for_how_things_stand() {
    let bench = bench();
    let state = bench.path().join("state");
    let _serving = Lock::serve(&state).expect("nobody serves");
    let now = Clock::Real.now();
    let write = |file: StatusFile| file.write(&state).expect("the folder is ours");
    let at = |minutes: i64| now - jiff::SignedDuration::from_mins(minutes);
    let said = |beginning: &str| {
        let said = bench.run(&["get", "tiers"]).expect(0).stderr;
        assert!(said.starts_with(beginning), "{said}");
    };
    said("`serve` has just started: ");
    let planned = Status { plan: Some(tierwright::status::PlanCounts::default()), ..Status::default() };
    write(StatusFile::of(planned.clone(), "lab", None, now));
    said("STATUS is what serve (process ");
    write(StatusFile::of(planned.clone(), "lab", None, at(30)));
    said(&format!("`serve` (process {}) told something last 30 min ago: ", std::process::id()));
    write(StatusFile::of(planned.clone(), "other", None, now));
    said("The `serve` that runs is for installation other: ");
    // Left by one that was killed, while the next has only just begun.
    write(StatusFile { process: 1, ..StatusFile::of(planned, "lab", None, now) });
    said("`serve` has just started: ");
    write(StatusFile::of(Status::default(), "lab", None, now));
    said("`serve` has just started and does not know all yet: ");
}
