//! `demo`: the whole idea in a minute, on simulated hypervisors, with nothing but this binary.
//!
//! The lab runs in this process and is spoken to over TLS on loopback by the same clients that speak to a real vCenter
//! and a real XenServer pool, both at once.
//! Every preview and every change below goes through the same calls as `plan` and `apply`. With `--once` the demo is a
//! test: it checks each claim it makes and exits 1 when one does not hold.
//!
//! ```text
//! examples.rs  the manifests, embedded      stage.rs     folder, lab, session
//! narrator.rs  what is told, and when       chapters.rs  the story
//! ```

mod chapters;
mod examples;
mod narrator;
mod stage;

use crate::outcome;
use crate::shutdown::Shutdown;
use narrator::Narrator;
use stage::Stage;

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs no network, no hypervisor and no settings. All it writes is in a temporary folder that it
removes at its end. Exit 1 when a claim that it makes did not hold.

Examples:
  tierwright demo          then try the commands it shows, in a second terminal
  tierwright demo --once"
)]
pub struct Args {
    /// End after the last chapter instead of staying up to be played with
    #[arg(long)]
    once: bool,
}

/// What a shell shows for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Tells the story; stays up unless `--once`.
pub async fn run(args: &Args) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals();
    let stage = Stage::set_up().await?;
    let code = tokio::select! {
        code = play(&stage, args) => code,
        // Ctrl-C in the middle: the folder is removed all the same.
        () = shutdown.wait() => Ok(INTERRUPTED),
    };
    if matches!(code, Ok(outcome::OK)) && !args.once {
        shutdown.wait().await;
    }
    stage.tear_down().await;
    code
}

async fn play(stage: &Stage, args: &Args) -> anyhow::Result<u8> {
    let mut narrator = Narrator::new(!args.once);
    chapters::tell(stage, &mut narrator).await?;
    if !narrator.verdict()? {
        return Ok(outcome::ERROR);
    }
    if !args.once {
        chapters::what_next(stage)?;
    }
    Ok(outcome::OK)
}
