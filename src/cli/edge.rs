//! What most commands begin with: the settings, a session, and problems of files told to a person.

use super::{Globals, view};
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::inventory::{Inventory, View};
use crate::pause;
use crate::session::Session;
use crate::settings::{self, Settings};

/// The settings, merged once from file, environment and flags.
pub fn settings(globals: &Globals) -> anyhow::Result<Settings> {
    Ok(settings::load(globals.config.as_deref())?)
}

/// A session with the configured endpoints.
pub async fn session(globals: &Globals) -> anyhow::Result<Session> {
    Ok(Session::open(settings(globals)?, Clock::Real).await?)
}

/// Says which endpoints did not give their whole inventory; true when there is one.
pub fn say_missing(inventory: &Inventory) -> bool {
    let mut missing = false;
    for (name, endpoint) in &inventory.endpoints {
        let (why, how) = match &endpoint.view {
            View::Unreachable(why) => (why, "unreachable"),
            View::Observed(observed) => match &observed.incomplete {
                Some(why) => (why, "seen in part"),
                None => continue,
            },
        };
        // Most reasons begin with the endpoint's name already.
        let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(why);
        view::say!("{name} {how}: {}", view::clean_lines(why));
        missing = true;
    }
    missing
}

/// Says that changes are paused, if they are.
pub fn say_paused(settings: &Settings) {
    if let Some(why) = pause::paused(&settings.state_dir) {
        view::say!("Paused ({}): nothing is changed until `tierwright resume`.", view::clean(&why));
    }
}

/// Problems of the manifests or the settings, on stderr.
pub fn say_diagnostics(diagnostics: &[Diagnostic]) {
    if !diagnostics.is_empty() {
        view::say!("{}", view::diagnostics_text(diagnostics));
    }
}
