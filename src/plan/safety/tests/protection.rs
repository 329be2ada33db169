//! Rules 3 and 4: the source, and what stands in the mark.

use crate::model::{OnRemove, Prune};
use crate::plan::sample::{World, remark};
use crate::plan::{Action, BlockCode, SourceTrust};

fn removed() -> World {
    let mut world = World::fleet(2);
    world.unwant("app/vm-00");
    world
}

#[test]
fn a_removed_vm_is_retired_first() {
    assert_eq!(removed().plan().actions(), [("vm-00".to_owned(), Action::Retire)]);
}

#[test]
fn no_other_than_the_configured_whole_and_settled_source_destroys_or_releases() {
    for source in [SourceTrust::Elsewhere, SourceTrust::InProgress, SourceTrust::Unsettled, SourceTrust::Broken] {
        for on_remove in [OnRemove::Delete, OnRemove::Release] {
            let mut world = removed();
            world.source = source;
            remark(world.vm("vm-00"), |mark| mark.protection.on_remove = on_remove);
            let plan = world.plan();
            assert_eq!((plan.steps.len(), plan.blocked_of("app/vm-00").code), (0, BlockCode::SourceNotTrusted));
        }
    }
}

#[test]
fn protection_outlives_the_file_that_asked_for_it() {
    let mut world = removed();
    remark(world.vm("vm-00"), |mark| mark.protection.prevent_destroy = true);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Protected);
}

#[test]
fn protection_removed_in_git_holds_until_it_was_applied() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.protection.prevent_destroy = true);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!((step.action, step.reasons[0].field.as_str()), (Action::Update, "preventDestroy"));
    world.unwant("app/vm-00");
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::Protected);
}

#[test]
fn prune_never_in_the_mark_keeps_a_vm_for_ever() {
    let mut world = removed();
    remark(world.vm("vm-00"), |mark| mark.protection.prune = Prune::Never);
    assert_eq!(world.plan().blocked_of("app/vm-00").code, BlockCode::PruneForbidden);
}

#[test]
fn an_orphan_whose_tier_is_gone_is_never_destroyed() {
    let mut world = removed();
    world.unwant("app/vm-01");
    world.desired.tiers.clear();
    let codes = world.plan().codes();
    assert!(codes.iter().all(|(_, code)| *code == BlockCode::PruneForbidden) && codes.len() == 2, "{codes:?}");
}

#[test]
fn a_release_forgets_the_vm_and_leaves_it_running() {
    let mut world = removed();
    remark(world.vm("vm-00"), |mark| mark.protection.on_remove = OnRemove::Release);
    let plan = world.plan();
    let step = plan.step_of("app/vm-00");
    assert_eq!(
        (step.action, step.operations.as_slice()),
        (Action::Release, [crate::plan::Operation::Unmark].as_slice())
    );
}

#[test]
fn an_unmarked_vm_is_counted_and_never_named() {
    let mut world = World::fleet(2);
    world.unwant("app/vm-00");
    world.config("vm-00").mark = None;
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.blocked.len(), plan.unmanaged, plan.in_sync), (0, 0, 1, 1));
}

#[test]
fn the_vm_of_another_installation_is_unmanaged_here() {
    let mut world = removed();
    remark(world.vm("vm-00"), |mark| mark.installation = "test".to_owned());
    world.history.last.clear();
    world.remember();
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.blocked.len(), plan.unmanaged), (0, 0, 1));
}

#[test]
fn a_clone_is_not_ours_even_when_the_original_is_to_go() {
    let mut world = removed();
    let mut copy = world.vm("vm-00").clone();
    copy.id = crate::model::OwnId::new("copy");
    copy.name = "copy-of-vm-00".into();
    world.seen().vms.push(copy);
    let plan = world.plan();
    assert_eq!(plan.actions(), [("vm-00".to_owned(), Action::Retire)]);
    assert_ne!(plan.steps[0].own_id.as_ref().unwrap().as_str(), "copy");
    assert_eq!(plan.unmanaged, 1);
}

#[test]
fn a_key_that_only_a_clone_names_is_not_created() {
    let mut world = World::fleet(1);
    world.history.last.clear();
    world.vm("vm-00").id = crate::model::OwnId::new("copy");
    world.remember();
    assert_eq!(world.plan().codes(), [("vm-00".to_owned(), BlockCode::Clone)]);
}
