//! What a person does at a hypervisor's console, behind the program's back.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use tierwright::lab::WorldHandle;
use tierwright::lab::world::{self, Power, Question, World};

use crate::git::{DiskLine, VmFile};
use crate::invariants::{Owner, owner};
use crate::marks;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    PowerOn,
    PowerOff,
    Suspend,
    ChangeMemory,
    ChangeCpus,
    DetachDisk,
    AddDisk,
    MoveNic,
    DisconnectNic,
    RemoveNic,
    Rename,
    Delete,
    DeleteAndKeepFiles,
    Clone,
    Replicate,
    Snapshot,
    Revert,
    DropSnapshots,
    RemoveMark,
    GarbleMark,
    Migrate,
    MakeUnmanaged,
    MakeForeign,
    ChangeUnmanaged,
    Ask,
    Answer,
    LoseHost,
    HostBack,
    RemoveTools,
    InstallTools,
}

/// All, the harmless and frequent ones more often.
const DEEDS: &[(Deed, u32)] = &[
    (Deed::PowerOn, 6),
    (Deed::PowerOff, 6),
    (Deed::Suspend, 2),
    (Deed::ChangeMemory, 5),
    (Deed::ChangeCpus, 5),
    (Deed::DetachDisk, 3),
    (Deed::AddDisk, 3),
    (Deed::MoveNic, 4),
    (Deed::DisconnectNic, 3),
    (Deed::RemoveNic, 2),
    (Deed::Rename, 4),
    (Deed::Delete, 3),
    (Deed::DeleteAndKeepFiles, 1),
    (Deed::Clone, 4),
    (Deed::Replicate, 2),
    (Deed::Snapshot, 4),
    (Deed::Revert, 4),
    (Deed::DropSnapshots, 4),
    (Deed::RemoveMark, 2),
    (Deed::GarbleMark, 1),
    (Deed::Migrate, 4),
    (Deed::MakeUnmanaged, 2),
    (Deed::MakeForeign, 2),
    (Deed::ChangeUnmanaged, 3),
    (Deed::Ask, 1),
    (Deed::Answer, 2),
    (Deed::LoseHost, 1),
    (Deed::HostBack, 2),
    (Deed::RemoveTools, 1),
    (Deed::InstallTools, 1),
];

/// A deed at random.
pub fn deed(rng: &mut StdRng) -> Deed {
    DEEDS.choose_weighted(rng, |(_, weight)| *weight).expect("there are some").0
}

/// Does it to a VM chosen at random; what was done, or `None` when there was nothing to do it to.
pub fn act(deed: Deed, world: &WorldHandle, rng: &mut StdRng) -> Option<String> {
    world.with(|world| {
        let ids: Vec<world::Id> = world.vms().filter(|vm| fits(deed, vm)).map(|vm| vm.id).collect();
        let id = *ids.choose(rng)?;
        let name = world.name_of(id);
        let done = power(deed, world, id)
            .or_else(|| hardware(deed, world, id, rng))
            .or_else(|| whole(deed, world, id, rng))?;
        done.then(|| format!("{deed:?} {name}"))
    })
}

/// Is this a VM for such a deed?
fn fits(deed: Deed, vm: &world::Vm) -> bool {
    let for_it = match deed {
        Deed::PowerOn => vm.power != Power::On,
        Deed::PowerOff | Deed::Suspend => vm.power == Power::On,
        Deed::Revert | Deed::DropSnapshots => !vm.snapshots.is_empty(),
        Deed::Answer => vm.question.is_some(),
        Deed::HostBack => vm.link != world::Link::Connected,
        Deed::InstallTools => !vm.guest.tools_installed,
        Deed::RemoveTools => vm.guest.tools_installed,
        _ => true,
    };
    // Who plugs disks into a VM that is being made makes it another one: that is Blocked only where the mark tells.
    let being_made = matches!(owner(vm), Owner::Unfinished(_)) && matches!(deed, Deed::AddDisk | Deed::DetachDisk);
    for_it && !being_made && !vm.template && marks::text(vm).is_some() != (deed == Deed::ChangeUnmanaged)
}

/// Power, guest, snapshots, reachability; `None`: not a deed of this kind.
fn power(deed: Deed, world: &mut World, id: world::Id) -> Option<bool> {
    let vm = world.vm(id)?;
    let (running, snapshot) = (vm.power == Power::On, vm.snapshots.last().map(|snapshot| snapshot.id));
    Some(match deed {
        Deed::PowerOn => world.perform(world::Work::PowerOn(id)).is_ok(),
        Deed::PowerOff => running && world.set_power(id, Power::Off),
        Deed::Suspend => running && world.set_power(id, Power::Suspended),
        Deed::Snapshot => world.add_snapshot(id, "by hand"),
        Deed::Revert => {
            snapshot.is_some_and(|snapshot| world.perform(world::Work::Revert { vm: id, snapshot }).is_ok())
        }
        Deed::DropSnapshots => {
            snapshot.is_some() && world.perform(world::Work::RemoveSnapshot { vm: id, snapshot: None }).is_ok()
        }
        Deed::Ask => {
            let question = Question { id: "1".into(), text: "Moved or copied?".into(), choices: vec!["moved".into()] };
            world.edit_runtime(id, |vm| vm.question = Some(question))
        }
        Deed::Answer => world.edit_runtime(id, |vm| vm.question = None),
        Deed::LoseHost => world.edit_runtime(id, |vm| vm.link = world::Link::Disconnected),
        Deed::HostBack => world.edit_runtime(id, |vm| vm.link = world::Link::Connected),
        Deed::RemoveTools => world.edit_runtime(id, |vm| vm.guest.tools_installed = false),
        Deed::InstallTools => world.edit_runtime(id, |vm| vm.guest.tools_installed = true),
        _ => return None,
    })
}

