//! Just after a step: is the VM what was promised? What is not is named, and the VM is left alone until the next plan.

use super::written;
use crate::diff::{At, resolve_disk, resolve_nic, same_mac};
use crate::mark::{self, Mark, Standing};
use crate::model::{ObservedVm, PowerState, VmConfig, VmName};
use crate::plan::{Change, CreateVm, Operation, Step};

/// After a step: is the VM what the step promised? `found` is a fresh read by own id or identity.
pub fn promise_kept(step: &Step, found: &[ObservedVm]) -> Result<(), String> {
    let destroyed = step.operations.iter().any(|operation| matches!(operation, Operation::Destroy { .. }));
    let vm = match found {
        [] if destroyed => return Ok(()),
        [] => return Err("it is not there".to_owned()),
        [vm] if destroyed => return Err(format!("{} is still there", vm.id)),
        [vm] => vm,
        several => return Err(format!("{} VMs of one id are there", several.len())),
    };
    let Some(config) = vm.readable() else { return Err("its configuration cannot be read".to_owned()) };
    let mark = marked_as_promised(step, vm)?;
    for operation in &step.operations {
        match operation {
            Operation::Create(create) => created(create, vm, config, mark.as_deref())?,
            Operation::Reconfigure { changes, .. } => {
                changes.iter().try_for_each(|change| changed(change, config, mark.as_deref()))?;
            }
            Operation::Rename(name) => is_named(name, vm)?,
            Operation::Stop(_) | Operation::Start | Operation::Unmark | Operation::Destroy { .. } => {}
        }
    }
    powered(step, config)
}

/// The mark is the last one that the step wrote, or none after a release.
fn marked_as_promised(step: &Step, vm: &ObservedVm) -> Result<Option<Box<Mark>>, String> {
    if step.operations.contains(&Operation::Unmark) {
        let carries =
            vm.readable().and_then(|config| config.mark.as_deref()).is_some_and(|text| !text.trim().is_empty());
        return if carries { Err("it still carries a mark".to_owned()) } else { Ok(None) };
    }
    let Some(promised) = step.operations.iter().rev().find_map(written) else { return Ok(None) };
    let mark = match mark::judge(vm, &promised.installation) {
        Standing::Ours(mark) => mark,
        Standing::Unfinished { .. } => return Err("its mark says that it is not finished".to_owned()),
        Standing::Unreadable(why) | Standing::Unknown(why) => return Err(why),
        Standing::NoMark | Standing::Foreign(_) | Standing::Clone(_) => {
            return Err("it does not carry the mark that was written".to_owned());
        }
    };
    // Ids, slots and MACs are the provider's to fill in; the rest is as we wrote it.
    let Mark {
        version: _,
        installation: _,
        key,
        identity,
        own_id: _,
        tier,
        generation,
        pending,
        protection,
        retired,
        ..
    } = promised;
    let wrong: Vec<&str> = [
        ("key", *key != mark.key),
        ("identity", *identity != mark.identity),
        ("tier", *tier != mark.tier),
        ("generation", *generation != mark.generation),
        ("pending", *pending != mark.pending),
        ("protection", *protection != mark.protection),
        ("retired", *retired != mark.retired),
        ("applied", promised.applied != mark.applied),
    ]
    .into_iter()
    .filter_map(|(field, wrong)| wrong.then_some(field))
    .collect();
    if wrong.is_empty() { Ok(Some(mark)) } else { Err(format!("its mark is not as written: {}", wrong.join(", "))) }
}

fn created(create: &CreateVm, vm: &ObservedVm, config: &VmConfig, mark: Option<&Mark>) -> Result<(), String> {
    is_named(&create.name, vm)?;
    is("CPUs", config.cpus, create.cpus)?;
    is("memory", config.memory, create.memory)?;
    if config.disks.len() != create.disks.len() {
        return Err(format!("it has {} disks, and {} were asked for", config.disks.len(), create.disks.len()));
    }
    for disk in &create.disks {
        if let Some(At::Attached(attached)) = marked_disk(mark, &disk.name, config) {
            is(&format!("disk {}", disk.name), attached.size, disk.size)?;
        }
    }
    is("number of NICs", config.nics.len(), create.nics.len())
}

fn marked_disk<'c>(mark: Option<&Mark>, name: &str, config: &'c VmConfig) -> Option<At<'c>> {
    Some(resolve_disk(mark?.disks.get(name)?, &config.disks))
}

