//! Updates: what lands how.

use std::sync::Arc;

use super::{changes, last_mark, words};
use crate::mark::Pending;
use crate::model::{AllowReboot, Bytes, PowerGoal, PowerState};
use crate::plan::sample::{World, disk, network, nic, remark, spec};
use crate::plan::{Action, Because, BlockCode, Change, Landing, Risk};

#[test]
fn a_fleet_as_applied_is_in_sync() {
    let plan = World::fleet(5).plan();
    assert_eq!((plan.steps.len(), plan.blocked.len(), plan.in_sync), (0, 0, 5));
}

#[test]
fn memory_without_hot_add_waits_for_allow_reboot_and_then_restarts_once() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").memory = Bytes::gib(8);
    let blocked = world.plan();
    let blocked = blocked.blocked_of("app/vm-00");
    assert_eq!(blocked.code, BlockCode::RebootNotAllowed);
    assert!(blocked.why.contains("memory (memory hot-add is off on this VM)"), "{}", blocked.why);
    world.spec("app/vm-00").allow_reboot = AllowReboot::Window;
    assert!(world.plan().blocked_of("app/vm-00").why.contains("window"));
    world.spec("app/vm-00").allow_reboot = AllowReboot::Always;
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(words(step), ["mark pending", "stop", "change pending", "start", "mark"]);
    assert_eq!((step.lands, step.risk, last_mark(step).generation), (Landing::Reboot, Risk::Medium, 8));
}

#[test]
fn memory_with_hot_add_is_hot_within_the_vms_own_limits() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").memory = Bytes::gib(8);
    world.config("vm-00").hot.add_memory = true;
    assert_eq!(world.plan().step_of("app/vm-00").lands, Landing::Hot);
    world.config("vm-00").hot.memory_limit = Some(Bytes::gib(7));
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::RebootNotAllowed);
    world.config("vm-00").hot.memory_limit = None;
    world.config("vm-00").hot.memory_increment = Some(Bytes::gib(3));
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::RebootNotAllowed);
}

#[test]
fn taking_away_is_never_hot() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").cpus = 1;
    (world.config("vm-00").hot.add_cpu, world.config("vm-00").hot.add_memory) = (true, true);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::RebootNotAllowed);
}

#[test]
fn a_stopped_vm_takes_everything_and_stays_stopped() {
    let mut world = World::fleet(1);
    world.config("vm-00").power = PowerState::Stopped;
    world.config("vm-00").hot = crate::model::Hot::default();
    (world.spec("app/vm-00").cpus, world.spec("app/vm-00").memory) = (1, Bytes::gib(2));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((words(step), step.lands), (vec!["change"], Landing::Hot));
}

#[test]
fn unknown_flags_count_as_needing_power_off() {
    let mut world = World::fleet(1);
    world.config("vm-00").hot = crate::model::Hot::default();
    world.spec("app/vm-00").disks[0].size = Bytes::gib(30);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::RebootNotAllowed);
}

#[test]
fn an_update_cut_short_at_any_operation_is_finished_by_the_next_plan() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").memory = Bytes::gib(8);
    world.spec("app/vm-00").allow_reboot = AllowReboot::Always;
    remark(world.vm("vm-00"), |mark| mark.pending = Some(Pending::Restart));
    let after = |world: &World| words(world.plan().step_of("app/vm-00"));
    assert_eq!(after(&world), ["stop", "change pending", "start", "mark"], "after the first mark");
    world.config("vm-00").power = PowerState::Stopped;
    assert_eq!(after(&world), ["change pending", "start", "mark"], "after the stop");
    world.config("vm-00").memory = Bytes::gib(8);
    remark(world.vm("vm-00"), |mark| mark.applied.as_mut().unwrap().memory = Bytes::gib(8));
    let plan = world.plan();
    assert_eq!((plan.step_of("app/vm-00").action, after(&world)), (Action::PowerOn, vec!["start", "mark"]));
    world.config("vm-00").power = PowerState::Running;
    assert_eq!(after(&world), ["mark"], "after the start");
}

#[test]
fn a_detach_that_was_cut_short_is_finished_and_a_disk_put_back_by_hand_is_left() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data]);
    // Where a hypervisor changes one thing at a time, the mark says "kept" first.
    remark(world.vm("vm-00"), |mark| {
        let data = mark.disks.get_mut("data").unwrap();
        data.file = data.id.clone().or(Some("data-file".to_owned()));
        data.slot = None;
    });
    world.want(spec("app/vm-00"));
    let plan = world.plan();
    assert!(matches!(&changes(plan.step_of("app/vm-00"))[..], [Change::DetachDisk(at)] if at.slot == "scsi0:1"));
    // Done, and the disk attached again by somebody.
    remark(world.vm("vm-00"), |mark| {
        mark.applied.as_mut().unwrap().disks.remove("data");
    });
    assert_eq!(world.plan().steps, []);
}

