//! The cases, each for one line of the contract.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use tierwright::inventory::{Capabilities, Known, Missing, Observed};
use tierwright::mark::{self, Mark, Pending};
use tierwright::model::{Bytes, ObservedVm, OwnId, PowerState, Shutdown, VmConfig, VmName};
use tierwright::plan::{Change, CreateVm, DiskAt, DiskOrder, NicAt, NicOrder, Operation};
use tierwright::provider::{ErrorKind, Found, Halt, Provider, StepError, Target};

use crate::recorder::{Kept, Made, Wanted, execute, execute_some};
use crate::subject::Subject;

/// One case; a broken promise panics.
pub struct Case {
    pub name: &'static str,
    /// The capability it needs and the provider lacks.
    pub needs: fn(&Capabilities) -> Option<&'static str>,
    pub run: for<'a> fn(&'a Subject) -> BoxFuture<'a, ()>,
}

macro_rules! cases {
    ($($name:ident: $needs:ident),* $(,)?) => {
        /// All of them.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            needs: $needs,
            run: |subject| Box::pin($name(subject)),
        }),*];
    };
}

cases! {
    every_vm_is_listed_and_readable: nothing,
    an_inventory_read_twice_is_the_same: nothing,
    a_known_vm_that_is_not_listed_is_read_by_id: nothing,
    find_shows_what_the_listing_shows: nothing,
    a_blank_vm_is_made_with_identity_and_mark: blank,
    a_vm_is_made_from_an_image: image,
    a_create_tells_its_vm_before_its_second_call: blank,
    done_again_nothing_is_called: blank,
    stopped_before_any_call_a_blank_create_is_finished_by_the_next_run: blank,
    stopped_before_any_call_a_create_from_an_image_is_finished_by_the_next_run: image,
    a_refused_intent_is_not_sent: blank,
    every_call_is_told_before_and_after_without_secrets: blank,
    hardware_changes_with_its_mark: blank,
    an_older_mark_never_takes_the_place_of_a_newer_one: blank,
    a_detached_disk_is_kept_and_comes_back: blank,
    a_disk_is_deleted_when_asked: blank,
    another_disk_in_its_slot_stops_the_step: blank,
    a_placement_that_is_not_there_stops_before_anything_is_made: blank,
    stop_start_and_rename_are_done_once: blank,
    a_retire_and_its_undoing: blank,
    unmark_removes_the_mark_alone: blank,
    destroy_takes_exactly_the_named_disks: blank,
    other_vms_do_not_change: blank,
    rights_are_told: nothing,
}

const fn nothing(_: &Capabilities) -> Option<&'static str> {
    None
}

const fn blank(capabilities: &Capabilities) -> Option<&'static str> {
    if capabilities.create_blank { None } else { Some("createBlank") }
}

const fn image(capabilities: &Capabilities) -> Option<&'static str> {
    if capabilities.create_from_image { None } else { Some("createFromImage") }
}

const HARD: Shutdown = Shutdown { timeout_seconds: 1, force: true };

async fn collect(subject: &Subject) -> Observed {
    let observed = subject.provider.collect(&[]).await.unwrap();
    assert_eq!(observed.incomplete, None);
    observed
}

/// The one VM of an own id, or of an identity as long as nobody knows more.
pub async fn found(provider: &dyn Provider, wanted: &Wanted) -> ObservedVm {
    let target = wanted.own_id().map_or(Target::Identity(wanted.identity), Target::OwnId);
    match provider.find(&target).await.unwrap() {
        Found::Vm(vm) => {
            wanted.learn(vm.id.clone());
            *vm
        }
        other => panic!("{other:?}"),
    }
}

/// It, as a VM seen before whose reference nobody kept.
pub fn known(wanted: &Wanted) -> Known {
    Known { id: wanted.id(), handle: "".into() }
}

pub fn config(vm: &ObservedVm) -> &VmConfig {
    vm.readable().unwrap_or_else(|| panic!("{:?}", vm.config))
}

pub fn marked(vm: &ObservedVm) -> Mark {
    mark::parse(config(vm).mark.as_deref().expect("it is marked")).expect("the mark is whole")
}

fn next(vm: &ObservedVm) -> Mark {
    let mark = marked(vm);
    Mark { generation: mark.generation + 1, ..mark }
}

