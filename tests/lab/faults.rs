//! What goes wrong on purpose, and the record of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tierwright::lab::{CallOutcome, ClockMode, Effect, FaultRule, Lab, LabOptions, NamedFault};

use crate::support::{Soap, lab, moref, over_view, ready, vm_view};

const POWER_ON: &str = "PowerOnVM_Task";

fn named(fault: &str) -> NamedFault {
    NamedFault { fault: fault.into(), message: Some("because".into()) }
}

async fn listed(soap: &Soap) -> usize {
    let view = vm_view(soap).await;
    let spec = format!("{}<options></options>", over_view(&view, &["name", "config.instanceUuid"]));
    let reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    assert_eq!(reply.value("token"), None);
    reply.text.matches("<objects>").count()
}

fn outcomes(lab: &Lab, operation: &str) -> Vec<CallOutcome> {
    lab.record().all().into_iter().filter(|call| call.operation == operation).map(|call| call.outcome).collect()
}

#[tokio::test]
async fn a_lost_reply_comes_after_the_change_and_a_dropped_call_before_it() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-007");
    let marked =
        |lab: &Lab| lab.world().with(|world| world.vm_named("legacy-007").expect("the VM").annotation.contains("done"));
    let spec = "<spec><annotation>done</annotation></spec>";
    lab.faults().add(FaultRule::nth("ReconfigVM_Task", Some("legacy-007"), 1, Effect::Drop));
    lab.faults().add(FaultRule::nth("ReconfigVM_Task", Some("legacy-007"), 2, Effect::LoseReply));
    assert!(soap.try_call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await.is_err());
    lab.clock().advance(Duration::from_secs(1));
    assert!(!marked(&lab));
    assert!(soap.try_call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await.is_err());
    lab.clock().advance(Duration::from_secs(1));
    assert!(marked(&lab));
    assert_eq!(outcomes(&lab, "ReconfigVM_Task"), [CallOutcome::Dropped, CallOutcome::ReplyLost]);
    assert_eq!(lab.record().mutating_counts().get("ReconfigVM_Task"), Some(&1));
    let on = lab.record().mutating_on("legacy-007");
    assert_eq!((on.len(), on[0].target.as_str()), (2, vm.as_str()));
}

#[tokio::test]
async fn whoever_listens_is_told_after_the_change_and_before_the_client_can_notice() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-007");
    let noticed = Arc::new(AtomicBool::new(false));
    let (tell, told) = std::sync::mpsc::channel();
    let (world, seen) = (lab.world(), noticed.clone());
    lab.record().listen(move |call| {
        let tasks = world.with(|world| world.tasks().count());
        let _ = tell.send((call.operation.clone(), call.outcome.clone(), tasks, seen.load(Ordering::SeqCst)));
    });
    lab.faults().add(FaultRule::nth("ReconfigVM_Task", None, 1, Effect::LoseReply));
    let spec = "<spec><annotation>done</annotation></spec>";
    assert!(soap.try_call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await.is_err());
    noticed.store(true, Ordering::SeqCst);
    assert_eq!(told.try_recv(), Ok(("ReconfigVM_Task".to_owned(), CallOutcome::ReplyLost, 1, false)));
    lab.record().stop_listening();
    soap.call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_hidden_vm_is_missing_from_listings_and_there_when_asked_for() {
    let (lab, soap) = ready(LabOptions::default()).await;
    assert_eq!(listed(&soap).await, 14);
    let rule = lab.faults().add(FaultRule::always(None, Some("legacy-002"), Effect::Hide));
    assert_eq!(listed(&soap).await, 13);
    let id = lab.world().with(|world| world.vm_named("legacy-002").expect("the VM").instance_uuid);
    let inside = format!("<uuid>{id}</uuid><vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>");
    let found = soap.call("FindByUuid", "SearchIndex", "SearchIndex", &inside).await;
    assert_eq!(found.value("returnval"), Some(moref(&lab, "legacy-002")));
    lab.faults().remove(rule);
    assert_eq!(listed(&soap).await, 14);
}