#[test]
fn disks_grow_are_added_detached_and_come_back() {
    let mut world = World::fleet(1);
    let mut wanted = spec("app/vm-00");
    wanted.disks = vec![disk("root", 30), disk("data", 5)];
    world.want(wanted);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert!(matches!(&changes(step)[..], [Change::GrowDisk { .. }, Change::AddDisk(order)] if order.name == "data"));
    assert_eq!(last_mark(step).disks["data"].slot, None, "the hypervisor chooses");

    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data.clone()]);
    world.want(spec("app/vm-00"));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert!(matches!(&changes(step)[..], [Change::DetachDisk(at)] if at.slot == "scsi0:1"));
    let mark = last_mark(step);
    assert_eq!(mark.disks["data"].file.as_deref(), Some("[flash] vm-00/data-1.vmdk"));

    remark(world.vm("vm-00"), |old| *old = mark);
    world.config("vm-00").disks.truncate(1);
    assert_eq!(world.plan().in_sync, 1, "a kept disk is no difference");
    world.want(with_data);
    assert!(
        matches!(&changes(world.plan().step_of("app/vm-00"))[..], [Change::AttachDisk { file, .. }] if file.ends_with("data-1.vmdk"))
    );
}

#[test]
fn a_disk_that_was_taken_off_to_be_deleted_is_deleted_and_one_that_was_to_be_kept_is_not() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data.clone()]);
    let mut without = spec("app/vm-00");
    without.delete_disks = true;
    world.want(without);
    // A run took the disk off and came no further: it still counts as applied.
    world.config("vm-00").disks.truncate(1);
    let taken_off = |deleting| {
        move |mark: &mut crate::mark::Mark| {
            mark.protection.delete_disks = true;
            let data = mark.disks.get_mut("data").unwrap();
            let (id, file) = (data.id.clone(), Some("[flash] vm-00/data-1.vmdk".to_owned()));
            *data = crate::mark::MarkedDisk { slot: None, id, file, deleting };
        }
    };
    remark(world.vm("vm-00"), taken_off(false));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(words(step), ["mark"]);
    assert!(last_mark(step).disks["data"].file.is_some(), "detached to be kept");

    remark(world.vm("vm-00"), taken_off(true));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert!(matches!(&changes(step)[..], [Change::DeleteDisk(at)] if at.name == "data" && at.slot.is_empty()));
    assert_eq!((step.reasons[0].because, step.risk), (Because::Unfinished, Risk::High));
    assert!(!last_mark(step).disks.contains_key("data"));
    world.config("vm-00").snapshots = true;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Snapshot);
    world.config("vm-00").snapshots = false;

    // The word was taken back meanwhile, by the manifest or by the mark.
    world.spec("app/vm-00").delete_disks = false;
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(changes(step), []);
    let kept = &last_mark(step).disks["data"];
    assert!(kept.file.is_some() && !kept.deleting);
    world.want(with_data);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert!(matches!(&changes(step)[..], [Change::AttachDisk { .. }]), "wanted again, and perhaps there still");
    assert!(!last_mark(step).disks["data"].deleting);
}

#[test]
fn disks_are_known_by_name_and_id_whatever_their_order_and_slot() {
    let mut two = spec("app/vm-00");
    two.disks.push(disk("data", 5));
    let mut world = World::of(&[two]);
    world.spec("app/vm-00").disks.reverse();
    assert_eq!(world.plan().in_sync, 1);
    world.config("vm-00").disks[1].slot = "scsi1:0".into();
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((words(step), step.reasons[0].because), (vec!["mark"], Because::Mark), "the new slot is recorded");
}

#[test]
fn an_incomplete_mark_is_completed_where_there_is_only_one_way() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| {
        *mark.disks.get_mut("root").unwrap() =
            crate::mark::MarkedDisk { slot: None, id: None, file: None, deleting: false };
        *mark.nics.get_mut("eth0").unwrap() = crate::mark::MarkedNic { mac: None, slot: None };
    });
    let plan = world.plan();
    let mark = last_mark(plan.step_of("app/vm-00"));
    assert_eq!(mark.disks["root"].slot.as_deref(), Some("scsi0:0"));
    assert!(mark.nics["eth0"].mac.is_some());
    let mut second = world.config("vm-00").disks[0].clone();
    second.slot = "scsi0:1".into();
    world.config("vm-00").disks.push(second);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DiskUnsafe, "two could be it");
}

#[test]
fn nics_are_added_removed_moved_connected_and_replaced() {
    let mut two = spec("app/vm-00");
    two.nics.push(nic("eth1", "db"));
    let mut world = World::of(&[two]);
    world.config("vm-00").nics[0].network = Some(network("PG-DB"));
    world.config("vm-00").nics[0].connected = false;
    let mut wanted = spec("app/vm-00");
    wanted.nics.push(nic("eth2", "db"));
    world.want(wanted);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert!(matches!(
        &changes(step)[..],
        [Change::MoveNic { .. }, Change::ConnectNic { connected: true, .. }, Change::AddNic(_), Change::RemoveNic(_)]
    ));
    assert_eq!(last_mark(step).nics.keys().collect::<Vec<_>>(), ["eth0", "eth2"]);

    let mut world = World::fleet(1);
    world.spec("app/vm-00").nics[0].mac = Some("00:50:56:00:00:99".to_owned());
    let plan = world.plan();
    assert!(matches!(&changes(plan.step_of("app/vm-00"))[..], [Change::RemoveNic(_), Change::AddNic(_)]));
}

