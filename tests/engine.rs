//! The edge: journal, locks, collect, apply, settings, exit codes, and `serve` as a loop, over a provider in memory.

#[path = "engine/apply.rs"]
mod apply;
#[path = "engine/collect.rs"]
mod collect;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/fixtures.rs"]
mod fixtures;
#[path = "engine/journal.rs"]
mod journal;
#[path = "engine/locks.rs"]
mod locks;
#[path = "engine/outcome.rs"]
mod outcome;
#[path = "engine/pace.rs"]
mod pace;
#[path = "engine/provider.rs"]
mod provider;
#[path = "engine/reload.rs"]
mod reload;
#[path = "engine/serve.rs"]
mod serve;
#[path = "engine/session.rs"]
mod session;
#[path = "engine/settings.rs"]
mod settings;
