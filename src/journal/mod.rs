//! The durable record in stateDir (SQLite): intents and outcomes, last inventories, destroys.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::plan::History;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// stateDir cannot be made or used.
    #[error("state directory {path}: {what}", path = path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused something.
    #[error("the journal: {what}")]
    Database {
        /// What was tried.
        what: &'static str,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// Written by a newer tierwright.
    #[error("the journal has schema version {found}, this program knows up to {known}: use the newer program")]
    Newer {
        /// In the file.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process holds a lock.
    #[error("{0}")]
    Locked(String),
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    state_dir: PathBuf,
}

impl Journal {
    /// Opens or makes it.
    #[expect(clippy::unused_async, reason = "becomes a database call")]
    pub async fn open(state_dir: &Path) -> Result<Self, JournalError> {
        Ok(Self { state_dir: state_dir.to_owned() })
    }

    /// Where it is.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// What a plan needs of the past.
    #[expect(clippy::unused_async, reason = "becomes a database call")]
    pub async fn history(&self, now: Timestamp) -> Result<History, JournalError> {
        let _ = now;
        todo!()
    }
}
