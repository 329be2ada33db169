//! `explain`: what a field, a problem code, a block code or an exit code means. Offline.

use clap::ValueEnum;

use super::view;
use crate::explain;
use crate::outcome;

/// Flags of `explain`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Without a topic it lists what there is.

Examples:
  tierwright explain
  tierwright explain VirtualMachine.spec.disks
  tierwright explain Tier.spec.price
  tierwright explain settings.endpoints.tls
  tierwright explain TW0202                 a problem that `validate` shows
  tierwright explain rebootNotAllowed       why `plan` holds a change back
  tierwright explain exit-codes")]
pub struct ExplainArgs {
    /// A kind or field, a code, or exit-codes
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,
    /// How it is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub output: Format,
}

/// How an explanation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Explains one topic.
pub fn run(args: &ExplainArgs) -> anyhow::Result<u8> {
    let topic = args.topic.join(" ");
    let explained = explain::explain(Some(&topic))?;
    match args.output {
        Format::Text => view::text(&explain::render(&explained))?,
        Format::Json => view::json(&explained)?,
        Format::Yaml => view::yaml(&explained)?,
    }
    Ok(outcome::OK)
}
