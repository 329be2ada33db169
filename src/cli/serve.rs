//! `serve`: keeps it true. Everything it does is in `reconciler.rs`.

use super::{Globals, edge};
use crate::clock::Clock;
use crate::outcome;
use crate::reconciler::Reconciler;
use crate::shutdown::Shutdown;

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Looks at the source and at every endpoint at each interval, logs what it would do, and does it
where the settings say `manage: enforce`. On SIGTERM or Ctrl-C it finishes or records what is in
flight, then it ends.

Examples:
  tierwright serve
  tierwright --config /etc/tierwright/prod.yaml serve --log-format json")]
pub struct Args {}

/// Runs until a signal.
pub async fn run(globals: &Globals) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals();
    let reconciler = Reconciler::start(edge::settings(globals)?, Clock::Real).await?;
    reconciler.run(shutdown).await?;
    Ok(outcome::OK)
}
