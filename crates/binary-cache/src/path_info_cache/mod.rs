//! What caches have said, remembered on disk from one command to the next.
//!
//! Only readers are answered from here. Whoever adds paths asks the cache itself (`presence`): with an answer that is
//! weeks old, a path that was deleted meanwhile would never be pushed again.

mod database;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nars3_store_path::HashPart;

use database::{Ages, Change, Database, discard, is_busy, is_damage};

/// Changes that wait in memory before they are written together. One takes about a KiB.
const BATCH: usize = 256;

/// How long an answer is believed. The defaults are Nix's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// That a path is there, and its narinfo (Nix: `narinfo-cache-positive-ttl`).
    pub present: Duration,
    /// That a path is not there (Nix: `narinfo-cache-negative-ttl`).
    pub absent: Duration,
    /// What a cache says of itself in `nix-cache-info` (Nix: `narinfo-cache-meta-ttl`).
    pub info: Duration,
}

impl Lifetimes {
    /// Nothing is believed; what is found out is still written down for later (Nix: `--refresh`).
    pub const NONE: Self = Self { present: Duration::ZERO, absent: Duration::ZERO, info: Duration::ZERO };
}

impl Default for Lifetimes {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        Self { present: hours(30 * 24), absent: hours(1), info: hours(7 * 24) }
    }
}

impl From<Lifetimes> for Ages {
    fn from(lifetimes: Lifetimes) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2);
        Self {
            present: seconds(lifetimes.present),
            absent: seconds(lifetimes.absent),
            info: seconds(lifetimes.info),
        }
    }
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the path info cache '{}' cannot be used", file.display())]
pub struct PathInfoCacheError {
    file: PathBuf,
    #[source]
    source: rusqlite::Error,
}

/// Narinfos of any number of caches, in one file. Cloning is cheap.
///
/// It never makes anything fail: a file that turns out to be damaged is deleted, one that cannot be read or written any
/// more is left alone, and from then on nothing is remembered. `trouble` tells why.
#[derive(Clone)]
pub struct PathInfoCache(Arc<Shared>);

/// What waits to be written, by cache and hash part, and when it was found out.
type Pending = HashMap<(Arc<str>, HashPart), (i64, Change)>;

struct Shared {
    file: PathBuf,
    ages: Ages,
    database: Mutex<Option<Database>>,
    pending: Mutex<Pending>,
    flushing: AtomicBool,
    answers: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl PathInfoCache {
    /// Opens the file, and makes it where there is none. Blocks.
    ///
    /// # Errors
    /// When the file cannot be made, read or written. A damaged one is no error: it is begun anew, and `trouble` says
    /// so.
    pub fn open(file: impl Into<PathBuf>, lifetimes: Lifetimes) -> Result<Self, PathInfoCacheError> {
        let file = file.into();
        let ages = Ages::from(lifetimes);
        let (opened, trouble) = match Database::open(&file, now(), ages) {
            Err(error) if is_damage(&error) => {
                discard(&file);
                let trouble =
                    format!("the path info cache '{}' was damaged ({error}); it begins anew", file.display());
                (Database::open(&file, now(), ages), Some(trouble))
            }
            opened => (opened, None),
        };
        let database = opened.map_err(|source| PathInfoCacheError { file: file.clone(), source })?;
        Ok(Self(Arc::new(Shared {
            file,
            ages,
            database: Mutex::new(Some(database)),
            pending: Mutex::default(),
            flushing: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            trouble: Mutex::new(trouble),
        })))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// Why nothing is remembered any more, or why everything was forgotten; told once.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).take()
    }

    /// Questions that were answered from the file.
    pub fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::Relaxed)
    }

    /// Writes what waits in memory. To be called at the end: what was not written is asked again next time.
    pub async fn flush(&self) {
        let shared = Arc::clone(&self.0);
        // The thread fails only by a panic, which has been reported.
        let _ = tokio::task::spawn_blocking(move || shared.flush()).await;
    }

    fn change(&self, identity: &Arc<str>, hash_part: &HashPart, change: Change) {
        let waiting = {
            let mut pending = lock(&self.0.pending);
            pending.insert((Arc::clone(identity), *hash_part), (now(), change));
            pending.len()
        };
        if waiting >= BATCH && !self.0.flushing.swap(true, Ordering::AcqRel) {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || {
                shared.flush();
                shared.flushing.store(false, Ordering::Release);
            });
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shared) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || question(&shared)).await.ok().flatten()
    }
}

