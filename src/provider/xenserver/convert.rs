//! One VM with its disks and NICs, in our words. Pure.
//!
//! ```text
//! slot vbd0   userdevice of the VBD        id, file   uuid of the VDI        CDs and floppies are no disks
//! slot vif0   device of the VIF            connected  its locking mode lets it through, and it is plugged in if it runs
//! ```
//!
//! What changes while it runs follows what a real server answers: CPUs and memory never (`VCPUs_max` and the static
//! range need a halted VM, recorded/25; `VCPUs_at_startup` is taken and lands at the next boot), a disk never grows in
//! place (`VDI_IN_USE`, recorded/26), disks and NICs come and go where the guest's drivers say so, and a NIC always
//! moves, since `VIF.move` asks nothing of the guest.

use std::sync::Arc;

use super::record::{Guest, Kind, Tristate, Vbd, Vdi, Vif, Vm};
use super::rpc::Ref;
use super::store::{Read, Store, get};
use crate::mark;
use crate::model::{
    Bytes, Config, Firmware, GuestAgent, GuestOs, Hot, NetworkTarget, ObservedDisk, ObservedNic, ObservedVm, OwnId,
    Placed, PowerState, VmConfig,
};

/// An attached disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub vbd: Ref,
    pub vdi: Ref,
    pub record: Vdi,
    pub plugged: bool,
    pub observed: ObservedDisk,
}

/// A NIC.
#[derive(Debug, Clone)]
pub(super) struct Nic {
    pub vif: Ref,
    pub record: Vif,
    pub observed: ObservedNic,
}

/// What is plugged into a VM, in slot order.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    pub disks: Vec<Disk>,
    pub cds: Vec<(Ref, Vbd)>,
    pub nics: Vec<Nic>,
    /// Numbers that no further disk or CD can have.
    pub devices: Vec<u32>,
}

/// The slot of a disk.
pub(super) fn disk_slot(device: &str) -> String {
    format!("vbd{device}")
}

/// The slot of a NIC.
pub(super) fn nic_slot(device: &str) -> String {
    format!("vif{device}")
}

/// Is it a VM in our words? Control domains and snapshots are not; a template is only with our birth name or a mark.
pub(super) fn is_vm(vm: &Vm) -> bool {
    !vm.control_domain && !vm.snapshot && (!vm.template || is_newborn(vm) || vm.mark().is_some())
}

/// Is it something to make VMs from?
pub(super) fn is_image(vm: &Vm) -> bool {
    vm.template && !vm.snapshot && !vm.control_domain && !is_newborn(vm)
}

/// Born by us, and not yet renamed. As long as it is not provisioned, XAPI calls it a template.
pub(super) fn is_newborn(vm: &Vm) -> bool {
    mark::of_birth_name(&vm.name).is_some()
}

/// Our mark, if it is this VM's. A clone begins with the settings of what it was made from, and one of those may be a
/// mark of another VM: as long as it has only its birth name, that says nothing of it.
pub(super) fn own_mark(vm: &Vm) -> Option<&str> {
    let text = vm.mark()?;
    let born = mark::of_birth_name(&vm.name);
    let strange = born.is_some_and(|born| mark::parse(text).is_ok_and(|mark| mark.identity != born));
    (!strange).then_some(text)
}

/// A VM, read as far as it can be; `None` for what is no VM in our words.
pub(super) fn observe(store: &Store, pool: &str, reference: &Ref, vm: &Read<Vm>) -> Option<ObservedVm> {
    let handle = handle(pool, reference);
    let vm = match vm {
        Ok(vm) => vm,
        Err(unreadable) => {
            let unknown = || format!("unknown-{reference}").into();
            return Some(ObservedVm {
                id: OwnId::new(&unreadable.uuid.clone().unwrap_or_else(unknown)),
                handle,
                name: unreadable.name.clone().unwrap_or_default(),
                placed: Placed::default(),
                config: Config::Unreadable(unreadable.why.clone()),
            });
        }
    };
    is_vm(vm).then(|| {
        let host = vm.host.as_ref().or(vm.affinity.as_ref()).and_then(|host| get(&store.places.hosts, host));
        ObservedVm {
            id: OwnId::new(&vm.uuid),
            handle,
            name: Arc::clone(&vm.name),
            placed: Placed { host: host.map(|host| Arc::clone(&host.name_label)), ..Placed::default() },
            config: match parts(store, reference, vm) {
                Ok(parts) => Config::Readable(Arc::new(config(store, vm, &parts))),
                Err(why) => Config::Unreadable(why),
            },
        }
    })
}

/// A reference means something only in its pool, so the pool's uuid goes with it.
pub(super) fn handle(pool: &str, reference: &Ref) -> Arc<str> {
    format!("{pool}/{reference}").into()
}

/// What is plugged into a VM, or why that cannot be told.
pub(super) fn parts(store: &Store, reference: &Ref, vm: &Vm) -> Result<Parts, String> {
    if let Some(why) = unknown_host(store, vm) {
        return Err(why);
    }
    let mut parts = Parts::default();
    for vbd_ref in &vm.vbds {
        let vbd = get(&store.vbds, vbd_ref).ok_or_else(|| format!("its device {vbd_ref} cannot be read"))?;
        parts.devices.extend(vbd.userdevice.parse::<u32>());
        match (vbd.kind, &vbd.vdi) {
            (Kind::Cd, _) => parts.cds.push((vbd_ref.clone(), vbd.clone())),
            (Kind::Floppy, _) | (Kind::Disk, None) => {}
            (Kind::Disk, Some(vdi)) => parts.disks.push(disk(store, (vbd_ref, vbd), vdi)?),
        }
    }
    for vif_ref in &vm.vifs {
        let vif =
            get(&store.vifs, vif_ref).ok_or_else(|| format!("its NIC {vif_ref} of {reference} cannot be read"))?;
        parts.nics.push(nic(store, vif_ref, vif, vm.power == PowerState::Running));
    }
    parts.disks.sort_by_key(|disk| number(&disk.observed.slot));
    parts.nics.sort_by_key(|nic| number(&nic.observed.slot));
    Ok(parts)
}

