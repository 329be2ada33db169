//! Collect: all endpoints at once, none held by another beyond its own deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use tierwright::collect::{Asking, collect};
use tierwright::inventory::{Inventory, Known, Missing, View};
use tierwright::model::EndpointName;
use tokio::time::Instant;

use crate::fixtures::{Bench, endpoint, own_id, owned_vm};
use crate::provider::{Memory, shared};

const DEADLINE: Duration = Duration::from_secs(7);

fn known_vm(key: &str) -> Known {
    Known { id: own_id(key), handle: "".into() }
}

async fn ask(bench: &Bench, known: &BTreeMap<EndpointName, Vec<Known>>) -> Inventory {
    let asking = Asking { endpoints: &bench.endpoints, only: None, known, deadline: DEADLINE, events: &bench.events };
    collect(&asking, &bench.journal, &bench.clock).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_costs_its_own_deadline_and_the_others_answer() {
    let hanging = shared(Memory { hangs: true, ..Memory::new("dead") });
    let vc = shared(Memory::new("vc").with([owned_vm("a")]));
    let bench = Bench::new(&[("dead", &hanging), ("vc", &vc)]).await;
    let start = Instant::now();
    let inventory = ask(&bench, &BTreeMap::new()).await;
    assert!(start.elapsed() < DEADLINE * 2);
    assert_eq!(inventory.observed(&endpoint("vc")).unwrap().vms.len(), 1);
    let View::Unreachable(why) = &inventory.endpoints[&endpoint("dead")].view else { panic!("it hangs") };
    assert_eq!(why, "no whole answer within 7 s");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_unreachable_with_its_reason_never_empty() {
    let vc = shared(Memory::new("vc"));
    *vc.fails.lock().unwrap() = Some("no route to host");
    let bench = Bench::new(&[("vc", &vc)]).await;
    let inventory = ask(&bench, &BTreeMap::new()).await;
    assert!(inventory.observed(&endpoint("vc")).is_none());
    let View::Unreachable(why) = &inventory.endpoints[&endpoint("vc")].view else { panic!("it fails") };
    assert!(why.contains("no route to host"), "{why}");
}

#[tokio::test]
async fn generations_only_grow_and_known_vms_that_are_not_listed_are_read() {
    let vc = shared(Memory::new("vc").with([owned_vm("a"), owned_vm("hidden")]));
    vc.hidden.lock().unwrap().push(own_id("hidden"));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let known = BTreeMap::from([(endpoint("vc"), ["a", "hidden", "gone"].map(known_vm).to_vec())]);
    assert_eq!(ask(&bench, &known).await.endpoints[&endpoint("vc")].generation, 1);
    let inventory = ask(&bench, &known).await;
    assert_eq!(inventory.endpoints[&endpoint("vc")].generation, 2);
    let missing = &inventory.observed(&endpoint("vc")).unwrap().missing;
    assert_eq!(missing[&own_id("gone")], Missing::NotFound);
    assert!(matches!(missing[&own_id("hidden")], Missing::Unknown(_)));
    assert_eq!(missing.len(), 2);
}
