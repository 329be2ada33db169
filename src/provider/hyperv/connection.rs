//! One connection to a host, logged in once and used by one message at a time.
//!
//! NTLM authenticates the TCP connection ([MS-NTHT] 1.3), so a session is a connection: hyper's own, over tokio or TLS,
//! never one of a pool that may choose. Over plain HTTP every message is sealed; an answer that is not is refused.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::binding;
use super::fault::Failure;
use super::login::{self, Login};
use super::sealed;
use crate::model::Secret;
use crate::provider::ErrorKind;
use crate::settings::{Auth, Trust};
use crate::tls;
use crate::xml::Limits;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest wait for one answer: more than the host's own limit, after which it says "ask again".
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
const SOAP: &str = "application/soap+xml;charset=UTF-8";
/// Round trips of a handshake: NTLM needs two, Kerberos one or two.
const STEPS: usize = 4;

/// Where a host listens.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// As in the settings, with `/wsman` when no path was given.
    pub url: String,
    host: String,
    port: u16,
    authority: String,
    path: String,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Door {
    pub(super) fn new(url: &str, trust: &Trust) -> Result<Self, Failure> {
        let mut parsed = reqwest::Url::parse(url)
            .map_err(|error| Failure::because(ErrorKind::Unexpected, format!("the url in the settings: {error}")))?;
        if parsed.path() == "/" {
            parsed.set_path("/wsman");
        }
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let sealed = parsed.scheme() == "http";
        let port = parsed.port_or_known_default().unwrap_or(if sealed { 5985 } else { 5986 });
        let tls = if sealed {
            None
        } else {
            let mut config = tls::client_config(trust)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        };
        let authority = format!("{}:{port}", parsed.host_str().unwrap_or_default());
        Ok(Self { url: parsed.to_string(), host, port, authority, path: parsed.path().to_owned(), tls })
    }

    /// Is what is sent protected by TLS?
    pub(super) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// An account, with the password as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account<'a> {
    pub auth: Auth,
    pub username: &'a str,
    pub password: &'a Secret,
}

/// A connection that is logged in.
pub(super) struct Connection {
    door: Door,
    sender: SendRequest<Full<Bytes>>,
    login: Option<Box<dyn Login>>,
    basic: Option<Secret>,
}

/// A body on its way out.
struct Outgoing {
    content_type: &'static str,
    body: Vec<u8>,
}

impl Connection {
    /// Connects and logs in.
    pub(super) async fn open(door: &Door, account: Account<'_>) -> Result<Self, Failure> {
        let (sender, binding) = connect(door).await?;
        if account.auth == Auth::Basic && !door.is_tls() {
            return Err(Failure::because(ErrorKind::Denied, "Basic would send the password in the open"));
        }
        let login = login::login(account.auth, account.username, account.password, binding)?;
        let basic = login.is_none().then(|| login::basic(account.username, account.password));
        let mut connection = Self { door: door.clone(), sender, login, basic };
        connection.log_in().await?;
        Ok(connection)
    }

    /// Closed by the host since it was last used?
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Tokens back and forth, each with an empty body, until the host lets us in.
    async fn log_in(&mut self) -> Result<(), Failure> {
        let Some(mut login) = self.login.take() else { return Ok(()) };
        let mut answer: Option<Vec<u8>> = None;
        for _ in 0..STEPS {
            let token = login.step(answer.as_deref())?.ok_or_else(refused)?;
            let header = Secret::new(format!("{} {}", login.scheme(), BASE64.encode(token)));
            let empty = Outgoing { content_type: SOAP, body: Vec::new() };
            let response = self.post(empty, Some(&header)).await?;
            let (status, token) = (response.status(), token_of(&response, login.scheme()));
            // Read to its end, or the connection cannot be used again.
            read(response).await?;
            match (status, token) {
                (StatusCode::UNAUTHORIZED, Some(token)) if !token.is_empty() => answer = Some(token),
                (StatusCode::UNAUTHORIZED, _) => return Err(refused()),
                (status, _) if status.is_success() => {
                    self.login = Some(login);
                    return Ok(());
                }
                (status, _) => {
                    let what = format!("HTTP status {status} during the login: is this WinRM's URL?");
                    return Err(Failure::Senseless(what));
                }
            }
        }
        Err(Failure::senseless("a login that does not end"))
    }

    /// Sends a message; gives status and body of the answer. A refused login says that nothing was done.
    pub(super) async fn exchange(&mut self, envelope: &str) -> Result<Bytes, Failure> {
        let outgoing = self.seal(envelope)?;
        let basic = self.basic.clone();
        let response = self.post(outgoing, basic.as_ref()).await?;
        let status = response.status();
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let body = read(response).await?;
        match status {
            StatusCode::UNAUTHORIZED if self.basic.is_some() => Err(refused()),
            // The host has forgotten this connection's login: it looked at nothing.
            StatusCode::UNAUTHORIZED => Err(Failure::NotSent("the host has ended the session".to_owned(), None)),
            // A fault comes with status 500, some with 400; other bodies come from something in front of the host.
            StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_REQUEST => {
                self.unseal(&kind, body, status)
            }
            status => Err(Failure::lost(format!("HTTP status {status} instead of an answer"))),
        }
    }

