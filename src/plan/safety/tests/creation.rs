//! Rule 2: what a create needs to know.

use jiff::SignedDuration;

use crate::inventory::{Missing, View};
use crate::model::OwnId;
use crate::plan::sample::{self, World, applied, endpoint, identity, key, spec};
use crate::plan::{Action, BlockCode, EndpointState, OpenIntent, memory};

/// Two endpoints for the tier; `two` does not answer.
fn half_dark() -> World {
    let mut world = World::fleet(1);
    world.add_endpoint("two", vec![]);
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.push(endpoint("two")));
    world.remember();
    world.inventory.endpoints.get_mut(&endpoint("two")).unwrap().view = View::Unreachable("down".to_owned());
    world.want(spec("app/new"));
    world
}

fn set_state(world: &mut World, name: &str, state: EndpointState) {
    world.policy.endpoints.get_mut(&endpoint(name)).unwrap().state = state;
}

#[test]
fn a_create_waits_for_every_endpoint_of_its_tier() {
    let plan = half_dark().plan();
    assert_eq!(plan.blocked_of("app/new").code, BlockCode::EndpointUnknown);
    assert_eq!(plan.in_sync, 1, "what can be seen is looked at all the same");
}

#[test]
fn maintenance_excuses_an_endpoint_whose_last_inventory_lacked_the_key() {
    let mut world = half_dark();
    set_state(&mut world, "two", EndpointState::Maintenance);
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("vc"));
}

#[test]
fn maintenance_does_not_excuse_an_endpoint_that_nobody_ever_saw() {
    let mut world = half_dark();
    world.history.last.remove(&endpoint("two"));
    set_state(&mut world, "two", EndpointState::Maintenance);
    assert_eq!(world.plan().blocked_of("app/new").code, BlockCode::EndpointUnknown);
}

#[test]
fn maintenance_does_not_excuse_an_endpoint_with_an_open_intent() {
    let mut world = half_dark();
    set_state(&mut world, "two", EndpointState::Maintenance);
    world.history.open_intents.push(intent(&world, "two", 1));
    assert_ne!(world.plan().blocked_of("app/new").why, "");
}

#[test]
fn a_retired_endpoint_is_excused_always_and_takes_no_new_vms() {
    let mut world = half_dark();
    world.history.last.remove(&endpoint("two"));
    set_state(&mut world, "two", EndpointState::Retired);
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("vc"));
}

#[test]
fn an_empty_memory_waits_for_all_endpoints_of_the_settings() {
    let mut world = half_dark();
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.truncate(1));
    assert_eq!(
        world.plan().step_of("app/new").action,
        Action::Create,
        "with a memory the other tier's endpoint is no matter"
    );
    world.history.last.clear();
    assert_eq!(world.plan().blocked_of("app/new").code, BlockCode::EndpointUnknown);
}

#[test]
fn a_memory_that_began_empty_waits_until_each_endpoint_has_answered_once() {
    let mut world = half_dark();
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.truncate(1));
    world.history.partial = true;
    assert_eq!(world.plan().step_of("app/new").action, Action::Create, "what was seen once is remembered");
    world.history.last.remove(&endpoint("two"));
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/new").code, BlockCode::EndpointUnknown, "it may be on the one that never answered");
    set_state(&mut world, "two", EndpointState::Retired);
    assert_eq!(world.plan().step_of("app/new").action, Action::Create);
}

fn intent(world: &World, at: &str, hours_ago: i64) -> OpenIntent {
    OpenIntent {
        endpoint: endpoint(at),
        key: key("app/new"),
        identity: identity(&spec("app/new")),
        call: "CloneVM_Task".to_owned(),
        at: world.now - SignedDuration::from_hours(hours_ago),
    }
}

#[test]
fn an_open_intent_is_settled_only_by_a_later_inventory() {
    let mut world = World::fleet(1);
    world.want(spec("app/new"));
    world.history.open_intents.push(intent(&world, "vc", -1));
    assert_eq!(world.plan().blocked_of("app/new").code, BlockCode::VmUnknown);
    world.history.open_intents[0] = intent(&world, "vc", 1);
    assert_eq!(world.plan().step_of("app/new").action, Action::Create);
}

#[test]
fn what_an_open_intent_may_have_made_is_asked_for_by_its_id() {
    let mut world = World::fleet(1);
    let new = spec("app/new");
    world.want(new.clone());
    world.history.open_intents.push(intent(&world, "vc", 1));
    let id = OwnId::of_identity(identity(&new));
    let vc = endpoint("vc");
    let asked = |world: &World| {
        let known = memory::known(&vc, world.history.last.get(&vc), &world.history.open_intents);
        known.iter().filter(|known| known.id == id).count()
    };
    assert_eq!(asked(&world), 1);
    world.seen().missing.insert(id.clone(), Missing::Unknown("no permission".to_owned()));
    let plan = world.plan();
    let blocked = plan.blocked_of("app/new");
    assert_eq!(blocked.code, BlockCode::VmUnknown, "a twin would be made of it");
    assert!(blocked.why.ends_with("asked for by its id: no permission"), "{}", blocked.why);
    world.seen().missing.insert(id.clone(), Missing::NotFound);
    assert_eq!(world.plan().step_of("app/new").action, Action::Create);
    let before = world.seen();
    before.missing.clear();
    before.vms.push(applied(&new, &sample::tier("t1", &["vc"])));
    world.remember();
    assert_eq!(asked(&world), 1, "once it is known it is asked for as such, and once");
    world.history.open_intents[0].endpoint = endpoint("two");
    world.history.last.clear();
    assert_eq!(asked(&world), 0, "on another endpoint");
}

#[test]
fn what_may_be_being_made_on_one_endpoint_is_made_on_no_other() {
    let mut world = World::fleet(1);
    world.add_endpoint("two", vec![]);
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.push(endpoint("two")));
    world.remember();
    world.want(spec("app/new"));
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("two"), "there is more room");
    world.history.open_intents.push(intent(&world, "vc", 1));
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("vc"));
    world.desired.tiers.values_mut().for_each(|tier| drop(tier.endpoints.remove(0)));
    let blocked = world.plan();
    let blocked = blocked.blocked_of("app/new");
    assert_eq!(blocked.code, BlockCode::VmUnknown);
    assert!(blocked.why.contains("may be being made on vc"), "{}", blocked.why);
    world.history.open_intents[0] = intent(&world, "vc", 25);
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("two"));
}

#[test]
fn a_tier_whose_endpoint_is_not_configured_is_blocked_as_such() {
    let mut world = World::fleet(1);
    world.desired.tiers.values_mut().for_each(|tier| tier.endpoints.push(endpoint("later")));
    world.want(spec("app/new"));
    assert_eq!(world.plan().blocked_of("app/new").code, BlockCode::NotConfigured);
}

#[test]
fn a_new_vm_gets_an_identity_of_its_own_when_a_renamed_one_took_the_first_along() {
    let mut world = World::fleet(1);
    crate::plan::sample::remark(world.vm("vm-00"), |mark| mark.key = key("app/renamed"));
    world.vm("vm-00").name = "renamed".into();
    world.want(spec("app/renamed"));
    world.remember();
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(step.action, Action::Create);
    assert_eq!(step.identity, crate::mark::identity("prod", &key("app/vm-00"), 1));
}