/// Nobody knows how a VM fares whose host is not heard of.
fn unknown_host(store: &Store, vm: &Vm) -> Option<String> {
    let host = vm.host.as_ref()?;
    let Some(record) = get(&store.places.hosts, host) else { return Some(format!("its host {host} cannot be read")) };
    let metrics = record.metrics.as_ref().and_then(|metrics| get(&store.places.host_metrics, metrics));
    metrics.is_some_and(|metrics| !metrics.live).then(|| format!("its host {} is not heard of", record.name_label))
}

fn disk(store: &Store, (vbd_ref, vbd): (&Ref, &Vbd), vdi_ref: &Ref) -> Result<Disk, String> {
    let vdi = get(&store.vdis, vdi_ref).ok_or_else(|| format!("its disk {vdi_ref} cannot be read"))?;
    let sr = vdi.sr.as_ref().and_then(|sr| get(&store.places.srs, sr));
    let observed = ObservedDisk {
        id: Some(Arc::clone(&vdi.uuid)),
        slot: disk_slot(&vbd.userdevice).into(),
        size: Bytes(vdi.size),
        storage: sr.map(|sr| Arc::clone(&sr.name_label)),
        file: Some(Arc::clone(&vdi.uuid)),
        // XAPI keeps chains of images to itself: deleting one VDI never harms another.
        parent: None,
        shared: vdi.sharable || vdi.vbds.iter().any(|other| other != vbd_ref),
    };
    Ok(Disk {
        vbd: vbd_ref.clone(),
        vdi: vdi_ref.clone(),
        record: vdi.clone(),
        plugged: vbd.currently_attached,
        observed,
    })
}

fn nic(store: &Store, vif_ref: &Ref, vif: &Vif, running: bool) -> Nic {
    let network = vif.network.as_ref().and_then(|network| get(&store.places.networks, network));
    let observed = ObservedNic {
        slot: nic_slot(&vif.device).into(),
        mac: Arc::clone(&vif.mac),
        network: network.map(|network| NetworkTarget { name: network.name.to_string(), vlan: None }),
        connected: !vif.disabled && (vif.attached || !running),
    };
    Nic { vif: vif_ref.clone(), record: vif.clone(), observed }
}

/// The number in a slot.
fn number(slot: &str) -> u32 {
    slot.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(u32::MAX)
}

/// A VM's configuration.
pub(super) fn config(store: &Store, vm: &Vm, parts: &Parts) -> VmConfig {
    let running = vm.power == PowerState::Running;
    let guest = vm.guest_metrics.as_ref().filter(|_| running).and_then(|guest| get(&store.guests, guest));
    VmConfig {
        cpus: u32::try_from(vm.cpus).unwrap_or(u32::MAX),
        memory: Bytes(vm.memory),
        firmware: if vm.uefi { Firmware::Uefi } else { Firmware::Bios },
        guest_os: guest_os(vm, guest),
        power: vm.power,
        template: vm.template && !is_newborn(vm),
        disks: parts.disks.iter().map(|disk| disk.observed.clone()).collect(),
        nics: parts.nics.iter().map(|nic| nic.observed.clone()).collect(),
        snapshots: vm.snapshots,
        question: None,
        guest_agent: guest_agent(vm),
        hot: Hot {
            disks: guest.is_some_and(|guest| plugs(guest, guest.hotplug_vbd)),
            nics: guest.is_some_and(|guest| plugs(guest, guest.hotplug_vif)),
            nic_network: running,
            ..Hot::default()
        },
        mark: own_mark(vm).map(str::to_owned),
        addresses: guest.map(addresses).unwrap_or_default(),
    }
}

/// A server allows hot-plug where the guest's drivers claim it, or say nothing and are there (xapi, allowed
/// operations of VBD and VIF).
fn plugs(guest: &Guest, claim: Tristate) -> bool {
    match claim {
        Tristate::Yes => true,
        Tristate::No => false,
        Tristate::Unspecified => guest.drivers,
    }
}

/// Whether a clean shutdown is among what the server would do now says it best.
fn guest_agent(vm: &Vm) -> GuestAgent {
    match vm.power {
        PowerState::Running if vm.may_shut_down => GuestAgent::Running,
        // Meanwhile nothing at all is allowed.
        PowerState::Running if !vm.operations.is_empty() => GuestAgent::Unknown,
        PowerState::Running | PowerState::Stopped => GuestAgent::NotRunning,
        PowerState::Suspended | PowerState::Unknown => GuestAgent::Unknown,
    }
}

fn guest_os(vm: &Vm, guest: Option<&Guest>) -> GuestOs {
    let named = |key: &str| guest.and_then(|guest| guest.os_version.get(key)).map(|name| name.to_lowercase());
    let windows = [named("distro"), named("name")].into_iter().flatten().any(|name| name.contains("windows"));
    if windows || vm.windows { GuestOs::Windows } else { GuestOs::Linux }
}

/// Keys are `0/ip`, `0/ipv4/0`, `0/ipv6/0`.
fn addresses(guest: &Guest) -> Vec<Arc<str>> {
    let mut addresses: Vec<Arc<str>> = Vec::new();
    for address in guest.networks.iter().filter(|(key, _)| key.contains("/ip")).map(|(_, address)| address) {
        if !addresses.iter().any(|known| **known == **address) {
            addresses.push(address.as_str().into());
        }
    }
    addresses
}
