//! What goes wrong on purpose at a pool, in its own words.

use serde_json::{Value, json};
use tierwright::lab::{CallOutcome, Effect, FaultRule, NamedFault};

use crate::xapi::{Xapi, options, ready, text, texts};

fn named(code: &str) -> NamedFault {
    NamedFault { fault: code.into(), message: Some("because".into()) }
}

async fn vms(xapi: &Xapi) -> (usize, Value) {
    let batch = xapi.events(&["vm", "vbd", "vif"], "", 0.0).await;
    let listed = batch["events"].as_array().expect("events").iter().filter(|one| one["class"] == "vm").count();
    (listed, batch["valid_ref_counts"]["vm"].clone())
}

#[tokio::test]
async fn a_lost_reply_comes_after_the_change_and_a_dropped_call_before_it() {
    let (lab, xapi) = ready(options()).await;
    let template = xapi.vm("tmpl-debian-12").await;
    lab.faults().add(FaultRule::nth("VM.clone", Some("twin"), 1, Effect::Drop));
    lab.faults().add(FaultRule::nth("VM.clone", Some("twin"), 2, Effect::LoseReply));
    let exists = || lab.world().with(|world| world.vm_named("twin").is_some());
    assert!(xapi.try_call("VM.clone", json!([template, "twin"])).await.is_err());
    assert!(!exists());
    assert!(xapi.try_call("VM.clone", json!([template, "twin"])).await.is_err());
    assert!(exists());
    // An asynchronous call is the same operation; its task goes on without whoever asked.
    lab.faults().add(FaultRule::nth("VM.clone", Some("third"), 1, Effect::LoseReply));
    assert!(xapi.try_call("Async.VM.clone", json!([template, "third"])).await.is_err());
    lab.clock().advance(std::time::Duration::from_secs(1));
    assert!(lab.world().with(|world| world.vm_named("third").is_some()));
    let outcomes: Vec<_> = lab.record().mutating().into_iter().map(|call| (call.operation, call.outcome)).collect();
    let clone = |outcome| ("VM.clone".to_owned(), outcome);
    assert_eq!(outcomes, [CallOutcome::Dropped, CallOutcome::ReplyLost, CallOutcome::ReplyLost].map(clone));
    assert_eq!(lab.record().mutating_counts()["VM.clone"], 2);
}

#[tokio::test]
async fn calls_and_tasks_fail_with_the_code_they_are_told() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.vm("legacy-008").await;
    lab.faults().add(FaultRule::nth("VM.start", None, 1, Effect::Fail(named("SR_BACKEND_FAILURE_46"))));
    lab.faults().add(FaultRule::nth("VM.start", None, 2, Effect::FailTask(named("INTERNAL_ERROR"))));
    let refused = xapi.refused("VM.start", json!([vm, false, false])).await;
    assert_eq!(refused, ("SR_BACKEND_FAILURE_46".into(), vec!["because".into()]));
    let failed = xapi.awaited("VM.start", json!([vm, false, false])).await;
    assert_eq!(failed["error_info"], json!(["INTERNAL_ERROR", "because"]));
    let done = xapi.awaited("VM.start", json!([vm, false, false])).await;
    assert_eq!(done["status"], "success");
}

#[tokio::test]
async fn a_hidden_vm_is_missing_from_listings_and_there_when_asked_for() {
    let (lab, xapi) = ready(options()).await;
    let (vm, uuid) =
        (xapi.vm("legacy-002").await, lab.world().with(|w| w.vm_named("legacy-002").map(|vm| vm.instance_uuid)));
    let (before, counted) = vms(&xapi).await;
    assert_eq!(counted, before);
    let rule = lab.faults().add(FaultRule::always(None, Some("legacy-002"), Effect::Hide));
    assert_eq!(vms(&xapi).await, (before - 1, json!(before - 1)));
    assert_eq!(xapi.ok("VM.get_by_name_label", json!(["legacy-002"])).await, json!([]));
    let found = xapi.ok("VM.get_by_uuid", json!([uuid.expect("it").to_string()])).await;
    assert_eq!(found, vm);
    let vbd = text(&xapi.get("VM.VBDs", &vm).await[0]);
    xapi.ok("VBD.get_record", json!([vbd])).await;
    lab.faults().remove(rule);
    assert_eq!(vms(&xapi).await.0, before);
}

