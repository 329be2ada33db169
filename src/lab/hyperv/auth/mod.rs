//! Who is let in: Basic over TLS, NTLM by itself or in SPNEGO. NTLM logs the connection in, Basic each request.
//!
//! ```text
//! basic.rs    name and password in each request
//! ntlm.rs     challenge and response, channel bindings ([MS-NLMP])
//! crypto.rs   keys, sealing and signing ([MS-NLMP] 3.4)
//! spnego.rs   NTLM wrapped in SPNEGO (RFC 4178)
//! sealed.rs   bodies encrypted by the session's keys ([MS-WSMV] 2.2.9.1)
//! ```
//!
//! Without TLS only sealed bodies are taken, as with `AllowUnencrypted` false, Windows' default (recorded).

mod basic;
mod crypto;
mod ntlm;
mod sealed;
mod spnego;

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Node;
use crate::lab::listener::{Peer, Slot};
use crypto::Session;
use ntlm::{Account, Begun};
use spnego::Progress;

/// How a request stands.
pub(super) enum Admission {
    /// Let in; with what seals bodies, and a last token for the client.
    Granted { sealing: Option<Sealing>, token: Option<String> },
    /// Not (yet).
    Refused(Response<Body>),
}

/// Seals bodies: the login of the connection.
pub(super) struct Sealing(Slot);

/// What is kept for a connection.
enum Login {
    /// A challenge was sent; with the mechanisms' list where SPNEGO wraps it.
    Begun(Begun, Option<Vec<u8>>),
    /// SPNEGO has agreed on NTLM, and its first message is to come.
    Agreed(Vec<u8>),
    /// Logged in, in this epoch of the node.
    Done(Box<Session>, u64),
}

/// Judges a request.
pub(super) fn admit(node: &Node, peer: &Peer, headers: &HeaderMap) -> Admission {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let slot = peer.slot();
    if let Some((scheme, token)) = given.split_once(' ')
        && (scheme.eq_ignore_ascii_case("Negotiate") || scheme.eq_ignore_ascii_case("NTLM"))
    {
        let Ok(token) = STANDARD.decode(token.trim()) else { return Admission::Refused(unauthorized(node, None)) };
        return negotiate(node, slot, scheme, &token);
    }
    if given.is_empty() && is_logged_in(node, slot) {
        return Admission::Granted { sealing: Some(Sealing(slot.clone())), token: None };
    }
    if basic::is_good(node, given) {
        return Admission::Granted { sealing: None, token: None };
    }
    Admission::Refused(unauthorized(node, None))
}

type Kept<'a> = MutexGuard<'a, Option<Box<dyn std::any::Any + Send>>>;

fn kept(slot: &Slot) -> Kept<'_> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_logged_in(node: &Node, slot: &Slot) -> bool {
    let kept = kept(slot);
    let login = kept.as_ref().and_then(|login| login.downcast_ref::<Login>());
    matches!(login, Some(Login::Done(_, epoch)) if *epoch == node.epoch.load(Ordering::SeqCst))
}

/// The next token of a login.
fn negotiate(node: &Node, slot: &Slot, scheme: &str, token: &[u8]) -> Admission {
    let wrapped = spnego::read(token);
    let message = match &wrapped {
        Some(wrapped) => wrapped.message.clone().unwrap_or_default(),
        None => token.to_vec(),
    };
    if ntlm::is_authenticate(&message) {
        return finish(node, slot, scheme, (&message, wrapped.as_ref()));
    }
    if ntlm::is_negotiate(&message) {
        return begin(node, slot, scheme, (&message, wrapped.as_ref()));
    }
    // Another mechanism was the client's first choice: NTLM it is, and both will sign the list.
    match wrapped {
        Some(wrapped) if wrapped.offers_ntlm() => {
            *kept(slot) = Some(Box::new(Login::Agreed(wrapped.mechanisms.unwrap_or_default())));
            let answer = spnego::write(Progress::RequestMic, true, None, None);
            Admission::Refused(unauthorized(node, Some(&answered(scheme, &answer))))
        }
        _ => Admission::Refused(unauthorized(node, None)),
    }
}

fn answered(scheme: &str, token: &[u8]) -> String {
    format!("{scheme} {}", STANDARD.encode(token))
}

