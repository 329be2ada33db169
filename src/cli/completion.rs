//! `completion`: shell completion scripts.

use clap_complete::Shell;

use super::view;
use crate::outcome;

/// Flags of `completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tierwright completion bash > /etc/bash_completion.d/tierwright
  tierwright completion zsh > \"${fpath[1]}/_tierwright\"
  tierwright completion fish > ~/.config/fish/completions/tierwright.fish")]
pub struct Args {
    /// Which shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "tierwright", &mut script);
    view::text(&String::from_utf8(script)?)?;
    Ok(outcome::OK)
}
