//! The last inventories, held in memory as the file has them: they are asked for several times in each cycle of
//! `serve`, and hardly ever move.
//!
//! SQLite counts what other connections commit (`PRAGMA data_version`), so that what another process writes is read
//! again and nothing else is. Around a write of ours the copy counts as unread, so that a write which is cut short
//! leaves no copy of what is not in the file.
//!
//! ```text
//! inventories + last_vms + witnessed --read once--> Kept --merged()--> what a plan needs of the past
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::memory::{damaged, time};
use super::{JournalError, failed};
use crate::manifest::SourceText;
use crate::model::{EndpointName, OwnId, Revision};
use crate::plan::{LastInventory, LastVm, memory};

/// How often what is old is looked for: it is kept for months.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// By endpoint.
pub(super) type Inventories = BTreeMap<EndpointName, LastInventory>;

/// What steps made since, and during which inventory.
type Witnessed = BTreeMap<EndpointName, BTreeMap<OwnId, (u64, LastVm)>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// As of which commit of others; `None`: not read, or a write of ours is under way.
    version: Option<i64>,
    inventories: Inventories,
    witnessed: Witnessed,
    merged: Option<Inventories>,
    forgot: Option<Timestamp>,
    /// The last good revision as this process last wrote or read it; another may have written
    /// another since. `None`: not known.
    texts: Option<(Revision, Arc<[SourceText]>)>,
}

impl Kept {
    /// Reads what is in the file, unless that is known. Inside a transaction it stays so until its end.
    pub(super) async fn read(&mut self, connection: &mut SqliteConnection) -> Result<(), JournalError> {
        // Asked before the tables are read: what is committed meanwhile makes them be read again.
        let version: i64 = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("ask whether another process wrote"))?;
        if self.version == Some(version) {
            return Ok(());
        }
        self.version = None;
        self.merged = None;
        self.inventories = read_inventories(connection).await?;
        self.witnessed = read_witnessed(connection).await?;
        self.version = Some(version);
        Ok(())
    }

    /// A write of ours begins. What it gives goes back into [`Kept::written`] once it is committed.
    pub(super) fn writing(&mut self) -> Option<i64> {
        self.version.take()
    }

    /// It is committed, and what was written was told to this copy.
    pub(super) fn written(&mut self, version: Option<i64>) {
        self.version = version;
    }

    /// The last inventories with what was witnessed since.
    pub(super) fn merged(&mut self) -> &Inventories {
        let Self { inventories, witnessed, merged, .. } = self;
        merged.get_or_insert_with(|| {
            let mut all = inventories.clone();
            for (endpoint, last) in &mut all {
                let seen = witnessed.get(endpoint).into_iter().flat_map(BTreeMap::values);
                memory::add_witnessed(last, seen.map(|(_, vm)| vm.clone()).collect());
            }
            all
        })
    }

    /// The bare inventory of an endpoint.
    pub(super) fn inventory(&self, endpoint: &EndpointName) -> Option<&LastInventory> {
        self.inventories.get(endpoint)
    }

    /// An inventory takes the place of the one before.
    pub(super) fn put(&mut self, endpoint: &EndpointName, last: &LastInventory) {
        self.merged = None;
        let mut last = last.clone();
        // One that is what was known with all that was witnessed is still this one, not a copy of it.
        if let Some(before) = self.inventories.get(endpoint).filter(|before| before.vms == last.vms) {
            last.vms = Arc::clone(&before.vms);
        }
        self.inventories.insert(endpoint.clone(), last);
    }

    /// A step made this, during that inventory.
    pub(super) fn witness(&mut self, endpoint: &EndpointName, generation: u64, vm: LastVm) {
        self.merged = None;
        self.witnessed.entry(endpoint.clone()).or_default().insert(vm.id.clone(), (generation, vm));
    }

    /// An inventory has what was witnessed before it began; false when there was nothing.
    pub(super) fn drop_witnessed(&mut self, endpoint: &EndpointName, before: u64) -> bool {
        let Some(seen) = self.witnessed.get_mut(endpoint) else { return false };
        let count = seen.len();
        seen.retain(|_, (generation, _)| *generation >= before);
        let dropped = seen.len() < count;
        if dropped {
            self.merged = None;
        }
        dropped
    }

    /// The texts of the last good revision, if it is this one; they are not known from now on.
    pub(super) fn texts_of(&mut self, revision: Option<&str>) -> Option<Arc<[SourceText]>> {
        self.texts.take().filter(|(known, _)| revision == Some(&known.0)).map(|(_, texts)| texts)
    }

    /// It is this one, with these.
    pub(super) fn texts_are(&mut self, revision: Revision, texts: Arc<[SourceText]>) {
        self.texts = Some((revision, texts));
    }

    /// Is it time to look for what is old?
    pub(super) fn forgets(&mut self, now: Timestamp) -> bool {
        let since = |last: Timestamp| now.duration_since(last).abs();
        let is_time = self.forgot.is_none_or(|last| since(last) >= FORGET_EVERY);
        if is_time {
            self.forgot = Some(now);
        }
        is_time
    }
}

