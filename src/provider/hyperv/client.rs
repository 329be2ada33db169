//! One host's WS-Management: messages on a few connections, enumerations page by page, methods and their jobs.
//!
//! Connections are opened as needed and kept; each is used by one caller at a time. A connection that the host closed
//! before it took anything is replaced once, silently. What was sent and not answered is told as lost, never sent again
//! here: only the caller knows whether it may be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::cim::{Instance, Namespace, Parameter, Reference};
use super::connection::{Account, Connection, Door};
use super::fault::{ASK_AGAIN, Failure, Fault};
use super::wsman::{self, Answer, MAX_ENVELOPE, Message, Output};
use crate::model::Secret;
use crate::provider::{ErrorKind, password};
use crate::settings::{Auth, EndpointSettings, PasswordFrom};

/// Connections to one host at a time; WinRM allows 300 by default, and several programs may share them.
const CONNECTIONS: usize = 6;
/// Items asked for at a time. A host fills envelopes only as far as they go; some refuse instead,
/// and are then asked for fewer.
const ITEMS: u32 = 1000;
/// How often in a row a host may say "ask again" before that is taken for an answer that does not come.
const PATIENCE: u32 = 5;
/// How long a password that was refused is not tried again: domains lock accounts after a few attempts.
const REFUSED_FOR: Duration = Duration::from_mins(5);

/// One host.
pub(super) struct Client {
    door: Door,
    auth: Auth,
    username: String,
    password: PasswordFrom,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
    /// A password that was refused, the words, and when.
    refused: Mutex<Option<(Secret, String, Instant)>>,
    /// Services by class: each host has one of a kind, under the host's own name.
    services: Mutex<BTreeMap<&'static str, Reference>>,
    calls: AtomicU64,
    bytes: AtomicU64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.door.url).finish_non_exhaustive()
    }
}

