//! Integration components: what the host and a guest say to each other.

use super::{View, numbers};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::upper;
use crate::lab::world::{Power, Vm};

/// Only a running VM has them. `OperationalStatus` is 2 (OK) when the guest answers, else 12 (no contact).
pub(super) fn components(view: &View<'_>, class: &'static str) -> Vec<Instance> {
    let (caption, id) = match class {
        "Msvm_ShutdownComponent" => ("Shutdown", "9F8233AC-BE49-4C79-8EE3-E7E1985B2077"),
        _ => ("Heartbeat", "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47"),
    };
    let running = view.realized().filter(|vm| vm.power == Power::On);
    running
        .map(|vm| {
            let mut component = of_vm(class, vm, id);
            component.all(&[("Caption", caption), ("ElementName", caption), ("Name", caption), ("EnabledState", "2")]);
            let known = vm.tools_run();
            component.set("OperationalStatus", numbers(&[if known { 2 } else { 12 }]));
            let words = if known { "OK" } else { "No Contact" };
            component.set("StatusDescriptions", Value::Many(vec![words.to_owned()]));
            component
        })
        .collect()
}

fn of_vm(class: &str, vm: &Vm, id: &str) -> Instance {
    let mut component = Instance::of(class);
    component.all(&[
        ("Description", "Microsoft integration service"),
        ("SystemCreationClassName", "Msvm_ComputerSystem"),
        ("HealthState", "5"),
        ("RequestedState", "12"),
        ("EnabledDefault", "7"),
    ]);
    let name = component.class.name;
    component.set("CreationClassName", name).set("SystemName", upper(vm.instance_uuid));
    component.set("DeviceID", format!(r"Microsoft:{}\{id}", upper(vm.instance_uuid)));
    component
}

pub(super) fn os_name(vm: &Vm) -> &'static str {
    if vm.guest_id.contains("windows") { "Windows Server 2022 Standard" } else { "Debian GNU/Linux" }
}

/// Key-value pairs the guest tells of itself.
pub(super) fn exchanges(view: &View<'_>) -> Vec<Instance> {
    view.realized()
        .map(|vm| {
            let mut exchange = of_vm("Msvm_KvpExchangeComponent", vm, "2A34B1C2-FD73-4043-8A5B-DD2159BC743F");
            exchange.all(&[("Caption", "Key-Value Pair Exchange"), ("ElementName", "Key-Value Pair Exchange")]);
            let on = vm.power == Power::On;
            exchange.set("EnabledState", if on { "2" } else { "3" });
            exchange.set("OperationalStatus", numbers(&[if vm.tools_run() { 2 } else { 12 }]));
            if vm.tools_run() {
                let addresses: Vec<&str> = vm.guest.addresses.iter().map(|address| &**address).collect();
                let items = [
                    ("OSName", os_name(vm).to_owned()),
                    ("OSPlatformId", if vm.guest_id.contains("windows") { "2" } else { "129" }.to_owned()),
                    ("FullyQualifiedDomainName", vm.name.to_string()),
                    ("NetworkAddressIPv4", addresses.join(";")),
                ];
                let items = items.into_iter().filter_map(|(name, data)| item(name, &data)).collect();
                exchange.set("GuestIntrinsicExchangeItems", Value::Many(items));
            }
            exchange
        })
        .collect()
}

fn item(name: &str, data: &str) -> Option<String> {
    let mut item = Instance::of("Msvm_KvpExchangeDataItem");
    item.set("Name", name).set("Data", data).set("Source", "2");
    item.embedded().ok()
}
