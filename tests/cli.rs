//! The binary as people and pipelines meet it: help, exit codes, whole outputs, secrets, the demo.
//!
//! Scripts under `tests/cli/scripts` are commands with the whole output expected of them; `harness.rs` runs them with
//! the real binary against the lab on loopback. To accept changed output: `UPDATE_SCRIPTS=1 cargo test --test cli`.

#[path = "cli/harness.rs"]
mod harness;

#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/formats.rs"]
mod formats;
#[path = "cli/get.rs"]
mod get;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/scripts.rs"]
mod scripts;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/systemd.rs"]
mod systemd;
#[path = "cli/tiers.rs"]
mod tiers;
#[path = "cli/usage.rs"]
mod usage;
