//! Before and after each mutating call; destroys as they are begun; approvals as they are used.
//!
//! ```text
//! intend() --sent--> settle(done | refused)
//!     |
//!     +--(killed, time-out, lost reply)--> open, until the VM was looked at again: close_seen()
//! ```

use jiff::Timestamp;
use sqlx::Connection;

use super::{Journal, JournalError, Store, failed};
use crate::model::{EndpointName, VmKey};
use crate::plan::{Action, Because, Destroyed, Step};
use crate::provider::{Call, IntentId, Outcome};

/// One mutating call that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// The run it belongs to, as in the logs.
    pub run: &'a str,
    /// The step it belongs to.
    pub step: &'a Step,
    /// The call.
    pub call: &'a Call,
    /// When.
    pub at: Timestamp,
}

impl Intent<'_> {
    /// The destroy that this call begins, if it does.
    ///
    /// Counted before it is sent, not after: a kill -9 in between must not give the day's allowance back.
    pub(super) fn destroy(&self) -> Option<Destroyed> {
        let own_id = self.step.own_id.clone()?;
        let action = self.step.action;
        if !matches!(action, Action::Retire | Action::Delete) {
            return None;
        }
        // The VM goes away, for the shrink rule, with the destroying call.
        let deleted = action == Action::Delete && self.call.destroys;
        let because = |kind| self.step.reasons.iter().any(|reason| reason.because == kind);
        let after_retire = action == Action::Delete && because(Because::GraceOver);
        // With graceDays 0 the delete includes the retire, and counts from its first call on like one: were it cut short
        // there, what is left would look like a delete whose retire was counted long ago.
        if after_retire && !deleted {
            return None;
        }
        Some(Destroyed {
            at: self.at,
            tier: self.step.tier.clone(),
            endpoint: self.step.endpoint.clone(),
            own_id,
            key: self.step.key.clone(),
            after_retire,
            deleted,
        })
    }
}

impl Journal {
    /// Records an intent; returns once it is on disk.
    pub async fn intend(&self, intent: &Intent<'_>) -> Result<IntentId, JournalError> {
        let mut connection = match &self.store {
            Store::Memory(memory) => return Ok(memory.intend(intent)),
            Store::File(connection) => connection.lock().await,
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed("record an intent"))?;
        let Intent { run, step, call, at } = intent;
        let id = sqlx::query_scalar(
            "INSERT INTO intents (run, endpoint, key, identity, action, operation, call, target, detail, at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(*run)
        .bind(step.endpoint.as_str())
        .bind(step.key.to_string())
        .bind(step.identity.to_string())
        .bind(word(step.action))
        .bind(i64::try_from(call.operation).unwrap_or(i64::MAX))
        .bind(call.name)
        .bind(&call.target)
        .bind(&call.detail)
        .bind(at.as_second())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed("record an intent"))?;
        if let Some(destroyed) = intent.destroy() {
            count_destroy(&mut transaction, &destroyed).await?;
        }
        transaction.commit().await.map_err(failed("record an intent"))?;
        Ok(IntentId(id))
    }

    /// Records how a call ended.
    pub async fn settle(&self, intent: IntentId, outcome: &Outcome, at: Timestamp) -> Result<(), JournalError> {
        let mut connection = match &self.store {
            Store::Memory(memory) => {
                memory.settle(intent);
                return Ok(());
            }
            Store::File(connection) => connection.lock().await,
        };
        let (word, detail) = match outcome {
            Outcome::Done => ("done", ""),
            Outcome::Refused(why) => ("refused", why.as_str()),
        };
        sqlx::query("INSERT OR IGNORE INTO outcomes (intent, outcome, detail, at) VALUES (?, ?, ?, ?)")
            .bind(intent.0)
            .bind(word)
            .bind(detail)
            .bind(at.as_second())
            .execute(&mut *connection)
            .await
            .map_err(failed("record an outcome"))?;
        Ok(())
    }

