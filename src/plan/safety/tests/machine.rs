//! What a VM's own state forbids.

use crate::model::{AllowReboot, GuestAgent, ObservedVm, PowerState};
use crate::plan::sample::{World, disk, endpoint, remark, spec};
use crate::plan::{Action, BlockCode, Change, Landing, Manage, Operation};

#[test]
fn suspended_vms_are_never_changed() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        world.config(name).power = PowerState::Suspended;
    }
    world.spec("app/vm-00").memory = crate::model::Bytes::gib(8);
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::Suspended);
    assert_eq!(plan.in_sync, 1, "nothing is wanted of the other");
}

#[test]
fn a_question_of_the_hypervisor_is_shown_and_blocks() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        world.config(name).question = Some("moved or copied?".to_owned());
    }
    world.spec("app/vm-00").cpus = 4;
    let plan = world.plan();
    assert!(plan.blocked_of("app/vm-00").why.contains("moved or copied?"));
    assert!(plan.notes.iter().any(|note| note.text.contains("moved or copied?")), "also where nothing is to be done");
}

#[test]
fn an_observed_endpoint_is_only_observed() {
    let mut world = World::fleet(2);
    world.policy.endpoints.get_mut(&endpoint("vc")).unwrap().manage = Manage::Observe;
    world.unwant("app/vm-00");
    world.spec("app/vm-01").cpus = 4;
    world.want(spec("app/new"));
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == BlockCode::ObserveOnly), "{:?}", plan.codes());
}

#[test]
fn a_disk_never_shrinks() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").disks[0].size = crate::model::Bytes::gib(10);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DiskUnsafe);
}

#[test]
fn a_snapshot_blocks_grow_and_detach_but_not_memory() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data.clone()]);
    world.config("vm-00").snapshots = true;
    world.spec("app/vm-00").disks[0].size = crate::model::Bytes::gib(30);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot);
    world.want(spec("app/vm-00"));
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot, "a detach");
    world.want(with_data);
    world.spec("app/vm-00").memory = crate::model::Bytes::gib(8);
    world.spec("app/vm-00").allow_reboot = AllowReboot::Always;
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Update);
}

/// A create that was cut short while its boot disk was still as the image's, and running.
fn cut_short() -> World {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| {
        mark.pending = Some(crate::mark::Pending::Create);
        mark.disks.values_mut().for_each(|disk| disk.slot = None);
    });
    world.config("vm-00").disks[0].size = crate::model::Bytes::gib(10);
    world
}

#[test]
fn a_snapshot_of_an_unfinished_create_blocks_what_must_still_grow() {
    let mut world = cut_short();
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Create);
    world.config("vm-00").snapshots = true;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot);
    world.config("vm-00").disks[0].size = crate::model::Bytes::gib(20);
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Create, "nothing has to grow");
}

#[test]
fn an_unfinished_create_that_somebody_started_is_not_sized_while_it_runs() {
    let mut world = cut_short();
    world.config("vm-00").cpus = 4;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::UnfinishedCreate);
    world.config("vm-00").power = PowerState::Stopped;
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Create);
}

#[test]
fn an_unfinished_create_that_runs_is_stopped_openly_when_it_is_removed() {
    let mut world = cut_short();
    world.unwant("app/vm-00");
    let digest = world.plan().blocked_of("app/vm-00").digest.clone().expect("it waits for a person");
    world.approvals.insert(digest.short().to_owned());
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, step.lands), (Action::Delete, Landing::PowerOff));
    assert!(step.reasons.iter().any(|reason| reason.field == "power" && reason.lands == Landing::PowerOff));
    world.config("vm-00").guest_agent = GuestAgent::NotRunning;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NoGuestTools);
    world.config("vm-00").power = PowerState::Stopped;
    world.config("vm-00").snapshots = true;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot);
}

#[test]
fn a_name_that_cannot_be_resolved_blocks_all_disk_steps() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data]);
    world.config("vm-00").disks[1].id = Some("somebody else's".into());
    world.spec("app/vm-00").disks[0].size = crate::model::Bytes::gib(30);
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.blocked_of("app/vm-00").code), (0, BlockCode::DiskUnsafe));
}

