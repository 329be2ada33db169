//! The journal's tables, and how an older file becomes a current one. Times are Unix seconds.

use sqlx::SqliteConnection;

use super::{JournalError, failed};

/// One script per version; the n-th leads from version n to n + 1. Never edit one that was released: add another.
const VERSIONS: [&str; 3] = [
    "
BEGIN IMMEDIATE;
CREATE TABLE intents (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    run       TEXT    NOT NULL,
    endpoint  TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    identity  TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    operation INTEGER NOT NULL,
    call      TEXT    NOT NULL,
    target    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX intents_by_vm ON intents (endpoint, key);
CREATE TABLE outcomes (
    intent  INTEGER PRIMARY KEY REFERENCES intents (id) ON DELETE CASCADE,
    outcome TEXT    NOT NULL CHECK (outcome IN ('done', 'refused', 'seen')),
    detail  TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE TABLE destroys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    tier         TEXT    NOT NULL,
    endpoint     TEXT    NOT NULL,
    own_id       TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    after_retire INTEGER NOT NULL,
    deleted      INTEGER NOT NULL
) STRICT;
CREATE INDEX destroys_by_time ON destroys (at);
CREATE TABLE generations (
    endpoint   TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;
CREATE TABLE inventories (
    endpoint   TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    taken_at   INTEGER NOT NULL,
    vms        TEXT    NOT NULL
) STRICT;
CREATE TABLE witnessed (
    endpoint   TEXT    NOT NULL,
    own_id     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    vm         TEXT    NOT NULL,
    PRIMARY KEY (endpoint, own_id)
) STRICT;
CREATE TABLE owned (
    tier  TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (tier, at)
) STRICT;
CREATE TABLE approvals (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    run    TEXT    NOT NULL,
    digest TEXT    NOT NULL,
    plan   TEXT    NOT NULL
) STRICT;
CREATE TABLE good_revision (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    revision TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    texts    TEXT    NOT NULL
) STRICT;
PRAGMA user_version = 1;
COMMIT;
",
    // How often each endpoint was changed, by whichever process: an inventory that was begun before the last change is
    // out of date. `seen` is no change but what an inventory showed.
    "
BEGIN IMMEDIATE;
CREATE TABLE changes (
    endpoint TEXT PRIMARY KEY,
    count    INTEGER NOT NULL
) STRICT;
CREATE TRIGGER intent_is_a_change AFTER INSERT ON intents
BEGIN
    INSERT OR IGNORE INTO changes (endpoint, count) VALUES (NEW.endpoint, 0);
    UPDATE changes SET count = count + 1 WHERE endpoint = NEW.endpoint;
END;
CREATE TRIGGER outcome_is_a_change AFTER INSERT ON outcomes WHEN NEW.outcome <> 'seen'
BEGIN
    UPDATE changes SET count = count + 1 WHERE endpoint = (SELECT endpoint FROM intents WHERE id = NEW.intent);
END;
PRAGMA user_version = 2;
COMMIT;
",
    // Whether every endpoint had answered at some time. One that remembers anything was in use before this was asked.
    "
BEGIN IMMEDIATE;
CREATE TABLE whole_memory (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at   INTEGER NOT NULL
) STRICT;
INSERT INTO whole_memory (only, at) SELECT 1, max(taken_at) FROM inventories HAVING count(*) > 0;
PRAGMA user_version = 3;
COMMIT;
",
];

/// Runs the scripts that are missing, each in a transaction of its own; refuses a file from the future.
pub(super) async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    let known = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
    loop {
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("read the schema version"))?;
        if found > known {
            return Err(JournalError::Newer { found, known });
        }
        let Some(script) = usize::try_from(found).ok().and_then(|at| VERSIONS.get(at)) else { return Ok(()) };
        if let Err(error) = sqlx::raw_sql(*script).execute(&mut *connection).await {
            // Two processes that start at once: the second finds the tables there, and the version moved on.
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
            let now: i64 = sqlx::query_scalar("PRAGMA user_version")
                .fetch_one(&mut *connection)
                .await
                .map_err(failed("read the schema version"))?;
            if now <= found {
                return Err(JournalError::Database { what: "make the tables", source: error });
            }
        }
    }
}
