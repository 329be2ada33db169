//! `get tiers`: the tiers of the manifests, how many VMs they ask for, and how the running `serve` says these stand.

use serde::Serialize;

use super::served::{Served, Told, served};
use super::words::{self, Standing};
use super::{Args, Row, or_dash, print};
use crate::cli::{edge, plan, view};
use crate::model::{Currency, Desired, EndpointName, HypervisorType, Prune, Tier, TierName};
use crate::outcome;
use crate::session::{LookRequest, Session};
use crate::status::StatusFile;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TierRow {
    name: TierName,
    #[serde(rename = "type")]
    hypervisor: Option<HypervisorType>,
    endpoints: Vec<EndpointName>,
    configured: bool,
    desired_vms: usize,
    #[serde(flatten)]
    standing: Standing,
    #[serde(flatten)]
    told: Option<Told>,
    prune: Prune,
    grace_days: u32,
    currency: Option<Currency>,
    images: Vec<String>,
    networks: Vec<String>,
    storage: Vec<String>,
    description: Option<String>,
}

impl Row for TierRow {
    const HEADINGS: &'static [&'static str] = &[
        "name",
        "type",
        "endpoints",
        "configured",
        "vms",
        "status",
        "prune",
        "since",
        "why",
        "images",
        "networks",
        "storage",
        "description",
    ];
    const NARROW: usize = 7;

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
            or_dash(self.standing.status.as_ref()),
            prune,
            or_dash(self.standing.since),
            or_dash(self.standing.why.as_ref()),
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
    let served = if args.source.file.is_some() {
        view::say!("STATUS is not shown: a running serve says nothing of these manifests.");
        None
    } else {
        let planned = |file: &StatusFile| file.status.plan.is_some();
        served(session, planned, "STATUS is not known; `tierwright get vms` asks for that of each VM")
    };
    print(desired.tiers.values().map(|tier| row(session, &desired, tier, served.as_ref())).collect(), args)?;
    Ok(outcome::OK)
}

fn row(session: &Session, desired: &Desired, tier: &Tier, served: Option<&Served>) -> TierRow {
    // One that `serve` does not count has no VM yet.
    let standing = served.map(|served| {
        let counted = served.file.tiers.get(&tier.name).copied().unwrap_or_default();
        words::tier(&tier.name, counted, &served.file.status)
    });
    TierRow {
        standing: standing.unwrap_or_default(),
        told: served.map(Told::by_serve),
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
