//! One request from its bytes to its reply: the login, fault rules, the operation, the record.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use uuid::Uuid;

use super::auth::{Admission, Sealing};
use super::envelope::{self, Asked};
use super::fault::Fault;
use super::operations::{Answered, Operation, Turn, answer, context};
use super::parts::{guid_in, upper};
use super::{Node, methods};
use crate::lab::faults::Effect;
use crate::lab::listener::Peer;
use crate::lab::record::{CallOutcome, CallRecord};
use crate::lab::world::{Link, World};

/// What a call concerns, for rules and the record.
struct Concern {
    /// Names it goes by in fault rules: its class, and VMs by name and GUID.
    names: Vec<String>,
    /// The VM's name.
    vm: Option<String>,
}

/// Answers a request.
pub(super) async fn handle(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if node.is_down() {
        peer.cut();
        return Response::default();
    }
    let (sealing, token) = match super::auth::admit(&node, &peer, &headers) {
        Admission::Refused(response) => return response,
        Admission::Granted { sealing, token } => (sealing, token),
    };
    let mut response = if body.is_empty() {
        // The last leg of a login may come by itself; Windows answers it with an empty 200.
        Response::default()
    } else {
        respond(&node, &peer, sealing, &headers, &body).await
    };
    if let Some(token) = token.as_deref().and_then(|token| HeaderValue::from_str(token).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, token);
    }
    response
}

