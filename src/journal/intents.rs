//! Before and after each mutating call; destroys as they are begun; approvals as they are used.
//!
//! ```text
//! intend() --sent--> settle(done | refused)
//!     |
//!     +--(killed, time-out, lost reply)--> open, until the VM was looked at again: close_seen()
//! ```

use jiff::Timestamp;

use super::entries::Entry;
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
        // With graceDays 0 the delete includes the retire, and counts from its first call on like one: were it cut
        // short there, what is left would look like a delete whose retire was counted long ago.
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
        match &self.store {
            Store::Memory(memory) => Ok(memory.intend(intent)),
            Store::File(file) => Ok(IntentId(file.write(Entry::intent(intent)).await?)),
        }
    }

    /// Records how a call ended.
    pub async fn settle(&self, intent: IntentId, outcome: &Outcome, at: Timestamp) -> Result<(), JournalError> {
        match &self.store {
            Store::Memory(memory) => {
                memory.settle(intent);
                Ok(())
            }
            Store::File(file) => file.write(Entry::outcome(intent, outcome, at.as_second())).await.map(drop),
        }
    }

    /// Is the end of the last call for this VM not on record? A later look at the VM may have closed its intent, but
    /// what was seen then may not have been the end.
    pub async fn is_unsettled(&self, endpoint: &EndpointName, key: &VmKey) -> Result<bool, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.is_unsettled(endpoint, key)),
            Store::File(file) => file.lock().await,
        };
        let last: Option<Option<String>> = sqlx::query_scalar(
            "SELECT (SELECT outcome FROM outcomes WHERE intent = intents.id) FROM intents
             WHERE endpoint = ? AND key = ? ORDER BY id DESC LIMIT 1",
        )
        .bind(endpoint.as_str())
        .bind(key.to_string())
        .fetch_optional(&mut database.connection)
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
        let file = match &self.store {
            Store::Memory(memory) => return Ok(memory.close_seen(endpoint, key)),
            Store::File(file) => file,
        };
        let (endpoint, key, how) = (endpoint.clone(), key.clone(), how.to_owned());
        Ok(file.write(Entry::Seen { endpoint, key, how, at: at.as_second() }).await?.unsigned_abs())
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
        let Store::File(file) = &self.store else { return Ok(()) };
        let mut database = file.lock().await;
        for digest in digests {
            sqlx::query("INSERT INTO approvals (at, run, digest, plan) VALUES (?, ?, ?, ?)")
                .bind(at.as_second())
                .bind(run)
                .bind(digest)
                .bind(plan)
                .execute(&mut database.connection)
                .await
                .map_err(failed("record an approval"))?;
        }
        Ok(())
    }
}
