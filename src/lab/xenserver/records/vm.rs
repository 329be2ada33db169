//! VMs, templates, snapshots, control domains, and their metrics.

use super::{Machine, Record, View, or_null};
use crate::lab::world::{Firmware, Id, Power, Vm};
use crate::lab::xenserver::operations;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::tables::{Memory, bytes};
use crate::lab::xenserver::value::Value;

/// Memory of a control domain, in MiB.
pub(super) const CONTROL_MIB: u64 = 4096;

/// `Halted` and its kin.
pub(super) const fn power_state(power: Power) -> &'static str {
    match power {
        Power::On => "Running",
        Power::Off => "Halted",
        Power::Suspended => "Suspended",
    }
}

impl View<'_> {
    pub(super) fn vm(&self, id: Id) -> Option<Record> {
        let mut record = Record::new(Class::Vm);
        match self.machine(id)? {
            Machine::Control(host) => self.control_domain(&mut record, host),
            Machine::Vm(vm) => {
                self.hardware(&mut record, id, vm);
                let snapshots: Vec<Obj> = vm.snapshots.iter().map(|one| Obj::Vm(one.id)).collect();
                record.set("snapshots", self.references(&snapshots)).set("uuid", vm.instance_uuid.to_string());
                self.runtime(&mut record, vm);
            }
            Machine::Snapshot(snapshot, of) => {
                self.hardware(&mut record, id, &snapshot.state);
                record
                    .set("uuid", self.codec.uuid(&Obj::Vm(id)).to_string())
                    .set("name_label", snapshot.name.clone())
                    .set("name_description", snapshot.description.clone())
                    .set("is_a_snapshot", true)
                    .set("is_a_template", true)
                    .set("snapshot_of", self.reference(&Obj::Vm(of)))
                    .set("snapshot_time", Value::Time(snapshot.at))
                    .set("power_state", "Halted")
                    .set("domid", -1);
            }
        }
        record.set("allowed_operations", operations::allowed(self, id));
        Some(record)
    }

    /// What a VM and a snapshot of it have alike.
    fn hardware(&self, record: &mut Record, id: Id, vm: &Vm) {
        let Memory { static_min, dynamic_min, dynamic_max, static_max } = self.tables.memory(vm);
        let vbds: Vec<Obj> = vm.disks.iter().map(|disk| Obj::Vbd(id, disk.key)).collect();
        let drives: Vec<Obj> = self.tables.drives_of(id).map(|(key, _)| Obj::Vbd(id, key)).collect();
        let vifs: Vec<Obj> = vm.nics.iter().map(|nic| Obj::Vif(id, nic.key)).collect();
        let mut boot = vec![("order".to_owned(), "cdn".to_owned())];
        boot.extend((vm.firmware == Firmware::Uefi).then(|| ("firmware".to_owned(), "uefi".to_owned())));
        record
            .set("name_label", vm.name.to_string())
            .set("name_description", vm.annotation.to_string())
            .set("VCPUs_at_startup", i64::from(vm.cpus))
            .set("VCPUs_max", i64::from(self.tables.most_cpus(vm)))
            .set("memory_static_min", static_min)
            .set("memory_static_max", static_max)
            .set("memory_dynamic_min", dynamic_min)
            .set("memory_dynamic_max", dynamic_max)
            .set("memory_target", dynamic_max)
            .set("VBDs", self.references(vbds.iter().chain(&drives)))
            .set("VIFs", self.references(&vifs))
            .set("HVM_boot_params", Value::texts(boot))
            .set("is_a_template", vm.template)
            .set("is_default_template", vm.setting("default_template") == Some("true"))
            .set(
                "other_config",
                Value::texts(vm.settings.iter().map(|(key, text)| (key.to_string(), text.to_string()))),
            )
            .set("metrics", self.reference(&Obj::VmMetrics(id)));
    }

    fn runtime(&self, record: &mut Record, vm: &Vm) {
        let running = vm.power == Power::On;
        let host = self.reference(&Obj::Host(vm.host));
        record
            .set("power_state", power_state(vm.power))
            .set("resident_on", or_null(running.then_some(host)))
            .set("domid", if running { i64::from(vm.id.0) } else { -1 })
            .set("current_operations", operations::current(self, vm.id))
            .set("guest_metrics", or_null(vm.tools_run().then(|| self.reference(&Obj::GuestMetrics(vm.id)))));
    }

    fn control_domain(&self, record: &mut Record, host: Id) {
        let memory = bytes(CONTROL_MIB);
        let name = self.world.hosts.get(&host).map_or("", |host| host.name.as_str());
        for field in ["memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max"] {
            record.set(field, memory);
        }
        record
            .set("uuid", self.codec.uuid(&Obj::Vm(host)).to_string())
            .set("name_label", format!("Control domain on host: {name}"))
            .set("name_description", "The domain which manages physical devices and manages other domains")
            .set("is_control_domain", true)
            .set("domain_type", "pv")
            .set("HVM_boot_policy", "")
            .set("HVM_boot_params", Value::Map(Vec::new()))
            .set("power_state", "Running")
            .set("VCPUs_at_startup", 4)
            .set("VCPUs_max", 4)
            .set("memory_target", memory)
            .set("affinity", self.reference(&Obj::Host(host)))
            .set("resident_on", self.reference(&Obj::Host(host)))
            .set("metrics", self.reference(&Obj::VmMetrics(host)));
    }

    pub(super) fn vm_metrics(&self, id: Id) -> Option<Record> {
        let machine = self.machine(id)?;
        let mut record = Record::new(Class::VmMetrics);
        record.set("uuid", self.codec.uuid(&Obj::VmMetrics(id)).to_string()).set("hvm", true);
        match machine {
            Machine::Vm(vm) if vm.power == Power::On => {
                record
                    .set("memory_actual", self.tables.memory(vm).dynamic_max)
                    .set("VCPUs_number", i64::from(self.tables.live_cpus(vm)))
                    .set("start_time", Value::Time(vm.booted_at.unwrap_or_default()))
                    .set("current_domain_type", "hvm");
            }
            Machine::Control(_) => {
                record.set("memory_actual", bytes(CONTROL_MIB)).set("VCPUs_number", 4).set("hvm", false);
            }
            Machine::Vm(_) | Machine::Snapshot(..) => {
                record.set("memory_actual", 0).set("VCPUs_number", 0).set("current_domain_type", "unspecified");
            }
        }
        record.set("last_updated", Value::Time(self.world.now_ms()));
        Some(record)
    }

    /// What the guest's tools tell while they run.
    pub(super) fn guest_metrics(&self, id: Id) -> Option<Record> {
        let vm = self.world.vm(id).filter(|vm| vm.tools_run())?;
        let mut record = Record::new(Class::GuestMetrics);
        let addresses: Vec<(String, String)> = vm
            .guest
            .addresses
            .iter()
            .enumerate()
            .flat_map(|(at, address)| {
                [(format!("0/ipv4/{at}"), address.to_string()), ("0/ip".to_owned(), address.to_string())]
            })
            .take(2)
            .collect();
        let windows = vm.guest_id.starts_with("windows");
        let (name, distro) =
            if windows { ("Microsoft Windows Server 2022", "windows") } else { ("Debian GNU/Linux 12", "debian") };
        record
            .set("uuid", self.codec.uuid(&Obj::GuestMetrics(id)).to_string())
            .set("os_version", Value::texts([("name", name), ("distro", distro)]))
            .set("PV_drivers_version", Value::texts([("major", "8"), ("minor", "3"), ("micro", "0"), ("build", "1")]))
            .set("PV_drivers_up_to_date", true)
            .set("PV_drivers_detected", true)
            .set("networks", Value::texts(addresses))
            .set(
                "other",
                Value::texts([("feature-shutdown", "1"), ("feature-reboot", "1"), ("feature-vcpu-hotplug", "1")]),
            )
            .set("can_use_hotplug_vbd", "yes")
            .set("can_use_hotplug_vif", "yes")
            .set("live", true)
            .set("last_updated", Value::Time(vm.booted_at.unwrap_or_default()));
        Some(record)
    }
}
