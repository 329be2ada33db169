//! Steps done for real.

use std::sync::Arc;

use tierwright::inventory::Missing;
use tierwright::mark::{self, Mark};
use tierwright::model::{Bytes, NetworkTarget, ObservedVm, Placement, PowerState, Shutdown, VmConfig, VmName};
use tierwright::plan::{Change, DiskAt, DiskOrder, NicAt, NicOrder, Operation};
use tierwright::provider::{ErrorKind, Found, Provider, StepError, Target};

use crate::peer::Vcsim;
use crate::python::python;
use crate::recorder::{Wanted, execute};

fn cluster() -> Placement {
    Placement {
        cluster: Some("DC0_C0".to_owned()),
        host: Some("DC0_C0_H0".to_owned()),
        folder: Some("Prod/new".to_owned()),
        create_folders: true,
        storage: Some("LocalDS_1".to_owned()),
        ..Placement::default()
    }
}

async fn found(provider: &dyn Provider, wanted: &Wanted) -> ObservedVm {
    match provider.find(&Target::Identity(wanted.identity)).await.unwrap() {
        Found::Vm(vm) => *vm,
        other => panic!("{other:?}"),
    }
}

fn config(vm: &ObservedVm) -> &VmConfig {
    vm.readable().expect("it is readable")
}

fn marked(vm: &ObservedVm) -> Mark {
    mark::parse(config(vm).mark.as_deref().expect("it is marked")).expect("the mark is whole")
}

/// The mark of the next change.
fn next(vm: &ObservedVm) -> Mark {
    let mark = marked(vm);
    Mark { generation: mark.generation + 1, ..mark }
}

fn disk_at(vm: &ObservedVm, name: &str) -> DiskAt {
    let disk = marked(vm).disks[name].clone();
    DiskAt { name: name.to_owned(), slot: disk.slot.unwrap(), id: disk.id }
}

fn nic_at(vm: &ObservedVm, name: &str) -> NicAt {
    let nic = marked(vm).nics[name].clone();
    NicAt { name: name.to_owned(), slot: nic.slot.unwrap(), mac: nic.mac.unwrap() }
}

const HARD: Shutdown = Shutdown { timeout_seconds: 1, force: true };