pub fn disk_at(vm: &ObservedVm, name: &str) -> DiskAt {
    let disk = marked(vm).disks[name].clone();
    DiskAt { name: name.to_owned(), slot: disk.slot.unwrap(), id: disk.id }
}

fn nic_at(vm: &ObservedVm, name: &str) -> NicAt {
    let nic = marked(vm).nics[name].clone();
    NicAt { name: name.to_owned(), slot: nic.slot.unwrap(), mac: nic.mac.unwrap() }
}

pub fn order(subject: &Subject, wanted: &Wanted, image: bool) -> CreateVm {
    wanted.create(subject.placement.clone(), subject.networks[0], image.then_some(subject.image))
}

async fn make(subject: &Subject, name: &str) -> (Wanted, ObservedVm) {
    let wanted = subject.wanted(name).await;
    let create = Operation::Create(Box::new(order(subject, &wanted, false)));
    execute(subject.provider.as_ref(), &wanted, vec![create]).await.1.unwrap();
    let vm = found(subject.provider.as_ref(), &wanted).await;
    (wanted, vm)
}

/// A VM whose disks come and go only while it is off is off, as a plan would see to.
async fn ready_for_disks(subject: &Subject, wanted: &Wanted, vm: &ObservedVm) {
    if !config(vm).hot.disks {
        done(subject, wanted, vec![Operation::Stop(HARD)]).await;
    }
}

async fn done(subject: &Subject, wanted: &Wanted, operations: Vec<Operation>) -> Vec<&'static str> {
    let (kept, outcome) = execute(subject.provider.as_ref(), wanted, operations).await;
    outcome.unwrap();
    assert!(kept.all_settled());
    kept.names()
}

