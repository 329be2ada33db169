//! Rule 5: caps.

use std::sync::Arc;

use crate::inventory::Missing;
use crate::model::{AllowReboot, Prune};
use crate::plan::sample::{World, applied, remark, spec, tier_name};
use crate::plan::{Action, BlockCode, Limits, memory};

/// Twenty VMs of which so many are removed, with these caps.
fn removing(number: usize, per_day: u32, percent: u32) -> World {
    let mut world = World::fleet(20);
    world.policy.limits =
        Limits { destroys_per_day: per_day, destroy_percent_per_tier_per_day: percent, ..Limits::default() };
    (0..number).for_each(|n| world.unwant(&format!("app/vm-{n:02}")));
    world
}

fn retires(world: &World) -> usize {
    world.plan().steps.iter().filter(|step| step.action == Action::Retire).count()
}

#[test]
fn as_many_as_the_cap_may_go() {
    assert_eq!(retires(&removing(4, 4, 100)), 4);
}

#[test]
fn one_more_than_the_cap_holds_all_of_them() {
    let world = removing(5, 4, 100);
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.codes().iter().filter(|(_, code)| *code == BlockCode::DestroyLimit).count(), 5);
    assert!(plan.blocked[0].why.contains("5 destroys") && plan.blocked[0].why.contains("destroysPerDay: 4"));
}

#[test]
fn the_window_slides_over_24_hours() {
    let mut world = removing(2, 4, 100);
    (0..3).for_each(|n| world.destroyed(n, 23));
    assert_eq!(retires(&world), 0);
    world.pass(1);
    assert_eq!(retires(&world), 2, "exactly 24 hours later they count no more");
}

#[test]
fn the_percentage_is_rounded_down_and_at_least_one() {
    assert_eq!(retires(&removing(1, 99, 1)), 1, "1 % of 20 is nothing, and one may go");
    assert_eq!(retires(&removing(2, 99, 1)), 0);
    assert_eq!(retires(&removing(2, 99, 14)), 2, "14 % of 20 is 2.8");
    assert_eq!(retires(&removing(3, 99, 14)), 0);
}

#[test]
fn a_hundred_percent_switches_the_percentage_off() {
    assert_eq!(retires(&removing(20, 99, 100)), 20);
}

#[test]
fn the_larger_of_the_tier_then_and_now_counts() {
    let mut world = removing(3, 99, 10);
    assert_eq!(retires(&world), 0, "10 % of 20 are two");
    world.history.owned_at_window_start.insert(tier_name("t1"), 30);
    assert_eq!(retires(&world), 3, "10 % of 30 are three");
}

#[test]
fn what_is_still_being_made_does_not_raise_a_tiers_limit() {
    let mut world = removing(2, 99, 10);
    assert_eq!(retires(&world), 2, "10 % of 20 are two");
    remark(world.vm("vm-19"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    assert_eq!(retires(&world), 0, "10 % of 19 are one");
}

#[test]
fn what_was_not_seen_whole_is_remembered_but_raises_no_limit() {
    let mut world = World::fleet(20);
    let counted = |world: &World| memory::owned_per_tier(world.history.last.values())[&tier_name("t1")];
    assert_eq!(counted(&world), 20);
    world.config("vm-19").mark = None;
    world.config("vm-18").mark = Some("tierwright: 1\n\tgarbled".into());
    remark(world.vm("vm-17"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    let lost = world.vanish("vm-16");
    world.read_missing(&lost, Missing::Unknown("busy".to_owned()));
    for _ in 0..2 {
        world.remember();
        assert_eq!(counted(&world), 16);
    }
    let known = world.history.last.values().flat_map(|last| last.vms.iter());
    assert_eq!(known.filter(|vm| vm.owned.is_some()).count(), 20);
    let back = applied(&spec("app/vm-19"), &world.desired.tiers[&tier_name("t1")]);
    *world.vm("vm-19") = back;
    world.remember();
    assert_eq!(counted(&world), 17);
}

#[test]
fn a_delete_after_its_retire_does_not_count_but_is_held_with_the_others() {
    let mut world = removing(1, 1, 100);
    let since = world.now;
    remark(world.vm("vm-00"), |mark| {
        mark.retired = Some(crate::mark::Retired {
            since,
            name: crate::model::VmName::new("vm-00").unwrap(),
            running: true,
            connected: vec![],
            approved: false,
        });
    });
    world.config("vm-00").power = crate::model::PowerState::Stopped;
    world.pass(8 * 24);
    world.unwant("app/vm-01");
    assert_eq!(world.plan().actions().len(), 2, "one delete that was counted then, one retire that counts now");
    world.unwant("app/vm-02");
    assert_eq!(world.plan().steps, [], "where too much goes at once, nothing goes");
}

#[test]
fn what_waits_for_approval_may_be_approved_in_part_but_not_past_the_cap() {
    let mut world = removing(5, 3, 100);
    (0..20).for_each(|n| remark(world.vm(&format!("vm-{n:02}")), |mark| mark.protection.prune = Prune::Confirm));
    world.desired.tiers.values_mut().for_each(|tier| tier.sync.prune = Prune::Confirm);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::DestroyLimit);
    world.approve("app/vm-00");
    world.approve("app/vm-01");
    assert_eq!(retires(&world), 2);
    assert_eq!(world.plan().approval, None, "no one digest covers what is too much at once");
    for key in ["app/vm-02", "app/vm-03"] {
        world.approve(key);
    }
    assert_eq!(retires(&world), 0, "four at once are too much, whoever approved them");
}

#[test]
fn one_edit_of_a_tier_cannot_reboot_a_fleet() {
    let mut world = World::fleet(4);
    world.policy.limits.disruptions_per_run = 3;
    for spec in world.desired.vms.values_mut().map(Arc::make_mut) {
        spec.cpus = 8;
        spec.allow_reboot = AllowReboot::Always;
    }
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == BlockCode::DisruptionLimit));
    world.approve("app/vm-00");
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Update)], "approved one by one they may");
    world.policy.limits.disruptions_per_run = 4;
    assert_eq!(world.plan().steps.len(), 4);
}

#[test]
fn what_the_run_has_disturbed_already_counts_with_what_it_would_disturb_now() {
    let mut world = World::fleet(2);
    world.policy.limits.disruptions_per_run = 3;
    for spec in world.desired.vms.values_mut().map(Arc::make_mut) {
        spec.cpus = 8;
        spec.allow_reboot = AllowReboot::Always;
    }
    let disturbed = |keys: &[&str]| keys.iter().map(|key| crate::plan::sample::key(key)).collect();
    world.history.disturbed = disturbed(&["app/elsewhere"]);
    assert_eq!(world.plan().steps.len(), 2);
    world.history.disturbed = disturbed(&["app/elsewhere", "app/vm-00"]);
    assert_eq!(world.plan().steps.len(), 2, "the same VM once more is one VM");
    world.history.disturbed = disturbed(&["app/elsewhere", "app/another"]);
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == BlockCode::DisruptionLimit));
}
