//! NICs of a VM: made, connected to a switch and a VLAN, moved, disconnected, removed.

use super::cim::{self, Embedded, Parameter, Reference};
use super::client::Invoke;
use super::disks::vanished;
use super::hosts::Live;
use super::ident::address;
use super::machine::Adapter;
use super::parts::Subset;
use super::vhd;
use super::work::{Change, Work};
use crate::model::NetworkTarget;
use crate::plan::{NicAt, NicOrder};
use crate::provider::{ErrorKind, StepError};

const NIC: &str = "Msvm_SyntheticEthernetPortSettingData";
const PORT: &str = "Msvm_EthernetPortAllocationSettingData";
const VLAN: &str = "Msvm_EthernetSwitchPortVlanSettingData";
const SWITCH: &str = "Msvm_VirtualEthernetSwitch";
/// EnabledState of a connection that is on, and one that is off.
const ON: u64 = 2;
const OFF: u64 = 3;

impl Work<'_> {
    /// Makes a NIC if there is none of that name, and connects it. The device carries the manifest's name.
    pub(super) async fn ensure_nic(&self, live: Live, order: &NicOrder) -> Result<(Live, String), StepError> {
        let find = |live: &Live| {
            let mac = |nic: &&Adapter| order.mac.as_ref().is_some_and(|mac| nic.mac.eq_ignore_ascii_case(mac));
            let nics = &live.whole.machine.nics;
            let found = nics.iter().find(mac).or_else(|| nics.iter().find(|nic| nic.name == order.name));
            found.map(|nic| nic.id.clone())
        };
        let switch = self.switch(&live, &order.network)?;
        let live = if find(&live).is_some() {
            live
        } else {
            let mut nic = Embedded::new(NIC)
                .number("ResourceType", "uint16", 10)
                .string("ResourceSubType", "Microsoft:Hyper-V:Synthetic Ethernet Port")
                .string("ElementName", &order.name);
            if let Some(mac) = &order.mac {
                nic = nic.string("Address", &address(mac)).flag("StaticMacAddress", true);
            }
            let detail = format!("add NIC {}", order.name);
            self.add_resource(&live, nic, detail, |live| find(live).is_some()).await?
        };
        let id = find(&live).ok_or_else(|| self.failed("AddResourceSettings")(vanished("the NIC")))?;
        let live = self.connect_to(live, &id, (&order.name, &order.network, &switch)).await?;
        Ok((live, id))
    }

    /// Connects a NIC to a switch and a VLAN.
    pub(super) async fn connect_to(
        &self,
        live: Live,
        id: &str,
        (name, network, switch): (&str, &NetworkTarget, &str),
    ) -> Result<Live, StepError> {
        let path = cim::path(
            &live.around.host,
            SWITCH,
            &[("CreationClassName", SWITCH), ("Name", &switch.to_ascii_uppercase())],
        );
        let on_switch = |live: &Live| {
            let port = nic(live, id).and_then(|nic| nic.port.as_ref());
            port.is_some_and(|port| port.switch.as_deref() == Some(switch))
        };
        let detail = format!("connect NIC {name} to {}", network.name);
        let live = match nic(&live, id).and_then(|nic| nic.port.clone()) {
            None => {
                let port = Embedded::new(PORT)
                    .number("ResourceType", "uint16", 33)
                    .string("ResourceSubType", "Microsoft:Hyper-V:Ethernet Connection")
                    .number("EnabledState", "uint16", ON)
                    .string("Parent", &cim::path(&live.around.host, NIC, &[("InstanceID", id)]))
                    .strings("HostResource", &[&path]);
                self.add_resource(&live, port, detail, on_switch).await?
            }
            Some(_) if on_switch(&live) => live,
            Some(port) => {
                let port = Embedded::new(PORT).string("InstanceID", &port.id).strings("HostResource", &[&path]);
                self.modify_resources(&live, vec![port], detail, on_switch).await?
            }
        };
        self.set_vlan(live, id, (name, network.vlan)).await
    }

    /// The VLAN of a NIC's port: a setting that is removed and added, since hosts refuse to modify it (SEQUENCES.md,
    /// "NIC, step 3").
    async fn set_vlan(&self, live: Live, id: &str, (name, vlan): (&str, Option<u16>)) -> Result<Live, StepError> {
        let is = |live: &Live| {
            let found = nic(live, id).and_then(|nic| nic.vlan.as_ref());
            match (found, vlan) {
                (None, None) => true,
                (Some(found), Some(vlan)) => found.mode == 1 && found.access == vlan,
                (Some(found), None) => found.mode == 0,
                (None, Some(_)) => false,
            }
        };
        if is(&live) {
            return Ok(live);
        }
        let mut live = live;
        if let Some(found) = nic(&live, id).and_then(|nic| nic.vlan.clone()) {
            let parameters = vec![("FeatureSettings", Parameter::Reference(Reference::setting(VLAN, &found.id)))];
            let invoke = Invoke {
                target: self.service(&live.host, vhd::MACHINES).await?,
                method: "RemoveFeatureSettings",
                parameters,
            };
            let detail = format!("take NIC {name} off its VLAN");
            let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
            let off = || async { Ok(nic(&self.live().await?, id).is_some_and(|nic| nic.vlan.is_none())) };
            Box::pin(self.make(change, off)).await?;
            live = self.again(&live, Subset::Network).await?;
        }
        let (Some(vlan), Some(port)) = (vlan, nic(&live, id).and_then(|nic| nic.port.clone())) else { return Ok(live) };
        let setting =
            Embedded::new(VLAN).number("OperationMode", "uint32", 1).number("AccessVlanId", "uint16", vlan.into());
        let parameters = vec![
            ("AffectedConfiguration", Parameter::Reference(Reference::setting(PORT, &port.id))),
            ("FeatureSettings", Parameter::Embedded(setting)),
        ];
        let invoke =
            Invoke { target: self.service(&live.host, vhd::MACHINES).await?, method: "AddFeatureSettings", parameters };
        let detail = format!("put NIC {name} on VLAN {vlan}");
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
        Box::pin(self.make(change, || async { Ok(is(&self.live().await?)) })).await?;
        self.again(&live, Subset::Network).await
    }

    /// Switches a NIC's connection on or off; where it leads stays.
    pub(super) async fn set_connected(&self, live: Live, at: &NicAt, connected: bool) -> Result<Live, StepError> {
        let Some(found) = self.nic_at(&live, at)?.cloned() else {
            let why = format!("NIC `{}` is no longer at {}", at.name, at.slot);
            return Err(self.error("ModifyResourceSettings", ErrorKind::Conflict, why));
        };
        let Some(port) = found.port.as_ref() else {
            // Never connected: there is nothing to switch off, and nowhere to connect it to.
            let why = format!("NIC `{}` has no connection to switch on", at.name);
            return if connected {
                Err(self.error("ModifyResourceSettings", ErrorKind::Conflict, why))
            } else {
                Ok(live)
            };
        };
        if port.enabled == connected {
            return Ok(live);
        }
        let state = if connected { ON } else { OFF };
        let setting = Embedded::new(PORT).string("InstanceID", &port.id).number("EnabledState", "uint16", state);
        let detail = format!("{} NIC {}", if connected { "connect" } else { "disconnect" }, at.name);
        let is = |live: &Live| {
            nic(live, &found.id).and_then(|nic| nic.port.as_ref()).is_some_and(|port| port.enabled == connected)
        };
        self.modify_resources(&live, vec![setting], detail, is).await
    }

    /// Removes a NIC; its connection goes with it.
    pub(super) async fn remove_nic(&self, live: Live, at: &NicAt) -> Result<Live, StepError> {
        let Some(found) = self.nic_at(&live, at)?.cloned() else { return Ok(live) };
        let detail = format!("remove NIC {}", at.name);
        self.remove_resource(&live, (found.class, &found.id), (false, detail), |live| nic(live, &found.id).is_none())
            .await
    }

    /// The NIC that is meant: by slot and MAC, both.
    pub(super) fn nic_at<'l>(&self, live: &'l Live, at: &NicAt) -> Result<Option<&'l Adapter>, StepError> {
        let found = live.whole.machine.nics.iter().find(|nic| nic.slot().eq_ignore_ascii_case(&at.slot));
        match found {
            Some(nic) if !nic.mac.eq_ignore_ascii_case(&at.mac) => {
                let why = format!("at {} there is another NIC ({}) than `{}`", at.slot, nic.mac, at.name);
                Err(self.error("find the NIC", ErrorKind::Conflict, why))
            }
            found => Ok(found),
        }
    }

    /// GUID of the switch that a target names, on the VM's host.
    pub(super) fn switch(&self, live: &Live, network: &NetworkTarget) -> Result<String, StepError> {
        self.switch_in(&live.around.switches, network)
    }

    /// The same among these switches.
    pub(super) fn switch_in(
        &self,
        switches: &std::collections::BTreeMap<String, std::sync::Arc<str>>,
        network: &NetworkTarget,
    ) -> Result<String, StepError> {
        let refuse = |kind, why: String| Err(self.error("find the network", kind, why));
        let mut found = switches.iter().filter(|(_, name)| ***name == *network.name).map(|(guid, _)| guid);
        match (found.next(), found.next()) {
            (Some(guid), None) => Ok(guid.clone()),
            (None, _) => refuse(ErrorKind::NotFound, format!("there is no switch `{}` on the host", network.name)),
            (Some(_), Some(_)) => {
                refuse(ErrorKind::Conflict, format!("several switches of the host are called `{}`", network.name))
            }
        }
    }
}

fn nic<'l>(live: &'l Live, id: &str) -> Option<&'l Adapter> {
    live.whole.machine.nics.iter().find(|nic| nic.id.eq_ignore_ascii_case(id))
}
