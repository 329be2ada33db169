//! Filters and collectors, and the calls that wait for changes.

use std::sync::Arc;
use std::time::Duration;

use super::Turn;
use crate::lab::vsphere::Front;
use crate::lab::vsphere::collector::Spec;
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::properties::Scope;
use crate::lab::vsphere::session::Caller;
use crate::lab::vsphere::soap::{Answer, Asked};
use crate::lab::vsphere::value::Ref;

/// Nobody waits longer, whatever they ask for.
const LONGEST: Duration = Duration::from_mins(10);

/// Calls that make and end filters and collectors.
pub(super) fn manage(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let (world, this) = (&*turn.world, &turn.asked.this);
    let gone = || Fault::not_found(this);
    let session = turn.sessions.get(turn.caller, world.now_ms()).ok_or_else(|| Fault::not_authenticated(this))?;
    match turn.asked.call {
        "CreateFilter" => {
            let spec = turn.asked.parameters.data("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
            let spec = Spec::read(spec)?;
            let id = session.fresh_id();
            let mut collector = session.collectors.remove(&this.id).ok_or_else(gone)?;
            let scope = Scope { world, identity: turn.identity, session: Some(session), rules: turn.rules };
            let added = collector.add(&scope, id.clone(), spec);
            session.collectors.insert(this.id.clone(), collector);
            added?;
            Ok(Answer::Value(Some(Ref { kind: "PropertyFilter", id }.into())))
        }
        "DestroyPropertyFilter" => {
            let removed = session.collectors.values_mut().any(|collector| collector.filters.remove(&this.id).is_some());
            if removed { Ok(Answer::Value(None)) } else { Err(gone()) }
        }
        "CreatePropertyCollector" => {
            let id = session.add_collector()?;
            Ok(Answer::Value(Some(Ref { kind: "PropertyCollector", id }.into())))
        }
        "DestroyPropertyCollector" => {
            // The main one stays as long as its session.
            let own = this.id.starts_with("session[");
            match session.collectors.remove(&this.id).filter(|_| own) {
                Some(_) => Ok(Answer::Value(None)),
                None => Err(Fault::not_supported()),
            }
        }
        _ => {
            session.collectors.get_mut(&this.id).ok_or_else(gone)?.cancelled += 1;
            Ok(Answer::Value(None))
        }
    }
}

/// Is it a call that may wait?
pub(in crate::lab::vsphere) fn waits(asked: &Asked) -> bool {
    matches!(asked.call, "WaitForUpdatesEx" | "WaitForUpdates" | "CheckForUpdates")
}

/// One look at what changed.
enum Look {
    Found(String),
    /// Nothing; when the next thing comes due.
    Nothing(Option<i64>),
}

/// Waits until something changed, the time is over, or it is cancelled.
pub(in crate::lab::vsphere) async fn wait(front: &Front, asked: &Asked, caller: &Caller) -> Result<Answer, Fault> {
    let options = asked.parameters.data("options");
    let most = options.and_then(|options| options.int("maxObjectUpdates"));
    let patience = match (asked.call, options.and_then(|options| options.int("maxWaitSeconds"))) {
        ("CheckForUpdates", _) => Duration::ZERO,
        (_, Some(seconds)) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST),
        (_, None) => LONGEST,
    };
    let version = asked.parameters.text("version").unwrap_or_default();
    let (mut changes, mut nudges) = (front.parts.world.changes(), front.nudge.subscribe());
    let cancelled = begin(front, asked, caller, version)?;
    let clock = front.parts.world.clock().clone();
    let mut over = std::pin::pin!(tokio::time::sleep(patience));
    let lab_deadline = clock.now_ms().saturating_add(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX / 4));
    loop {
        // Before the look: what moves during it wakes the wait after it.
        changes.mark_unchanged();
        nudges.mark_unchanged();
        let due = match look(front, asked, caller, most, cancelled)? {
            Look::Found(text) => return Ok(Answer::Written(text)),
            Look::Nothing(_) if patience.is_zero() || over.is_elapsed() => return Ok(Answer::Value(None)),
            Look::Nothing(due) => due.filter(|due| *due <= lab_deadline),
        };
        let next = async {
            match due {
                Some(due) => clock.wait_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = changes.changed() => {}
            () = next => {}
            () = &mut over => {}
            _ = nudges.changed() => {}
        }
    }
}

/// Checks the version; the count of cancellations so far.
fn begin(front: &Front, asked: &Asked, caller: &Caller, version: &str) -> Result<u64, Fault> {
    let now = front.parts.world.with(|world| world.now_ms());
    let mut sessions = front.sessions();
    let session = sessions.get(caller, now).ok_or_else(|| Fault::not_authenticated(&asked.this))?;
    let collector = session.collectors.get_mut(&asked.this.id).ok_or_else(|| Fault::not_found(&asked.this))?;
    collector.resume(version)?;
    Ok(collector.cancelled)
}

fn look(front: &Front, asked: &Asked, caller: &Caller, most: Option<i64>, cancelled: u64) -> Result<Look, Fault> {
    let rules = front.parts.faults.on_state();
    let mut sessions = front.sessions();
    front.parts.world.with(|world| {
        let gone = || Fault::not_found(&asked.this);
        let session = sessions.get(caller, world.now_ms()).ok_or_else(|| Fault::not_authenticated(&asked.this))?;
        let id: Arc<str> = asked.this.id.clone();
        // Taken out while it looks: what it looks at belongs to the same session.
        let mut collector = session.collectors.remove(&id).ok_or_else(gone)?;
        let result = if collector.cancelled == cancelled {
            let scope = Scope { world, identity: &front.identity, session: Some(session), rules: &rules };
            Ok(collector.look(&scope, most).map_or_else(|| Look::Nothing(world.next_due()), Look::Found))
        } else {
            Err(Fault::new("RequestCanceled", "The task was canceled by a user."))
        };
        session.collectors.insert(id, collector);
        result
    })
}
