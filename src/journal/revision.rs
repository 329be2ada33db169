//! The last good revision of the source, so that a `serve` that starts while the source is broken still knows what was
//! wanted.
//!
//! DESIGN: no secret in the journal. A manifest may hold cloud-init user data inline, and that may hold secrets; so the
//! texts are kept only for a revision without inline user data, and otherwise nothing is (an older revision would be a
//! wrong answer, a redacted one would create VMs without their user data). Such an installation that restarts while its
//! source is broken waits for the source; `userDataFile` avoids that, since those files are never copied here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{Journal, JournalError, Store, failed};
use crate::manifest::SourceText;
use crate::model::{CloudInit, Desired, Revision};

/// A revision as it was read: path relative to the source, and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodRevision {
    /// Which.
    pub revision: Revision,
    /// When it was read.
    pub at: Timestamp,
    /// Its files.
    pub texts: Arc<[SourceText]>,
}

/// Rows written by one statement: a row by itself costs more than what is in it, and all of them need memory at once.
const TOGETHER: usize = 500;

impl Journal {
    /// Keeps a revision that was read without an error; the same one again costs nothing.
    pub async fn keep_revision(
        &self,
        desired: &Desired,
        texts: &Arc<[SourceText]>,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let inline = desired.vms.values().any(|vm| matches!(vm.cloud_init, Some(CloudInit::Inline(_))));
        let mut database = match &self.store {
            Store::Memory(memory) => {
                let texts = Arc::clone(texts);
                memory.keep_revision((!inline).then(|| GoodRevision { revision: desired.revision.clone(), at, texts }));
                return Ok(());
            }
            Store::File(file) => file.lock().await,
        };
        if inline {
            drop(database.kept.texts());
            return sqlx::raw_sql("BEGIN IMMEDIATE; DELETE FROM good_texts; DELETE FROM good_revision; COMMIT")
                .execute(&mut database.connection)
                .await
                .map(drop)
                .map_err(failed("drop the last good revision"));
        }
        let before = database.kept.texts();
        let mut transaction =
            database.connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed("keep the last good revision"))?;
        let written = sqlx::query(
            "INSERT INTO good_revision (only, revision, at) VALUES (1, ?, ?)
             ON CONFLICT (only) DO UPDATE SET revision = excluded.revision, at = excluded.at
             WHERE excluded.revision <> good_revision.revision",
        )
        .bind(&desired.revision.0)
        .bind(at.as_second())
        .execute(&mut *transaction)
        .await
        .map_err(failed("keep the last good revision"))?;
        let before = match before {
            // The revision that is there already: its name says what is in the files, and not where they stand.
            None if written.rows_affected() == 0 && has_paths(&mut transaction, texts).await? => {
                Some(Arc::clone(texts))
            }
            before => before,
        };
        write_texts(&mut transaction, before.as_deref(), texts).await?;
        transaction.commit().await.map_err(failed("keep the last good revision"))?;
        database.kept.texts_are(Arc::clone(texts));
        Ok(())
    }

    /// The last good revision, if one was kept.
    pub async fn good_revision(&self) -> Result<Option<GoodRevision>, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.good_revision()),
            Store::File(file) => file.lock().await,
        };
        let row: Option<(String, i64)> = sqlx::query_as("SELECT revision, at FROM good_revision")
            .fetch_optional(&mut database.connection)
            .await
            .map_err(failed("read the last good revision"))?;
        let Some((revision, at)) = row else { return Ok(None) };
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT path, text FROM good_texts ORDER BY path")
            .fetch_all(&mut database.connection)
            .await
            .map_err(failed("read the last good revision"))?;
        let text = |(path, text): (String, String)| SourceText { path: path.into(), bytes: text.into_bytes().into() };
        let texts: Arc<[SourceText]> = rows.into_iter().map(text).collect();
        let at = Timestamp::from_second(at)
            .map_err(|error| JournalError::Damaged { what: "a last good revision", source: error.into() })?;
        database.kept.texts_are(Arc::clone(&texts));
        Ok(Some(GoodRevision { revision: Revision(revision), at, texts }))
    }
}

/// Are texts kept under these paths and no others?
async fn has_paths(connection: &mut SqliteConnection, texts: &[SourceText]) -> Result<bool, JournalError> {
    let kept: String = sqlx::query_scalar("SELECT json_group_array(path ORDER BY path) FROM good_texts")
        .fetch_one(connection)
        .await
        .map_err(failed("read the last good revision"))?;
    let kept: Vec<String> = serde_json::from_str(&kept)
        .map_err(|error| JournalError::Damaged { what: "a last good revision", source: error.into() })?;
    Ok(kept.iter().map(String::as_str).eq(by_path(texts).into_keys()))
}

/// Writes the texts that are others than before: an edit of one file among thousands is one row.
async fn write_texts(
    connection: &mut SqliteConnection,
    before: Option<&[SourceText]>,
    texts: &[SourceText],
) -> Result<(), JournalError> {
    if before.is_some_and(|before| std::ptr::eq(before, texts)) {
        return Ok(());
    }
    if before.is_none() {
        sqlx::query("DELETE FROM good_texts")
            .execute(&mut *connection)
            .await
            .map_err(failed("keep the last good revision"))?;
    }
    let (before, now) = (by_path(before.unwrap_or_default()), by_path(texts));
    for path in before.keys().filter(|path| !now.contains_key(**path)) {
        sqlx::query("DELETE FROM good_texts WHERE path = ?")
            .bind(*path)
            .execute(&mut *connection)
            .await
            .map_err(failed("keep the last good revision"))?;
    }
    // A revision without an error is UTF-8 throughout.
    let new = now.iter().filter(|(path, bytes)| before.get(**path) != Some(*bytes));
    let new: Vec<_> = new.map(|(path, bytes)| (*path, String::from_utf8_lossy(bytes))).collect();
    for some in new.chunks(TOGETHER) {
        let rows = serde_json::to_string(some)
            .map_err(|source| JournalError::Damaged { what: "texts about to be kept", source: source.into() })?;
        sqlx::query(
            "INSERT OR REPLACE INTO good_texts (path, text)
             SELECT value ->> '$[0]', value ->> '$[1]' FROM json_each(?)",
        )
        .bind(rows)
        .execute(&mut *connection)
        .await
        .map_err(failed("keep the last good revision"))?;
    }
    Ok(())
}

fn by_path(texts: &[SourceText]) -> BTreeMap<&str, &[u8]> {
    texts.iter().map(|text| (&*text.path, &*text.bytes)).collect()
}
