//! The looks around each call.

use super::{Progress, promise_kept, still_safe};
use crate::mark;
use crate::model::{AllowReboot, Bytes, ObservedVm, PowerState, Prune};
use crate::plan::sample::{INSTALLATION, World, applied, config_mut, remark, spec, tier};
use crate::plan::{Action, Change, DiskAt, Operation, Step};

/// The update of more memory, which needs five operations, and the VM it is for.
fn reboot() -> (Step, ObservedVm) {
    let mut world = World::fleet(1);
    world.spec("app/vm-00").memory = Bytes::gib(8);
    world.spec("app/vm-00").allow_reboot = AllowReboot::Always;
    (world.plan().step_of("app/vm-00").clone(), world.vm("vm-00").clone())
}

/// The delete of a VM without grace days, and the VM.
fn delete() -> (Step, ObservedVm) {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    remark(world.vm("vm-00"), |mark| mark.protection.grace_days = 0);
    (world.plan().step_of("app/vm-00").clone(), world.vm("vm-00").clone())
}

fn create() -> Step {
    let mut world = World::fleet(0);
    world.want(spec("app/new"));
    world.plan().step_of("app/new").clone()
}

fn safe(step: &Step, operation: usize, found: &[ObservedVm]) -> Result<(), String> {
    still_safe(step, Progress { operation, begun: false }, found, INSTALLATION)
}

/// What the step's own operation leaves on the VM.
fn done(vm: &mut ObservedVm, operation: &Operation) {
    match operation {
        Operation::Reconfigure { mark, changes: _ } => config_mut(vm).mark = Some(mark::write(mark)),
        Operation::Stop(_) => config_mut(vm).power = PowerState::Stopped,
        Operation::Start => config_mut(vm).power = PowerState::Running,
        _ => {}
    }
}

#[test]
fn a_vm_as_the_plan_saw_it_is_safe() {
    let (step, vm) = reboot();
    assert_eq!(safe(&step, 0, &[vm]), Ok(()));
}

#[test]
fn whatever_changed_since_the_plan_is_named() {
    let (step, vm) = reboot();
    let changed = |change: fn(&mut ObservedVm)| {
        let mut vm = vm.clone();
        change(&mut vm);
        safe(&step, 0, &[vm]).unwrap_err()
    };
    assert!(changed(|vm| vm.name = "other".into()).contains("its name"));
    assert!(changed(|vm| config_mut(vm).cpus = 9).contains("its CPUs"));
    assert!(changed(|vm| config_mut(vm).power = PowerState::Stopped).contains("its power"));
    assert!(changed(|vm| config_mut(vm).snapshots = true).contains("its snapshots"));
    assert!(changed(|vm| config_mut(vm).nics.clear()).contains("its NICs"));
    assert!(changed(|vm| config_mut(vm).disks[0].size = Bytes::gib(1)).contains("its disks"));
    assert!(changed(|vm| remark(vm, |mark| mark.generation += 1)).contains("its mark"));
    assert!(changed(|vm| config_mut(vm).power = PowerState::Suspended).contains("suspended"));
    assert!(changed(|vm| config_mut(vm).question = Some("which disk?".to_owned())).contains("which disk?"));
    assert!(changed(|vm| config_mut(vm).mark = None).contains("mark was removed"));
    assert!(changed(|vm| remark(vm, |mark| mark.installation = "test".to_owned())).contains("installation test"));
}

#[test]
fn no_vm_another_vm_and_two_vms_are_not_the_one() {
    let (step, vm) = reboot();
    let mut other = vm.clone();
    other.id = crate::model::OwnId::new("other");
    assert!(safe(&step, 0, &[]).is_err());
    assert!(safe(&step, 0, &[other]).is_err());
    assert!(safe(&step, 0, &[vm.clone(), vm]).is_err());
}

#[test]
fn later_operations_accept_what_earlier_ones_did_and_nobody_elses_mark() {
    let (step, mut vm) = reboot();
    for (index, operation) in step.operations.iter().enumerate() {
        assert_eq!(safe(&step, index, &[vm.clone()]), Ok(()), "before operation {index}");
        done(&mut vm, operation);
    }
    remark(&mut vm, |mark| mark.generation += 9);
    assert!(safe(&step, 3, &[vm]).unwrap_err().contains("somebody else"));
}

