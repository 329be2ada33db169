//! Sessions: who is logged in, and what belongs to them (views, property filters, open listings).
//!
//! The cookie is `vmware_soap_session`, as recorded. A session ends by logout, by half an hour without a call, or when
//! the lab is told to end it. Everything a session can pile up is bounded.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::collector::{Collector, Listing};
use super::fault::Fault;
use super::morefs::FIXED;
use super::value::{Data, Ref, Value};

/// Without a call for so long a session is over (vCenter's default).
const IDLE_MS: i64 = 30 * 60 * 1000;
/// The most sessions at a time; the longest idle one goes first.
const MAX_SESSIONS: usize = 500;
/// The most views, collectors or open listings of a session.
const MAX_THINGS: usize = 200;

/// A view.
#[derive(Debug, Clone)]
pub(super) enum View {
    Container { container: Ref, types: Vec<&'static str>, recursive: bool },
    List(Vec<Ref>),
}

/// Somebody who is logged in.
#[derive(Debug)]
pub(super) struct Session {
    pub key: String,
    pub user: Arc<str>,
    pub views: BTreeMap<Arc<str>, View>,
    /// By reference value; the fixed one is there from the start.
    pub collectors: BTreeMap<Arc<str>, Collector>,
    pub listings: BTreeMap<String, Listing>,
    login_at: i64,
    active_at: i64,
    address: String,
    agent: String,
    calls: u64,
    things: u64,
}

impl Session {
    /// A fresh reference value of this session, such as `session[52bb...]5286...`.
    pub fn fresh_id(&mut self) -> Arc<str> {
        self.things += 1;
        format!("session[{}]{}", self.key, numbered(&self.key, self.things)).into()
    }

    pub fn add_view(&mut self, view: View) -> Result<Arc<str>, Fault> {
        room(self.views.len(), "view")?;
        let id = self.fresh_id();
        self.views.insert(id.clone(), view);
        Ok(id)
    }

    pub fn add_collector(&mut self) -> Result<Arc<str>, Fault> {
        room(self.collectors.len(), "collector")?;
        let id = self.fresh_id();
        self.collectors.insert(id.clone(), Collector::default());
        Ok(id)
    }

    /// Keeps the rest of a listing; its token.
    pub fn add_listing(&mut self, listing: Listing) -> String {
        // A client that does not go on leaves its listing behind: the oldest goes, as on a server that forgets tokens.
        if self.listings.len() >= MAX_THINGS {
            self.listings.pop_first();
        }
        self.things += 1;
        let token = numbered(&self.key, self.things);
        self.listings.insert(token.clone(), listing);
        token
    }

    /// `UserSession`, as recorded.
    pub fn data(&self, now: i64) -> Data {
        Data::new("UserSession")
            .with("key", self.key.as_str())
            .with("userName", self.user.clone())
            .with("fullName", self.user.clone())
            .with("loginTime", Value::Time(self.login_at))
            .with("lastActiveTime", Value::Time(self.active_at.max(self.login_at).min(now)))
            .with("locale", "en")
            .with("messageLocale", "en")
            .with("extensionSession", false)
            .with("ipAddress", self.address.as_str())
            .with("userAgent", self.agent.as_str())
            .with("callCount", self.calls)
    }
}

fn room(used: usize, what: &str) -> Result<(), Fault> {
    if used < MAX_THINGS { Ok(()) } else { Err(Fault::new("LimitExceeded", format!("Too many objects: {what}"))) }
}

/// A UUID-shaped text that is not one of a key, told apart by a number.
fn numbered(key: &str, number: u64) -> String {
    let front = key.get(..24).unwrap_or(key);
    format!("{front}{number:012x}")
}

/// All sessions of a front.
#[derive(Debug)]
pub(super) struct Sessions {
    rng: StdRng,
    open: HashMap<String, Session>,
}

/// Who calls from where.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    pub cookie: Option<String>,
    pub address: String,
    pub agent: String,
}

impl Sessions {
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed ^ 0x5e55_1011), open: HashMap::new() }
    }

    /// 40 hex digits, as recorded cookies have.
    fn fresh_cookie(&mut self) -> String {
        let bytes: [u8; 20] = self.rng.random();
        let mut text = String::with_capacity(40);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Opens a session; its cookie.
    pub fn login(&mut self, user: &str, caller: &Caller, now: i64) -> String {
        if self.open.len() >= MAX_SESSIONS {
            let idle = self.open.iter().min_by_key(|(_, session)| session.active_at).map(|(cookie, _)| cookie.clone());
            idle.and_then(|cookie| self.open.remove(&cookie));
        }
        let cookie = self.fresh_cookie();
        let key = uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string();
        let main = FIXED.iter().find(|(kind, _)| *kind == "PropertyCollector").map_or("", |(_, id)| id);
        let session = Session {
            key,
            user: user.into(),
            views: BTreeMap::new(),
            collectors: BTreeMap::from([(main.into(), Collector::default())]),
            listings: BTreeMap::new(),
            login_at: now,
            active_at: now,
            address: caller.address.clone(),
            agent: caller.agent.chars().take(200).collect(),
            calls: 0,
            things: 0,
        };
        self.open.insert(cookie.clone(), session);
        cookie
    }

    /// A cookie for somebody who is not logged in, as a failed login gets one.
    pub fn anonymous(&mut self) -> String {
        self.fresh_cookie()
    }

    /// The caller's session; its idle time starts anew.
    pub fn get(&mut self, caller: &Caller, now: i64) -> Option<&mut Session> {
        let cookie = caller.cookie.as_ref()?;
        if self.open.get(cookie)?.active_at + IDLE_MS < now {
            self.open.remove(cookie);
            return None;
        }
        let session = self.open.get_mut(cookie)?;
        session.active_at = now;
        session.calls += 1;
        Some(session)
    }

    pub fn logout(&mut self, caller: &Caller) -> bool {
        caller.cookie.as_ref().is_some_and(|cookie| self.open.remove(cookie).is_some())
    }

    /// Is there a session with this key, of this user?
    pub fn active(&self, key: &str, user: &str) -> bool {
        self.open.values().any(|session| session.key == key && &*session.user == user)
    }

    /// Ends all of them.
    pub fn end_all(&mut self) {
        self.open.clear();
    }
}
