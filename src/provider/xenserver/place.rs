//! Names of an order as objects of the pool, all found before anything is made.
//!
//! Names are not unique on XenServer: `Local storage` is on every host. Of several storage repositories of one name the
//! one that the order's host reaches is meant; anything else that is named twice stops the step.

use super::collect::Memory;
use super::fault::Failure;
use super::places;
use super::record::Network;
use super::rpc::Ref;
use super::store::{Places, Read, get};
use crate::model::Placement;
use crate::plan::{CreateVm, DiskOrder};
use crate::provider::ErrorKind;

/// Where a new VM goes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub host: Option<Ref>,
    /// Of the disks that name no storage, and of cloud-init data.
    pub sr: Ref,
    /// One for each disk of the order.
    pub disks: Vec<Ref>,
}

/// Everything that an order names.
pub(super) fn of_order(memory: &Memory, order: &CreateVm) -> Result<Place, Failure> {
    let all = &memory.store.places;
    let host = order.placement.host.as_deref().map(|name| host(all, name)).transpose()?;
    let default = default_sr(all, &order.placement)?;
    let disks =
        order.disks.iter().map(|disk| sr_of(all, disk, &order.placement, &default)).collect::<Result<_, _>>()?;
    for nic in &order.nics {
        network(all, &nic.network.name)?;
    }
    Ok(Place { host, sr: default, disks })
}

fn host(places: &Places, name: &str) -> Result<Ref, Failure> {
    let found = places.hosts.iter().filter(|(_, host)| is(host, |host| *host.name_label == *name));
    the_one("host", name, &found.map(|(at, _)| at).collect::<Vec<_>>())
}

/// The network of a name.
pub(super) fn network(places: &Places, name: &str) -> Result<(Ref, Network), Failure> {
    let found = places.networks.iter().filter(|(_, network)| is(network, |network| *network.name == *name));
    let at = the_one("network", name, &found.map(|(at, _)| at).collect::<Vec<_>>())?;
    let network = get(&places.networks, &at).cloned();
    network.map(|network| (at, network)).ok_or_else(|| Failure::senseless("a network that was there a moment ago"))
}

/// Where a disk of an order goes.
pub(super) fn sr_of(places: &Places, disk: &DiskOrder, placement: &Placement, default: &Ref) -> Result<Ref, Failure> {
    disk.storage.as_deref().map_or_else(|| Ok(default.clone()), |name| sr(places, name, placement.host.as_deref()))
}

fn default_sr(places: &Places, placement: &Placement) -> Result<Ref, Failure> {
    if let Some(name) = placement.storage.as_deref() {
        return sr(places, name, placement.host.as_deref());
    }
    let pool = places.pools.values().find_map(|pool| pool.as_ref().ok());
    pool.and_then(|pool| pool.default_sr.clone()).ok_or_else(|| {
        let why = "the placement names no storage, and the pool has no default SR";
        Failure::because(ErrorKind::NotFound, why)
    })
}

/// The storage repository of a name, as seen from a host.
pub(super) fn sr(places: &Places, name: &str, host: Option<&str>) -> Result<Ref, Failure> {
    let mut found: Vec<&Ref> =
        places.srs.iter().filter(|(_, sr)| is(sr, |sr| *sr.name_label == *name)).map(|(at, _)| at).collect();
    if let (Some(host), true) = (host, found.len() > 1) {
        found.retain(|at| places::reaching(places, at).contains(host));
    }
    the_one("storage repository", name, &found)
}

fn is<T>(read: &Read<T>, wanted: impl FnOnce(&T) -> bool) -> bool {
    read.as_ref().is_ok_and(wanted)
}

fn the_one(what: &str, name: &str, found: &[&Ref]) -> Result<Ref, Failure> {
    match found {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::because(ErrorKind::NotFound, format!("there is no {what} `{name}`"))),
        several => {
            let why = format!("{} of the pool are called `{name}`: {what} not clear", several.len());
            Err(Failure::because(ErrorKind::Conflict, why))
        }
    }
}