fn hardware(deed: Deed, world: &mut World, id: world::Id, rng: &mut StdRng) -> Option<bool> {
    let vm = world.vm(id)?.clone();
    let networks: Vec<world::Id> = world.networks.keys().copied().collect();
    let network = networks.choose(rng).copied();
    let n = rng.next_u32() as usize;
    let nic = (!vm.nics.is_empty()).then(|| n % vm.nics.len());
    Some(match deed {
        Deed::ChangeMemory => world.edit(id, |vm| vm.memory_mib = 1024 * rng.random_range(1..=4)),
        Deed::ChangeCpus => world.edit(id, |vm| vm.cpus = rng.random_range(1..=4)),
        Deed::DetachDisk => !vm.disks.is_empty() && world.edit(id, |vm| drop(vm.disks.remove(n % vm.disks.len()))),
        Deed::AddDisk => {
            let disk = world::NewDisk {
                key: -1,
                controller: vm.controllers.first().map_or(-2, |controller| controller.key),
                unit: None,
                source: world::DiskSource::New { datastore: None, path: None, capacity: 1 << 30 },
                thin: true,
                shared: false,
                mode: None,
            };
            let spec = world::VmSpec { devices: vec![world::DeviceEdit::AddDisk(disk)], ..world::VmSpec::default() };
            world.perform(world::Work::Reconfigure { vm: id, spec: Box::new(spec) }).is_ok()
        }
        Deed::MoveNic => nic.is_some_and(|nic| world.edit(id, |vm| vm.nics[nic].network = network)),
        Deed::DisconnectNic => nic.is_some_and(|nic| {
            world.edit(id, |vm| (vm.nics[nic].connected, vm.nics[nic].start_connected) = (false, false))
        }),
        Deed::RemoveNic => nic.is_some_and(|nic| world.edit(id, |vm| drop(vm.nics.remove(nic)))),
        _ => return None,
    })
}

fn whole(deed: Deed, world: &mut World, id: world::Id, rng: &mut StdRng) -> Option<bool> {
    let name = world.name_of(id);
    let hosts: Vec<world::Id> = world.hosts.keys().copied().collect();
    let tag = rng.random_range(0..1_000);
    Some(match deed {
        Deed::Rename => world.edit(id, |vm| vm.name = format!("{name} (old)").into()),
        Deed::Delete => world.remove(id, true).is_some(),
        Deed::DeleteAndKeepFiles => world.remove(id, false).is_some(),
        Deed::Clone => world.copy(id, &format!("{name}-copy-{tag}"), false).is_some(),
        Deed::Replicate => world.copy(id, &format!("{name}-replica-{tag}"), true).is_some(),
        Deed::RemoveMark => world.edit(id, |vm| marks::replace(vm, "")),
        Deed::GarbleMark => world.edit(id, |vm| marks::replace(vm, "{\"version\":1,\"installation\":\"sim\"")),
        Deed::Migrate => {
            let host = *hosts.choose(rng)?;
            world.edit_runtime(id, |vm| vm.host = host)
        }
        Deed::MakeUnmanaged => {
            let copy = world.copy(id, &format!("by-hand-{tag}"), false)?;
            world.edit(copy, |vm| marks::replace(vm, ""))
        }
        Deed::MakeForeign => {
            let copy = world.copy(id, &format!("other-{tag}"), false)?;
            world.edit(copy, make_foreign)
        }
        Deed::ChangeUnmanaged => world.edit(id, |vm| vm.annotation = format!("seen {tag}").into()),
        _ => return None,
    })
}

/// A manifest of what a VM is, if it lies on networks that the tiers have words for.
pub fn as_manifest(world: &World, vm: &world::Vm, tier: &str) -> Option<VmFile> {
    let named = |nic: &world::Nic| match world.networks.get(&nic.network?)?.name.as_str() {
        "PG-APP-10" | "hosted-public" => Some("app"),
        "PG-DB-20" | "hosted-private" => Some("db"),
        _ => None,
    };
    let nics: Option<Vec<_>> =
        vm.nics.iter().enumerate().map(|(n, nic)| Some((format!("eth{n}"), named(nic)?))).collect();
    let disk = |(n, disk): (usize, &world::Disk)| DiskLine {
        name: format!("disk-{n}"),
        gib: disk.capacity >> 30,
        fast: false,
    };
    Some(VmFile {
        cpus: vm.cpus,
        memory_gib: (vm.memory_mib >> 10).max(1),
        image: false,
        disks: vm.disks.iter().enumerate().map(disk).collect(),
        nics: nics?,
        ..VmFile::new(tier, 0)
    })
}

/// As if another installation had made it.
fn make_foreign(vm: &mut world::Vm) {
    let own_id = vm.instance_uuid.to_string();
    let Some(text) = marks::text(vm) else { return };
    let Ok(mut mark) = serde_json::from_str::<serde_json::Value>(text) else { return };
    mark["installation"] = "other".into();
    // Identities are made of the installation too.
    mark["identity"] = uuid::Uuid::new_v5(&vm.bios_uuid, b"other").to_string().into();
    mark["ownId"] = own_id.into();
    marks::replace(vm, &mark.to_string());
}
