//! What a new guest is told: its name, its addresses, and the user data. Pure; each provider has its own way to hand it
//! over.
//!
//! The network part is cloud-init's network configuration version 2. JSON is YAML, so all of it is JSON. Cards are
//! matched by MAC, since their names are the guest's choice.
//!
//! ```text
//! mod.rs      host name and network, for every way         nocloud.rs  the three files of a NoCloud seed
//! iso9660.rs  a small CD image that holds files
//! ```

pub(super) mod iso9660;
pub(super) mod nocloud;

use serde_json::{Map, Value, json};

use crate::mark::Mark;
use crate::plan::{CreateVm, NicOrder};

/// Does the order have anything to tell the guest?
pub(super) fn has_news(order: &CreateVm) -> bool {
    order.cloud_init || order.nics.iter().any(|nic| !nic.addresses.is_empty())
}

/// The network configuration, where addresses are declared. The mark tells the MACs.
pub(super) fn network(order: &CreateVm, mark: &Mark) -> Option<Value> {
    if order.nics.iter().all(|nic| nic.addresses.is_empty()) {
        return None;
    }
    let ethernets: Map<String, Value> =
        order.nics.iter().filter_map(|nic| Some((nic.name.clone(), ethernet(nic, mac_of(nic, mark))?))).collect();
    Some(json!({"version": 2, "ethernets": ethernets}))
}

fn mac_of<'a>(nic: &'a NicOrder, mark: &'a Mark) -> Option<&'a str> {
    nic.mac.as_deref().or_else(|| mark.nics.get(&nic.name)?.mac.as_deref())
}

fn ethernet(nic: &NicOrder, mac: Option<&str>) -> Option<Value> {
    let mac = mac?.to_lowercase();
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
pub(super) fn hostname(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    plain.trim_matches(['-', '.']).chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_holds_only_what_a_guest_may_be_called() {
        assert_eq!(hostname("db_01 prod."), "db-01-prod");
        assert_eq!(hostname(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn a_card_with_addresses_is_told_them_by_its_mac() {
        let nic = NicOrder {
            name: "eth0".to_owned(),
            network: crate::model::NetworkTarget { name: "n".to_owned(), vlan: None },
            mac: Some("00:50:56:00:00:0A".to_owned()),
            addresses: vec!["10.1.2.3/24".to_owned()],
            gateway: Some("10.1.2.1".parse().unwrap()),
        };
        let told = nic_json(&nic);
        assert_eq!(told["match"]["macaddress"], "00:50:56:00:00:0a");
        assert_eq!(told["addresses"][0], "10.1.2.3/24");
        assert_eq!(told["routes"][0]["via"], "10.1.2.1");
        assert_eq!(nic_json(&NicOrder { addresses: Vec::new(), ..nic })["dhcp4"], true);
    }

    fn nic_json(nic: &NicOrder) -> Value {
        ethernet(nic, nic.mac.as_deref()).unwrap()
    }
}
