//! Sessions: who is logged in to the pool.
//!
//! A session belongs to the pool, not to a member; a new master knows none of them. It ends by logout, after 24 hours
//! without a call, or as the oldest of more than 500 of one originator (the facts recorded for xapi).

use std::collections::BTreeMap;

/// Without a call for so long a session is over.
const IDLE_MS: i64 = 24 * 60 * 60 * 1000;
/// The most sessions of one originator.
const MOST: usize = 500;

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub user: String,
    pub originator: String,
    /// The local superuser, whom roles do not bind.
    pub root: bool,
    pub login_at: i64,
    pub active_at: i64,
}

/// All sessions of a pool.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: BTreeMap<u32, Session>,
    last: u32,
}

impl Sessions {
    /// Opens a session; its number.
    pub fn login(&mut self, user: &str, originator: &str, now: i64) -> u32 {
        let same = |session: &Session| session.originator == originator;
        if self.open.values().filter(|session| same(session)).count() >= MOST {
            let oldest = self.open.iter().filter(|(_, session)| same(session)).min_by_key(|(_, one)| one.active_at);
            if let Some(number) = oldest.map(|(number, _)| *number) {
                self.open.remove(&number);
            }
        }
        self.last += 1;
        let (user, originator, root) = (user.to_owned(), originator.to_owned(), user == "root");
        self.open.insert(self.last, Session { user, originator, root, login_at: now, active_at: now });
        self.last
    }

    /// A session by number, if it is open; its idle time starts anew.
    pub fn touch(&mut self, number: u32, now: i64) -> bool {
        let Some(session) = self.open.get_mut(&number) else { return false };
        if session.active_at + IDLE_MS < now {
            self.open.remove(&number);
            return false;
        }
        session.active_at = now;
        true
    }

    pub fn get(&self, number: u32) -> Option<&Session> {
        self.open.get(&number)
    }

    pub fn logout(&mut self, number: u32) {
        self.open.remove(&number);
    }

    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Ends all of them.
    pub fn end_all(&mut self) {
        self.open.clear();
    }
}