/// What every new VM must look like, whatever it was made from.
pub fn check_created(vm: &ObservedVm, order: &CreateVm) {
    let config = config(vm);
    // Where the own id is ours to choose, the order's mark has it.
    assert!(order.mark.own_id.as_ref().is_none_or(|id| *id == vm.id));
    assert_eq!(&*vm.name, order.name.as_str());
    assert_eq!((config.cpus, config.memory, config.power), (order.cpus, order.memory, PowerState::Running));
    let sizes: Vec<_> = config.disks.iter().map(|disk| disk.size).collect();
    assert_eq!(sizes, order.disks.iter().map(|disk| disk.size).collect::<Vec<_>>());
    assert!(config.disks.iter().all(|disk| disk.storage == order.placement.storage.as_deref().map(Into::into)));
    let networks: Vec<_> = config.nics.iter().map(|nic| nic.network.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(networks, order.nics.iter().map(|nic| nic.network.name.as_str()).collect::<Vec<_>>());
    assert!(config.nics.iter().all(|nic| nic.connected && !nic.mac.is_empty()));
    let mark = marked(vm);
    assert_eq!((mark.pending, mark.own_id.as_ref()), (None, Some(&vm.id)));
    for (wanted, disk) in order.disks.iter().zip(&config.disks) {
        let known = &mark.disks[&wanted.name];
        assert_eq!((known.slot.as_deref(), known.id.as_deref()), (Some(&*disk.slot), disk.id.as_deref()));
    }
    let macs: BTreeSet<_> = order.nics.iter().map(|nic| mark.nics[&nic.name].mac.clone().unwrap()).collect();
    assert_eq!(macs, config.nics.iter().map(|nic| nic.mac.to_string()).collect());
}

async fn every_vm_is_listed_and_readable(subject: &Subject) {
    let observed = collect(subject).await;
    assert!(!observed.vms.is_empty() && !observed.catalog.hosts.is_empty() && !observed.catalog.storage.is_empty());
    for vm in &observed.vms {
        assert!(!config(vm).disks.is_empty(), "{vm:?}");
    }
    let networks: Vec<_> = observed.catalog.networks.iter().map(|network| network.target.name.as_str()).collect();
    assert!(subject.networks.iter().all(|name| networks.contains(name)), "{networks:?}");
}

async fn an_inventory_read_twice_is_the_same(subject: &Subject) {
    assert_eq!(collect(subject).await, collect(subject).await);
}

async fn a_known_vm_that_is_not_listed_is_read_by_id(subject: &Subject) {
    let gone = OwnId::new("00000000-0000-4000-8000-000000000001");
    let observed = subject.provider.collect(&[Known { id: gone.clone(), handle: "".into() }]).await.unwrap();
    assert_eq!(observed.missing.get(&gone), Some(&Missing::NotFound));
}

async fn find_shows_what_the_listing_shows(subject: &Subject) {
    let listed = collect(subject).await.vms.remove(0);
    let found = subject.provider.find(&Target::OwnId(listed.id.clone())).await.unwrap();
    assert_eq!(found, Found::Vm(Box::new(listed)));
    let nobody = subject.wanted("nobody").await;
    assert_eq!(subject.provider.find(&Target::Identity(nobody.identity)).await.unwrap(), Found::Nothing);
}

async fn a_blank_vm_is_made_with_identity_and_mark(subject: &Subject) {
    let wanted = subject.wanted("blank-1").await;
    let order = order(subject, &wanted, false);
    done(subject, &wanted, vec![Operation::Create(Box::new(order.clone()))]).await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    check_created(&vm, &order);
    assert_eq!(config(&vm).firmware, order.firmware);
    assert!(collect(subject).await.vms.contains(&vm));
}

async fn a_vm_is_made_from_an_image(subject: &Subject) {
    let wanted = subject.wanted("clone-1").await;
    let order = order(subject, &wanted, true);
    done(subject, &wanted, vec![Operation::Create(Box::new(order.clone()))]).await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    check_created(&vm, &order);
    assert!(collect(subject).await.vms.contains(&vm));
}

async fn a_create_tells_its_vm_before_its_second_call(subject: &Subject) {
    let wanted = subject.wanted("known-1").await;
    let create = Operation::Create(Box::new(order(subject, &wanted, false)));
    // Whatever it makes around the VM first, such as a folder, takes a run of its own here.
    let mut kept = Kept::default();
    for _ in 0..MOST_CALLS {
        (kept, _) = execute_some(subject.provider.as_ref(), &wanted, vec![create.clone()], Some(1)).await;
        if subject.provider.find(&Target::Identity(wanted.identity)).await.unwrap() != Found::Nothing {
            break;
        }
    }
    let vm = found(subject.provider.as_ref(), &wanted).await;
    let told = Made { own_id: vm.id.clone(), handle: vm.handle.to_string(), calls: 1 };
    assert_eq!(*kept.made.lock().unwrap(), [told]);
}

async fn done_again_nothing_is_called(subject: &Subject) {
    let wanted = subject.wanted("twice-1").await;
    let create = Operation::Create(Box::new(order(subject, &wanted, false)));
    assert!(!done(subject, &wanted, vec![create.clone()]).await.is_empty());
    assert_eq!(done(subject, &wanted, vec![create]).await, [] as [&str; 0]);
}

/// More calls than any provider needs to make one VM.
const MOST_CALLS: usize = 60;

/// Stops before the first, the second, the third … call, until a run needs no more.
async fn stop_at_each_call(subject: &Subject, image: bool) {
    for calls in 0..MOST_CALLS {
        let wanted = subject.wanted(&format!("crash-{calls}")).await;
        let order = order(subject, &wanted, image);
        let create = vec![Operation::Create(Box::new(order.clone()))];
        let provider = subject.provider.as_ref();
        let (_, outcome) = execute_some(provider, &wanted, create.clone(), Some(calls)).await;
        let whole = outcome.is_ok();
        if !whole {
            assert!(matches!(outcome, Err(StepError::Halted(Halt::Stopping))), "{outcome:?}");
            done(subject, &wanted, create).await;
        }
        check_created(&found(provider, &wanted).await, &order);
        let named = collect(subject).await.vms.iter().filter(|vm| *vm.name == *wanted.name).count();
        assert_eq!(named, 1);
        if whole {
            assert!(calls > 2, "a create in {calls} calls");
            return;
        }
    }
    panic!("a create needs more than {MOST_CALLS} calls");
}

async fn stopped_before_any_call_a_blank_create_is_finished_by_the_next_run(subject: &Subject) {
    stop_at_each_call(subject, false).await;
}

async fn stopped_before_any_call_a_create_from_an_image_is_finished_by_the_next_run(subject: &Subject) {
    stop_at_each_call(subject, true).await;
}

async fn a_refused_intent_is_not_sent(subject: &Subject) {
    let (wanted, vm) = make(subject, "refused-1").await;
    for operation in [
        Operation::Stop(HARD),
        Operation::Rename(VmName::new("other").unwrap()),
        Operation::Unmark,
        Operation::Reconfigure { changes: vec![Change::Cpus(1)], mark: Box::new(next(&vm)) },
    ] {
        let (kept, outcome) = execute_some(subject.provider.as_ref(), &wanted, vec![operation], Some(0)).await;
        assert!(matches!(outcome, Err(StepError::Halted(Halt::Stopping))), "{outcome:?}");
        assert_eq!(kept.names(), [] as [&str; 0]);
    }
    assert_eq!(found(subject.provider.as_ref(), &wanted).await, vm);
}

async fn every_call_is_told_before_and_after_without_secrets(subject: &Subject) {
    let wanted = subject.wanted("told-1").await;
    let create = Operation::Create(Box::new(order(subject, &wanted, false)));
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![create]).await;
    outcome.unwrap();
    assert!(kept.all_settled() && kept.names().len() > 2);
    assert!(!format!("{kept:?}").contains("user-data-canary"));
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert!(!format!("{vm:?}").contains("user-data-canary"));
}

