//! What the XenServer provider does when its pool misbehaves: lost replies, members that die, masters that change,
//! another pool behind the same address.

use serde_json::{Value, json};
use tierwright::inventory::{Known, Missing};
use tierwright::lab::{Effect, FaultRule, Lab, LabEndpoint, LabOptions, PoolControl, XENSERVER};
use tierwright::mark::{Mark, Standing};
use tierwright::model::{Bytes, Config, HypervisorType, PowerState, Shutdown, VmName};
use tierwright::plan::{Change, DiskOrder, Operation};
use tierwright::provider::{ErrorKind, Found, StepError, Target};
use tierwright::settings::Trust;
use tierwright::tls;
use tokio::sync::mpsc;

use crate::cases::{check_created, config, disk_at, found, marked, order};
use crate::recorder::{Wanted, execute, execute_some};
use crate::subject::{Subject, bytes, connect_to};

const HARD: Shutdown = Shutdown { timeout_seconds: 1, force: true };

async fn pool(vms: usize) -> Subject {
    Subject::pool(LabOptions { vms, ..LabOptions::default() }).await
}

fn control(subject: &Subject) -> PoolControl {
    subject.of_lab().pool(XENSERVER).expect("a pool")
}

fn create(subject: &Subject, wanted: &Wanted) -> Vec<Operation> {
    vec![Operation::Create(Box::new(order(subject, wanted, true)))]
}

async fn made(subject: &Subject, name: &str) -> Wanted {
    let wanted = Wanted::told(name);
    execute(subject.provider.as_ref(), &wanted, create(subject, &wanted)).await.1.unwrap();
    found(subject.provider.as_ref(), &wanted).await;
    subject.of_lab().record().clear();
    wanted
}

fn next(mark: &Mark) -> Mark {
    Mark { generation: mark.generation + 1, ..mark.clone() }
}

