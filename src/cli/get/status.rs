//! `get status`: what the running `serve` last said of itself, and a line for each endpoint, tier and VM. Asks no endpoint.

use serde::Serialize;

use super::{Args, Format, Row, or_dash, print};
use crate::cli::view;
use crate::journal::Lock;
use crate::outcome;
use crate::plan::Action;
use crate::session::Session;
use crate::status::{Condition, EndpointStatus, StatusFile, TierStatus, VmIs, VmStatus};

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
    status: String,
    since: Option<jiff::Timestamp>,
    detail: Option<String>,
}

impl Row for Line {
    const HEADINGS: &'static [&'static str] = &["kind", "name", "status", "since", "detail"];
    const NARROW: usize = 5;

    fn cells(&self) -> Vec<String> {
        vec![self.kind.to_owned(), self.name(), self.status.clone(), or_dash(self.since), or_dash(self.detail.as_ref())]
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
    let age_seconds = session.clock().now().as_second().saturating_sub(file.written_at.as_second()).max(0);
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
    let word = match &status.condition {
        Condition::Starting => "starting".to_owned(),
        Condition::Ready => "ready".to_owned(),
        Condition::Reconciling => "reconciling".to_owned(),
        Condition::Stalled(why) => format!("STALLED: {}", view::clean(why)),
        Condition::Ended => "ended".to_owned(),
    };
    if serving {
        view::say!("serve (process {}) said {}: {word}", file.process, ago(age));
    } else {
        view::say!("NO serve runs. The last one (process {}) said {}: {word}", file.process, ago(age));
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

fn ago(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn lines(file: &StatusFile) -> Vec<Line> {
    let status = &file.status;
    let mut lines: Vec<Line> =
        status.endpoints.iter().map(|(name, endpoint)| endpoint_line(name.to_string(), endpoint)).collect();
    lines.extend(file.tiers.iter().map(|(name, tier)| tier_line(name.to_string(), *tier)));
    lines.extend(status.vms.iter().map(|(key, vm)| {
        let mut line = vm_line(key.to_string(), vm);
        if let Some(running) = status.running.get(key) {
            let percent = running.percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
            line.status = format!("{} now{percent}", word(running.action));
            line.since = Some(running.since);
            line.detail.clone_from(&running.text);
        } else if let Some(why) = status.failing.get(key) {
            line.status = format!("failed: {}", line.status);
            line.detail = Some(why.clone());
        }
        line
    }));
    lines
}

fn endpoint_line(name: String, endpoint: &EndpointStatus) -> Line {
    let mut status = match (&endpoint.why, endpoint.at) {
        (Some(_), _) if endpoint.vms > 0 => format!("in part, {}", view::count(endpoint.vms, "VM")),
        (Some(_), _) => "unreachable".to_owned(),
        (None, Some(_)) => format!("answers, {}", view::count(endpoint.vms, "VM")),
        (None, None) => "no answer yet".to_owned(),
    };
    if endpoint.asking {
        status.push_str("; being asked");
    }
    Line { kind: "endpoint", name, status, since: endpoint.at, detail: endpoint.why.clone() }
}

fn tier_line(name: String, tier: TierStatus) -> Line {
    let mut parts = vec![format!("{} of {} in sync", tier.in_sync, tier.vms)];
    let counts =
        [(tier.running, "being changed"), (tier.planned, "to do"), (tier.held, "held back"), (tier.failing, "failed")];
    parts.extend(counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    Line { kind: "tier", name, status: parts.join(", "), since: None, detail: None }
}

fn vm_line(name: String, vm: &VmStatus) -> Line {
    let action = vm.action.map(word).unwrap_or_default();
    let status = match (vm.is, vm.code) {
        (VmIs::InSync, _) => "in sync".to_owned(),
        (VmIs::Planned, _) => format!("to {action}"),
        (VmIs::Held, Some(code)) => format!("{action} held: {}", super::code_word(code)),
        (VmIs::Held, None) => format!("{action} held"),
    };
    Line { kind: "vm", name, status, since: Some(vm.since), detail: vm.why.clone() }
}

fn word(action: Action) -> String {
    crate::cli::progress::action_word(action).to_owned()
}
