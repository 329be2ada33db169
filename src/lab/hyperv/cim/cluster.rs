//! root/MSCluster: every node tells the same of the cluster. On a host that is in none, nothing is there.

use super::View;
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::upper;
use crate::lab::world::{Link, Power, Vm};

/// `GroupType` of a virtual machine.
const VIRTUAL_MACHINE: &str = "111";

pub(super) fn all(view: &View<'_>, class: &str) -> Vec<Instance> {
    let Some(cluster) = view.host.cluster.as_deref() else { return Vec::new() };
    let roles = || view.world.vms().filter(|vm| is_role(vm));
    match class {
        "MSCluster_Cluster" => vec![named("MSCluster_Cluster", cluster)],
        "MSCluster_Node" => view
            .world
            .hosts
            .values()
            .map(|host| {
                let mut node = named("MSCluster_Node", &host.name);
                // 0 up, 1 down, 2 paused
                let state = if host.link != Link::Connected {
                    "1"
                } else if host.maintenance {
                    "2"
                } else {
                    "0"
                };
                node.set("State", state);
                node
            })
            .collect(),
        "MSCluster_ResourceGroup" => roles().map(|vm| group(view, vm)).collect(),
        "MSCluster_Resource" => roles().map(|vm| resource(view, vm)).collect(),
        "MSCluster_ResourceGroupToResource" => roles()
            .map(|vm| {
                let mut link = Instance::of("MSCluster_ResourceGroupToResource");
                link.set("GroupComponent", Value::Reference(group(view, vm).reference()));
                link.set("PartComponent", Value::Reference(resource(view, vm).reference()));
                link
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn named(class: &'static str, name: &str) -> Instance {
    let mut instance = Instance::of(class);
    instance.set("Name", name).set("Caption", name).set("Status", "OK");
    instance
}

/// A VM is a role of the cluster under the name it had when it became one.
pub(in crate::lab::hyperv) fn role_name(vm: &Vm) -> Option<&str> {
    vm.wmi.as_ref()?.role.as_deref()
}

fn is_role(vm: &Vm) -> bool {
    role_name(vm).is_some()
}

fn owner_node(view: &View<'_>, vm: &Vm) -> String {
    view.world.hosts.get(&vm.host).map(|host| host.name.clone()).unwrap_or_default()
}

fn group(view: &View<'_>, vm: &Vm) -> Instance {
    let mut group = named("MSCluster_ResourceGroup", role_name(vm).unwrap_or_default());
    group.set("GroupType", VIRTUAL_MACHINE).set("OwnerNode", owner_node(view, vm)).set("IsCore", false);
    // 0 online, 1 offline (SEQUENCES.md, "Cluster owner")
    group.set("State", if vm.power == Power::On { "0" } else { "1" }).set("Id", upper(vm.bios_uuid).to_lowercase());
    group
}

fn resource(view: &View<'_>, vm: &Vm) -> Instance {
    let role = role_name(vm).unwrap_or_default();
    let mut resource = named("MSCluster_Resource", &format!("Virtual Machine {role}"));
    resource.set("Type", "Virtual Machine").set("OwnerGroup", role).set("OwnerNode", owner_node(view, vm));
    resource.set("State", if vm.power == Power::On { "2" } else { "3" }).set("CoreResource", false);
    let id = ("VmID", upper(vm.instance_uuid).to_lowercase());
    resource.set("PrivateProperties", Value::Loose("MSCluster_Property", vec![id]));
    resource
}
