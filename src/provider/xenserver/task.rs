//! Waiting on the server, never by asking again and again: `event.from` on one task or VM tells when something changed.
//!
//! A call waits at most [`WAIT_SECONDS`] on the server and is sent again; a lost connection is picked up again, at
//! another member if need be, since asking changes nothing. A task that is gone leaves its outcome open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::fault::{Failure, Fault};
use super::rpc::{Ref, Request, task_result};
use super::session::Door;
use super::store::Batch;
use crate::provider::ErrorKind;

/// How long one call may wait on the server. Well below the silence at which proxies cut a connection (60 s and up).
pub(super) const WAIT_SECONDS: f64 = 30.0;
/// How often a wait with a limit looks up whether it should stop.
const GLANCE_SECONDS: f64 = 5.0;
/// Attempts to pick a wait up again, with a growing pause; about half a minute, a server's short outage.
const PATIENCE: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// A task's record, cut to what is used.
#[derive(Debug, Clone, Deserialize)]
struct Task {
    #[serde(default)]
    name_label: String,
    status: String,
    #[serde(default)]
    progress: f64,
    #[serde(default)]
    result: String,
    #[serde(default)]
    error_info: Vec<String>,
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum End {
    /// Done; with the reference of what it made, if it made something.
    Success(Option<String>),
    /// Refused, or failed; in the server's words.
    Failed(Fault),
    /// It still runs: the time was over, or `stop` said so.
    Runs,
}

impl Task {
    fn end(&self) -> Option<End> {
        match self.status.as_str() {
            "success" => Some(End::Success(task_result(&self.result))),
            "failure" => Some(End::Failed(Fault::of_list(self.error_info.clone()))),
            "cancelled" => Some(End::Failed(Fault::new("TASK_CANCELLED".to_owned(), Vec::new()))),
            _ => None,
        }
    }

    fn percent(&self) -> u8 {
        // A progress is between 0 and 1; anything else is cut to that.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 100 just before")]
        let percent = (self.progress * 100.0).clamp(0.0, 100.0) as u8;
        percent
    }
}

/// How a wait goes on.
pub(super) struct Patience<'a> {
    /// At most so long; `None`: as long as it takes.
    pub limit: Option<Duration>,
    /// Told a percentage, and asked whether the wait should end early.
    pub stop: &'a (dyn Fn(Option<u8>) -> bool + Send + Sync),
}

/// Waits for a task to end.
pub(super) async fn wait(door: &Door, task: &Ref, patience: &Patience<'_>) -> Result<End, Failure> {
    let deadline = patience.limit.map(|limit| crate::clock::instant() + limit);
    let mut pauses = PATIENCE.iter();
    let mut token = String::new();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(crate::clock::instant()));
        let seconds = left.map_or(WAIT_SECONDS, |left| left.as_secs_f64().min(GLANCE_SECONDS));
        let seen = match look(door, task, &mut token, seconds).await {
            // In a new session or at another member the token means nothing.
            Err(failure) if failure.code() == Some("EVENT_FROM_TOKEN_PARSE_FAILURE") => {
                token.clear();
                continue;
            }
            Err(failure) if is_outage(&failure) => match pauses.next() {
                Some(pause) => {
                    tokio::time::sleep(*pause).await;
                    token.clear();
                    continue;
                }
                None => return Err(failure),
            },
            seen => seen?,
        };
        if let Some(end) = seen.as_ref().and_then(Task::end) {
            return Ok(end);
        }
        let stop = (patience.stop)(seen.as_ref().map(Task::percent));
        if left.is_some_and(|left| left.is_zero()) || (deadline.is_some() && stop) {
            return Ok(End::Runs);
        }
    }
}

/// What one call tells of a task: its record if it changed, nothing when the time passed.
async fn look(door: &Door, task: &Ref, token: &mut String, seconds: f64) -> Result<Option<Task>, Failure> {
    let request = Request::new("event.from").with(vec![format!("task/{task}")]).with(token.as_str()).with(seconds);
    let answer = door.call(&request).await?;
    let batch: Batch<'_> = answer.read()?;
    token.clone_from(&batch.token);
    let seen = batch.events.iter().rev().find_map(|event| event.snapshot);
    let seen = seen.and_then(|snapshot| serde_json::from_str::<Task>(snapshot.get()).ok());
    // Nothing new in all that time, or removed, or never heard of: only the record itself tells.
    if seen.is_none() {
        return match door.call(&Request::new("task.get_record").on(task)).await {
            Ok(answer) => Ok(Some(answer.read()?)),
            Err(failure) if failure.is_gone() => Err(vanished(task)),
            Err(failure) => Err(failure),
        };
    }
    Ok(seen)
}

/// Is it worth asking again?
fn is_outage(failure: &Failure) -> bool {
    match failure {
        Failure::Lost(..) | Failure::NotSent(_) | Failure::Because(ErrorKind::Unreachable, ..) => true,
        Failure::Fault(_) | Failure::Certificate(_) | Failure::Because(..) => false,
    }
}

fn vanished(task: &Ref) -> Failure {
    Failure::Fault(Fault::new("HANDLE_INVALID".to_owned(), vec!["task".to_owned(), task.to_string()]))
}

/// Removes a task that has ended. The server does so too, a day later.
pub(super) async fn destroy(door: &Door, task: &Ref) {
    let _ = door.call(&Request::new("task.destroy").on(task)).await;
}

/// Asks a task to stop; some cannot.
pub(super) async fn cancel(door: &Door, task: &Ref) {
    let _ = door.call(&Request::new("task.cancel").on(task)).await;
}

/// Tasks for this message that still run and that nobody here waits for: for when the answer that named one was lost. A
/// task does not tell what it works on.
pub(super) async fn strays(door: &Door, method: &str) -> Result<Vec<Ref>, Failure> {
    let answer = door.call(&Request::new("task.get_all_records")).await?;
    let tasks: BTreeMap<Ref, Task> = answer.read()?;
    let label = format!("Async.{method}");
    let stray = |(reference, task): (Ref, Task)| {
        (task.name_label == label && task.end().is_none() && !door.is_followed(&reference)).then_some(reference)
    };
    Ok(tasks.into_iter().filter_map(stray).collect())
}
