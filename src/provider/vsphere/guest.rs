//! What cloud-init finds in `guestinfo`: user data, and metadata with the network configuration. Pure.
//!
//! Keys and encodings are those of cloud-init's DataSourceVMware (cloud-init documentation, "VMware"); the network part
//! is its network configuration version 2. JSON is YAML, so the metadata is JSON. Cards are matched by MAC, since their
//! names are the guest's choice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::mark::Mark;
use crate::model::Secret;
use crate::plan::{CreateVm, NicOrder};

/// Does the order have anything to tell the guest?
pub(super) fn has_news(order: &CreateVm) -> bool {
    order.cloud_init || order.nics.iter().any(|nic| !nic.addresses.is_empty())
}

/// The entries of the extra configuration. The mark tells the MACs.
pub(super) fn entries(order: &CreateVm, mark: &Mark, user_data: Option<&Secret>) -> Vec<(&'static str, String)> {
    let mut entries = vec![
        ("guestinfo.metadata", STANDARD.encode(metadata(order, mark).to_string())),
        ("guestinfo.metadata.encoding", "base64".to_owned()),
    ];
    if let Some(user_data) = user_data.filter(|_| order.cloud_init) {
        entries.push(("guestinfo.userdata", STANDARD.encode(user_data.expose())));
        entries.push(("guestinfo.userdata.encoding", "base64".to_owned()));
    }
    entries
}

fn metadata(order: &CreateVm, mark: &Mark) -> Value {
    let mut metadata = Map::new();
    metadata.insert("instance-id".to_owned(), json!(order.identity.to_string()));
    metadata.insert("local-hostname".to_owned(), json!(hostname(order.name.as_str())));
    let ethernets: Map<String, Value> =
        order.nics.iter().filter_map(|nic| Some((nic.name.clone(), ethernet(nic, mark)?))).collect();
    if order.nics.iter().any(|nic| !nic.addresses.is_empty()) {
        metadata.insert("network".to_owned(), json!({"version": 2, "ethernets": ethernets}));
    }
    Value::Object(metadata)
}

fn ethernet(nic: &NicOrder, mark: &Mark) -> Option<Value> {
    let mac = nic.mac.as_ref().or_else(|| mark.nics.get(&nic.name)?.mac.as_ref())?.to_lowercase();
    let mut ethernet = Map::new();
    ethernet.insert("match".to_owned(), json!({"macaddress": mac}));
    if nic.addresses.is_empty() {
        ethernet.insert("dhcp4".to_owned(), json!(true));
    } else {
        ethernet.insert("dhcp4".to_owned(), json!(false));
        ethernet.insert("addresses".to_owned(), json!(nic.addresses));
        if let Some(gateway) = nic.gateway {
            ethernet.insert("routes".to_owned(), json!([{"to": "default", "via": gateway.to_string()}]));
        }
    }
    Some(Value::Object(ethernet))
}

/// A name a guest may have: letters, digits and hyphens (RFC 1123).
fn hostname(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    plain.trim_matches(['-', '.']).chars().take(63).collect()
}
