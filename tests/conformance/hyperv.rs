//! What a provider does when a Hyper-V host misbehaves, or a person works beside us; against the lab.

use tierwright::events::chain;
use tierwright::inventory::{Known, Missing};
use tierwright::lab::world::{Disk, World};
use tierwright::lab::{Effect, FaultRule, HYPERV, HYPERV_CLUSTER, LabOptions, NamedFault, WorldHandle};
use tierwright::mark::Mark;
use tierwright::model::{Bytes, Config, ImageMode, ImageTarget, NetworkTarget, Shutdown, VmName};
use tierwright::plan::{Change, DiskAt, DiskOrder, NicAt, Operation};
use tierwright::provider::{ErrorKind, Found, Outcome, StepError, Target};

use crate::cases::{check_created, config, disk_at, found, marked, order};
use crate::recorder::{Wanted, execute, execute_some};
use crate::subject::Subject;

const HARD: Shutdown = Shutdown { timeout_seconds: 1, force: true };

async fn lab(vms: usize) -> Subject {
    Subject::hyperv(LabOptions { vms, ..LabOptions::default() }).await
}

fn world(subject: &Subject) -> WorldHandle {
    subject.of_lab().world_of(HYPERV).expect("a host")
}

async fn made(subject: &Subject, name: &str) -> Wanted {
    let wanted = subject.wanted(name).await;
    let create = Operation::Create(Box::new(order(subject, &wanted, true)));
    execute(subject.provider.as_ref(), &wanted, vec![create]).await.1.unwrap();
    found(subject.provider.as_ref(), &wanted).await;
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
async fn calls_do_not_grow_with_vms_once_they_were_read() {
    let subject = lab(60).await;
    let observed = subject.provider.collect(&[]).await.unwrap();
    assert_eq!((observed.incomplete, observed.vms.len()), (None, 60));
    subject.of_lab().record().clear();
    let again = subject.provider.collect(&[]).await.unwrap();
    assert_eq!(again.vms, observed.vms);
    let counts = subject.of_lab().record().counts();
    assert!(counts.values().sum::<u64>() <= 12, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_though_only_changed_vms_are_read_again() {
    let subject = lab(20).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    assert!(world(&subject).with(|world| world.edit_named("legacy-003", |vm| vm.memory_mib += 1024)));
    let after = subject.provider.collect(&[]).await.unwrap();
    let different: Vec<_> = before.vms.iter().zip(&after.vms).filter(|(one, other)| one != other).collect();
    assert_eq!(different.len(), 1);
    assert_eq!(config(different[0].1).memory.0 - config(different[0].0).memory.0, Bytes::gib(1).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_cut_is_noticed() {
    for (class, objects) in [("Msvm_ComputerSystem", 0), ("Msvm_ComputerSystem", 5), ("Msvm_ProcessorSettingData", 5)] {
        let subject = lab(20).await;
        subject.of_lab().faults().add(FaultRule::always(None, Some(class), Effect::Truncate(objects)));
        match subject.provider.collect(&[]).await {
            Ok(observed) => {
                let readable = observed.vms.iter().filter(|vm| matches!(vm.config, Config::Readable(_))).count();
                assert!(readable < 20, "{class} cut at {objects}");
                assert!(observed.incomplete.is_some() || observed.vms.len() == 20, "{class} cut at {objects}");
            }
            Err(error) => assert_ne!(error.kind, ErrorKind::NotFound, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_list_is_cut_no_vm_is_taken_for_gone() {
    let subject = lab(20).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let known: Vec<_> = before.vms.iter().map(|vm| Known { id: vm.id.clone(), handle: "".into() }).collect();
    for objects in [0, 1, 5, 12] {
        let rule = subject.of_lab().faults().add(FaultRule::always(None, None, Effect::Truncate(objects)));
        if let Ok(observed) = subject.provider.collect(&known).await {
            let gone = observed.missing.values().filter(|missing| **missing == Missing::NotFound).count();
            assert_eq!((gone, observed.vms.len() + observed.missing.len()), (0, 20), "cut at {objects}");
        }
        assert!(subject.of_lab().faults().remove(rule));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_left_out_of_a_good_answer_is_not_taken_for_gone() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap();
    subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-005"), Effect::Hide));
    let after = subject.provider.collect(&[Known { id: vm.id.clone(), handle: "".into() }]).await.unwrap();
    assert!(matches!(after.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", after.missing);
}

/// A query leaves it out without a word; a read by its key says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_the_account_may_not_see_is_not_taken_for_gone() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap();
    let denied = Effect::Deny("Hyper-V Administrators".to_owned());
    subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-005"), denied));
    let after = subject.provider.collect(&[Known { id: vm.id.clone(), handle: "".into() }]).await.unwrap();
    assert!(matches!(after.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", after.missing);
    let error = subject.provider.find(&Target::OwnId(vm.id.clone())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_deleted_is_gone() {
    let subject = lab(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap().clone();
    world(&subject).with(|world| {
        let id = world.vm_named("legacy-005").unwrap().id;
        world.remove(id, true)
    });
    let after = subject.provider.collect(&[Known { id: vm.id.clone(), handle: "".into() }]).await.unwrap();
    assert_eq!(after.missing.get(&vm.id), Some(&Missing::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_looked_into_and_nothing_is_done_twice() {
    for call in [
        "DefineSystem",
        "ConvertVirtualHardDisk",
        "ResizeVirtualHardDisk",
        "AddResourceSettings",
        "ModifyResourceSettings",
        "ModifySystemSettings",
        "RequestStateChange",
    ] {
        let subject = lab(3).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        let wanted = subject.wanted("lost-1").await;
        let order = order(&subject, &wanted, true);
        let create = vec![Operation::Create(Box::new(order.clone()))];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled(), "{call}");
        check_created(&found(subject.provider.as_ref(), &wanted).await, &order);
        let counts = subject.of_lab().record().mutating_counts();
        assert_eq!((counts["DefineSystem"], counts["RequestStateChange"]), (1, 1), "{call}: {counts:?}");
        assert_eq!(counts["ConvertVirtualHardDisk"], 1, "{call}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_change_or_a_delete_is_settled_too() {
    for call in ["ResizeVirtualHardDisk", "ModifySystemSettings", "InitiateShutdown", "DestroySystem", "Delete"] {
        let subject = lab(3).await;
        let wanted = made(&subject, "lost-2").await;
        let vm = found(subject.provider.as_ref(), &wanted).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        let mark = Mark { generation: 2, ..marked(&vm) };
        let change = vec![Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(6) }];
        let all = vec![
            Operation::Reconfigure { changes: change, mark: Box::new(mark) },
            Operation::Rename(VmName::new("lost-2b").unwrap()),
            Operation::Stop(HARD),
            Operation::Destroy { disks: vec![disk_at(&vm, "root"), disk_at(&vm, "data")] },
        ];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, all).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled(), "{call}");
        let counts = subject.of_lab().record().mutating_counts();
        assert_eq!((counts["DestroySystem"], counts["Delete"]), (1, 2), "{call}: {counts:?}");
        let gone = subject.provider.find(&Target::OwnId(wanted.id())).await.unwrap();
        assert_eq!(gone, Found::Nothing, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_left_no_trace_stays_open_and_the_next_run_makes_one_vm() {
    let subject = lab(3).await;
    subject.of_lab().faults().add(FaultRule::nth("DefineSystem", None, 1, Effect::Drop));
    let wanted = subject.wanted("dropped-1").await;
    let order = order(&subject, &wanted, true);
    let create = vec![Operation::Create(Box::new(order.clone()))];
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create.clone()).await;
    assert_eq!(kind(outcome), ErrorKind::Ambiguous);
    assert!(!kept.all_settled());
    execute(subject.provider.as_ref(), &wanted, create).await.1.unwrap();
    check_created(&found(subject.provider.as_ref(), &wanted).await, &order);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_an_error_in_the_hosts_words() {
    let subject = lab(3).await;
    let wanted = made(&subject, "failing-1").await;
    let fault = NamedFault { fault: "32775".to_owned(), message: Some("words of the job".to_owned()) };
    subject.of_lab().faults().add(FaultRule::always(Some("ModifySystemSettings"), None, Effect::FailTask(fault)));
    let rename = Operation::Rename(VmName::new("other").unwrap());
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![rename]).await;
    let calls = kept.calls.lock().unwrap();
    let (_, Some(Outcome::Refused(words))) = &calls[0] else { panic!("{calls:?}") };
    assert!(words.contains("words of the job"), "{words}");
    assert!(outcome.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_host_forgot_is_renewed() {
    let subject = lab(3).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    subject.of_lab().end_sessions();
    assert_eq!(subject.provider.collect(&[]).await.unwrap(), before);
    subject.of_lab().end_sessions();
    let wanted = made(&subject, "renewed-1").await;
    subject.of_lab().end_sessions();
    execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_stop_is_powered_off_only_by_force() {
    let subject = lab(3).await;
    let wanted = made(&subject, "stubborn-1").await;
    subject.of_lab().faults().add(FaultRule::always(None, Some("stubborn-1"), Effect::IgnoreShutdown));
    let polite = Operation::Stop(Shutdown { force: false, ..HARD });
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![polite]).await;
    assert_eq!((kind(outcome), kept.names()), (ErrorKind::GuestTimeout, vec!["InitiateShutdown"]));
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["InitiateShutdown", "RequestStateChange"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_wrote_into_the_notes_stays() {
    let subject = lab(3).await;
    let wanted = made(&subject, "noted-1").await;
    let notes = || world(&subject).with(|world| world.vm_named("noted-1").unwrap().annotation.to_string());
    let block = notes();
    let person = "Backup: nightly <b> & 'so'\n#CLUSTER-INVARIANT#:{1}";
    let both = format!("{person}\n{block}");
    assert!(world(&subject).with(|world| world.edit_named("noted-1", |vm| vm.annotation = both.into())));
    let vm = found(subject.provider.as_ref(), &wanted).await;
    let mark = Mark { generation: 5, ..marked(&vm) };
    let write = Operation::Reconfigure { changes: Vec::new(), mark: Box::new(mark) };
    execute(subject.provider.as_ref(), &wanted, vec![write]).await.1.unwrap();
    assert_eq!(marked(&found(subject.provider.as_ref(), &wanted).await).generation, 5);
    assert!(notes().starts_with(person), "{}", notes());
    execute(subject.provider.as_ref(), &wanted, vec![Operation::Unmark]).await.1.unwrap();
    assert_eq!(notes(), person);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vlan_is_set_moved_and_taken_off() {
    let subject = lab(3).await;
    let wanted = made(&subject, "vlan-1").await;
    for (generation, vlan) in [(2, Some(110)), (3, Some(120)), (4, None)] {
        let vm = found(subject.provider.as_ref(), &wanted).await;
        let nic = &marked(&vm).nics["eth0"];
        let nic = NicAt { name: "eth0".to_owned(), slot: nic.slot.clone().unwrap(), mac: nic.mac.clone().unwrap() };
        let network = NetworkTarget { name: subject.networks[1].to_owned(), vlan };
        let mark = Mark { generation, ..marked(&vm) };
        let change = vec![Change::MoveNic { nic, network: network.clone() }];
        let operation = Operation::Reconfigure { changes: change, mark: Box::new(mark) };
        execute(subject.provider.as_ref(), &wanted, vec![operation]).await.1.unwrap();
        let after = found(subject.provider.as_ref(), &wanted).await;
        let slot = marked(&after).nics["eth0"].slot.clone().unwrap();
        let observed = config(&after).nics.iter().find(|nic| *nic.slot == *slot).unwrap();
        assert_eq!(observed.network.as_ref(), Some(&network));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_an_image_grows_and_the_image_is_never_deleted() {
    let subject = lab(3).await;
    let wanted = subject.wanted("child-1").await;
    let mut order = order(&subject, &wanted, true);
    let image = ImageTarget { source: subject.image.to_owned(), mode: Some(ImageMode::Differencing) };
    order.image = Some(image);
    execute(subject.provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order.clone()))]).await.1.unwrap();
    let vm = found(subject.provider.as_ref(), &wanted).await;
    check_created(&vm, &order);
    assert_eq!(config(&vm).disks[0].parent.as_deref(), Some(subject.image));
    let disks = vec![disk_at(&vm, "root"), disk_at(&vm, "data")];
    let all = vec![Operation::Stop(HARD), Operation::Destroy { disks }];
    execute(subject.provider.as_ref(), &wanted, all).await.1.unwrap();
    assert!(world(&subject).with(|world| world.files.contains_key(subject.image)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_another_vm_is_made_of_or_has_is_not_deleted() {
    for attached in [true, false] {
        let subject = lab(3).await;
        let wanted = made(&subject, "parent-1").await;
        let vm = found(subject.provider.as_ref(), &wanted).await;
        let file = config(&vm).disks[1].file.clone().unwrap();
        world(&subject).with(|world| {
            if attached {
                world.edit_named("legacy-001", |vm| vm.disks[0].file.clone_from(&file));
            } else {
                let child = world.vm_named("legacy-001").unwrap().disks[0].file.clone();
                world.files.get_mut(&child).unwrap().parent = Some(file.clone());
            }
        });
        let disks = vec![disk_at(&vm, "root"), disk_at(&vm, "data")];
        let all = vec![Operation::Stop(HARD), Operation::Destroy { disks }];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, all).await;
        assert_eq!(kind(outcome), ErrorKind::Conflict);
        assert!(!kept.names().iter().any(|call| matches!(*call, "DestroySystem" | "Delete")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_seen_and_keeps_disks_as_they_are() {
    let subject = lab(2).await;
    let wanted = made(&subject, "snapped-1").await;
    subject.provider.collect(&[]).await.unwrap();
    world(&subject).with(|world| {
        let id = world.vm_named("snapped-1").unwrap().id;
        assert!(world.add_snapshot(id, "before"));
    });
    let listed = subject.provider.collect(&[]).await.unwrap();
    assert!(config(listed.vms.iter().find(|vm| &*vm.name == "snapped-1").unwrap()).snapshots);
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert!(config(&vm).snapshots);
    let mark = Mark { generation: 2, ..marked(&vm) };
    let disk = disk_at(&vm, "data");
    for change in [Change::GrowDisk { disk: disk.clone(), size: Bytes::gib(6) }, Change::DetachDisk(disk)] {
        let operation = Operation::Reconfigure { changes: vec![change], mark: Box::new(mark.clone()) };
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![operation]).await;
        assert_eq!((kind(outcome), kept.names().len()), (ErrorKind::Conflict, 0));
    }
}

/// Two nodes.
async fn cluster(vms: usize) -> Subject {
    Subject::hyperv(LabOptions { vms, hyperv_nodes: 2, ..LabOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn live_migration_is_no_drift_and_breaks_neither_reading_nor_a_change() {
    let subject = cluster(3).await;
    let wanted = made(&subject, "moving-1").await;
    let before = found(subject.provider.as_ref(), &wanted).await;
    let lab = subject.of_lab();
    assert!(lab.begin_migration(HYPERV_CLUSTER, "moving-1", "HVC02"));
    let during = subject.provider.collect(&[Known { id: before.id.clone(), handle: "".into() }]).await.unwrap();
    assert_eq!((during.incomplete, during.missing.len()), (None, 0));
    let seen: Vec<_> = during.vms.iter().filter(|vm| vm.id == before.id).collect();
    assert_eq!((seen.len(), config(seen[0])), (1, config(&before)));
    assert!(lab.end_migration(HYPERV_CLUSTER, "moving-1"));
    let after = subject.provider.collect(&[Known { id: before.id.clone(), handle: "".into() }]).await.unwrap();
    let seen: Vec<_> = after.vms.iter().filter(|vm| vm.id == before.id).collect();
    assert_eq!((seen.len(), config(seen[0])), (1, config(&before)));
    assert_eq!(seen[0].placed.host.as_deref(), Some("HVC02"));
    // A change finds it on the node it has moved to; deleted there it leaves the cluster.
    let mark = Mark { generation: 2, ..marked(&before) };
    let grow = vec![Change::GrowDisk { disk: disk_at(&before, "data"), size: Bytes::gib(6) }];
    let operations = vec![
        Operation::Reconfigure { changes: grow, mark: Box::new(mark) },
        Operation::Stop(HARD),
        Operation::Destroy { disks: vec![disk_at(&before, "root"), disk_at(&before, "data")] },
    ];
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, operations).await;
    outcome.unwrap();
    assert!(kept.names().contains(&"DestroyGroup"), "{:?}", kept.names());
    assert_eq!(subject.provider.find(&Target::OwnId(wanted.id())).await.unwrap(), Found::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_moves_between_the_calls_of_a_step_is_followed() {
    let subject = cluster(1).await;
    let wanted = made(&subject, "moving-2").await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    // Each change of hardware is made while somebody moves the VM to and fro.
    let world = subject.of_lab().world_of(HYPERV_CLUSTER).unwrap();
    let (record, moved) = (subject.of_lab().record(), std::sync::atomic::AtomicUsize::new(0));
    record.listen(move |call| {
        if call.mutating {
            let at = moved.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let world = world.clone();
            let to = if at.is_multiple_of(2) { "HVC02" } else { "HVC01" };
            // The lab is at work on the call: the move comes right after it.
            tokio::spawn(async move {
                world.with(|world| {
                    let host = world.hosts.values().find(|host| host.name == to).map(|host| host.id).unwrap();
                    world.edit_named("moving-2", |vm| vm.host = host)
                })
            });
        }
    });
    let mut mark = Mark { generation: 2, ..marked(&vm) };
    let logs = wanted.mark(1, &["logs"], &[]).disks;
    mark.disks.extend(logs);
    let disk = DiskOrder { name: "logs".to_owned(), size: Bytes::gib(7), storage: None };
    let operations = vec![
        Operation::Stop(HARD),
        Operation::Reconfigure { changes: vec![Change::Cpus(4), Change::AddDisk(disk)], mark: Box::new(mark) },
    ];
    // A move may cross a call; what was cut is done by the next run, and nothing twice.
    for _ in 0..5 {
        if execute(subject.provider.as_ref(), &wanted, operations.clone()).await.1.is_ok() {
            break;
        }
    }
    record.stop_listening();
    let after = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!((config(&after).cpus, config(&after).disks.len()), (4, 3));
    assert_eq!(marked(&after).generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_deletion_cut_short_left_goes_only_while_it_is_that_disk_and_nobody_uses_it() {
    let subject = lab(2).await;
    let provider = subject.provider.as_ref();
    let wanted = made(&subject, "cut-short").await;
    execute(provider, &wanted, vec![Operation::Stop(HARD)]).await.1.unwrap();
    let vm = found(provider, &wanted).await;
    let mut after = Mark { generation: marked(&vm).generation + 1, ..marked(&vm) };
    after.disks.remove("data");
    let delete = |at: DiskAt| {
        vec![Operation::Reconfigure { changes: vec![Change::DeleteDisk(at)], mark: Box::new(after.clone()) }]
    };
    // The mark is written and the disk taken out; then the program ends.
    let (_, outcome) = execute_some(provider, &wanted, delete(disk_at(&vm, "data")), Some(2)).await;
    assert!(matches!(outcome, Err(StepError::Halted(_))), "{outcome:?}");
    let left = marked(&found(provider, &wanted).await).disks["data"].clone();
    let file = left.file.clone().unwrap();
    assert!(left.deleting && left.slot.is_none());
    let left = DiskAt::taken_off("data", &left);

    // A person gave the file to another VM.
    let world = world(&subject);
    let plug = |world: &mut World| {
        let (held, capacity) = world
            .files
            .iter()
            .find(|(held, _)| held.eq_ignore_ascii_case(&file))
            .map(|(held, one)| (held.clone(), one.capacity))
            .unwrap();
        world.edit_named("legacy-000", |vm| {
            let first = vm.disks[0].clone();
            vm.disks.push(Disk { key: first.key + 40, unit: 40, file: held, capacity, ..first });
        })
    };
    assert!(world.with(plug));
    assert_eq!(kind(execute(provider, &wanted, delete(left.clone())).await.1), ErrorKind::Conflict);
    assert!(world.with(|world| world.edit_named("legacy-000", |vm| drop(vm.disks.pop()))));

    // Somebody put another disk there.
    let id = world.with(|world| {
        let held = world.files.iter_mut().find(|(held, _)| held.eq_ignore_ascii_case(&file)).unwrap().1;
        std::mem::replace(&mut held.uuid, uuid::Uuid::nil())
    });
    assert_eq!(kind(execute(provider, &wanted, delete(left.clone())).await.1), ErrorKind::Conflict);
    let is_there = |world: &mut World| world.files.keys().any(|held| held.eq_ignore_ascii_case(&file));
    assert!(world.with(is_there));

    world.with(|world| world.files.iter_mut().find(|(held, _)| held.eq_ignore_ascii_case(&file)).unwrap().1.uuid = id);
    let (kept, outcome) = execute(provider, &wanted, delete(left)).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["Delete", "ModifySystemSettings"]);
    assert!(!world.with(is_there));

    // Wanted again after all, too late.
    let change = Change::AttachDisk { name: "data".to_owned(), file: file.clone(), id: None };
    let mark = Box::new(Mark { generation: after.generation + 1, ..after });
    let back = vec![Operation::Reconfigure { changes: vec![change], mark }];
    let (kept, outcome) = execute(provider, &wanted, back).await;
    let StepError::Provider(error) = outcome.unwrap_err() else { panic!() };
    assert_eq!(error.kind, ErrorKind::NotFound);
    let said = chain(&error);
    assert!(said.contains("any more; bring it back from a backup, or give the disk another name"), "{said}");
    assert!(kept.names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_makes_its_vms_unknown_and_none_gone() {
    let subject = cluster(3).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    assert_eq!((before.incomplete, before.vms.len()), (None, 6));
    let known: Vec<_> = before.vms.iter().map(|vm| Known { id: vm.id.clone(), handle: "".into() }).collect();
    assert!(subject.of_lab().set_node_down(HYPERV_CLUSTER, "HVC02", true));
    let after = subject.provider.collect(&known).await.unwrap();
    assert!(after.incomplete.is_some());
    assert_eq!(after.vms.len() + after.missing.len(), 6);
    assert!(!after.missing.is_empty());
    assert!(after.missing.values().all(|missing| matches!(missing, Missing::Unknown(_))), "{:?}", after.missing);
    // Nothing is taken for not being there while a node does not answer.
    let lost = after.missing.keys().next().unwrap().clone();
    assert!(subject.provider.find(&Target::OwnId(lost)).await.is_err());
    let nobody = subject.wanted("nobody").await;
    assert!(subject.provider.find(&Target::Identity(nobody.identity)).await.is_err());
    let create = Operation::Create(Box::new(order(&subject, &nobody, false)));
    let (kept, outcome) = execute(subject.provider.as_ref(), &nobody, vec![create]).await;
    assert!(outcome.is_err() && kept.names().is_empty());
    assert!(subject.of_lab().set_node_down(HYPERV_CLUSTER, "HVC02", false));
    let back = subject.provider.collect(&known).await.unwrap();
    assert_eq!((back.incomplete, back.vms.len()), (None, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_replica_keeps_is_not_taken_for_the_vm() {
    let subject = cluster(3).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| vm.placed.host.as_deref() == Some("HVC01")).unwrap();
    assert!(subject.of_lab().replicate(HYPERV_CLUSTER, &vm.name, "HVC02"));
    let after = subject.provider.collect(&[]).await.unwrap();
    assert_eq!((after.incomplete, after.vms.len()), (None, 6));
    let seen: Vec<_> = after.vms.iter().filter(|seen| seen.id == vm.id).collect();
    assert_eq!((seen.len(), seen[0].placed.host.as_deref()), (1, Some("HVC01")));
    let Found::Vm(found) = subject.provider.find(&Target::OwnId(vm.id.clone())).await.unwrap() else {
        panic!("one VM")
    };
    assert_eq!(found.placed.host.as_deref(), Some("HVC01"));
}
