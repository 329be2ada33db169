//! What the conformance suite does not look at: which calls are made, and what only this server can be told to do.

use std::sync::Arc;

use tierwright::mark::{self, Mark};
use tierwright::model::{Bytes, NetworkTarget, ObservedVm, Placement, PowerState, Shutdown, VmConfig};
use tierwright::plan::{Change, DiskAt, DiskOrder, NicAt, NicOrder, Operation};
use tierwright::provider::{Found, Provider, Target};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_vm_takes_six_calls_with_its_folders() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("blank-1");
    let order = wanted.create(cluster(), "DC0_DVPG0", None);
    let (kept, outcome) = execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(order))]).await;
    outcome.unwrap();
    assert_eq!(
        kept.names(),
        ["CreateFolder", "CreateFolder", "CreateVM_Task", "ReconfigVM_Task", "PowerOnVM_Task", "ReconfigVM_Task"]
    );
    assert!(kept.all_settled());
    assert!(!format!("{kept:?}").contains("user-data-canary"));
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