#[test]
fn protection_that_came_after_the_plan_stops_a_delete_at_any_operation() {
    let (step, mut vm) = delete();
    done(&mut vm, &step.operations[0]);
    remark(&mut vm, |mark| mark.protection.prevent_destroy = true);
    assert!(safe(&step, 1, &[vm]).unwrap_err().contains("preventDestroy"));
}

#[test]
fn a_vm_is_destroyed_only_off_without_snapshots_and_with_the_disks_of_the_plan() {
    let (step, mut vm) = delete();
    let last = step.operations.len() - 1;
    step.operations[..last].iter().for_each(|operation| done(&mut vm, operation));
    assert_eq!(safe(&step, last, &[vm.clone()]), Ok(()));
    let refused = |change: fn(&mut ObservedVm)| {
        let mut vm = vm.clone();
        change(&mut vm);
        safe(&step, last, &[vm]).unwrap_err()
    };
    assert!(refused(|vm| config_mut(vm).power = PowerState::Running).contains("not off"));
    assert!(refused(|vm| config_mut(vm).snapshots = true).contains("snapshot"));
    assert!(refused(|vm| config_mut(vm).disks[0].shared = true).contains("shared"));
    assert!(refused(|vm| config_mut(vm).disks[0].id = Some("swapped".into())).contains("disks changed"));
    assert!(
        refused(|vm| {
            let mut more = config_mut(vm).disks[0].clone();
            more.slot = "scsi0:9".into();
            config_mut(vm).disks.push(more);
        })
        .contains("disks changed")
    );
}

#[test]
fn a_destruction_in_several_calls_goes_on_with_fewer_disks_and_never_with_others() {
    let (step, mut vm) = delete();
    let operation = step.operations.len() - 1;
    step.operations[..operation].iter().for_each(|operation| done(&mut vm, operation));
    let begun = |vm: &ObservedVm| {
        still_safe(&step, Progress { operation, begun: true }, std::slice::from_ref(vm), INSTALLATION)
    };
    let mut fewer = vm.clone();
    config_mut(&mut fewer).disks.remove(0);
    assert_eq!(begun(&fewer), Ok(()));
    assert!(safe(&step, operation, &[fewer]).unwrap_err().contains("disks changed"), "before the first call");
    config_mut(&mut vm).disks[0].id = Some("swapped".into());
    assert!(begun(&vm).unwrap_err().contains("disks changed"));
}

#[test]
fn a_disk_that_is_not_attached_is_deleted_only_if_it_was_taken_off_for_that() {
    let (mut step, mut vm) = reboot();
    let disk = config_mut(&mut vm).disks.pop().expect("it has one");
    let at = DiskAt { name: "root".to_owned(), slot: String::new(), id: None };
    let operation = step.operations.iter().position(|one| matches!(one, Operation::Reconfigure { .. })).unwrap();
    let Operation::Reconfigure { changes, .. } = &mut step.operations[operation] else { unreachable!() };
    *changes = vec![Change::DeleteDisk(at)];
    let mut judged = |deleting| {
        remark(&mut vm, |mark| {
            let file = disk.file.as_deref().map(str::to_owned);
            let id = disk.id.as_deref().map(str::to_owned);
            mark.disks.insert("root".to_owned(), mark::MarkedDisk { slot: None, id, file, deleting });
        });
        still_safe(&step, Progress { operation, begun: true }, std::slice::from_ref(&vm), INSTALLATION)
    };
    assert!(judged(false).unwrap_err().contains("to be kept"));
    assert_eq!(judged(true), Ok(()));
}

#[test]
fn once_its_vm_has_gone_a_destruction_goes_on_to_the_files_of_its_disks() {
    let (step, _) = delete();
    let last = step.operations.len() - 1;
    let nothing = |operation, begun| still_safe(&step, Progress { operation, begun }, &[], INSTALLATION);
    assert_eq!(nothing(last, true), Ok(()));
    assert!(nothing(last, false).is_err(), "not by this step");
    assert!(nothing(0, true).is_err(), "not by its destruction");
}

