//! One call from its bytes to its reply: fault rules, session, rights, the call itself, the record.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Response, header};

use super::calls::{Turn, answer, is_open, rights, wait};
use super::fault::Fault;
use super::morefs::{Object, resolve};
use super::session::Caller;
use super::soap::{self, Answer, Asked};
use super::{Front, calls};
use crate::lab::faults::Effect;
use crate::lab::listener::Peer;
use crate::lab::record::{CallOutcome, CallRecord};

/// What a call concerns, for rules and the record.
struct Concern {
    /// Names it goes by in fault rules.
    names: Vec<String>,
    /// The VM's name.
    vm: Option<String>,
}

/// Answers a request.
pub(super) async fn handle(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let caller = caller(&headers, &peer);
    let asked = match soap::read(&body) {
        Ok(asked) => asked,
        Err((name, fault)) => {
            front.note(&name, "", None, CallOutcome::Fault(fault.kind.clone()));
            return soap::reply(soap::fault(&fault), true, None);
        }
    };
    let concern = front.concern(&asked);
    let names: Vec<&str> = concern.names.iter().map(String::as_str).collect();
    let effects = front.parts.faults.on_call(asked.call, &names);
    if effects.contains(&Effect::Drop) {
        front.note(asked.call, &asked.this.id, concern.vm, CallOutcome::Dropped);
        peer.cut();
        return Response::default();
    }
    let (result, cookie) = match front.admit(&asked, &caller, &effects, &names) {
        Ok(()) => front.result(&asked, &caller, &effects).await,
        Err(fault) => (Err(fault), None),
    };
    for effect in &effects {
        if let Effect::DelayMs(ms) = effect {
            front.delay(*ms).await;
        }
    }
    let written = result.and_then(|result| soap::answer(&asked, &result));
    let lost = effects.contains(&Effect::LoseReply);
    let outcome = match &written {
        Err(fault) => CallOutcome::Fault(fault.kind.clone()),
        Ok(_) if lost => CallOutcome::ReplyLost,
        Ok(_) => CallOutcome::Answered,
    };
    front.note(asked.call, &asked.this.id, concern.vm, outcome);
    if lost {
        peer.cut();
        return Response::default();
    }
    match written {
        Ok(text) => soap::reply(text, false, cookie.as_deref()),
        Err(fault) => soap::reply(soap::fault(&fault), true, cookie.as_deref()),
    }
}

fn caller(headers: &HeaderMap, peer: &Peer) -> Caller {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // The value comes back as it was set: in quotes, or without.
    let cookie = text(header::COOKIE)
        .and_then(|all| all.split(';').find_map(|pair| pair.trim().strip_prefix("vmware_soap_session=")));
    Caller {
        cookie: cookie.map(|cookie| cookie.trim_matches('"').to_owned()),
        address: peer.address.ip().to_string(),
        agent: text(header::USER_AGENT).unwrap_or_default().to_owned(),
    }
}

impl Front {
    /// Does the call; with it a cookie, if one is to be set.
    async fn result(
        &self,
        asked: &Asked,
        caller: &Caller,
        effects: &[Effect],
    ) -> (Result<Answer, Fault>, Option<String>) {
        if wait::waits(asked) {
            return (wait::wait(self, asked, caller).await, None);
        }
        let rules = self.parts.faults.on_state();
        let result = {
            let mut sessions = self.sessions();
            let sessions = &mut *sessions;
            self.parts.world.with(|world| {
                let identity = &self.identity;
                let mut turn = Turn { asked, world, sessions, identity, caller, rules: &rules, effects, cookie: None };
                let result = answer(&mut turn);
                (result, turn.cookie.take())
            })
        };
        if matches!(asked.call, "CancelWaitForUpdates" | "CreateFilter" | "Logout") {
            self.nudge();
        }
        self.let_time_jump(asked);
        result
    }

    /// What fault rules refuse is refused first; then nobody without a session, and nothing without the right to it.
    fn admit(&self, asked: &Asked, caller: &Caller, effects: &[Effect], names: &[&str]) -> Result<(), Fault> {
        for effect in effects {
            match effect {
                Effect::Fail(with) => return Err(Fault::named(&with.fault, with.message.as_deref())),
                Effect::Deny(right) => return Err(Fault::no_permission(&asked.this, right)),
                _ => {}
            }
        }
        let open = is_open(asked);
        let (now, root) = self.parts.world.with(|world| {
            let root = world.root_folder().map(|root| super::morefs::reference(world, root));
            (world.now_ms(), root)
        });
        if !open && self.sessions().get(caller, now).is_none() {
            return Err(Fault::not_authenticated(root.as_ref().unwrap_or(&asked.this)));
        }
        let rules = self.parts.faults.on_state();
        if rules.is_empty() || open {
            return Ok(());
        }
        match rights::needed(asked).into_iter().find(|right| rules.denies(right, names)) {
            Some(right) => Err(Fault::no_permission(&asked.this, right)),
            None => Ok(()),
        }
    }

    /// A client that polls a running task by reading waits in its own time, of which virtual time knows nothing: after
    /// such a look it goes on to what is due next.
    fn let_time_jump(&self, asked: &Asked) {
        let reads_task = asked.this.kind == "Task"
            || asked.parameters.datas("specSet").any(|set| {
                set.datas("objectSet").any(|start| start.reference("obj").is_some_and(|at| at.kind == "Task"))
            });
        if !reads_task {
            return;
        }
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

    fn concern(&self, asked: &Asked) -> Concern {
        self.parts.world.with(|world| {
            let mut names = rights::names_of(world, &asked.this);
            let vm = match resolve(world, &asked.this) {
                Some(Object::Vm(id) | Object::Snapshot(id, _)) => world.vm(id).map(|vm| vm.name.to_string()),
                _ => None,
            };
            let made = calls::new_name(asked);
            names.extend(made.clone());
            names.extend(asked.parameters.text("uuid").map(Into::into));
            // Single objects that are read; nobody names more than a few by hand.
            let read = asked.parameters.datas("specSet").flat_map(|set| set.datas("objectSet"));
            for object in read.filter_map(|start| start.reference("obj")).take(20) {
                names.extend(rights::names_of(world, object));
            }
            Concern { names, vm: made.filter(|_| asked.call != "CreateFolder").or(vm) }
        })
    }

    fn note(&self, operation: &str, target: &str, vm: Option<String>, outcome: CallOutcome) {
        self.parts.record.add(CallRecord {
            number: 0,
            at: self.parts.world.clock().now(),
            endpoint: self.parts.endpoint.name.clone(),
            operation: operation.to_owned(),
            target: target.to_owned(),
            vm,
            mutating: calls::is_mutating(operation),
            outcome,
        });
    }
}
