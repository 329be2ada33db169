//! Rules 6 and 7, and approvals: what waits for a person, and what a person's word lets go.

use crate::model::{OwnId, Prune};
use crate::plan::sample::{World, remark, spec};
use crate::plan::{Action, BlockCode, Operation};

fn confirming(number: usize) -> World {
    let mut world = World::fleet(number);
    for n in 0..number {
        remark(world.vm(&format!("vm-{n:02}")), |mark| mark.protection.prune = Prune::Confirm);
    }
    world.desired.tiers.values_mut().for_each(|tier| tier.sync.prune = Prune::Confirm);
    world.policy.limits.destroy_percent_per_tier_per_day = 100;
    world
}

#[test]
fn a_vanished_key_and_a_new_one_alike_are_perhaps_a_rename() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    world.want(spec("app/new"));
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == BlockCode::LooksLikeRename));
    world.approvals.insert(plan.approval.unwrap().to_string());
    assert_eq!(world.plan().actions(), [("new".to_owned(), Action::Create), ("vm-00".to_owned(), Action::Retire)]);
}

#[test]
fn a_vanished_key_waits_for_a_new_one_alike_that_cannot_be_made_yet() {
    let mut world = World::fleet(1);
    world.add_endpoint("second", Vec::new());
    let second = crate::plan::sample::endpoint("second");
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.push(second.clone()));
    let answer = world.inventory.endpoints.get_mut(&second).unwrap();
    answer.view = crate::inventory::View::Unreachable("its answer is awaited".into());
    world.unwant("app/vm-00");
    world.want(spec("app/new"));
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.blocked_of("app/new").code, BlockCode::EndpointUnknown);
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::LooksLikeRename);
}

#[test]
fn another_image_or_other_disks_are_no_rename() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let mut other = spec("app/new");
    other.disks.push(crate::plan::sample::disk("data", 1));
    world.want(other);
    assert_eq!(world.plan().steps.len(), 2);
}

#[test]
fn renamed_from_keeps_the_vm() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let mut renamed = spec("app/new");
    renamed.renamed_from = Some(crate::plan::sample::key("app/vm-00"));
    world.want(renamed);
    let plan = world.plan();
    assert_eq!(plan.actions(), [("new".to_owned(), Action::Rename)]);
    assert_eq!(plan.blocked, []);
    assert_eq!(plan.steps[0].own_id, Some(world.vm("vm-00").id.clone()));
}

#[test]
fn an_approval_is_for_the_vm_as_it_was_shown() {
    let mut world = confirming(2);
    world.unwant("app/vm-00");
    world.approve("app/vm-00");
    assert_eq!(world.plan().steps.len(), 1);
    world.pass(100);
    assert_eq!(world.plan().steps.len(), 1, "nothing that moves by itself is in it");
    world.config("vm-00").disks[0].size = crate::model::Bytes::gib(99);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsApproval);
}

#[test]
fn an_approval_of_one_vm_is_not_one_of_another() {
    let mut world = confirming(3);
    world.unwant("app/vm-00");
    world.approve("app/vm-00");
    world.unwant("app/vm-01");
    let plan = world.plan();
    assert_eq!(plan.actions(), [("vm-00".to_owned(), Action::Retire)]);
    assert_eq!(plan.blocked_of("app/vm-01").code, BlockCode::NeedsApproval);
}

#[test]
fn the_approval_of_all_is_void_once_more_waits() {
    let mut world = confirming(3);
    world.unwant("app/vm-00");
    world.approvals.insert(world.plan().approval.unwrap().to_string());
    world.unwant("app/vm-01");
    assert_eq!(world.plan().steps, []);
}

#[test]
fn an_approved_retire_says_so_in_the_mark_and_covers_its_delete() {
    let mut world = confirming(1);
    world.unwant("app/vm-00");
    world.approve("app/vm-00");
    let plan = world.plan();
    let Some(Operation::Reconfigure { mark, .. }) = plan.steps[0].operations.last() else { panic!("{plan:#?}") };
    assert!(mark.retired.as_ref().unwrap().approved);
    let mark = mark.clone();
    remark(world.vm("vm-00"), |old| *old = *mark);
    world.config("vm-00").power = crate::model::PowerState::Stopped;
    world.approvals.clear();
    world.pass(8 * 24);
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Delete)]);
}

