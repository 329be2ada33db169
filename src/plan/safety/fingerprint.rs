//! What identifies a VM's state for an approval and for apply's last look: nothing that moves by itself.

use crate::mark;
use crate::model::{ObservedDisk, ObservedNic, ObservedVm, PowerState};
use crate::plan::Fingerprint;

/// The fingerprint of a VM. One whose configuration could not be read has an empty one of unknown power, equal to no
/// readable VM's.
pub fn fingerprint(vm: &ObservedVm) -> Fingerprint {
    let Some(config) = vm.readable() else {
        return Fingerprint {
            own_id: vm.id.clone(),
            mark_generation: None,
            name: vm.name.to_string(),
            power: PowerState::Unknown,
            disks: Vec::new(),
            nics: Vec::new(),
            snapshots: false,
            cpus: 0,
            memory: 0,
        };
    };
    Fingerprint {
        own_id: vm.id.clone(),
        mark_generation: config.mark.as_deref().and_then(|text| mark::parse(text).ok()).map(|mark| mark.generation),
        name: vm.name.to_string(),
        power: config.power,
        disks: config.disks.iter().map(disk).collect(),
        nics: config.nics.iter().map(nic).collect(),
        snapshots: config.snapshots,
        cpus: config.cpus,
        memory: config.memory.0,
    }
}

/// `slot id size file`. What it lies on and what it is a child of follow from the file;
/// sharing is judged anew each time.
pub(super) fn disk(disk: &ObservedDisk) -> String {
    let ObservedDisk { id, slot, size, storage: _, file, parent: _, shared: _ } = disk;
    format!("{slot} {} {} {}", id.as_deref().unwrap_or("-"), size.0, file.as_deref().unwrap_or("-"))
}

/// `slot mac network connected`.
pub(super) fn nic(nic: &ObservedNic) -> String {
    let ObservedNic { slot, mac, network, connected } = nic;
    let network = match network {
        Some(target) => match target.vlan {
            Some(vlan) => format!("{}@{vlan}", target.name),
            None => target.name.clone(),
        },
        None => "-".to_owned(),
    };
    format!("{slot} {mac} {network} {}", if *connected { "connected" } else { "disconnected" })
}
