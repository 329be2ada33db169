//! Log lines on stderr.
//!
//! `-v`, `-vv` and `-vvv` concern tierwright alone; `TIERWRIGHT_LOG` takes any filter of tracing-subscriber, for other
//! crates too. Secrets are kept out at the source (`model::Secret`), not by the level.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use super::Globals;
use super::args::LogFormat;

/// Starts logging for a one-shot command, or for a service.
pub fn start(globals: &Globals, service: bool) -> anyhow::Result<()> {
    let filter = match std::env::var("TIERWRIGHT_LOG") {
        Ok(text) => EnvFilter::try_new(&text).with_context(|| format!("TIERWRIGHT_LOG: `{text}` is no log filter"))?,
        Err(_) => EnvFilter::new(default_filter(globals.verbose, service)),
    };
    let terminal = std::io::stderr().is_terminal();
    let format = globals.log_format.unwrap_or(if service && !terminal { LogFormat::Json } else { LogFormat::Text });
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // Errors of the log itself would go to stderr by a call that panics when stderr is gone.
    let lines = lines.log_internal_errors(false);
    // A second start happens only when tests run commands in one process; the first stands.
    let _ = match format {
        LogFormat::Json => lines.json().with_span_list(false).try_init(),
        LogFormat::Text if service => lines.with_target(false).try_init(),
        LogFormat::Text => lines.with_target(false).without_time().try_init(),
    };
    Ok(())
}

const fn default_filter(verbose: u8, service: bool) -> &'static str {
    match (verbose, service) {
        (0, false) => "warn",
        (0, true) | (1, _) => "warn,tierwright=info",
        (2, _) => "warn,tierwright=debug",
        _ => "warn,tierwright=trace",
    }
}