impl Shared {
    fn flush(&self) {
        // What comes in meanwhile is written next time. Readers look into the file behind the same lock, so they find
        // what was taken out of memory here.
        let mut changes = Pending::new();
        let written = self.with(|database| {
            changes = std::mem::take(&mut *lock(&self.pending));
            let mut numbers: HashMap<&str, i64> = HashMap::new();
            for (identity, _) in changes.keys() {
                if !numbers.contains_key(&**identity) {
                    numbers.insert(identity, database.cache(identity)?);
                }
            }
            database.apply(changes.iter().filter_map(|((identity, hash_part), (at, change))| {
                numbers.get(&**identity).map(|number| (*number, hash_part.as_str(), *at, change))
            }))
        });
        if written.is_none() {
            // For the next attempt, but for what is known better by now.
            let mut pending = lock(&self.pending);
            for (place, change) in changes {
                pending.entry(place).or_insert(change);
            }
        }
    }

    /// What is remembered of each hash part; those of which nothing is are left out.
    fn narinfos(
        &self,
        identity: &Arc<str>,
        hash_parts: &[HashPart],
    ) -> Option<HashMap<HashPart, Option<String>>> {
        let now = now();
        self.with(|database| {
            let number = database.cache(identity)?;
            let mut known = HashMap::new();
            for hash_part in hash_parts {
                let waiting = lock(&self.pending)
                    .get(&(Arc::clone(identity), *hash_part))
                    .map(|(_, change)| change.clone());
                let found = match waiting {
                    Some(Change::NarInfo(text)) => {
                        let lifetime = if text.is_some() { self.ages.present } else { self.ages.absent };
                        (lifetime > 0).then_some(text)
                    }
                    Some(Change::Forget) => None,
                    None => database.narinfo(number, hash_part.as_str(), now, self.ages)?,
                };
                if let Some(found) = found {
                    known.insert(*hash_part, found);
                }
            }
            Ok(known)
        })
    }

    /// Works on the database, as long as there is one. An error ends that.
    fn with<T>(&self, work: impl FnOnce(&mut Database) -> rusqlite::Result<T>) -> Option<T> {
        let mut database = lock(&self.database);
        match work(database.as_mut()?) {
            Ok(done) => Some(done),
            Err(error) if is_busy(&error) => {
                tracing::debug!(file = %self.file.display(), %error, "the path info cache is busy");
                None
            }
            Err(error) => {
                *database = None;
                if is_damage(&error) {
                    discard(&self.file);
                }
                let file = self.file.display();
                let trouble = format!("the path info cache '{file}' cannot be used any more: {error}");
                tracing::debug!(%trouble);
                *lock(&self.trouble) = Some(trouble);
                None
            }
        }
    }
}

impl fmt::Debug for PathInfoCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PathInfoCache").field("file", &self.0.file).finish_non_exhaustive()
    }
}

/// How one cache uses the file.
#[derive(Debug, Clone)]
pub struct Remembered {
    cache: PathInfoCache,
    identity: Arc<str>,
    answers: bool,
}

impl Remembered {
    /// For a cache that is read from. `identity` is the same for every URL of the same cache, is another for every other
    /// cache, the endpoint included, and holds no secret.
    pub fn new(cache: PathInfoCache, identity: impl Into<Arc<str>>) -> Self {
        Self { cache, identity: identity.into(), answers: true }
    }

    /// For a cache that is written to: nothing is answered from the file, and what changes is forgotten there.
    #[must_use]
    pub fn only_forgetting(mut self) -> Self {
        self.answers = false;
        self
    }

    pub(crate) async fn info(&self) -> Option<String> {
        if !self.answers {
            return None;
        }
        let identity = Arc::clone(&self.identity);
        let info = self.cache.ask(move |shared| {
            shared.with(|database| database.info(database.cache(&identity)?, now(), shared.ages))
        });
        let info = info.await.flatten();
        self.count(usize::from(info.is_some()));
        info
    }

    /// Notes what the cache says of itself; `None` when that has changed.
    pub(crate) async fn set_info(&self, info: Option<String>) {
        let identity = Arc::clone(&self.identity);
        let noted = self.cache.ask(move |shared| {
            shared.with(|database| database.set_info(database.cache(&identity)?, info.as_deref(), now()))
        });
        noted.await;
    }

