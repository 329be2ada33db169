//! A machine in the product's words. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::machine::{Adapter, Machine};
use super::notes;
use super::parts::System;
use super::paths;
use super::vhd::Vhd;
use crate::model::{
    Bytes, Config, Firmware, GuestAgent, GuestOs, Hot, NetworkTarget, ObservedDisk, ObservedNic, ObservedVm, OwnId,
    Placed, PowerState, VmConfig,
};

/// Disks by path in lower case; what could not be read with why.
pub(super) type Vhds = BTreeMap<String, Result<Vhd, String>>;

/// What stands around the VMs of a host.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    pub host: Arc<str>,
    pub cluster: Option<Arc<str>>,
    /// GUID of a switch in lower case -> its name.
    pub switches: BTreeMap<String, Arc<str>>,
}

/// One VM, with its configuration or why there is none.
pub(super) fn vm(around: &Surroundings, system: &System, machine: &Result<Machine, String>, vhds: &Vhds) -> ObservedVm {
    let config = match machine {
        Ok(machine) => config(around, system, machine, vhds)
            .map_or_else(Config::Unreadable, |config| Config::Readable(Box::new(config))),
        Err(why) => Config::Unreadable(why.clone()),
    };
    // The name in the settings is the newer one while a change is under way.
    let name =
        machine.as_ref().map_or_else(|_| Arc::clone(&system.name), |machine| machine.settings.name.as_str().into());
    ObservedVm {
        id: OwnId::new(&system.guid),
        handle: "".into(),
        name,
        placed: Placed {
            host: Some(Arc::clone(&around.host)).filter(|host| !host.is_empty()),
            cluster: around.cluster.clone(),
            folder: None,
            datacenter: None,
        },
        config,
    }
}

fn config(around: &Surroundings, system: &System, machine: &Machine, vhds: &Vhds) -> Result<VmConfig, String> {
    let firmware = match machine.settings.generation {
        Some(1) => Firmware::Bios,
        Some(2) => Firmware::Uefi,
        _ => return Err("the host does not tell its generation".to_owned()),
    };
    let disks = disks(machine, vhds)?;
    let guest_agent = match system.power {
        PowerState::Running if machine.obedient => GuestAgent::Running,
        _ => GuestAgent::NotRunning,
    };
    Ok(VmConfig {
        cpus: u32::try_from(machine.cpus).map_err(|_| "a senseless number of processors".to_owned())?,
        memory: Bytes::mib(machine.memory.mib),
        firmware,
        // Only a running guest tells what it is; nothing here depends on it.
        guest_os: GuestOs::Other,
        power: system.power,
        template: false,
        hot: hot(machine, &disks),
        disks,
        nics: machine.nics.iter().map(|nic| observed_nic(around, nic)).collect(),
        snapshots: machine.checkpointed || machine.disks().any(|(_, disk)| paths::is_checkpoint(&disk.path)),
        question: None,
        guest_agent,
        mark: notes::mark(&machine.settings.notes).map(str::to_owned),
        addresses: machine.addresses.clone(),
    })
}

/// `reference/hyperv/README.md`, "Hot": NICs on generation 2, SCSI disks and their growth. Memory only where the guest
/// takes it, which is not known; processors never.
fn hot(machine: &Machine, disks: &[ObservedDisk]) -> Hot {
    let on_scsi = disks.iter().all(|disk| disk.slot.starts_with("scsi"));
    Hot {
        add_cpu: false,
        add_memory: false,
        memory_limit: None,
        memory_increment: None,
        disks: on_scsi,
        grow_disk: on_scsi,
        nics: machine.is_generation_2(),
        // Reconnecting a port is what a person does at a running VM too, on either generation.
        nic_network: true,
    }
}

fn disks(machine: &Machine, vhds: &Vhds) -> Result<Vec<ObservedDisk>, String> {
    let mut disks = Vec::new();
    for drive in machine.drives.iter().filter(|drive| !drive.is_dvd) {
        let slot: Arc<str> = drive.slot().into();
        let Some(disk) = &drive.disk else {
            if drive.physical {
                // A disk of the host: seen, so that nothing is deleted under it, and never changed.
                let shared = true;
                disks.push(ObservedDisk {
                    id: None,
                    slot,
                    size: Bytes(0),
                    storage: None,
                    file: None,
                    parent: None,
                    shared,
                });
            }
            continue;
        };
        let vhd = match vhds.get(&disk.path.to_lowercase()) {
            Some(Ok(vhd)) => vhd,
            Some(Err(why)) => return Err(format!("its disk {} cannot be read: {why}", disk.path)),
            None => return Err(format!("its disk {} was not read", disk.path)),
        };
        disks.push(ObservedDisk {
            id: vhd.id.as_deref().map(Into::into),
            slot,
            size: vhd.size,
            storage: paths::parent(&disk.path).map(Into::into),
            file: Some(disk.path.as_str().into()),
            parent: vhd.parent.as_deref().map(Into::into),
            shared: disk.shared,
        });
    }
    Ok(disks)
}

fn observed_nic(around: &Surroundings, nic: &Adapter) -> ObservedNic {
    ObservedNic {
        slot: nic.slot().into(),
        mac: nic.mac.as_str().into(),
        network: network(around, nic),
        connected: nic.connected(),
    }
}

/// Switch and access VLAN. A trunk or a private VLAN cannot be said by one number: it is then not told.
fn network(around: &Surroundings, nic: &Adapter) -> Option<NetworkTarget> {
    let switch = nic.port.as_ref()?.switch.as_ref()?;
    let name = around.switches.get(switch)?.to_string();
    let vlan = match &nic.vlan {
        None => None,
        Some(vlan) if vlan.mode == 1 => Some(vlan.access).filter(|id| *id != 0),
        Some(vlan) if vlan.mode == 0 => None,
        Some(_) => return None,
    };
    Some(NetworkTarget { name, vlan })
}

/// Marks disks that two VMs have: neither is changed.
pub(super) fn mark_shared(vms: &mut [ObservedVm]) {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    let file_of = |disk: &ObservedDisk| disk.file.as_deref().map(str::to_lowercase);
    for file in vms.iter().filter_map(ObservedVm::readable).flat_map(|config| config.disks.iter().filter_map(file_of)) {
        *users.entry(file).or_default() += 1;
    }
    for vm in vms {
        let Config::Readable(config) = &mut vm.config else { continue };
        for disk in &mut config.disks {
            let twice = file_of(disk).and_then(|file| users.get(&file)).is_some_and(|count| *count > 1);
            disk.shared |= twice;
        }
    }
}
