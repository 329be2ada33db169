//! The transport: one SOAP message out, one answer back, over HTTPS to one server.
//!
//! Tells apart what could not be sent (nothing happened), what was refused (nothing happened) and what was sent without
//! an answer (unknown), since the first two may be tried again and the third must be looked into. HTTP/1.1 only.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};

use super::fault::Failure;
use super::soap::{Answer, Request};
use crate::provider::ErrorKind;
use crate::settings::Trust;
use crate::tls;
use crate::xml::Limits;

/// Longest silence on an open connection. More than [`super::task::WAIT_SECONDS`], which the server spends silent.
const READ_TIMEOUT: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Idle connections are dropped before a server or proxy does, whose close might cross a call on its way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// One server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
}

/// What a call is sent with.
#[derive(Debug, Clone, Copy)]
pub(super) struct With<'a> {
    /// The API version the server speaks, for its `SOAPAction`.
    pub version: &'a str,
    /// The session, once there is one.
    pub cookie: Option<&'a str>,
}

impl Client {
    /// Makes no connection yet.
    pub(super) fn new(url: &str, trust: &Trust) -> Result<Self, Failure> {
        let config = tls::client_config(trust)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .no_proxy() // the environment is the settings' business
            .redirect(reqwest::redirect::Policy::none()) // a cookie goes to nobody else
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_max_idle_per_host(16)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("tierwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::Setup(ErrorKind::Unexpected, "no HTTP client can be made".to_owned(), Some(Box::new(error)))
            })?;
        Ok(Self { http, url: endpoint_url(url)? })
    }

    /// Sends a call; gives the answer, and the session cookie when the server sets one.
    pub(super) async fn send(&self, request: &Request, with: With<'_>) -> Result<(Answer, Option<String>), Failure> {
        let response = self.begin(request, with).await?;
        let cookie = session_cookie(response.headers());
        Ok((whole(response).await?, cookie))
    }

    /// Sends a call; gives the answer while it comes. A fault comes whole, and is the failure.
    pub(super) async fn open(&self, request: &Request, with: With<'_>) -> Result<Arriving, Failure> {
        let response = self.begin(request, with).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Arriving { response, taken: 0 });
        }
        whole(response).await.and_then(|_| Err(lost(status)))
    }

    async fn begin(&self, request: &Request, with: With<'_>) -> Result<reqwest::Response, Failure> {
        tracing::trace!(method = request.method, "vim25");
        let mut call = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", format!("urn:vim25/{}", with.version))
            .body(request.body());
        if let Some(cookie) = with.cookie {
            call = call.header(COOKIE, cookie);
        }
        call.send().await.map_err(sort)
    }
}

/// An answer on its way.
pub(super) struct Arriving {
    response: reqwest::Response,
    /// Bytes that have come.
    taken: usize,
}

impl Arriving {
    /// What comes next, as soon as it is so many bytes; less at the end, and `None` after it.
    pub(super) async fn batch(&mut self, bytes: usize) -> Result<Option<Vec<Bytes>>, Failure> {
        let mut batch = Vec::new();
        let enough = self.taken.saturating_add(bytes);
        while self.taken < enough
            && let Some(chunk) = self
                .response
                .chunk()
                .await
                .map_err(|error| Failure::Lost("the answer broke off".to_owned(), Some(Box::new(error))))?
        {
            self.taken = self.taken.saturating_add(chunk.len());
            if self.taken > Limits::ANSWER.bytes {
                return Err(Failure::senseless("an answer larger than any that makes sense"));
            }
            batch.push(chunk);
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }
}

/// The whole answer, or the fault in it.
async fn whole(response: reqwest::Response) -> Result<Answer, Failure> {
    let status = response.status();
    let mut arriving = Arriving { response, taken: 0 };
    let mut body = Vec::new();
    while let Some(batch) = arriving.batch(usize::MAX).await? {
        for chunk in batch {
            body.extend_from_slice(&chunk);
        }
    }
    // A SOAP fault comes with status 500; anything else that is not 200 comes from something in front of the server.
    if !status.is_success() && status.as_u16() != 500 {
        return Err(lost(status));
    }
    Answer::judge(body).map_err(|failure| match failure {
        Failure::Senseless(_) if !status.is_success() => lost(status),
        failure => failure,
    })
}

fn lost(status: reqwest::StatusCode) -> Failure {
    Failure::Lost(format!("HTTP status {status} instead of an answer"), None)
}

/// The address with `/sdk` when no path was given.
fn endpoint_url(text: &str) -> Result<String, Failure> {
    let mut url = reqwest::Url::parse(text)
        .map_err(|error| Failure::because(ErrorKind::Unexpected, format!("the url in the settings: {error}")))?;
    if url.path() == "/" {
        url.set_path("/sdk");
    }
    Ok(url.into())
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

/// `vmware_soap_session="…"`, as it is to be sent back. Older servers quote the value; it goes back as it came.
fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find(|value| value.starts_with("vmware_soap_session="))
        .and_then(|value| value.split(';').next())
        .map(|pair| pair.trim().to_owned())
}
