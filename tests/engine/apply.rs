//! Apply: exactly the plan, in its order, recorded, halted where it must be.

use std::collections::BTreeMap;
use std::sync::Arc;

use tierwright::apply::StepOutcome;
use tierwright::events::{Event, EventSink};
use tierwright::gate::Who;
use tierwright::model::{Bytes, PowerState};
use tierwright::plan::{LastInventory, Manage, Operation};
use tokio::sync::Barrier;

use crate::fixtures::{
    Bench, after, create, delete, endpoint, grow, grow_cold, key, memory_of, own_id, owned_vm, policy, told, why,
};
use crate::provider::{Fault, Memory, config, shared};

/// Whatever became of a step.
fn ended(event: &Event) -> bool {
    matches!(event, Event::StepDone { .. } | Event::StepFailed { .. } | Event::StepSkipped { .. })
}

fn with_vms(keys: &[&str]) -> Memory {
    Memory::new("vc").with(keys.iter().map(|text| owned_vm(text)))
}

#[tokio::test]
async fn steps_are_done_and_nothing_is_left_open() {
    let vc = shared(with_vms(&["a", "gone"]));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(vec![grow("vc", "a"), create("vc", "new"), delete("vc", "gone")]).await;
    assert_eq!(told(&report), ["default/a: done", "default/new: done", "default/gone: done"], "{report:?}");
    assert_eq!(memory_of(&vc.vm(&own_id("a")).unwrap()), Bytes::gib(8));
    assert!(vc.vm(&own_id("gone")).is_none());
    let history = bench.journal.history(bench.clock.now()).await.unwrap();
    assert!(history.open_intents.is_empty());
    assert_eq!(history.destroys.len(), 1);
}

#[tokio::test]
async fn no_more_than_the_allowed_steps_run_on_an_endpoint() {
    let keys = ["a", "b", "c", "d", "e", "f"];
    // Each step waits until a second one runs too, so that the test also fails when steps run one after another.
    let vc = shared(Memory { meet: Some(Barrier::new(2)), ..with_vms(&keys) });
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(keys.iter().map(|text| grow("vc", text)).collect()).await;
    assert_eq!(report.count(|outcome| *outcome == StepOutcome::Done), keys.len());
    assert_eq!(vc.most_busy.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_step_waits_for_what_it_depends_on_and_is_skipped_when_that_failed() {
    let vc = shared(with_vms(&["a", "b", "c"]).faulty("b", Fault::Refuse("no licence")));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let steps =
        vec![after(create("vc", "z"), &["a"]), after(create("vc", "y"), &["b"]), grow("vc", "a"), grow("vc", "b")];
    let report = bench.apply(steps).await;
    assert_eq!(told(&report), ["default/z: done", "default/y: dependency", "default/a: done", "default/b: failed"]);
    assert!(why(&report, 3).contains("no licence"));
    let calls = vc.calls();
    let at = |call: &str| calls.iter().position(|made| made == call).unwrap();
    assert!(at("default/a Reconfigure") < at("default/z Create"));
}

#[tokio::test]
async fn steps_that_wait_for_each_other_are_skipped() {
    let vc = shared(with_vms(&["a"]));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report =
        bench.apply(vec![after(create("vc", "x"), &["y"]), after(create("vc", "y"), &["x"]), grow("vc", "a")]).await;
    assert_eq!(told(&report), ["default/x: dependency", "default/y: dependency", "default/a: done"]);
}

#[tokio::test]
async fn destroys_begin_when_everything_else_has_ended() {
    let vc = shared(with_vms(&["a", "old"]).faulty("a", Fault::Refuse("no")));
    let bench = Bench::new(&[("vc", &vc)]).await;
    bench.apply(vec![delete("vc", "old"), grow("vc", "a"), create("vc", "new")]).await;
    let calls = vc.calls();
    let first_destroy = calls.iter().position(|call| call.starts_with("default/old")).unwrap();
    assert_eq!(first_destroy, 2, "{calls:?}");
}

#[tokio::test]
async fn a_vm_that_changed_since_the_plan_refuses_its_step() {
    let mut vm = owned_vm("a");
    config(&mut vm).cpus = 16;
    let vc = shared(Memory::new("vc").with([vm, owned_vm("b")]));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(vec![grow("vc", "a"), grow("vc", "b")]).await;
    assert_eq!(told(&report), ["default/a: changed", "default/b: done"]);
    assert_eq!(vc.calls(), ["default/b Reconfigure"]);
}

#[tokio::test]
async fn a_create_whose_vm_is_there_already_is_refused() {
    let vc = shared(with_vms(&["a"]));
    let bench = Bench::new(&[("vc", &vc)]).await;
    assert_eq!(told(&bench.apply(vec![create("vc", "a")]).await), ["default/a: changed"]);
    assert!(vc.calls().is_empty());
}

#[tokio::test]
async fn a_vm_that_somebody_starts_between_stop_and_destroy_is_not_destroyed() {
    let vc = shared(with_vms(&["a"]).faulty("a", Fault::ChangedMidway));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(vec![delete("vc", "a")]).await;
    assert_eq!(told(&report), ["default/a: changed"]);
    assert_eq!(vc.calls(), ["default/a Stop"]);
}

#[tokio::test]
async fn a_lost_reply_leaves_an_open_intent() {
    let vc = shared(with_vms(&[]).faulty("a", Fault::LoseReply));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(vec![create("vc", "a")]).await;
    assert_eq!(told(&report), ["default/a: failed"]);
    let open = bench.journal.history(bench.clock.now()).await.unwrap().open_intents;
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].key.clone(), open[0].call.as_str()), (key("a"), "Create"));
}

