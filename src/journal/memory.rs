//! What was there: generations, the last complete inventory of each endpoint, owned VMs per tier over time; read back
//! as a [`History`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::entries::Entry;
use super::{Database, Journal, JournalError, Store, failed, kept};
use crate::model::{EndpointName, OwnId, TierName, VmKey};
use crate::plan::memory::owned_per_tier;
use crate::plan::{Destroyed, History, LastInventory, LastVm, OpenIntent};

/// The sliding window of the limits, in seconds.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// How long settled intents, approvals and destroys are kept for people, in seconds.
pub(super) const KEPT: i64 = 90 * DAY;

impl Journal {
    /// Counts one more inventory of an endpoint and says which it is. Call it before asking: what is witnessed from
    /// then on may not be in the answer.
    pub async fn next_generation(&self, endpoint: &EndpointName) -> Result<u64, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.next_generation(endpoint)),
            Store::File(file) => file.lock().await,
        };
        let generation: i64 = sqlx::query_scalar(
            "INSERT INTO generations (endpoint, generation) VALUES (?, 1)
             ON CONFLICT (endpoint) DO UPDATE SET generation = generation + 1 RETURNING generation",
        )
        .bind(endpoint.as_str())
        .fetch_one(&mut database.connection)
        .await
        .map_err(failed("count an inventory"))?;
        Ok(generation.unsigned_abs())
    }

    /// The last complete inventory of every endpoint.
    pub async fn last_inventories(&self) -> Result<BTreeMap<EndpointName, LastInventory>, JournalError> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.last_inventories()),
            Store::File(file) => Ok(file.lock().await.last_inventories().await?.clone()),
        }
    }

    /// How often each endpoint was changed, by whichever process: every intent and every outcome counts. An inventory
    /// is newer than the last change when the count has not moved since before it was asked for.
    pub async fn changes(&self) -> Result<BTreeMap<EndpointName, u64>, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.changes()),
            Store::File(file) => file.lock().await,
        };
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT endpoint, count FROM changes")
            .fetch_all(&mut database.connection)
            .await
            .map_err(failed("read how often endpoints were changed"))?;
        let entry = |(endpoint, count): (String, i64)| {
            Ok((EndpointName::new(&endpoint).map_err(damaged("an endpoint's name"))?, count.unsigned_abs()))
        };
        rows.into_iter().map(entry).collect()
    }

    /// Keeps complete inventories as the last ones, and how many VMs each tier has now. An older generation than the
    /// one that is kept (a slower process) changes nothing.
    pub async fn remember(
        &self,
        inventories: &BTreeMap<EndpointName, LastInventory>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => {
                memory.remember(inventories, now);
                return Ok(());
            }
            Store::File(file) => file.lock().await,
        };
        let Database { connection, kept } = &mut *database;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed("keep an inventory"))?;
        // Within the transaction, so that nobody else writes between this and its end.
        kept.read(&mut transaction).await?;
        let version = kept.writing();
        for (endpoint, last) in inventories {
            let before = kept.inventory(endpoint);
            if before.is_none_or(|before| before.generation < last.generation) {
                kept::write(&mut transaction, endpoint, before, last).await?;
                kept.put(endpoint, last);
            }
            // Those of the same inventory stay: one that was seen while it was being taken may be newer than it.
            if kept.drop_witnessed(endpoint, last.generation) {
                sqlx::query("DELETE FROM witnessed WHERE endpoint = ? AND generation < ?")
                    .bind(endpoint.as_str())
                    .bind(i64::try_from(last.generation).unwrap_or(i64::MAX))
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed("keep an inventory"))?;
            }
        }
        count_owned(&mut transaction, kept.merged(), now).await?;
        if kept.forgets(now) {
            forget_old(&mut transaction, now).await?;
        }
        transaction.commit().await.map_err(failed("keep an inventory"))?;
        kept.written(version);
        Ok(())
    }

    /// Every endpoint of the settings has a last inventory now: from here on `History::partial` is false.
    pub async fn memory_is_whole(&self, now: Timestamp) -> Result<(), JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => {
                memory.memory_is_whole();
                return Ok(());
            }
            Store::File(file) => file.lock().await,
        };
        sqlx::query("INSERT OR IGNORE INTO whole_memory (only, at) VALUES (1, ?)")
            .bind(now.as_second())
            .execute(&mut database.connection)
            .await
            .map_err(failed("note that every endpoint was seen"))?;
        Ok(())
    }

    /// Keeps one VM of ours as it was just read, until a complete inventory of its endpoint that was begun later: what
    /// a step made must be known before a listing shows it for the first time.
    pub async fn witness(&self, endpoint: &EndpointName, vm: &LastVm) -> Result<(), JournalError> {
        let file = match &self.store {
            Store::Memory(memory) => {
                memory.witness(endpoint, vm);
                return Ok(());
            }
            Store::File(file) => file,
        };
        let text = serde_json::to_string(vm)
            .map_err(|source| JournalError::Damaged { what: "a VM about to be kept", source: source.into() })?;
        file.write(Entry::Made { endpoint: endpoint.clone(), vm: vm.clone(), text }).await.map(drop)
    }

    /// Everything a plan needs of the past.
    pub async fn history(&self, now: Timestamp) -> Result<History, JournalError> {
        let mut database = match &self.store {
            Store::Memory(memory) => return Ok(memory.history(now)),
            Store::File(file) => file.lock().await,
        };
        let last = database.last_inventories().await?.clone();
        let connection = &mut database.connection;
        // The shrink rule asks what we deleted since an endpoint's last inventory, which may be older than a day.
        let window = now.as_second() - DAY;
        // A day more: a VM that was going while that inventory was taken may have been listed still.
        let since = last.values().map(|last| last.taken_at.as_second()).fold(window, i64::min) - DAY;
        let whole: Option<i64> = sqlx::query_scalar("SELECT at FROM whole_memory")
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("read whether every endpoint was seen"))?;
        Ok(History {
            partial: whole.is_none(),
            destroys: read_destroys(connection, since).await?,
            open_intents: read_open_intents(connection).await?,
            owned_at_window_start: read_owned(connection, window).await?,
            last,
            // A run is a process's own; what it disturbed is kept nowhere.
            disturbed: BTreeSet::new(),
        })
    }
}

