//! What a provider does when its server misbehaves; against the lab, which misbehaves on order.

use std::sync::Arc;

use tierwright::inventory::{Known, Missing};
use tierwright::lab::{ClockMode, Effect, FaultRule, LabOptions, NamedFault};
use tierwright::model::{Bytes, Config, PowerState, Shutdown, VmName};
use tierwright::plan::{Change, Operation};
use tierwright::provider::{ErrorKind, Found, Outcome, StepError, Target};
use tokio::sync::Notify;

use crate::cases::{check_created, config, disk_at, found, marked, order};
use crate::recorder::{Wanted, execute};
use crate::subject::Subject;

const HARD: Shutdown = Shutdown { timeout_seconds: 1, force: true };

async fn lab(vms: usize) -> Subject {
    Subject::lab(LabOptions { vms, ..LabOptions::default() }).await
}

async fn made(subject: &Subject, name: &str) -> Wanted {
    let wanted = Wanted::new(name);
    let create = Operation::Create(Box::new(order(subject, &wanted, true)));
    execute(subject.provider.as_ref(), &wanted, vec![create]).await.1.unwrap();
    subject.of_lab().record().clear();
    wanted
}

fn kind(outcome: Result<(), StepError>) -> ErrorKind {
    match outcome {
        Err(StepError::Provider(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_grow_with_pages_and_not_with_vms() {
    let subject = lab(2500).await;
    let observed = subject.provider.collect(&[]).await.unwrap();
    assert_eq!((observed.incomplete, observed.vms.len()), (None, 2500));
    let counts = subject.of_lab().record().counts();
    assert!(counts.values().sum::<u64>() <= 10, "{counts:?}");
    subject.of_lab().record().clear();
    let again = subject.provider.collect(&[]).await.unwrap();
    assert_eq!(again.vms, observed.vms);
    let counts = subject.of_lab().record().counts();
    assert!(counts.values().sum::<u64>() <= 10, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_though_only_changed_vms_are_read_in_full() {
    let subject = lab(20).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    assert!(subject.of_lab().world().with(|world| world.edit_named("legacy-003", |vm| vm.memory_mib += 1024)));
    let after = subject.provider.collect(&[]).await.unwrap();
    let different: Vec<_> = before.vms.iter().zip(&after.vms).filter(|(one, other)| one != other).collect();
    assert_eq!(different.len(), 1);
    let memory = |vm| config(vm).memory;
    assert_eq!(memory(different[0].1).0 - memory(different[0].0).0, Bytes::gib(1).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_come_is_an_error_and_never_a_shorter_list() {
    let subject = lab(40).await;
    subject.of_lab().faults().add(FaultRule::always(None, None, Effect::BreakAfterPage(10)));
    let outcome = subject.provider.collect(&[]).await;
    assert!(outcome.as_ref().is_err_and(|error| error.kind != ErrorKind::NotFound), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_short_that_claims_to_be_whole_is_noticed() {
    for objects in [0, 1, 5, 20, 45] {
        let subject = lab(40).await;
        subject.of_lab().faults().add(FaultRule::always(None, None, Effect::Truncate(objects)));
        match subject.provider.collect(&[]).await {
            // What is few enough was asked for again and came.
            Ok(observed) => assert!(
                observed.incomplete.is_some() || observed.vms.len() == 40,
                "cut at {objects}: {} VMs",
                observed.vms.len()
            ),
            Err(error) => assert_ne!(error.kind, ErrorKind::NotFound, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_left_out_of_a_good_answer_is_not_taken_for_gone() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap();
    subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-005"), Effect::Hide));
    let after = subject.provider.collect(&[Known { id: vm.id.clone(), handle: vm.handle.clone() }]).await.unwrap();
    let listed = after.vms.iter().any(|found| found.id == vm.id);
    assert!(listed || matches!(after.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", after.missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_the_account_may_no_longer_see_is_not_taken_for_gone_even_by_a_new_process() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap();
    for effect in [Effect::Hide, Effect::Deny("System.View".to_owned())] {
        subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-005"), effect));
    }
    let known = Known { id: vm.id.clone(), handle: vm.handle.clone() };
    let after = subject.fresh().collect(&[known]).await.unwrap();
    assert!(matches!(after.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", after.missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_deleted_is_told_from_one_that_is_hidden() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap().clone();
    subject.of_lab().world().with(|world| {
        let id = world.vm_named("legacy-005").unwrap().id;
        world.remove(id, true)
    });
    let after = subject.provider.collect(&[Known { id: vm.id.clone(), handle: vm.handle.clone() }]).await.unwrap();
    assert_eq!(after.missing.get(&vm.id), Some(&Missing::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unset_configuration_and_lost_rights_make_a_vm_unreadable() {
    for effect in [Effect::UnsetConfig, Effect::Deny("System.Read".to_owned())] {
        let subject = lab(12).await;
        subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-002"), effect.clone()));
        let observed = subject.provider.collect(&[]).await.unwrap();
        let unreadable: Vec<_> = observed.vms.iter().filter(|vm| matches!(vm.config, Config::Unreadable(_))).collect();
        assert_eq!(unreadable.len(), 1, "{effect:?}");
        assert_eq!(observed.vms.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_looked_into_and_nothing_is_done_twice() {
    for call in ["CreateFolder", "CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task"] {
        let subject = lab(3).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        let wanted = Wanted::new("lost-1");
        let order = order(&subject, &wanted, true);
        let create = vec![Operation::Create(Box::new(order.clone()))];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled());
        check_created(&found(subject.provider.as_ref(), &wanted).await, &order);
        let counts = subject.of_lab().record().mutating_counts();
        assert_eq!((counts["CloneVM_Task"], counts["PowerOnVM_Task"]), (1, 1), "{call}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_change_or_a_delete_is_settled_too() {
    for call in ["ReconfigVM_Task", "Rename_Task", "ShutdownGuest", "PowerOffVM_Task", "Destroy_Task"] {
        let subject = lab(3).await;
        let wanted = made(&subject, "lost-2").await;
        let vm = found(subject.provider.as_ref(), &wanted).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        if call == "PowerOffVM_Task" {
            subject.of_lab().faults().add(FaultRule::always(None, Some("lost-2"), Effect::IgnoreShutdown));
        }
        let mark = tierwright::mark::Mark { generation: 2, ..marked(&vm) };
        let change = vec![Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(6) }];
        let all = vec![
            Operation::Reconfigure { changes: change, mark: Box::new(mark) },
            Operation::Rename(VmName::new("lost-2b").unwrap()),
            Operation::Stop(HARD),
            Operation::Destroy { disks: vec![disk_at(&vm, "root"), disk_at(&vm, "data")] },
        ];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, all).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled());
        assert_eq!(subject.of_lab().record().mutating_counts()["Destroy_Task"], 1);
        let gone = subject.provider.find(&Target::OwnId(wanted.id())).await.unwrap();
        assert_eq!(gone, Found::Nothing, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_left_no_trace_stays_open_and_the_next_run_makes_one_vm() {
    let subject = lab(3).await;
    subject.of_lab().faults().add(FaultRule::nth("CloneVM_Task", None, 1, Effect::Drop));
    let wanted = Wanted::new("dropped-1");
    let order = order(&subject, &wanted, true);
    let create = vec![Operation::Create(Box::new(order.clone()))];
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create.clone()).await;
    assert_eq!(kind(outcome), ErrorKind::Ambiguous);
    assert!(!kept.all_settled());
    execute(subject.provider.as_ref(), &wanted, create).await.1.unwrap();
    check_created(&found(subject.provider.as_ref(), &wanted).await, &order);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_program_left_at_work_is_waited_for_and_gone_on_with() {
    for (image, call) in [(true, "CloneVM_Task"), (false, "CreateVM_Task")] {
        let subject = Subject::lab(LabOptions { vms: 3, clock: ClockMode::Virtual, ..LabOptions::default() }).await;
        let lab = subject.of_lab();
        lab.clock().hold(true);
        let begun = Arc::new(Notify::new());
        let begins = begun.clone();
        lab.record().listen(move |told| {
            if told.operation == call {
                begins.notify_one();
            }
        });
        let wanted = Wanted::new("orphaned-1");
        let order = order(&subject, &wanted, image);
        let create = vec![Operation::Create(Box::new(order.clone()))];
        tokio::select! {
            ended = execute(subject.provider.as_ref(), &wanted, create.clone()) => panic!("{call}: {:?}", ended.1),
            () = begun.notified() => {}
        }
        let next = subject.fresh();
        assert_eq!(next.find(&Target::Identity(wanted.identity)).await.unwrap(), Found::Nothing, "{call}");
        lab.clock().hold(false);
        next.settle(&wanted.step(create.clone())).await.unwrap();
        found(next.as_ref(), &wanted).await;
        execute(next.as_ref(), &wanted, create).await.1.unwrap_or_else(|error| panic!("{call}: {error}"));
        check_created(&found(next.as_ref(), &wanted).await, &order);
        assert_eq!(lab.record().mutating_counts()[call], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_is_an_error_in_the_servers_words() {
    let subject = lab(3).await;
    let wanted = made(&subject, "failing-1").await;
    let fault = |name: &str| NamedFault { fault: name.to_owned(), message: Some(format!("words of {name}")) };
    for (name, expected) in [
        ("ConcurrentAccess", ErrorKind::Conflict),
        ("NoPermission", ErrorKind::Denied),
        ("TaskInProgress", ErrorKind::Conflict),
        ("GenericVmConfigFault", ErrorKind::Unexpected),
    ] {
        let rule =
            subject.of_lab().faults().add(FaultRule::always(Some("Rename_Task"), None, Effect::FailTask(fault(name))));
        let rename = Operation::Rename(VmName::new("other").unwrap());
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![rename]).await;
        let calls = kept.calls.lock().unwrap();
        let (_, Some(Outcome::Refused(words))) = &calls[0] else { panic!("{calls:?}") };
        assert!(words.contains(&format!("words of {name}")), "{words}");
        assert_eq!(kind(outcome), expected, "{name}");
        assert!(subject.of_lab().faults().remove(rule));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_forgot_is_renewed() {
    let subject = lab(3).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    subject.of_lab().end_sessions();
    assert_eq!(subject.provider.collect(&[]).await.unwrap(), before);
    subject.of_lab().end_sessions();
    let wanted = made(&subject, "renewed-1").await;
    subject.of_lab().end_sessions();
    execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await.1.unwrap();
    assert_eq!(config(&found(subject.provider.as_ref(), &wanted).await).power, PowerState::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_stop_is_powered_off_only_by_force() {
    let subject = lab(3).await;
    let wanted = made(&subject, "stubborn-1").await;
    subject.of_lab().faults().add(FaultRule::always(None, Some("stubborn-1"), Effect::IgnoreShutdown));
    let polite = Operation::Stop(Shutdown { force: false, ..HARD });
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![polite]).await;
    assert_eq!((kind(outcome), kept.names()), (ErrorKind::GuestTimeout, vec!["ShutdownGuest"]));
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["ShutdownGuest", "PowerOffVM_Task"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_lacking_is_named() {
    let subject = lab(3).await;
    let right = "VirtualMachine.Config.AddNewDisk";
    subject.of_lab().faults().add(FaultRule::always(None, None, Effect::Deny(right.to_owned())));
    let missing = subject.provider.rights().await.unwrap();
    assert_eq!(missing.iter().map(|missing| missing.right.as_str()).collect::<Vec<_>>(), [right]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_another_vm_is_made_of_is_not_deleted() {
    let subject = lab(3).await;
    let wanted = made(&subject, "parent-1").await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    let file = config(&vm).disks[1].file.clone().unwrap();
    subject.of_lab().world().with(|world| world.edit_named("legacy-001", |vm| vm.disks[0].file.clone_from(&file)));
    let all =
        vec![Operation::Stop(HARD), Operation::Destroy { disks: vec![disk_at(&vm, "root"), disk_at(&vm, "data")] }];
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, all).await;
    assert_eq!(kind(outcome), ErrorKind::Conflict);
    assert!(!kept.names().contains(&"Destroy_Task"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_the_account_may_not_see_is_not_taken_for_nothing() {
    let subject = lab(3).await;
    let nobody = Target::Identity(Wanted::new("nobody").identity);
    assert_eq!(subject.provider.find(&nobody).await.unwrap(), Found::Nothing);
    subject.of_lab().faults().add(FaultRule::always(None, None, Effect::Deny("System.Read".to_owned())));
    let error = subject.provider.find(&nobody).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_ended_at_the_end() {
    let subject = lab(3).await;
    subject.provider.close().await;
    assert_eq!(subject.of_lab().record().count("Logout"), 0);
    subject.provider.collect(&[]).await.unwrap();
    subject.provider.close().await;
    assert_eq!(subject.of_lab().record().count("Logout"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vm_can_do_hot_is_read_from_its_own_flags() {
    let subject = lab(4).await;
    subject.of_lab().world().with(|world| {
        world.edit_named("legacy-000", |vm| (vm.hot_add_cpu, vm.hot_add_memory) = (true, false));
        world.edit_named("legacy-001", |vm| (vm.hot_add_cpu, vm.hot_add_memory) = (false, true));
    });
    let observed = subject.provider.collect(&[]).await.unwrap();
    let hot = |name: &str| config(observed.vms.iter().find(|vm| &*vm.name == name).unwrap()).hot;
    assert_eq!((hot("legacy-000").add_cpu, hot("legacy-000").add_memory), (true, false));
    assert_eq!((hot("legacy-001").add_cpu, hot("legacy-001").add_memory), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_seen_and_keeps_disks_as_they_are() {
    let subject = lab(2).await;
    let wanted = made(&subject, "snapped-1").await;
    subject.of_lab().world().with(|world| {
        let id = world.vm_named("snapped-1").unwrap().id;
        assert!(world.add_snapshot(id, "before"));
    });
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert!(config(&vm).snapshots);
    let mark = tierwright::mark::Mark { generation: 2, ..marked(&vm) };
    let disk = disk_at(&vm, "data");
    for change in [Change::GrowDisk { disk: disk.clone(), size: Bytes::gib(6) }, Change::DetachDisk(disk)] {
        let operation = Operation::Reconfigure { changes: vec![change], mark: Box::new(mark.clone()) };
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![operation]).await;
        assert_eq!((kind(outcome), kept.names().len()), (ErrorKind::Conflict, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_disk_is_seen_and_neither_changed_nor_deleted() {
    let subject = lab(2).await;
    let wanted = made(&subject, "sharing-1").await;
    subject.of_lab().world().with(|world| world.edit_named("sharing-1", |vm| vm.disks[1].shared = true));
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!(config(&vm).disks.iter().map(|disk| disk.shared).collect::<Vec<_>>(), [false, true]);
    let mark = tierwright::mark::Mark { generation: 2, ..marked(&vm) };
    let grow = vec![Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(6) }];
    let grow = vec![Operation::Reconfigure { changes: grow, mark: Box::new(mark) }];
    let disks = vec![disk_at(&vm, "root"), disk_at(&vm, "data")];
    let destroy = vec![Operation::Stop(HARD), Operation::Destroy { disks }];
    for operations in [grow, destroy] {
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, operations).await;
        assert_eq!(kind(outcome), ErrorKind::Conflict);
        assert!(!kept.names().iter().any(|call| matches!(*call, "ReconfigVM_Task" | "Destroy_Task")));
    }
}
