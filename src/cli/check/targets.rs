//! Whether what the tiers name is there: images, networks, storage, placement. Names are compared as the opaque text they
//! are here; what they mean is the provider's business.

use std::sync::Arc;

use super::Findings;
use crate::cli::view;
use crate::inventory::{Catalog, Inventory, Observed};
use crate::model::{Desired, Tier};
use crate::session::{LookRequest, Session};

/// Checks every tier that may place VMs on this endpoint.
pub(super) fn check(findings: &mut Findings<'_>, observed: &Observed, desired: &Desired) {
    let name = &findings.endpoint.name;
    let tiers: Vec<&Tier> = desired.tiers.values().filter(|tier| tier.endpoints.contains(name)).collect();
    for tier in tiers {
        let missing = missing(tier, observed);
        if missing.is_empty() {
            findings.ok("targets", format!("{}: everything it names is there", tier.name));
        }
        for what in missing {
            let hint = format!("make it there, or correct {}:{}", tier.origin.path, tier.origin.line);
            findings.fail("targets", format!("{}: {what} is not there", tier.name), hint);
        }
    }
}

/// What a tier names and the endpoint lacks, in words.
fn missing(tier: &Tier, observed: &Observed) -> Vec<String> {
    let catalog = &observed.catalog;
    let mut missing = Vec::new();
    for (name, image) in &tier.images {
        if !has_image(observed, &image.source) {
            missing.push(format!("image {name} ({})", image.source));
        }
    }
    for (name, network) in &tier.networks {
        if !catalog.networks.iter().any(|there| there.target.name == network.name) {
            missing.push(format!("network {name} ({})", network.name));
        }
    }
    let storage = tier.storage.iter().map(|(name, target)| (name.as_str(), target));
    for (name, target) in storage.chain(tier.placement.storage.iter().map(|target| ("of placement", target))) {
        if catalog.storage_of(target).is_none() {
            missing.push(format!("storage {name} ({target})"));
        }
    }
    missing.extend(missing_placement(tier, catalog));
    missing
}

fn has_image(observed: &Observed, source: &str) -> bool {
    observed.catalog.image_of(source).is_some() || observed.vms.iter().any(|vm| *vm.name == *source)
}

fn missing_placement(tier: &Tier, catalog: &Catalog) -> Vec<String> {
    let placement = &tier.placement;
    let mut missing = Vec::new();
    if let Some(cluster) = &placement.cluster
        && !catalog.hosts.iter().any(|host| host.cluster.as_deref() == Some(cluster))
    {
        missing.push(format!("cluster {cluster}"));
    }
    if let Some(host) = &placement.host
        && !catalog.hosts.iter().any(|there| *there.name == **host)
    {
        missing.push(format!("host {host}"));
    }
    if let Some(folder) = &placement.folder
        && !placement.create_folders
        && !catalog.folders.iter().any(|there| *there.path == **folder)
    {
        missing.push(format!("folder {folder}"));
    }
    if let Some(pool) = &placement.resource_pool
        && !catalog.resource_pools.iter().any(|there| *there.name == **pool)
    {
        missing.push(format!("resource pool {pool}"));
    }
    missing
}

/// What the manifests ask for, read without asking any endpoint; `None`, and said so, when they have an error.
pub(super) async fn desired(session: &Session) -> anyhow::Result<Option<Arc<Desired>>> {
    let request = LookRequest { inventory: Some(Inventory::default()), ..LookRequest::default() };
    let look = session.look(&request).await?;
    if look.desired.is_none() {
        view::say!("What tiers name is not checked: the manifests have errors, see `tierwright validate`.");
    }
    Ok(look.desired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Capabilities, Host, Image, Network, Storage};
    use crate::model::{Bytes, HypervisorType, NetworkTarget};

    const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vc]
  placement: {cluster: gold, folder: Prod, storage: flash}
  images: {debian: {template: tmpl}}
  networks: {app: {portGroup: PG-APP}}
";

    fn tier() -> Tier {
        let text = crate::manifest::SourceText { path: "tier.yaml".into(), bytes: TIER.as_bytes().into() };
        let desired = crate::manifest::compile(crate::model::Revision::default(), &[text]).desired;
        desired.expect("a valid tier").tiers.into_values().next().expect("one")
    }

    fn observed(catalog: Catalog) -> Observed {
        let capabilities = Capabilities {
            hypervisor: HypervisorType::Vsphere,
            product: "test".into(),
            create_from_image: true,
            create_blank: true,
            cloud_init: true,
            own_id_is_identity: true,
            names_by_folder: true,
        };
        Observed {
            capabilities,
            incomplete: None,
            vms: Vec::new(),
            catalog,
            missing: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn everything_that_a_tier_names_and_an_empty_endpoint_lacks_is_told() {
        let told = missing(&tier(), &observed(Catalog::default()));
        assert_eq!(
            told,
            [
                "image debian (tmpl)",
                "network app (PG-APP)",
                "storage of placement (flash)",
                "cluster gold",
                "folder Prod"
            ]
        );
    }

    #[test]
    fn nothing_is_told_when_all_is_there() {
        let size = Bytes::gib(1);
        let target = NetworkTarget { name: "PG-APP".into(), vlan: None };
        let catalog = Catalog {
            hosts: vec![Host {
                name: "esx".into(),
                cluster: Some("gold".into()),
                datacenter: None,
                memory: size,
                usable: true,
            }],
            storage: vec![Storage {
                name: "flash".into(),
                datacenter: None,
                capacity: size,
                free: size,
                hosts: Vec::new(),
                usable: true,
            }],
            networks: vec![Network { target, datacenter: None, hosts: Vec::new() }],
            images: vec![Image { source: "tmpl".into(), datacenter: None, disks: Vec::new(), firmware: None }],
            folders: vec![crate::inventory::Folder { path: "Prod".into(), datacenter: None }],
            resource_pools: Vec::new(),
        };
        assert_eq!(missing(&tier(), &observed(catalog)), Vec::<String>::new());
    }
}
