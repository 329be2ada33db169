//! `import`: manifests for VMs that nobody manages. Asks one endpoint and changes nothing.

use clap::ValueEnum;

use super::args::Source;
use super::{Globals, Usage, edge, progress, view};
use crate::events::EventSink;
use crate::import::{self, ImportRequest, Imported};
use crate::inventory::{Inventory, View};
use crate::model::{Desired, EndpointName, TierName, VmKey};
use crate::outcome;
use crate::plan::History;
use crate::session::Session;

/// Flags of `import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Put what it prints into the source: `plan` then shows an adoption for each VM, which writes the
mark and changes nothing else. Networks and storage are said in the words of the tier; a VM that
they cannot say is left out, with the reason on stderr.

Exit codes: 0, 1 error or a VM that was named is left out, 4 the endpoint's inventory is missing.

Examples:
  tierwright import vc-prod --all > manifests/imported.yaml
  tierwright import vc-prod erp-db-01 erp-app-01 --project erp --tier tier-1
  tierwright import vc-prod 50303d4b-1f2e-8c60-9d1a-3b1c0a9d3e11
  tierwright import vc-prod --all -o json | jq -r '.[].metadata.name'"
)]
pub struct Args {
    /// The endpoint that has the VMs
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// VMs by name or id
    #[arg(value_name = "NAME|ID", required_unless_present = "all", conflicts_with = "all")]
    vms: Vec<String>,
    /// All VMs that nobody manages
    #[arg(long)]
    all: bool,
    /// The tier they belong on [default: the one that fits]
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// The project of their keys
    #[arg(long, value_name = "PROJECT", default_value = VmKey::DEFAULT_PROJECT)]
    project: String,
    #[command(flatten)]
    source: Source,
    /// How manifests are printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Yaml)]
    output: Format,
}

/// How manifests are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Documents for the source.
    Yaml,
    /// A list of them.
    Json,
}

/// Asks the endpoint and prints.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    let session = edge::session(globals).await?;
    let code = import(&session, &args).await;
    session.close().await;
    code
}

async fn import(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let endpoint = endpoint(session, &args.endpoint)?;
    VmKey::new(&args.project, "name").map_err(|error| Usage(error.to_string()))?;
    let wanted = session.read_source(args.source.file.as_deref()).await?;
    edge::say_diagnostics(&wanted.diagnostics);
    let Some(desired) = wanted.desired else { return Ok(outcome::ERROR) };
    let tier = args.tier.as_deref().map(|name| tier(&desired, name, &endpoint)).transpose()?;
    let (sink, events) = EventSink::channel();
    let asked = session.inventory_of(&endpoint, &sink);
    let (inventory, history) = progress::shown(progress::Progress::reading(), events, asked).await?;
    let missing = edge::say_missing(&inventory);
    let Some(imported) = of(session, (&endpoint, &inventory, &history), (&desired, tier.as_ref()), args) else {
        return Ok(outcome::ENDPOINT_MISSING);
    };
    match args.output {
        Format::Yaml => view::text(&imported.vms.iter().map(import::write).collect::<String>())?,
        Format::Json => view::json(&imported.vms.iter().map(import::value).collect::<Vec<_>>())?,
    }
    tell(&imported, &endpoint);
    let named = !args.all && (!imported.left_out.is_empty() || !imported.unmatched.is_empty());
    Ok(match (missing, named) {
        (true, _) => outcome::ENDPOINT_MISSING,
        (false, true) => outcome::ERROR,
        (false, false) => outcome::OK,
    })
}

/// `None`: the endpoint did not answer.
fn of(
    session: &Session,
    (endpoint, inventory, history): (&EndpointName, &Inventory, &History),
    (desired, tier): (&Desired, Option<&TierName>),
    args: &Args,
) -> Option<Imported> {
    let View::Observed(observed) = &inventory.endpoints.get(endpoint)?.view else { return None };
    Some(import::import(&ImportRequest {
        endpoint,
        observed,
        desired,
        history,
        installation: &session.settings().installation,
        tier,
        project: &args.project,
        chosen: (!args.all).then_some(&args.vms),
    }))
}

/// What was left out, and how many there are, on stderr.
fn tell(imported: &Imported, endpoint: &EndpointName) {
    for left_out in &imported.left_out {
        view::say!("left out {} ({}): {}", view::clean(&left_out.name), left_out.id, view::clean(&left_out.why));
    }
    for (text, meant) in &imported.unmatched {
        let meant = meant.as_ref().map(|name| format!("; did you mean `{}`?", view::clean(name))).unwrap_or_default();
        view::say!("no VM of {endpoint} has the name or id `{}`{meant}", view::clean(text));
    }
    let counted = [
        (imported.vms.len(), "imported"),
        (imported.left_out.len(), "left out"),
        (imported.managed, "managed already"),
    ];
    let told: Vec<String> = counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    view::say!("{}.", if told.is_empty() { "Nothing to import".to_owned() } else { told.join(", ") });
}

fn endpoint(session: &Session, text: &str) -> anyhow::Result<EndpointName> {
    let endpoints = &session.settings().endpoints;
    if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.name.as_str() == text) {
        return Ok(endpoint.name.clone());
    }
    let known: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    Err(Usage(format!("there is no endpoint `{}` in the settings; there is {}", view::clean(text), known.join(", ")))
        .into())
}

fn tier(desired: &Desired, text: &str, endpoint: &EndpointName) -> anyhow::Result<TierName> {
    let text = view::clean(text);
    match desired.tiers.iter().find(|(name, _)| name.as_str() == text) {
        Some((name, tier)) if tier.endpoints.contains(endpoint) => Ok(name.clone()),
        Some(_) => Err(Usage(format!("{endpoint} is not an endpoint of {text}")).into()),
        None => {
            let known: Vec<&str> = desired.tiers.keys().map(TierName::as_str).collect();
            Err(Usage(format!("there is no tier `{text}`; there is {}", known.join(", "))).into())
        }
    }
}
