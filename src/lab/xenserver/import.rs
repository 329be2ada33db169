//! `PUT /import_raw_vdi?session_id=…&vdi=…`: the bytes of a disk.
//!
//! As xapi's handler: the session by query (or cookie), the VDI by reference or uuid, a body of known length: a chunked
//! one is refused with 403. The VDI must not be in use and not be smaller than what comes. Only the first MiB of the
//! content is kept, for tests to look at.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode, header};
use uuid::Uuid;

use super::answering::At;
use super::calls::Concern;
use super::refs::{Class, Obj};
use crate::lab::faults::Effect;
use crate::lab::listener::Peer;
use crate::lab::record::CallOutcome;

/// What is kept of an imported disk.
const KEPT: usize = 1 << 20;
/// The largest import: seed images are far below it.
const MOST: usize = 64 << 20;

/// How the operation stands in rules and in the record.
const NAME: &str = "import_raw_vdi";

/// The right it needs.
pub(super) const RIGHT: &str = "http/put_import_raw_vdi";

/// Answers an import.
pub(super) async fn import(
    State(at): State<At>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    let query = query(&request);
    let vdi = query.get("vdi").map(String::as_str).unwrap_or_default();
    let found = at.vdi(vdi);
    let concern = at.front.with(|world, inner| {
        let view = inner.view(world);
        let reference = found.map(|file| view.codec.reference(&Obj::Vdi(file))).unwrap_or_default();
        Concern::of_reference(&view, Class::Vdi, &reference)
    });
    let names: Vec<&str> = concern.names.iter().map(String::as_str).collect();
    let effects = at.front.parts.faults.on_call(NAME, &names);
    if effects.contains(&Effect::Drop) {
        at.front.note(NAME, concern, CallOutcome::Dropped);
        peer.cut();
        return Response::default();
    }
    let denied = at.front.with(|_, inner| inner.rules.denies(RIGHT, &names));
    let denied = denied.then(|| (StatusCode::FORBIDDEN, RIGHT.to_owned()));
    let refused = effects.iter().find_map(|effect| match effect {
        Effect::Fail(with) | Effect::FailTask(with) => Some((StatusCode::INTERNAL_SERVER_ERROR, with.fault.clone())),
        Effect::Deny(right) => Some((StatusCode::FORBIDDEN, right.clone())),
        _ => None,
    });
    let done = match refused.or(denied) {
        Some(refused) => Err(refused),
        None => at.take_in(&query, found, request).await,
    };
    let lost = effects.contains(&Effect::LoseReply);
    let outcome = match &done {
        Err((_, why)) => CallOutcome::Fault(why.clone()),
        Ok(()) if lost => CallOutcome::ReplyLost,
        Ok(()) => CallOutcome::Answered,
    };
    at.front.note(NAME, concern, outcome);
    if lost {
        peer.cut();
        return Response::default();
    }
    let (status, text) = done.map_or_else(|(status, why)| (status, why), |()| (StatusCode::OK, String::new()));
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn query(request: &Request) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("https://pool{}", request.uri()));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

impl At {
    /// The VDI meant by a reference or a uuid.
    fn vdi(&self, text: &str) -> Option<Uuid> {
        self.front.with(|world, inner| {
            let by_reference = inner.codec.object(Class::Vdi, text).and_then(|obj| match obj {
                Obj::Vdi(file) => Some(file),
                _ => None,
            });
            let file = by_reference.or_else(|| Uuid::try_parse(text).ok())?;
            world.file_by_id(file).map(|_| file)
        })
    }

    async fn take_in(
        &self,
        query: &HashMap<String, String>,
        vdi: Option<Uuid>,
        request: Request,
    ) -> Result<(), (StatusCode, String)> {
        let session = query.get("session_id").map(String::as_str).unwrap_or_default();
        if self.front.open_session(session).is_none() {
            return Err((StatusCode::UNAUTHORIZED, "SESSION_INVALID".to_owned()));
        }
        let file = vdi.ok_or((StatusCode::NOT_FOUND, "HANDLE_INVALID".to_owned()))?;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.is_none() || request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Err((StatusCode::FORBIDDEN, "a body of known length is needed".to_owned()));
        }
        let raw = query.get("format").is_none_or(|format| format == "raw");
        if !raw {
            return Err((StatusCode::NOT_FOUND, "unknown format".to_owned()));
        }
        let body = axum::body::to_bytes(request.into_body(), MOST).await;
        let body = body.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
        self.store(file, &body)
    }

    fn store(&self, vdi: Uuid, body: &Bytes) -> Result<(), (StatusCode, String)> {
        self.front.with(|world, inner| {
            let refuse = |why: &str| Err((StatusCode::INTERNAL_SERVER_ERROR, why.to_owned()));
            let Some((path, file)) = world.file_by_id(vdi) else { return refuse("VDI_MISSING") };
            if u64::try_from(body.len()).is_ok_and(|length| length > file.capacity) {
                return refuse("VDI_TOO_SMALL");
            }
            let view = inner.view(world);
            let in_use = view.users(path).iter().any(|user| match user {
                Obj::Vbd(vm, _) => view.world.vm(*vm).is_some_and(|vm| view.tables.plugged(user, vm)),
                _ => false,
            });
            if in_use {
                return refuse("VDI_IN_USE");
            }
            inner.tables.contents.insert(vdi, body.slice(..body.len().min(KEPT)));
            world.bump();
            Ok(())
        })
    }
}