fn kind(outcome: Result<(), StepError>) -> ErrorKind {
    match outcome {
        Err(StepError::Provider(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

/// Files of disks in the lab's world.
fn disks(subject: &Subject) -> usize {
    subject.of_lab().world().with(|world| world.files.len())
}

fn named(subject: &Subject, name: &str) -> usize {
    subject.of_lab().world().with(|world| world.vms().filter(|vm| *vm.name == *name).count())
}

/// One message by hand, as another administrator's tool would send it.
async fn by_hand(endpoint: &LabEndpoint, method: &str, mut params: Vec<Value>) -> Value {
    let config = tls::client_config(&Trust::Pins(endpoint.pins.iter().map(|pin| bytes(pin)).collect())).unwrap();
    let http = reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap();
    let url = format!("{}/jsonrpc", endpoint.url());
    let send = |method: &str, params: Vec<Value>| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        http.post(&url).header("content-type", "application/json").body(body).send()
    };
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap()["result"].clone();
    let login = vec![json!(endpoint.username), json!(endpoint.password), json!("1.0"), json!("by hand")];
    let session = read(send("session.login_with_password", login).await.unwrap().text().await.unwrap());
    params.insert(0, session);
    read(send(method, params).await.unwrap().text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_cycle_is_one_call_and_a_change_comes_alone() {
    let subject = pool(200).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    assert_eq!((before.incomplete.as_deref(), before.vms.len()), (None, 200));
    let calls = || {
        let counts = subject.of_lab().record().counts();
        subject.of_lab().record().clear();
        counts.into_iter().collect::<Vec<_>>()
    };
    assert!(calls().iter().map(|(_, count)| count).sum::<u64>() < 6, "one snapshot and the login");
    assert_eq!(subject.provider.collect(&[]).await.unwrap(), before);
    assert_eq!(calls(), [("event.from".to_owned(), 1)]);
    assert!(subject.of_lab().world().with(|world| world.edit_named("legacy-003", |vm| vm.memory_mib += 1024)));
    let after = subject.provider.collect(&[]).await.unwrap();
    assert_eq!(calls(), [("event.from".to_owned(), 1)]);
    let different: Vec<_> = before.vms.iter().zip(&after.vms).filter(|(one, other)| one != other).collect();
    assert_eq!(different.len(), 1);
    assert_eq!(config(different[0].1).memory.0 - config(different[0].0).memory.0, Bytes::gib(1).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_cut_short_is_noticed_by_its_numbers() {
    for objects in [0, 1, 20, 100] {
        let subject = pool(40).await;
        subject.of_lab().faults().add(FaultRule::always(Some("event.from"), None, Effect::Truncate(objects)));
        let observed = subject.provider.collect(&[]).await.unwrap();
        assert!(observed.incomplete.is_some(), "cut at {objects}");
        subject.of_lab().faults().clear();
        let whole = subject.provider.collect(&[]).await.unwrap();
        assert_eq!((whole.incomplete, whole.vms.len()), (None, 40), "what is missing is asked for again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_or_unreadable_is_not_taken_for_gone() {
    let subject = pool(12).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let vm = before.vms.iter().find(|vm| &*vm.name == "legacy-005").unwrap();
    let known = Known { id: vm.id.clone(), handle: vm.handle.clone() };
    subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-005"), Effect::Hide));
    for provider in [&subject.provider, &subject.fresh()] {
        let after = provider.collect(std::slice::from_ref(&known)).await.unwrap();
        assert!(matches!(after.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", after.missing);
    }
    subject.of_lab().faults().clear();
    subject.of_lab().faults().add(FaultRule::always(None, Some("legacy-002"), Effect::UnsetConfig));
    let observed = subject.fresh().collect(&[]).await.unwrap();
    let unreadable: Vec<_> = observed.vms.iter().filter(|vm| matches!(vm.config, Config::Unreadable(_))).collect();
    assert_eq!(unreadable.len(), 1);
    subject.of_lab().faults().clear();
    subject.of_lab().world().with(|world| {
        let id = world.vm_named("legacy-005").unwrap().id;
        world.remove(id, true)
    });
    let after = subject.provider.collect(&[known]).await.unwrap();
    assert_eq!(after.missing.get(&vm.id), Some(&Missing::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_looked_into_and_nothing_is_done_twice() {
    let mut told = Vec::new();
    for call in [
        "VM.clone",
        "VM.add_to_other_config",
        "VM.remove_from_other_config",
        "VM.provision",
        "VM.set_VCPUs_max",
        "VM.set_memory_limits",
        "VDI.resize",
        "VDI.create",
        "VBD.create",
        "VIF.create",
        "import_raw_vdi",
        "VM.set_name_label",
        "VM.start",
    ] {
        let subject = pool(3).await;
        let before = disks(&subject);
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        let wanted = Wanted::told("lost-1");
        let order = order(&subject, &wanted, true);
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled(), "{call}");
        check_created(&found(subject.provider.as_ref(), &wanted).await, &order);
        let counts = subject.of_lab().record().mutating_counts();
        let once = ["VM.clone", "VM.provision", "VM.start"].map(|one| counts[one]);
        // Data and cloud-init, plugged in; two NICs; the image's disk and those two are all there is.
        let twice = ["VDI.create", "VBD.create", "VIF.create"].map(|one| counts[one]);
        assert_eq!((once, twice), ([1; 3], [2; 3]), "{call}: {counts:?}");
        assert_eq!((disks(&subject) - before, named(&subject, "lost-1")), (3, 1), "{call}");
        told.push(format!("{call}: {} calls, 1 VM, 3 disks", counts.values().sum::<u64>()));
    }
    println!("reply lost after\n  {}", told.join("\n  "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_change_or_a_delete_is_settled_too() {
    for call in
        ["VDI.resize", "VM.set_name_label", "VM.clean_shutdown", "VM.hard_shutdown", "VDI.destroy", "VM.destroy"]
    {
        let subject = pool(3).await;
        let before = disks(&subject);
        let wanted = made(&subject, "lost-2").await;
        let vm = found(subject.provider.as_ref(), &wanted).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        if call == "VM.hard_shutdown" {
            subject.of_lab().faults().add(FaultRule::always(None, Some("lost-2"), Effect::IgnoreShutdown));
        }
        let change = vec![Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(6) }];
        let all = vec![
            Operation::Rename(VmName::new("lost-2b").unwrap()),
            Operation::Stop(HARD),
            Operation::Reconfigure { changes: change, mark: Box::new(next(&marked(&vm))) },
            Operation::Destroy { disks: vec![disk_at(&vm, "root"), disk_at(&vm, "data")] },
        ];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, all).await;
        outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        assert!(kept.all_settled());
        let gone = subject.provider.find(&Target::OwnId(wanted.id())).await.unwrap();
        assert_eq!(gone, Found::Nothing, "{call}");
        assert_eq!(disks(&subject), before, "{call}: its disks and its cloud-init data are gone, and no others");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_may_be_somebody_elses_is_waited_for_and_never_removed() {
    let mut removed = Vec::new();
    for call in ["no call", "VM.clone", "VM.start"] {
        let subject = pool(3).await;
        subject.of_lab().faults().add(FaultRule::nth(call, None, 1, Effect::LoseReply));
        let wanted = Wanted::told("stranger-1");
        execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await.1.unwrap();
        removed.push(subject.of_lab().record().counts()["task.destroy"]);
    }
    // Each task of ours but the one whose name was lost with the answer.
    let [all, ..] = removed[..] else { unreachable!() };
    assert_eq!(removed, [all, all - 1, all - 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_left_no_trace_stays_open_and_the_next_run_makes_one_vm() {
    let subject = pool(3).await;
    subject.of_lab().faults().add(FaultRule::nth("VM.clone", None, 1, Effect::Drop));
    let wanted = Wanted::told("dropped-1");
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await;
    assert_eq!(kind(outcome), ErrorKind::Ambiguous);
    assert!(!kept.all_settled());
    execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await.1.unwrap();
    check_created(&found(subject.provider.as_ref(), &wanted).await, &order(&subject, &wanted, true));
    assert_eq!(named(&subject, "dropped-1"), 1);
}

/// Runs a create, and does something to the pool as soon as a call of this name arrives there.
async fn meanwhile(subject: &Subject, wanted: &Wanted, call: &'static str, happens: impl AsyncFnOnce(PoolControl)) {
    let (seen, mut arrived) = mpsc::unbounded_channel();
    subject.of_lab().record().listen(move |record| {
        if record.operation == call {
            let _ = seen.send(());
        }
    });
    let provider = subject.provider.clone();
    let operations = create(subject, wanted);
    let run = execute(provider.as_ref(), wanted, operations);
    let trouble = async {
        arrived.recv().await;
        subject.of_lab().record().stop_listening();
        happens(control(subject)).await;
    };
    let ((_, outcome), ()) = tokio::join!(run, trouble);
    println!("{call}: {}", outcome.map_or_else(|error| error.to_string(), |()| "done all the same".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_dies_in_the_middle_of_a_create_and_another_member_finishes_it() {
    for call in ["VM.clone", "VM.provision", "VDI.create", "VBD.create", "VIF.create", "VM.start"] {
        let mut subject = pool(3).await;
        // Started just before on the host that dies, it would be as unknown as that host.
        subject.placement.host = Some("xs02".to_owned());
        let before = disks(&subject);
        let wanted = Wanted::told("orphan-1");
        meanwhile(&subject, &wanted, call, async |pool: PoolControl| {
            pool.kill(0).await;
            pool.promote(1);
        })
        .await;
        // As a service does: by the same provider, and then by a new process.
        for provider in [subject.provider.clone(), subject.fresh(), subject.fresh()] {
            if execute(provider.as_ref(), &wanted, create(&subject, &wanted)).await.1.is_ok() {
                break;
            }
        }
        check_created(&found(subject.provider.as_ref(), &wanted).await, &order(&subject, &wanted, true));
        let counts = subject.of_lab().record().mutating_counts();
        assert_eq!((named(&subject, "orphan-1"), disks(&subject) - before), (1, 3), "{call}: {counts:?}");
        println!("  1 VM, 3 disks; {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_member_is_found_and_a_pool_without_a_master_is_unreachable() {
    let subject = pool(5).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    let pool = control(&subject);
    pool.promote(2);
    assert_eq!(subject.provider.collect(&[]).await.unwrap(), before);
    let wanted = Wanted::told("promoted-1");
    meanwhile(&subject, &wanted, "VDI.create", async |pool: PoolControl| pool.promote(1)).await;
    execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await.1.unwrap();
    check_created(&found(subject.provider.as_ref(), &wanted).await, &order(&subject, &wanted, true));
    pool.kill(1).await;
    let error = subject.fresh().collect(&[]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    // A member that the settings name still tells of a master that is dead; one that is promoted leads.
    pool.promote(2);
    let after = subject.provider.collect(&[]).await.unwrap();
    assert_eq!(after.vms.len(), before.vms.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pool_behind_the_same_address_is_never_gone() {
    let options =
        |port, seed| LabOptions { vms: 3, port, seed, only: vec![HypervisorType::Xenserver], ..LabOptions::default() };
    let first = Lab::start(options(0, 1)).await.unwrap();
    let endpoint = first.endpoints().remove(0);
    let port = endpoint.url().rsplit(':').next().unwrap().parse().unwrap();
    let before = connect_to(&endpoint).collect(&[]).await.unwrap();
    let known: Vec<_> = before.vms.iter().map(|vm| Known { id: vm.id.clone(), handle: vm.handle.clone() }).collect();
    let lasting = |pins: &[String]| {
        let pins = endpoint.pins.iter().chain(pins).cloned().collect();
        connect_to(&LabEndpoint { pins, password: "same".to_owned(), ..endpoint.clone() })
    };
    first.stop().await;
    let login = Some((endpoint.username.clone(), "same".to_owned()));
    let first = Lab::start(LabOptions { login: login.clone(), ..options(port, 1) }).await.unwrap();
    let old_pins = first.endpoints()[0].pins.clone();
    let second = async || Lab::start(LabOptions { login: login.clone(), ..options(port, 2) }).await.unwrap();
    // A second pool is started once for its pins alone: they are made anew each time, so it must be the one that stays.
    let remembered = lasting(&old_pins);
    assert_eq!(remembered.collect(&known).await.unwrap().vms.len(), 3);
    first.stop().await;
    let second = second().await;
    let error = remembered.collect(&known).await.unwrap_err();
    assert_ne!(error.kind, ErrorKind::NotFound, "{error}");
    // A new process trusts both and remembers only the last inventory.
    let fresh = lasting(&second.endpoints()[0].pins);
    let observed = fresh.collect(&known).await.unwrap();
    for vm in &known {
        assert!(matches!(observed.missing.get(&vm.id), Some(Missing::Unknown(_))), "{:?}", observed.missing);
    }
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_forgot_is_renewed_and_ended_at_the_end() {
    let subject = pool(3).await;
    let before = subject.provider.collect(&[]).await.unwrap();
    subject.of_lab().end_sessions();
    assert_eq!(subject.provider.collect(&[]).await.unwrap(), before);
    let wanted = made(&subject, "renewed-1").await;
    subject.of_lab().end_sessions();
    execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await.1.unwrap();
    assert_eq!(config(&found(subject.provider.as_ref(), &wanted).await).power, PowerState::Stopped);
    subject.provider.close().await;
    assert_eq!(subject.of_lab().record().count("session.logout"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_stop_is_powered_off_only_by_force() {
    let subject = pool(3).await;
    let wanted = made(&subject, "stubborn-1").await;
    subject.of_lab().faults().add(FaultRule::always(None, Some("stubborn-1"), Effect::IgnoreShutdown));
    let polite = Operation::Stop(Shutdown { force: false, ..HARD });
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![polite]).await;
    assert_eq!((kind(outcome), kept.names()), (ErrorKind::GuestTimeout, vec!["VM.clean_shutdown"]));
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["VM.clean_shutdown", "VM.hard_shutdown"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_blocked_is_not_done() {
    let subject = pool(3).await;
    let wanted = made(&subject, "blocked-1").await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    let endpoint = subject.of_lab().endpoints().remove(0);
    let reference = json!(vm.handle.rsplit('/').next().unwrap());
    let block = |operation: &str| vec![reference.clone(), json!(operation), json!("audit until Friday")];
    for operation in ["destroy", "clean_shutdown"] {
        by_hand(&endpoint, "VM.add_to_blocked_operations", block(operation)).await;
    }
    let disks = vec![disk_at(&vm, "root"), disk_at(&vm, "data")];
    let provider = subject.provider.as_ref();
    let (kept, outcome) = execute(provider, &wanted, vec![Operation::Stop(HARD)]).await;
    assert!(outcome.as_ref().is_err_and(|error| error.to_string().contains("audit until Friday")), "{outcome:?}");
    assert_eq!(kept.names(), [] as [&str; 0]);
    by_hand(&endpoint, "VM.remove_from_blocked_operations", vec![reference.clone(), json!("clean_shutdown")]).await;
    let all = vec![Operation::Stop(HARD), Operation::Destroy { disks }];
    let (kept, outcome) = execute(provider, &wanted, all).await;
    assert_eq!((kind(outcome), kept.names()), (ErrorKind::Conflict, vec!["VM.clean_shutdown"]));
    assert_eq!(config(&found(provider, &wanted).await).disks.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locking_mode_of_somebody_elses_choice_comes_back_with_the_nic() {
    let subject = pool(3).await;
    let wanted = made(&subject, "locked-1").await;
    let provider = subject.provider.as_ref();
    let vm = found(provider, &wanted).await;
    let endpoint = subject.of_lab().endpoints().remove(0);
    let reference = json!(vm.handle.rsplit('/').next().unwrap());
    let vifs = by_hand(&endpoint, "VM.get_VIFs", vec![reference.clone()]).await;
    let devices = |vif: Value| by_hand(&endpoint, "VIF.get_record", vec![vif]);
    let mut eth0 = Value::Null;
    for vif in vifs.as_array().unwrap() {
        if devices(vif.clone()).await["device"] == "0" {
            eth0 = vif.clone();
        }
    }
    by_hand(&endpoint, "VIF.set_locking_mode", vec![eth0.clone(), json!("unlocked")]).await;
    let mark = marked(&vm);
    let nic = tierwright::plan::NicAt {
        name: "eth0".to_owned(),
        slot: mark.nics["eth0"].slot.clone().unwrap(),
        mac: mark.nics["eth0"].mac.clone().unwrap(),
    };
    let mut mark = mark;
    for connected in [false, true] {
        mark = next(&mark);
        let changes = vec![Change::ConnectNic { nic: nic.clone(), connected }];
        execute(provider, &wanted, vec![Operation::Reconfigure { changes, mark: Box::new(mark.clone()) }])
            .await
            .1
            .unwrap();
        assert_eq!(config(&found(provider, &wanted).await).nics[0].connected, connected);
    }
    let record = devices(eth0).await;
    assert_eq!(record["locking_mode"], "unlocked");
    assert!(record["other_config"].get("tierwright:locking-mode").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_lacking_is_named() {
    let subject = pool(3).await;
    subject.of_lab().faults().add(FaultRule::always(None, None, Effect::Deny("VM.set_affinity".to_owned())));
    let missing = subject.provider.rights().await.unwrap();
    assert_eq!(missing.iter().map(|missing| missing.right.as_str()).collect::<Vec<_>>(), ["VM.set_affinity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_another_vm_uses_is_neither_changed_nor_deleted() {
    let subject = pool(3).await;
    let wanted = made(&subject, "sharing-1").await;
    subject.of_lab().world().with(|world| {
        let file = world.vm_named("sharing-1").unwrap().disks[1].file.clone();
        world.edit_named("legacy-001", |vm| vm.disks[0].file = file)
    });
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!(config(&vm).disks.iter().map(|disk| disk.shared).collect::<Vec<_>>(), [false, true]);
    let grow = vec![Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(6) }];
    let grow = vec![Operation::Reconfigure { changes: grow, mark: Box::new(next(&marked(&vm))) }];
    let disks = vec![disk_at(&vm, "root"), disk_at(&vm, "data")];
    let destroy = vec![Operation::Stop(HARD), Operation::Destroy { disks }];
    for operations in [grow, destroy] {
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, operations).await;
        assert_eq!(kind(outcome), ErrorKind::Conflict);
        assert!(kept.names().iter().all(|call| *call == "VM.clean_shutdown"), "{:?}", kept.names());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_and_nics_come_and_go_while_it_runs_where_its_drivers_say_so() {
    let subject = pool(3).await;
    let wanted = made(&subject, "hot-1").await;
    let provider = subject.provider.as_ref();
    let vm = found(provider, &wanted).await;
    let hot = config(&vm).hot;
    assert!(hot.disks && hot.nics && hot.nic_network && !hot.add_cpu && !hot.add_memory && !hot.grow_disk, "{hot:?}");
    let mut mark = next(&marked(&vm));
    mark.disks.extend(wanted.mark(1, &["logs"], &[]).disks);
    let changes = vec![
        Change::AddDisk(DiskOrder {
            name: "logs".to_owned(),
            size: Bytes::gib(4),
            storage: Some("sr-nvme".to_owned()),
        }),
        Change::DetachDisk(disk_at(&vm, "data")),
    ];
    let operation = Operation::Reconfigure { changes, mark: Box::new(mark) };
    execute(provider, &wanted, vec![operation]).await.1.unwrap();
    let after = found(provider, &wanted).await;
    assert_eq!(config(&after).power, PowerState::Running);
    let stores: Vec<_> = config(&after).disks.iter().map(|disk| disk.storage.as_deref().unwrap()).collect();
    assert_eq!(stores, ["sr-hosted", "sr-nvme"]);
    assert!(marked(&after).disks["data"].file.is_some(), "kept, and remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_on_other_storage_is_copied() {
    let mut subject = pool(3).await;
    subject.placement.storage = Some("sr-nvme".to_owned());
    let wanted = Wanted::told("copied-1");
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create(&subject, &wanted)).await;
    outcome.unwrap();
    assert_eq!(kept.names()[0], "VM.copy");
    check_created(&found(subject.provider.as_ref(), &wanted).await, &order(&subject, &wanted, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_init_data_stands_on_the_cd_and_nowhere_else() {
    let subject = pool(3).await;
    let wanted = made(&subject, "seeded-1").await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    let endpoint = subject.of_lab().endpoints().remove(0);
    let all = by_hand(&endpoint, "VDI.get_all_records", Vec::new()).await;
    let own = |vdi: &&Value| vdi["other_config"]["tierwright:name"] == "cloud-init/seed";
    let seed = all.as_object().unwrap().values().find(own).expect("a CD");
    let content = control(&subject).imported(seed["uuid"].as_str().unwrap().parse().unwrap()).expect("written");
    let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("CD001") && holds("user-data-canary") && holds("10.0.0.5/24"));
    assert!(holds(&marked(&vm).nics["eth0"].mac.clone().unwrap()), "cards are matched by MAC");
    let records = by_hand(&endpoint, "VM.get_all_records", Vec::new()).await.to_string();
    assert!(!records.contains("user-data-canary") && !all.to_string().contains("user-data-canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_came_along_with_the_image_is_not_the_new_vms() {
    let subject = pool(3).await;
    let provider = subject.provider.as_ref();
    // Somebody makes a template of one of our VMs: the mark goes with it.
    let first = made(&subject, "first-1").await;
    execute(provider, &first, vec![Operation::Stop(HARD)]).await.1.unwrap();
    let vm = found(provider, &first).await;
    let endpoint = subject.of_lab().endpoints().remove(0);
    let reference = json!(vm.handle.rsplit('/').next().unwrap());
    by_hand(&endpoint, "VM.clone", vec![reference, json!("golden")]).await;
    for calls in 0..8 {
        let wanted = Wanted::told(&format!("second-{calls}"));
        let mut order = order(&subject, &wanted, true);
        (order.image.as_mut().unwrap().source, order.image_disks) = ("golden".to_owned(), 2);
        let create = vec![Operation::Create(Box::new(order.clone()))];
        let (_, outcome) = execute_some(provider, &wanted, create.clone(), Some(calls)).await;
        if calls > 0 && outcome.is_err() {
            let begun = found(provider, &wanted).await;
            let standing = tierwright::mark::judge(&begun, "test");
            assert!(
                matches!(standing, Standing::Unfinished { identity, .. } if identity == wanted.identity),
                "{standing:?}"
            );
        }
        execute(provider, &wanted, create).await.1.unwrap();
        check_created(&found(provider, &wanted).await, &order);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_listing_is_not_whole_nothing_is_said_to_be_absent_and_nothing_is_made() {
    let subject = pool(3).await;
    let wanted = Wanted::told("doubtful-1");
    subject.of_lab().faults().add(FaultRule::always(Some("event.from"), None, Effect::Truncate(30)));
    let provider = subject.fresh();
    let error = provider.find(&Target::Identity(wanted.identity)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let (kept, outcome) = execute(provider.as_ref(), &wanted, create(&subject, &wanted)).await;
    assert_eq!((kind(outcome), kept.names().len()), (ErrorKind::Unreachable, 0));
    subject.of_lab().faults().clear();
    execute(provider.as_ref(), &wanted, create(&subject, &wanted)).await.1.unwrap();
    assert_eq!(named(&subject, "doubtful-1"), 1);
}
