//! NICs, their connections and VLANs, switches, and the addresses guests report.

use uuid::Uuid;

use super::system::keep;
use super::{View, host, numbers};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::{Owner, Part, VLAN_FEATURE, device_id, path, system_path, upper};
use crate::lab::world::{Id, Network, Nic, World};

pub(super) const NIC: &str = "Microsoft:Hyper-V:Synthetic Ethernet Port";
pub(super) const CONNECTION: &str = "Microsoft:Hyper-V:Ethernet Connection";

pub(super) fn nics(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in &view.owners() {
        all.extend(owner.vm.nics.iter().map(|card| nic(owner, card)));
    }
    all.extend(host::definitions(view, "Msvm_SyntheticEthernetPortSettingData"));
    all
}

fn nic(owner: &Owner<'_>, card: &Nic) -> Instance {
    let mut data = Instance::of("Msvm_SyntheticEthernetPortSettingData");
    data.all(&[
        ("Caption", "Ethernet Port"),
        ("Description", "Settings for the Microsoft Synthetic Ethernet Port."),
        ("ElementName", "Network Adapter"),
        ("ResourceType", "10"),
        ("ResourceSubType", NIC),
        ("AllocationUnits", "count"),
        ("VirtualQuantityUnits", "count"),
        ("VirtualQuantity", "1"),
        ("Reservation", "1"),
        ("Limit", "1"),
        ("Weight", "0"),
        ("ConsumerVisibility", "3"),
        ("AutomaticAllocation", "true"),
        ("AutomaticDeallocation", "true"),
        ("ClusterMonitored", "true"),
        ("DeviceNamingEnabled", "false"),
        ("AllowPacketDirect", "false"),
    ]);
    data.set("InstanceID", owner.id(Part::Nic(card.key))).set("Address", plain_mac(&card.mac));
    data.set("StaticMacAddress", card.mac_manual);
    let id = format!("{{{}}}", upper(device_id(owner.vm, card.key)));
    data.set("VirtualSystemIdentifiers", Value::Many(vec![id]));
    keep(&mut data, owner, &format!("nic {}", card.key));
    data
}

/// `00155D010203`.
pub(super) fn plain_mac(mac: &str) -> String {
    mac.replace(':', "").to_uppercase()
}

pub(super) fn ports(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in &view.owners() {
        for part in owner.parts() {
            let Part::Port(key) = part else { continue };
            all.extend(owner.vm.nics.iter().find(|nic| nic.key == key).map(|card| port(view, owner, card)));
        }
    }
    all.extend(host::definitions(view, "Msvm_EthernetPortAllocationSettingData"));
    all
}

fn port(view: &View<'_>, owner: &Owner<'_>, card: &Nic) -> Instance {
    let mut data = Instance::of("Msvm_EthernetPortAllocationSettingData");
    data.all(&[
        ("Caption", "Ethernet Switch Port Settings"),
        ("Description", "Ethernet Switch Port Settings"),
        ("ElementName", "Dynamic Ethernet Switch Port"),
        ("ResourceType", "33"),
        ("ResourceSubType", CONNECTION),
        ("VirtualQuantityUnits", "count"),
        ("ConsumerVisibility", "3"),
        ("AutomaticAllocation", "true"),
        ("AutomaticDeallocation", "true"),
        ("Weight", "0"),
    ]);
    data.set("InstanceID", owner.id(Part::Port(card.key)));
    data.set("Parent", path(&view.host.name, "Msvm_SyntheticEthernetPortSettingData", &owner.id(Part::Nic(card.key))));
    // 2 connected, 3 disconnected (SEQUENCES.md, "NIC, step 2").
    data.set("EnabledState", if card.start_connected { "2" } else { "3" });
    if let Some(network) = card.network.and_then(|id| view.world.networks.get(&id)) {
        let guid = upper(switch_id(view, network.id));
        let switch = system_path(&view.host.name, "Msvm_VirtualEthernetSwitch", &guid);
        data.set("HostResource", Value::Many(vec![switch])).set("LastKnownSwitchName", network.name.as_str());
    }
    data
}