/// A method to be called.
#[derive(Debug, Clone)]
pub(super) struct Invoke {
    pub target: Reference,
    pub method: &'static str,
    pub parameters: Vec<(&'static str, Parameter)>,
}

impl Client {
    /// Makes no connection yet.
    pub(super) fn new(url: &str, settings: &EndpointSettings) -> Result<Self, Failure> {
        Ok(Self {
            door: Door::new(url, &settings.trust)?,
            auth: settings.auth,
            username: settings.username.clone(),
            password: settings.password.clone(),
            idle: Mutex::new(Vec::new()),
            room: Semaphore::new(CONNECTIONS),
            refused: Mutex::new(None),
            services: Mutex::default(),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.door.url
    }

    /// Calls made and bytes received so far.
    pub(super) fn traffic(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Product and version, of an account that is let in.
    pub(super) async fn identify(&self) -> Result<String, Failure> {
        self.exchange(&wsman::identify()).await?.product()
    }

    /// Sends one message.
    pub(super) async fn send(&self, message: &Message) -> Result<Answer, Failure> {
        self.exchange(&message.envelope(&self.door.url)?).await
    }

    /// A read: "ask again" is answered by asking again.
    async fn ask(&self, message: &Message) -> Result<Answer, Failure> {
        let mut asked = 0;
        loop {
            match self.send(message).await {
                Err(Failure::Fault(fault)) if fault.code == ASK_AGAIN && asked < PATIENCE => asked += 1,
                outcome => return outcome,
            }
        }
    }

    /// One instance.
    pub(super) async fn get<T>(&self, of: Reference, read: impl FnOnce(&Instance<'_>) -> T) -> Result<T, Failure> {
        self.ask(&Message::get(of)).await?.instance(read)
    }

    /// All instances that a query names, page by page.
    pub(super) async fn enumerate<T>(
        &self,
        namespace: Namespace,
        wql: &str,
        mut read: impl FnMut(&Instance<'_>) -> Option<T> + Send,
    ) -> Result<Vec<T>, Failure>
    where
        T: Send,
    {
        let mut size = ITEMS;
        loop {
            match Box::pin(self.pages(namespace, wql, size, &mut read)).await {
                Err(Failure::Fault(fault)) if fault.is_too_large() && size > 1 => size /= 10,
                outcome => return outcome,
            }
        }
    }

    async fn pages<T: Send>(
        &self,
        namespace: Namespace,
        wql: &str,
        size: u32,
        read: &mut (impl FnMut(&Instance<'_>) -> Option<T> + Send),
    ) -> Result<Vec<T>, Failure> {
        let mut page = self.ask(&Message::enumerate(namespace, wql, size)?).await?.page(read)?;
        let mut all = std::mem::take(&mut page.items);
        while let Some(context) = page.context.take() {
            page = self.ask(&Message::pull(namespace, &context, size)?).await?.page(read)?;
            all.append(&mut page.items);
        }
        Ok(all)
    }

    /// The host's only instance of a service, with all its keys, asked once.
    pub(super) async fn service(&self, class: &'static str) -> Result<Reference, Failure> {
        const KEYS: [&str; 4] = ["CreationClassName", "Name", "SystemCreationClassName", "SystemName"];
        let mut services = self.services.lock().await;
        if let Some(service) = services.get(class) {
            return Ok(service.clone());
        }
        let query = format!("SELECT {} FROM {class}", KEYS.join(", "));
        let service = |instance: &Instance<'_>| {
            let selectors = KEYS.iter().map(|key| Some(((*key).to_owned(), instance.text(key)?.to_owned())));
            Some(Reference { uri: Namespace::Virtualization.uri(class), selectors: selectors.collect::<Option<_>>()? })
        };
        let found = self.enumerate(Namespace::Virtualization, &query, service).await?.pop();
        let why = "the account does not see the services of Hyper-V: it is no Hyper-V administrator there";
        let service = found.ok_or_else(|| Failure::because(ErrorKind::Denied, why))?;
        services.insert(class, service.clone());
        Ok(service)
    }

    /// Calls a method. "Ask again" means that its outcome is not known.
    pub(super) async fn invoke(&self, invoke: &Invoke) -> Result<Output, Failure> {
        let message = Message::invoke(invoke.target.clone(), invoke.method, &invoke.parameters)?;
        match self.send(&message).await {
            Ok(answer) => answer.output(),
            Err(Failure::Fault(Fault { code: ASK_AGAIN, words, .. })) => Err(Failure::lost(words)),
            Err(failure) => Err(failure),
        }
    }

    /// Closes what is open.
    pub(super) async fn close(&self) {
        self.idle.lock().await.clear();
    }

    async fn exchange(&self, envelope: &str) -> Result<Answer, Failure> {
        if envelope.len() > MAX_ENVELOPE {
            let why =
                format!("a message of {} bytes, more than the {MAX_ENVELOPE} that any host takes", envelope.len());
            return Err(Failure::because(ErrorKind::Unsupported, why));
        }
        // Never closed, so this only waits.
        let _room = self.room.acquire().await;
        let (mut connection, used) = self.connection().await?;
        let outcome = match Box::pin(connection.exchange(envelope)).await {
            Err(Failure::NotSent(..)) if used => {
                // The others were idle for as long, and are as closed.
                self.idle.lock().await.clear();
                connection = Box::pin(self.open()).await?;
                Box::pin(connection.exchange(envelope)).await
            }
            outcome => outcome,
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(body) => {
                self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                self.idle.lock().await.push(connection);
                Answer::judge(body)
            }
            // Whatever went wrong, nothing more is sent on this connection.
            Err(failure) => Err(self.remember_refusal(failure).await),
        }
    }

    /// A connection to be used, and whether it was used before.
    async fn connection(&self) -> Result<(Connection, bool), Failure> {
        {
            let mut idle = self.idle.lock().await;
            while let Some(connection) = idle.pop() {
                if !connection.is_closed() {
                    return Ok((connection, true));
                }
            }
        }
        Ok((Box::pin(self.open()).await?, false))
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let password = password::read(&self.password).await.map_err(|why| Failure::because(ErrorKind::Denied, why))?;
        // Held while logging in: many callers at once with a wrong password would lock the account.
        let refused = self.refused.lock().await;
        if let Some((before, words, at)) = &*refused
            && *before == password
            && at.elapsed() < REFUSED_FOR
        {
            let why = format!("{words}; the same password is not tried again for some minutes");
            return Err(Failure::because(ErrorKind::Denied, why));
        }
        let account = Account { auth: self.auth, username: &self.username, password: &password };
        let outcome = Connection::open(&self.door, account).await;
        drop(refused);
        match outcome {
            Ok(connection) => Ok(connection),
            Err(failure) => Err(self.remember_refusal(failure).await),
        }
    }

    async fn remember_refusal(&self, failure: Failure) -> Failure {
        if let Failure::Refused(words) = &failure
            && let Ok(password) = password::read(&self.password).await
        {
            *self.refused.lock().await = Some((password, words.clone(), crate::clock::instant()));
        }
        failure
    }
}
