//! Properties of the places VMs live in: folders, datacenters, clusters, hosts, pools, datastores, networks.

use super::super::morefs::{reference, switch_ref, vm_ref};
use super::super::value::{Data, Ref, Value};
use super::{Scope, entity, rest_of};
use crate::lab::world::{Cluster, FolderKind, Host, Id, Link, Power};

pub(super) fn folder(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let folder = world.folders.get(&id)?;
    match *path.first()? {
        "childEntity" => Some(Value::List(children(scope, id))),
        "childType" => Some(Value::list(match folder.kind {
            FolderKind::Datacenters => vec!["Folder", "Datacenter"],
            FolderKind::Vms => vec!["Folder", "VirtualMachine", "VirtualApp"],
            FolderKind::Hosts => vec!["Folder", "ComputeResource"],
            FolderKind::Datastores => vec!["Folder", "Datastore", "StoragePod"],
            FolderKind::Networks => vec!["Folder", "Network", "DistributedVirtualSwitch"],
        })),
        name => entity(&folder.name, folder.parent.map(|parent| reference(world, parent)), name),
    }
}

/// What is right in a folder, folders first.
pub(in crate::lab::vsphere) fn children(scope: &Scope<'_>, id: Id) -> Vec<Value> {
    let world = scope.world;
    let Some(folder) = world.folders.get(&id) else { return Vec::new() };
    let mut ids: Vec<Id> = world.folders.values().filter(|at| at.parent == Some(id)).map(|at| at.id).collect();
    let mut switches: Vec<Ref> = Vec::new();
    match folder.kind {
        FolderKind::Datacenters => {
            ids.extend(world.datacenters.values().filter(|at| at.parent == id).map(|at| at.id));
        }
        FolderKind::Vms => {
            ids.extend(world.vms().filter(|vm| vm.folder == id && !scope.hides(vm)).map(|vm| vm.id));
        }
        FolderKind::Hosts => ids.extend(world.clusters.values().filter(|at| at.folder == id).map(|at| at.id)),
        FolderKind::Datastores => ids.extend(world.datastores.values().filter(|at| at.folder == id).map(|at| at.id)),
        FolderKind::Networks => {
            for network in world.networks.values().filter(|at| at.folder == id) {
                ids.push(network.id);
                switches.extend(network.distributed.as_ref().map(|more| switch_ref(more.switch)));
            }
        }
    }
    ids.into_iter().map(|id| reference(world, id).into()).chain(switches.into_iter().map(Value::Ref)).collect()
}

fn refs<'a>(scope: &Scope<'_>, ids: impl Iterator<Item = &'a Id>) -> Value {
    Value::list(ids.map(|id| reference(scope.world, *id)))
}

pub(super) fn datacenter(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let at = scope.world.datacenters.get(&id)?;
    let to = |id: Id| Some(reference(scope.world, id).into());
    match *path.first()? {
        "vmFolder" => to(at.vm_folder),
        "hostFolder" => to(at.host_folder),
        "datastoreFolder" => to(at.datastore_folder),
        "networkFolder" => to(at.network_folder),
        "datastore" => Some(refs(scope, scope.world.datastores.keys())),
        "network" => Some(refs(scope, scope.world.networks.keys())),
        "configuration" => rest_of(Data::new("DatacenterConfigInfo").into(), &path[1..]),
        name => entity(&at.name, Some(reference(scope.world, at.parent)), name),
    }
}

pub(super) fn compute(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let at = world.clusters.get(&id)?;
    match *path.first()? {
        "resourcePool" => Some(reference(world, at.pool).into()),
        "host" => Some(Value::list(world.hosts_of(id).map(|host| reference(world, host.id)))),
        "datastore" => Some(refs(scope, world.datastores.keys())),
        "network" => Some(refs(scope, world.networks.keys())),
        "summary" | "summaryEx" => rest_of(compute_summary(scope, at).into(), &path[1..]),
        "configurationEx" | "configuration" => rest_of(cluster_configuration(at).into(), &path[1..]),
        name => entity(&at.name, Some(reference(world, at.folder)), name),
    }
}

fn compute_summary(scope: &Scope<'_>, at: &Cluster) -> Data {
    let hosts: Vec<&Host> = scope.world.hosts_of(at.id).collect();
    let usable: Vec<&&Host> = hosts.iter().filter(|host| host.link == Link::Connected && !host.maintenance).collect();
    let cores: u64 = hosts.iter().map(|host| u64::from(host.cores)).sum();
    let memory: u64 = hosts.iter().map(|host| host.memory_mib).sum();
    let data = Data::new(if at.single { "ComputeResourceSummary" } else { "ClusterComputeResourceSummary" })
        .with("totalCpu", cores * 2600)
        .with("totalMemory", memory << 20)
        .with("numCpuCores", cores)
        .with("numCpuThreads", cores * 2)
        .with("effectiveCpu", usable.iter().map(|host| u64::from(host.cores) * 2600).sum::<u64>())
        .with("effectiveMemory", usable.iter().map(|host| host.memory_mib).sum::<u64>())
        .with("numHosts", hosts.len())
        .with("numEffectiveHosts", usable.len())
        .with("overallStatus", Value::Word("green"));
    if at.single { data } else { data.with("currentFailoverLevel", 0).with("numVmotions", 0) }
}

