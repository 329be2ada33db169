//! The command line: one file per command, each with its `Args` and a `run` that returns the
//! exit code (see `outcome.rs`).
//!
//! Data goes to stdout, everything said to a person to stderr; both drop colour for pipes and `NO_COLOR`. A command
//! returns its exit code as a value and its failures as one error, which is printed here, once, with its chain. Nothing
//! below decides what happens to a VM: that is the plan's.
//!
//! ```text
//! args.rs      flags shared by commands, grouped top-level help      exit.rs   exit codes and the printed error
//! view.rs      text, tables, JSON and YAML on stdout                 log.rs    tracing to stderr
//! progress.rs  events -> lines and bars on stderr
//! validate plan apply drift get check import   serve pause   lab demo   explain schema completion man
//! ```

mod apply;
mod args;
mod check;
mod completion;
mod demo;
mod drift;
mod edge;
mod exit;
mod explain;
mod get;
mod import;
mod log;
mod man;
mod pause;
mod plan;
mod progress;
mod schema;
mod serve;
mod validate;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Command, FromArgMatches, Subcommand};

pub use args::Globals;
pub use exit::Usage;

use crate::{lab, outcome};

/// A command of tierwright. The doc comments are its help.
#[derive(Debug, Subcommand)]
enum Cmd {
    /// Check manifests, offline: every problem, with its place and a hint
    Validate(validate::ValidateArgs),
    /// Show what would be done, what is held back and why, and what it costs
    Plan(plan::Args),
    /// Show what somebody changed on our VMs behind our back
    Drift(drift::Args),
    /// List VMs, tiers, endpoints or the whole inventory
    Get(get::Args),
    /// Test endpoints: reach, certificate, login, rights, what tiers name
    Check(check::Args),
    /// Print manifests that take over VMs nobody manages
    Import(import::Args),
    /// Plan again, show it, ask, and do it
    Apply(apply::Args),
    /// Keep it so: the same loop, as a service
    Serve(serve::Args),
    /// Stop all changes, until resumed
    Pause(pause::PauseArgs),
    /// Let changes go on
    Resume(pause::ResumeArgs),
    /// Watch the whole idea on simulated hypervisors, then play with it
    Demo(demo::Args),
    /// Run simulated hypervisors, for tests and training
    #[command(after_help = LAB_HELP)]
    Lab(lab::LabArgs),
    /// Say what a field, a problem or a held back change means
    Explain(explain::ExplainArgs),
    /// Print the JSON Schemas of manifests, for editors
    Schema(schema::SchemaArgs),
    /// Print a completion script for your shell
    Completion(completion::Args),
    /// Print the man pages
    Man(man::Args),
}

const LAB_HELP: &str = "Speaks the real protocols on loopback, with TLS, until Ctrl-C; prints `ready` once it answers.

Examples:
  tierwright lab --settings lab/tierwright.yaml --source ./manifests
  tierwright lab --settings lab/tierwright.yaml --vms 5000 --seed 7
  tierwright lab --faults outage.yaml";

/// Everything that can stand on the command line, as clap sees it.
pub fn command() -> Command {
    Cmd::augment_subcommands(args::base())
}

/// Runs the command line and returns the program's exit code.
pub fn run(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match args::grouped(command()).try_get_matches_from(line) {
        Ok(matches) => matches,
        Err(error) => return exit::of_usage(&error),
    };
    let parsed =
        Globals::from_arg_matches(&matches).and_then(|globals| Ok((globals, Cmd::from_arg_matches(&matches)?)));
    let (globals, cmd) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return exit::of_usage(&error),
    };
    // One TLS provider for the whole process; a second install (only in tests) is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    exit::of(start(&globals, cmd))
}

fn start(globals: &Globals, cmd: Cmd) -> anyhow::Result<u8> {
    log::start(globals, matches!(cmd, Cmd::Serve(_)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(dispatch(globals, cmd));
    // Do not wait for a slow name lookup once the answer is known.
    runtime.shutdown_background();
    code
}

async fn dispatch(globals: &Globals, cmd: Cmd) -> anyhow::Result<u8> {
    match cmd {
        Cmd::Validate(args) => validate::run(&args),
        Cmd::Plan(args) => plan::run(globals, args).await,
        Cmd::Drift(args) => drift::run(globals, args).await,
        Cmd::Get(args) => get::run(globals, args).await,
        Cmd::Check(args) => check::run(globals, args).await,
        Cmd::Import(args) => import::run(globals, args).await,
        Cmd::Apply(args) => apply::run(globals, args).await,
        Cmd::Serve(_) => serve::run(globals).await,
        Cmd::Pause(args) => pause::pause(globals, &args),
        Cmd::Resume(_) => pause::resume(globals),
        Cmd::Demo(args) => demo::run(&args).await,
        Cmd::Lab(args) => Ok(lab::run(args).await.map(|()| outcome::OK)?),
        Cmd::Explain(args) => explain::run(&args),
        Cmd::Schema(args) => schema::run(&args),
        Cmd::Completion(args) => completion::run(&args),
        Cmd::Man(args) => man::run(&args),
    }
}