/// A fresh blank VM.
async fn blank(provider: &Arc<dyn Provider>, name: &str) -> (Wanted, ObservedVm) {
    let wanted = Wanted::new(name);
    let order = wanted.create(cluster(), "DC0_DVPG0", None);
    let (_, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
    outcome.unwrap();
    let vm = found(provider.as_ref(), &wanted).await;
    (wanted, vm)
}

/// What every new VM must look like, whatever it was made from.
fn check_created(vm: &ObservedVm, wanted: &Wanted) {
    let config = config(vm);
    assert_eq!(vm.id, wanted.id());
    assert_eq!(&*vm.name, wanted.name);
    assert_eq!(vm.placed.folder.as_deref(), Some("Prod/new"));
    assert_eq!((config.cpus, config.memory, config.power), (2, Bytes::gib(1), PowerState::Running));
    let sizes: Vec<_> = config.disks.iter().map(|disk| disk.size).collect();
    assert_eq!(sizes, [Bytes::gib(12), Bytes::gib(3)]);
    assert!(config.disks.iter().all(|disk| disk.storage.as_deref() == Some("LocalDS_1")), "{:?}", config.disks);
    assert_eq!(config.nics.len(), 2);
    assert!(config.nics.iter().all(|nic| nic.network.as_ref().unwrap().name == "DC0_DVPG0" && nic.connected));
    let mark = marked(vm);
    assert_eq!(mark.pending, None);
    assert_eq!(mark.own_id, Some(wanted.id()));
    for (name, disk) in ["root", "data"].iter().zip(&config.disks) {
        assert_eq!(mark.disks[*name].slot.as_deref(), Some(&*disk.slot));
        assert_eq!(mark.disks[*name].id.as_deref(), disk.id.as_deref());
    }
    for (name, nic) in ["eth0", "eth1"].iter().zip(&config.nics) {
        assert_eq!(mark.nics[*name].mac.as_deref(), Some(&*nic.mac));
        assert_eq!(mark.nics[*name].slot.as_deref(), Some(&*nic.slot));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_vm_is_created_and_a_second_run_changes_nothing() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("blank-1");
    let order = wanted.create(cluster(), "DC0_DVPG0", None);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order.clone()))]).await;
    outcome.unwrap();
    assert_eq!(
        kept.names(),
        ["CreateFolder", "CreateFolder", "CreateVM_Task", "ReconfigVM_Task", "PowerOnVM_Task", "ReconfigVM_Task"]
    );
    assert!(kept.all_settled());
    assert!(!format!("{kept:?}").contains("user-data-canary"));
    check_created(&found(provider.as_ref(), &wanted).await, &wanted);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_cloned_from_an_image_and_a_second_run_changes_nothing() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("clone-1");
    let order = wanted.create(cluster(), "DC0_DVPG0", Some("DC0_H0_VM0"));
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order.clone()))]).await;
    outcome.unwrap();
    assert_eq!(kept.names()[2], "CloneVM_Task");
    check_created(&found(provider.as_ref(), &wanted).await, &wanted);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_alone_makes_blank_vms() {
    let Some(vcsim) = Vcsim::start(&["-esx"]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("blank-esx");
    let placement = Placement { storage: Some("LocalDS_1".to_owned()), ..Placement::default() };
    let order = wanted.create(placement, "VM Network", None);
    let (_, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
    outcome.unwrap();
    let vm = found(provider.as_ref(), &wanted).await;
    assert_eq!(config(&vm).disks.len(), 2);
    assert_eq!(marked(&vm).pending, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_changes_land_with_their_mark_and_only_once() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "change-1").await;
    let mut mark = next(&vm);
    let unknown: Mark = wanted.mark(1, &["logs"], &["eth2"]);
    mark.disks.extend(unknown.disks);
    mark.nics.extend(unknown.nics);
    let network = NetworkTarget { name: "VM Network".to_owned(), vlan: None };
    let changes = vec![
        Change::Cpus(4),
        Change::Memory(Bytes::gib(2)),
        Change::GrowDisk { disk: disk_at(&vm, "data"), size: Bytes::gib(5) },
        Change::AddDisk(DiskOrder {
            name: "logs".to_owned(),
            size: Bytes::gib(7),
            storage: Some("LocalDS_0".to_owned()),
        }),
        Change::AddNic(NicOrder {
            name: "eth2".to_owned(),
            network: network.clone(),
            mac: Some("00:50:56:00:00:07".to_owned()),
            addresses: Vec::new(),
            gateway: None,
        }),
        Change::MoveNic { nic: nic_at(&vm, "eth1"), network: network.clone() },
        Change::ConnectNic { nic: nic_at(&vm, "eth1"), connected: false },
    ];
    let operation = Operation::Reconfigure { changes, mark: Box::new(mark) };
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![operation.clone()]).await;
    outcome.unwrap();
    assert!(kept.names().iter().all(|name| *name == "ReconfigVM_Task"));
    let after = found(provider.as_ref(), &wanted).await;
    let now = config(&after);
    assert_eq!((now.cpus, now.memory), (4, Bytes::gib(2)));
    let sizes: Vec<_> = now.disks.iter().map(|disk| disk.size).collect();
    assert_eq!(sizes, [Bytes::gib(12), Bytes::gib(5), Bytes::gib(7)]);
    assert_eq!(now.disks[2].storage.as_deref(), Some("LocalDS_0"));
    let mark = marked(&after);
    assert_eq!(mark.generation, 2);
    assert_eq!(mark.disks["logs"].slot.as_deref(), Some("scsi0:2"));
    let by_mac = |mac: &str| now.nics.iter().find(|nic| &*nic.mac == mac).unwrap();
    assert_eq!(by_mac("00:50:56:00:00:07").network, Some(network.clone()));
    let moved = by_mac(mark.nics["eth1"].mac.as_deref().unwrap());
    assert_eq!((moved.network.clone(), moved.connected), (Some(network), false));
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![operation]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_disk_is_kept_and_attached_again() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "detach-1").await;
    let file = config(&vm).disks[1].file.clone().unwrap();
    let changes = vec![Change::DetachDisk(disk_at(&vm, "data"))];
    let operation = Operation::Reconfigure { changes, mark: Box::new(next(&vm)) };
    execute(provider.as_ref(), &wanted, vec![operation]).await.1.unwrap();
    let detached = found(provider.as_ref(), &wanted).await;
    assert_eq!(config(&detached).disks.len(), 1);
    assert_eq!(marked(&detached).disks["data"].file.as_deref(), Some(&*file));
    assert_eq!(marked(&detached).disks["data"].slot, None);
    let changes = vec![Change::AttachDisk { name: "data".to_owned(), file: file.to_string(), id: None }];
    let operation = Operation::Reconfigure { changes, mark: Box::new(next(&detached)) };
    execute(provider.as_ref(), &wanted, vec![operation]).await.1.unwrap();
    let again = found(provider.as_ref(), &wanted).await;
    assert_eq!(config(&again).disks[1].file.as_deref(), Some(&*file));
    assert_eq!(marked(&again).disks["data"].slot.as_deref(), Some("scsi0:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_and_a_nic_are_removed_when_asked() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "remove-1").await;
    let mut mark = next(&vm);
    mark.disks.remove("data");
    mark.nics.remove("eth1");
    let changes = vec![Change::DeleteDisk(disk_at(&vm, "data")), Change::RemoveNic(nic_at(&vm, "eth1"))];
    let operation = Operation::Reconfigure { changes, mark: Box::new(mark) };
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![operation]).await;
    outcome.unwrap();
    assert!(kept.calls.lock().unwrap()[0].0.destroys);
    let after = found(provider.as_ref(), &wanted).await;
    assert_eq!((config(&after).disks.len(), config(&after).nics.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_disk_in_its_slot_stops_the_step() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "other-disk").await;
    let disk = DiskAt { id: Some("6000c290-0000".to_owned()), ..disk_at(&vm, "data") };
    let changes = vec![Change::GrowDisk { disk, size: Bytes::gib(9) }];
    let operation = Operation::Reconfigure { changes, mark: Box::new(next(&vm)) };
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![operation]).await;
    let Err(StepError::Provider(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(kept.names(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn power_name_and_mark_follow_and_are_done_once() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, _) = blank(&provider, "power-1").await;
    let polite = Operation::Stop(Shutdown { timeout_seconds: 1, force: false });
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![polite]).await;
    let Err(StepError::Provider(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.kind, kept.names().len()), (ErrorKind::GuestTimeout, 0));
    let name = VmName::new("power-1 renamed").unwrap();
    let all = vec![Operation::Stop(HARD), Operation::Rename(name), Operation::Unmark];
    let (kept, outcome) = execute(provider.as_ref(), &wanted, all.clone()).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["PowerOffVM_Task", "Rename_Task", "ReconfigVM_Task"]);
    let vm = found(provider.as_ref(), &wanted).await;
    assert_eq!((&*vm.name, config(&vm).power, &config(&vm).mark), ("power-1 renamed", PowerState::Stopped, &None));
    let (kept, outcome) = execute(provider.as_ref(), &wanted, all).await;
    outcome.unwrap();
    assert_eq!(kept.names(), [] as [&str; 0]);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Start, Operation::Start]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["PowerOnVM_Task"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_tools_is_asked_first() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "guest-1").await;
    let change = ["set", &vm.name, "SET.guest.toolsRunningStatus", "guestToolsRunning"];
    let Some(_) = python(&vcsim, "behind.py", &change) else { return };
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Stop(HARD)]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["ShutdownGuest"]);
    assert_eq!(config(&found(provider.as_ref(), &wanted).await).power, PowerState::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_exactly_the_named_disks_go_with_a_vm() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let (wanted, vm) = blank(&provider, "destroy-1").await;
    let (root, data) = (disk_at(&vm, "root"), disk_at(&vm, "data"));
    let all = Operation::Destroy { disks: vec![root.clone(), data] };
    let (_, outcome) = execute(provider.as_ref(), &wanted, vec![all.clone()]).await;
    assert!(outcome.unwrap_err().to_string().contains("not powered off"));
    let some = vec![Operation::Stop(HARD), Operation::Destroy { disks: vec![root] }];
    let (kept, outcome) = execute(provider.as_ref(), &wanted, some).await;
    assert!(outcome.unwrap_err().to_string().contains("scsi0:1 is attached and not ours to delete"));
    assert_eq!(kept.names(), ["PowerOffVM_Task"]);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![all.clone()]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), ["Destroy_Task"]);
    assert!(kept.calls.lock().unwrap()[0].0.destroys);
    assert_eq!(provider.find(&Target::OwnId(wanted.id())).await.unwrap(), Found::Nothing);
    let observed = provider.collect(&[wanted.known()]).await.unwrap();
    assert_eq!(observed.missing.get(&wanted.id()), Some(&Missing::NotFound));
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![all]).await;
    outcome.unwrap();
    assert_eq!(kept.names(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placement_that_is_not_there_stops_before_anything_is_made() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("nowhere");
    let strict = Placement { create_folders: false, ..cluster() };
    let no_store = Placement { storage: Some("none-such".to_owned()), ..cluster() };
    for (placement, why) in [(strict, "no VM folder `Prod/new`"), (no_store, "no datastore `none-such`")] {
        let order = wanted.create(placement, "DC0_DVPG0", None);
        let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(kept.names(), [] as [&str; 0]);
    }
}
