//! From a command's outcome to the program's exit code, and the one place that prints an error.
//!
//! The codes themselves are `outcome.rs`'s.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use owo_colors::OwoColorize as _;

use super::view;
use crate::outcome;
use crate::settings::SettingsError;

/// The command was asked for something it cannot do that way; exit 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Prints what clap has to say: help and version are no errors.
pub fn of_usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to tell anybody when even this cannot be printed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(outcome::USAGE),
    }
}

/// Turns a command's outcome into the exit code; prints an error with its chain.
pub fn of(result: anyhow::Result<u8>) -> ExitCode {
    let error = match result {
        Ok(code) => return ExitCode::from(code),
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        // `tierwright plan | head`: the reader had enough, which is no error of ours.
        return ExitCode::SUCCESS;
    }
    if let Some(refused) = error.downcast_ref::<SettingsError>() {
        super::edge::say_diagnostics(&refused.diagnostics);
    }
    view::say!("{}", chain(&error));
    if error.downcast_ref::<Usage>().is_some() {
        ExitCode::from(outcome::USAGE)
    } else {
        ExitCode::from(outcome::ERROR)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// `error: …` and one line for each cause that says something new.
fn chain(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    let mut text = format!("{} {}", "error:".red().bold(), view::clean_lines(&said));
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat their source in their own message.
        if !cause.is_empty() && !said.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&view::clean_lines(&cause));
            said.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn each_cause_is_printed_once() {
        let error = Err::<(), _>(io::Error::other("no route to host"))
            .context("connecting: no route to host")
            .context("vc-prod cannot be reached")
            .expect_err("an error was given");
        let text = anstream::adapter::strip_str(&chain(&error)).to_string();
        assert_eq!(text, "error: vc-prod cannot be reached\n  because: connecting: no route to host");
    }

    #[test]
    fn control_characters_of_a_server_do_not_reach_the_terminal() {
        let text = chain(&anyhow::anyhow!("server said \u{1b}]0;owned\u{7}"));
        assert!(!anstream::adapter::strip_str(&text).to_string().contains('\u{7}'));
        assert!(text.contains("\\u{1b}]0;owned\\u{7}"));
    }
}