    fn seal(&mut self, envelope: &str) -> Result<Outgoing, Failure> {
        match &mut self.login {
            Some(login) if !self.door.is_tls() => {
                let sealed = login.seal(envelope.as_bytes())?;
                Ok(Outgoing { content_type: sealed::CONTENT_TYPE, body: sealed::frame(&sealed, envelope.len()) })
            }
            _ => Ok(Outgoing { content_type: SOAP, body: envelope.as_bytes().to_vec() }),
        }
    }

    fn unseal(&mut self, kind: &str, body: Bytes, status: StatusCode) -> Result<Bytes, Failure> {
        match &mut self.login {
            Some(login) if sealed::is_sealed(kind) => Ok(login.open(sealed::open(&body)?)?.into()),
            // Over plain HTTP only the seal says that it was the host who answered.
            _ if !self.door.is_tls() => {
                Err(Failure::lost(format!("HTTP status {status} and an answer that is not sealed")))
            }
            _ if body.is_empty() => Err(Failure::lost(format!("HTTP status {status} and an empty answer"))),
            _ => Ok(body),
        }
    }

    async fn post(
        &mut self,
        outgoing: Outgoing,
        authorization: Option<&Secret>,
    ) -> Result<Response<hyper::body::Incoming>, Failure> {
        let setup = |error: hyper::http::Error| {
            Failure::Setup(ErrorKind::Unexpected, "no HTTP request can be made".to_owned(), Some(Box::new(error)))
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.door.path)
            .header(HOST, &self.door.authority)
            .header(USER_AGENT, concat!("tierwright/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, outgoing.content_type);
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization.expose()).map_err(|error| setup(error.into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(outgoing.body.into())).map_err(setup)?;
        self.sender.ready().await.map_err(|error| not_sent("the host closed the connection", error))?;
        match timeout(ANSWER_TIMEOUT, self.sender.send_request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_canceled() => Err(not_sent("the host closed the connection", error)),
            Ok(Err(error)) => Err(Failure::Lost("no answer".to_owned(), Some(Box::new(error)))),
            Err(_) => Err(Failure::lost(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }
}

fn refused() -> Failure {
    Failure::Refused(
        "the login was refused: user name or password is wrong, or the account may not use WinRM".to_owned(),
    )
}

fn not_sent(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    match tls::certificate_mismatch(&error) {
        Some(mismatch) => Failure::Certificate(mismatch),
        None => Failure::NotSent(what.to_owned(), Some(Box::new(error))),
    }
}

/// Opens the connection; gives the channel binding where there is TLS.
async fn connect(door: &Door) -> Result<(SendRequest<Full<Bytes>>, Option<Vec<u8>>), Failure> {
    let slow = |_| Failure::NotSent(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()), None);
    let dial = TcpStream::connect((door.host.as_str(), door.port));
    let stream =
        timeout(CONNECT_TIMEOUT, dial).await.map_err(slow)?.map_err(|error| not_sent("no connection", error))?;
    // Small messages back and forth: waiting to fill packets would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(config) = &door.tls else { return Ok((handshake(stream).await?, None)) };
    let name = ServerName::try_from(door.host.clone())
        .map_err(|_| Failure::because(ErrorKind::Unexpected, "the url names no host"))?;
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let stream = timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(slow)?
        .map_err(|error| not_sent("no TLS connection", error))?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let binding = leaf.map(binding::end_point);
    Ok((handshake(stream).await?, binding))
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| not_sent("no connection", error))?;
    // It ends when the sender is dropped or the host closes; who waits for an answer is told by the sender.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection ended");
        }
    });
    Ok(sender)
}

/// The token in `WWW-Authenticate: SCHEME TOKEN`.
fn token_of<B>(response: &Response<B>, scheme: &str) -> Option<Vec<u8>> {
    response.headers().get_all(WWW_AUTHENTICATE).iter().find_map(|value| {
        let (found, token) = value.to_str().ok()?.trim().split_once(' ')?;
        found.eq_ignore_ascii_case(scheme).then_some(())?;
        BASE64.decode(token.trim()).ok()
    })
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Bytes, Failure> {
    let broke = |error: hyper::Error| Failure::Lost("the answer broke off".to_owned(), Some(Box::new(error)));
    let mut incoming = response.into_body();
    let mut body = BytesMut::new();
    let reading = async {
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(broke)?.into_data() else { continue };
            if body.len() + data.len() > Limits::ANSWER.bytes {
                return Err(Failure::senseless("an answer larger than any that makes sense"));
            }
            body.extend_from_slice(&data);
        }
        Ok(())
    };
    match timeout(ANSWER_TIMEOUT, reading).await {
        Ok(outcome) => outcome.map(|()| body.freeze()),
        Err(_) => Err(Failure::lost("the answer stopped in the middle")),
    }
}