async fn hardware_changes_with_its_mark(subject: &Subject) {
    let (wanted, vm) = make(subject, "change-1").await;
    done(subject, &wanted, vec![Operation::Stop(HARD)]).await;
    let mut mark = next(&vm);
    let unknown = wanted.mark(1, &["logs"], &["eth2"]);
    mark.disks.extend(unknown.disks);
    mark.nics.extend(unknown.nics);
    mark.nics.remove("eth0");
    let network = tierwright::model::NetworkTarget { name: subject.networks[1].to_owned(), vlan: None };
    let nic =
        NicOrder { name: "eth2".to_owned(), network: network.clone(), mac: None, addresses: Vec::new(), gateway: None };
    let changes = vec![
        Change::Cpus(4),
        Change::Memory(Bytes::gib(2)),
        Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(5) },
        Change::AddDisk(DiskOrder { name: "logs".to_owned(), size: Bytes::gib(7), storage: None }),
        Change::RemoveNic(nic_at(&vm, "eth0")),
        Change::MoveNic { nic: nic_at(&vm, "eth1"), network: network.clone() },
        Change::AddNic(nic),
    ];
    let operation = Operation::Reconfigure { changes, mark: Box::new(mark) };
    done(subject, &wanted, vec![operation.clone()]).await;
    let after = found(subject.provider.as_ref(), &wanted).await;
    let now = config(&after);
    assert_eq!((now.cpus, now.memory), (4, Bytes::gib(2)));
    let sizes: Vec<_> = now.disks.iter().map(|disk| disk.size).collect();
    assert_eq!(sizes, [Bytes::gib(12), Bytes::gib(5), Bytes::gib(7)]);
    assert!(now.nics.iter().all(|nic| nic.network.as_ref() == Some(&network)) && now.nics.len() == 2);
    let mark = marked(&after);
    assert_eq!(mark.generation, 2);
    assert_eq!(mark.disks["logs"].slot.as_deref(), Some(&*now.disks[2].slot));
    assert_eq!(mark.disks["logs"].id.as_deref(), now.disks[2].id.as_deref());
    let kept = marked(&vm).nics["eth1"].mac.clone();
    assert_eq!(mark.nics["eth1"].mac, kept);
    assert!(mark.nics["eth2"].mac.is_some() && mark.nics["eth2"].mac != kept);
    assert_eq!(done(subject, &wanted, vec![operation]).await, [] as [&str; 0]);
}

