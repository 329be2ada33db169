//! Login, the session and its renewal, at whichever member of the pool is the master now.
//!
//! The first call logs in. A session that the server has forgotten, or whose server is no longer the master, is renewed
//! once per call, with the password read again, since it may have been rotated. The pool that answers must be the one
//! that answered before: another one behind the same address has other VMs, and would make all of ours look gone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::Client;
use super::fault::Failure;
use super::pool::Members;
use super::rpc::{Answer, Ref, Request};
use crate::model::Secret;
use crate::provider::{ErrorKind, password};
use crate::settings::{EndpointSettings, PasswordFrom};

/// Tells our sessions from other clients' of the same account: at most 500 sessions are kept for each (XAPI's
/// `session.login_with_password`, parameter `originator`).
const ORIGINATOR: &str = concat!("tierwright/", env!("CARGO_PKG_VERSION"));
/// The API version we were written against.
const VERSION: &str = "1.0";
/// How long a password that was refused is not tried again.
const REFUSED_FOR: Duration = Duration::from_mins(5);

/// One login.
#[derive(Debug)]
pub(super) struct Session {
    /// The master.
    pub member: Url,
    reference: Secret,
    /// The pool's uuid.
    pub pool: Arc<str>,
    /// Product and version, for people.
    pub product: String,
}

/// The door to one pool: sends calls in a session that it opens and renews.
#[derive(Debug)]
pub(super) struct Door {
    client: Client,
    username: String,
    password: PasswordFrom,
    members: Lock<Members>,
    session: Mutex<Option<Arc<Session>>>,
    /// A password that was refused, the server's words, and when.
    refused: Mutex<Option<(Secret, String, Instant)>>,
    /// Tasks that somebody here waits for.
    followed: Lock<BTreeSet<Ref>>,
}

#[derive(Deserialize)]
struct Pool {
    uuid: Arc<str>,
    master: Ref,
}

