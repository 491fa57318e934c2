//! The file of remembered narinfos: an SQLite database of our own, and the questions put to it.
//!
//! Times are seconds since 1970, given by the caller, so that tests need no clock.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

/// Written into the file (`PRAGMA user_version`). A file with another number is not ours to read.
const FORMAT: i64 = 1;

/// How long another process may hold the lock. Each of its transactions takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds between two looks for rows that are too old to be of use (Nix 2.29 `nar-info-disk-cache.cc`: a day).
const PURGE_INTERVAL: i64 = 24 * 60 * 60;

/// The least ages, in seconds, at which absent and present paths are deleted, however short the lifetimes are now:
/// another command may have longer ones. Nix's numbers.
const PURGE_ABSENT: i64 = 60 * 60;
const PURGE_PRESENT: i64 = 30 * 24 * 60 * 60;

const SCHEMA: &str = "
    create table if not exists caches (
        id integer primary key,
        identity text not null unique,
        asked_at integer,
        info text
    );
    create table if not exists narinfos (
        cache integer not null references caches (id) on delete cascade,
        hash_part text not null,
        asked_at integer not null,
        text text,
        primary key (cache, hash_part)
    ) without rowid;
    create table if not exists purges (at integer not null);
";

/// How long an answer is believed, in seconds. Zero: never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    pub(super) present: i64,
    pub(super) absent: i64,
    pub(super) info: i64,
}

/// Something to be written.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The text of a narinfo, or that there is none.
    NarInfo(Option<String>),
    /// Nothing is known any more.
    Forget,
}

/// Has the database keep a write-ahead log. The first process to do so changes the file, and SQLite refuses others meanwhile
/// without any patience of its own.
fn keep_a_log(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(LOOK_AGAIN);
            }
            other => return other,
        }
    }
}

/// How long to wait for whoever is changing the form of the file.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An open database. Everything here blocks.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the file, and makes it and its directory where there is none.
    pub(super) fn open(file: &Path, now: i64, ages: Ages) -> rusqlite::Result<Self> {
        if let Some(directory) = file.parent() {
            // What somebody's private caches hold is nobody else's business. An error shows when SQLite opens the file.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        }
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        // A cache may lose its last moments in a power failure, but not its form.
        keep_a_log(&connection)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        let mut database = Self { connection };
        database.prepare()?;
        database.purge(now, ages)?;
        Ok(database)
    }

    fn prepare(&mut self) -> rusqlite::Result<()> {
        let format: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if format == FORMAT {
            return Ok(());
        }
        // One transaction: of two processes that begin at once, the second finds what the first has made.
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()
    }

    /// Deletes what is too old for anybody, once a day.
    fn purge(&mut self, now: i64, ages: Ages) -> rusqlite::Result<()> {
        let last: Option<i64> =
            self.connection.query_row("select max(at) from purges", [], |row| row.get(0))?;
        if last.is_some_and(|last| (last..last + PURGE_INTERVAL).contains(&now)) {
            return Ok(());
        }
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            "delete from narinfos where asked_at < iif(text is null, ?1, ?2)",
            params![now - ages.absent.max(PURGE_ABSENT), now - ages.present.max(PURGE_PRESENT)],
        )?;
        transaction.execute("delete from purges", [])?;
        transaction.execute("insert into purges (at) values (?1)", [now])?;
        transaction.commit()
    }

    /// The number of a cache, given to it now if it has none.
    pub(super) fn cache(&self, identity: &str) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("select id from caches where identity = ?1")?
            .query_row([identity], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.connection
            .prepare_cached(
                "insert into caches (identity) values (?1) on conflict (identity) do update set identity = identity
                 returning id",
            )?
            .query_row([identity], |row| row.get(0))
    }

    /// The `nix-cache-info` of a cache, if it was read lately.
    pub(super) fn info(&self, cache: i64, now: i64, ages: Ages) -> rusqlite::Result<Option<String>> {
        let row: Option<(Option<i64>, Option<String>)> = self
            .connection
            .prepare_cached("select asked_at, info from caches where id = ?1")?
            .query_row([cache], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let asked_lately = |asked_at: Option<i64>| asked_at.is_some_and(|at| fresh(at, now, ages.info));
        Ok(row.and_then(|(asked_at, info)| info.filter(|_| asked_lately(asked_at))))
    }

    /// Notes what a cache says of itself; `None` when it is not to be believed any more.
    pub(super) fn set_info(&self, cache: i64, info: Option<&str>, now: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("update caches set asked_at = ?2, info = ?3 where id = ?1")?
            .execute(params![cache, now, info])
            .map(|_| ())
    }

    /// What is remembered of a narinfo: its text, that there is none, or (outer `None`) nothing that still counts.
    pub(super) fn narinfo(
        &self,
        cache: i64,
        hash_part: &str,
        now: i64,
        ages: Ages,
    ) -> rusqlite::Result<Option<Option<String>>> {
        let row: Option<(i64, Option<String>)> = self
            .connection
            .prepare_cached("select asked_at, text from narinfos where cache = ?1 and hash_part = ?2")?
            .query_row(params![cache, hash_part], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(row.and_then(|(asked_at, text)| {
            let lifetime = if text.is_some() { ages.present } else { ages.absent };
            fresh(asked_at, now, lifetime).then_some(text)
        }))
    }

    /// Writes changes: of each the cache, the hash part, and when it was found out.
    pub(super) fn apply<'c>(
        &mut self,
        changes: impl IntoIterator<Item = (i64, &'c str, i64, &'c Change)>,
    ) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "insert or replace into narinfos (cache, hash_part, asked_at, text) values (?1, ?2, ?3, ?4)",
            )?;
            let mut delete =
                transaction.prepare_cached("delete from narinfos where cache = ?1 and hash_part = ?2")?;
            for (cache, hash_part, at, change) in changes {
                match change {
                    Change::NarInfo(text) => insert.execute(params![cache, hash_part, at, text])?,
                    Change::Forget => delete.execute(params![cache, hash_part])?,
                };
            }
        }
        transaction.commit()
    }
}

