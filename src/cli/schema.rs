//! `schema`: the JSON Schemas of the manifests and of the settings, for editors and other programs.

use super::view;
use crate::manifest::schema::generate;
use crate::outcome;
use crate::settings;

/// What there is a schema of.
const KINDS: [&str; 5] = ["tier", "instance-type", "virtual-machine", "manifest", "settings"];

/// Flags of `schema`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Draft-07. `manifest` is any of the kinds of manifest, for files with several documents.

Examples:
  tierwright schema > manifest.json
  tierwright schema virtual-machine | jq .properties.spec.properties.disks
  tierwright schema settings > settings.json

In an editor with the YAML language server, begin a file with
  # yaml-language-server: $schema=../schemas/manifest.json")]
pub struct SchemaArgs {
    /// Which kind
    #[arg(value_name = "KIND", default_value = "manifest", value_parser = KINDS)]
    pub kind: String,
}

/// Prints one schema.
pub fn run(args: &SchemaArgs) -> anyhow::Result<u8> {
    let schema = match args.kind.as_str() {
        "settings" => settings::schema::generate(),
        kind => generate(kind).ok_or_else(|| anyhow::anyhow!("there is no schema `{kind}`"))?,
    };
    view::text(&schema)?;
    Ok(outcome::OK)
}
