//! Everything of a pool by reference, filled by batches of events. Pure.
//!
//! A batch from the empty token holds all; a later one what changed (recorded/09, 17). With each comes the number of
//! objects of every class (`valid_ref_counts`): only when we hold as many is nothing missing. A record that cannot be
//! read is kept as such, with the reason.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::{Guest, Host, HostMetrics, Network, Pbd, Pif, Pool, Sr, Vbd, Vdi, Vif, Vm};
use super::rpc::Ref;

/// What `event.from` is asked for.
pub(super) const CLASSES: &[&str] =
    &["vm", "vbd", "vdi", "vif", "vm_guest_metrics", "network", "pif", "sr", "pbd", "host", "host_metrics", "pool"];

/// An answer of `event.from`.
#[derive(Debug, Deserialize)]
pub(super) struct Batch<'a> {
    #[serde(borrow)]
    pub events: Vec<Event<'a>>,
    pub token: String,
    #[serde(default)]
    pub valid_ref_counts: HashMap<String, u64>,
}

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    class: Cow<'a, str>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(rename = "ref")]
    reference: Ref,
    #[serde(borrow, default)]
    pub snapshot: Option<&'a RawValue>,
}

/// A record, or why it could not be read.
pub(super) type Read<T> = Result<T, Unreadable>;

/// What is known of a record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub uuid: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub why: String,
}

type Table<T> = HashMap<Ref, Read<T>>;

/// Where VMs may be: small even in a large pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub networks: Table<Network>,
    pub pifs: Table<Pif>,
    pub srs: Table<Sr>,
    pub pbds: Table<Pbd>,
    pub hosts: Table<Host>,
    pub host_metrics: Table<HostMetrics>,
    pub pools: Table<Pool>,
}

/// All objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub places: Places,
    pub vms: Table<Vm>,
    pub vbds: Table<Vbd>,
    pub vdis: Table<Vdi>,
    pub vifs: Table<Vif>,
    pub guests: Table<Guest>,
}

impl Store {
    /// Takes over what a batch says.
    pub(super) fn apply(&mut self, batch: &Batch<'_>) {
        for event in &batch.events {
            self.take(event);
        }
    }

    fn take(&mut self, event: &Event<'_>) {
        match &*event.class {
            "vm" => put(&mut self.vms, event),
            "vbd" => put(&mut self.vbds, event),
            "vdi" => put(&mut self.vdis, event),
            "vif" => put(&mut self.vifs, event),
            "vm_guest_metrics" => put(&mut self.guests, event),
            "network" => put(&mut self.places.networks, event),
            "pif" => put(&mut self.places.pifs, event),
            "sr" => put(&mut self.places.srs, event),
            "pbd" => put(&mut self.places.pbds, event),
            "host" => put(&mut self.places.hosts, event),
            "host_metrics" => put(&mut self.places.host_metrics, event),
            "pool" => put(&mut self.places.pools, event),
            _ => {}
        }
    }

    /// Classes of which we hold another number than the server says there are; `None`: nothing is missing.
    pub(super) fn gaps(&self, counts: &HashMap<String, u64>) -> Option<String> {
        let held = [
            ("vm", self.vms.len()),
            ("vbd", self.vbds.len()),
            ("vdi", self.vdis.len()),
            ("vif", self.vifs.len()),
            ("vm_guest_metrics", self.guests.len()),
            ("network", self.places.networks.len()),
            ("pif", self.places.pifs.len()),
            ("sr", self.places.srs.len()),
            ("pbd", self.places.pbds.len()),
            ("host", self.places.hosts.len()),
            ("host_metrics", self.places.host_metrics.len()),
            ("pool", self.places.pools.len()),
        ];
        let wrong: Vec<String> = held
            .into_iter()
            .filter_map(|(class, held)| match counts.get(class) {
                Some(count) if usize::try_from(*count) == Ok(held) => None,
                Some(count) => Some(format!("{held} of {count} objects of class {class}")),
                None => Some(format!("class {class}, whose number the server does not tell")),
            })
            .collect();
        (!wrong.is_empty()).then(|| format!("the listing has {}", wrong.join(", ")))
    }
}

fn put<'a, T: Deserialize<'a>>(table: &mut Table<T>, event: &Event<'a>) {
    if event.operation == "del" {
        table.remove(&event.reference);
        return;
    }
    let read = match event.snapshot {
        Some(snapshot) => serde_json::from_str(snapshot.get()).map_err(|error| Unreadable::of(snapshot, &error)),
        None => Err(Unreadable { uuid: None, name: None, why: "the server gives no record of it".to_owned() }),
    };
    table.insert(event.reference.clone(), read);
}

impl Unreadable {
    fn of(snapshot: &RawValue, error: &serde_json::Error) -> Self {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            uuid: Option<Arc<str>>,
            #[serde(default)]
            name_label: Option<Arc<str>>,
        }
        let named = serde_json::from_str(snapshot.get()).unwrap_or(Named { uuid: None, name_label: None });
        Self { uuid: named.uuid, name: named.name_label, why: format!("its record cannot be read: {error}") }
    }
}

/// The record of a reference, if both are there and it could be read.
pub(super) fn get<'t, T>(table: &'t Table<T>, reference: &Ref) -> Option<&'t T> {
    table.get(reference)?.as_ref().ok()
}