impl Door {
    pub(super) fn new(settings: &EndpointSettings) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(&settings.trust)?,
            username: settings.username.clone(),
            password: settings.password.clone(),
            members: Lock::new(Members::new(&settings.urls)?),
            session: Mutex::default(),
            refused: Mutex::default(),
            followed: Lock::default(),
        })
    }

    /// The session, opened if need be. Many callers at once make one login.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Failure> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.login().await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does some work in a session; once more in a new one when nothing was done because the server has forgotten it,
    /// is not the master any more, or cannot be reached.
    pub(super) async fn within<T, F, Work>(&self, work: F) -> Result<T, Failure>
    where
        F: Fn(Arc<Session>) -> Work + Send + Sync,
        Work: Future<Output = Result<T, Failure>> + Send,
    {
        let session = self.session().await?;
        match work(Arc::clone(&session)).await {
            Err(failure) if failure.is_session_over() || matches!(failure, Failure::NotSent(_)) => {
                self.forget(&session).await;
                work(self.session().await?).await
            }
            done => done,
        }
    }

    /// One call in a session that may be renewed.
    pub(super) async fn call(&self, request: &Request) -> Result<Answer, Failure> {
        self.within(|session| async move { self.call_in(&session, request).await }).await
    }

    /// One call in this very session.
    pub(super) async fn call_in(&self, session: &Session, request: &Request) -> Result<Answer, Failure> {
        self.client.send(&session.member, request, Some(session.reference.expose())).await
    }

    /// Writes the bytes of a disk. The host that reaches its storage may be another member: it is sent there once.
    pub(super) async fn upload(&self, vdi: &Ref, content: &[u8]) -> Result<(), Failure> {
        self.within(|session| async move {
            let mut url = session.member.clone();
            url.set_path("/import_raw_vdi");
            url.query_pairs_mut()
                .append_pair("session_id", session.reference.expose())
                .append_pair("vdi", vdi.as_str())
                .append_pair("format", "raw");
            let Some(location) = self.client.upload(url, content).await? else { return Ok(()) };
            let elsewhere = Url::parse(&location).ok().filter(|url| url.scheme() == "https" && self.is_member(url));
            let Some(elsewhere) = elsewhere else {
                return Err(Failure::senseless("the upload was sent to a host that is no member of the pool"));
            };
            match self.client.upload(elsewhere, content).await? {
                None => Ok(()),
                Some(_) => Err(Failure::senseless("the upload was sent on and on")),
            }
        })
        .await
    }

    /// Logs out if there is a session; what goes wrong is not worth telling.
    pub(super) async fn close(&self) {
        let Some(session) = self.session.lock().await.take() else { return };
        let _ = self.call_in(&session, &Request::new("session.logout")).await;
    }

    /// Drops a session that is of no use any more.
    pub(super) async fn forget(&self, session: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *held = None;
        }
    }

    /// Notes the addresses of the pool's hosts, for when the ones of the settings do not answer.
    pub(super) fn learn<'a>(&self, addresses: impl Iterator<Item = &'a str>) {
        self.members().learn(addresses);
    }

    /// What asks the server about this very session, which stands in for itself as parameter.
    pub(super) async fn about_session(&self, method: &'static str) -> Result<Answer, Failure> {
        self.within(|session| async move {
            let request = Request::new(method).with(session.reference.expose());
            self.call_in(&session, &request).await
        })
        .await
    }

    /// Notes a task that somebody here waits for, so that nobody else does.
    pub(super) fn follow(&self, task: &Ref) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).insert(task.clone());
    }

    pub(super) fn unfollow(&self, task: &Ref) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
    }

    pub(super) fn is_followed(&self, task: &Ref) -> bool {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).contains(task)
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_member(&self, url: &Url) -> bool {
        self.members().includes(url)
    }

    /// Looks for the master and logs in there.
    async fn login(&self) -> Result<Session, Failure> {
        let password = password::read(&self.password).await.map_err(|why| Failure::because(ErrorKind::Denied, why))?;
        self.check_not_refused(&password).await?;
        let mut search = self.members().search();
        while let Some(member) = search.next() {
            match self.login_at(&member, &password).await {
                Ok(session) => {
                    self.members().found(&member, &session.pool);
                    tracing::debug!(product = session.product, "logged in");
                    return Ok(session);
                }
                Err(Failure::Fault(fault)) if fault.code == "SESSION_AUTHENTICATION_FAILED" => {
                    *self.refused.lock().await = Some((password, fault.to_string(), crate::clock::instant()));
                    return Err(Failure::Fault(fault));
                }
                Err(failure) => search.refused(member, failure),
            }
        }
        Err(search.nobody())
    }

    async fn login_at(&self, member: &Url, password: &Secret) -> Result<Session, Failure> {
        let login = Request::new("session.login_with_password")
            .with(self.username.as_str())
            .with(password.expose())
            .with(VERSION)
            .with(ORIGINATOR);
        let reference = Secret::new(self.client.send(member, &login, None).await?.text()?);
        let session = reference.expose();
        let answer = self.client.send(member, &Request::new("pool.get_all_records"), Some(session)).await?;
        let pools: BTreeMap<Ref, Pool> = answer.read()?;
        let Some(pool) = pools.into_values().next() else {
            return Err(Failure::senseless("a server without a pool: is this a Xen API?"));
        };
        let before = self.members().pool.clone().filter(|before| **before != *pool.uuid);
        if let Some(before) = before {
            let _ = self.client.send(member, &Request::new("session.logout"), Some(session)).await;
            let why = format!("another pool ({}) answers there than before ({before})", pool.uuid);
            return Err(Failure::because(ErrorKind::Unexpected, why));
        }
        let request = Request::new("host.get_software_version").on(&pool.master);
        let versions: BTreeMap<String, String> = self.client.send(member, &request, Some(session)).await?.read()?;
        Ok(Session { member: member.clone(), reference, pool: pool.uuid, product: product(&versions) })
    }

    /// The same wrong password again and again would only fill the server's log.
    async fn check_not_refused(&self, password: &Secret) -> Result<(), Failure> {
        match &*self.refused.lock().await {
            Some((refused, words, at)) if refused == password && at.elapsed() < REFUSED_FOR => {
                let why = format!("{words}; the same password is not tried again for some minutes");
                Err(Failure::because(ErrorKind::Denied, why))
            }
            _ => Ok(()),
        }
    }
}

/// `XCP-ng 8.3.0`, from a host's `software_version`.
fn product(versions: &BTreeMap<String, String>) -> String {
    let word = |key: &str| versions.get(key).map(String::as_str).filter(|word| !word.is_empty());
    let name = word("product_brand").unwrap_or("XAPI");
    let version = word("product_version_text_short").or_else(|| word("product_version")).or_else(|| word("xapi"));
    format!("{name} {}", version.unwrap_or_default()).trim().to_owned()
}
