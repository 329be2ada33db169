//! The transport: one JSON-RPC call out, one answer back, over HTTPS to one member of a pool; and the upload of a disk.
//!
//! Tells apart what could not be sent (nothing happened), what was refused (nothing happened) and what was sent without
//! an answer (unknown), since the first two may be tried again and the third must be looked into. HTTP/1.1 only.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, LOCATION};

use super::fault::{Failure, Fault};
use super::rpc::{Answer, Request};
use crate::provider::ErrorKind;
use crate::settings::Trust;
use crate::tls;

/// Longest silence on an open connection. More than [`super::task::WAIT_SECONDS`], which the server spends silent.
const READ_TIMEOUT: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Idle connections are dropped before a server or proxy does, whose close might cross a call on its way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A snapshot of 10,000 VMs is 25 MB (measured on a real server); a hundred thousand still fit.
const MOST_BYTES: usize = 512 << 20;

/// Speaks to any member.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
}

impl Client {
    /// Makes no connection yet.
    pub(super) fn new(trust: &Trust) -> Result<Self, Failure> {
        let config = tls::client_config(trust)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .no_proxy() // the environment is the settings' business
            .redirect(reqwest::redirect::Policy::none()) // a session goes to nobody else
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_max_idle_per_host(16)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("tierwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::Because(ErrorKind::Unexpected, "no HTTP client can be made".to_owned(), Some(Box::new(error)))
            })?;
        Ok(Self { http })
    }

    /// Sends a call to a member.
    pub(super) async fn send(&self, member: &Url, request: &Request, session: Option<&str>) -> Result<Answer, Failure> {
        tracing::trace!(method = request.method, host = member.host_str(), "xapi");
        let mut url = member.clone();
        url.set_path("/jsonrpc");
        // Exactly this type: with a charset the server takes the body for XML-RPC.
        let call = self.http.post(url).header(CONTENT_TYPE, "application/json").body(request.body(session));
        let response = call.send().await.map_err(sort)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure::Lost(format!("HTTP status {status} instead of an answer"), None));
        }
        Answer::judge(&read(response).await?)
    }

    /// Writes the bytes of a disk: `PUT /import_raw_vdi`, with a length, since the server takes no chunks. Gives where
    /// to go instead when another host has to do it.
    pub(super) async fn upload(&self, url: Url, content: &[u8]) -> Result<Option<String>, Failure> {
        let response = self.http.put(url).body(content.to_vec()).send().await.map_err(sort)?;
        let status = response.status();
        if status.is_success() {
            return Ok(None);
        }
        match status.as_u16() {
            401 => return Err(Failure::Fault(Fault::new("SESSION_INVALID".to_owned(), Vec::new()))),
            403 => return Err(Failure::because(ErrorKind::Denied, "the account may not upload a disk")),
            _ => {}
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match location.filter(|_| status.is_redirection()) {
            Some(location) => Ok(Some(location)),
            None => Err(Failure::because(ErrorKind::Unexpected, format!("the upload was answered with HTTP {status}"))),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::Lost("the answer broke off".to_owned(), Some(Box::new(error.without_url()))))?
    {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Failure::senseless("an answer larger than any that makes sense"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn sort(error: reqwest::Error) -> Failure {
    if let Some(mismatch) = tls::certificate_mismatch(&error) {
        Failure::Certificate(mismatch)
    } else if error.is_connect() || error.is_builder() {
        Failure::NotSent(error)
    } else {
        Failure::Lost("no answer".to_owned(), Some(Box::new(error.without_url())))
    }
}
