//! `get status`: what the running `serve` last said of itself, and a line for each endpoint, tier and VM. Asks no
//! endpoint.

use serde::Serialize;

use super::words::{self, Standing};
use super::{Args, Format, Row, or_dash, print, served};
use crate::cli::view;
use crate::journal::Lock;
use crate::outcome;
use crate::session::Session;
use crate::status::{Condition, StatusFile};

/// The file, and what a reader must know beside it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    /// Does a `serve` run now?
    serving: bool,
    age_seconds: i64,
    #[serde(flatten)]
    file: &'a StatusFile,
}

#[derive(Serialize)]
struct Line {
    kind: &'static str,
    name: String,
    #[serde(flatten)]
    standing: Standing,
}

impl Row for Line {
    const HEADINGS: &'static [&'static str] = &["kind", "name", "status", "since", "why"];
    const NARROW: usize = 5;

    fn cells(&self) -> Vec<String> {
        let Standing { status, since, why } = &self.standing;
        vec![self.kind.to_owned(), self.name(), or_dash(status.as_ref()), or_dash(*since), or_dash(why.as_ref())]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

pub(super) fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let state_dir = &session.settings().state_dir;
    let file = StatusFile::read(state_dir)
        .map_err(|error| anyhow::anyhow!("the status file in {} cannot be read: {error}", state_dir.display()))?;
    let serving = Lock::is_serving(state_dir);
    let Some(file) = file else {
        let whether = if serving { "has just started and written none yet" } else { "does not run" };
        view::say!("There is no status in {}: `tierwright serve` {whether}.", state_dir.display());
        return Ok(outcome::ERROR);
    };
    let age_seconds = served::age(session, &file);
    match args.output {
        Format::Json if args.containing.is_none() => view::json(&Told { serving, age_seconds, file: &file })?,
        Format::Yaml if args.containing.is_none() => view::yaml(&Told { serving, age_seconds, file: &file })?,
        Format::Json | Format::Yaml | Format::Name => print(lines(&file), args)?,
        Format::Table | Format::Wide => {
            head(&file, serving, age_seconds);
            print(lines(&file), args)?;
        }
    }
    Ok(if serving { outcome::OK } else { outcome::ERROR })
}

/// What concerns all of it, for a person.
fn head(file: &StatusFile, serving: bool, age: i64) {
    let status = &file.status;
    let word = served::condition(&status.condition);
    if serving {
        view::say!("serve (process {}) said {}: {word}", file.process, served::ago(age));
    } else {
        view::say!("NO serve runs. The last one (process {}) said {}: {word}", file.process, served::ago(age));
    }
    if let Some(revision) = &status.revision {
        view::say!("revision in force: {}", view::clean(revision));
    }
    if status.source_problems > 0 {
        view::say!(
            "the source has {}: `tierwright validate` shows them",
            view::count(status.source_problems, "problem")
        );
    }
    let rest = [
        ("the source is not taken up yet", &status.source_waits),
        ("settings", &status.settings_problem),
        ("paused", &status.paused),
        ("waiting", &status.waits_for),
    ];
    for (what, why) in rest {
        if let Some(why) = why {
            view::say!("{what}: {}", view::clean_lines(why));
        }
    }
    if serving && !file.conditions.ready.is && !matches!(status.condition, Condition::Stalled(_)) {
        view::say!("not ready: {}", view::clean_lines(&file.conditions.ready.why));
    }
}

fn lines(file: &StatusFile) -> Vec<Line> {
    let status = &file.status;
    let line = |kind, name: String, standing| Line { kind, name, standing };
    let endpoints = status.endpoints.iter();
    let mut lines: Vec<Line> =
        endpoints.map(|(name, it)| line("endpoint", name.to_string(), words::endpoint(name, it))).collect();
    let tiers = file.tiers.iter();
    lines.extend(tiers.map(|(name, it)| line("tier", name.to_string(), words::tier(name, *it, status))));
    lines.extend(status.vms.iter().map(|(key, it)| line("vm", key.to_string(), words::vm(key, it, status))));
    lines
}
