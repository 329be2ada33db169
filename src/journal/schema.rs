//! The journal's tables, and how an older file becomes a current one. Times are Unix seconds.

use sqlx::SqliteConnection;

use super::{JournalError, failed};

/// One script per version; the n-th leads from version n to n + 1. Never edit one that was released: add another.
const VERSIONS: [&str; 5] = [
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
    // A row for each VM and for each text, so that only those that moved are written; `copy` counts the entries of one
    // id (a replica). And open intents are found without looking at those of the last months.
    "
BEGIN IMMEDIATE;
CREATE TABLE last_vms (
    endpoint TEXT    NOT NULL,
    own_id   TEXT    NOT NULL,
    copy     INTEGER NOT NULL,
    vm       TEXT    NOT NULL,
    PRIMARY KEY (endpoint, own_id, copy)
) STRICT, WITHOUT ROWID;
INSERT INTO last_vms (endpoint, own_id, copy, vm)
    SELECT endpoint, vm.value ->> '$.id',
           row_number() OVER (PARTITION BY endpoint, vm.value ->> '$.id' ORDER BY vm.key) - 1, vm.value
    FROM inventories, json_each(inventories.vms) AS vm;
ALTER TABLE inventories DROP COLUMN vms;
CREATE TABLE good_texts (
    path TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
INSERT INTO good_texts (path, text)
    SELECT text.value ->> '$[0]', text.value ->> '$[1]' FROM good_revision, json_each(good_revision.texts) AS text;
ALTER TABLE good_revision DROP COLUMN texts;
ALTER TABLE intents ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
UPDATE intents SET ended = 1 WHERE id IN (SELECT intent FROM outcomes);
CREATE INDEX open_intents ON intents (id) WHERE ended = 0;
CREATE TRIGGER outcome_ends_its_intent AFTER INSERT ON outcomes
BEGIN
    UPDATE intents SET ended = 1 WHERE id = NEW.intent;
END;
PRAGMA user_version = 4;
COMMIT;
",
    // Which source the last good revision was read from: an apply of another one's must not take its place.
    "
BEGIN IMMEDIATE;
ALTER TABLE good_revision ADD COLUMN source TEXT;
PRAGMA user_version = 5;
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

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions as _, Connection as _};

    use super::*;
    use crate::journal::Journal;
    use crate::model::EndpointName;

    #[tokio::test]
    async fn an_older_journal_is_brought_up_to_date_with_all_that_it_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("journal.db"));
        let mut old = file.create_if_missing(true).connect().await.unwrap();
        for script in &VERSIONS[..2] {
            sqlx::raw_sql(*script).execute(&mut old).await.unwrap();
        }
        sqlx::raw_sql(
            r#"INSERT INTO inventories VALUES ('vc', 7, 1000, '[{"id":"a","name":"x"},{"id":"a","name":"y"},{"id":"b","name":"z"}]');
               INSERT INTO good_revision VALUES (1, 'r1', 1000, '[["a.yaml","one"],["b.yaml","two"]]');
               INSERT INTO intents (run, endpoint, key, identity, action, operation, call, target, detail, at)
               VALUES ('r', 'vc', 'app/ended', '6c27e6ed-d067-558b-812f-d1c6785f6788', 'create', 0, 'c', 't', '', 1000),
                      ('r', 'vc', 'app/open', '6c27e6ed-d067-558b-812f-d1c6785f6788', 'create', 0, 'c', 't', '', 1000);
               INSERT INTO outcomes VALUES (1, 'done', '', 1000);"#,
        )
        .execute(&mut old)
        .await
        .unwrap();
        old.close().await.unwrap();

        let journal = Journal::open(dir.path()).await.unwrap();
        let history = journal.history(jiff::Timestamp::from_second(2000).unwrap()).await.unwrap();
        let last = &history.last[&EndpointName::new("vc").unwrap()];
        assert_eq!(last.generation, 7);
        assert_eq!(
            last.vms.iter().map(|vm| (vm.id.as_str(), &*vm.name)).collect::<Vec<_>>(),
            [("a", "x"), ("a", "y"), ("b", "z")]
        );
        assert_eq!(history.open_intents.iter().map(|open| open.key.to_string()).collect::<Vec<_>>(), ["app/open"]);
        let good = journal.good_revision().await.unwrap().unwrap();
        assert_eq!((good.revision.0.as_str(), good.texts.len(), &*good.texts[1].bytes), ("r1", 2, &b"two"[..]));
        assert_eq!(good.source, None);
    }
}
