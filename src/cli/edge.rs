//! What most commands begin with: the settings, a session, and problems of files told to a person.

use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::session::Session;
use crate::settings::{self, Settings};

use super::Globals;

/// The settings, merged once from file, environment and flags.
pub fn settings(globals: &Globals) -> anyhow::Result<Settings> {
    Ok(settings::load(globals.config.as_deref())?)
}

/// A session with the configured endpoints.
pub async fn session(globals: &Globals) -> anyhow::Result<Session> {
    Ok(Session::open(settings(globals)?, Clock::Real).await?)
}

/// Problems of the manifests or the settings, on stderr.
pub fn say_diagnostics(diagnostics: &[Diagnostic]) {
    if !diagnostics.is_empty() {
        anstream::eprintln!("{}", super::view::diagnostics_text(diagnostics));
    }
}
