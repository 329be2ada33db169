//! Hosts, storage, networks and templates as a catalog. Pure.
//!
//! A host's memory is what VMs can have: its total less what the hypervisor and the control domains take. An SR or
//! network that every host reaches names no hosts. CD libraries and removable media are no storage for disks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::convert;
use super::record::{Host, HostMetrics, Vm};
use super::rpc::Ref;
use super::store::{Places, Store, get};
use crate::inventory::{Catalog, Image, Network, Storage};
use crate::model::{Bytes, Firmware, NetworkTarget};

/// Everything that a plan needs to know besides VMs.
pub(super) fn catalog(store: &Store) -> Catalog {
    let places = &store.places;
    let mut catalog = Catalog {
        hosts: hosts(store),
        storage: storage(places),
        networks: networks(places),
        images: images(store),
        ..Catalog::default()
    };
    catalog.hosts.sort_by(|a, b| a.name.cmp(&b.name));
    catalog.storage.sort_by(|a, b| (&a.name, &a.hosts).cmp(&(&b.name, &b.hosts)));
    catalog.networks.sort_by(|a, b| (&a.target, &a.hosts).cmp(&(&b.target, &b.hosts)));
    catalog.images.sort_by(|a, b| (&a.source, &a.disks).cmp(&(&b.source, &b.disks)));
    catalog
}

fn hosts(store: &Store) -> Vec<crate::inventory::Host> {
    let domains = store.vms.values().filter_map(|vm| vm.as_ref().ok()).filter(|vm| vm.control_domain);
    let mut taken: BTreeMap<&Ref, u64> = BTreeMap::new();
    for domain in domains {
        if let Some(host) = &domain.host {
            *taken.entry(host).or_default() += domain.memory;
        }
    }
    let readable = store.places.hosts.iter().filter_map(|(at, host)| Some((at, host.as_ref().ok()?)));
    readable
        .map(|(at, host)| {
            let metrics = metrics(&store.places, host);
            let total = metrics.map_or(0, |metrics| metrics.memory_total);
            let taken = taken.get(at).copied().unwrap_or(0).saturating_add(host.memory_overhead);
            crate::inventory::Host {
                name: Arc::clone(&host.name_label),
                cluster: None,
                datacenter: None,
                memory: Bytes(total.saturating_sub(taken)),
                usable: host.enabled && metrics.is_some_and(|metrics| metrics.live),
            }
        })
        .collect()
}

fn metrics<'p>(places: &'p Places, host: &Host) -> Option<&'p HostMetrics> {
    get(&places.host_metrics, host.metrics.as_ref()?)
}

fn storage(places: &Places) -> Vec<Storage> {
    let readable = places.srs.iter().filter_map(|(at, sr)| Some((at, sr.as_ref().ok()?)));
    readable
        .map(|(at, sr)| {
            let plugged = reaching(places, at);
            Storage {
                name: Arc::clone(&sr.name_label),
                datacenter: None,
                capacity: Bytes(sr.physical_size),
                free: Bytes(sr.physical_size.saturating_sub(sr.physical_utilisation)),
                usable: !plugged.is_empty() && takes_disks(&sr.kind, &sr.content_type),
                hosts: unless_all(places, plugged),
            }
        })
        .collect()
}

/// Is it a place for disks? CD libraries and removable media are not.
pub(super) fn takes_disks(kind: &str, content_type: &str) -> bool {
    content_type != "iso" && !matches!(kind, "iso" | "udev")
}

/// Names of the hosts that an SR is plugged into.
pub(super) fn reaching(places: &Places, sr: &Ref) -> BTreeSet<Arc<str>> {
    let plugged = places.pbds.values().filter_map(|pbd| pbd.as_ref().ok());
    plugged
        .filter(|pbd| pbd.sr == *sr && pbd.currently_attached)
        .filter_map(|pbd| get(&places.hosts, &pbd.host))
        .map(|host| Arc::clone(&host.name_label))
        .collect()
}

fn networks(places: &Places) -> Vec<Network> {
    let readable = places.networks.iter().filter_map(|(at, network)| Some((at, network.as_ref().ok()?)));
    readable
        .filter(|(_, network)| !network.internal)
        .map(|(at, network)| {
            let cards = places.pifs.values().filter_map(|pif| pif.as_ref().ok());
            let hosts: BTreeSet<Arc<str>> = cards
                .filter(|pif| pif.network == *at)
                .filter_map(|pif| get(&places.hosts, &pif.host))
                .map(|host| Arc::clone(&host.name_label))
                .collect();
            Network {
                target: NetworkTarget { name: network.name.to_string(), vlan: None },
                datacenter: None,
                // Without any card it is a network between VMs, which every host can have.
                hosts: unless_all(places, hosts),
            }
        })
        .collect()
}

fn unless_all(places: &Places, hosts: BTreeSet<Arc<str>>) -> Vec<Arc<str>> {
    let all = places.hosts.values().filter_map(|host| host.as_ref().ok()).all(|host| hosts.contains(&host.name_label));
    if all { Vec::new() } else { hosts.into_iter().collect() }
}

fn images(store: &Store) -> Vec<Image> {
    let readable = store.vms.iter().filter_map(|(at, vm)| Some((at, vm.as_ref().ok()?)));
    readable.filter(|(_, vm)| convert::is_image(vm)).filter_map(|(at, vm)| image(store, at, vm)).collect()
}

/// A template whose disks cannot be read is not offered.
fn image(store: &Store, at: &Ref, vm: &Vm) -> Option<Image> {
    let parts = convert::parts(store, at, vm).ok()?;
    Some(Image {
        source: Arc::clone(&vm.name),
        datacenter: None,
        disks: parts.disks.iter().map(|disk| disk.observed.size).collect(),
        firmware: Some(if vm.uefi { Firmware::Uefi } else { Firmware::Bios }),
    })
}
