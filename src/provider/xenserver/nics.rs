//! NICs: VIFs. Each call is made only where its effect is not there yet.
//!
//! A VIF has no switch of its own for "connected at power on": when a VM starts, every VIF is plugged in. What lets
//! nothing through, whether it runs or not, is its locking mode `disabled` (data model, `vif_locking_mode`); what it
//! was before is kept on it, so that a mode which somebody else chose comes back.

use serde_json::json;

use super::convert::Nic;
use super::machine::Machine;
use super::place;
use super::record::{LOCKED, OWNER, PART};
use super::rpc::{Ref, Request};
use super::work::{Change, Work};
use crate::model::NetworkTarget;
use crate::plan::{NicAt, NicOrder};
use crate::provider::{ErrorKind, StepError};

/// The locking mode of a new VIF.
const OPEN: &str = "network_default";
/// The locking mode that lets nothing through.
const CLOSED: &str = "disabled";

impl Work<'_> {
    /// A NIC of this name is there, made by us for this VM, and plugged in if it runs.
    pub(super) async fn ensure_nic(&self, machine: &Machine, order: &NicOrder) -> Result<(), StepError> {
        let fits = |nic: &&Nic| order.mac.as_ref().is_none_or(|mac| nic.observed.mac.eq_ignore_ascii_case(mac));
        // A MAC is ours alone, so a NIC that has it is the one.
        let by_mac = |nic: &Nic| order.mac.as_ref().is_some_and(|mac| nic.observed.mac.eq_ignore_ascii_case(mac));
        let there =
            machine.nic_of(&order.name).filter(fits).or_else(|| machine.parts.nics.iter().find(|nic| by_mac(nic)));
        let vif = match there {
            Some(nic) => nic.vif.clone(),
            None => self.make_nic(machine, order).await?,
        };
        if machine.is_running() {
            self.plug_nic(&vif, &order.name).await?;
        }
        Ok(())
    }

    async fn make_nic(&self, machine: &Machine, order: &NicOrder) -> Result<Ref, StepError> {
        let (network, record) = {
            let memory = self.memory().await?;
            place::network(&memory.store.places, &order.network.name).map_err(self.failed("find the network"))?
        };
        let record = json!({
            "VM": machine.reference.as_str(),
            "network": network.as_str(),
            "device": machine.free_nic().map_err(self.failed("VIF.create"))?.to_string(),
            "MAC": order.mac.as_deref().unwrap_or_default(), // empty: the server chooses
            "MTU": record.mtu.to_string(),
            "other_config": {OWNER: &*machine.vm.uuid, PART: order.name},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
            "locking_mode": OPEN,
            "ipv4_allowed": [],
            "ipv6_allowed": [],
        });
        let change = Change::new(
            Request::new("VIF.create").with(record),
            format!("add NIC {} on {}", order.name, order.network.name),
        );
        let there = || async { Ok(self.machine().await?.nic_of(&order.name).is_some()) };
        let made = self.make(change, there).await?;
        match made.as_deref().and_then(Ref::of) {
            Some(vif) => Ok(vif),
            None => {
                self.machine().await?.nic_of(&order.name).map(|nic| nic.vif.clone()).ok_or_else(|| {
                    self.error("VIF.create", ErrorKind::Unexpected, "the NIC was made and cannot be found")
                })
            }
        }
    }

    async fn plug_nic(&self, vif: &Ref, name: &str) -> Result<(), StepError> {
        let is_plugged = || async {
            Ok::<_, StepError>(
                self.machine().await?.parts.nics.iter().any(|nic| nic.vif == *vif && nic.record.attached),
            )
        };
        if is_plugged().await? {
            return Ok(());
        }
        let change = Change::new(Request::task("VIF.plug").on(vif), format!("give the guest NIC {name}"));
        self.make(change, is_plugged).await.map(drop)
    }

    /// Takes a NIC off the VM.
    pub(super) async fn remove_nic(&self, machine: &Machine, nic: &Nic, name: &str) -> Result<(), StepError> {
        let vif = &nic.vif;
        if machine.is_running() && nic.record.attached {
            let change = Change::new(Request::task("VIF.unplug").on(vif), format!("take NIC {name} from the guest"));
            let unplugged = || async {
                Ok(!self.machine().await?.parts.nics.iter().any(|found| found.vif == *vif && found.record.attached))
            };
            self.make(change, unplugged).await?;
        }
        let change = Change::new(Request::new("VIF.destroy").on(vif), format!("remove NIC {name}"));
        let gone = || async { Ok(!self.machine().await?.parts.nics.iter().any(|found| found.vif == *vif)) };
        self.make(change, gone).await.map(drop)
    }

    /// Connects a NIC to another network, whether the VM runs or not.
    pub(super) async fn move_nic(&self, nic: &Nic, name: &str, target: &NetworkTarget) -> Result<(), StepError> {
        if nic.observed.network.as_ref() == Some(target) {
            return Ok(());
        }
        let network = {
            let memory = self.memory().await?;
            place::network(&memory.store.places, &target.name).map_err(self.failed("find the network"))?.0
        };
        let change = Change::new(
            Request::task("VIF.move").on(&nic.vif).on(&network),
            format!("connect NIC {name} to {}", target.name),
        );
        let moved = || async {
            let machine = self.machine().await?;
            Ok(machine
                .parts
                .nics
                .iter()
                .any(|found| found.vif == nic.vif && found.record.network.as_ref() == Some(&network)))
        };
        self.make(change, moved).await.map(drop)
    }

    /// Lets nothing through a NIC, or what it let through before.
    pub(super) async fn connect_nic(
        &self,
        machine: &Machine,
        nic: &Nic,
        name: &str,
        connected: bool,
    ) -> Result<(), StepError> {
        if !connected {
            if nic.record.disabled {
                return Ok(());
            }
            if *nic.record.locking_mode != *OPEN && nic.record.locked.is_none() {
                let mode = &*nic.record.locking_mode;
                let request = Request::new("VIF.add_to_other_config").on(&nic.vif).with(LOCKED).with(mode);
                let kept = || async { Ok(self.vif(&nic.vif).await?.is_some_and(|nic| nic.record.locked.is_some())) };
                self.make(Change::new(request, format!("keep the locking mode of NIC {name}")), kept).await?;
            }
            return self.set_locking_mode(nic, CLOSED, format!("disconnect NIC {name}")).await;
        }
        if nic.record.disabled {
            let mode = nic.record.locked.as_deref().unwrap_or(OPEN);
            self.set_locking_mode(nic, mode, format!("connect NIC {name}")).await?;
        }
        if nic.record.locked.is_some() {
            let request = Request::new("VIF.remove_from_other_config").on(&nic.vif).with(LOCKED);
            let forgotten = || async { Ok(self.vif(&nic.vif).await?.is_some_and(|nic| nic.record.locked.is_none())) };
            self.make(Change::new(request, format!("forget the former locking mode of NIC {name}")), forgotten).await?;
        }
        if machine.is_running() {
            self.plug_nic(&nic.vif, name).await?;
        }
        Ok(())
    }

    async fn set_locking_mode(&self, nic: &Nic, mode: &str, detail: String) -> Result<(), StepError> {
        let request = Request::new("VIF.set_locking_mode").on(&nic.vif).with(mode);
        let set = || async { Ok(self.vif(&nic.vif).await?.is_some_and(|nic| *nic.record.locking_mode == *mode)) };
        self.make(Change::new(request, detail), set).await.map(drop)
    }

    async fn vif(&self, vif: &Ref) -> Result<Option<Nic>, StepError> {
        Ok(self.machine().await?.parts.nics.into_iter().find(|nic| nic.vif == *vif))
    }

    /// The NIC that is meant, if it is there.
    pub(super) fn meant_nic<'m>(&self, machine: &'m Machine, at: &NicAt) -> Result<Option<&'m Nic>, StepError> {
        machine.nic(at).map_err(self.failed("find the NIC"))
    }
}