/// Whether what was found out at `asked_at` still counts. What comes from the future does not: a clock was wrong.
fn fresh(asked_at: i64, now: i64, lifetime: i64) -> bool {
    (0..lifetime).contains(&(now - asked_at))
}

/// Whether the file is no database, or a broken one.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether somebody else holds the lock for too long.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Deletes the file and what SQLite keeps beside it.
pub(super) fn discard(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // What cannot be deleted is found damaged again next time, and does no other harm.
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages { present: 100, absent: 10, info: 50 };

    fn set(database: &mut Database, cache: i64, hash_part: &str, at: i64, change: &Change) {
        database.apply([(cache, hash_part, at, change)]).unwrap();
    }

    #[test]
    fn what_is_there_what_is_not_and_the_cache_itself_have_lifetimes_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::open(&directory.path().join("new/x.sqlite"), 1000, AGES).unwrap();
        let cache = database.cache("s3://a").unwrap();
        set(&mut database, cache, "there", 1000, &Change::NarInfo(Some("text".to_owned())));
        set(&mut database, cache, "not", 1000, &Change::NarInfo(None));
        database.set_info(cache, Some("StoreDir: /nix/store\n"), 1000).unwrap();
        let found = |hash_part: &str, now| database.narinfo(cache, hash_part, now, AGES).unwrap();
        assert_eq!((found("there", 1099), found("there", 1100)), (Some(Some("text".to_owned())), None));
        assert_eq!((found("not", 1009), found("not", 1010)), (Some(None), None));
        assert_eq!(found("never asked", 1000), None);
        assert!(database.info(cache, 1049, AGES).unwrap().is_some());
        assert_eq!(database.info(cache, 1050, AGES).unwrap(), None);
        assert_eq!(found("there", 999), None, "from the future");
        let never = Ages { present: 0, absent: 0, info: 0 };
        assert_eq!(database.narinfo(cache, "there", 1000, never).unwrap(), None);
    }

    #[test]
    fn caches_do_not_mix_and_keep_their_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.sqlite");
        let mut database = Database::open(&file, 0, AGES).unwrap();
        let (one, other) = (database.cache("s3://a").unwrap(), database.cache("s3://a?endpoint=b").unwrap());
        assert_ne!(one, other);
        set(&mut database, one, "x", 0, &Change::NarInfo(Some("one".to_owned())));
        assert_eq!(database.narinfo(other, "x", 0, AGES).unwrap(), None);
        drop(database);
        let mut again = Database::open(&file, 0, AGES).unwrap();
        assert_eq!(again.cache("s3://a").unwrap(), one);
        assert_eq!(again.narinfo(one, "x", 0, AGES).unwrap(), Some(Some("one".to_owned())));
        set(&mut again, one, "x", 0, &Change::Forget);
        assert_eq!(again.narinfo(one, "x", 0, AGES).unwrap(), None);
    }

    #[test]
    fn once_a_day_the_oldest_rows_go() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.sqlite");
        let mut database = Database::open(&file, 0, AGES).unwrap();
        let cache = database.cache("s3://a").unwrap();
        set(&mut database, cache, "not", 0, &Change::NarInfo(None));
        set(&mut database, cache, "there", 0, &Change::NarInfo(Some(String::new())));
        let rows = |now| {
            let database = Database::open(&file, now, AGES).unwrap();
            let count = "select count(*) from narinfos";
            database.connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(rows(PURGE_INTERVAL - 1), 2, "not yet a day");
        assert_eq!(rows(PURGE_INTERVAL), 1, "what is absent lives an hour");
        assert_eq!(rows(PURGE_PRESENT + 1), 0);
    }

    #[test]
    fn two_processes_write_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.sqlite");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    let mut database = Database::open(file, 0, AGES).unwrap();
                    let cache = database.cache("s3://a").unwrap();
                    for number in 0..25 {
                        let hash_part = format!("{writer}-{number}");
                        set(&mut database, cache, &hash_part, 0, &Change::NarInfo(Some(hash_part.clone())));
                    }
                });
            }
        });
        let database = Database::open(&file, 0, AGES).unwrap();
        let cache = database.cache("s3://a").unwrap();
        for (writer, number) in (0..4).flat_map(|writer| (0..25).map(move |number| (writer, number))) {
            let hash_part = format!("{writer}-{number}");
            assert_eq!(database.narinfo(cache, &hash_part, 0, AGES).unwrap(), Some(Some(hash_part)));
        }
    }
}
