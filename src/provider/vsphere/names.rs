//! Names as people write them and as vSphere keeps them.
//!
//! vSphere escapes `%`, `/` and `\` in the names of inventory objects as `%25`, `%2f` and `%5c` (vSphere API reference,
//! ManagedEntity.name), both ways round.

/// As people write it.
pub(super) fn unescape(name: &str) -> String {
    if !name.contains('%') {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).unwrap_or_default();
        let character = match code.to_ascii_lowercase().as_str() {
            "25" => '%',
            "2f" => '/',
            "5c" => '\\',
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push(character);
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    out
}

/// As vSphere keeps it.
pub(super) fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c")
}

/// The datastore in `[datastore] folder/file.vmdk`.
pub(super) fn datastore_of(path: &str) -> Option<&str> {
    path.strip_prefix('[')?.split_once(']').map(|(name, _)| name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_vsphere_does_both_ways() {
        for name in ["plain", "a/b", "100%", "%2f", r"back\slash", "ä/%5c"] {
            assert_eq!(unescape(&escape(name)), name);
        }
        assert_eq!(escape("a/b%"), "a%2fb%25");
        assert_eq!(unescape("a%2Fb%zz%"), "a/b%zz%");
    }

    #[test]
    fn a_datastore_is_read_from_its_path() {
        assert_eq!(datastore_of("[nvme 01] vm/vm.vmdk"), Some("nvme 01"));
        assert_eq!(datastore_of("[] /vmfs/x.vmdk"), None);
        assert_eq!(datastore_of("vm.vmdk"), None);
    }
}