#[tokio::test]
async fn a_vm_whose_configuration_is_not_readable_names_devices_nobody_finds() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.vm("legacy-002").await;
    let vbd = text(&xapi.get("VM.VBDs", &vm).await[0]);
    lab.faults().add(FaultRule::always(None, Some("legacy-002"), Effect::UnsetConfig));
    assert_eq!(xapi.get("VM.VBDs", &vm).await, json!([vbd]));
    assert_eq!(xapi.refused("VBD.get_record", json!([vbd])).await.0, "HANDLE_INVALID");
    let batch = xapi.events(&["vm", "vbd"], "", 0.0).await;
    let refs: Vec<_> = batch["events"].as_array().expect("events").iter().map(|one| text(&one["ref"])).collect();
    assert!(refs.contains(&vm) && !refs.contains(&vbd));
}

#[tokio::test]
async fn a_listing_cut_short_tells_true_counts_or_breaks() {
    let (lab, xapi) = ready(options()).await;
    let (all, _) = vms(&xapi).await;
    let cut = lab.faults().add(FaultRule::always(Some("event.from"), None, Effect::Truncate(6)));
    assert_eq!(vms(&xapi).await, (6, json!(all)));
    lab.faults().remove(cut);
    lab.faults().add(FaultRule::always(Some("VM.get_all_records"), None, Effect::BreakAfterPage(6)));
    assert_eq!(xapi.refused("VM.get_all_records", json!([])).await.0, "INTERNAL_ERROR");
}

#[tokio::test]
async fn rights_are_refused_by_message_and_by_vm_and_missing_from_the_list() {
    let (lab, xapi) = ready(options()).await;
    let (one, other) = (xapi.vm("legacy-001").await, xapi.vm("legacy-002").await);
    assert_eq!(xapi.get("session.is_local_superuser", &xapi.session).await, false);
    let rights = async || texts(&xapi.get("session.rbac_permissions", &xapi.session).await);
    assert!(rights().await.contains(&"vm.destroy".to_owned()));
    lab.faults().add(FaultRule::always(None, None, Effect::Deny("VM.destroy".into())));
    lab.faults().add(FaultRule::always(None, Some("legacy-001"), Effect::Deny("VM.set_name_label".into())));
    assert!(!rights().await.contains(&"vm.destroy".to_owned()));
    let denied = |right: &str| {
        ("RBAC_PERMISSION_DENIED".to_owned(), vec![right.to_owned(), "No permission in user session".to_owned()])
    };
    assert_eq!(xapi.refused("VM.destroy", json!([one])).await, denied("vm.destroy"));
    assert_eq!(xapi.refused("VM.set_name_label", json!([one, "x"])).await, denied("vm.set_name_label"));
    xapi.ok("VM.set_name_label", json!([other, "renamed"])).await;
    lab.faults().add(FaultRule::always(None, Some("renamed"), Effect::Deny("System.View".into())));
    assert_eq!(xapi.refused("VM.get_record", json!([other])).await.0, "RBAC_PERMISSION_DENIED");
}

#[tokio::test]
async fn ended_sessions_end_calls_that_wait() {
    let (lab, xapi) = ready(options()).await;
    let token = text(&xapi.events(&["vm"], "", 0.0).await["token"]);
    let waiting = xapi.call("event.from", json!([["vm"], token, 600.0]));
    let end = async {
        tokio::task::yield_now().await;
        lab.end_sessions();
    };
    let (answer, ()) = tokio::join!(waiting, end);
    assert_eq!(answer.map_err(|(code, _)| code), Err("SESSION_INVALID".to_owned()));
}

#[tokio::test]
async fn a_lost_task_is_done_and_nobody_finds_it() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.vm("legacy-008").await;
    lab.faults().add(FaultRule::nth("VM.start", None, 1, Effect::LoseTask));
    let task = text(&xapi.ok("Async.VM.start", json!([vm, false, false])).await);
    assert_eq!(xapi.refused("task.get_record", json!([task])).await.0, "HANDLE_INVALID");
    assert_eq!(xapi.events(&[&format!("task/{task}")], "", 0.0).await["events"], json!([]));
    lab.clock().advance(std::time::Duration::from_secs(1));
    assert_eq!(xapi.get("VM.power_state", &vm).await, "Running");
}

#[tokio::test]
async fn who_may_not_import_is_refused_and_sees_no_such_right() {
    let (lab, xapi) = ready(options()).await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-hosted"])).await[0].clone();
    let vdi = text(&xapi.ok("VDI.create", crate::xapi::disk(&sr, "seed", 1)).await);
    let right = "http/put_import_raw_vdi";
    let rights = async || texts(&xapi.get("session.rbac_permissions", &xapi.session).await);
    assert!(rights().await.contains(&right.to_owned()));
    lab.faults().add(FaultRule::always(None, None, Effect::Deny(right.into())));
    assert!(!rights().await.contains(&right.to_owned()));
    assert_eq!(xapi.import(&vdi, "seed").await.0, 403);
}