    /// Is the end of the last call for this VM not on record? A later look at the VM may have closed its intent, but what
    /// was seen then may not have been the end.
    pub async fn is_unsettled(&self, endpoint: &EndpointName, key: &VmKey) -> Result<bool, JournalError> {
        let mut connection = match &self.store {
            Store::Memory(memory) => return Ok(memory.is_unsettled(endpoint, key)),
            Store::File(connection) => connection.lock().await,
        };
        let last: Option<Option<String>> = sqlx::query_scalar(
            "SELECT (SELECT outcome FROM outcomes WHERE intent = intents.id) FROM intents
             WHERE endpoint = ? AND key = ? ORDER BY id DESC LIMIT 1",
        )
        .bind(endpoint.as_str())
        .bind(key.to_string())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("read the last intent"))?;
        Ok(last.is_some_and(|outcome| outcome.is_none_or(|outcome| outcome == "seen")))
    }

    /// Closes the open intents of one VM: a later look at it showed what became of them.
    pub async fn close_seen(
        &self,
        endpoint: &EndpointName,
        key: &VmKey,
        how: &str,
        at: Timestamp,
    ) -> Result<u64, JournalError> {
        let mut connection = match &self.store {
            Store::Memory(memory) => return Ok(memory.close_seen(endpoint, key)),
            Store::File(connection) => connection.lock().await,
        };
        let closed = sqlx::query(
            "INSERT INTO outcomes (intent, outcome, detail, at)
             SELECT id, 'seen', ?, ? FROM intents
             WHERE endpoint = ? AND key = ? AND id NOT IN (SELECT intent FROM outcomes)",
        )
        .bind(how)
        .bind(at.as_second())
        .bind(endpoint.as_str())
        .bind(key.to_string())
        .execute(&mut *connection)
        .await
        .map_err(failed("close open intents"))?;
        Ok(closed.rows_affected())
    }

    /// Records that a person's approvals let a plan go ahead.
    pub async fn record_approvals<'a>(
        &self,
        run: &str,
        digests: impl IntoIterator<Item = &'a String>,
        plan: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        // Approvals are kept for people to read, and nobody reads a journal in memory.
        let Store::File(connection) = &self.store else { return Ok(()) };
        let mut connection = connection.lock().await;
        for digest in digests {
            sqlx::query("INSERT INTO approvals (at, run, digest, plan) VALUES (?, ?, ?, ?)")
                .bind(at.as_second())
                .bind(run)
                .bind(digest)
                .bind(plan)
                .execute(&mut *connection)
                .await
                .map_err(failed("record an approval"))?;
        }
        Ok(())
    }
}

/// Adds one destroy, once per VM and kind in any 24 hours: a retire that fails and is tried again is one destroy, and so is
/// a delete with the retire that it includes.
async fn count_destroy(connection: &mut sqlx::SqliteConnection, destroyed: &Destroyed) -> Result<(), JournalError> {
    let at = destroyed.at.as_second();
    if destroyed.deleted {
        let begun =
            sqlx::query("UPDATE destroys SET deleted = 1 WHERE own_id = ? AND endpoint = ? AND NOT deleted AND at > ?")
                .bind(destroyed.own_id.as_str())
                .bind(destroyed.endpoint.as_str())
                .bind(at - super::memory::DAY)
                .execute(&mut *connection)
                .await
                .map_err(failed("record a destroy"))?;
        if begun.rows_affected() > 0 {
            return Ok(());
        }
    }
    sqlx::query(
        "INSERT INTO destroys (at, tier, endpoint, own_id, key, after_retire, deleted)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
         WHERE NOT EXISTS (SELECT 1 FROM destroys WHERE own_id = ?4 AND endpoint = ?3 AND deleted = ?7 AND at > ?8)",
    )
    .bind(at)
    .bind(destroyed.tier.as_str())
    .bind(destroyed.endpoint.as_str())
    .bind(destroyed.own_id.as_str())
    .bind(destroyed.key.to_string())
    .bind(destroyed.after_retire)
    .bind(destroyed.deleted)
    .bind(at - super::memory::DAY)
    .execute(connection)
    .await
    .map_err(failed("record a destroy"))?;
    Ok(())
}

/// An enum variant as its JSON says it.
fn word(action: Action) -> String {
    match serde_json::to_value(action) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{action:?}"),
    }
}
