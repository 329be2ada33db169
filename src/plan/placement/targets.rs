//! Does what the tier names exist on the endpoint? A missing target is told with the nearest name that does exist.

use std::sync::Arc;

use crate::inventory::{Host, Observed};
use crate::model::{Bytes, EndpointName, NetworkTarget, Placement, Tier, VmSpec};
use crate::plan::BlockCode;
use crate::plan::safety::No;

/// Does everything that this VM needs exist there?
pub(super) fn check(spec: &VmSpec, tier: &Tier, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    places(&tier.placement, endpoint, observed)?;
    networks(spec, tier, endpoint, observed)?;
    for name in spec.disks.iter().filter_map(|disk| disk.storage.as_ref()) {
        let Some(target) = tier.storage.get(&**name) else {
            return Err(missing("storage", name, &tier.name.to_string(), tier.storage.keys().map(String::as_str)));
        };
        storage(target, endpoint, observed)?;
    }
    if let Some(target) = &tier.placement.storage {
        storage(target, endpoint, observed)?;
    }
    image(spec, tier, endpoint, observed)
}

fn missing<'n>(what: &str, name: &str, on: &str, known: impl Iterator<Item = &'n str>) -> No {
    let near = known
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= name.len().max(3) / 3)
        .min();
    let hint = near.map(|(_, near)| format!("; did you mean {near}?")).unwrap_or_default();
    No::flat(BlockCode::TargetMissing, format!("there is no {what} {name} on {on}{hint}"))
}

fn places(placement: &Placement, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    let Placement { datacenter, cluster, host, resource_pool, folder, create_folders, storage: _, path: _ } = placement;
    let catalog = &observed.catalog;
    let on = endpoint.to_string();
    if let Some(name) = datacenter {
        exists("datacenter", name, &on, catalog.hosts.iter().filter_map(|host| host.datacenter.as_deref()))?;
    }
    if let Some(name) = cluster {
        exists("cluster", name, &on, catalog.hosts.iter().filter_map(|host| host.cluster.as_deref()))?;
    }
    if let Some(name) = host {
        exists("host", name, &on, catalog.hosts.iter().map(|host| &*host.name))?;
    }
    if let Some(name) = resource_pool {
        exists("resource pool", name, &on, catalog.resource_pools.iter().map(|pool| &*pool.name))?;
    }
    if let Some(path) = folder.as_deref().map(|path| path.trim_matches('/')).filter(|_| !create_folders) {
        exists("folder", path, &on, catalog.folders.iter().map(|folder| folder.path.trim_matches('/')))?;
    }
    Ok(())
}

fn exists<'n>(what: &str, name: &str, on: &str, known: impl Iterator<Item = &'n str> + Clone) -> Result<(), No> {
    if known.clone().any(|known| known == name) { Ok(()) } else { Err(missing(what, name, on, known)) }
}

fn networks(spec: &VmSpec, tier: &Tier, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    for nic in &spec.nics {
        let Some(target) = tier.networks.get(&*nic.network) else {
            return Err(missing("network", &nic.network, tier.name.as_str(), tier.networks.keys().map(String::as_str)));
        };
        network(target, endpoint, observed)?;
    }
    Ok(())
}

/// Does the network exist there?
pub fn network(target: &NetworkTarget, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    let known = observed.catalog.networks.iter().map(|network| network.target.name.as_str());
    exists("network", &target.name, endpoint.as_str(), known)
}

/// Does the storage exist there?
pub fn storage(target: &str, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    let catalog = &observed.catalog;
    let known = catalog.storage.iter().map(|storage| &*storage.name);
    if catalog.storage_of(target).is_some() {
        Ok(())
    } else {
        Err(missing("storage", target, endpoint.as_str(), known))
    }
}

fn image(spec: &VmSpec, tier: &Tier, endpoint: &EndpointName, observed: &Observed) -> Result<(), No> {
    let Some(name) = &spec.image else { return Ok(()) };
    let Some(target) = tier.images.get(&**name) else {
        return Err(missing("image", name, tier.name.as_str(), tier.images.keys().map(String::as_str)));
    };
    let Some(disks) = image_disks(spec, tier, observed) else {
        let known = observed.catalog.images.iter().map(|image| &*image.source);
        return Err(missing("image", &target.source, endpoint.as_str(), known));
    };
    if spec.disks.len() < disks.len() {
        let why = format!("image {name} has {} disks; the manifest must list them all, in order", disks.len());
        return Err(No::flat(BlockCode::DiskUnsafe, why));
    }
    match spec.disks.iter().zip(&disks).find(|(declared, brought)| declared.size < **brought) {
        Some((declared, brought)) => Err(No::flat(
            BlockCode::DiskUnsafe,
            format!(
                "disk {} is {} and the image's is {brought} already; disks only grow",
                declared.name, declared.size
            ),
        )),
        None => Ok(()),
    }
}

/// Sizes of the disks that the VM's image brings, if it has one and it is there. VMs serve as images too.
pub fn image_disks(spec: &VmSpec, tier: &Tier, observed: &Observed) -> Option<Vec<Bytes>> {
    let source = &tier.images.get(spec.image.as_deref()?)?.source;
    let template = observed.catalog.image_of(source);
    template.map(|image| image.disks.clone()).or_else(|| {
        let vm = observed.vms.iter().find(|vm| *vm.name == **source)?;
        Some(vm.readable()?.disks.iter().map(|disk| disk.size).collect())
    })
}

/// Hosts that the tier's placement allows.
pub(super) fn hosts<'a, 't>(tier: &'t Tier, observed: &'a Observed) -> impl Iterator<Item = &'a Host> + use<'a, 't> {
    let Placement { datacenter, cluster, host: wanted, .. } = &tier.placement;
    let allows = |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
    observed.catalog.hosts.iter().filter(move |host| {
        allows(datacenter, host.datacenter.as_deref())
            && allows(cluster, host.cluster.as_deref())
            && allows(wanted, Some(&host.name))
    })
}

/// Is something with these hosts and this datacenter within reach of the host?
pub(super) fn reaches(hosts: &[Arc<str>], datacenter: Option<&Arc<str>>, host: &Host) -> bool {
    let same_datacenter = match (datacenter, host.datacenter.as_ref()) {
        (Some(a), Some(b)) => a == b,
        (Some(_) | None, None) | (None, Some(_)) => true,
    };
    same_datacenter && (hosts.is_empty() || hosts.contains(&host.name))
}

/// A network of this VM that the host does not reach.
pub(super) fn unreached_network<'t>(
    spec: &VmSpec,
    tier: &'t Tier,
    host: &Host,
    observed: &Observed,
) -> Option<&'t str> {
    let targets = spec.nics.iter().filter_map(|nic| tier.networks.get(&*nic.network));
    let reached = |target: &NetworkTarget| {
        let same = observed.catalog.networks.iter().filter(|network| network.target.name == target.name);
        same.into_iter().any(|network| reaches(&network.hosts, network.datacenter.as_ref(), host))
    };
    targets.filter(|target| !reached(target)).map(|target| target.name.as_str()).next()
}
