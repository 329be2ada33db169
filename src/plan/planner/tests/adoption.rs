//! Taking VMs over.

use super::{last_mark, words};
use crate::model::{Adopt, OwnId};
use crate::plan::sample::{World, bare, disk, endpoint, key, nic, remark, spec};
use crate::plan::{Action, BlockCode, Precondition};

/// An unmanaged VM `legacy` with two disks and one NIC, and a manifest that adopts it.
fn legacy() -> World {
    let mut wanted = spec("app/legacy");
    wanted.disks.push(disk("data", 5));
    wanted.adopt = Some(Adopt { endpoint: endpoint("vc"), id: OwnId::new("legacy-1") });
    let mut world = World::fleet(0);
    let tier = world.desired.tiers.values().next().unwrap().clone();
    world.seen().vms.push(bare("legacy-1", "legacy", &wanted, &tier));
    world.remember();
    world.want(wanted);
    world
}

#[test]
fn adopting_writes_the_mark_only_and_maps_in_slot_order() {
    let mut world = legacy();
    world.spec("app/legacy").cpus = 16;
    let plan = world.plan();
    let step = plan.step_of("app/legacy");
    assert_eq!((step.action, words(step)), (Action::Adopt, vec!["mark"]));
    let mark = last_mark(step);
    assert_eq!(mark.own_id, Some(OwnId::new("legacy-1")), "never another id");
    assert_eq!(
        (mark.disks["root"].slot.as_deref(), mark.disks["data"].slot.as_deref()),
        (Some("scsi0:0"), Some("scsi0:1"))
    );
    assert_eq!(mark.applied, None);
    assert!(matches!(&step.preconditions, Precondition::Unchanged(seen) if seen.mark_generation.is_none()));
}

#[test]
fn the_differences_come_in_the_plan_after_the_adoption() {
    let mut world = legacy();
    let mark = last_mark(world.plan().step_of("app/legacy"));
    world.config("legacy").mark = Some(crate::mark::write(&mark));
    assert_eq!(words(world.plan().step_of("app/legacy")), ["mark"], "nothing differs: what is applied gets recorded");
    world.spec("app/legacy").disks[1].size = crate::model::Bytes::gib(6);
    assert_eq!(words(world.plan().step_of("app/legacy")), ["change"]);
}

#[test]
fn counts_and_sizes_must_match() {
    let refused = |change: fn(&mut World)| {
        let mut world = legacy();
        change(&mut world);
        world.plan().blocked_of("app/legacy").code == BlockCode::AdoptMismatch
    };
    assert!(refused(|world| world.spec("app/legacy").disks.truncate(1)));
    assert!(refused(|world| world.spec("app/legacy").nics.push(nic("eth1", "db"))));
    assert!(refused(|world| world.spec("app/legacy").disks[1].size = crate::model::Bytes::gib(6)));
    assert!(refused(|world| world.config("legacy").disks[1].shared = true));
    assert!(refused(|world| world.spec("app/legacy").adopt.as_mut().unwrap().id = OwnId::new("nobody")));
}

#[test]
fn a_vm_with_anothers_mark_is_refused() {
    let mut owned = World::fleet(1);
    let mark = owned.config("vm-00").mark.clone();
    let refused = |change: fn(&mut crate::mark::Mark)| {
        let mut world = legacy();
        world.config("legacy").mark.clone_from(&mark);
        remark(world.vm("legacy"), |mark| {
            mark.own_id = Some(OwnId::new("legacy-1"));
            change(mark);
        });
        let plan = world.plan();
        assert!(!plan.steps.iter().any(|step| step.action == Action::Adopt));
        plan.blocked_of("app/legacy").why.clone()
    };
    assert!(refused(|mark| mark.installation = "test".to_owned()).contains("installation test"));
    assert!(refused(|_| {}).contains("it is app/vm-00 already"));
    assert!(refused(|mark| mark.own_id = Some(OwnId::new("x"))).contains("a copy of the mark of app/vm-00"));
}

#[test]
fn a_restored_backup_is_adoptable_once_the_original_is_gone() {
    let mut world = World::fleet(1);
    let mut backup = world.vm("vm-00").clone();
    backup.id = OwnId::new("restored");
    let old = world.vanish("vm-00");
    world.seen().vms.push(backup);
    world.spec("app/vm-00").adopt = Some(Adopt { endpoint: endpoint("vc"), id: OwnId::new("restored") });
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::VmUnknown);
    world.read_missing(&old, crate::inventory::Missing::NotFound);
    world.remember();
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, step.own_id.as_ref().unwrap().as_str()), (Action::Adopt, "restored"));
    assert_eq!(last_mark(step).identity, crate::mark::identity("prod", &key("app/vm-00"), 0), "the identity stays");
}

#[test]
fn an_adoption_on_an_endpoint_that_does_not_answer_is_not_a_mismatch() {
    let mut world = legacy();
    world.seen().incomplete = Some("page 2".to_owned());
    world.seen().vms.clear();
    assert_eq!(world.plan().blocked_of("app/legacy").code, BlockCode::EndpointUnknown);
}
