//! `man`: man pages, made from the same declarations as `--help`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Command, ValueHint};
use clap_mangen::Man;

use super::{Usage, view};
use crate::outcome;

/// Flags of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "tierwright(1), and a page for each command, such as tierwright-plan(1).

Examples:
  tierwright man | man -l -
  tierwright man plan | man -l -
  tierwright man --dir /usr/local/share/man/man1     all of them, as files")]
pub struct Args {
    /// The command whose page it is [default: the program's own]
    command: Option<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints one page, or writes all of them.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut program = super::command().about(super::args::ABOUT);
    // Settled, so that each command knows the options that every command takes.
    program.build();
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            let path = folder.join(Man::new(command.clone()).get_filename());
            std::fs::write(&path, page(command)?).with_context(|| format!("writing {}", path.display()))?;
        }
        return Ok(outcome::OK);
    }
    let command = match &args.command {
        None => &program,
        Some(name) => program
            .find_subcommand(name)
            .ok_or_else(|| Usage(format!("there is no command `{}`", view::clean(name))))?,
    };
    view::text(&page(command)?)?;
    Ok(outcome::OK)
}

fn page(command: &Command) -> anyhow::Result<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // Set by us below: with its lines as they are, and under headings that readers of man pages look for.
    let man = Man::new(command.clone().after_help(None::<&str>));
    let man = man.manual("tierwright").source(concat!("tierwright ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render(&mut text)?;
    let mut text = String::from_utf8(text)?;
    let (notes, examples) = help.split_once("Examples:\n").unwrap_or((&help, ""));
    for (heading, lines) in [("NOTES", notes.trim_end()), ("EXAMPLES", examples.trim_end())] {
        if !lines.is_empty() {
            let _ = writeln!(text, ".SH {heading}\n.nf");
            lines.lines().for_each(|line| text.push_str(&literal(line)));
            text.push_str(".fi\n");
        }
    }
    Ok(text)
}

/// A line as roff prints it literally.
fn literal(line: &str) -> String {
    let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{}\n", line.replace('\\', "\\e").replace('-', "\\-"))
}
