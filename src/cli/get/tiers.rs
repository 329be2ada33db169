//! `get tiers`: the tiers of the manifests and how many VMs they ask for.

use serde::Serialize;

use super::{Args, Row, or_dash, print};
use crate::cli::{edge, plan};
use crate::model::{Currency, Desired, EndpointName, HypervisorType, Prune, Tier, TierName};
use crate::outcome;
use crate::session::{LookRequest, Session};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TierRow {
    name: TierName,
    #[serde(rename = "type")]
    hypervisor: Option<HypervisorType>,
    endpoints: Vec<EndpointName>,
    configured: bool,
    desired_vms: usize,
    prune: Prune,
    grace_days: u32,
    currency: Option<Currency>,
    images: Vec<String>,
    networks: Vec<String>,
    storage: Vec<String>,
    description: Option<String>,
}

impl Row for TierRow {
    const HEADINGS: &'static [&'static str] =
        &["name", "type", "endpoints", "configured", "vms", "prune", "images", "networks", "storage", "description"];
    const NARROW: usize = 6;

    fn cells(&self) -> Vec<String> {
        let endpoints: Vec<&str> = self.endpoints.iter().map(EndpointName::as_str).collect();
        let prune = match self.prune {
            Prune::Never => "never".to_owned(),
            Prune::Confirm => format!("confirm, {} days", self.grace_days),
            Prune::Auto => format!("auto, {} days", self.grace_days),
        };
        vec![
            self.name(),
            or_dash(self.hypervisor),
            endpoints.join(","),
            if self.configured { "yes" } else { "no" }.to_owned(),
            self.desired_vms.to_string(),
            prune,
            self.images.join(","),
            self.networks.join(","),
            self.storage.join(","),
            or_dash(self.description.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

pub(super) async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    // Against an empty inventory: tiers are in the manifests, so no endpoint needs to be asked.
    let inventory = Some(crate::inventory::Inventory::default());
    let manifests = args.source.file.clone();
    let look = plan::look(session, LookRequest { manifests, inventory, ..LookRequest::default() }).await?;
    edge::say_diagnostics(&look.diagnostics);
    let Some(desired) = look.desired else { return Ok(outcome::ERROR) };
    print(desired.tiers.values().map(|tier| row(session, &desired, tier)).collect(), args)?;
    Ok(outcome::OK)
}

fn row(session: &Session, desired: &Desired, tier: &Tier) -> TierRow {
    TierRow {
        name: tier.name.clone(),
        hypervisor: tier.hypervisor,
        endpoints: tier.endpoints.clone(),
        configured: tier.endpoints.iter().all(|endpoint| session.settings().endpoint(endpoint).is_some()),
        desired_vms: desired.vms.values().filter(|vm| vm.tier == tier.name).count(),
        prune: tier.sync.prune,
        grace_days: tier.sync.grace_days,
        currency: tier.price.as_ref().map(|price| price.currency.clone()),
        images: tier.images.keys().cloned().collect(),
        networks: tier.networks.keys().cloned().collect(),
        storage: tier.storage.keys().cloned().collect(),
        description: tier.description.clone(),
    }
}
