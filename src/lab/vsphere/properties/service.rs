//! Properties of the fixed objects and of what belongs to a session.

use std::collections::BTreeSet;

use super::super::morefs::{FIXED, Object, reference, resolve, switch_ref, vm_ref};
use super::super::schema::schema;
use super::super::session::View;
use super::super::value::{Data, Ref, Value};
use super::super::{Identity, Session};
use super::{Scope, rest_of};
use crate::lab::world::Id;

pub(super) fn property(scope: &Scope<'_>, kind: &str, path: &[&str]) -> Option<Value> {
    match (kind, *path.first()?) {
        ("ServiceInstance", "content") => rest_of(service_content(scope).into(), &path[1..]),
        ("ServiceInstance", "serverClock") => Some(Value::Time(scope.world.now_ms())),
        ("SessionManager", "currentSession") => rest_of(user_session(scope, scope.session?).into(), &path[1..]),
        ("SessionManager", "sessionList") => {
            Some(Value::list(scope.session.map(|session| user_session(scope, session))))
        }
        ("SessionManager", "defaultLocale") => Some("en".into()),
        ("SessionManager", "supportedLocaleList" | "messageLocaleList") => Some(Value::list(["en"])),
        ("TaskManager", "recentTask") => Some(super::recent_tasks(scope, None)),
        ("TaskManager", "maxCollector") => Some(32.into()),
        ("ViewManager", "viewList") => {
            Some(Value::list(scope.session?.views.keys().map(|id| Ref::new("ContainerView", id.clone()))))
        }
        _ => None,
    }
}

/// As recorded (`basic_connection.yaml`): who one is.
fn user_session(scope: &Scope<'_>, session: &Session) -> Data {
    session.data(scope.world.now_ms())
}

/// As recorded: product, version and API of a vCenter 8.0.3, or of its hosts.
pub(in crate::lab::vsphere) fn about(identity: &Identity, host: bool) -> Data {
    let esx = host || identity.standalone;
    let (name, product, api) = if esx {
        ("VMware ESXi", "embeddedEsx", "HostAgent")
    } else {
        ("VMware vCenter Server", "vpx", "VirtualCenter")
    };
    let data = Data::new("AboutInfo")
        .with("name", name)
        .with("fullName", format!("{name} 8.0.3 build-69507950"))
        .with("vendor", "VMware, Inc.")
        .with("version", "8.0.3")
        .with("patchLevel", "00000")
        .with("build", "69507950")
        .with("localeVersion", "INTL")
        .with("localeBuild", "000")
        .with("osType", if esx { "vmnix-x86" } else { "linux-x64" })
        .with("productLineId", product)
        .with("apiType", api)
        .with("apiVersion", "8.0.2.0")
        .with("licenseProductName", if esx { "VMware ESX Server" } else { "VMware VirtualCenter Server" })
        .with("licenseProductVersion", "8.0");
    if esx { data } else { data.with("instanceUuid", identity.instance_uuid.as_str()) }
}

/// The objects everything starts from. Only those are named that the front has.
pub(in crate::lab::vsphere) fn service_content(scope: &Scope<'_>) -> Data {
    let fixed =
        |kind: &'static str| FIXED.iter().find(|(known, _)| *known == kind).map(|(kind, id)| Ref::new(kind, *id));
    let root = scope.world.root_folder().map(|root| reference(scope.world, root));
    Data::new("ServiceContent")
        .maybe("rootFolder", root)
        .maybe("propertyCollector", fixed("PropertyCollector"))
        .maybe("viewManager", fixed("ViewManager"))
        .with("about", about(scope.identity, false))
        .maybe("sessionManager", fixed("SessionManager"))
        .maybe("authorizationManager", fixed("AuthorizationManager"))
        .maybe("taskManager", fixed("TaskManager"))
        .maybe("searchIndex", fixed("SearchIndex"))
}

pub(super) fn session_property(scope: &Scope<'_>, reference: &Ref, path: &[&str]) -> Option<Value> {
    let session = scope.session?;
    if let Some(view) = session.views.get(&reference.id) {
        return match (*path.first()?, view) {
            ("view", view) => Some(Value::list(view_members(scope, view))),
            ("container", View::Container { container, .. }) => Some(container.clone().into()),
            ("type", View::Container { types, .. }) => Some(Value::list(types.iter().copied())),
            ("recursive", View::Container { recursive, .. }) => Some((*recursive).into()),
            _ => None,
        };
    }
    None
}

/// What a view shows now.
pub(in crate::lab::vsphere) fn view_members(scope: &Scope<'_>, view: &View) -> Vec<Ref> {
    match view {
        View::List(list) => list.iter().filter(|each| resolve(scope.world, each).is_some()).cloned().collect(),
        View::Container { container, types, recursive } => {
            let wanted = |kind: &str| types.is_empty() || types.iter().any(|wanted| schema().is_a(kind, wanted));
            match resolve(scope.world, container) {
                Some(object) => members(scope, &object, *recursive, &wanted),
                None => Vec::new(),
            }
        }
    }
}

