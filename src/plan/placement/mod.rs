//! Where a new VM goes, and whether there is room.
//!
//! The rule, in order: of all usable hosts that the tier's placement allows, on any of its endpoints, that reach every
//! network and storage asked for and have room for memory and disks, the one with **most memory free after placement**;
//! among equals the first by endpoint and host name. Once placed a VM stays.
//!
//! Room is memory of the host less the configured memory of the VMs that run there, and free bytes of storage against
//! declared sizes; CPUs are not counted. What one plan places is taken off before the next VM of that plan is
//! looked at, in the order of keys.
//!
//! ```text
//! mod.rs     the choice         ledger.rs  what is free, and what this plan has taken
//! targets.rs does what the tier names exist there?
//! ```

mod ledger;
mod targets;
#[cfg(test)]
mod tests;

pub use ledger::Ledger;
pub use targets::{image_disks, network, storage};

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BlockCode;
use super::safety::No;
use crate::inventory::{Capabilities, Host, Observed};
use crate::model::{Bytes, DiskSpec, EndpointName, Placement, Tier, VmSpec};

/// Where a new VM goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// On which endpoint.
    pub endpoint: &'a EndpointName,
    /// Where there, host and default storage filled in.
    pub placement: Placement,
    /// How many of its disks the image brings.
    pub image_disks: usize,
}

/// A host that would do.
struct Candidate<'a> {
    endpoint: &'a EndpointName,
    host: &'a Host,
    /// Storage of the disks that name none.
    storage: Option<Arc<str>>,
    left: u64,
}

/// Chooses among the endpoints given (those of the tier that may be used now) and takes the room off the ledger.
pub fn choose<'a>(
    spec: &VmSpec,
    tier: &Tier,
    endpoints: &[(&'a EndpointName, &'a Observed)],
    ledger: &mut Ledger<'a>,
) -> Result<Place<'a>, No> {
    let mut refusals = Vec::new();
    let mut best: Option<Candidate<'a>> = None;
    for &(endpoint, observed) in endpoints {
        let fits = can_make(spec, endpoint, &observed.capabilities)
            .and_then(|()| targets::check(spec, tier, endpoint, observed))
            .and_then(|()| candidates(spec, tier, (endpoint, observed), ledger));
        match fits {
            Ok(found) => best = found.into_iter().chain(best).reduce(better),
            Err(no) => refusals.push(no),
        }
    }
    let Some(best) = best else { return Err(worst(refusals)) };
    let observed = endpoints.iter().find(|(endpoint, _)| *endpoint == best.endpoint).map(|(_, observed)| *observed);
    let image_disks = observed.and_then(|observed| image_disks(spec, tier, observed)).map_or(0, |disks| disks.len());
    ledger.take_memory(best.endpoint, &best.host.name, spec.memory);
    for (storage, bytes) in demand(&spec.disks, tier, best.storage.as_ref(), observed) {
        ledger.take_storage(best.endpoint, &storage, bytes);
    }
    let placement = Placement {
        host: Some(best.host.name.to_string()),
        cluster: tier.placement.cluster.clone().or_else(|| best.host.cluster.as_deref().map(str::to_owned)),
        datacenter: tier.placement.datacenter.clone().or_else(|| best.host.datacenter.as_deref().map(str::to_owned)),
        storage: best.storage.as_deref().map(str::to_owned),
        ..tier.placement.clone()
    };
    Ok(Place { endpoint: best.endpoint, placement, image_disks })
}

/// More memory left wins; among equals the first by name, so that the same input gives the same place.
fn better<'a>(a: Candidate<'a>, b: Candidate<'a>) -> Candidate<'a> {
    let rank = |c: &Candidate<'a>| (std::cmp::Reverse(c.left), c.endpoint, c.host.name.clone());
    if rank(&a) <= rank(&b) { a } else { b }
}

/// Of several endpoints' refusals the most telling: no room beats what is missing, since there
/// everything else was right.
fn worst(refusals: Vec<No>) -> No {
    let rank = |no: &No| match no.code {
        BlockCode::NoRoom => 0,
        BlockCode::TargetMissing | BlockCode::DiskUnsafe => 1,
        _ => 2,
    };
    let none = || No::flat(BlockCode::NoRoom, "no endpoint of its tier takes new VMs now");
    refusals.into_iter().min_by_key(rank).unwrap_or_else(none)
}

/// Can the endpoint make such a VM at all?
fn can_make(spec: &VmSpec, endpoint: &EndpointName, capabilities: &Capabilities) -> Result<(), No> {
    let Capabilities { hypervisor: _, product, create_from_image, create_blank, cloud_init, .. } = capabilities;
    let cannot = |what: &str| Err(No::flat(BlockCode::Unsupported, format!("{endpoint} ({product}) cannot {what}")));
    match &spec.image {
        Some(image) if !create_from_image => return cannot(&format!("make a VM from an image ({image})")),
        None if !create_blank => return cannot("make a blank VM; name an image"),
        Some(_) | None => {}
    }
    if wants_cloud_init(spec) && !cloud_init { cannot("hand cloud-init data to a new VM") } else { Ok(()) }
}

/// Does cloud-init data go with this VM: user data, or addresses for the guest?
pub fn wants_cloud_init(spec: &VmSpec) -> bool {
    spec.cloud_init.is_some() || spec.nics.iter().any(|nic| !nic.addresses.is_empty())
}

