//! Login, the session and its renewal.
//!
//! The first call logs in. A session that the server has forgotten is renewed once per call, with the password read
//! again, since it may have been rotated. Objects that live in a session (views, collectors) die with it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Arriving, Client, With};
use super::fault::Failure;
use super::soap::{Answer, Moref, Request};
use crate::model::Secret;
use crate::provider::{ErrorKind, password};
use crate::settings::{EndpointSettings, PasswordFrom};
use crate::xml::Element;

/// Before the server has said what it speaks: every version from 6.7 on takes this.
const FIRST_VERSION: &str = "6.7";
/// How long a password that was refused is not tried again.
const REFUSED_FOR: Duration = Duration::from_mins(5);

/// One login, and what the server said of itself.
#[derive(Debug)]
pub(super) struct Session {
    cookie: Option<Secret>,
    /// Names the session for `AuthorizationManager`.
    pub key: String,
    /// Where things are.
    pub content: Content,
}

impl Session {
    fn with(&self) -> With<'_> {
        With { version: &self.content.api_version, cookie: self.cookie.as_ref().map(Secret::expose) }
    }
}

/// Of `ServiceContent`, what is used.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub root_folder: Moref,
    pub property_collector: Moref,
    pub view_manager: Moref,
    pub search_index: Moref,
    pub session_manager: Moref,
    pub authorization_manager: Option<Moref>,
    pub task_manager: Option<Moref>,
    pub virtual_disk_manager: Option<Moref>,
    /// Product and version, for people.
    pub product: String,
    /// The API version it speaks.
    pub api_version: String,
    /// vCenter, not a host alone.
    pub is_vcenter: bool,
}

impl Content {
    pub(super) fn of(returned: &Element<'_>) -> Result<Self, Failure> {
        let object = |name: &str| returned.child(name).and_then(Moref::of);
        let needed = |name: &str| {
            object(name).ok_or_else(|| Failure::Senseless(format!("a server without {name}: is this a vSphere API?")))
        };
        let about =
            |name: &str| returned.path(&["about", name]).map(|fact| fact.trimmed().to_owned()).unwrap_or_default();
        Ok(Self {
            root_folder: needed("rootFolder")?,
            property_collector: needed("propertyCollector")?,
            view_manager: needed("viewManager")?,
            search_index: needed("searchIndex")?,
            session_manager: needed("sessionManager")?,
            authorization_manager: object("authorizationManager"),
            task_manager: object("taskManager"),
            virtual_disk_manager: object("virtualDiskManager"),
            product: about("fullName"),
            api_version: about("apiVersion"),
            is_vcenter: about("apiType") == "VirtualCenter",
        })
    }
}

/// The door to one server: sends calls in a session that it opens and renews.
#[derive(Debug)]
pub(super) struct Door {
    client: Client,
    username: String,
    password: PasswordFrom,
    session: Mutex<Option<Arc<Session>>>,
    /// A password that was refused, the server's words, and when.
    refused: Mutex<Option<(Secret, String, Instant)>>,
    /// Held while a folder is made.
    pub folders: Mutex<()>,
}

impl Door {
    pub(super) fn new(settings: &EndpointSettings) -> Result<Self, Failure> {
        let Some(url) = settings.urls.first() else {
            return Err(Failure::because(ErrorKind::Unsupported, "the settings give it no url"));
        };
        if settings.urls.len() > 1 {
            return Err(Failure::because(ErrorKind::Unsupported, "a vSphere endpoint has one url"));
        }
        Ok(Self {
            client: Client::new(url, &settings.trust)?,
            username: settings.username.clone(),
            password: settings.password.clone(),
            session: Mutex::new(None),
            refused: Mutex::new(None),
            folders: Mutex::default(),
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

    /// Does some work in a session; once more in a new one when the server has forgotten it.
    pub(super) async fn within<T, F, Work>(&self, work: F) -> Result<T, Failure>
    where
        F: Fn(Arc<Session>) -> Work + Send + Sync,
        Work: Future<Output = Result<T, Failure>> + Send,
    {
        let session = self.session().await?;
        match work(Arc::clone(&session)).await {
            Err(failure) if failure.is_not_authenticated() => {
                self.forget(&session).await;
                work(self.session().await?).await
            }
            done => done,
        }
    }

    /// One call in a session that may be renewed; for calls that need nothing made in the session before.
    pub(super) async fn call(&self, request: &Request) -> Result<Answer, Failure> {
        self.within(|session| async move { self.call_in(&session, request).await }).await
    }

    /// One call in this very session.
    pub(super) async fn call_in(&self, session: &Session, request: &Request) -> Result<Answer, Failure> {
        Ok(self.client.send(request, session.with()).await?.0)
    }

    /// The same for an answer that is read while it comes.
    pub(super) async fn open_in(&self, session: &Session, request: &Request) -> Result<Arriving, Failure> {
        self.client.open(request, session.with()).await
    }

    /// Logs out if there is a session; what goes wrong is not worth telling.
    pub(super) async fn close(&self) {
        let Some(session) = self.session.lock().await.take() else { return };
        if let Ok(request) = Request::new("Logout", &session.content.session_manager, |_| {}) {
            let _ = self.call_in(&session, &request).await;
        }
    }

    /// Drops a session that the server has forgotten.
    pub(super) async fn forget(&self, session: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *held = None;
        }
    }

    async fn login(&self) -> Result<Session, Failure> {
        let instance = Moref::new("ServiceInstance", "ServiceInstance");
        let request = Request::new("RetrieveServiceContent", &instance, |_| {})?;
        let (answer, first_cookie) = self.client.send(&request, With { version: FIRST_VERSION, cookie: None }).await?;
        let tree = answer.tree()?;
        let returned =
            tree.child("returnval").ok_or_else(|| Failure::senseless("a server that does not say what it is"))?;
        let content = Content::of(returned)?;
        let password = password::read(&self.password).await.map_err(|why| Failure::because(ErrorKind::Denied, why))?;
        self.check_not_refused(&password).await?;
        let request = Request::new("Login", &content.session_manager, |writer| {
            writer.leaf("userName", &self.username).leaf("password", password.expose());
        })?;
        let with = With { version: &content.api_version, cookie: first_cookie.as_deref() };
        let (answer, cookie) = match self.client.send(&request, with).await {
            Err(Failure::Fault(fault)) if fault.kind == "InvalidLogin" => {
                *self.refused.lock().await = Some((password, fault.to_string(), crate::clock::instant()));
                return Err(Failure::Fault(fault));
            }
            answer => answer?,
        };
        let key = answer.tree()?.path(&["returnval", "key"]).map(|key| key.trimmed().to_owned()).unwrap_or_default();
        tracing::debug!(product = content.product, "logged in");
        Ok(Session { cookie: cookie.or(first_cookie).map(Secret::new), key, content })
    }

    /// The same wrong password again and again would lock the account (vCenter's default: five times in three minutes).
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
