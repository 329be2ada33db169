//! `get`: what is there, as tables or data. Asks and never changes.
//!
//! How things stand (STATUS) the running `serve` says, if one runs; else a look does (served.rs), in the same words
//! (words.rs).
//!
//! Each kind makes one list of plain rows; table, wide, JSON, YAML and name are five ways to print the same rows.

mod endpoints;
mod inventory;
mod served;
mod status;
mod tiers;
mod vms;
mod words;

use clap::ValueEnum;
use serde::Serialize;

use super::args::Source;
use super::{Globals, edge, progress, view};
use crate::events::EventSink;
use crate::inventory::Inventory;
use crate::outcome;
use crate::plan::BlockCode;
use crate::session::Session;

/// Flags of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0, 1 error, 4 when the inventory of an endpoint is missing (the others are shown).

Examples:
  tierwright get vms                        all VMs: whose they are and how they stand
  tierwright get vms -o wide erp            since when, why, addresses; only what contains `erp`
  tierwright get endpoints                  how each answers
  tierwright get tiers -o yaml
  tierwright get inventory -o json > inv.json   everything seen, for `plan --inventory`
  tierwright get status                     what the running `serve` last said; asks no endpoint
  tierwright get status -o json             the same for monitoring; exit 1 when no serve runs")]
pub struct Args {
    /// What to list
    #[arg(value_enum)]
    kind: Kind,
    /// Only rows whose name contains this
    #[arg(value_name = "TEXT")]
    containing: Option<String>,
    #[command(flatten)]
    source: Source,
    /// How the list is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// VMs, desired or there.
    Vms,
    /// Tiers of the manifests.
    Tiers,
    /// Endpoints of the settings.
    Endpoints,
    /// Everything the endpoints report.
    Inventory,
    /// What the running serve says: a line for each endpoint, tier and VM.
    Status,
}

/// How a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns.
    Table,
    /// More columns.
    Wide,
    /// Everything.
    Json,
    /// The same as YAML.
    Yaml,
    /// Only names, one a line, for scripts.
    Name,
}

/// One thing in a list.
trait Row: Serialize {
    /// Headings of the table; the first `NARROW` of them without `-o wide`.
    const HEADINGS: &'static [&'static str];
    /// How many columns a table has without `-o wide`.
    const NARROW: usize;
    /// One cell for each heading.
    fn cells(&self) -> Vec<String>;
    /// For `-o name` and for the filter.
    fn name(&self) -> String;
}

/// Lists.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    let session = edge::session(globals).await?;
    let code = list(&session, &args).await;
    session.close().await;
    code
}

async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    match args.kind {
        Kind::Vms => vms::list(session, args).await,
        Kind::Tiers => tiers::list(session, args).await,
        Kind::Endpoints => endpoints::list(session, args).await,
        Kind::Inventory => inventory::list(session, args).await,
        Kind::Status => status::list(session, args),
    }
}

/// Prints rows, filtered, in the format asked for.
fn print<R: Row>(rows: Vec<R>, args: &Args) -> anyhow::Result<()> {
    let wanted = |row: &R| args.containing.as_ref().is_none_or(|text| row.name().contains(text.as_str()));
    let rows: Vec<R> = rows.into_iter().filter(wanted).collect();
    let columns = if args.output == Format::Wide { R::HEADINGS.len() } else { R::NARROW };
    match args.output {
        Format::Table | Format::Wide if rows.is_empty() => view::say!("Nothing to list."),
        Format::Table | Format::Wide => {
            let cells = rows.iter().map(|row| row.cells().into_iter().take(columns).collect()).collect();
            view::table(&R::HEADINGS[..columns], cells)?;
        }
        Format::Json => view::json(&rows)?,
        Format::Yaml => view::yaml(&rows)?,
        Format::Name => view::text(&rows.iter().map(|row| view::clean(&row.name()) + "\n").collect::<String>())?,
    }
    Ok(())
}

/// Asks all endpoints, with a spinner.
async fn ask(session: &Session) -> anyhow::Result<Inventory> {
    let (sink, events) = EventSink::channel();
    let asked = session.inventory(&sink);
    Ok(progress::shown(progress::Progress::reading(), events, asked).await?)
}

/// Says which endpoints are missing, and gives the exit code that goes with it.
fn code_for(inventory: &Inventory) -> u8 {
    if edge::say_missing(inventory) { outcome::ENDPOINT_MISSING } else { outcome::OK }
}

/// The code as the JSON has it.
fn code_word(code: BlockCode) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `-` for nothing.
fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}