async fn a_detached_disk_is_kept_and_comes_back(subject: &Subject) {
    let (wanted, vm) = make(subject, "detach-1").await;
    ready_for_disks(subject, &wanted, &vm).await;
    let before = config(&vm).disks[1].clone();
    let changes = vec![Change::DetachDisk(disk_at(&vm, "data"))];
    done(subject, &wanted, vec![Operation::Reconfigure { changes, mark: Box::new(next(&vm)) }]).await;
    let detached = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!(config(&detached).disks.len(), 1);
    let known = marked(&detached).disks["data"].clone();
    assert_eq!((known.slot, known.file.as_deref()), (None, before.file.as_deref()));
    let changes = vec![Change::AttachDisk { name: "data".to_owned(), file: known.file.unwrap(), id: known.id }];
    done(subject, &wanted, vec![Operation::Reconfigure { changes, mark: Box::new(next(&detached)) }]).await;
    let again = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!(config(&again).disks[1].file, before.file);
    assert_eq!(marked(&again).disks["data"].slot.as_deref(), Some(&*config(&again).disks[1].slot));
}

async fn stop_start_and_rename_are_done_once(subject: &Subject) {
    let (wanted, _) = make(subject, "power-1").await;
    let stop = vec![Operation::Stop(HARD), Operation::Stop(HARD), Operation::Rename(VmName::new("new name").unwrap())];
    done(subject, &wanted, stop.clone()).await;
    let vm = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!((&*vm.name, config(&vm).power), ("new name", PowerState::Stopped));
    assert_eq!(done(subject, &wanted, stop).await, [] as [&str; 0]);
    assert_eq!(done(subject, &wanted, vec![Operation::Start, Operation::Start]).await.len(), 1);
}

async fn a_retire_and_its_undoing(subject: &Subject) {
    let (wanted, vm) = make(subject, "retire-1").await;
    let connect = |vm: &ObservedVm, connected| Operation::Reconfigure {
        changes: ["eth0", "eth1"].map(|name| Change::ConnectNic { nic: nic_at(vm, name), connected }).into(),
        mark: Box::new(next(vm)),
    };
    let retire = vec![Operation::Stop(HARD), connect(&vm, false), Operation::Rename(VmName::new("retired").unwrap())];
    done(subject, &wanted, retire.clone()).await;
    let retired = found(subject.provider.as_ref(), &wanted).await;
    assert!(config(&retired).nics.iter().all(|nic| !nic.connected));
    assert_eq!(done(subject, &wanted, retire).await, [] as [&str; 0]);
    let back = vec![connect(&retired, true), Operation::Rename(VmName::new("retire-1").unwrap()), Operation::Start];
    done(subject, &wanted, back).await;
    let back = found(subject.provider.as_ref(), &wanted).await;
    assert!(config(&back).nics.iter().all(|nic| nic.connected));
    assert_eq!((&*back.name, config(&back).power), ("retire-1", PowerState::Running));
}

async fn unmark_removes_the_mark_alone(subject: &Subject) {
    let (wanted, mut vm) = make(subject, "unmark-1").await;
    done(subject, &wanted, vec![Operation::Unmark]).await;
    let after = found(subject.provider.as_ref(), &wanted).await;
    if let tierwright::model::Config::Readable(config) = &mut vm.config {
        std::sync::Arc::make_mut(config).mark = None;
    }
    assert_eq!(after, vm);
    assert_eq!(done(subject, &wanted, vec![Operation::Unmark]).await, [] as [&str; 0]);
}

async fn destroy_takes_exactly_the_named_disks(subject: &Subject) {
    let (wanted, vm) = make(subject, "destroy-1").await;
    let (root, data) = (disk_at(&vm, "root"), disk_at(&vm, "data"));
    let all = Operation::Destroy { disks: vec![root.clone(), data] };
    let provider = subject.provider.as_ref();
    let refused = |outcome: Result<(), StepError>| match outcome {
        Err(StepError::Provider(error)) => assert_eq!(error.kind, ErrorKind::Conflict, "{error}"),
        other => panic!("{other:?}"),
    };
    refused(execute(provider, &wanted, vec![all.clone()]).await.1);
    refused(execute(provider, &wanted, vec![Operation::Stop(HARD), Operation::Destroy { disks: vec![root] }]).await.1);
    assert_eq!(config(&found(provider, &wanted).await).disks.len(), 2);
    let (kept, outcome) = execute(provider, &wanted, vec![all.clone()]).await;
    outcome.unwrap();
    assert!(kept.calls.lock().unwrap().iter().all(|(call, _)| call.destroys));
    assert_eq!(provider.find(&Target::OwnId(wanted.id())).await.unwrap(), Found::Nothing);
    let observed = provider.collect(&[known(&wanted)]).await.unwrap();
    assert_eq!(observed.missing.get(&wanted.id()), Some(&Missing::NotFound));
    assert_eq!(done(subject, &wanted, vec![all]).await, [] as [&str; 0]);
}

