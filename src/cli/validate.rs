//! `validate`: every problem of a set of manifests, offline.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use serde::Serialize;

use super::view;
use crate::diagnostic::{self, Diagnostic, Severity, Style};
use crate::outcome;
use crate::source::{self, Loaded};

/// Flags of `validate`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Needs no hypervisor and no settings. Each PATH is a set of its own; exit 1 with any error.

Examples:
  tierwright validate manifests/
  tierwright validate prod/ test/            two sets, checked apart
  tierwright validate -o json manifests/ | jq -r '.diagnostics[].summary'")]
pub struct ValidateArgs {
    /// Folders or files of manifests
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// How to print the problems
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ValidateOutput,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ValidateOutput {
    /// For people: place, source line, hint.
    Text,
    /// For programs.
    Json,
}

/// What `-o json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    valid: bool,
    files: usize,
    tiers: usize,
    instance_types: usize,
    virtual_machines: usize,
    diagnostics: Vec<Diagnostic>,
}

/// Reads and checks each path; exit code 0 without an error, else 1.
pub fn run(args: &ValidateArgs) -> anyhow::Result<u8> {
    let mut answer =
        Answer { valid: true, files: 0, tiers: 0, instance_types: 0, virtual_machines: 0, diagnostics: Vec::new() };
    for path in &args.paths {
        answer.add(source::load(path));
    }
    answer.valid = answer.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    match args.output {
        ValidateOutput::Json => view::json(&answer)?,
        // Colour is taken away by the stream where it is not wanted.
        ValidateOutput::Text => view::text(&diagnostic::render(&answer.diagnostics, Style { color: true }))?,
    }
    if args.output == ValidateOutput::Text {
        match answer.diagnostics.iter().find(|problem| problem.severity == Severity::Error) {
            Some(problem) => view::say!("`tierwright explain {}` says more.", problem.code),
            None => view::say_part!("{}", answer.summary()),
        }
    }
    Ok(if answer.valid { outcome::OK } else { outcome::ERROR })
}

impl Answer {
    fn add(&mut self, loaded: Loaded) {
        self.files += loaded.files;
        self.instance_types += loaded.instance_types;
        self.diagnostics.extend(loaded.diagnostics);
        if let Some(desired) = loaded.desired {
            self.tiers += desired.tiers.len();
            self.virtual_machines += desired.vms.len();
        }
    }

    fn summary(&self) -> String {
        let what = if self.diagnostics.is_empty() { "No problems" } else { "No errors" };
        format!(
            "{what} in {} ({}, {}, {}).\n",
            view::count(self.files, "file"),
            view::count(self.virtual_machines, "VM"),
            view::count(self.tiers, "tier"),
            view::count(self.instance_types, "instance type"),
        )
    }
}