pub(super) fn vlans(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in &view.owners() {
        for (key, vlan) in owner.vm.wmi.iter().flat_map(|wmi| &wmi.vlans) {
            if owner.vm.nics.iter().all(|nic| nic.key != *key) {
                continue;
            }
            let mut data = vlan_setting(owner.id(Part::Vlan(*key)));
            data.set("OperationMode", u64::from(vlan.mode)).set("AccessVlanId", u64::from(vlan.access));
            data.set("NativeVlanId", u64::from(vlan.native));
            let trunk: Vec<u32> = vlan.trunk.iter().map(|id| u32::from(*id)).collect();
            data.set("TrunkVlanIdArray", numbers(&trunk));
            all.push(data);
        }
    }
    if view.only.is_none() {
        let mut data = vlan_setting(format!(r"Microsoft:Definition\{VLAN_FEATURE}\Default"));
        data.all(&[("OperationMode", "0"), ("AccessVlanId", "0"), ("NativeVlanId", "0")]);
        all.push(data);
    }
    all
}

fn vlan_setting(id: String) -> Instance {
    let mut data = Instance::of("Msvm_EthernetSwitchPortVlanSettingData");
    data.all(&[
        ("Caption", "Ethernet Switch Port VLAN Settings"),
        ("Description", "Represents the vlan setting data."),
        ("ElementName", "Ethernet Switch Port VLAN Settings"),
        ("PvlanMode", "0"),
        ("PrimaryVlanId", "0"),
        ("SecondaryVlanId", "0"),
    ]);
    data.set("InstanceID", id);
    data
}

pub(super) fn switches(view: &View<'_>) -> Vec<Instance> {
    of_host(view.world, view.host.id)
        .map(|network| {
            let mut switch = Instance::of("Msvm_VirtualEthernetSwitch");
            switch.all(&[
                ("Caption", "Virtual Switch"),
                ("Description", "Microsoft Virtual Switch"),
                ("CreationClassName", "Msvm_VirtualEthernetSwitch"),
                ("EnabledState", "5"),
                ("EnabledDefault", "2"),
                ("HealthState", "5"),
                ("RequestedState", "12"),
                ("ResetCapability", "5"),
                ("MaxVMQOffloads", "16"),
            ]);
            switch.set("Name", upper(switch_id(view, network.id))).set("ElementName", network.name.as_str());
            switch.set("OperationalStatus", numbers(&[2]));
            switch
        })
        .collect()
}

/// The switches of a host.
pub(in crate::lab::hyperv) fn of_host(world: &World, host: Id) -> impl Iterator<Item = &Network> {
    world.networks.values().filter(move |network| network.hosts.is_empty() || network.hosts.contains(&host))
}

/// The GUID a switch has on a host: each host has switches of its own, though they may have one name.
fn switch_id(view: &View<'_>, network: Id) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("switch {} of {}", network.0, view.host.name).as_bytes())
}

/// The switch of this GUID.
pub(in crate::lab::hyperv) fn switch_of(view: &View<'_>, name: &str) -> Option<Id> {
    let guid = Uuid::parse_str(name.trim_matches(['{', '}'])).ok()?;
    of_host(view.world, view.host.id).map(|network| network.id).find(|id| switch_id(view, *id) == guid)
}

pub(super) fn guest_addresses(view: &View<'_>) -> Vec<Instance> {
    let mut all = Vec::new();
    for owner in view.owners().iter().filter(|owner| owner.checkpoint.is_none()) {
        for (number, nic) in owner.vm.nics.iter().enumerate() {
            let mut guest = Instance::of("Msvm_GuestNetworkAdapterConfiguration");
            let id = owner.id(Part::Nic(nic.key)).replace("Microsoft:", r"Microsoft:GuestNetwork\");
            guest.set("InstanceID", id).set("DHCPEnabled", true).set("ProtocolIFType", "4096");
            let reported = owner.vm.tools_run() && nic.connected && number == 0;
            let addresses: Vec<String> = owner.vm.guest.addresses.iter().map(ToString::to_string).collect();
            if reported && !addresses.is_empty() {
                guest.set("Subnets", Value::Many(vec!["255.255.0.0".to_owned(); addresses.len()]));
                guest.set("IPAddresses", Value::Many(addresses));
            }
            all.push(guest);
        }
    }
    all
}