/// Wraps why a stored value could not be read back.
pub(super) fn damaged<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> JournalError {
    move |source| JournalError::Damaged { what, source: Box::new(source) }
}

pub(super) fn time(seconds: i64) -> Result<Timestamp, JournalError> {
    Timestamp::from_second(seconds).map_err(damaged("a time"))
}

async fn read_destroys(connection: &mut SqliteConnection, since: i64) -> Result<Vec<Destroyed>, JournalError> {
    let rows: Vec<(i64, String, String, String, String, bool, bool)> = sqlx::query_as(
        "SELECT at, tier, endpoint, own_id, key, after_retire, deleted FROM destroys WHERE at >= ? ORDER BY at, id",
    )
    .bind(since)
    .fetch_all(connection)
    .await
    .map_err(failed("read the destroys"))?;
    rows.into_iter()
        .map(|(at, tier, endpoint, own_id, key, after_retire, deleted)| {
            Ok(Destroyed {
                at: time(at)?,
                tier: TierName::new(&tier).map_err(damaged("a tier's name"))?,
                endpoint: EndpointName::new(&endpoint).map_err(damaged("an endpoint's name"))?,
                own_id: OwnId::new(&own_id),
                key: VmKey::parse(&key).map_err(damaged("a VM's key"))?,
                after_retire,
                deleted,
            })
        })
        .collect()
}

async fn read_open_intents(connection: &mut SqliteConnection) -> Result<Vec<OpenIntent>, JournalError> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT endpoint, key, identity, call, at FROM intents
         WHERE ended = 0 ORDER BY id",
    )
    .fetch_all(connection)
    .await
    .map_err(failed("read the open intents"))?;
    rows.into_iter()
        .map(|(endpoint, key, identity, call, at)| {
            Ok(OpenIntent {
                endpoint: EndpointName::new(&endpoint).map_err(damaged("an endpoint's name"))?,
                key: VmKey::parse(&key).map_err(damaged("a VM's key"))?,
                identity: Uuid::parse_str(&identity).map_err(damaged("an identity"))?,
                call,
                at: time(at)?,
            })
        })
        .collect()
}

/// Per tier, the count that stood when the window began; for a tier first seen later, the first count.
async fn read_owned(connection: &mut SqliteConnection, window: i64) -> Result<BTreeMap<TierName, u32>, JournalError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as("SELECT tier, at, count FROM owned ORDER BY at")
        .fetch_all(connection)
        .await
        .map_err(failed("read the owned counts"))?;
    let mut owned = BTreeMap::new();
    for (tier, at, count) in rows {
        let tier = TierName::new(&tier).map_err(damaged("a tier's name"))?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if at <= window {
            owned.insert(tier, count);
        } else {
            owned.entry(tier).or_insert(count);
        }
    }
    Ok(owned)
}

/// Adds a sample for each tier whose count moved; a tier that has none left is a sample of zero.
async fn count_owned(
    connection: &mut SqliteConnection,
    all: &BTreeMap<EndpointName, LastInventory>,
    now: Timestamp,
) -> Result<(), JournalError> {
    let counts = owned_per_tier(all.values());
    let counts: BTreeMap<String, i64> =
        counts.into_iter().map(|(tier, count)| (tier.as_str().to_owned(), i64::from(count))).collect();
    let latest: Vec<(String, i64)> =
        sqlx::query_as("SELECT tier, count FROM owned AS o WHERE at = (SELECT max(at) FROM owned WHERE tier = o.tier)")
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("read the owned counts"))?;
    let latest: BTreeMap<String, i64> = latest.into_iter().collect();
    let tiers: BTreeSet<&String> = counts.keys().chain(latest.keys()).collect();
    for tier in tiers {
        let count = counts.get(tier).copied().unwrap_or(0);
        if latest.get(tier) != Some(&count) {
            sqlx::query("INSERT OR REPLACE INTO owned (tier, at, count) VALUES (?, ?, ?)")
                .bind(tier)
                .bind(now.as_second())
                .bind(count)
                .execute(&mut *connection)
                .await
                .map_err(failed("keep the owned counts"))?;
        }
    }
    Ok(())
}

/// Drops what no rule and no person looks at any more. An intent that is still open is never dropped.
async fn forget_old(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), JournalError> {
    let old = now.as_second() - KEPT;
    for statement in [
        "DELETE FROM intents WHERE at < ?1 AND id IN (SELECT intent FROM outcomes)",
        "DELETE FROM outcomes WHERE at < ?1 AND intent NOT IN (SELECT id FROM intents)",
        "DELETE FROM destroys WHERE at < ?1",
        "DELETE FROM approvals WHERE at < ?1",
        // The latest sample before the window is the count at its start: that one stays.
        "DELETE FROM owned WHERE at < ?1 AND at < (SELECT max(at) FROM owned AS o WHERE o.tier = owned.tier)",
    ] {
        sqlx::query(statement).bind(old).execute(&mut *connection).await.map_err(failed("forget old entries"))?;
    }
    Ok(())
}
