//! Drift: what somebody changed on a VM of ours.

use std::sync::Arc;

use super::drift;
use crate::model::{Bytes, PowerGoal, PowerState};
use crate::plan::census;
use crate::plan::sample::{World, network, remark};

fn lines(world: &World) -> Vec<String> {
    let census = census::take(&world.inventory, &world.history, &world.policy);
    let none = || "none".to_owned();
    (drift(&census, Some(&world.desired)).into_iter())
        .map(|line| {
            format!(
                "{} {}: {} -> {}",
                line.key,
                line.field,
                line.from.unwrap_or_else(none),
                line.to.unwrap_or_else(none)
            )
        })
        .collect()
}

#[test]
fn a_vm_as_applied_has_not_drifted_even_when_git_wants_something_else() {
    let mut world = World::fleet(2);
    world.spec("app/vm-00").cpus = 16;
    assert_eq!(lines(&world), Vec::<String>::new());
}

#[test]
fn each_field_tells_from_and_to() {
    let mut world = World::fleet(1);
    remark(world.vm("vm-00"), |mark| mark.applied.as_mut().unwrap().power = Some(PowerGoal::Running));
    let config = world.config("vm-00");
    (config.cpus, config.memory, config.power) = (4, Bytes::gib(8), PowerState::Stopped);
    config.disks[0].size = Bytes::gib(21);
    config.nics[0].network = Some(network("PG-DB"));
    config.nics[0].connected = false;
    world.vm("vm-00").name = "other".into();
    assert_eq!(
        lines(&world),
        [
            "app/vm-00 cpus: 2 -> 4",
            "app/vm-00 memory: 4GiB -> 8GiB",
            "app/vm-00 disks/root/size: 20GiB -> 21GiB",
            "app/vm-00 nics/eth0/network: PG-APP -> PG-DB",
            "app/vm-00 nics/eth0/connected: true -> false",
            "app/vm-00 name: vm-00 -> other",
            "app/vm-00 power: running -> stopped",
        ]
    );
}

#[test]
fn a_disk_and_a_nic_that_are_gone_drift_to_none() {
    let mut world = World::fleet(1);
    world.config("vm-00").disks.clear();
    world.config("vm-00").nics.clear();
    assert_eq!(lines(&world), ["app/vm-00 disks/root: 20GiB -> none", "app/vm-00 nics/eth0: PG-APP -> none"]);
}

#[test]
fn fields_in_ignore_drift_do_not_drift() {
    let mut world = World::fleet(1);
    world.config("vm-00").cpus = 4;
    Arc::make_mut(&mut world.spec("app/vm-00").ignore_drift).insert("cpus".to_owned());
    assert_eq!(lines(&world), Vec::<String>::new());
}

#[test]
fn placement_is_not_drift() {
    let mut world = World::fleet(1);
    world.vm("vm-00").placed.host = Some("esx-2".into());
    world.vm("vm-00").placed.folder = Some("elsewhere".into());
    world.config("vm-00").disks[0].storage = Some("nvme".into());
    assert_eq!(lines(&world), Vec::<String>::new());
    assert_eq!(world.plan().in_sync, 1);
}

/// The quick look must never say yes where the full one finds something: each change of spec, VM or mark shows.
#[test]
fn the_quick_look_passes_nothing_that_the_full_one_would_not() {
    let changes: [fn(&mut World); 16] = [
        |world| world.config("vm-00").cpus += 1,
        |world| world.config("vm-00").memory = Bytes::gib(1),
        |world| world.config("vm-00").firmware = crate::model::Firmware::Bios,
        |world| world.config("vm-00").disks[0].size = Bytes::gib(1),
        |world| world.config("vm-00").disks[0].slot = "scsi0:9".into(),
        |world| world.config("vm-00").disks[0].id = Some("other".into()),
        |world| world.config("vm-00").nics[0].connected = false,
        |world| world.config("vm-00").nics[0].network = Some(network("PG-DB")),
        |world| world.config("vm-00").nics[0].mac = "00:00:00:00:00:01".into(),
        |world| world.vm("vm-00").name = "other".into(),
        |world| world.spec("app/vm-00").image = None,
        |world| world.spec("app/vm-00").prevent_destroy = true,
        |world| world.spec("app/vm-00").power = Some(PowerGoal::Stopped),
        |world| world.spec("app/vm-00").disks.clear(),
        |world| remark(world.vm("vm-00"), |mark| mark.applied = None),
        |world| {
            let text = world.config("vm-00").mark.clone().unwrap();
            world.config("vm-00").mark = Some(text[..text.len() - 9].to_owned());
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut world = World::fleet(1);
        change(&mut world);
        let plan = world.plan();
        assert!(plan.in_sync == 0 || !plan.notes.is_empty(), "change {number} went unseen");
    }
}

#[test]
fn a_mark_that_was_cut_off_is_unreadable_and_not_absent() {
    let mut world = World::fleet(2);
    for name in ["vm-00", "vm-01"] {
        let text = world.config(name).mark.clone().unwrap();
        world.config(name).mark = Some(text[..text.len() - 9].to_owned());
    }
    world.desired.vms.remove(&crate::plan::sample::key("app/vm-01"));
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.codes().iter().all(|(_, code)| *code == crate::plan::BlockCode::MarkUnreadable), "{:?}", plan.codes());
    assert_eq!(plan.blocked.len(), 2);
}
