//! From create to retire, restore and delete; dependencies and order.

use super::{changes, last_mark, words};
use crate::inventory::Observed;
use crate::mark::{MarkedDisk, Pending, Retired};
use crate::model::{AllowReboot, PowerState, VmName};
use crate::plan::sample::{World, disk, key, remark, spec};
use crate::plan::{Action, BlockCode, Change, Landing, Operation, Plan, Precondition};

#[test]
fn a_create_carries_identity_mark_and_place() {
    let mut world = World::fleet(0);
    world.want(spec("app/new"));
    let plan = world.plan();
    let step = plan.step_of("app/new");
    let Operation::Create(create) = &step.operations[0] else { panic!() };
    assert_eq!(create.mark.own_id.as_ref().unwrap().as_str(), create.identity.to_string());
    assert_eq!((create.start, create.image_disks, create.mark.generation), (true, 1, 1));
    assert!(matches!(step.preconditions, Precondition::Absent { .. }));
    assert_eq!(
        (plan.cost[0].before.to_string(), plan.cost[0].after.to_string().as_str()),
        ("0.00".to_owned(), "46.80")
    );
}

#[test]
fn where_the_own_id_comes_later_the_new_mark_has_none() {
    let mut world = World::fleet(0);
    world.want(spec("app/new"));
    world.seen().capabilities.own_id_is_identity = false;
    let plan = world.plan();
    let Operation::Create(create) = &plan.step_of("app/new").operations[0] else { panic!() };
    assert_eq!(create.mark.own_id, None);
}

#[test]
fn dependencies_come_first_and_destroys_last() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let mut web = spec("app/a-web");
    web.disks.push(crate::plan::sample::disk("data", 1));
    web.depends_on.insert(key("app/z-db"));
    let mut db = spec("app/z-db");
    db.disks.push(crate::plan::sample::disk("data", 1));
    world.want(web);
    world.want(db);
    let plan = world.plan();
    let names: Vec<_> = plan.actions().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["z-db", "a-web", "vm-00"]);
    assert_eq!(plan.step_of("app/a-web").depends_on, [key("app/z-db")]);
}

#[test]
fn what_depends_on_a_blocked_create_is_not_created_however_far_down() {
    let mut world = World::fleet(0);
    let mut first = spec("app/c");
    first.memory = crate::model::Bytes::gib(999);
    let mut second = spec("app/b");
    second.depends_on.insert(key("app/c"));
    let mut third = spec("app/a");
    third.depends_on.insert(key("app/b"));
    for spec in [first, second, third] {
        world.want(spec);
    }
    let plan = world.plan();
    assert_eq!(
        plan.codes(),
        [
            ("a".to_owned(), BlockCode::Dependency),
            ("b".to_owned(), BlockCode::Dependency),
            ("c".to_owned(), BlockCode::NoRoom)
        ]
    );
}

#[test]
fn an_update_does_not_wait_for_a_dependency_that_is_there_and_merely_not_updated() {
    let mut world = World::fleet(2);
    world.spec("app/vm-00").cpus = 4;
    world.spec("app/vm-01").depends_on.insert(key("app/vm-00"));
    world.spec("app/vm-01").cpus = 4;
    world.spec("app/vm-01").allow_reboot = AllowReboot::Always;
    let plan = world.plan();
    assert_eq!(plan.blocked_of("app/vm-00").code, BlockCode::RebootNotAllowed);
    assert_eq!(plan.step_of("app/vm-01").action, Action::Update);
}

#[test]
fn a_retire_writes_its_intent_first_and_can_be_undone() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(words(step), ["mark pending", "stop", "change pending", "rename", "mark"]);
    assert_eq!(step.lands, Landing::PowerOff);
    let mark = last_mark(step);
    let retired = mark.retired.clone().unwrap();
    assert_eq!((retired.running, retired.connected.len(), retired.name.as_str()), (true, 1, "vm-00"));

    remark(world.vm("vm-00"), |old| *old = mark);
    world.config("vm-00").power = PowerState::Stopped;
    world.config("vm-00").nics[0].connected = false;
    world.vm("vm-00").name = "vm-00.retired-20260302".into();
    world.want(spec("app/vm-00"));
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, words(step)), (Action::Restore, vec!["change pending", "rename", "start", "mark"]));
    assert!(matches!(&changes(step)[..], [Change::ConnectNic { connected: true, .. }]));
    assert_eq!(last_mark(step).retired, None);
}

#[test]
fn a_retire_cut_short_goes_on_and_remembers_the_power_of_before() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let first = world.plan().step_of("app/vm-00").operations[0].clone();
    let Operation::Reconfigure { mark, .. } = first else { panic!() };
    remark(world.vm("vm-00"), |old| *old = *mark);
    world.config("vm-00").power = PowerState::Stopped;
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, words(step)), (Action::Retire, vec!["change pending", "rename", "mark"]));
    assert!(last_mark(step).retired.unwrap().running);
}

