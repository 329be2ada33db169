//! `serve`: keeps it true. Everything it does is in `reconciler.rs`.

use super::{Globals, edge};
use crate::clock::Clock;
use crate::outcome;
use crate::reconciler::{Reconciler, Reload};
use crate::settings;
use crate::shutdown::Shutdown;
use crate::systemd::Systemd;

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
    let systemd = Systemd::from_environment();
    let reconciler = Reconciler::start(edge::settings(globals)?, Clock::Real).await?;
    let config = globals.config.clone();
    let reload = Reload::on_sighup(move || settings::load(config.as_deref()));
    reconciler.watched_by(systemd).reloading(reload).run(shutdown).await?;
    Ok(outcome::OK)
}