async fn read_inventories(connection: &mut SqliteConnection) -> Result<Inventories, JournalError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as("SELECT endpoint, generation, taken_at FROM inventories")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed("read the last inventories"))?;
    let mut inventories = Inventories::new();
    for (name, generation, taken_at) in rows {
        // One text for all: a row for each of ten thousand VMs would cost more than reading what is in it.
        let vms: Option<String> = sqlx::query_scalar(
            "SELECT '[' || group_concat(vm, ',') || ']'
             FROM (SELECT vm FROM last_vms WHERE endpoint = ? ORDER BY own_id, copy)",
        )
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("read the last inventories"))?;
        let vms: Vec<LastVm> = match vms {
            Some(text) => serde_json::from_str(&text).map_err(damaged("an inventory"))?,
            None => Vec::new(),
        };
        let endpoint = EndpointName::new(&name).map_err(damaged("an endpoint's name"))?;
        let (generation, taken_at) = (generation.unsigned_abs(), time(taken_at)?);
        inventories.insert(endpoint, LastInventory { generation, taken_at, vms: Arc::new(vms) });
    }
    Ok(inventories)
}

async fn read_witnessed(connection: &mut SqliteConnection) -> Result<Witnessed, JournalError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as("SELECT endpoint, generation, vm FROM witnessed")
        .fetch_all(connection)
        .await
        .map_err(failed("read what steps made"))?;
    let mut witnessed = Witnessed::new();
    for (endpoint, generation, vm) in rows {
        let endpoint = EndpointName::new(&endpoint).map_err(damaged("an endpoint's name"))?;
        let vm: LastVm = serde_json::from_str(&vm).map_err(damaged("a VM"))?;
        witnessed.entry(endpoint).or_default().insert(vm.id.clone(), (generation.unsigned_abs(), vm));
    }
    Ok(witnessed)
}

/// Writes an inventory over the one before: what has not moved is not written again.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    endpoint: &EndpointName,
    before: Option<&LastInventory>,
    last: &LastInventory,
) -> Result<(), JournalError> {
    sqlx::query(
        "INSERT INTO inventories (endpoint, generation, taken_at) VALUES (?, ?, ?)
         ON CONFLICT (endpoint) DO UPDATE SET generation = excluded.generation, taken_at = excluded.taken_at",
    )
    .bind(endpoint.as_str())
    .bind(i64::try_from(last.generation).unwrap_or(i64::MAX))
    .bind(last.taken_at.as_second())
    .execute(&mut *connection)
    .await
    .map_err(failed("keep an inventory"))?;
    let Moved { ids, rows } = moved(before.map_or(&[], |before| before.vms.as_slice()), &last.vms);
    if ids.is_empty() {
        return Ok(());
    }
    let text = |source: serde_json::Error| JournalError::Damaged {
        what: "an inventory about to be kept",
        source: source.into(),
    };
    for (statement, texts) in [
        (
            "DELETE FROM last_vms WHERE endpoint = ? AND own_id IN (SELECT value FROM json_each(?))",
            serde_json::to_string(&ids).map_err(text)?,
        ),
        (
            "INSERT INTO last_vms (endpoint, own_id, copy, vm)
             SELECT ?, value ->> '$[0]', value ->> '$[1]', value -> '$[2]' FROM json_each(?)",
            serde_json::to_string(&rows).map_err(text)?,
        ),
    ] {
        sqlx::query(statement)
            .bind(endpoint.as_str())
            .bind(texts)
            .execute(&mut *connection)
            .await
            .map_err(failed("keep an inventory"))?;
    }
    Ok(())
}

/// Ids whose entries are other ones than before, and the entries that they have now: id, which of those of one id, VM.
struct Moved<'a> {
    ids: BTreeSet<&'a OwnId>,
    rows: Vec<(&'a OwnId, usize, &'a LastVm)>,
}

fn moved<'a>(before: &'a [LastVm], now: &'a [LastVm]) -> Moved<'a> {
    let by_id = |vms: &'a [LastVm]| {
        let mut by_id: BTreeMap<&OwnId, Vec<&LastVm>> = BTreeMap::new();
        for vm in vms {
            by_id.entry(&vm.id).or_default().push(vm);
        }
        by_id
    };
    if std::ptr::eq(before, now) {
        return Moved { ids: BTreeSet::new(), rows: Vec::new() };
    }
    let (before, now) = (by_id(before), by_id(now));
    let differs = |id: &&&OwnId| before.get(**id) != now.get(**id);
    let ids: BTreeSet<&OwnId> = before.keys().chain(now.keys()).filter(differs).copied().collect();
    let entries = ids.iter().filter_map(|id| Some((*id, now.get(id)?)));
    let rows = entries.flat_map(|(id, vms)| vms.iter().enumerate().map(move |(copy, vm)| (id, copy, *vm))).collect();
    Moved { ids, rows }
}
