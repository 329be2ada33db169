//! Rule 1: not listed is not gone.

use crate::inventory::{Missing, View};
use crate::model::Config;
use crate::plan::sample::{World, applied, endpoint, spec, tier};
use crate::plan::{Action, BlockCode};

fn unreachable(world: &mut World, why: &str) {
    world.inventory.endpoints.get_mut(&endpoint("vc")).unwrap().view = View::Unreachable(why.to_owned());
}

#[test]
fn an_unreachable_endpoint_blocks_everything_last_seen_there() {
    let mut world = World::fleet(3);
    world.unwant("app/vm-00");
    world.want(spec("app/new"));
    unreachable(&mut world, "connection refused");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.codes().iter().filter(|(_, code)| *code == BlockCode::EndpointUnknown).count(), 4);
    assert!(plan.blocked_of("app/new").why.contains("connection refused"));
    assert_eq!(plan.blocked_of("app/vm-00").action, Action::Retire);
}

#[test]
fn an_endpoint_that_was_not_asked_is_unreachable() {
    let mut world = World::fleet(1);
    world.inventory.endpoints.clear();
    assert_eq!(world.plan().codes(), [("vm-00".to_owned(), BlockCode::EndpointUnknown)]);
}

#[test]
fn a_truncated_answer_neither_creates_nor_destroys() {
    let mut world = World::fleet(3);
    world.vanish("vm-00");
    world.unwant("app/vm-01");
    world.seen().incomplete = Some("page 2 is missing".to_owned());
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::EndpointUnknown);
    assert_eq!(plan.blocked_of("app/vm-01").code, BlockCode::EndpointUnknown, "listed, and yet nothing is destroyed");
    assert_eq!(plan.in_sync, 1);
}

#[test]
fn an_endpoint_without_hosts_is_not_believed() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    world.seen().catalog.hosts.clear();
    assert!(world.plan().blocked_of("app/vm-00").why.contains("does not list its own hosts"));
}

#[test]
fn a_vm_missing_from_a_whole_answer_is_unknown_until_it_was_read() {
    let mut world = World::fleet(2);
    world.vanish("vm-00");
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
}

#[test]
fn a_vm_is_gone_only_after_two_reads_in_a_row() {
    let mut world = World::fleet(2);
    let vm = world.vanish("vm-00");
    world.read_missing(&vm, Missing::NotFound);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown, "once is not enough");
    world.remember();
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Create);
}

#[test]
fn no_permission_is_not_not_found() {
    let mut world = World::fleet(2);
    let vm = world.vanish("vm-00");
    world.read_missing(&vm, Missing::Unknown("no permission".to_owned()));
    for _ in 0..3 {
        world.remember();
        assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
    }
}

#[test]
fn a_read_that_could_not_tell_starts_the_count_anew() {
    let mut world = World::fleet(2);
    let vm = world.vanish("vm-00");
    for answer in [Missing::NotFound, Missing::Unknown("busy".to_owned()), Missing::NotFound] {
        world.read_missing(&vm, answer);
        assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
        world.remember();
    }
}

#[test]
fn an_unreadable_configuration_is_neither_changed_nor_replaced_nor_destroyed() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        world.vm(name).config = Config::Unreadable("being created".to_owned());
    }
    world.unwant("app/vm-01");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.codes(), [("vm-00".to_owned(), BlockCode::VmUnknown), ("vm-01".to_owned(), BlockCode::VmUnknown)]);
}

#[test]
fn losing_a_fifth_and_more_than_five_is_not_believed_until_approved() {
    let mut world = World::fleet(20);
    for n in 0..6 {
        let vm = world.vanish(&format!("vm-{n:02}"));
        world.read_missing(&vm, Missing::NotFound);
    }
    world.unwant("app/vm-19");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::InventoryShrunk);
    assert_eq!(plan.blocked_of("app/vm-19").code, BlockCode::InventoryShrunk, "it is listed, and still nothing goes");
    world.approve("app/vm-00");
    let plan = world.plan();
    assert_eq!(
        plan.blocked_of("app/vm-00").code,
        BlockCode::VmUnknown,
        "the loss is real; each VM is still read twice"
    );
    assert_eq!(plan.step_of("app/vm-19").action, Action::Retire);
}

#[test]
fn losing_five_is_an_ordinary_day() {
    let mut world = World::fleet(20);
    for n in 0..5 {
        world.vanish(&format!("vm-{n:02}"));
    }
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
}

#[test]
fn a_vm_seen_in_two_places_where_one_cannot_be_seen_is_left_alone() {
    let mut world = World::fleet(1);
    let there = world.vm("vm-00").clone();
    unreachable(&mut world, "down");
    world.add_endpoint("dr", vec![there]);
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.push(endpoint("dr")));
    world.spec("app/vm-00").cpus = 4;
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::EndpointUnknown, "perhaps a replica");
}

#[test]
fn an_endpoint_that_left_the_settings_is_not_gone_but_a_retired_one_is() {
    let mut world = World::fleet(1);
    let mut tiers = std::mem::take(&mut world.desired.tiers);
    for tier in tiers.values_mut() {
        tier.endpoints = vec![endpoint("two")];
    }
    world.desired.tiers = tiers;
    world.add_endpoint("two", vec![]);
    let old = world.policy.endpoints.remove(&endpoint("vc")).unwrap();
    world.inventory.endpoints.remove(&endpoint("vc"));
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::EndpointUnknown);
    let retired = crate::plan::EndpointPolicy { state: crate::plan::EndpointState::Retired, ..old };
    world.policy.endpoints.insert(endpoint("vc"), retired);
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Create);
}

#[test]
fn a_vm_that_answers_again_is_simply_there() {
    let mut world = World::fleet(1);
    let vm = applied(&spec("app/vm-00"), &tier("t1", &["vc"]));
    world.vanish("vm-00");
    world.read_missing(&vm, Missing::NotFound);
    world.remember();
    world.seen().missing.clear();
    world.seen().vms.push(vm);
    assert_eq!(world.plan().in_sync, 1);
}

/// The record of a delete is made before its call, which may be refused or lost: it permits nothing by itself.
#[test]
fn what_we_deleted_is_gone_only_once_it_is_not_found() {
    let mut world = World::fleet(1);
    world.destroyed(0, 1);
    let vm = world.vanish("vm-00");
    world.history.destroys[0].own_id = vm.id.clone();
    world.history.destroys[0].deleted = true;
    world.read_missing(&vm, Missing::Unknown("it is there, and the listing left it out".to_owned()));
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
    world.read_missing(&vm, Missing::NotFound);
    assert_eq!(world.plan().actions(), [("vm-00".to_owned(), Action::Create)], "once is enough after our delete");
}
