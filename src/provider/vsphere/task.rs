//! Waiting on the server, never by asking again and again: the property collector tells when something changed.
//!
//! Each wait has a collector of its own, so that waits do not take each other's updates. A call waits at most
//! [`WAIT_SECONDS`] on the server and is sent again; a lost connection is picked up again, since asking changes nothing.

use std::time::Duration;

use super::fault::{Failure, Fault};
use super::pages::{self, Each};
use super::property::{From, Object, Wanted, filter_spec};
use super::session::{Door, Session};
use super::soap::{Moref, Request};
use crate::xml::Element;

/// How long one call may wait on the server. Well below the silence at which proxies cut a connection (60 s and up).
pub(super) const WAIT_SECONDS: u64 = 30;
/// Attempts to pick a wait up again, with a growing pause; about half a minute, a server's short outage.
const PATIENCE: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// How a task ended.
#[derive(Debug)]
pub(super) enum End {
    /// Done; with the object it made, if it made one.
    Success(Option<Moref>),
    /// Refused, or failed; in the server's words.
    Failed(Fault),
}

const TASK: Wanted<'static> =
    Wanted { kind: "Task", paths: &["info.state", "info.progress", "info.error", "info.result"] };

/// What is known of a task so far.
#[derive(Debug, Default)]
struct Progress {
    state: Option<String>,
    error: Option<Fault>,
    result: Option<Moref>,
    percent: Option<u8>,
}

impl Progress {
    fn take(&mut self, object: &Object<'_>) {
        if let Some(state) = object.text("info.state") {
            self.state = Some(state.to_owned());
        }
        self.percent = object.text("info.progress").and_then(|text| text.trim().parse().ok()).or(self.percent);
        if let Some(error) = object.get("info.error").filter(|error| error.child("fault").is_some()) {
            self.error = Some(Fault::localized(error));
        }
        self.result = object.reference("info.result").or(self.result.take());
    }

    fn end(&mut self) -> Option<End> {
        match self.state.as_deref() {
            Some("success") => Some(End::Success(self.result.take())),
            Some("error") => {
                let unknown =
                    || Fault { kind: "Fault".to_owned(), words: "the task failed and gives no reason".to_owned() };
                Some(End::Failed(self.error.take().unwrap_or_else(unknown)))
            }
            _ => None,
        }
    }
}

/// Waits for a task to end. `progress` is told its percentage.
pub(super) async fn wait(
    door: &Door,
    task: &Moref,
    progress: &(dyn Fn(Option<u8>) + Send + Sync),
) -> Result<End, Failure> {
    let mut known = Progress::default();
    let watched = Watch { object: task, wanted: TASK, limit: None, stop: &|| false, pulse: WAIT_SECONDS };
    watch(door, &watched, &mut |object| {
        known.take(object);
        progress(known.percent);
        known.state.as_deref().is_some_and(|state| state == "success" || state == "error")
    })
    .await?;
    known.end().ok_or_else(|| Failure::senseless("a task that neither succeeded nor failed"))
}

/// What is watched, and for how long.
pub(super) struct Watch<'a> {
    pub object: &'a Moref,
    pub wanted: Wanted<'a>,
    pub limit: Option<Duration>,
    /// Looked at between two calls: should the wait end early?
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
    /// Seconds that one call may wait on the server.
    pub pulse: u64,
}

