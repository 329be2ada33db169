//! What the running `serve` knows, for the lists: read from its status file, so that nobody asks a hypervisor twice.
//!
//! Only the file of the process that holds serve.lock now counts, and only while it is kept up. With
//! neither, the reason is said and the lists keep to what a look of their own gives: [`served`] says on
//! stderr which of the two it is.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::view;
use crate::collect;
use crate::journal::Lock;
use crate::session::Session;
use crate::status::{Condition, StatusFile};

/// The file, and how old it is.
pub(super) struct Served {
    pub(super) file: StatusFile,
    age: i64,
}

/// Who tells how the things of a list stand, and when that was: a part of each row, for programs.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    status_by: &'static str,
    /// Of a look it is now, and is not said: a list of things that have not changed is the same list.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_at: Option<Timestamp>,
}

impl Told {
    /// By `serve`, when it last wrote.
    pub(super) fn by_serve(served: &Served) -> Self {
        Self { status_by: "serve", status_at: Some(served.file.written_at) }
    }

    /// By this command, now.
    pub(super) const fn by_look() -> Self {
        Self { status_by: "look", status_at: None }
    }
}

/// What `serve` knows, if it knows all that `needs` asks for; else `None`. Says which, and `instead` for the latter.
pub(super) fn served(session: &Session, needs: impl Fn(&StatusFile) -> bool, instead: &str) -> Option<Served> {
    let known = read(session).and_then(|served| {
        let enough = needs(&served.file);
        if enough { Ok(served) } else { Err("`serve` has just started and does not know all yet".to_owned()) }
    });
    match known {
        Ok(served) => {
            say_whose(&served);
            Some(served)
        }
        Err(why) => {
            view::say!("{why}: {instead}.");
            None
        }
    }
}

/// The status file of the `serve` that runs now; else why there is none.
fn read(session: &Session) -> Result<Served, String> {
    let settings = session.settings();
    let Some(holder) = Lock::who_serves(&settings.state_dir) else { return Err("No `serve` runs".to_owned()) };
    let file = StatusFile::read(&settings.state_dir)
        .map_err(|error| format!("`serve` runs, and its status file cannot be read ({error})"))?;
    let of_now = |file: &StatusFile| holder == Some(file.process) && file.status.condition != Condition::Ended;
    let Some(file) = file.filter(of_now) else { return Err("`serve` has just started".to_owned()) };
    if file.installation != settings.installation {
        return Err(format!("The `serve` that runs is for installation {}", view::clean(&file.installation)));
    }
    let age = age(session, &file);
    // It tells of each answer, and an endpoint answers or is given up within the deadline after each interval.
    let quiet = (2 * settings.interval + collect::DEADLINE).as_secs();
    if age.unsigned_abs() > quiet {
        return Err(format!("`serve` (process {}) told something last {}", file.process, ago(age)));
    }
    Ok(Served { file, age })
}

fn say_whose(Served { file, age }: &Served) {
    let cycle = match file.status.last_cycle {
        Some(at) => format!("last cycle ended at {at}"),
        None => "no cycle yet".to_owned(),
    };
    let ready = &file.conditions.ready;
    let said = match &file.status.condition {
        Condition::Ready | Condition::Reconciling if !ready.is => format!("not ready ({})", view::clean(&ready.why)),
        condition => self::condition(condition),
    };
    view::say!("STATUS is what serve (process {}) said {}: {said}; {cycle}.", file.process, ago(*age));
    if file.status.source_problems > 0 {
        let problems = view::count(file.status.source_problems, "problem");
        view::say!("The source has {problems}, the last good revision is in force: `tierwright validate` shows them.");
    }
}

/// Seconds since it was written.
pub(super) fn age(session: &Session, file: &StatusFile) -> i64 {
    session.clock().now().as_second().saturating_sub(file.written_at.as_second()).max(0)
}

/// How the loop is doing, in a word.
pub(super) fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Starting => "starting".to_owned(),
        Condition::Ready => "ready".to_owned(),
        Condition::Reconciling => "reconciling".to_owned(),
        Condition::Stalled(why) => format!("STALLED: {}", view::clean(why)),
        Condition::Ended => "ended".to_owned(),
    }
}

/// A time that long past, for people.
pub(super) fn ago(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
