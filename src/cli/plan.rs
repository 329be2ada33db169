//! `plan`: what would be done, what would not and why, and what it would cost. Changes nothing.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ValueEnum, ValueHint};

use super::args::Source;
use super::{Globals, edge, progress, view};
use crate::inventory::Inventory;
use crate::outcome;
use crate::plan::Plan;
use crate::session::{Look, LookRequest, Session};

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 a plan was made, 1 error, 4 the inventory of an endpoint is missing;
with --detailed-exitcode 2 for anything to do or held back, 0 for nothing.

Examples:
  tierwright plan
  tierwright plan -o markdown > comment.md           for a pull request
  tierwright plan -o diff                            a unified YAML diff for each VM
  tierwright plan --out tonight.json                 for later: tierwright apply tonight.json
  tierwright plan -f ./branch --inventory inv.json   offline, against `get inventory -o json`")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// How the plan is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
    /// Also save the plan, for `apply FILE`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Plan offline against this output of `get inventory -o json`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    inventory: Option<PathBuf>,
    /// Plan as if this digest were approved; may be repeated
    #[arg(long = "approve", value_name = "DIGEST")]
    approvals: Vec<String>,
    /// Exit 2 when there is anything to do or anything is held back
    #[arg(long)]
    detailed_exitcode: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// Complete; the form that `apply FILE` takes.
    Json,
    /// The same as YAML.
    Yaml,
    /// For a pull request.
    Markdown,
    /// A unified YAML diff per VM.
    Diff,
}

/// Plans and shows the plan.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    let inventory = args.inventory.as_deref().map(read_inventory).transpose()?;
    let request = LookRequest {
        manifests: args.source.file,
        inventory,
        approvals: approvals(&args.approvals)?,
        ..LookRequest::default()
    };
    let session = edge::session(globals).await?;
    edge::say_paused(session.settings());
    let look = look(&session, request).await;
    session.close().await;
    let look = look?;
    edge::say_diagnostics(&look.diagnostics);
    if let Some(plan) = &look.plan {
        if let Some(path) = &args.out {
            save(plan, path).with_context(|| format!("writing the plan to {}", path.display()))?;
        }
        show(plan, args.output)?;
    }
    Ok(outcome::of_plan(look.plan.as_ref(), args.detailed_exitcode))
}

/// Looks, with a spinner while endpoints are asked.
pub async fn look(session: &Session, mut request: LookRequest) -> anyhow::Result<Look> {
    let (sink, events) = crate::events::EventSink::channel();
    request.events = sink;
    Ok(progress::shown(progress::Progress::reading(), events, session.look(&request)).await?)
}

/// What was typed after `--approve`, checked for what can never match.
pub fn approvals(typed: &[String]) -> anyhow::Result<BTreeSet<String>> {
    for text in typed {
        let hex = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if text.len() < 12 || !hex {
            let text = view::clean(text);
            let why = "is no digest: copy the one the preview shows, at least 12 hex digits";
            return Err(super::Usage(format!("--approve {text} {why}")).into());
        }
    }
    Ok(typed.iter().cloned().collect())
}

/// Shows a plan on stdout.
pub fn show(plan: &Plan, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => view::text(&view::plan_text(plan))?,
        Format::Json => view::json(plan)?,
        Format::Yaml => view::yaml(plan)?,
        Format::Markdown => view::text(&crate::plan::render::markdown(plan))?,
        Format::Diff => view::text(&crate::plan::render::diff(plan))?,
    }
    Ok(())
}

fn read_inventory(path: &Path) -> anyhow::Result<Inventory> {
    let bytes = std::fs::read(path).with_context(|| format!("reading the inventory {}", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not the output of `tierwright get inventory -o json`", path.display()))
}

/// Written beside and renamed, so that a plan file is whole or absent.
fn save(plan: &Plan, path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = path.file_name().context("the path names no file")?.to_owned();
    beside.push(".part");
    let beside = folder.join(beside);
    let mut file = std::fs::File::create(&beside)?;
    serde_json::to_writer_pretty(&mut file, plan)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(std::fs::rename(&beside, path)?)
}
