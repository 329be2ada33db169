//! Managed object references: `vm-42` and its kin, both ways.
//!
//! Prefixes are those of recorded traffic (`group-d1`, `datacenter-3`, `host-16`, `vm-19`, `datastore-17`, ...). The
//! fixed objects have the ids that recorded `ServiceContent`s name.

use super::value::Ref;
use crate::lab::world::{FolderKind, Id, World};

/// An object a call can be made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Vm(Id),
    Folder(Id),
    Datacenter(Id),
    Compute(Id),
    Host(Id),
    Pool(Id),
    Datastore(Id),
    Network(Id),
    /// By its port group.
    Switch(Id),
    Task(Id),
    /// VM and snapshot.
    Snapshot(Id, Id),
    /// One of the fixed objects, by type.
    Fixed(&'static str),
    /// Something of a session: a view, a filter, a collector.
    OfSession(Ref),
}

/// Fixed objects: type and id.
pub(super) const FIXED: &[(&str, &str)] = &[
    ("ServiceInstance", "ServiceInstance"),
    ("PropertyCollector", "propertyCollector"),
    ("ViewManager", "ViewManager"),
    ("SessionManager", "SessionManager"),
    ("AuthorizationManager", "AuthorizationManager"),
    ("TaskManager", "TaskManager"),
    ("SearchIndex", "SearchIndex"),
];

/// The reference of a VM.
pub(super) fn vm_ref(id: Id) -> Ref {
    Ref::new("VirtualMachine", format!("vm-{}", id.0))
}

/// The reference of a snapshot.
pub(super) fn snapshot_ref(id: Id) -> Ref {
    Ref::new("VirtualMachineSnapshot", format!("snapshot-{}", id.0))
}

/// The reference of a task.
pub(super) fn task_ref(id: Id) -> Ref {
    Ref::new("Task", format!("task-{}", id.0))
}

/// The reference of an object of the world; one that is gone is taken for a VM, the only kind that goes.
pub(super) fn reference(world: &World, id: Id) -> Ref {
    let n = id.0;
    if let Some(folder) = world.folders.get(&id) {
        let letter = match folder.kind {
            FolderKind::Datacenters => 'd',
            FolderKind::Vms => 'v',
            FolderKind::Hosts => 'h',
            FolderKind::Datastores => 's',
            FolderKind::Networks => 'n',
        };
        return Ref::new("Folder", format!("group-{letter}{n}"));
    }
    if let Some(cluster) = world.clusters.get(&id) {
        return if cluster.single {
            Ref::new("ComputeResource", format!("domain-s{n}"))
        } else {
            Ref::new("ClusterComputeResource", format!("domain-c{n}"))
        };
    }
    if let Some(network) = world.networks.get(&id) {
        return match &network.distributed {
            Some(more) => Ref::new("DistributedVirtualPortgroup", more.key.as_str()),
            None => Ref::new("Network", format!("network-{n}")),
        };
    }
    if world.datacenters.contains_key(&id) {
        return Ref::new("Datacenter", format!("datacenter-{n}"));
    }
    if world.hosts.contains_key(&id) {
        return Ref::new("HostSystem", format!("host-{n}"));
    }
    if world.pools.contains_key(&id) {
        return Ref::new("ResourcePool", format!("resgroup-{n}"));
    }
    if world.datastores.contains_key(&id) {
        return Ref::new("Datastore", format!("datastore-{n}"));
    }
    if world.task(id).is_some() {
        return task_ref(id);
    }
    vm_ref(id)
}

/// The reference of a distributed switch.
pub(super) fn switch_ref(switch: Id) -> Ref {
    Ref::new("VmwareDistributedVirtualSwitch", format!("dvs-{}", switch.0))
}

/// The object a reference names, if it is there. The type must be the object's own or one above it.
pub(super) fn resolve(world: &World, reference: &Ref) -> Option<Object> {
    if reference.id.starts_with("session[") {
        return Some(Object::OfSession(reference.clone()));
    }
    if let Some((kind, _)) = FIXED.iter().find(|(_, id)| *id == &*reference.id) {
        return Some(Object::Fixed(kind));
    }
    let (prefix, number) = split(&reference.id)?;
    let id = Id(number);
    let found = match prefix {
        "vm-" => world.vm(id).map(|_| Object::Vm(id)),
        "group-d" | "group-v" | "group-h" | "group-s" | "group-n" => world.folders.get(&id).map(|_| Object::Folder(id)),
        "datacenter-" => world.datacenters.get(&id).map(|_| Object::Datacenter(id)),
        "domain-c" | "domain-s" => world.clusters.get(&id).map(|_| Object::Compute(id)),
        "host-" => world.hosts.get(&id).map(|_| Object::Host(id)),
        "resgroup-" => world.pools.get(&id).map(|_| Object::Pool(id)),
        "datastore-" => world.datastores.get(&id).map(|_| Object::Datastore(id)),
        "network-" | "dvportgroup-" => world.networks.get(&id).map(|_| Object::Network(id)),
        "dvs-" => world
            .networks
            .values()
            .find(|network| network.distributed.as_ref().is_some_and(|more| more.switch == id))
            .map(|network| Object::Switch(network.id)),
        "task-" => world.task(id).map(|_| Object::Task(id)),
        "snapshot-" => world
            .vms()
            .find(|vm| vm.snapshots.iter().any(|snapshot| snapshot.id == id))
            .map(|vm| Object::Snapshot(vm.id, id)),
        _ => None,
    }?;
    // `network-7` does not name the port group 7: the whole id must be right.
    let own = own_ref(world, &found);
    (own.id == reference.id && super::schema::schema().is_a(own.kind, reference.kind)).then_some(found)
}

/// An object's own reference, with its own type.
pub(super) fn own_ref(world: &World, object: &Object) -> Ref {
    match object {
        Object::Vm(id) => vm_ref(*id),
        Object::Folder(id)
        | Object::Datacenter(id)
        | Object::Compute(id)
        | Object::Host(id)
        | Object::Pool(id)
        | Object::Datastore(id)
        | Object::Network(id) => reference(world, *id),
        Object::Switch(id) => {
            let more = world.networks.get(id).and_then(|network| network.distributed.as_ref());
            switch_ref(more.map_or(*id, |more| more.switch))
        }
        Object::Task(id) => task_ref(*id),
        Object::Snapshot(_, id) => snapshot_ref(*id),
        Object::Fixed(kind) => {
            let id = FIXED.iter().find(|(known, _)| known == kind).map_or("", |(_, id)| id);
            Ref::new(kind, id)
        }
        Object::OfSession(reference) => reference.clone(),
    }
}

fn split(text: &str) -> Option<(&str, u32)> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (prefix, number) = text.split_at(at);
    // `vm-007` is not `vm-7`.
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    number.parse().ok().map(|number| (prefix, number))
}