fn begin(node: &Node, slot: &Slot, scheme: &str, (message, wrapped): (&[u8], Option<&spnego::Token>)) -> Admission {
    let mut nonce = [0; 8];
    nonce.copy_from_slice(&node.fresh_uuid().as_bytes()[..8]);
    let now = node.parts.world.clock().now_ms();
    let Some(begun) = Begun::new(message, &node.host.name, nonce, now) else {
        return Admission::Refused(unauthorized(node, None));
    };
    let mut kept = kept(slot);
    let agreed = match kept.take().and_then(|login| login.downcast::<Login>().ok()).map(|login| *login) {
        Some(Login::Agreed(list)) => Some(list),
        _ => None,
    };
    let first = agreed.is_none();
    let list = wrapped.and_then(|wrapped| wrapped.mechanisms.clone().or(agreed));
    let answer = match wrapped {
        Some(_) => spnego::write(Progress::Incomplete, first, Some(begun.challenge()), None),
        None => begun.challenge().to_vec(),
    };
    *kept = Some(Box::new(Login::Begun(begun, list)));
    Admission::Refused(unauthorized(node, Some(&answered(scheme, &answer))))
}

fn finish(node: &Node, slot: &Slot, scheme: &str, (message, wrapped): (&[u8], Option<&spnego::Token>)) -> Admission {
    let mut kept = kept(slot);
    let login = kept.take().and_then(|login| login.downcast::<Login>().ok()).map(|login| *login);
    let account = Account {
        user: &node.parts.endpoint.username,
        password: &node.parts.endpoint.password,
        certificate: node.certificate,
    };
    let done = match &login {
        Some(Login::Begun(begun, list)) => {
            begun.finish(message, &account).and_then(|session| sign(session, list.as_ref(), wrapped))
        }
        _ => None,
    };
    let Some((session, signature)) = done else {
        return Admission::Refused(unauthorized(node, None));
    };
    *kept = Some(Box::new(Login::Done(Box::new(session), node.epoch.load(Ordering::SeqCst))));
    let token = wrapped.map(|_| {
        let signature = signature.as_ref().map(<[u8; 16]>::as_slice);
        answered(scheme, &spnego::write(Progress::Completed, false, None, signature))
    });
    Admission::Granted { sealing: Some(Sealing(slot.clone())), token }
}

/// Answers a signature of the mechanisms' list with ours, where there is one. `None`: it is wrong.
fn sign(
    mut session: Session,
    list: Option<&Vec<u8>>,
    wrapped: Option<&spnego::Token>,
) -> Option<(Session, Option<[u8; 16]>)> {
    match (list, wrapped.and_then(|wrapped| wrapped.signature.as_ref())) {
        (Some(list), Some(theirs)) => {
            let ours = session.exchange_signatures(list, theirs)?;
            Some((session, Some(ours)))
        }
        _ => Some((session, None)),
    }
}

/// 401, with the next token of a login or with the ways to log in.
fn unauthorized(node: &Node, token: Option<&str>) -> Response<Body> {
    let mut response = super::handling::status(StatusCode::UNAUTHORIZED);
    let headers = response.headers_mut();
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
        headers.append(header::WWW_AUTHENTICATE, token);
        return response;
    }
    headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate"));
    if node.certificate.is_some() {
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"WSMAN\""));
    }
    response
}

/// The plain body, and the protocol it was sealed with. `None`: it cannot be opened, or is open where it must not be.
pub(super) fn open(
    sealing: Option<&Sealing>,
    tls: bool,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<(Vec<u8>, Option<String>)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(protocol) = sealed::protocol(kind) else { return tls.then(|| (body.to_vec(), None)) };
    let plain = with_session(sealing?, |session| sealed::open(session, body))??;
    Some((plain, Some(protocol)))
}

/// A sealed body and its content type.
pub(super) fn close(sealing: &Sealing, protocol: &str, body: &[u8]) -> (Vec<u8>, String) {
    with_session(sealing, |session| sealed::close(session, protocol, body)).unwrap_or_default()
}

fn with_session<R>(sealing: &Sealing, act: impl FnOnce(&mut Session) -> R) -> Option<R> {
    let mut kept = kept(&sealing.0);
    match kept.as_mut().and_then(|login| login.downcast_mut::<Login>()) {
        Some(Login::Done(session, _)) => Some(act(session)),
        _ => None,
    }
}