fn cluster_configuration(at: &Cluster) -> Data {
    if at.single {
        return Data::new("ComputeResourceConfigInfo").with("vmSwapPlacement", "vmDirectory");
    }
    let drs = Data::new("ClusterDrsConfigInfo").with("enabled", true);
    let das = Data::new("ClusterDasConfigInfo").with("enabled", true);
    Data::new("ClusterConfigInfoEx")
        .with("vmSwapPlacement", "vmDirectory")
        .with("dasConfig", das)
        .with("drsConfig", drs)
}

pub(super) fn host(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let at = world.hosts.get(&id)?;
    let reached = |only: &[Id]| only.is_empty() || only.contains(&id);
    match *path.first()? {
        "runtime" => rest_of(host_runtime(at).into(), &path[1..]),
        "summary" => rest_of(host_summary(scope, at).into(), &path[1..]),
        "vm" => Some(Value::list(world.vms().filter(|vm| vm.host == id && !scope.hides(vm)).map(|vm| vm_ref(vm.id)))),
        "datastore" => {
            Some(refs(scope, world.datastores.values().filter(|each| reached(&each.hosts)).map(|each| &each.id)))
        }
        "network" => {
            Some(refs(scope, world.networks.values().filter(|each| reached(&each.hosts)).map(|each| &each.id)))
        }
        name => entity(&at.name, Some(reference(world, at.cluster)), name),
    }
}

fn host_runtime(at: &Host) -> Data {
    let link = match at.link {
        Link::Connected => "connected",
        Link::Disconnected => "disconnected",
        Link::NotResponding => "notResponding",
    };
    let power = if at.link == Link::Connected { "poweredOn" } else { "unknown" };
    Data::new("HostRuntimeInfo")
        .with("connectionState", Value::Word(link))
        .with("powerState", Value::Word(power))
        .with("standbyMode", "none")
        .with("inMaintenanceMode", at.maintenance)
        .with("inQuarantineMode", false)
}

fn host_summary(scope: &Scope<'_>, at: &Host) -> Data {
    let used: u64 =
        scope.world.vms().filter(|vm| vm.host == at.id && vm.power == Power::On).map(|vm| vm.memory_mib).sum();
    let hardware = Data::new("HostHardwareSummary")
        .with("vendor", "tierwright")
        .with("model", "Simulated host")
        .with("uuid", format!("00000000-0000-0000-0000-{:012x}", at.id.0))
        .with("memorySize", at.memory_mib << 20)
        .with("cpuModel", "Simulated CPU @ 2.60GHz")
        .with("cpuMhz", 2600)
        .with("numCpuPkgs", 2)
        .with("numCpuCores", i64::from(at.cores))
        .with("numCpuThreads", i64::from(at.cores) * 2)
        .with("numNics", 4)
        .with("numHBAs", 2);
    let config = Data::new("HostConfigSummary")
        .with("name", at.name.as_str())
        .with("port", 443)
        .with("product", super::about(scope.identity, true))
        .with("vmotionEnabled", true)
        .with("faultToleranceEnabled", false);
    let stats = Data::new("HostListSummaryQuickStats").with("overallCpuUsage", 0).with("overallMemoryUsage", used);
    Data::new("HostListSummary")
        .with("host", reference(scope.world, at.id))
        .with("hardware", hardware)
        .with("runtime", host_runtime(at))
        .with("config", config)
        .with("quickStats", stats)
        .with("overallStatus", Value::Word("green"))
        .with("rebootRequired", false)
}

pub(super) fn pool(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let at = world.pools.get(&id)?;
    match *path.first()? {
        "owner" => Some(reference(world, at.cluster).into()),
        "resourcePool" => {
            Some(refs(scope, world.pools.values().filter(|each| each.parent == Some(id)).map(|each| &each.id)))
        }
        "vm" => {
            Some(Value::list(world.vms().filter(|vm| vm.pool == Some(id) && !scope.hides(vm)).map(|vm| vm_ref(vm.id))))
        }
        name => {
            let parent = at.parent.unwrap_or(at.cluster);
            entity(&at.name, Some(reference(world, parent)), name)
        }
    }
}