#[tokio::test]
async fn an_unreadable_configuration_is_unset_and_nothing_else() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-002");
    lab.faults().add(FaultRule::always(None, Some(&vm), Effect::UnsetConfig));
    assert!(!soap.fetch("VirtualMachine", &vm, "config").await.contains("returnval"));
    assert!(!soap.fetch("VirtualMachine", &vm, "config.instanceUuid").await.contains("returnval"));
    assert!(soap.fetch("VirtualMachine", &vm, "name").await.contains("legacy-002"));
    assert_eq!(listed(&soap).await, 14);
}

#[tokio::test]
async fn listings_are_cut_silently_or_break_between_pages() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let cut = lab.faults().add(FaultRule::always(Some("RetrievePropertiesEx"), None, Effect::Truncate(6)));
    assert_eq!(listed(&soap).await, 6);
    lab.faults().remove(cut);
    lab.faults().add(FaultRule::always(Some("RetrievePropertiesEx"), None, Effect::BreakAfterPage(6)));
    let view = vm_view(&soap).await;
    let spec = format!("{}<options></options>", over_view(&view, &["name"]));
    let first = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    assert_eq!(first.text.matches("<objects>").count(), 6);
    let token = format!("<token>{}</token>", first.value("token").expect("a token"));
    let next = soap.call("ContinueRetrievePropertiesEx", "PropertyCollector", "propertyCollector", &token).await;
    assert_eq!(next.fault(), Some("InvalidArgument"));
}

#[tokio::test]
async fn calls_and_tasks_fail_as_told_on_the_nth_time_only() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-009");
    lab.world().with(|world| {
        let id = world.vm_named("legacy-009").expect("the VM").id;
        world.set_power(id, tierwright::lab::world::Power::Off);
    });
    let rule = lab.faults().add(FaultRule::nth(POWER_ON, None, 2, Effect::FailTask(named("GenericVmConfigFault"))));
    lab.faults().add(FaultRule::nth(POWER_ON, None, 1, Effect::Fail(named("HostCommunication"))));
    let refused = soap.task(POWER_ON, "VirtualMachine", &vm, "").await;
    assert_eq!((refused.status, refused.fault()), (500, Some("HostCommunication")));
    assert_eq!(refused.value("faultstring").as_deref(), Some("because"));
    let failed = soap.task(POWER_ON, "VirtualMachine", &vm, "").await;
    assert_eq!((failed.status, failed.fault()), (200, Some("GenericVmConfigFault")));
    assert_eq!(failed.value("localizedMessage").as_deref(), Some("because"));
    let done = soap.task(POWER_ON, "VirtualMachine", &vm, "").await;
    assert_eq!(done.fault(), None);
    assert_eq!(lab.faults().matched(rule), 3);
}

#[tokio::test]
async fn rights_are_refused_by_call_by_name_and_by_vm() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-001");
    lab.faults().add(FaultRule::always(None, None, Effect::Deny("VirtualMachine.Config.Memory".into())));
    let inside = format!(
        "<entity type=\"VirtualMachine\">{vm}</entity><sessionId>x</sessionId><privId>VirtualMachine.Config.Memory</privId>\
         <privId>VirtualMachine.Config.CPUCount</privId>"
    );
    let rights = soap.call("HasPrivilegeOnEntities", "AuthorizationManager", "AuthorizationManager", &inside).await;
    assert_eq!(rights.text.matches("<isGranted>false</isGranted>").count(), 1);
    assert_eq!(rights.text.matches("<isGranted>true</isGranted>").count(), 1);
    let spec = "<spec><memoryMB>8192</memoryMB></spec>";
    let refused = soap.call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await;
    assert_eq!(refused.fault(), Some("NoPermission"));
    assert_eq!(refused.value("privilegeId").as_deref(), Some("VirtualMachine.Config.Memory"));
    // Reading one VM is refused: it is listed, and each of its properties is missing with the reason.
    lab.faults().add(FaultRule::always(None, Some("legacy-001"), Effect::Deny("System.Read".into())));
    let view = vm_view(&soap).await;
    let spec = format!("{}<options></options>", over_view(&view, &["name", "config"]));
    let reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    assert_eq!(reply.text.matches("<objects>").count(), 14);
    assert_eq!(reply.text.matches("<missingSet>").count(), 2);
    assert!(reply.text.contains("<fault xsi:type=\"NoPermission\">"));
    // All rights lost: every listing is refused.
    lab.faults().add(FaultRule::always(Some("RetrievePropertiesEx"), None, Effect::Deny("System.View".into())));
    let reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    assert_eq!(reply.fault(), Some("NoPermission"));
}

