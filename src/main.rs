//! Parse arguments, run one command, turn the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tierwright::cli::run(std::env::args_os())
}
