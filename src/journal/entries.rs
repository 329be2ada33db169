//! What a step writes into the journal, as values that can wait for the connection, and the statement of each.
//!
//! Comes from `intents.rs` and `memory.rs`; `together.rs` says when it is written, and in which transaction.

use sqlx::SqliteConnection;

use super::intents::Intent;
use super::kept::Kept;
use super::memory::DAY;
use super::{JournalError, failed};
use crate::model::{EndpointName, VmKey};
use crate::plan::{Action, Destroyed, LastVm};
use crate::provider::{IntentId, Outcome};

/// One of them.
#[derive(Debug)]
pub(super) enum Entry {
    /// A call is about to be sent. Gives its id.
    Intent(Box<Noted>),
    /// A call ended.
    Outcome {
        /// Which.
        intent: IntentId,
        /// How, and why.
        word: &'static str,
        detail: String,
        /// When, in seconds.
        at: i64,
    },
    /// A VM was looked at, which settles its open intents. Gives how many.
    Seen {
        endpoint: EndpointName,
        key: VmKey,
        /// What the look said.
        how: String,
        at: i64,
    },
    /// A VM of ours as it was just read. Gives during which inventory.
    Made {
        endpoint: EndpointName,
        vm: LastVm,
        /// The same as JSON.
        text: String,
    },
}

/// An intent, as the table has it.
#[derive(Debug)]
pub(super) struct Noted {
    run: String,
    endpoint: EndpointName,
    key: String,
    identity: String,
    action: String,
    operation: i64,
    call: &'static str,
    target: String,
    detail: String,
    at: i64,
    destroy: Option<Destroyed>,
}

impl Entry {
    pub(super) fn intent(intent: &Intent<'_>) -> Self {
        let Intent { run, step, call, at } = intent;
        Self::Intent(Box::new(Noted {
            run: (*run).to_owned(),
            endpoint: step.endpoint.clone(),
            key: step.key.to_string(),
            identity: step.identity.to_string(),
            action: word(step.action),
            operation: i64::try_from(call.operation).unwrap_or(i64::MAX),
            call: call.name,
            target: call.target.clone(),
            detail: call.detail.clone(),
            at: at.as_second(),
            destroy: intent.destroy(),
        }))
    }

    pub(super) fn outcome(intent: IntentId, outcome: &Outcome, at: i64) -> Self {
        let (word, detail) = match outcome {
            Outcome::Done => ("done", String::new()),
            Outcome::Refused(why) => ("refused", why.clone()),
        };
        Self::Outcome { intent, word, detail, at }
    }

    /// Writes it; what it gives says the variant.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<i64, JournalError> {
        match self {
            Self::Intent(noted) => noted.write(connection).await,
            Self::Outcome { intent, word, detail, at } => {
                sqlx::query("INSERT OR IGNORE INTO outcomes (intent, outcome, detail, at) VALUES (?, ?, ?, ?)")
                    .bind(intent.0)
                    .bind(*word)
                    .bind(detail)
                    .bind(at)
                    .execute(connection)
                    .await
                    .map_err(failed("record an outcome"))?;
                Ok(0)
            }
            Self::Seen { endpoint, key, how, at } => {
                let closed = sqlx::query(
                    "INSERT INTO outcomes (intent, outcome, detail, at)
                     SELECT id, 'seen', ?, ? FROM intents
                     WHERE endpoint = ? AND key = ? AND id NOT IN (SELECT intent FROM outcomes)",
                )
                .bind(how)
                .bind(at)
                .bind(endpoint.as_str())
                .bind(key.to_string())
                .execute(connection)
                .await
                .map_err(failed("close open intents"))?;
                Ok(i64::try_from(closed.rows_affected()).unwrap_or(i64::MAX))
            }
            Self::Made { endpoint, vm, text } => sqlx::query_scalar(
                "INSERT OR REPLACE INTO witnessed (endpoint, own_id, generation, vm)
                 VALUES (?1, ?2, coalesce((SELECT generation FROM generations WHERE endpoint = ?1), 0), ?3)
                 RETURNING generation",
            )
            .bind(endpoint.as_str())
            .bind(vm.id.as_str())
            .bind(text)
            .fetch_one(connection)
            .await
            .map_err(failed("keep what a step made")),
        }
    }

    /// Tells the copy in memory what was written; `given` is what writing it gave.
    pub(super) fn tell(&self, given: i64, kept: &mut Kept) {
        if let Self::Made { endpoint, vm, .. } = self {
            kept.witness(endpoint, given.unsigned_abs(), vm.clone());
        }
    }
}

impl Noted {
    async fn write(&self, connection: &mut SqliteConnection) -> Result<i64, JournalError> {
        let id = sqlx::query_scalar(
            "INSERT INTO intents (run, endpoint, key, identity, action, operation, call, target, detail, at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(&self.run)
        .bind(self.endpoint.as_str())
        .bind(&self.key)
        .bind(&self.identity)
        .bind(&self.action)
        .bind(self.operation)
        .bind(self.call)
        .bind(&self.target)
        .bind(&self.detail)
        .bind(self.at)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("record an intent"))?;
        if let Some(destroyed) = &self.destroy {
            count_destroy(connection, destroyed).await?;
        }
        Ok(id)
    }
}

/// Adds one destroy, once per VM and kind in any 24 hours: a retire that fails and is tried again is one destroy, and
/// so is a delete with the retire that it includes.
async fn count_destroy(connection: &mut sqlx::SqliteConnection, destroyed: &Destroyed) -> Result<(), JournalError> {
    let at = destroyed.at.as_second();
    if destroyed.deleted {
        let begun =
            sqlx::query("UPDATE destroys SET deleted = 1 WHERE own_id = ? AND endpoint = ? AND NOT deleted AND at > ?")
                .bind(destroyed.own_id.as_str())
                .bind(destroyed.endpoint.as_str())
                .bind(at - DAY)
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
    .bind(at - DAY)
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
