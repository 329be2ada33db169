//! A machine in the product's words. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::machine::{Adapter, Machine, SCSI};
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
            .map_or_else(Config::Unreadable, |config| Config::Readable(Arc::new(config))),
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
    // A controller is added only while the VM is off.
    let takes_disks = machine.controllers.iter().any(|controller| controller.kind == SCSI);
    Hot {
        add_cpu: false,
        add_memory: false,
        memory_limit: None,
        memory_increment: None,
        disks: on_scsi && takes_disks,
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
        let config = Arc::make_mut(config);
        for disk in &mut config.disks {
            let twice = file_of(disk).and_then(|file| users.get(&file)).is_some_and(|count| *count > 1);
            disk.shared |= twice;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine;
    use super::super::parts::{Medium, Memory, Nic, Parts, Port, Resource, Settings, Vlan};
    use super::*;

    const VM: &str = "4764334d-e001-4176-82ee-5594ec9b530e";
    const CHECKPOINT: &str = "11111111-e001-4176-82ee-5594ec9b530e";

    fn id(vm: &str, rest: &str) -> String {
        format!(r"Microsoft:{}\{rest}", vm.to_ascii_uppercase())
    }

    fn resource(vm: &str, rest: &str, kind: u64, unit: Option<u8>, parent: Option<&str>) -> (String, Resource) {
        let subtype = String::new();
        let parent = parent.map(|parent| id(vm, parent));
        (vm.to_owned(), Resource { id: id(vm, rest), kind, subtype, address: Some(1), unit, parent })
    }

    fn medium(vm: &str, rest: &str, parent: &str, path: &str) -> (String, Medium) {
        let (id, parent) = (id(vm, rest), Some(id(vm, parent)));
        (vm.to_owned(), Medium { id, parent, path: path.to_owned(), is_disk: true, shared: false })
    }

    /// A VM of generation 2 with two SCSI controllers, a disk on each, and a NIC; with a
    /// checkpoint's settings beside it.
    fn parts() -> Parts {
        let notes = notes::with_mark("mine", "{}");
        let settings = Settings {
            id: id(VM, "").trim_end_matches('\\').to_owned(),
            name: "erp".into(),
            notes,
            generation: Some(2),
            root: None,
        };
        let mut parts = Parts { settings: BTreeMap::from([(VM.to_owned(), settings)]), ..Parts::default() };
        for vm in [VM, CHECKPOINT] {
            parts.processors.insert(vm.to_owned(), (id(vm, "p"), 2));
            parts.memories.insert(vm.to_owned(), (id(vm, "m"), Memory { mib: 4096, dynamic: false }));
            parts.resources.push(resource(vm, r"A\0", 6, None, None));
            parts.resources.push(resource(vm, r"B\0", 6, None, None));
            parts.resources.push(resource(vm, r"B\0\3\D", 17, Some(3), Some(r"B\0")));
            parts.resources.push(resource(vm, r"A\0\0\D", 17, Some(0), Some(r"A\0")));
            parts.media.push(medium(vm, r"A\0\0\L", r"A\0\0\D", r"D:\Hyper-V\root.vhdx"));
            parts.media.push(medium(vm, r"B\0\3\L", r"B\0\3\D", r"E:\Data\data.vhdx"));
            let nic = Nic { id: id(vm, "N"), class: "", name: "eth0".into(), address: "00155D010203".into() };
            parts.nics.push((vm.to_owned(), nic));
            let (parent, switch) = (Some(id(vm, "N")), Some("s".to_owned()));
            parts.ports.push((vm.to_owned(), Port { id: id(vm, r"N\C"), parent, enabled: true, switch }));
            parts.vlans.push((vm.to_owned(), Vlan { id: id(vm, r"N\C\F\1"), mode: 1, access: 110 }));
        }
        parts
    }

    fn vhds() -> Vhds {
        let vhd = |id: &str, gib| Vhd { size: Bytes::gib(gib), id: Some(id.to_owned()), parent: None, format: 3 };
        BTreeMap::from([
            (r"d:\hyper-v\root.vhdx".to_owned(), Ok(vhd("root", 40))),
            (r"e:\data\data.vhdx".to_owned(), Ok(vhd("data", 100))),
        ])
    }

    fn observed(parts: Parts, vhds: &Vhds) -> ObservedVm {
        let mut machines = machine::join(parts);
        assert_eq!(machines.len(), 1, "a checkpoint is no VM");
        let switches = BTreeMap::from([("s".to_owned(), Arc::from("vSwitch-QA"))]);
        let around = Surroundings { host: "HV01".into(), cluster: None, switches };
        let system = System {
            guid: VM.to_owned(),
            name: "erp".into(),
            power: PowerState::Running,
            stamp: String::new(),
            replica: false,
        };
        vm(&around, &system, &machines.remove(VM).unwrap(), vhds)
    }

    #[test]
    fn a_vm_is_joined_by_instance_ids_in_slot_order() {
        let vm = observed(parts(), &vhds());
        let config = vm.readable().unwrap();
        let disks: Vec<_> = config.disks.iter().map(|disk| (&*disk.slot, disk.size, disk.storage.as_deref())).collect();
        assert_eq!(
            disks,
            [("scsi0:0", Bytes::gib(40), Some(r"D:\Hyper-V")), ("scsi1:3", Bytes::gib(100), Some(r"E:\Data"))]
        );
        let network = NetworkTarget { name: "vSwitch-QA".into(), vlan: Some(110) };
        let nic = &config.nics[0];
        assert_eq!((&*nic.slot, &*nic.mac, nic.network.as_ref()), ("N", "00:15:5d:01:02:03", Some(&network)));
        assert!(nic.connected && config.hot.nics && config.hot.grow_disk && !config.hot.add_cpu);
        assert_eq!((config.mark.as_deref(), config.cpus, config.memory), (Some("{}"), 2, Bytes::gib(4)));
    }

    #[test]
    fn what_cannot_be_told_makes_a_vm_unreadable_and_never_smaller() {
        let mut no_disk = vhds();
        no_disk.insert(r"e:\data\data.vhdx".to_owned(), Err("the host's words".to_owned()));
        let mut no_drive = parts();
        no_drive.resources.retain(|(_, resource)| resource.kind != 17);
        let mut no_controller = parts();
        no_controller.resources.retain(|(_, resource)| resource.kind != 6);
        let mut no_memory = parts();
        no_memory.memories.clear();
        let mut no_generation = parts();
        no_generation.settings.get_mut(VM).unwrap().generation = None;
        for (parts, vhds) in [
            (parts(), no_disk),
            (parts(), Vhds::new()),
            (no_drive, vhds()),
            (no_controller, vhds()),
            (no_memory, vhds()),
            (no_generation, vhds()),
        ] {
            let vm = observed(parts, &vhds);
            assert!(matches!(vm.config, Config::Unreadable(_)), "{vm:?}");
        }
    }

    #[test]
    fn a_trunk_is_no_network_that_a_name_and_a_number_could_say() {
        let mut trunk = parts();
        trunk.vlans.iter_mut().for_each(|(_, vlan)| vlan.mode = 2);
        let vm = observed(trunk, &vhds());
        assert_eq!(vm.readable().unwrap().nics[0].network, None);
    }

    #[test]
    fn a_file_that_two_vms_have_is_shared() {
        let one = observed(parts(), &vhds());
        let mut vms = [one.clone(), ObservedVm { id: OwnId::new("other"), ..one }];
        mark_shared(&mut vms);
        assert!(vms.iter().all(|vm| vm.readable().unwrap().disks.iter().all(|disk| disk.shared)));
    }
}