async fn other_vms_do_not_change(subject: &Subject) {
    let before = collect(subject).await;
    let (wanted, vm) = make(subject, "one-1").await;
    let change = Operation::Reconfigure { changes: vec![Change::Memory(Bytes::gib(2))], mark: Box::new(next(&vm)) };
    let destroy = Operation::Destroy { disks: vec![disk_at(&vm, "root"), disk_at(&vm, "data")] };
    done(subject, &wanted, vec![Operation::Stop(HARD), change, destroy]).await;
    assert_eq!(collect(subject).await.vms, before.vms);
}

async fn rights_are_told(subject: &Subject) {
    assert_eq!(subject.provider.rights().await.unwrap(), []);
}

async fn a_disk_is_deleted_when_asked(subject: &Subject) {
    let (wanted, vm) = make(subject, "delete-disk-1").await;
    ready_for_disks(subject, &wanted, &vm).await;
    let mut mark = next(&vm);
    mark.disks.remove("data");
    let changes = vec![Change::DeleteDisk(disk_at(&vm, "data"))];
    let operation = Operation::Reconfigure { changes, mark: Box::new(mark) };
    let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![operation.clone()]).await;
    outcome.unwrap();
    assert!(kept.calls.lock().unwrap().iter().any(|(call, _)| call.destroys));
    assert_eq!(config(&found(subject.provider.as_ref(), &wanted).await).disks.len(), 1);
    assert_eq!(done(subject, &wanted, vec![operation]).await, [] as [&str; 0]);
}

async fn another_disk_in_its_slot_stops_the_step(subject: &Subject) {
    let (wanted, vm) = make(subject, "other-disk-1").await;
    let disk = DiskAt { id: Some("6000c290-0000".to_owned()), ..disk_at(&vm, "data") };
    for change in [
        Change::GrowDisk { disk: disk.clone(), size: Bytes::gib(9) },
        Change::DetachDisk(disk.clone()),
        Change::DeleteDisk(disk),
    ] {
        let operation = Operation::Reconfigure { changes: vec![change], mark: Box::new(next(&vm)) };
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, vec![operation]).await;
        let Err(StepError::Provider(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.kind, kept.names().len()), (ErrorKind::Conflict, 0), "{error}");
    }
}

async fn a_placement_that_is_not_there_stops_before_anything_is_made(subject: &Subject) {
    let wanted = subject.wanted("nowhere-1").await;
    let mut nowhere = order(subject, &wanted, false);
    nowhere.placement.storage = Some("no-such-storage".to_owned());
    let mut unconnected = order(subject, &wanted, false);
    "no-such-network".clone_into(&mut unconnected.nics[1].network.name);
    for (order, name) in [(nowhere, "no-such-storage"), (unconnected, "no-such-network")] {
        let create = vec![Operation::Create(Box::new(order))];
        let (kept, outcome) = execute(subject.provider.as_ref(), &wanted, create).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        assert!(kept.names().iter().all(|call| *call == "CreateFolder"), "{:?}", kept.names());
    }
    assert_eq!(subject.provider.find(&Target::Identity(wanted.identity)).await.unwrap(), Found::Nothing);
}

async fn an_older_mark_never_takes_the_place_of_a_newer_one(subject: &Subject) {
    let (wanted, vm) = make(subject, "older-1").await;
    let newer = Mark { generation: 7, ..marked(&vm) };
    done(subject, &wanted, vec![Operation::Reconfigure { changes: Vec::new(), mark: Box::new(newer) }]).await;
    let now = found(subject.provider.as_ref(), &wanted).await;
    assert_eq!(marked(&now).generation, 7);
    for pending in [None, Some(Pending::Restart)] {
        let older = Mark { generation: 3, pending, ..marked(&vm) };
        let operation = Operation::Reconfigure { changes: vec![Change::Cpus(1)], mark: Box::new(older) };
        assert_eq!(done(subject, &wanted, vec![operation]).await, [] as [&str; 0]);
    }
    assert_eq!(found(subject.provider.as_ref(), &wanted).await, now);
}
