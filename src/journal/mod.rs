//! The durable record in stateDir: what was about to be sent, how it ended, what was there, what was destroyed.
//!
//! One SQLite file, `journal.db`, in WAL mode with `synchronous=FULL`: an intent that was recorded survives a power
//! failure. Several processes may hold it open (`serve`, and a `plan` beside it); each statement or transaction stands
//! on its own. It is a memory, not an authority: what it remembers may forbid, never permit (DESIGN section 6).
//!
//! No secret gets in here: a [`crate::provider::Call`] holds none by contract, inventories are kept as ids, names and
//! what our mark says, and a revision's texts only when no manifest holds user data inline (see `revision.rs`).
//!
//! ```text
//! schema.rs   tables and their versions (PRAGMA user_version)
//! intents.rs  before and after each mutating call; destroys; approvals used
//! memory.rs   last complete inventories, generations, owned counts -> plan::History
//! kept.rs     the last inventories in memory, as the file has them
//! entries.rs  what steps write     together.rs  several of them in one commit
//! revision.rs the last good revision, for a serve that starts while the source is broken
//! locks.rs    serve.lock and change.lock
//! volatile.rs the same record in memory, for simulations
//! ```

mod entries;
mod intents;
mod kept;
mod locks;
mod memory;
mod revision;
mod schema;
mod together;
mod volatile;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, MutexGuard};

use entries::Entry;
use kept::{Inventories, Kept};
use together::Queue;

pub use intents::Intent;
pub use locks::{CHANGE_WAIT, Lock};
pub use revision::{GoodRevision, ReadFrom};
pub use volatile::Volatile;

/// How long a statement waits for another process's transaction. Transactions here take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two attempts to open a file that another process is just making.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// stateDir cannot be made or used.
    #[error("cannot {what} {path}", path = path.display())]
    StateDir {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused something.
    #[error("cannot {what} in the journal")]
    Database {
        /// What was tried.
        what: &'static str,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// Something in it cannot be understood: it was changed by hand, or damaged.
    #[error("the journal holds {what} that cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a newer tierwright.
    #[error("the journal has schema version {found} and this program knows up to {known}: use the newer program")]
    Newer {
        /// In the file.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A write that was made along with another one's was cut short with it.
    #[error("the write to the journal was cut short")]
    Cut,
    /// Another process holds a lock.
    #[error("{0}")]
    Locked(String),
}

/// Turns an SQLite error into ours, saying what was tried.
fn failed(what: &'static str) -> impl FnOnce(sqlx::Error) -> JournalError {
    move |source| JournalError::Database { what, source }
}

/// Told just before a commit, on the database's own thread.
pub type CommitWatch = Box<dyn FnMut() + Send>;

/// The open journal. One connection: writes are short, and SQLite lets one through at a time anyway.
#[derive(Debug)]
pub struct Journal {
    state_dir: PathBuf,
    store: Store,
}

/// Where the record is kept.
#[derive(Debug)]
enum Store {
    File(Box<File>),
    Memory(Volatile),
}

/// The file, and the writes that wait for it.
#[derive(Debug)]
struct File {
    database: Mutex<Database>,
    queue: Queue,
}

impl File {
    async fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().await
    }

    async fn write(&self, entry: Entry) -> Result<i64, JournalError> {
        self.queue.write(&self.database, entry).await
    }
}

/// The connection, and what is known of the file without asking it.
#[derive(Debug)]
struct Database {
    connection: SqliteConnection,
    kept: Kept,
}

impl Database {
    /// The last inventories, with what was witnessed since.
    async fn last_inventories(&mut self) -> Result<&Inventories, JournalError> {
        self.kept.read(&mut self.connection).await?;
        Ok(self.kept.merged())
    }
}

impl Journal {
    /// Opens the journal of a state directory, making both when they are missing, and brings its schema up to date.
    pub async fn open(state_dir: &Path) -> Result<Self, JournalError> {
        Self::open_with(state_dir, None).await
    }

    /// The same, and `watch` is told just before each commit, that of the schema included. SQLite itself tells, so no
    /// write can be left out. The commit waits for it: the crash tests kill the program there.
    pub async fn open_watched(state_dir: &Path, watch: CommitWatch) -> Result<Self, JournalError> {
        Self::open_with(state_dir, Some(watch)).await
    }

    async fn open_with(state_dir: &Path, watch: Option<CommitWatch>) -> Result<Self, JournalError> {
        make_private(state_dir)?;
        let path = state_dir.join("journal.db");
        make_private_file(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = connect(&options).await.map_err(failed("open the database"))?;
        if let Some(mut watch) = watch {
            let mut handle = connection.lock_handle().await.map_err(failed("watch the database"))?;
            handle.set_commit_hook(move || {
                watch();
                true
            });
        }
        schema::bring_up_to_date(&mut connection).await?;
        let database = Mutex::new(Database { connection, kept: Kept::default() });
        let file = File { database, queue: Queue::default() };
        Ok(Self { state_dir: state_dir.to_owned(), store: Store::File(Box::new(file)) })
    }

    /// A journal in memory; locks and the STOP file are in `state_dir` still.
    pub fn in_memory(state_dir: &Path, memory: &Volatile) -> Self {
        Self { state_dir: state_dir.to_owned(), store: Store::Memory(memory.clone()) }
    }

    /// Where it is.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Closes the file; what was recorded is safe without this.
    pub async fn close(self) {
        let Store::File(file) = self.store else { return };
        if let Err(error) = file.database.into_inner().connection.close().await {
            tracing::debug!(%error, "closing the journal");
        }
    }
}

/// Opens the file. While another process turns a new one into a WAL, SQLite answers "locked" at once and waits for
/// nothing; so the waiting is done here.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let give_up = crate::clock::instant() + BUSY_TIMEOUT;
    loop {
        match options.connect().await {
            Err(error) if is_locked(&error) && crate::clock::instant() < give_up => {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// `SQLITE_BUSY`, whatever its extension.
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Makes a directory that only its owner reads; one that exists keeps its rights.
fn make_private(directory: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| JournalError::StateDir {
        what: "make the state directory",
        path: directory.to_owned(),
        source,
    })
}

/// Makes a file that only its owner reads, if it is not there; SQLite gives its WAL the same rights.
fn make_private_file(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| JournalError::StateDir { what: "make the file", path: path.to_owned(), source })
}
