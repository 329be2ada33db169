//! The last good revision of the source, so that a `serve` that starts while the source is broken still knows what was
//! wanted: the last that a `serve` took up, or that a person applied since while none ran.
//!
//! DESIGN: no secret in the journal. A manifest may hold cloud-init user data inline, and that may hold secrets; so the
//! texts are kept only for a revision without inline user data, and otherwise nothing is (an older revision would be a
//! wrong answer, a redacted one would create VMs without their user data). Such an installation that restarts while its
//! source is broken waits for the source; `userDataFile` avoids that, since those files are never copied here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{Database, Journal, JournalError, Store, failed};
use crate::gate::Who;
use crate::manifest::SourceText;
use crate::model::{CloudInit, Desired, Revision};

/// A revision as it was read: path relative to the source, and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodRevision {
    /// Which.
    pub revision: Revision,
    /// When it was read.
    pub at: Timestamp,
    /// From where; `None`: by a program that did not keep that.
    pub source: Option<String>,
    /// Its files.
    pub texts: Arc<[SourceText]>,
}

/// Where a revision comes from.
#[derive(Debug, Clone)]
pub struct ReadFrom {
    /// The source, by a name that stays when it is gone: its absolute path.
    pub source: String,
    /// When it was read.
    pub at: Timestamp,
    /// On whose word it is good. A person's does not put it in place of another source's.
    pub by: Who,
}

impl ReadFrom {
    fn may_replace(&self, source: Option<&str>) -> bool {
        self.by == Who::Serve || source == Some(&self.source)
    }
}

/// Rows written by one statement: a row by itself costs more than what is in it, and all of them need memory at once.
const TOGETHER: usize = 500;

impl Journal {
    /// Keeps a revision that was read without an error; the same one again costs nothing.
    pub async fn keep_revision(
        &self,
        desired: &Desired,
        texts: &Arc<[SourceText]>,
        from: &ReadFrom,
    ) -> Result<(), JournalError> {
        let inline = desired.vms.values().any(|vm| matches!(vm.cloud_init, Some(CloudInit::Inline(_))));
        let mut database = match &self.store {
            Store::Memory(memory) => {
                if memory.good_revision().is_none_or(|good| from.may_replace(good.source.as_deref())) {
                    let (revision, source, texts) = (desired.revision.clone(), from.source.clone(), Arc::clone(texts));
                    let good = GoodRevision { revision, at: from.at, source: Some(source), texts };
                    memory.keep_revision((!inline).then_some(good));
                }
                return Ok(());
            }
            Store::File(file) => file.lock().await,
        };
        let Database { connection, kept, .. } = &mut *database;
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed("keep the last good revision"))?;
        let before: Option<(String, Option<String>)> = sqlx::query_as("SELECT revision, source FROM good_revision")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed("read the last good revision"))?;
        if before.as_ref().is_some_and(|(_, source)| !from.may_replace(source.as_deref())) {
            return Ok(());
        }
        let is_this = |(revision, source): &(String, Option<String>)| {
            *revision == desired.revision.0 && source.as_ref() == Some(&from.source)
        };
        let is_same = before.as_ref().is_some_and(is_this);
        let known = match kept.texts_of(before.as_ref().map(|(revision, _)| revision.as_str())) {
            // Its name says what is in the files, and not where they stand.
            None if is_same && has_paths(&mut transaction, texts).await? => Some(Arc::clone(texts)),
            known => known,
        };
        if let Some(known) = known.as_ref().filter(|_| is_same) {
            kept.texts_are(desired.revision.clone(), Arc::clone(known));
            return Ok(());
        }
        if inline {
            sqlx::raw_sql("DELETE FROM good_texts; DELETE FROM good_revision")
                .execute(&mut *transaction)
                .await
                .map_err(failed("drop the last good revision"))?;
            return transaction.commit().await.map_err(failed("drop the last good revision"));
        }
        write_revision(&mut transaction, &desired.revision, from).await?;
        write_texts(&mut transaction, known.as_deref(), texts).await?;
        transaction.commit().await.map_err(failed("keep the last good revision"))?;
        kept.texts_are(desired.revision.clone(), Arc::clone(texts));
        Ok(())
    }

    /// The last good revision, if one was kept.
    pub async fn good_revision(&self) -> Result<Option<GoodRevision>, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.good_revision()),
            Store::File(file) => file.lock().await,
        };
        let row: Option<(String, i64, Option<String>)> =
            sqlx::query_as("SELECT revision, at, source FROM good_revision")
                .fetch_optional(&mut database.connection)
                .await
                .map_err(failed("read the last good revision"))?;
        let Some((revision, at, source)) = row else { return Ok(None) };
        let revision = Revision(revision);
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT path, text FROM good_texts ORDER BY path")
            .fetch_all(&mut database.connection)
            .await
            .map_err(failed("read the last good revision"))?;
        let text = |(path, text): (String, String)| SourceText { path: path.into(), bytes: text.into_bytes().into() };
        let texts: Arc<[SourceText]> = rows.into_iter().map(text).collect();
        let at = Timestamp::from_second(at)
            .map_err(|error| JournalError::Damaged { what: "a last good revision", source: error.into() })?;
        database.kept.texts_are(revision.clone(), Arc::clone(&texts));
        Ok(Some(GoodRevision { revision, at, source, texts }))
    }
}

/// Writes which one it is.
async fn write_revision(
    connection: &mut SqliteConnection,
    revision: &Revision,
    from: &ReadFrom,
) -> Result<(), JournalError> {
    sqlx::query(
        "INSERT INTO good_revision (only, revision, at, source) VALUES (1, ?, ?, ?)
         ON CONFLICT (only) DO UPDATE SET revision = excluded.revision, at = excluded.at, source = excluded.source",
    )
    .bind(&revision.0)
    .bind(from.at.as_second())
    .bind(&from.source)
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("keep the last good revision"))
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
