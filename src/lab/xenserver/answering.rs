//! One call from its bytes to its reply: fault rules, master, session, rights, the call itself, the record.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Response, StatusCode, header};

use super::calls::{self, Known};
use super::failure::{
    Failure, HOST_IS_SLAVE, MESSAGE_METHOD_UNKNOWN, MESSAGE_PARAMETER_COUNT_MISMATCH, RBAC_PERMISSION_DENIED,
    SESSION_INVALID,
};
use super::refs::{Class, Obj};
use super::tasks::{Call, Start, Verdict};
use super::value::Value;
use super::wire::{self, Asked, Wire};
use super::{Front, calls::Concern};
use crate::lab::faults::Effect;
use crate::lab::listener::Peer;
use crate::lab::record::{CallOutcome, CallRecord};

/// A pool, asked at one of its members.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub front: Arc<Front>,
    pub member: usize,
}

/// Answers JSON-RPC. The content type must be exactly this, as real servers want it.
pub(super) async fn json(
    State(at): State<At>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        let mut refused = Response::new(Body::from("content-type must be application/json"));
        *refused.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return refused;
    }
    at.answer(&peer, wire::read_json(&body)).await
}

/// Answers XML-RPC.
pub(super) async fn xml(State(at): State<At>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Response<Body> {
    at.answer(&peer, wire::read_xml(&body)).await
}

/// A call that is known.
struct Heard {
    known: Known,
    asynchronous: bool,
    /// `VM.start`, whether asynchronous or not.
    name: String,
    parameters: Vec<Value>,
    wire: Wire,
}

impl At {
    async fn answer(&self, peer: &Peer, asked: Result<Asked, (Wire, Failure)>) -> Response<Body> {
        let asked = match asked {
            Ok(asked) => asked,
            Err((wire, failure)) => return wire.reply(&Err(failure)),
        };
        let name = asked.method.strip_prefix("Async.").unwrap_or(&asked.method).to_owned();
        let front = &self.front;
        let concern = front.with(|world, inner| Concern::of(&inner.view(world), &name, &asked.parameters));
        let names: Vec<&str> = concern.names.iter().map(String::as_str).collect();
        let effects = front.parts.faults.on_call(&name, &names);
        if effects.contains(&Effect::Drop) {
            front.note(&name, concern, CallOutcome::Dropped);
            peer.cut();
            return Response::default();
        }
        let wire = asked.wire.clone();
        let result = match self.admit(asked, &name, &concern, &effects) {
            Ok((heard, session)) => self.result(heard, session, &effects).await,
            Err(failure) => Err(failure),
        };
        for effect in &effects {
            if let Effect::DelayMs(ms) = effect {
                front.delay(*ms).await;
            }
        }
        let lost = effects.contains(&Effect::LoseReply);
        let outcome = match &result {
            Err(failure) => CallOutcome::Fault(failure.code.clone()),
            Ok(_) if lost => CallOutcome::ReplyLost,
            Ok(_) => CallOutcome::Answered,
        };
        front.note(&name, concern, outcome);
        if lost {
            peer.cut();
            return Response::default();
        }
        wire.reply(&result)
    }

    /// A slave does nothing but point at its master; then the message is looked up, fault rules refuse, and nobody
    /// comes in without a session and the right.
    fn admit(&self, asked: Asked, name: &str, concern: &Concern, effects: &[Effect]) -> Result<(Heard, u32), Failure> {
        let (front, member) = (&self.front, self.member);
        front.with(|_, inner| {
            let standing = &inner.standing;
            if standing.master == member {
                Ok(())
            } else {
                Err(Failure::new(HOST_IS_SLAVE, [standing.master_address()]))
            }
        })?;
        let asynchronous = asked.method.starts_with("Async.");
        let unknown = || Failure::new(MESSAGE_METHOD_UNKNOWN, [asked.method.clone()]);
        let known = calls::known(name).ok_or_else(unknown)?;
        if asynchronous && !known.can_be_asynchronous() {
            return Err(unknown());
        }
        for effect in effects {
            match effect {
                Effect::Fail(with) => return Err(named(&with.fault, with.message.as_deref())),
                Effect::Deny(right) => return Err(denied(right)),
                _ => {}
            }
        }
        let mut parameters = asked.parameters;
        let session = if known.is_open() { 0 } else { front.session_of(&mut parameters)? };
        if !known.takes(parameters.len()) {
            let expected = known.parameters() + usize::from(!known.is_open());
            let got = parameters.len() + usize::from(!known.is_open());
            let words = [name.to_owned(), expected.to_string(), got.to_string()];
            return Err(Failure::new(MESSAGE_PARAMETER_COUNT_MISMATCH, words));
        }
        front.with(|_, inner| {
            let names: Vec<&str> = concern.names.iter().map(String::as_str).collect();
            if inner.rules.denies(name, &names) { Err(denied(name)) } else { Ok(()) }
        })?;
        Ok((Heard { known, asynchronous, name: name.to_owned(), parameters, wire: asked.wire }, session))
    }

    async fn result(&self, heard: Heard, session: u32, effects: &[Effect]) -> Result<Value, Failure> {
        let front = &self.front;
        if heard.name == "event.from" {
            return calls::event::from(front, session, &heard.parameters, &heard.wire, effects).await;
        }
        let doomed = effects.iter().find_map(|effect| match effect {
            Effect::FailTask(with) => Some(named(&with.fault, with.message.as_deref())),
            _ => None,
        });
        let Known { class, message, .. } = heard.known;
        let call = Call { class, message, parameters: heard.parameters, session };
        if heard.asynchronous || heard.known.takes_time() {
            let listed = heard.asynchronous && !effects.contains(&Effect::LoseTask);
            let number = front.with(|world, inner| inner.begin(&front.this, world, Start { call, listed, doomed }));
            if heard.asynchronous {
                return Ok(front.inner().codec.reference(&Obj::Task(number)).into());
            }
            return front.outcome(number).await;
        }
        if let Some(failure) = doomed {
            return Err(failure);
        }
        let reads_task = class == Class::Task;
        let result = front.with(|world, inner| calls::answer(inner, world, &call, (&heard.wire, effects)));
        if matches!(message, "logout" | "designate_new_master" | "emergency_transition_to_master") {
            front.nudge();
        }
        if reads_task {
            front.let_time_jump();
        }
        result
    }
}

fn named(code: &str, words: Option<&str>) -> Failure {
    Failure::new(code, words)
}

fn denied(right: &str) -> Failure {
    Failure::new(RBAC_PERMISSION_DENIED, [&*right.to_ascii_lowercase(), "No permission in user session"])
}

impl Front {
    /// Takes the session off the parameters, if it is open.
    fn session_of(&self, parameters: &mut Vec<Value>) -> Result<u32, Failure> {
        let given = if parameters.is_empty() { Value::void() } else { parameters.remove(0) };
        let text = given.text().unwrap_or_default();
        self.open_session(text).ok_or_else(|| Failure::new(SESSION_INVALID, [text]))
    }

    /// The number of an open session.
    pub(super) fn open_session(&self, reference: &str) -> Option<u32> {
        self.with(|world, inner| match inner.codec.object(Class::Session, reference) {
            Some(Obj::Session(number)) if inner.sessions.touch(number, world.now_ms()) => Some(number),
            _ => None,
        })
    }

    /// Waits for a task of a call that is not asynchronous, and takes it away.
    async fn outcome(&self, number: u32) -> Result<Value, Failure> {
        let world = &self.parts.world;
        let mut changes = world.changes();
        loop {
            changes.mark_unchanged();
            let (task, due) = self.with(|world, inner| {
                let pending = inner.tables.tasks.get(&number).is_some_and(super::tasks::Task::pending);
                let task = inner.tables.tasks.get(&number).cloned();
                if !pending {
                    inner.destroy_task(world, number);
                }
                (task, world.next_due())
            });
            let Some(task) = task else {
                return Err(Failure::new(super::failure::INTERNAL_ERROR, ["the task is gone"]));
            };
            match task.verdict {
                Verdict::Success(_) => return Ok(task.value.unwrap_or_else(Value::void)),
                Verdict::Failure(failure) | Verdict::Cancelled(failure) => return Err(failure),
                Verdict::Pending => {}
            }
            let due = due.unwrap_or_else(|| world.clock().now_ms() + 1_000);
            tokio::select! {
                () = world.clock().wait_until(due) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// A client that polls a task by reading waits in its own time, of which virtual time knows nothing.
    fn let_time_jump(&self) {
        if let Some(due) = self.parts.world.with(|world| world.next_due()) {
            self.parts.world.clock().jump(due);
        }
    }

    async fn delay(&self, ms: u64) {
        let clock = self.parts.world.clock();
        let due = clock.now_ms().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX / 4));
        // Bounded in real time: a rule must not be able to hang a lab.
        let _ = tokio::time::timeout(Duration::from_mins(10), clock.wait_until(due)).await;
    }

    pub(super) fn note(&self, operation: &str, concern: Concern, outcome: CallOutcome) {
        self.parts.record.add(CallRecord {
            number: 0,
            at: self.parts.world.clock().now(),
            endpoint: self.parts.endpoint.name.clone(),
            operation: operation.to_owned(),
            target: concern.target,
            vm: concern.vm,
            mutating: operation == "import_raw_vdi" || calls::known(operation).is_some_and(|known| known.mutating()),
            outcome,
        });
    }
}
