//! The pool, its hosts, networks and PIFs.

use super::vm::CONTROL_MIB;
use super::{Record, View};
use crate::lab::world::seed::INTERNAL;
use crate::lab::world::{Id, Link, Power, World};
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tables::bytes;
use crate::lab::xenserver::value::Value;

/// Memory Xen itself takes, in MiB.
const XEN_MIB: u64 = 1024;

/// Bytes of a host's memory that no VM has.
pub(in crate::lab::xenserver) fn free_memory(world: &World, host: Id) -> i64 {
    let total = world.hosts.get(&host).map_or(0, |host| host.memory_mib);
    let used: u64 =
        world.vms().filter(|vm| vm.power == Power::On && vm.host == host).map(|vm| vm.memory_mib).sum::<u64>();
    bytes(total.saturating_sub(used + CONTROL_MIB + XEN_MIB))
}

impl View<'_> {
    pub(super) fn pool(&self) -> Record {
        let mut record = Record::new(Class::Pool);
        let storage = self.world.datastores.keys().next().copied();
        record
            .set("uuid", self.codec.uuid(&Obj::Pool).to_string())
            .set("name_label", self.world.clusters.values().next().map_or_else(String::new, |at| at.name.clone()))
            .set("master", self.reference(&Obj::Host(self.standing.master())));
        if let Some(storage) = storage {
            record.set("default_SR", self.reference(&Obj::Sr(storage)));
        }
        record
    }

    pub(super) fn host(&self, id: Id) -> Option<Record> {
        let host = self.world.hosts.get(&id)?;
        let on = self.world.vms().filter(|vm| vm.power == Power::On && vm.host == id);
        let resident: Vec<Obj> = std::iter::once(Obj::Vm(id)).chain(on.map(|vm| Obj::Vm(vm.id))).collect();
        let pbds: Vec<Obj> = self.world.datastores.keys().map(|sr| Obj::Pbd(id, *sr)).collect();
        let pifs: Vec<Obj> = self.physical().map(|network| Obj::Pif(id, network)).collect();
        let mut record = Record::new(Class::Host);
        record
            .set("uuid", self.codec.uuid(&Obj::Host(id)).to_string())
            .set("name_label", host.name.clone())
            .set("name_description", "Default install")
            .set("hostname", host.name.clone())
            .set("address", self.standing.address_of(id))
            .set("enabled", !host.maintenance)
            .set("memory_overhead", bytes(XEN_MIB))
            .set("control_domain", self.reference(&Obj::Vm(id)))
            .set("resident_VMs", self.references(&resident))
            .set("metrics", self.reference(&Obj::HostMetrics(id)))
            .set("PBDs", self.references(&pbds))
            .set("PIFs", self.references(&pifs))
            .set("cpu_info", Value::texts([("cpu_count", host.cores.to_string()), ("socket_count", "2".to_owned())]));
        Some(record)
    }

    pub(super) fn host_metrics(&self, id: Id) -> Option<Record> {
        let host = self.world.hosts.get(&id)?;
        let mut record = Record::new(Class::HostMetrics);
        record
            .set("uuid", self.codec.uuid(&Obj::HostMetrics(id)).to_string())
            .set("memory_total", bytes(host.memory_mib))
            .set("memory_free", free_memory(self.world, id))
            .set("live", host.link == Link::Connected)
            .set("last_updated", Value::Time(self.world.now_ms()));
        Some(record)
    }

    fn physical(&self) -> impl Iterator<Item = Id> {
        self.world.networks.values().filter(|network| network.name != INTERNAL).map(|network| network.id)
    }

    pub(super) fn network(&self, id: Id) -> Option<Record> {
        let network = self.world.networks.get(&id)?;
        let own = |vm: Id, nics: &[crate::lab::world::Nic]| -> Vec<Obj> {
            nics.iter().filter(|nic| nic.network == Some(id)).map(|nic| Obj::Vif(vm, nic.key)).collect()
        };
        let vifs: Vec<Obj> = self.world.vms().flat_map(|vm| own(vm.id, &vm.nics)).collect();
        let internal = network.name == INTERNAL;
        let hosts = self.world.hosts.keys().filter(|_| !internal);
        let pifs: Vec<Obj> = hosts.map(|host| Obj::Pif(*host, id)).collect();
        let mut record = Record::new(Class::Network);
        record
            .set("uuid", self.codec.uuid(&Obj::Network(id)).to_string())
            .set("name_label", network.name.clone())
            .set("bridge", if internal { "xenapi".to_owned() } else { format!("xenbr{}", id.0) })
            .set("VIFs", self.references(&vifs))
            .set("PIFs", self.references(&pifs));
        if internal {
            record.set("other_config", Value::texts([("is_host_internal_management_network", "true")]));
        }
        Some(record)
    }

    pub(super) fn pif(&self, host: Id, network: Id) -> Option<Record> {
        let at = self.world.hosts.get(&host)?;
        let index = self.physical().position(|physical| physical == network)?;
        let mut record = Record::new(Class::Pif);
        record
            .set("uuid", self.codec.uuid(&Obj::Pif(host, network)).to_string())
            .set("device", format!("eth{index}"))
            .set("host", self.reference(&Obj::Host(host)))
            .set("network", self.reference(&Obj::Network(network)))
            .set("MAC", format!("52:54:00:00:{:02x}:{index:02x}", host.0 & 0xff))
            .set("MTU", 1500)
            .set("VLAN", -1)
            .set("physical", true)
            .set("currently_attached", at.link == Link::Connected)
            .set("management", index == 0)
            .set("managed", true);
        if index == 0 {
            record.set("IP", self.standing.address_of(host));
        }
        Some(record)
    }
}
