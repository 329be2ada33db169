//! The manifests of `examples/`, embedded so that the demo needs nothing but the binary.

/// Path below `examples/` and text; a test compares the list with the folder.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("erp/application.yaml", include_str!("../../../examples/erp/application.yaml")),
    ("erp/database.yaml", include_str!("../../../examples/erp/database.yaml")),
    ("erp/directory.yaml", include_str!("../../../examples/erp/directory.yaml")),
    ("hosted/customers.yaml", include_str!("../../../examples/hosted/customers.yaml")),
    ("instance-types.yaml", include_str!("../../../examples/instance-types.yaml")),
    ("qa/erp-copy.yaml", include_str!("../../../examples/qa/erp-copy.yaml")),
    ("tiers/tier-1.yaml", include_str!("../../../examples/tiers/tier-1.yaml")),
    ("tiers/tier-2.yaml", include_str!("../../../examples/tiers/tier-2.yaml")),
    ("tiers/tier-3.yaml", include_str!("../../../examples/tiers/tier-3.yaml")),
    ("web/shop.yaml", include_str!("../../../examples/web/shop.yaml")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files_below(folder: &Path, found: &mut BTreeSet<String>, root: &Path) {
        for entry in std::fs::read_dir(folder).expect("examples/ is part of the crate") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                files_below(&path, found, root);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_example_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut found = BTreeSet::new();
        files_below(&root, &mut found, &root);
        let embedded: BTreeSet<String> = EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(embedded, found);
    }
}
