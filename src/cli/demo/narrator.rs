//! What the demo tells: chapters, commands as a person would type them, and claims with their proof.
//!
//! Waits between chapters only on a terminal, so that nobody has to read faster than they can; never under `--once`.

use std::io::IsTerminal as _;
use std::time::Duration;

use owo_colors::OwoColorize as _;

use crate::cli::view;

/// Long enough to take in a heading and a sentence.
const BREATH: Duration = Duration::from_millis(1500);
/// Long enough to look over a preview.
const LOOK: Duration = Duration::from_secs(4);

/// Tells the story.
#[derive(Debug)]
pub struct Narrator {
    slowly: bool,
    chapter: u32,
    claims: u32,
    broken: u32,
}

impl Narrator {
    /// `patient`: somebody may be watching.
    pub fn new(patient: bool) -> Self {
        Self { slowly: patient && std::io::stdout().is_terminal(), chapter: 0, claims: 0, broken: 0 }
    }

    /// A heading and what is about to be seen.
    pub async fn chapter(&mut self, title: &str, text: &str) -> anyhow::Result<()> {
        self.chapter += 1;
        let title = format!("{} {title}", self.chapter);
        view::text(&format!("\n{} {}\n", "━━".cyan(), title.bold()))?;
        say(text)?;
        self.wait(BREATH).await;
        Ok(())
    }

    /// A command's output, and time to look at it.
    pub async fn output(&self, text: &str) -> anyhow::Result<()> {
        view::text(text)?;
        self.wait(LOOK).await;
        Ok(())
    }

    /// Something that must be true now.
    pub fn claim(&mut self, holds: bool, claim: &str) -> anyhow::Result<()> {
        self.claims += 1;
        self.broken += u32::from(!holds);
        let sign = if holds { "✓".green().to_string() } else { "✗ NOT SO:".red().bold().to_string() };
        Ok(view::text(&format!("{sign} {claim}\n"))?)
    }

    /// Says how it went; true when every claim held.
    pub fn verdict(&self) -> anyhow::Result<bool> {
        let held = self.claims - self.broken;
        view::text(&format!("\n{held} of {} claims held.\n", self.claims))?;
        Ok(self.broken == 0)
    }

    async fn wait(&self, time: Duration) {
        if self.slowly {
            tokio::time::sleep(time).await;
        }
    }
}

/// Something said in between.
pub fn say(text: &str) -> anyhow::Result<()> {
    Ok(view::text(text)?)
}

/// The command that does what comes now.
pub fn command(line: &str) -> anyhow::Result<()> {
    Ok(view::text(&format!("\n{} {}\n", "$".dimmed(), line.cyan()))?)
}