fn changed(change: &Change, config: &VmConfig, mark: Option<&Mark>) -> Result<(), String> {
    match change {
        Change::Cpus(cpus) => is("CPUs", config.cpus, *cpus),
        Change::Memory(memory) => is("memory", config.memory, *memory),
        Change::AddDisk(order) => match marked_disk(mark, &order.name, config) {
            Some(At::Attached(disk)) => is(&format!("disk {}", order.name), disk.size, order.size),
            // The mark's place for it comes in a later write; that there is one more disk the next plan sees.
            Some(At::Incomplete) | None => Ok(()),
            Some(At::Detached | At::Lost { .. }) => Err(format!("disk {} is not there", order.name)),
        },
        Change::AttachDisk { name, file, id } => {
            let found = config.disks.iter().any(|disk| {
                disk.file.as_deref() == Some(file) || (id.is_some() && disk.id.as_deref() == id.as_deref())
            });
            if found { Ok(()) } else { Err(format!("disk {name} is not attached")) }
        }
        Change::GrowDisk { disk, size } => match config.disks.iter().find(|found| *found.slot == *disk.slot) {
            Some(found) if found.size >= *size => Ok(()),
            Some(found) => Err(format!("disk {} is {} and not {size}", disk.name, found.size)),
            None => Err(format!("disk {} is not there", disk.name)),
        },
        Change::DetachDisk(at) | Change::DeleteDisk(at) => {
            let there = config.disks.iter().any(|disk| match &at.id {
                Some(id) => disk.id.as_deref() == Some(id.as_str()),
                None => *disk.slot == *at.slot,
            });
            if there { Err(format!("disk {} is still attached", at.name)) } else { Ok(()) }
        }
        Change::AddNic(order) => {
            let marked = mark.and_then(|mark| mark.nics.get(&order.name));
            let nic = marked.and_then(|marked| resolve_nic(marked, &config.nics));
            let by_mac = order.mac.as_ref().and_then(|mac| config.nics.iter().find(|nic| same_mac(&nic.mac, mac)));
            match (nic.or(by_mac), &order.mac) {
                (Some(nic), _) if nic.network.as_ref().is_some_and(|network| *network != order.network) => {
                    Err(format!("NIC {} is on another network", order.name))
                }
                (None, Some(_)) => Err(format!("NIC {} is not there", order.name)),
                (Some(_) | None, _) => Ok(()),
            }
        }
        Change::RemoveNic(at) => {
            let there = config.nics.iter().any(|nic| same_mac(&nic.mac, &at.mac));
            if there { Err(format!("NIC {} is still there", at.name)) } else { Ok(()) }
        }
        Change::MoveNic { nic, network } => match config.nics.iter().find(|found| same_mac(&found.mac, &nic.mac)) {
            Some(found) if found.network.as_ref() == Some(network) => Ok(()),
            Some(_) | None => Err(format!("NIC {} is not on {}", nic.name, network.name)),
        },
        Change::ConnectNic { nic, connected } => {
            match config.nics.iter().find(|found| same_mac(&found.mac, &nic.mac)) {
                Some(found) if found.connected == *connected => Ok(()),
                Some(_) => {
                    Err(format!("NIC {} is {}", nic.name, if *connected { "not connected" } else { "still connected" }))
                }
                None => Err(format!("NIC {} is not there", nic.name)),
            }
        }
    }
}

fn is<T: PartialEq + std::fmt::Display + Copy>(what: &str, is: T, wanted: T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what}: {is}, and {wanted} was asked for")) }
}

fn is_named(name: &VmName, vm: &ObservedVm) -> Result<(), String> {
    if &*vm.name == name.as_str() { Ok(()) } else { Err(format!("its name is {} and not {name}", vm.name)) }
}

/// The last word on power in the step's operations.
fn powered(step: &Step, config: &VmConfig) -> Result<(), String> {
    let wanted = step.operations.iter().rev().find_map(|operation| match operation {
        Operation::Start => Some(PowerState::Running),
        Operation::Stop(_) => Some(PowerState::Stopped),
        Operation::Create(create) if create.start => Some(PowerState::Running),
        Operation::Create(_)
        | Operation::Reconfigure { .. }
        | Operation::Rename(_)
        | Operation::Unmark
        | Operation::Destroy { .. } => None,
    });
    match wanted {
        Some(PowerState::Running) if config.power != PowerState::Running => Err("it does not run".to_owned()),
        Some(PowerState::Stopped) if config.power != PowerState::Stopped => Err("it is not off".to_owned()),
        Some(_) | None => Ok(()),
    }
}