pub(super) fn datastore(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let at = world.datastores.get(&id)?;
    let url = format!("ds:///vmfs/volumes/{:08x}-{:08x}/", 0x5a00_0000_u32, id.0);
    let free = at.capacity.saturating_sub(at.used);
    match *path.first()? {
        "summary" => {
            let mode = if at.maintenance { "inMaintenance" } else { "normal" };
            let summary = Data::new("DatastoreSummary")
                .with("datastore", reference(world, id))
                .with("name", at.name.as_str())
                .with("url", url)
                .with("capacity", at.capacity)
                .with("freeSpace", free)
                .with("uncommitted", 0)
                .with("accessible", at.accessible)
                .with("multipleHostAccess", true)
                .with("type", "VMFS")
                .with("maintenanceMode", mode);
            rest_of(summary.into(), &path[1..])
        }
        "info" => {
            let info = Data::new("VmfsDatastoreInfo")
                .with("name", at.name.as_str())
                .with("url", url)
                .with("freeSpace", free)
                .with("maxFileSize", 70_368_744_177_664_i64)
                .with("maxVirtualDiskCapacity", 68_169_720_922_112_i64)
                .with("maxMemoryFileSize", 70_368_744_177_664_i64)
                .with("maxPhysicalRDMFileSize", 70_368_744_177_664_i64)
                .with("maxVirtualRDMFileSize", 68_169_720_922_112_i64);
            rest_of(info.into(), &path[1..])
        }
        "capability" => {
            let yes = [
                "directoryHierarchySupported",
                "rawDiskMappingsSupported",
                "perFileThinProvisioningSupported",
                "topLevelDirectoryCreateSupported",
                "vmdkExpandSupported",
            ];
            let no = ["storageIORMSupported", "nativeSnapshotSupported", "seSparseSupported"];
            let data = yes.into_iter().fold(Data::new("DatastoreCapability"), |data, name| data.with(name, true));
            rest_of(no.into_iter().fold(data, |data, name| data.with(name, false)).into(), &path[1..])
        }
        "host" => Some(Value::list(
            world.hosts.keys().filter(|host| at.hosts.is_empty() || at.hosts.contains(host)).map(|host| {
                let mount = Data::new("HostMountInfo")
                    .with("path", url.trim_start_matches("ds://").trim_end_matches('/'))
                    .with("accessMode", "readWrite")
                    .with("mounted", true)
                    .with("accessible", at.accessible);
                Data::new("DatastoreHostMount").with("key", reference(world, *host)).with("mountInfo", mount)
            }),
        )),
        "vm" => Some(Value::list(world.vms().filter(|vm| vm.home == id && !scope.hides(vm)).map(|vm| vm_ref(vm.id)))),
        name => entity(&at.name, Some(reference(world, at.folder)), name),
    }
}

pub(super) fn network(scope: &Scope<'_>, id: Id, path: &[&str]) -> Option<Value> {
    let world = scope.world;
    let at = world.networks.get(&id)?;
    match (*path.first()?, &at.distributed) {
        ("summary", _) => {
            let summary = Data::new("NetworkSummary")
                .with("network", reference(world, id))
                .with("name", at.name.as_str())
                .with("accessible", true)
                .with("ipPoolName", "");
            rest_of(summary.into(), &path[1..])
        }
        ("host", _) => {
            Some(refs(scope, world.hosts.keys().filter(|host| at.hosts.is_empty() || at.hosts.contains(host))))
        }
        ("vm", _) => Some(Value::list(
            world
                .vms()
                .filter(|vm| vm.nics.iter().any(|nic| nic.network == Some(id)) && !scope.hides(vm))
                .map(|vm| vm_ref(vm.id)),
        )),
        ("key", Some(more)) => Some(more.key.as_str().into()),
        ("portKeys", Some(_)) => Some(Value::List(Vec::new())),
        ("config", Some(more)) => {
            let policy = Data::new("DVPortgroupPolicy")
                .with("blockOverrideAllowed", true)
                .with("shapingOverrideAllowed", false)
                .with("vendorConfigOverrideAllowed", false)
                .with("livePortMovingAllowed", false)
                .with("portConfigResetAtDisconnect", true);
            let config = Data::new("DVPortgroupConfigInfo")
                .with("key", more.key.as_str())
                .with("name", at.name.as_str())
                .with("numPorts", 8)
                .with("distributedVirtualSwitch", switch_ref(more.switch))
                .with("type", "earlyBinding")
                .with("policy", policy)
                .with("configVersion", "0")
                .with("autoExpand", true)
                .with("uplink", false);
            rest_of(config.into(), &path[1..])
        }
        (name, _) => entity(&at.name, Some(reference(world, at.folder)), name),
    }
}

pub(super) fn switch(scope: &Scope<'_>, port_group: Id, path: &[&str]) -> Option<Value> {
    let at = scope.world.networks.get(&port_group)?;
    let more = at.distributed.as_ref()?;
    match *path.first()? {
        "uuid" => Some(more.switch_uuid.as_str().into()),
        "portgroup" => Some(Value::list([reference(scope.world, port_group)])),
        "config" if path.get(1) == Some(&"name") => Some("DSwitch".into()),
        "config" if path.get(1) == Some(&"uuid") => Some(more.switch_uuid.as_str().into()),
        name => entity("DSwitch", Some(reference(scope.world, at.folder)), name),
    }
}
