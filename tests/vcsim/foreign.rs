//! What is not ours stays as it is, to the last property; and what others did to ours is seen.

use tierwright::model::{Bytes, Placement, Shutdown};
use tierwright::plan::{Change, Operation};
use tierwright::provider::{Found, Target};

use crate::peer::Vcsim;
use crate::python::python;
use crate::recorder::{Wanted, execute};

/// The whole life of two VMs of ours.
async fn live(vcsim: &Vcsim) {
    let provider = vcsim.connect();
    let placement =
        Placement { cluster: Some("DC0_C0".to_owned()), storage: Some("LocalDS_0".to_owned()), ..Placement::default() };
    for (name, image) in [("ours-blank", None), ("ours-clone", Some("DC0_H0_VM1"))] {
        let wanted = Wanted::new(name);
        let create = wanted.create(placement.clone(), "DC0_DVPG0", image);
        execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(create))]).await.1.unwrap();
        provider.collect(&[]).await.unwrap();
        let Found::Vm(vm) = provider.find(&Target::OwnId(wanted.id())).await.unwrap() else { panic!("it is there") };
        let mark = tierwright::mark::parse(vm.readable().unwrap().mark.as_deref().unwrap()).unwrap();
        let disks = mark
            .disks
            .iter()
            .map(|(name, disk)| tierwright::plan::DiskAt {
                name: name.clone(),
                slot: disk.slot.clone().unwrap(),
                id: disk.id.clone(),
            })
            .collect();
        let mark = tierwright::mark::Mark { generation: 2, ..mark };
        let change = Operation::Reconfigure { changes: vec![Change::Memory(Bytes::gib(3))], mark: Box::new(mark) };
        let stop = Operation::Stop(Shutdown { timeout_seconds: 1, force: true });
        execute(provider.as_ref(), &wanted, vec![change, stop, Operation::Destroy { disks }]).await.1.unwrap();
    }
    provider.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unmanaged_vms_are_as_before_to_the_last_property() {
    let Some(vcsim) = Vcsim::start(&["-vms", "4"]) else { return };
    let Some(before) = python(&vcsim, "dump.py", &[]) else { return };
    live(&vcsim).await;
    let after = python(&vcsim, "dump.py", &[]).unwrap();
    assert!(before.contains("DC0_C0_RP0_VM3"));
    similar_asserts(&before, &after);
}

#[tokio::test(flavor = "multi_thread")]
async fn annotation_and_foreign_extra_configuration_of_our_vms_stay() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let wanted = Wanted::new("ours");
    let placement =
        Placement { cluster: Some("DC0_C0".to_owned()), storage: Some("LocalDS_0".to_owned()), ..Placement::default() };
    let create = wanted.create(placement, "DC0_DVPG0", None);
    execute(provider.as_ref(), &wanted, vec![Operation::Create(Box::new(create))]).await.1.unwrap();
    let Some(_) = python(&vcsim, "behind.py", &["annotate", "ours", "ask Anna first"]) else { return };
    python(&vcsim, "behind.py", &["set", "ours", "somebody.else", "theirs"]).unwrap();
    let Found::Vm(vm) = provider.find(&Target::OwnId(wanted.id())).await.unwrap() else { panic!("it is there") };
    let mark = tierwright::mark::parse(vm.readable().unwrap().mark.as_deref().unwrap()).unwrap();
    let mark = tierwright::mark::Mark { generation: 2, ..mark };
    let change = Operation::Reconfigure { changes: vec![Change::Memory(Bytes::gib(3))], mark: Box::new(mark) };
    execute(provider.as_ref(), &wanted, vec![change, Operation::Unmark]).await.1.unwrap();
    let dump = python(&vcsim, "dump.py", &[]).unwrap();
    assert!(dump.contains("ask Anna first") && dump.contains("theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_our_back_is_seen_by_the_next_inventory() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let provider = vcsim.connect();
    let memory = |observed: &tierwright::inventory::Observed| {
        observed.vms.iter().find(|vm| &*vm.name == "DC0_H0_VM0").unwrap().readable().unwrap().memory
    };
    let before = provider.collect(&[]).await.unwrap();
    let Some(_) = python(&vcsim, "behind.py", &["memory", "DC0_H0_VM0", "256"]) else { return };
    let after = provider.collect(&[]).await.unwrap();
    assert_eq!((memory(&before), memory(&after)), (Bytes::mib(32), Bytes::mib(256)));
}

/// Shows the lines that differ, not two dumps.
fn similar_asserts(before: &str, after: &str) {
    let diff = similar::TextDiff::from_lines(before, after);
    let changes = diff.unified_diff().context_radius(3).to_string();
    assert!(changes.is_empty(), "{changes}");
}
