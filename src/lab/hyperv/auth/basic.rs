//! Basic (RFC 7617), over TLS alone: Windows refuses it where anybody could read along.

use base64::Engine as _;

use crate::lab::hyperv::Node;

/// Does the header name the account, with its password?
pub(super) fn is_good(node: &Node, header: &str) -> bool {
    if node.certificate.is_none() {
        return false;
    }
    let Some((scheme, text)) = header.split_once(' ') else { return false };
    if !scheme.eq_ignore_ascii_case("Basic") {
        return false;
    }
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(text.trim()) else { return false };
    let Ok(pair) = String::from_utf8(bytes) else { return false };
    let Some((user, password)) = pair.split_once(':') else { return false };
    let account = &node.parts.endpoint;
    bare(user).eq_ignore_ascii_case(bare(&account.username)) && password == account.password
}

/// A name without its domain: `HV01\user`, `user@lab.example`.
pub(super) fn bare(name: &str) -> &str {
    let name = name.rsplit_once('\\').map_or(name, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}