#[tokio::test]
async fn what_a_create_made_is_known_though_it_never_came_to_its_end() {
    let vc = shared(with_vms(&[]).faulty("a", Fault::RefuseLater("no such right")));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let empty = LastInventory { generation: 0, taken_at: bench.clock.now(), vms: Arc::default() };
    bench.journal.remember(&BTreeMap::from([(endpoint("vc"), empty)]), bench.clock.now()).await.unwrap();
    let mut begun = create("vc", "a");
    begun.operations.push(Operation::Start);
    let report = bench.apply(vec![begun.clone()]).await;
    assert_eq!(told(&report), ["default/a: failed"]);
    let known = bench.journal.history(bench.clock.now()).await.unwrap().last[&endpoint("vc")].vms.clone();
    let known: Vec<_> = known.iter().map(|vm| (vm.id.to_string(), vm.owned.as_ref().map(|owned| &owned.key))).collect();
    assert_eq!(known, [(begun.identity.to_string(), Some(&begun.key))]);
}

#[tokio::test]
async fn what_an_earlier_run_may_have_begun_is_waited_for_until_an_outcome_is_on_record() {
    let vc = shared(with_vms(&[]).faulty("a", Fault::LoseReply));
    let bench = Bench::new(&[("vc", &vc)]).await;
    bench.apply(vec![create("vc", "a"), create("vc", "b")]).await;
    assert_eq!(*vc.settled.lock().unwrap(), [] as [String; 0]);
    vc.faults.lock().unwrap().clear();
    vc.vms.lock().unwrap().clear();
    // That something was seen meanwhile does not mean that it was the end.
    bench.journal.close_seen(&endpoint("vc"), &key("a"), "seen", bench.clock.now()).await.unwrap();
    bench.apply(vec![create("vc", "a"), create("vc", "b")]).await;
    assert_eq!(*vc.settled.lock().unwrap(), ["default/a"]);
    bench.apply(vec![grow("vc", "a")]).await;
    assert_eq!(vc.settled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_step_that_kept_no_promise_is_not_called_done() {
    let vc = shared(with_vms(&["a"]).faulty("a", Fault::Lie));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let report = bench.apply(vec![grow("vc", "a")]).await;
    assert_eq!(told(&report), ["default/a: failed"]);
    assert!(why(&report, 0).contains("did not become"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_lost_is_tried_again_and_then_left_alone() {
    let vc = shared(with_vms(&["a", "b", "c", "d"]).faulty("a", Fault::Unreachable).faulty("b", Fault::Unreachable));
    let hv = shared(Memory::new("hv").with([owned_vm("e")]));
    let bench = Bench::new(&[("vc", &vc), ("hv", &hv)]).await;
    let steps = ["a", "b", "c", "d"].map(|text| grow("vc", text)).into_iter().chain([grow("hv", "e")]).collect();
    let report = bench.apply(steps).await;
    let lost = |text| format!("default/{text}: endpoint lost");
    assert_eq!(told(&report), [lost("a"), lost("b"), lost("c"), lost("d"), "default/e: done".into()]);
    assert!(why(&report, 2).contains("connection refused"), "{report:?}");
    assert!(vc.calls().is_empty());
}

#[tokio::test]
async fn a_panic_in_a_provider_is_that_steps_failure_alone() {
    let vc = shared(with_vms(&["a", "b"]).faulty("a", Fault::Panic));
    let bench = Bench::new(&[("vc", &vc)]).await;
    assert_eq!(
        told(&bench.apply(vec![grow("vc", "a"), grow("vc", "b")]).await),
        ["default/a: failed", "default/b: done"]
    );
}

#[tokio::test]
async fn a_pause_stops_before_the_next_call() {
    let vc = shared(with_vms(&["a", "b"]));
    let mut bench = Bench::new(&[("vc", &vc)]).await;
    let (events, mut stream) = EventSink::channel();
    bench.events = events;
    bench.endpoints = std::mem::take(&mut bench.endpoints).with(endpoint("vc"), Arc::clone(&vc) as _, 1);
    let state_dir = bench.state_dir().to_owned();
    let pausing = async {
        while let Some(event) = stream.recv().await {
            let last_call = matches!(&event, Event::StepProgress { text, .. } if text == "Start");
            if last_call || ended(&event) {
                return tierwright::pause::pause(&state_dir, Some("storage work")).unwrap();
            }
        }
    };
    // The pause comes when the first step has made its last call, before the second begins.
    let (report, ()) = tokio::join!(bench.apply(vec![grow_cold("vc", "a"), after(grow("vc", "b"), &["a"])]), pausing);
    assert_eq!(told(&report), ["default/a: done", "default/b: gated"]);
    assert!(why(&report, 1).contains("storage work"));
    assert_eq!(vc.calls(), ["default/a Stop", "default/a Reconfigure", "default/a Start"]);
}

#[tokio::test]
async fn the_end_is_waited_for_by_a_guest_that_we_shut_down() {
    let vc = shared(with_vms(&["a"]));
    let bench = Bench::new(&[("vc", &vc)]).await;
    let (events, mut stream) = EventSink::channel();
    let bench = Bench { events, ..bench };
    // The end is asked for as soon as `a` was stopped: it must still be started again.
    let ending = async {
        while let Some(event) = stream.recv().await {
            if matches!(event, Event::StepProgress { .. }) || ended(&event) {
                return bench.shutdown.request();
            }
        }
    };
    let steps = vec![grow_cold("vc", "a"), after(grow("vc", "c"), &["a"])];
    let (report, ()) = tokio::join!(bench.apply(steps), ending);
    assert_eq!(told(&report), ["default/a: done", "default/c: stopped"]);
    let mut vm = vc.vm(&own_id("a")).unwrap();
    assert_eq!(config(&mut vm).power, PowerState::Running);
}

#[tokio::test]
async fn serve_changes_nothing_where_only_a_person_may() {
    let (vc, hv) = (shared(with_vms(&["a"])), shared(Memory::new("hv").with([owned_vm("b")])));
    let bench = Bench::new(&[("vc", &vc), ("hv", &hv)]).await;
    let bench = Bench { policy: policy(&[("vc", Manage::Suggest), ("hv", Manage::Enforce)]), ..bench };
    let steps = || vec![grow("vc", "a"), grow("hv", "b")];
    assert_eq!(told(&bench.apply_by(steps(), Who::Serve).await), ["default/a: gated", "default/b: done"]);
    assert!(vc.calls().is_empty());
    assert_eq!(told(&bench.apply_by(vec![grow("vc", "a")], Who::Apply).await), ["default/a: done"]);
}