    /// What is remembered of each hash part: the text of its narinfo, or that there is none.
    pub(crate) async fn narinfos(&self, hash_parts: Vec<HashPart>) -> HashMap<HashPart, Option<String>> {
        if !self.answers || hash_parts.is_empty() {
            return HashMap::new();
        }
        let identity = Arc::clone(&self.identity);
        let known = self.cache.ask(move |shared| shared.narinfos(&identity, &hash_parts)).await;
        let known = known.unwrap_or_default();
        self.count(known.len());
        known
    }

    /// Notes a narinfo, or that there is none.
    pub(crate) fn remember(&self, hash_part: &HashPart, text: Option<String>) {
        if self.answers {
            self.cache.change(&self.identity, hash_part, Change::NarInfo(text));
        }
    }

    pub(crate) fn forget(&self, hash_part: &HashPart) {
        self.cache.change(&self.identity, hash_part, Change::Forget);
    }

    fn count(&self, answers: usize) {
        self.cache.0.answers.fetch_add(answers as u64, Ordering::Relaxed);
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// A panic while a lock was held left a map or a transaction that is whole, or was rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_part(number: u32) -> HashPart {
        format!("{number:032}").parse().unwrap()
    }

    fn open(directory: &Path) -> PathInfoCache {
        PathInfoCache::open(directory.join("x.sqlite"), Lifetimes::default()).unwrap()
    }

    #[tokio::test]
    async fn what_is_not_yet_written_is_known_and_what_is_flushed_outlives_it() {
        let directory = tempfile::tempdir().unwrap();
        let known = Remembered::new(open(directory.path()), "s3://a");
        known.remember(&hash_part(1), Some("text".to_owned()));
        known.remember(&hash_part(2), None);
        known.set_info(Some("info".to_owned())).await;
        let asked = || vec![hash_part(1), hash_part(2), hash_part(3)];
        let expected = HashMap::from([(hash_part(1), Some("text".to_owned())), (hash_part(2), None)]);
        assert_eq!(known.narinfos(asked()).await, expected);
        known.cache.flush().await;
        let again = Remembered::new(open(directory.path()), "s3://a");
        assert_eq!(again.narinfos(asked()).await, expected);
        assert_eq!(again.info().await.as_deref(), Some("info"));
        assert_eq!(again.cache.answers(), 3);
        let other = Remembered::new(again.cache.clone(), "s3://a?endpoint=b");
        assert!(other.narinfos(asked()).await.is_empty() && other.info().await.is_none());
    }

    #[tokio::test]
    async fn a_writer_is_told_nothing_and_makes_readers_forget() {
        let directory = tempfile::tempdir().unwrap();
        let reader = Remembered::new(open(directory.path()), "s3://a");
        reader.remember(&hash_part(1), None);
        let writer = reader.clone().only_forgetting();
        assert!(writer.narinfos(vec![hash_part(1)]).await.is_empty());
        writer.remember(&hash_part(2), None);
        writer.forget(&hash_part(1));
        assert!(reader.narinfos(vec![hash_part(1), hash_part(2)]).await.is_empty());
    }

    #[tokio::test]
    async fn many_changes_are_written_without_being_asked_to() {
        let directory = tempfile::tempdir().unwrap();
        let known = Remembered::new(open(directory.path()), "s3://a");
        for number in 0..10 * BATCH as u32 {
            known.remember(&hash_part(number), Some(number.to_string()));
            tokio::task::yield_now().await;
        }
        known.cache.flush().await;
        assert!(lock(&known.cache.0.pending).is_empty());
        let all = (0..10 * BATCH as u32).map(hash_part).collect();
        assert_eq!(known.narinfos(all).await.len(), 10 * BATCH);
    }

    #[tokio::test]
    async fn a_damaged_file_is_begun_anew_and_told_once() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("x.sqlite"),
            b"this is no database at all, however long".repeat(100),
        )
        .unwrap();
        let cache = open(directory.path());
        assert!(cache.trouble().is_some_and(|trouble| trouble.contains("damaged")));
        assert_eq!(cache.trouble(), None);
        let known = Remembered::new(cache, "s3://a");
        known.remember(&hash_part(1), None);
        known.cache.flush().await;
        assert_eq!(known.narinfos(vec![hash_part(1)]).await.len(), 1);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_to_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let error = PathInfoCache::open(directory.path().join("file/x.sqlite"), Lifetimes::default());
        assert!(error.unwrap_err().to_string().contains("file/x.sqlite"));
    }
}
