//! The last good revision of the source, so that a `serve` that starts while the source is broken still knows what was
//! wanted.
//!
//! DESIGN: no secret in the journal. A manifest may hold cloud-init user data inline, and that may hold secrets; so the
//! texts are kept only for a revision without inline user data, and otherwise nothing is (an older revision would be a
//! wrong answer, a redacted one would create VMs without their user data). Such an installation that restarts while its
//! source is broken waits for the source; `userDataFile` avoids that, since those files are never copied here.

use jiff::Timestamp;

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
    pub texts: Vec<SourceText>,
}

impl Journal {
    /// Keeps a revision that was read without an error; the same one again costs nothing.
    pub async fn keep_revision(
        &self,
        desired: &Desired,
        texts: &[SourceText],
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let inline = desired.vms.values().any(|vm| matches!(vm.cloud_init, Some(CloudInit::Inline(_))));
        let mut connection = match &self.store {
            Store::Memory(memory) => {
                let texts = texts.to_vec();
                memory.keep_revision((!inline).then(|| GoodRevision { revision: desired.revision.clone(), at, texts }));
                return Ok(());
            }
            Store::File(connection) => connection.lock().await,
        };
        if inline {
            sqlx::query("DELETE FROM good_revision")
                .execute(&mut *connection)
                .await
                .map_err(failed("drop the last good revision"))?;
            return Ok(());
        }
        // A revision without an error is UTF-8 throughout.
        let pairs: Vec<_> = texts.iter().map(|text| (&*text.path, String::from_utf8_lossy(&text.bytes))).collect();
        let text = serde_json::to_string(&pairs)
            .map_err(|source| JournalError::Damaged { what: "texts about to be kept", source: source.into() })?;
        sqlx::query(
            "INSERT INTO good_revision (only, revision, at, texts) VALUES (1, ?, ?, ?)
             ON CONFLICT (only) DO UPDATE
             SET revision = excluded.revision, at = excluded.at, texts = excluded.texts
             WHERE excluded.revision <> good_revision.revision",
        )
        .bind(&desired.revision.0)
        .bind(at.as_second())
        .bind(text)
        .execute(&mut *connection)
        .await
        .map_err(failed("keep the last good revision"))?;
        Ok(())
    }

    /// The last good revision, if one was kept.
    pub async fn good_revision(&self) -> Result<Option<GoodRevision>, JournalError> {
        let mut connection = match &self.store {
            Store::Memory(memory) => return Ok(memory.good_revision()),
            Store::File(connection) => connection.lock().await,
        };
        let row: Option<(String, i64, String)> = sqlx::query_as("SELECT revision, at, texts FROM good_revision")
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("read the last good revision"))?;
        let Some((revision, at, texts)) = row else { return Ok(None) };
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| JournalError::Damaged {
            what: "a last good revision",
            source,
        };
        let pairs: Vec<(String, String)> = serde_json::from_str(&texts).map_err(|error| damaged(error.into()))?;
        let text = |(path, text): (String, String)| SourceText { path: path.into(), bytes: text.into_bytes() };
        Ok(Some(GoodRevision {
            revision: Revision(revision),
            at: Timestamp::from_second(at).map_err(|error| damaged(error.into()))?,
            texts: pairs.into_iter().map(text).collect(),
        }))
    }
}
