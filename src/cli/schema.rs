//! `schema`: the JSON Schemas of the manifests, for editors and other programs.

use super::view;
use crate::manifest::schema::{NAMES, generate};
use crate::outcome;

/// Flags of `schema`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Draft-07. `manifest` is any of the other kinds, for files with several documents.

Examples:
  tierwright schema > manifest.json
  tierwright schema virtual-machine | jq .properties.spec.properties.disks

In an editor with the YAML language server, begin a file with
  # yaml-language-server: $schema=../schemas/manifest.json")]
pub struct SchemaArgs {
    /// Which kind
    #[arg(value_name = "KIND", default_value = "manifest", value_parser = NAMES)]
    pub kind: String,
}

/// Prints one schema.
pub fn run(args: &SchemaArgs) -> anyhow::Result<u8> {
    let schema = generate(&args.kind).ok_or_else(|| anyhow::anyhow!("there is no schema `{}`", args.kind))?;
    view::text(&schema)?;
    Ok(outcome::OK)
}