/// Hosts with room, or the figures of those that lack it.
fn candidates<'a>(
    spec: &VmSpec,
    tier: &Tier,
    (endpoint, observed): (&'a EndpointName, &'a Observed),
    ledger: &mut Ledger<'a>,
) -> Result<Vec<Candidate<'a>>, No> {
    let mut fit = Vec::new();
    let mut lacks = Vec::new();
    for host in targets::hosts(tier, observed) {
        if !host.usable {
            lacks.push(format!("{} takes no VMs now", host.name));
            continue;
        }
        if let Some(network) = targets::unreached_network(spec, tier, host, observed) {
            lacks.push(format!("{} does not reach network {network}", host.name));
            continue;
        }
        let free = ledger.memory_free(endpoint, observed, &host.name);
        let Some(left) = free.checked_sub(spec.memory.0) else {
            let (free, total) = (in_mib(free), in_mib(host.memory.0));
            lacks.push(format!("{} has {free} of {total} memory free", host.name));
            continue;
        };
        match storage_for(spec, tier, (endpoint, observed), host, ledger) {
            Ok(storage) => fit.push(Candidate { endpoint, host, storage, left }),
            Err(why) => lacks.push(format!("from {}: {why}", host.name)),
        }
    }
    if fit.is_empty() { Err(no_room(spec, endpoint, &lacks)) } else { Ok(fit) }
}

/// Hosts named in a refusal before it says "and so many more": a cluster has up to 96.
const NAMED: usize = 5;

fn no_room(spec: &VmSpec, endpoint: &EndpointName, lacks: &[String]) -> No {
    let disks: u64 = spec.disks.iter().map(|disk| disk.size.0).sum();
    let mut figures: Vec<String> = lacks.iter().take(NAMED).cloned().collect();
    if lacks.len() > NAMED {
        figures.push(format!("and {} more hosts", lacks.len() - NAMED));
    }
    let figures = figures.join("; ");
    let why = format!(
        "no host of {endpoint} has room for {} of memory and {} of disks: {figures}",
        spec.memory,
        in_mib(disks)
    );
    No::flat(BlockCode::NoRoom, why)
}

/// Storage for the disks that name none (`None`: the endpoint lists none), if all disks fit.
fn storage_for<'a>(
    spec: &VmSpec,
    tier: &Tier,
    (endpoint, observed): (&'a EndpointName, &'a Observed),
    host: &Host,
    ledger: &mut Ledger<'a>,
) -> Result<Option<Arc<str>>, String> {
    let stores = &observed.catalog.storage;
    if stores.is_empty() {
        return Ok(None);
    }
    let reachable = |name: &str| {
        stores
            .iter()
            .find(|store| &*store.name == name && targets::reaches(&store.hosts, store.datacenter.as_ref(), host))
    };
    let named = tier.placement.storage.as_deref().or(tier.placement.path.as_deref());
    let mut choices: Vec<Arc<str>> = match named {
        Some(name) => vec![name.into()],
        None => (stores
            .iter()
            .filter(|store| store.usable && targets::reaches(&store.hosts, store.datacenter.as_ref(), host)))
        .map(|store| Arc::clone(&store.name))
        .collect(),
    };
    choices.sort_by_key(|name| (std::cmp::Reverse(ledger.storage_free(endpoint, observed, name)), Arc::clone(name)));
    let mut why = "no storage is reached".to_owned();
    for choice in choices {
        let lacking = demand(&spec.disks, tier, Some(&choice), Some(observed)).into_iter().find_map(|(name, bytes)| {
            let Some(store) = reachable(&name) else { return Some(format!("storage {name} is not reached")) };
            if !store.usable {
                return Some(format!("storage {name} takes no disks now"));
            }
            let free = ledger.storage_free(endpoint, observed, &name);
            (free < bytes)
                .then(|| format!("storage {name} has {} free of the {} declared", in_mib(free), in_mib(bytes)))
        });
        match lacking {
            None => return Ok(Some(choice)),
            Some(lacking) => why = lacking,
        }
    }
    Err(why)
}

/// Declared bytes per storage: several targets may lie on one.
fn demand(
    disks: &[DiskSpec],
    tier: &Tier,
    default: Option<&Arc<str>>,
    observed: Option<&Observed>,
) -> BTreeMap<Arc<str>, u64> {
    let mut demand: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    for disk in disks {
        let named =
            disk.storage.as_ref().and_then(|name| tier.storage.get(&**name)).map(|target| target.as_str().into());
        if let Some(target) = named.or_else(|| default.cloned()) {
            let store = observed.and_then(|observed| observed.catalog.storage_of(&target));
            let target = store.map_or(target, |store| Arc::clone(&store.name));
            *demand.entry(target).or_default() += disk.size.0;
        }
    }
    demand
}

/// Bytes for people: whole MiB, rounded down, in the largest unit that says it exactly.
pub fn in_mib(bytes: u64) -> String {
    let mib = bytes / Bytes::MIB;
    // 12345MiB tells less than 12GiB; figures of room need no more than that.
    if mib >= 10 * 1024 { format!("{}GiB", mib / 1024) } else { Bytes::mib(mib).to_string() }
}