/// Objects below a container. The lab's trees are shallow, so that everything below a folder of a datacenter is found
/// by asking each object for its place, in one pass over each kind that is wanted.
fn members(scope: &Scope<'_>, container: &Object, recursive: bool, wanted: &dyn Fn(&str) -> bool) -> Vec<Ref> {
    let world = scope.world;
    let mut out: Vec<Ref> = Vec::new();
    if !recursive {
        let direct = match container {
            Object::Folder(id) => super::place::children(scope, *id),
            Object::Datacenter(id) => world.datacenters.get(id).map_or_else(Vec::new, |at| {
                [at.vm_folder, at.host_folder, at.datastore_folder, at.network_folder]
                    .map(|id| reference(world, id).into())
                    .to_vec()
            }),
            other => {
                out.extend(below_compute(scope, other, wanted));
                Vec::new()
            }
        };
        out.extend(direct.into_iter().filter_map(|value| match value {
            Value::Ref(reference) if wanted(reference.kind) => Some(reference),
            _ => None,
        }));
        return out;
    }
    let (Object::Folder(id) | Object::Datacenter(id)) = container else {
        return below_compute(scope, container, wanted);
    };
    let folders = folders_below(scope, *id);
    let inside = |folder: Id| folders.contains(&folder);
    if wanted("Folder") {
        out.extend(folders.iter().filter(|folder| *folder != id).map(|folder| reference(world, *folder)));
    }
    if wanted("Datacenter") {
        let datacenters = world.datacenters.values().filter(|at| at.id != *id && inside(at.parent));
        out.extend(datacenters.map(|at| reference(world, at.id)));
    }
    for cluster in world.clusters.values().filter(|cluster| inside(cluster.folder)) {
        let own = reference(world, cluster.id);
        if wanted(own.kind) {
            out.push(own);
        }
        // VMs are listed by their folders; hosts and pools hang below clusters only.
        let no_vms = |kind: &str| kind != "VirtualMachine" && wanted(kind);
        out.extend(below_compute(scope, &Object::Compute(cluster.id), &no_vms));
    }
    for network in world.networks.values().filter(|network| inside(network.folder)) {
        let own = reference(world, network.id);
        if wanted(own.kind) {
            out.push(own);
        }
        if let Some(more) = network.distributed.as_ref().filter(|_| wanted("VmwareDistributedVirtualSwitch")) {
            out.push(switch_ref(more.switch));
        }
    }
    if wanted("Datastore") {
        let datastores = world.datastores.values().filter(|datastore| inside(datastore.folder));
        out.extend(datastores.map(|datastore| reference(world, datastore.id)));
    }
    if wanted("VirtualMachine") {
        let vms = world.vms().filter(|vm| inside(vm.folder) && !scope.hides(vm));
        out.extend(vms.map(|vm| vm_ref(vm.id)));
    }
    out
}

fn below_compute(scope: &Scope<'_>, container: &Object, wanted: &dyn Fn(&str) -> bool) -> Vec<Ref> {
    let world = scope.world;
    let mut out = Vec::new();
    match container {
        Object::Compute(id) => {
            if wanted("HostSystem") {
                out.extend(world.hosts_of(*id).map(|host| reference(world, host.id)));
            }
            if wanted("ResourcePool") {
                let pools = world.pools.values().filter(|pool| pool.cluster == *id);
                out.extend(pools.map(|pool| reference(world, pool.id)));
            }
            if wanted("VirtualMachine") {
                let of = |host: Id| world.hosts.get(&host).is_some_and(|host| host.cluster == *id);
                out.extend(world.vms().filter(|vm| of(vm.host) && !scope.hides(vm)).map(|vm| vm_ref(vm.id)));
            }
        }
        Object::Pool(id) if wanted("VirtualMachine") => {
            out.extend(world.vms().filter(|vm| vm.pool == Some(*id) && !scope.hides(vm)).map(|vm| vm_ref(vm.id)));
        }
        Object::Host(id) if wanted("VirtualMachine") => {
            out.extend(world.vms().filter(|vm| vm.host == *id && !scope.hides(vm)).map(|vm| vm_ref(vm.id)));
        }
        _ => {}
    }
    out
}

/// The container and every folder below it, through datacenters.
fn folders_below(scope: &Scope<'_>, container: Id) -> BTreeSet<Id> {
    let world = scope.world;
    let mut found = BTreeSet::from([container]);
    let mut open = vec![container];
    while let Some(at) = open.pop() {
        let folders = world.folders.values().filter(|folder| folder.parent == Some(at)).map(|folder| folder.id);
        let datacenters = world.datacenters.values().filter(|datacenter| datacenter.parent == at);
        let next: Vec<Id> = folders.chain(datacenters.map(|datacenter| datacenter.id)).collect();
        open.extend(next.into_iter().filter(|id| found.insert(*id)));
    }
    found.retain(|id| world.folders.contains_key(id) || *id == container);
    found
}
