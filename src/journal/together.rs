//! Writes that wait for each other are committed together: a commit takes as long as the disk takes, whether it holds
//! the intent of one step or of all eight that run on an endpoint.
//!
//! ```text
//! write(entry): in the queue --> the connection --> is ours written by now? else: all that wait, in one transaction
//! ```
//!
//! Nobody is answered before the commit that holds its entry, and entries are written in the order they
//! came in. Should a transaction of several fail, each is tried by itself: what is wrong with one entry
//! must not stop the others' steps.

use std::sync::{Mutex, PoisonError};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::entries::Entry;
use super::{Database, JournalError, failed};

/// An entry and who waits for it.
struct Waiting {
    entry: Entry,
    answer: oneshot::Sender<Result<i64, JournalError>>,
}

/// Entries that wait for the connection.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<Waiting>>);

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// Writes an entry; returns once it is on disk, with what the entry gives.
    pub(super) async fn write(
        &self,
        database: &tokio::sync::Mutex<Database>,
        entry: Entry,
    ) -> Result<i64, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.lock().push(Waiting { entry, answer });
        {
            let mut database = database.lock().await;
            // Whoever had the connection before us has taken ours along, unless it came too late for that.
            let waiting = std::mem::take(&mut *self.lock());
            write_all(&mut database, waiting).await;
        }
        // Who took it along may have been cancelled before the commit: then nobody knows, which is no yes.
        answered.await.unwrap_or(Err(JournalError::Cut))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_all(database: &mut Database, waiting: Vec<Waiting>) {
    let (entries, answers): (Vec<Entry>, Vec<_>) = waiting.into_iter().map(|it| (it.entry, it.answer)).unzip();
    match &*entries {
        [] => {}
        [_] => answer(answers, write_in_one(database, &entries).await),
        _ => match write_in_one(database, &entries).await {
            Ok(given) => answer(answers, Ok(given)),
            Err(error) => {
                tracing::debug!(%error, entries = entries.len(), "not written together, each by itself");
                for (entry, waiting) in entries.into_iter().zip(answers) {
                    answer(vec![waiting], write_in_one(database, &[entry]).await);
                }
            }
        },
    }
}

/// One that waits no longer was cancelled, and needs no answer.
fn answer(answers: Vec<oneshot::Sender<Result<i64, JournalError>>>, written: Result<Vec<i64>, JournalError>) {
    match written {
        Ok(given) => answers.into_iter().zip(given).for_each(|(answer, given)| drop(answer.send(Ok(given)))),
        // There is an error for one alone.
        Err(error) => drop(answers.into_iter().next().map(|answer| answer.send(Err(error)))),
    }
}

async fn write_in_one(database: &mut Database, entries: &[Entry]) -> Result<Vec<i64>, JournalError> {
    let Database { connection, kept } = database;
    let version = kept.writing();
    let given = commit(connection, entries).await?;
    for (entry, given) in entries.iter().zip(&given) {
        entry.tell(*given, kept);
    }
    kept.written(version);
    Ok(given)
}

async fn commit(connection: &mut SqliteConnection, entries: &[Entry]) -> Result<Vec<i64>, JournalError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed("write"))?;
    let mut given = Vec::with_capacity(entries.len());
    for entry in entries {
        given.push(entry.write(&mut transaction).await?);
    }
    transaction.commit().await.map_err(failed("write"))?;
    Ok(given)
}
