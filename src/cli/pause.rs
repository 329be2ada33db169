//! `pause` and `resume`: no hypervisor is changed while the file `STOP` lies in stateDir.

use anyhow::Context as _;

use super::{Globals, edge, view};
use crate::{outcome, pause};

/// Flags of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Looked at before every single change: a running `apply` or `serve` stops between two calls.
Plans, drift and inventories go on. A file named STOP in stateDir, made by hand, does the same.

Examples:
  tierwright pause
  tierwright pause --reason 'storage migration until 18:00, Ana'")]
pub struct PauseArgs {
    /// What previews and held steps show
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Flags of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tierwright resume")]
pub struct ResumeArgs {}

/// Pauses.
pub fn pause(globals: &Globals, args: &PauseArgs) -> anyhow::Result<u8> {
    let settings = edge::settings(globals)?;
    pause::pause(&settings.state_dir, args.reason.as_deref())
        .with_context(|| format!("pausing in {}", settings.state_dir.display()))?;
    view::say!("Paused: nothing is changed until `tierwright resume`.");
    Ok(outcome::OK)
}

/// Resumes.
pub fn resume(globals: &Globals) -> anyhow::Result<u8> {
    let settings = edge::settings(globals)?;
    let was =
        pause::resume(&settings.state_dir).with_context(|| format!("resuming in {}", settings.state_dir.display()))?;
    view::say!("{}", if was { "Resumed." } else { "Nothing was paused." });
    Ok(outcome::OK)
}