#[test]
fn two_vms_with_one_mark_are_left_to_a_person() {
    let mut world = World::fleet(1);
    let twin = world.vm("vm-00").clone();
    world.add_endpoint("dr", vec![twin]);
    for wanted in [true, false] {
        if !wanted {
            world.unwant("app/vm-00");
        }
        let plan = world.plan();
        assert_eq!((plan.steps.len(), plan.codes()), (0, vec![("vm-00".to_owned(), BlockCode::NeedsHuman)]));
    }
}

#[test]
fn an_older_mark_is_left_to_a_person_and_accepting_it_goes_above_the_newest() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.generation = 3);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman);
    world.remember();
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman, "another look does not make it right");
    world.approve("app/vm-00");
    let plan = world.plan();
    let [Operation::Reconfigure { mark, changes }] = plan.step_of("app/vm-00").operations.as_slice() else { panic!() };
    assert_eq!((mark.generation, changes.len()), (6, 0));
}

#[test]
fn a_mark_removed_by_hand_leads_to_no_second_vm() {
    let mut world = World::fleet(1);
    world.config("vm-00").mark = None;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman);
    world.remember();
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman, "not even at the second look");
    world.history.last.clear();
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman, "nor with an empty memory");
    world.remember();
    world.approve("app/vm-00");
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Adopt);
}

#[test]
fn a_damaged_mark_is_nobodys_to_guess_about() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        world.config(name).mark = Some("{\"version\": 1, oops".to_owned());
    }
    world.unwant("app/vm-01");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == BlockCode::MarkUnreadable), "{:?}", plan.codes());
}

#[test]
fn an_unfinished_create_is_finished_where_it_was_begun() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    let plan = world.plan();
    let Operation::Create(create) = &plan.step_of("app/vm-00").operations[0] else { panic!("{plan:#?}") };
    assert_eq!(create.unfinished, Some(world.vm("vm-00").id.clone()));
}

#[test]
fn an_unfinished_create_that_nobody_wants_goes_only_by_approval() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    world.unwant("app/vm-00");
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::UnfinishedCreate);
    world.approve("app/vm-00");
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Delete)]);
}

#[test]
fn a_birth_name_counts_as_a_mark() {
    let mut world = World::fleet(1);
    let identity = crate::mark::identity("prod", &crate::plan::sample::key("app/new"), 0);
    let mut born = world.vm("vm-00").clone();
    (born.id, born.name) = (OwnId::new("born"), crate::mark::birth_name(identity).into());
    crate::plan::sample::config_mut(&mut born).mark = None;
    crate::plan::sample::config_mut(&mut born).nics.clear();
    world.seen().vms.push(born);
    world.want(spec("app/new"));
    let plan = world.plan();
    let Operation::Create(create) = &plan.step_of("app/new").operations[0] else { panic!("{plan:#?}") };
    assert_eq!(create.unfinished, Some(OwnId::new("born")));
}

#[test]
fn a_retired_vm_that_somebody_started_is_not_deleted_unasked() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let since = world.now;
    remark(world.vm("vm-00"), |mark| {
        mark.retired = Some(crate::mark::Retired {
            since,
            name: crate::model::VmName::new("vm-00").unwrap(),
            running: true,
            connected: vec![],
            approved: true,
        });
    });
    world.pass(8 * 24);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::NeedsHuman);
    world.approve("app/vm-00");
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Delete)]);
}

#[test]
fn an_unfinished_create_that_is_suspended_is_left_alone() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    world.config("vm-00").power = crate::model::PowerState::Suspended;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Suspended);
}

#[test]
fn an_unfinished_create_whose_manifest_asks_for_other_disks_waits_for_a_person() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.pending = Some(crate::mark::Pending::Create));
    world.spec("app/vm-00").disks.push(crate::plan::sample::disk("data", 5));
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::UnfinishedCreate);
    assert!(plan.blocked_of("app/vm-00").why.contains("other disks"), "{:?}", plan.blocked);
    world.approve("app/vm-00");
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Delete)]);
}

#[test]
fn vms_of_one_id_are_told_in_one_order() {
    let mut world = World::fleet(1);
    let mut replica = world.vm("vm-00").clone();
    replica.name = "vm-00-replica".into();
    world.seen().vms.push(replica);
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::NeedsHuman);
    world.seen().vms.reverse();
    assert_eq!(plan, world.plan());
    for vm in &mut world.seen().vms {
        crate::plan::sample::config_mut(vm).mark = Some("{".to_owned());
    }
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::MarkUnreadable);
    world.seen().vms.reverse();
    assert_eq!(plan, world.plan(), "stripped of their mark, too");
}
