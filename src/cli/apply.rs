//! `apply`: plans again, shows the plan, asks, and does it. The only one-shot command that changes a hypervisor.
//!
//! Nothing is decided here: what waits for an approval or is forbidden is so in the plan already, and `--yes` answers
//! the question and nothing more.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ValueEnum, ValueHint};
use owo_colors::OwoColorize as _;

use super::args::Source;
use super::plan::{approvals, look};
use super::progress::{self, Progress};
use super::{Globals, Usage, edge, view};
use crate::apply::{ApplyReport, StepOutcome};
use crate::events::EventSink;
use crate::outcome;
use crate::plan::Plan;
use crate::session::{Look, LookRequest, Session};
use crate::shutdown::Shutdown;

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without a terminal to ask on, --yes is needed. --yes approves no removal: that takes --approve
with the digest that the preview shows.

Exit codes: 0 converged or nothing to do, 1 an error in the manifests, a failed step, or a no,
3 something is held back by a policy, a limit or a pause (the rest was done), 4 an endpoint is
missing (the others were done), 64 usage.

Examples:
  tierwright apply                              shows the plan, asks, does it
  tierwright apply --yes                        in a pipeline
  tierwright apply --approve 3f9c0a1b2c3d4e5f   lets through what waits under this digest
  tierwright apply tonight.json                 exactly what `plan --out tonight.json` saved")]
pub struct Args {
    /// A plan saved by `plan --out`: do exactly this
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["file", "approvals"])]
    saved: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Approve what waits under this digest; may be repeated
    #[arg(long = "approve", value_name = "DIGEST")]
    approvals: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How plan and outcome are shown on stdout
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// How the outcome is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// `{plan, report}` at the end.
    Json,
}

/// Plans, asks, applies.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    if !args.yes && !io::stdin().is_terminal() {
        return Err(Usage("there is no terminal to ask on: look at `tierwright plan`, then use --yes".into()).into());
    }
    let session = edge::session(globals).await?;
    edge::say_paused(session.settings());
    let code = match &args.saved {
        Some(path) => apply_saved(&session, path, &args).await,
        None => apply_fresh(&session, &args).await,
    };
    session.close().await;
    code
}

async fn apply_fresh(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let request = LookRequest {
        manifests: args.source.file.clone(),
        approvals: approvals(&args.approvals)?,
        ..LookRequest::default()
    };
    let look = look(session, request).await?;
    edge::say_diagnostics(&look.diagnostics);
    let Some(plan) = &look.plan else {
        view::say!("Nothing was done: the manifests have errors.");
        return Ok(outcome::of_apply(None, None));
    };
    let report = if agreed(plan, args)? { Some(execute(session, Doing::Look(&look), plan).await?) } else { None };
    tell(plan, report.as_ref(), args.output);
    Ok(outcome::of_apply(Some(plan), report.as_ref()))
}

async fn apply_saved(session: &Session, path: &Path, args: &Args) -> anyhow::Result<u8> {
    let bytes = std::fs::read(path).with_context(|| format!("reading the plan {}", path.display()))?;
    let plan: Plan = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a plan that `tierwright plan --out` saved", path.display()))?;
    let report = if agreed(&plan, args)? { Some(execute(session, Doing::Saved, &plan).await?) } else { None };
    tell(&plan, report.as_ref(), args.output);
    Ok(outcome::of_apply(Some(&plan), report.as_ref()))
}

/// What is executed: the plan of a look, or one from a file.
enum Doing<'a> {
    Look(&'a Look),
    Saved,
}

async fn execute(session: &Session, doing: Doing<'_>, plan: &Plan) -> anyhow::Result<ApplyReport> {
    let (sink, events) = EventSink::channel();
    let shutdown = Shutdown::on_signals();
    let work = async {
        match doing {
            Doing::Look(look) => session.apply(look, &sink, &shutdown).await,
            Doing::Saved => session.apply_saved(plan, &sink, &shutdown).await,
        }
    };
    Ok(progress::shown(Progress::applying(plan.steps.len()), events, work).await?)
}

/// Shows the plan; true when there is something to do and nobody objects.
fn agreed(plan: &Plan, args: &Args) -> anyhow::Result<bool> {
    match args.output {
        // A reader that is gone has not seen what it would agree to.
        Format::Text => view::text(&view::plan_text(plan))
            .map_err(|error| anyhow::anyhow!("the preview could not be shown, so nothing was done: {error}"))?,
        // stdout is for the program that reads it; the person sees the plan all the same.
        Format::Json if !args.yes => view::say!("{}", view::plan_text(plan)),
        Format::Json => {}
    }
    if plan.steps.is_empty() {
        return Ok(false);
    }
    if args.yes {
        return Ok(true);
    }
    let question = format!("Do {}?", view::count(plan.steps.len(), "step"));
    view::say_part!("\n{} [y/N] ", question.bold());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        view::say!("Nothing was done.");
    }
    Ok(yes)
}

/// The outcome, on stdout. By now the hypervisors are changed, so a reader that is gone does not change the exit code.
fn tell(plan: &Plan, report: Option<&ApplyReport>, format: Format) {
    let printed = match (format, report) {
        (Format::Json, report) => view::json(&serde_json::json!({ "plan": plan, "report": report })),
        (Format::Text, Some(report)) => view::text(&summary(report)).map_err(Into::into),
        (Format::Text, None) => Ok(()),
    };
    if let Err(error) = printed {
        tracing::warn!(%error, "the outcome could not be printed");
    }
}

type IsOutcome = fn(&StepOutcome) -> bool;

/// How many steps came out how; why some did not has been told on stderr as it happened, and stands in the JSON.
fn summary(report: &ApplyReport) -> String {
    let mut counts = vec![format!(
        "{} of {} done",
        report.count(|outcome| matches!(outcome, StepOutcome::Done)),
        view::count(report.steps.len(), "step")
    )];
    let others: [(&str, IsOutcome); 6] = [
        ("failed", |outcome| matches!(outcome, StepOutcome::Failed(_))),
        ("lost with their endpoint", |outcome| matches!(outcome, StepOutcome::EndpointLost(_))),
        ("held", |outcome| matches!(outcome, StepOutcome::Gated(_))),
        ("changed meanwhile", |outcome| matches!(outcome, StepOutcome::Changed(_))),
        ("waiting for others", |outcome| matches!(outcome, StepOutcome::Dependency(_))),
        ("stopped", |outcome| matches!(outcome, StepOutcome::Stopped(_))),
    ];
    for (word, is) in others {
        match report.count(is) {
            0 => {}
            n => counts.push(format!("{n} {word}")),
        }
    }
    format!("\n{}.\n", counts.join(", "))
}