#[test]
fn a_network_that_cannot_be_resolved_is_not_wrong() {
    let mut world = World::fleet(1);
    world.config("vm-00").nics[0].network = None;
    assert_eq!(world.plan().in_sync, 1);
    world.spec("app/vm-00").nics[0].network = "db".into();
    assert!(matches!(&changes(world.plan().step_of("app/vm-00"))[..], [Change::MoveNic { .. }]));
}

#[test]
fn power_is_kept_as_asked_and_left_alone_otherwise() {
    let mut world = World::fleet(1);
    world.config("vm-00").power = PowerState::Stopped;
    assert_eq!(world.plan().in_sync, 1, "nobody asked");
    world.spec("app/vm-00").power = Some(PowerGoal::Running);
    assert_eq!(words(world.plan().step_of("app/vm-00")), ["mark", "start"], "the goal is new and recorded");
    remark(world.vm("vm-00"), |mark| mark.applied.as_mut().unwrap().power = Some(PowerGoal::Running));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, words(step), step.reasons[0].because), (Action::PowerOn, vec!["start"], Because::Drifted));
    Arc::make_mut(&mut world.spec("app/vm-00").ignore_drift).insert("power".to_owned());
    assert_eq!(world.plan().in_sync, 1);
}

#[test]
fn power_stopped_needs_no_allow_reboot_and_takes_changes_with_it() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").power = Some(PowerGoal::Stopped);
    world.spec("app/vm-00").memory = Bytes::gib(2);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((words(step), step.lands), (vec!["stop", "change"], Landing::PowerOff));
}

#[test]
fn a_change_made_by_hand_to_what_git_wants_only_updates_the_mark() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").cpus = 4;
    world.config("vm-00").cpus = 4;
    let plan = world.plan();
    assert_eq!((words(plan.step_of("app/vm-00")), plan.steps[0].risk), (vec!["mark"], Risk::None));
}

#[test]
fn drift_and_change_are_told_apart() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        world.config(name).hot.add_cpu = true;
    }
    world.spec("app/vm-00").cpus = 4;
    world.config("vm-01").cpus = 1;
    let plan = world.plan();
    assert_eq!(plan.step_of("app/vm-00").reasons[0].because, Because::ManifestChanged);
    assert_eq!(plan.step_of("app/vm-01").reasons[0].because, Because::Drifted);
}

#[test]
fn fields_in_ignore_drift_count_at_creation_only() {
    let mut world = World::fleet(1);
    for path in ["memory", "nics/eth0", "disks/root/size"] {
        Arc::make_mut(&mut world.spec("app/vm-00").ignore_drift).insert(path.to_owned());
    }
    let config = world.config("vm-00");
    config.memory = Bytes::gib(1);
    config.nics[0].network = Some(network("PG-DB"));
    config.disks[0].size = Bytes::gib(99);
    assert_eq!(world.plan().in_sync, 1);
}

#[test]
fn a_name_changed_on_the_hypervisor_is_put_back() {
    let mut world = World::fleet(1);
    world.vm("vm-00").name = "renamed-by-hand".into();
    assert_eq!(words(world.plan().step_of("app/vm-00")), ["rename"]);
}

#[test]
fn a_vm_wanted_on_another_tier_is_not_moved_yet() {
    let mut world = World::fleet(1);
    world.add_endpoint("two", vec![]);
    let other = crate::plan::sample::tier("t2", &["two"]);
    world.desired.tiers.insert(other.name.clone(), other);
    world.spec("app/vm-00").tier = crate::plan::sample::tier_name("t2");
    let plan = world.plan();
    assert_eq!(
        (plan.blocked_of("app/vm-00").code, plan.blocked_of("app/vm-00").action),
        (BlockCode::NotBuilt, Action::Move)
    );
    world.policy.endpoints.get_mut(&crate::plan::sample::endpoint("two")).unwrap().hypervisor =
        crate::model::HypervisorType::Hyperv;
    assert_eq!(world.plan().blocked_of("app/vm-00").action, Action::Replace);
}

#[test]
fn what_counts_at_creation_only_is_noted_and_not_changed() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").image = Some("other".into());
    world.spec("app/vm-00").firmware = crate::model::Firmware::Bios;
    let plan = world.plan();
    assert_eq!((plan.in_sync, plan.notes.len()), (1, 2));
}

#[test]
fn growing_past_the_free_bytes_is_no_room() {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").disks[0].size = Bytes::gib(1000);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NoRoom);
}
