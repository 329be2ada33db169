//! `SearchIndex`: by id, by path, by name and address of a guest.

use uuid::Uuid;

use super::{Turn, references};
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::morefs::{Object, reference, resolve, vm_ref};
use crate::lab::vsphere::properties::unescaped;
use crate::lab::vsphere::soap::Answer;
use crate::lab::vsphere::value::Ref;
use crate::lab::world::{Id, Vm, World};

pub(super) fn answer(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let one = |found: Vec<Ref>| Ok(Answer::Value(found.into_iter().next().map(Into::into)));
    match turn.asked.call {
        "FindByUuid" => one(by_uuid(turn)),
        "FindAllByUuid" => Ok(references(by_uuid(turn))),
        "FindByInventoryPath" => one(by_path(turn.world, turn.text("inventoryPath")).into_iter().collect()),
        "FindByDnsName" => one(by_guest(turn, "dnsName")),
        "FindAllByDnsName" => Ok(references(by_guest(turn, "dnsName"))),
        "FindByIp" => one(by_guest(turn, "ip")),
        _ => {
            let parent = turn.asked.parameters.reference("entity").cloned();
            let parent = parent.ok_or_else(|| Fault::invalid_argument("entity"))?;
            let object = resolve(turn.world, &parent).ok_or_else(|| Fault::not_found(&parent))?;
            let id = match object {
                Object::Folder(id) | Object::Datacenter(id) => child(turn.world, id, turn.text("name")),
                Object::Compute(id) => {
                    turn.world.hosts_of(id).find(|host| host.name == turn.text("name")).map(|at| at.id)
                }
                _ => None,
            };
            one(id.map(|id| reference(turn.world, id)).into_iter().collect())
        }
    }
}

fn by_uuid(turn: &Turn<'_>) -> Vec<Ref> {
    let parameters = &turn.asked.parameters;
    // Not a UUID: nothing has it. A real server says so too, with an empty answer.
    let Ok(wanted) = Uuid::parse_str(turn.text("uuid").trim()) else { return Vec::new() };
    if parameters.flag("vmSearch") != Some(true) {
        return Vec::new();
    }
    let instance = parameters.flag("instanceUuid").unwrap_or(false);
    let has = |vm: &&Vm| if instance { vm.instance_uuid == wanted } else { vm.bios_uuid == wanted };
    // Of a VM that the account may not see, a search says nothing at all (API reference, SearchIndex).
    let seen = |vm: &&Vm| {
        let uuid = vm.instance_uuid.to_string();
        !turn.rules.denies("System.View", &[&vm.name, &vm_ref(vm.id).id, &uuid])
    };
    turn.world.vms().filter(has).filter(seen).map(|vm| vm_ref(vm.id)).collect()
}

fn by_guest(turn: &Turn<'_>, field: &str) -> Vec<Ref> {
    let wanted = turn.text(field);
    let has = |vm: &&Vm| match field {
        "ip" => vm.guest.addresses.iter().any(|address| **address == *wanted),
        _ => vm.name.eq_ignore_ascii_case(wanted),
    };
    turn.world.vms().filter(|vm| vm.tools_run()).filter(has).map(|vm| vm_ref(vm.id)).collect()
}

/// `/dc1/vm/Prod/erp` and the same without the first slash.
fn by_path(world: &World, path: &str) -> Option<Ref> {
    let mut at = world.root_folder()?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = child(world, at, name)?;
    }
    Some(reference(world, at))
}

fn child(world: &World, parent: Id, name: &str) -> Option<Id> {
    let name = unescaped(name);
    let folder = || world.folders.values().find(|at| at.parent == Some(parent) && at.name == name).map(|at| at.id);
    let datacenter = || world.datacenters.values().find(|at| at.parent == parent && at.name == name).map(|at| at.id);
    let cluster = || world.clusters.values().find(|at| at.folder == parent && at.name == name).map(|at| at.id);
    let datastore = || world.datastores.values().find(|at| at.folder == parent && at.name == name).map(|at| at.id);
    let network = || world.networks.values().find(|at| at.folder == parent && at.name == name).map(|at| at.id);
    let host = || world.hosts.values().find(|at| at.cluster == parent && at.name == name).map(|at| at.id);
    world
        .name_taken(parent, &name, None)
        .or_else(folder)
        .or_else(datacenter)
        .or_else(cluster)
        .or_else(datastore)
        .or_else(network)
        .or_else(host)
}
