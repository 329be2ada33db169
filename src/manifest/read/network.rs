//! MACs, addresses with their prefix, gateways.

use std::net::IpAddr;

use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::report::shown;
use crate::manifest::schema::At;

impl Reader<'_> {
    /// A unicast MAC, in lower case with colons.
    pub(super) fn mac(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.raw(slot, "a MAC address")?;
        let why = match mac(text) {
            Some(octets) if octets[0] & 1 == 1 => "is a multicast address; a NIC's own has an even second digit",
            Some([0, 0, 0, 0, 0, 0]) => "is no address of a NIC",
            Some(octets) => return Some(octets.map(|octet| format!("{octet:02x}")).join(":")),
            None => "must be six pairs of hex digits with colons, such as \"00:50:56:00:00:01\"",
        };
        self.error(slot.node.spot, codes::MAC, format!("`{}`: `{}` {why}", slot.name, shown(text)));
        None
    }

    /// `address/prefix`, as it is said back.
    pub(super) fn address(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.text(slot)?;
        let problem = match text.split_once('/') {
            None => match text.parse::<IpAddr>() {
                Ok(address) => {
                    let prefix = if address.is_ipv4() { 24 } else { 64 };
                    self.error(slot.node.spot, codes::ADDRESS, format!("`{}` lacks its prefix length", shown(text)))
                        .hint(format!("write it as {address}/{prefix} if {prefix} is the prefix length"));
                    return None;
                }
                Err(_) => "must be an address with its prefix length, such as 10.1.2.3/24",
            },
            Some(_) => match cidr(text) {
                Some((address, prefix)) if is_host(address, prefix) => return Some(format!("{address}/{prefix}")),
                Some(_) => "is not the address of a host: give the guest's own address, not the network's",
                None => "must be an address with its prefix length, such as 10.1.2.3/24",
            },
        };
        self.error(slot.node.spot, codes::ADDRESS, format!("`{}` {problem}", shown(text)));
        None
    }

    /// An address alone.
    pub(super) fn ip(&mut self, slot: Slot<'_>) -> Option<IpAddr> {
        let text = self.text(slot)?;
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let problem = self.error(
            slot.node.spot,
            codes::GATEWAY,
            format!("`{}`: `{}` must be an address, such as 10.1.2.1", slot.name, shown(text)),
        );
        if let Some((address, _)) = cidr(text) {
            problem.hint(format!("write `{}: {address}`, without the prefix length", slot.name));
        }
        None
    }

    /// The gateway lies in the network of an address, and is none of them.
    pub(super) fn check_gateway(&mut self, gateway: &At<IpAddr>, addresses: &[At<String>]) {
        let networks: Vec<(IpAddr, u8)> = addresses.iter().filter_map(|address| cidr(&address.value)).collect();
        if networks.iter().any(|(address, _)| *address == gateway.value) {
            self.error(gateway.spot, codes::GATEWAY, format!("the gateway {} is the NIC's own address", gateway.value));
        } else if !networks.iter().any(|(address, prefix)| contains(*address, *prefix, gateway.value)) {
            let list = addresses.iter().map(|address| address.value.as_str()).collect::<Vec<_>>().join(", ");
            self.error(
                gateway.spot,
                codes::GATEWAY,
                format!("the gateway {} is not in the network of {}", gateway.value, shown(&list)),
            );
        }
    }
}

/// Six octets, with colons or with dashes, not mixed.
fn mac(text: &str) -> Option<[u8; 6]> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut octets = [0; 6];
    let mut parts = text.split(separator);
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

/// Address and prefix length.
pub(super) fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let plain =
        !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let prefix: u8 = prefix.parse().ok().filter(|_| plain)?;
    (prefix >= 1 && prefix <= width(address)).then_some((address, prefix))
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address as a number, in the high bits.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    network.is_ipv4() == address.is_ipv4() && (bits(network) ^ bits(address)) & mask == 0
}

/// Neither the network's own address, nor (IPv4) its broadcast address, nor one that no guest has.
fn is_host(address: IpAddr, prefix: u8) -> bool {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return false;
    }
    let left = width(address) - prefix;
    if left < 2 {
        return true; // /31 and /32 (RFC 3021), /127 and /128 (RFC 6164): every address is a host's
    }
    let host = bits(address).checked_shl(u32::from(prefix)).unwrap_or(0);
    let all = u128::MAX.checked_shl(128 - u32::from(left)).unwrap_or(0);
    // An IPv6 network's first address is the routers' anycast address (RFC 4291, 2.6.1); its last is a host's.
    host != 0 && (address.is_ipv6() || host != all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_addresses_are_told_from_network_and_broadcast_addresses() {
        let host = |text: &str| cidr(text).is_some_and(|(address, prefix)| is_host(address, prefix));
        assert!(host("10.1.2.3/24"));
        assert!(host("10.1.2.0/31"));
        assert!(host("2001:db8::5/64"));
        for wrong in ["10.1.2.0/24", "10.1.2.255/24", "0.0.0.0/8", "224.0.0.1/24", "127.0.0.1/8", "2001:db8::/64"] {
            assert!(!host(wrong), "{wrong}");
        }
        for wrong in ["10.1.2.3/33", "10.1.2.3/", "10.1.2.3/024", "10.1.2/24", "10.1.2.3/0"] {
            assert_eq!(cidr(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_gateway_is_found_in_its_network_only() {
        let inside = |network: &str, gateway: &str| {
            let (address, prefix) = cidr(network).expect("an address of this test");
            contains(address, prefix, gateway.parse().expect("an address of this test"))
        };
        assert!(inside("10.1.2.3/24", "10.1.2.1"));
        assert!(!inside("10.1.2.3/24", "10.1.3.1"));
        assert!(!inside("10.1.2.3/24", "2001:db8::1"));
        assert!(inside("2001:db8::5/64", "2001:db8::1"));
    }

    #[test]
    fn macs_come_with_colons_or_dashes_but_not_mixed() {
        assert_eq!(mac("00:50:56:AA:00:01"), Some([0, 0x50, 0x56, 0xaa, 0, 1]));
        assert_eq!(mac("00-50-56-aa-00-01"), Some([0, 0x50, 0x56, 0xaa, 0, 1]));
        for wrong in
            ["", "00:50:56:aa:00", "00:50:56:aa:00:01:02", "0:50:56:aa:00:01", "00:50-56:aa:00:01", "+0:50:56:aa:00:01"]
        {
            assert_eq!(mac(wrong), None, "{wrong}");
        }
    }
}
