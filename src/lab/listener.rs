//! The listener under every front: TLS with a self-signed certificate whose pin the caller knows, handshakes in their
//! own tasks, and connections that can be cut. WS-Management also listens without TLS, as its messages are sealed.
//!
//! A cut connection fails on the next read or write, before another byte leaves: that is how a reply is lost. HTTP/1.1
//! alone is offered: with it one connection carries one call, so that a cut loses exactly one.

use std::any::Any;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::LabError;
use crate::model::Digest;

/// A client that does not finish its handshake is not waited for longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts connections whose handshake is done.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    /// Empty without TLS.
    pin: String,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    cut: Arc<AtomicBool>,
    slot: Slot,
    stopped: Stopped,
}

#[derive(Debug)]
enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
}

/// What a front keeps for one connection; goes with it.
pub(in crate::lab) type Slot = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// Becomes ready when the lab stops.
struct Stopped(Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopped")
    }
}

/// The connection a request came on.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    cut: Arc<AtomicBool>,
    slot: Slot,
}

impl Peer {
    /// Cuts the connection: nothing more is sent on it.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// What the front keeps for this connection.
    pub(in crate::lab) fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self { address: *stream.remote_addr(), cut: stream.io().cut.clone(), slot: stream.io().slot.clone() }
    }
}

/// A self-signed certificate and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    config: Arc<rustls::ServerConfig>,
    pin: String,
}

impl Certificate {
    /// A fresh one for an address and `localhost`.
    pub fn fresh(address: IpAddr) -> Result<Self, LabError> {
        let (config, pin) = server_config(address)?;
        Ok(Self { config: Arc::new(config), pin })
    }

    /// SHA-256 of its DER, lower-case hex.
    pub fn pin_sha256(&self) -> &str {
        &self.pin
    }
}

impl TlsListener {
    /// Listens on an address with a fresh certificate for it and `localhost`.
    pub async fn bind(address: SocketAddr, stop: &watch::Sender<bool>) -> Result<Self, LabError> {
        Self::bind_as(address, &Certificate::fresh(address.ip())?, stop).await
    }

    /// Listens on an address with a certificate that is there.
    pub async fn bind_as(
        address: SocketAddr,
        certificate: &Certificate,
        stop: &watch::Sender<bool>,
    ) -> Result<Self, LabError> {
        let (tcp, bound) = listen(address).await?;
        let acceptor = TlsAcceptor::from(certificate.config.clone());
        Ok(Self::accepting(tcp, (bound, certificate.pin.clone()), Some(acceptor), stop))
    }

    /// Listens on an address without TLS.
    pub async fn bind_plain(address: SocketAddr, stop: &watch::Sender<bool>) -> Result<Self, LabError> {
        let (tcp, bound) = listen(address).await?;
        Ok(Self::accepting(tcp, (bound, String::new()), None, stop))
    }

    fn accepting(
        tcp: TcpListener,
        (address, pin): (SocketAddr, String),
        acceptor: Option<TlsAcceptor>,
        stop: &watch::Sender<bool>,
    ) -> Self {
        let (done, ready) = mpsc::channel(64);
        let stop = stop.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, peer)) = tcp.accept().await else {
                    // Out of descriptors, most likely: give others the time to close some.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                tokio::spawn(handshake(acceptor.clone(), stream, peer, stop.subscribe(), done.clone()));
            }
        });
        Self { address, pin, ready, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of its certificate's DER, lower-case hex.
    pub fn pin_sha256(&self) -> &str {
        &self.pin
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), LabError> {
    let refuse = |source| LabError::Listen { address: address.to_string(), source };
    let tcp = TcpListener::bind(address).await.map_err(refuse)?;
    let bound = tcp.local_addr().map_err(refuse)?;
    Ok((tcp, bound))
}

async fn handshake(
    acceptor: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stop: watch::Receiver<bool>,
    done: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let _ = stream.set_nodelay(true);
    let stream = match acceptor {
        None => Some(Stream::Plain(stream)),
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(tls)) => Some(Stream::Tls(Box::new(tls))),
            _ => None,
        },
    };
    if let Some(stream) = stream {
        let stopped = Stopped(Box::pin(async move {
            let _ = stop.wait_for(|stopped| *stopped).await;
        }));
        let _ = done.send((Connection { stream, cut: Arc::default(), slot: Slot::default(), stopped }, peer)).await;
    }
}

/// Serves requests until told to stop; then open connections are closed and the port is free.
pub(in crate::lab) async fn serve(listener: TlsListener, router: axum::Router, mut stop: watch::Receiver<bool>) {
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stopped = async move {
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    let _ = axum::serve(listener, service).with_graceful_shutdown(stopped).await;
}

fn server_config(address: IpAddr) -> Result<(rustls::ServerConfig, String), LabError> {
    let refuse = |error: &dyn std::fmt::Display| LabError::Certificate(error.to_string());
    let names = vec!["localhost".to_owned(), address.to_string()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| refuse(&error))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let pin = Digest::of(made.cert.der()).as_str().to_owned();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&error))?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(|error| refuse(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, pin))
}

impl Listener for TlsListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task is gone only when the runtime ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl Connection {
    /// An error once the connection was cut or the lab stopped.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) || self.stopped.0.as_mut().poll(context).is_ready() {
            // A finished future must not be polled again; from here on the flag answers.
            self.cut.store(true, Ordering::SeqCst);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Tls(tls) => Pin::new(tls).poll_flush(context),
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
        }
    }
}