/// Opens the body, answers it, and seals the answer as the request was.
async fn respond(
    node: &Arc<Node>,
    peer: &Peer,
    sealing: Option<Sealing>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Body> {
    let Some((plain, protocol)) = super::auth::open(sealing.as_ref(), node.certificate.is_some(), headers, body) else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let Some((text, is_fault)) = call(node, peer, &plain).await else { return Response::default() };
    let code = if is_fault { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    let (content, kind) = match (protocol, sealing) {
        (Some(protocol), Some(sealing)) => super::auth::close(&sealing, &protocol, text.as_bytes()),
        _ => (text.into_bytes(), "application/soap+xml;charset=UTF-8".to_owned()),
    };
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = code;
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
    response
}

pub(super) fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::default();
    *response.status_mut() = code;
    response
}

/// The answer, and whether it is a fault; `None`: none is sent.
async fn call(node: &Arc<Node>, peer: &Peer, body: &[u8]) -> Option<(String, bool)> {
    let asked = match envelope::read(body) {
        Ok(asked) => asked,
        Err(fault) => {
            node.note("", "", None, CallOutcome::Fault(fault.name().to_owned()));
            return Some((node.fault(&fault, &envelope::message_id(body)), true));
        }
    };
    let operation = Operation::of(&asked);
    let concern = node.concern(&asked, operation, body);
    let names: Vec<&str> = concern.names.iter().map(String::as_str).collect();
    let effects = node.parts.faults.on_call(operation.name(), &names);
    let class = asked.uri.rsplit_once('/').map_or("", |(_, class)| class).to_owned();
    if effects.contains(&Effect::Drop) {
        node.note(operation.name(), &class, concern.vm, CallOutcome::Dropped);
        peer.cut();
        return None;
    }
    let mut answered = node.answered(&asked, operation, (&effects, &names));
    node.let_time_jump(&asked, operation);
    if let Some(fault) = node.delays(&asked, &effects).await {
        answered = Err(fault);
    }
    let lost = effects.contains(&Effect::LoseReply);
    let outcome = match &answered {
        Err(fault) => CallOutcome::Fault(fault.name().to_owned()),
        Ok(_) if lost => CallOutcome::ReplyLost,
        Ok(_) => CallOutcome::Answered,
    };
    node.note(operation.name(), &class, concern.vm, outcome);
    if lost {
        peer.cut();
        return None;
    }
    Some(match answered {
        Ok(text) => (text, false),
        Err(fault) => (node.fault(&fault, &asked.message_id), true),
    })
}

impl Node {
    /// Is the host dead?
    fn is_down(&self) -> bool {
        let id = self.host.id;
        self.parts.world.with(|world| world.hosts.get(&id).is_none_or(|host| host.link != Link::Connected))
    }

    fn fault(&self, fault: &Fault, relates_to: &str) -> String {
        envelope::fault(fault, &self.fresh_id(), relates_to, &self.host.name)
    }

    fn answered(
        &self,
        asked: &Asked<'_>,
        operation: Operation<'_>,
        (effects, names): (&[Effect], &[&str]),
    ) -> Answered {
        for effect in effects {
            match effect {
                Effect::Fail(with) => return Err(Fault::named(with)),
                Effect::Deny(_) => return Err(Fault::access_denied()),
                _ => {}
            }
        }
        let rules = self.parts.faults.on_state();
        self.parts.world.with(|world| {
            let mut turn = Turn { node: self, asked, world, rules: &rules, effects };
            answer(&mut turn, operation, names)
        })
    }

    /// Waits as rules say; past the client's `OperationTimeout` it is told to ask again.
    async fn delays(&self, asked: &Asked<'_>, effects: &[Effect]) -> Option<Fault> {
        let mut fault = None;
        for effect in effects {
            let Effect::DelayMs(ms) = effect else { continue };
            let ms = i64::try_from(*ms).unwrap_or(i64::MAX / 4);
            let most = asked.timeout_ms.unwrap_or(60_000);
            let clock = self.parts.world.clock();
            let due = clock.now_ms().saturating_add(ms.min(most));
            // Bounded in real time: a rule must not be able to hang a lab.
            let _ = tokio::time::timeout(Duration::from_mins(10), clock.wait_until(due)).await;
            if ms > most {
                fault = Some(Fault::timed_out());
            }
        }
        fault
    }

    /// A client that polls a job, or a VM until its guest has stopped, waits in its own time, of which virtual time
    /// knows nothing: after such a look it goes on to what is due next.
    fn let_time_jump(&self, asked: &Asked<'_>, operation: Operation<'_>) {
        const POLLED: [&str; 5] = [
            "Msvm_ConcreteJob",
            "Msvm_StorageJob",
            "Msvm_MigrationJob",
            "Msvm_ComputerSystem",
            "Msvm_ShutdownComponent",
        ];
        let class = asked.uri.rsplit_once('/').map_or("", |(_, class)| class);
        let filter = asked.body.as_ref().and_then(|body| body.text_of("Filter")).unwrap_or_default();
        let polls = match operation {
            Operation::Get => POLLED.contains(&class),
            Operation::Enumerate => POLLED.iter().any(|polled| filter.contains(polled)) && filter.contains('='),
            _ => false,
        };
        if polls && let Some(due) = self.parts.world.with(|world| world.next_due()) {
            self.parts.world.clock().jump(due);
        }
    }

    fn concern(&self, asked: &Asked<'_>, operation: Operation<'_>, body: &[u8]) -> Concern {
        let class = asked.uri.rsplit_once('/').map_or("", |(_, class)| class);
        let mut names = vec![class.to_owned()];
        if operation == Operation::Pull {
            let now = self.parts.world.clock().now_ms();
            let class = context(asked).and_then(|id| Some(self.enumerations().get(id, now)?.class.clone()));
            names.extend(class);
        }
        let text = String::from_utf8_lossy(body);
        if operation == Operation::Enumerate {
            names.extend(class_queried(&text));
        }
        let born = (operation == Operation::Invoke("DefineSystem")).then(|| name_in(&text)).flatten();
        let (more, vm) = self.parts.world.with(|world| self.vms_named(world, &text));
        names.extend(more);
        names.extend(born.clone());
        Concern { names, vm: born.or(vm) }
    }

    /// Names and GUIDs of the VMs that a request names by GUID or by a file of theirs, and the name of the first.
    fn vms_named(&self, world: &World, text: &str) -> (Vec<String>, Option<String>) {
        let mut names = Vec::new();
        let mut first = None;
        for guid in guids(text).into_iter().take(20) {
            let Some(vm) = world.vms().find(|vm| vm.instance_uuid == guid && vm.host == self.host.id) else { continue };
            first.get_or_insert_with(|| vm.name.to_string());
            names.extend([vm.name.to_string(), guid.to_string(), upper(guid)]);
        }
        (names, first)
    }

    fn note(&self, operation: &str, target: &str, vm: Option<String>, outcome: CallOutcome) {
        self.parts.record.add(CallRecord {
            number: 0,
            at: self.parts.world.clock().now(),
            endpoint: self.parts.endpoint.name.clone(),
            operation: operation.to_owned(),
            target: target.to_owned(),
            vm,
            mutating: methods::is_mutating(operation),
            outcome,
        });
    }
}

/// All GUIDs in a text.
fn guids(text: &str) -> Vec<Uuid> {
    let mut found = Vec::new();
    for (dash, _) in text.match_indices('-') {
        let guid = dash.checked_sub(8).and_then(|at| text.get(at..)).and_then(guid_in);
        if let Some(guid) = guid
            && !found.contains(&guid)
        {
            found.push(guid);
        }
    }
    found
}

/// The class after `FROM` of a query.
fn class_queried(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    words.find(|word| word.eq_ignore_ascii_case("from"))?;
    words.next().map(|word| word.split('<').next().unwrap_or_default().to_owned())
}

/// `ElementName` of an embedded instance, however its markup is escaped.
fn name_in(text: &str) -> Option<String> {
    let from = text.find("\"ElementName\"").or_else(|| text.find("&quot;ElementName&quot;"))?;
    let rest = &text[from..];
    let (open, close) =
        if rest.find("&lt;VALUE").is_some() { ("&lt;VALUE&gt;", "&lt;/VALUE") } else { ("<VALUE>", "</VALUE") };
    let at = rest.find(open)? + open.len();
    let end = rest[at..].find(close)?;
    Some(rest[at..at + end].to_owned())
}
