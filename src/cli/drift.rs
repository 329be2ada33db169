//! `drift`: what somebody changed on our VMs since tierwright last applied them. Read-only: there is no call below that
//! changes anything.

use clap::ValueEnum;

use super::args::Source;
use super::{Globals, edge, plan, view};
use crate::diff::{self, DriftLine};
use crate::outcome;
use crate::plan::{Policy, census};
use crate::session::{Look, LookRequest};

/// Flags of `drift`.
#[derive(Debug, clap::Args)]
#[command(after_help = "One line for each field: KEY field: as applied -> as found.
Exit codes: 0, 1 error, 4 the inventory of an endpoint is missing;
with --detailed-exitcode 2 for any drift.

Examples:
  tierwright drift
  tierwright drift -o json
  tierwright drift --detailed-exitcode -v      in a nightly job")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// How drift is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
    /// Exit 2 when there is any drift
    #[arg(long)]
    detailed_exitcode: bool,
}

/// How drift is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each field.
    Text,
    /// `[{key, endpoint, id, field, from, to}]`.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Looks and shows.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    let session = edge::session(globals).await?;
    let request = LookRequest { manifests: args.source.file, ..LookRequest::default() };
    let look = plan::look(&session, request).await;
    let policy = session.policy().clone();
    session.close().await;
    let look = look?;
    edge::say_diagnostics(&look.diagnostics);
    if look.plan.is_none() {
        return Ok(outcome::ERROR);
    }
    let lines = of(&look, &policy);
    let missing = edge::say_missing(&look.inventory);
    match args.output {
        Format::Text if lines.is_empty() && missing => view::say!("No drift on what was seen."),
        Format::Text if lines.is_empty() => view::say!("No drift."),
        Format::Text => view::text(&text(&lines))?,
        Format::Json => view::json(&lines)?,
        Format::Yaml => view::yaml(&lines)?,
    }
    Ok(match missing {
        true => outcome::ENDPOINT_MISSING,
        false if args.detailed_exitcode && !lines.is_empty() => outcome::DIFFERENCES,
        false => outcome::OK,
    })
}

/// The drift of a look.
pub fn of(look: &Look, policy: &Policy) -> Vec<DriftLine> {
    let census = census::take(&look.inventory, &look.history, policy);
    diff::drift(&census, look.desired.as_deref())
}

/// `KEY field: from -> to`, a line each.
pub fn text(lines: &[DriftLine]) -> String {
    let line = |line: &DriftLine| {
        let (from, to) = (line.from.as_deref().unwrap_or("nothing"), line.to.as_deref().unwrap_or("nothing"));
        format!("{} {}: {} -> {}\n", line.key, view::clean(&line.field), view::clean(from), view::clean(to))
    };
    lines.iter().map(line).collect()
}
