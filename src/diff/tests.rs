//! Drift: what somebody changed on a VM of ours.

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
    world.spec("app/vm-00").ignore_drift.insert("cpus".to_owned());
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