/// A VM that is due for its delete.
fn due() -> World {
    let mut world = World::fleet(2);
    world.unwant("app/vm-00");
    remark(world.vm("vm-00"), |mark| mark.protection.grace_days = 0);
    world
}

#[test]
fn a_delete_takes_the_mapped_disks_and_says_which() {
    let plan = due().plan();
    let Some(Operation::Destroy { disks }) = plan.step_of("app/vm-00").operations.last() else { panic!("{plan:#?}") };
    assert_eq!(disks.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["root"]);
}

#[test]
fn an_attached_disk_that_the_mark_does_not_name_blocks_the_delete() {
    let mut world = due();
    let mut foreign = world.config("vm-00").disks[0].clone();
    (foreign.slot, foreign.id) = ("scsi0:7".into(), Some("foreign".into()));
    world.config("vm-00").disks.push(foreign);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DiskUnsafe);
}

#[test]
fn a_shared_disk_blocks_the_delete() {
    let mut world = due();
    world.config("vm-00").disks[0].shared = true;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DiskUnsafe);
}

#[test]
fn a_file_that_another_disk_has_as_parent_is_never_deleted() {
    let mut world = due();
    world.config("vm-01").disks[0].parent = world.config("vm-00").disks[0].file.clone();
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DiskUnsafe);
}

#[test]
fn a_snapshot_blocks_the_delete() {
    let mut world = due();
    world.config("vm-00").snapshots = true;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot);
}

#[test]
fn a_disk_is_deleted_only_when_mark_and_manifest_both_say_so() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data]);
    let mut without = spec("app/vm-00");
    without.delete_disks = true;
    world.want(without);
    assert!(matches!(changes(&world)[..], [Change::DetachDisk(_)]), "deleteDisks came with this very change");
    remark(world.vm("vm-00"), |mark| mark.protection.delete_disks = true);
    assert!(matches!(changes(&world)[..], [Change::DeleteDisk(_)]));
    world.source = crate::plan::SourceTrust::Unsettled;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::SourceNotTrusted);
}

#[test]
fn a_disk_that_its_removal_took_off_goes_with_the_vm_and_a_kept_one_stays() {
    let mut world = due();
    let taken_off = |deleting| {
        let file = Some("[flash] vm-00/x.vmdk".to_owned());
        crate::mark::MarkedDisk { slot: None, id: Some("x".to_owned()), file, deleting }
    };
    remark(world.vm("vm-00"), |mark| {
        mark.disks.insert("gone".to_owned(), taken_off(true));
        mark.disks.insert("kept".to_owned(), taken_off(false));
    });
    let plan = world.plan();
    let destroy = plan.step_of("app/vm-00").operations.last().cloned();
    let Some(Operation::Destroy { disks }) = destroy else { panic!("{destroy:?}") };
    let named: Vec<(&str, &str)> = disks.iter().map(|at| (at.name.as_str(), at.slot.as_str())).collect();
    assert_eq!(named, [("root", "scsi0:0"), ("gone", "")]);
}

fn changes(world: &World) -> Vec<Change> {
    let plan = world.plan();
    let operations = &plan.step_of("app/vm-00").operations;
    let changes = operations.iter().filter_map(|operation| match operation {
        Operation::Reconfigure { changes, .. } => Some(changes.clone()),
        _ => None,
    });
    changes.flatten().collect()
}

#[test]
fn names_and_macs_that_are_taken_there_block_a_create() {
    let mut world = World::fleet(1);
    let mut foreign: ObservedVm = world.vm("vm-00").clone();
    foreign.id = crate::model::OwnId::new("foreign");
    foreign.name = "NEW".into();
    crate::plan::sample::config_mut(&mut foreign).mark = None;
    let mac = crate::plan::sample::config_mut(&mut foreign).nics[0].mac.to_string();
    world.seen().vms.push(foreign);
    world.want(spec("app/new"));
    assert_eq!(world.plan().blocked_of("app/new").code, BlockCode::NameTaken, "whatever the case of its letters");
    world.unwant("app/new");
    let mut other = spec("app/other");
    other.nics[0].mac = Some(mac.to_uppercase());
    world.want(other);
    assert_eq!(world.plan().blocked_of("app/other").code, BlockCode::MacTaken);
}