/// Watches properties of one object until `enough` says so; `false` when the time is over or `stop` said so.
pub(super) async fn watch(
    door: &Door,
    watch: &Watch<'_>,
    enough: &mut (dyn FnMut(&Object<'_>) -> bool + Send),
) -> Result<bool, Failure> {
    let deadline = watch.limit.map(|limit| crate::clock::instant() + limit);
    let mut patience = PATIENCE.iter();
    loop {
        let session = door.session().await?;
        let outcome = watch_in(door, &session, watch, deadline, enough).await;
        match outcome {
            Err(failure) if failure.is_not_authenticated() => door.forget(&session).await,
            Err(failure @ (Failure::Lost(..) | Failure::NotSent(_))) => match patience.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(failure),
            },
            outcome => return outcome,
        }
    }
}

async fn watch_in(
    door: &Door,
    session: &Session,
    watch: &Watch<'_>,
    deadline: Option<tokio::time::Instant>,
    enough: &mut (dyn FnMut(&Object<'_>) -> bool + Send),
) -> Result<bool, Failure> {
    let request = Request::new("CreatePropertyCollector", &session.content.property_collector, |_| {})?;
    let collector = door.call_in(session, &request).await?.reference()?;
    let outcome = watch_with((door, session, &collector), watch, deadline, enough).await;
    // Goes with the session at the latest.
    if let Ok(request) = Request::new("DestroyPropertyCollector", &collector, |_| {}) {
        let _ = door.call_in(session, &request).await;
    }
    outcome
}

async fn watch_with(
    (door, session, collector): (&Door, &Session, &Moref),
    watch: &Watch<'_>,
    deadline: Option<tokio::time::Instant>,
    enough: &mut (dyn FnMut(&Object<'_>) -> bool + Send),
) -> Result<bool, Failure> {
    let request = Request::new("CreateFilter", collector, |writer| {
        filter_spec(writer, "spec", &[watch.wanted], &From::Objects(std::slice::from_ref(watch.object)));
        writer.leaf("partialUpdates", "false");
    })?;
    door.call_in(session, &request).await?;
    let mut version = String::new();
    loop {
        let wait = match deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(crate::clock::instant());
                if !version.is_empty() && (left.is_zero() || (watch.stop)()) {
                    return Ok(false);
                }
                // Rounded up: a call that waits 0 seconds would turn into asking again and again.
                left.as_secs().saturating_add(1).min(watch.pulse)
            }
            None => watch.pulse,
        };
        let request = Request::new("WaitForUpdatesEx", collector, |writer| {
            writer.leaf("version", &version);
            writer.open("options").leaf("maxWaitSeconds", &wait.to_string()).close();
        })?;
        let answer = door.call_in(session, &request).await?;
        let tree = answer.tree()?;
        // No returnval: nothing changed in that time.
        if let Some(update) = tree.child("returnval") {
            update.text_of("version").unwrap_or_default().clone_into(&mut version);
            for update in update.children("filterSet").flat_map(|filter| filter.children("objectSet")) {
                if update.text_of("kind") == Some("leave") {
                    return Err(Failure::Fault(vanished(watch.object)));
                }
                if Object::of(update).is_some_and(|object| enough(&object)) {
                    return Ok(true);
                }
            }
        }
    }
}

fn vanished(object: &Moref) -> Fault {
    Fault { kind: "ManagedObjectNotFound".to_owned(), words: format!("{object} vanished while it was waited for") }
}

/// A task that waits or runs, of whomever.
#[derive(Debug)]
pub(super) struct Running {
    pub task: Moref,
    /// What it is done to.
    pub entity: Moref,
    /// That object's name, as on the wire.
    pub entity_name: String,
    method: String,
}

impl Running {
    /// Is it a task of this method, as far as it says?
    pub(super) fn is(&self, method: &str) -> bool {
        self.method.is_empty() || self.method == method
    }
}

/// The tasks that still wait or run, for when nobody knows any more which one was ours.
pub(super) async fn running(door: &Door) -> Result<Vec<Running>, Failure> {
    door.within(|session| async move {
        let Some(manager) = &session.content.task_manager else { return Ok(Vec::new()) };
        let recent = [manager.clone()];
        let wanted = [Wanted { kind: "TaskManager", paths: &["recentTask"] }];
        let named = Each::whole(|object, _| Some(object.references("recentTask").collect::<Vec<_>>()));
        let tasks = pages::read(door, &session, &wanted, &From::Objects(&recent), named).await?;
        let tasks: Vec<Moref> = tasks.into_iter().flatten().collect();
        let wanted = [Wanted { kind: "Task", paths: &["info"] }];
        let at_work = Each::whole(|object, _| {
            let info = object.get("info")?;
            let text = |name| info.text_of(name).unwrap_or_default().to_owned();
            matches!(info.text_of("state")?, "queued" | "running").then_some(())?;
            let entity = info.child("entity").and_then(Moref::of)?;
            let (entity_name, method) = (text("entityName"), text("name"));
            Some(Running { task: object.moref.clone(), entity, entity_name, method })
        });
        pages::read(door, &session, &wanted, &From::Objects(&tasks), at_work).await
    })
    .await
}

/// The reference in a task's answer.
pub(super) fn of(answer: &Element<'_>) -> Option<Moref> {
    answer.child("returnval").and_then(Moref::of).filter(|moref| moref.kind == "Task")
}