#[test]
fn a_long_name_is_cut_to_make_room_for_what_says_retired() {
    let long = format!("app/{}", "n".repeat(80));
    let mut world = World::of(&[spec(&long)]);
    world.unwant(&long);
    let plan = world.plan();
    let name = plan.steps[0].operations.iter().find_map(|operation| match operation {
        Operation::Rename(name) => Some(name.as_str().to_owned()),
        _ => None,
    });
    let name = name.unwrap();
    assert!(name.ends_with("n.retired-20260302") && name.len() == 80, "{name}");
}

#[test]
fn the_name_of_a_retired_vm_is_one_that_is_free() {
    let mut world = World::fleet(2);
    world.unwant("app/vm-00");
    world.vm("vm-01").name = "vm-00.retired-20260302".into();
    let plan = world.plan();
    let operations = &plan.step_of("app/vm-00").operations;
    assert!(
        operations.contains(&Operation::Rename(VmName::new("vm-00.retired-20260302-2").unwrap())),
        "{operations:#?}"
    );
}

fn retired(world: &mut World, pending: Option<Pending>) {
    let since = world.now;
    remark(world.vm("vm-00"), |mark| {
        mark.pending = pending;
        mark.retired = Some(Retired {
            since,
            name: VmName::new("vm-00").unwrap(),
            running: true,
            connected: vec![],
            approved: false,
        });
    });
    world.config("vm-00").power = PowerState::Stopped;
}

#[test]
fn a_vm_whose_delete_took_its_disks_is_not_started_without_them_and_a_person_is_told_what_to_do() {
    let mut with_data = spec("app/vm-00");
    with_data.disks.push(disk("data", 5));
    let mut world = World::of(&[with_data]);
    retired(&mut world, None);
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Restore);
    let data = world.config("vm-00").disks.pop().unwrap();
    let told = |plan: Plan| {
        let blocked = plan.blocked_of("app/vm-00");
        assert_eq!((blocked.action, blocked.code), (Action::Restore, BlockCode::DiskUnsafe));
        assert!(blocked.why.contains("take it out of Git until its delete is done"), "{}", blocked.why);
        blocked.why.clone()
    };
    assert!(told(world.plan()).contains("disk data is gone or detached"));
    // Where a file goes after its disk was taken off, the mark says that it is on its way.
    let taken_off = |deleting| {
        move |mark: &mut crate::mark::Mark| {
            let marked = mark.disks.get_mut("data").unwrap();
            *marked = MarkedDisk { slot: None, id: marked.id.clone(), file: Some("data.vhdx".into()), deleting };
        }
    };
    remark(world.vm("vm-00"), taken_off(true));
    assert!(told(world.plan()).contains("its file was data.vhdx"));
    // Attached by hand again, or not wanted any more, it stands in the way of nothing; nor does one that was kept.
    world.config("vm-00").disks.push(data);
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Restore);
    world.config("vm-00").disks.truncate(1);
    world.spec("app/vm-00").disks.truncate(1);
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Restore);
    world.spec("app/vm-00").disks.push(disk("data", 5));
    remark(world.vm("vm-00"), taken_off(false));
    assert_eq!(world.plan().step_of("app/vm-00").action, Action::Restore);
}

#[test]
fn a_retired_vm_is_kept_for_its_grace_days_to_the_hour() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    retired(&mut world, None);
    world.pass(7 * 24 - 1);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::InGrace);
    world.pass(1);
    assert_eq!(words(world.plan().step_of("app/vm-00")), ["destroy"]);
}

#[test]
fn without_grace_days_one_delete_includes_the_retire_and_survives_a_kill() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    remark(world.vm("vm-00"), |mark| mark.protection.grace_days = 0);
    assert_eq!(words(world.plan().step_of("app/vm-00")), ["mark pending", "stop", "destroy"]);
    retired(&mut world, Some(Pending::Retire));
    assert_eq!(words(world.plan().step_of("app/vm-00")), ["destroy"]);
}

#[test]
fn input_order_does_not_matter_and_equal_input_gives_equal_bytes() {
    let mut world = World::fleet(6);
    world.unwant("app/vm-03");
    world.want(spec("app/new"));
    let plan = serde_json::to_string(&world.plan()).unwrap();
    assert_eq!(serde_json::to_string(&world.plan()).unwrap(), plan);
    let Observed { vms, catalog, .. } = world.seen();
    vms.reverse();
    catalog.hosts.reverse();
    catalog.storage.reverse();
    assert_eq!(serde_json::to_string(&world.plan()).unwrap(), plan);
}

#[test]
fn free_space_and_generations_of_inventories_are_not_in_the_hash() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let before = world.plan().hash;
    world.seen().catalog.storage[0].free = crate::model::Bytes::gib(1);
    world.inventory.endpoints.values_mut().for_each(|answer| answer.generation += 1);
    assert_eq!(world.plan().hash, before);
    world.policy.limits.destroys_per_day = 1;
    assert_ne!(world.plan().hash, before, "the settings are");
}