#[tokio::test]
async fn a_guest_shuts_down_after_a_while_or_never() {
    let (lab, soap) = ready(LabOptions { clock: ClockMode::Virtual, ..LabOptions::default() }).await;
    let (willing, deaf, bare) = ("legacy-000", "legacy-001", "legacy-004");
    lab.faults().add(FaultRule::always(None, Some(deaf), Effect::IgnoreShutdown));
    for name in [willing, deaf] {
        let reply = soap.call("ShutdownGuest", "VirtualMachine", &moref(&lab, name), "").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let power = soap.fetch("VirtualMachine", &moref(&lab, name), "runtime.powerState").await;
        assert!(power.contains("poweredOn"));
    }
    let reply = soap.call("ShutdownGuest", "VirtualMachine", &moref(&lab, bare), "").await;
    assert_eq!(reply.fault(), Some("ToolsUnavailable"));
    lab.clock().advance(Duration::from_hours(1));
    let soap = Soap::logged_in(&lab.endpoints()[0]).await;
    let power = soap.fetch("VirtualMachine", &moref(&lab, willing), "runtime.powerState").await;
    assert!(power.contains("poweredOff"));
    let power = soap.fetch("VirtualMachine", &moref(&lab, deaf), "runtime.powerState").await;
    assert!(power.contains("poweredOn"));
    let again = soap.call("ShutdownGuest", "VirtualMachine", &moref(&lab, willing), "").await;
    assert_eq!(again.fault(), Some("InvalidPowerState"));
}

#[tokio::test]
async fn a_delayed_answer_takes_lab_time_only() {
    let (lab, soap) = ready(LabOptions { clock: ClockMode::Virtual, ..LabOptions::default() }).await;
    let before = lab.clock().now_ms();
    lab.faults().add(FaultRule::nth("CurrentTime", None, 1, Effect::DelayMs(60_000)));
    soap.call("CurrentTime", "ServiceInstance", "ServiceInstance", "").await;
    assert_eq!(lab.clock().now_ms() - before, 60_000);
    soap.call("CurrentTime", "ServiceInstance", "ServiceInstance", "").await;
    assert_eq!(lab.clock().now_ms() - before, 60_000);
}

#[tokio::test]
async fn rules_come_from_a_file_and_a_bad_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faults.yaml");
    std::fs::write(&file, "- {operation: Login, times: 1, effect: drop}\n- {target: legacy-001, effect: hide}\n")
        .expect("written");
    let rules = tierwright::lab::faults::read_rules(&file).expect("rules");
    let (lab, endpoint) = lab(LabOptions { faults: rules, ..LabOptions::default() }).await;
    let soap = Soap::new(&endpoint);
    let first =
        soap.try_call("Login", "SessionManager", "SessionManager", "<userName>a</userName><password>b</password>");
    assert!(first.await.is_err());
    assert_eq!(soap.login(&endpoint.username, &endpoint.password).await.status, 200);
    assert_eq!(listed(&soap).await, 13);
    drop(lab);
    std::fs::write(&file, "- {operation: Login, effect: explode}\n").expect("written");
    let error = tierwright::lab::faults::read_rules(&file).expect_err("refused");
    assert!(error.to_string().contains("not a list of rules"), "{error}");
}