#[test]
fn a_create_finds_nothing_or_its_own_beginning() {
    let step = create();
    assert_eq!(safe(&step, 0, &[]), Ok(()));
    let mut begun = applied(&spec("app/new"), &tier("t1", &["vc"]));
    assert!(safe(&step, 0, &[begun.clone()]).is_err(), "a finished VM");
    remark(&mut begun, |mark| mark.pending = Some(mark::Pending::Create));
    assert_eq!(safe(&step, 0, &[begun.clone()]), Ok(()));
    assert!(safe(&step, 0, &[begun.clone(), begun.clone()]).is_err());
    config_mut(&mut begun).mark = None;
    assert!(safe(&step, 0, &[begun]).is_err(), "somebody else's VM under our id");
}

#[test]
fn a_promise_is_kept_when_the_vm_became_what_was_asked() {
    let (step, mut vm) = reboot();
    step.operations.iter().for_each(|operation| done(&mut vm, operation));
    assert!(promise_kept(&step, &[vm.clone()]).unwrap_err().contains("memory"), "the mark alone is not the change");
    config_mut(&mut vm).memory = Bytes::gib(8);
    assert_eq!(promise_kept(&step, &[vm.clone()]), Ok(()));
    config_mut(&mut vm).power = PowerState::Stopped;
    assert!(promise_kept(&step, &[vm.clone()]).unwrap_err().contains("does not run"));
    remark(&mut vm, |mark| mark.pending = Some(mark::Pending::Restart));
    assert!(promise_kept(&step, &[vm]).unwrap_err().contains("pending"));
}

#[test]
fn a_delete_is_done_when_nothing_is_found() {
    let (step, vm) = delete();
    assert_eq!(promise_kept(&step, &[]), Ok(()));
    assert!(promise_kept(&step, &[vm]).is_err());
}

#[test]
fn a_create_is_done_when_the_vm_is_whole_marked_and_started() {
    let step = create();
    let mut vm = applied(&spec("app/new"), &tier("t1", &["vc"]));
    remark(&mut vm, |mark| mark.generation = 1);
    assert_eq!(promise_kept(&step, &[vm.clone()]), Ok(()));
    assert!(promise_kept(&step, &[]).is_err());
    let broken = |change: fn(&mut ObservedVm)| {
        let mut vm = vm.clone();
        change(&mut vm);
        promise_kept(&step, &[vm]).is_err()
    };
    assert!(broken(|vm| vm.name = "tierwright-new".into()));
    assert!(broken(|vm| config_mut(vm).disks[0].size = Bytes::gib(10)), "the image's disk was not grown");
    assert!(broken(|vm| config_mut(vm).nics.clear()));
    assert!(broken(|vm| config_mut(vm).power = PowerState::Stopped));
    assert!(broken(|vm| remark(vm, |mark| mark.pending = Some(mark::Pending::Create))));
    assert!(broken(|vm| config_mut(vm).mark = None));
}

#[test]
fn a_retire_is_done_when_the_vm_is_off_renamed_and_disconnected() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    let step = world.plan().step_of("app/vm-00").clone();
    assert_eq!(step.action, Action::Retire);
    let mut vm = world.vm("vm-00").clone();
    step.operations.iter().for_each(|operation| done(&mut vm, operation));
    assert!(promise_kept(&step, &[vm.clone()]).is_err());
    config_mut(&mut vm).nics[0].connected = false;
    vm.name = "vm-00.retired-20260302".into();
    assert_eq!(promise_kept(&step, &[vm]), Ok(()));
}

#[test]
fn a_release_is_done_when_no_mark_is_left() {
    let mut world = World::fleet(1);
    world.unwant("app/vm-00");
    remark(world.vm("vm-00"), |mark| {
        mark.protection.on_remove = crate::model::OnRemove::Release;
        mark.protection.prune = Prune::Confirm;
    });
    let step = world.plan().step_of("app/vm-00").clone();
    let mut vm = world.vm("vm-00").clone();
    assert!(promise_kept(&step, &[vm.clone()]).is_err());
    config_mut(&mut vm).mark = None;
    assert_eq!(promise_kept(&step, &[vm]), Ok(()));
}

#[test]
fn a_create_does_not_go_on_with_a_vm_that_was_suspended_meanwhile() {
    let step = create();
    let mut begun = applied(&spec("app/new"), &tier("t1", &["vc"]));
    remark(&mut begun, |mark| mark.pending = Some(mark::Pending::Create));
    assert_eq!(safe(&step, 0, &[begun.clone()]), Ok(()));
    config_mut(&mut begun).power = PowerState::Suspended;
    assert!(safe(&step, 0, &[begun]).unwrap_err().contains("suspended"));
}
