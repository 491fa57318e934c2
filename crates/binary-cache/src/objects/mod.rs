//! The object store as a cache sees it: documents and files under keys, errors that name the store and the key,
//! requests counted, headers where they can be kept.

mod answer;
mod directory;
mod download;
mod encoding;
mod keys;
mod keyspace;
mod kind;
mod lead;
mod limit;
mod lock;
mod open_uploads;
mod spooled;
mod spread;
mod stream;
mod upload;
mod walk;
mod window;
mod write;

use std::future::ready;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::Utf8Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream as streams};
use nars3_compression::CompressionError;
use nars3_narinfo::CACHE_INFO_KEY;
use nars3_store_api::{BoxError, Event, Progress, StoreError, Work};
use nars3_store_path::HashPart;
use nars3_store_url::HeaderSettings;
use object_store::path::Path;
use object_store::{
    Attribute, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, UpdateVersion,
};

use answer::has_no_conditions;
pub(crate) use answer::{Answer, answer, is_denial};
pub(crate) use download::Download;
use encoding::encode;
pub(crate) use encoding::undo_encoding;
pub(crate) use keys::hash_part_of;
pub(crate) use keyspace::position;
pub(crate) use kind::{Encodings, Kind};
pub(crate) use lead::Ahead;
pub use limit::UploadLimit;
pub use open_uploads::{OpenUpload, OpenUploads};
pub(crate) use stream::Piece;
pub(crate) use upload::Source;
pub(crate) use walk::PAGE;
pub(crate) use write::{Mode, Written};

pub(crate) use directory::FileHere;
use lead::Lead;
use lock::DirectoryLock;
use tokio::sync::OnceCell;
use window::Window;
pub(crate) use window::{SMALL_BODY, Turn};

use crate::budget::Budget;
use crate::location::{Location, LocationError, is_absolute, location, without_query};
use crate::options::{BinaryCacheOptions, Limits, ListingOrder};
use crate::path_info_cache::Remembered;
use crate::stats::CacheStats;
use crate::web::WebServer;

/// An object store with the manners of a binary cache.
#[derive(Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where its files are, if it is a directory of this machine.
    directory: Option<PathBuf>,
    uri: String,
    progress: Arc<dyn Progress>,
    pub(crate) remembered: Option<Remembered>,
    stats: CacheStats,
    limits: Limits,
    listing: ListingOrder,
    encodings: Encodings,
    headers: HeaderSettings,
    requests: Window,
    pub(crate) lead: Lead,
    pub(crate) upload_memory: Budget,
    open_uploads: OpenUploads,
    web: Option<Arc<dyn WebServer>>,
    lock: DirectoryLock,
    /// Set when nothing was found in the cache as it was opened.
    was_empty: AtomicBool,
    /// Cleared when the store says that it keeps no headers (a directory of files).
    keeps_headers: AtomicBool,
    /// Whether somebody was told that access denied is taken for absent.
    told_of_denials: AtomicBool,
    /// Whether the `nix-cache-info` of the cache was denied when it was read.
    info_denied: AtomicBool,
    /// Whether `nix-cache-info` was read or written: these credentials are good for this cache.
    proven: AtomicBool,
    /// Whether `nix-cache-info` came from what was remembered, and the first denial is to be looked into.
    info_remembered: AtomicBool,
    /// Set once that was done.
    proof: OnceCell<()>,
    /// Whether the server tells these credentials that an object is not there, so that a denial is one; found out at the first.
    tells_absence: OnceCell<bool>,
}

/// How the keys of narinfos end.
const NARINFO: &str = ".narinfo";

/// A key that no cache has.
const NOBODYS_KEY: &str = "00000000000000000000000000000000.narinfo";

/// Why there is nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// There is no such object.
    Missing,
    /// Access is denied, which is taken to mean the same, but may be another tomorrow: nobody remembers it.
    Denied,
}

/// A small object, decoded, and the version of it that was read.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) version: UpdateVersion,
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, options: &BinaryCacheOptions) -> Self {
        Self {
            store,
            directory: options.directory.clone(),
            uri: options.uri.clone(),
            progress: Arc::clone(&options.progress),
            remembered: options.remembered.clone(),
            stats: CacheStats::default(),
            limits: options.limits.clone(),
            listing: options.listing,
            encodings: Encodings::new(&options.cache),
            headers: options.headers.clone(),
            requests: Window::new(options.limits.concurrent_requests),
            lead: Lead::new(),
            upload_memory: Budget::new(options.limits.upload_memory),
            open_uploads: options.open_uploads.clone(),
            web: options.web.clone(),
            lock: DirectoryLock::new(options.locked.clone()),
            was_empty: AtomicBool::new(false),
            keeps_headers: AtomicBool::new(true),
            told_of_denials: AtomicBool::new(false),
            info_denied: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            info_remembered: AtomicBool::new(false),
            proof: OnceCell::new(),
            tells_absence: OnceCell::new(),
        }
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn stats(&self) -> &CacheStats {
        &self.stats
    }

    /// The cache has not even a `nix-cache-info`: what is sent will hardly be there.
    pub(crate) fn note_empty(&self) {
        self.was_empty.store(true, Ordering::Relaxed);
    }

    /// Tells whoever opened the cache how a stage spent its time.
    pub(crate) fn report_work(&self, work: Work) {
        self.progress.report(work.end());
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn encodings(&self) -> &Encodings {
        &self.encodings
    }

    /// An error of this store, with what was tried.
    pub(crate) fn failed(&self, action: impl Into<String>, source: impl Into<BoxError>) -> StoreError {
        StoreError::Backend { store: self.uri.clone(), action: action.into(), source: source.into() }
    }

    /// What is under `key` makes no sense.
    pub(crate) fn corrupt(&self, key: impl Into<String>, source: impl Into<BoxError>) -> StoreError {
        StoreError::Corrupt { store: self.uri.clone(), location: key.into(), source: source.into() }
    }

    /// The bytes of `key` could not be decoded, or could not be had.
    pub(crate) fn unreadable(&self, key: &str, error: io::Error) -> StoreError {
        match error.get_ref() {
            Some(inner) if inner.is::<CompressionError>() => self.corrupt(key, error),
            _ => self.failed(format!("read '{key}'"), error),
        }
    }

    /// Tells whoever opened the cache, and nobody else: what becomes of a warning is theirs to decide.
    pub(crate) fn warn(&self, message: &str) {
        self.progress.report(Event::Warning { message });
    }

    /// Sees to it that what was remembered of a path on disk is not believed any more.
    pub(crate) fn forget_on_disk(&self, hash_part: &HashPart) {
        if let Some(remembered) = &self.remembered {
            remembered.forget(hash_part);
        }
    }

    fn path(&self, key: &str) -> Result<Path, StoreError> {
        Path::parse(key).map_err(|source| self.failed(format!("use the key '{key}'"), source))
    }

    /// The object store that has `key`, and where: this cache's own, but for a URL of its web server.
    fn place(&self, key: &str) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
        match &self.web {
            Some(web) if is_absolute(key) => web
                .object(key)
                .map_err(|error| self.failed(format!("use the URL '{}'", without_query(key)), error)),
            _ => Ok((Arc::clone(&self.store), self.path(key)?)),
        }
    }

    /// Where the `URL` of a narinfo leads.
    pub(crate) fn location(&self, url: &str) -> Result<Location, LocationError> {
        location(&self.uri, url, self.web.as_deref())
    }

    /// A place among the small requests.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        self.requests.turn().await
    }

    /// The small object under `key`, its Content-Encoding undone, of at most `limit` bytes; `None` if there is none.
    pub(crate) async fn document(&self, key: &str, limit: u64) -> Result<Option<Document>, StoreError> {
        Ok(self.look_up(key, limit).await?.ok())
    }

    /// As `document`, with the reason why there is none.
    pub(crate) async fn look_up(
        &self,
        key: &str,
        limit: u64,
    ) -> Result<Result<Document, Absence>, StoreError> {
        self.read(key, limit, false).await
    }

    /// As `document`, of a key that a listing has just given: it is there, so access denied is an error.
    pub(crate) async fn listed_document(
        &self,
        key: &str,
        limit: u64,
    ) -> Result<Option<Document>, StoreError> {
        Ok(self.read(key, limit, true).await?.ok())
    }

    async fn read(
        &self,
        key: &str,
        limit: u64,
        is_listed: bool,
    ) -> Result<Result<Document, Absence>, StoreError> {
        let path = self.path(key)?;
        let turn = self.turn().await;
        self.stats.count_get();
        let reading = || format!("read '{key}'");
        let found = match self.store.get_opts(&path, GetOptions::default()).await {
            Ok(found) => found,
            Err(error) => {
                if is_listed && answer(&error) == Answer::Denied {
                    return Err(self.failed(reading(), error));
                }
                self.settle_denial(key, &error).await;
                match self.absence(key, &error) {
                    Some(absence) => {
                        turn.answered();
                        return Ok(Err(absence));
                    }
                    None => return Err(self.failed(reading(), error)),
                }
            }
        };
        if found.meta.size > limit {
            let reason = format!("it has {} bytes, and more than {limit} are not believed", found.meta.size);
            return Err(self.corrupt(key, reason));
        }
        turn.answered();
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let header = content_encoding(&found);
        let raw = self.body_within(found, limit).await.map_err(|error| self.failed(reading(), error))?;
        let body = encoding::decode(&header, raw, limit).await.map_err(|error| self.corrupt(key, error))?;
        if key == CACHE_INFO_KEY {
            self.prove();
        }
        Ok(Ok(Document { body, version }))
    }

    /// As `document`, as text.
    pub(crate) async fn text(&self, key: &str, limit: u64) -> Result<Option<String>, StoreError> {
        let Some(document) = self.document(key, limit).await? else { return Ok(None) };
        self.as_text(key, document).map(Some)
    }

    /// A document that is text.
    pub(crate) fn as_text(&self, key: &str, document: Document) -> Result<String, StoreError> {
        let not_text = |error: std::string::FromUtf8Error| not_text(error.as_bytes(), error.utf8_error());
        String::from_utf8(document.body.into()).map_err(|error| self.corrupt(key, not_text(error)))
    }

    /// Whether `key` may be read, whatever is in it.
    pub(crate) async fn readable(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.stats.count_get();
        let found = self.store.get_opts(&path, GetOptions::default()).await;
        found.map(|_| ()).map_err(|error| self.failed(format!("read '{key}'"), error))
    }

    /// What a HEAD request says of `key`; `None` if there is no such object.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, StoreError> {
        let (store, path) = self.place(key)?;
        let key = without_query(key);
        let _turn = self.turn().await;
        self.stats.count_head();
        match store.get_opts(&path, GetOptions::new().with_head(true)).await {
            Ok(found) => Ok(Some(found.meta)),
            Err(error) => {
                self.settle_denial(key, &error).await;
                if self.is_missing(key, &error) {
                    return Ok(None);
                }
                Err(self.failed(format!("look for '{key}'"), error))
            }
        }
    }

    /// Deletes `key`. That it is not there is no error.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key)?;
        // Not between another's look at a narinfo and its write: what is deleted here would be back.
        let _alone = if key.ends_with(NARINFO) { self.lock.take().await } else { None };
        let _turn = self.turn().await;
        self.stats.count_delete();
        let one = futures::stream::iter([Ok(path)]);
        match self.store.delete_stream(Box::pin(one)).try_for_each(async |_| Ok(())).await {
            Ok(()) => Ok(()),
            Err(error) if answer(&error) == Answer::Missing => Ok(()),
            Err(error) => Err(self.failed(format!("delete '{key}'"), error)),
        }
    }

    /// Whether `nix-cache-info` was denied when it was read. It may be there or not.
    pub(crate) fn info_denied(&self) -> bool {
        self.info_denied.load(Ordering::Relaxed)
    }

    /// Whether `nix-cache-info` was read or written, so that these credentials are known to be good for this cache.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// `nix-cache-info` was read or written.
    fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether a read of `key` that failed with `error` means that there is no such object.
    ///
    /// Access denied does, but only once `nix-cache-info` was read or written: before, it may as well mean that these
    /// credentials are not for this cache. And not where the server tells these credentials what is not there, as S3 does those who
    /// may list the bucket.
    fn is_missing(&self, key: &str, error: &object_store::Error) -> bool {
        self.absence(key, error).is_some()
    }

    /// Why there is no object under `key`, if that is what `error` says.
    fn absence(&self, key: &str, error: &object_store::Error) -> Option<Absence> {
        match answer(error) {
            Answer::Missing => Some(Absence::Missing),
            Answer::Denied if key == CACHE_INFO_KEY && !self.is_proven() => {
                self.info_denied.store(true, Ordering::Relaxed);
                Some(Absence::Denied)
            }
            Answer::Denied if self.is_proven() && self.tells_absence.get() != Some(&true) => {
                if !self.told_of_denials.swap(true, Ordering::Relaxed) {
                    self.warn(&format!(
                        "access to '{key}' in '{}' is denied, which is taken to mean that it does not exist, as S3 \
                         answers so for missing objects without the permission s3:ListBucket",
                        self.uri
                    ));
                }
                Some(Absence::Denied)
            }
            _ => None,
        }
    }

    /// Finds out what it means that access is denied. Whose `nix-cache-info` was remembered from earlier has not proven anything
    /// yet: it does now, or fails to. And the server is asked for what nobody has: as long as it denies that as well, a denial says nothing.
    async fn settle_denial(&self, key: &str, error: &object_store::Error) {
        if key == CACHE_INFO_KEY || answer(error) != Answer::Denied {
            return;
        }
        if self.info_remembered.load(Ordering::Relaxed) && !self.is_proven() {
            // Many reads may be denied at once; one of them asks, and all wait for its answer.
            let prove = async || {
                self.stats.count_get();
                let proof = Path::from(CACHE_INFO_KEY);
                if self.store.get_opts(&proof, GetOptions::default()).await.is_ok() {
                    self.prove();
                }
            };
            self.proof.get_or_init(prove).await;
        }
        if self.is_proven() {
            // Where the answer is neither, it is asked again at the next denial.
            let ask = async || {
                self.stats.count_get();
                match self.store.get_opts(&Path::from(NOBODYS_KEY), GetOptions::default()).await {
                    Ok(_) => Ok(true),
                    Err(error) => match answer(&error) {
                        Answer::Missing => Ok(true),
                        Answer::Denied => Ok(false),
                        _ => Err(()),
                    },
                }
            };
            let _ = self.tells_absence.get_or_try_init(ask).await;
        }
    }

    /// `nix-cache-info` was remembered from earlier, and not read.
    pub(crate) fn note_remembered_info(&self) {
        self.info_remembered.store(true, Ordering::Relaxed);
    }

    async fn body_within(&self, found: GetResult, limit: u64) -> Result<Bytes, BoxError> {
        let expected = found.meta.size;
        let mut body = BytesMut::new();
        let mut chunks = match found.payload {
            // At once: by way of a stream, each block would be a round trip to a thread that may block.
            GetResultPayload::File(file, _) => {
                let bytes = tokio::task::spawn_blocking(move || {
                    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(limit)).unwrap_or(0));
                    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map(|_| bytes)
                });
                streams::once(ready(Ok(Bytes::from(bytes.await??)))).boxed()
            }
            GetResultPayload::Stream(stream) => stream,
        };
        while let Some(chunk) = chunks.try_next().await? {
            self.received(chunk.len());
            body.extend_from_slice(&chunk);
            if body.len() as u64 > limit {
                return Err(format!("it has more than {limit} bytes").into());
            }
        }
        if body.len() as u64 != expected {
            return Err(format!("{} bytes came instead of {expected}", body.len()).into());
        }
        Ok(body.freeze())
    }

    fn received(&self, bytes: usize) {
        self.stats.count_received(bytes as u64);
        self.progress.report(Event::Transferred { sent: false, bytes: bytes as u64 });
    }

    fn sent(&self, bytes: u64) {
        self.progress.report(Event::Transferred { sent: true, bytes });
    }
}

/// The Content-Encoding that an object came with; empty if none.
fn content_encoding(found: &GetResult) -> String {
    found.attributes.get(&Attribute::ContentEncoding).map(|value| value.to_string()).unwrap_or_default()
}

/// Where in a document the first bytes are that are no text, and what stands around them.
fn not_text(bytes: &[u8], error: Utf8Error) -> String {
    let (before, after) = bytes.split_at_checked(error.valid_up_to()).unwrap_or((bytes, &[]));
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
    let shown =
        [before.get(start..).unwrap_or_default(), after.get(..after.len().min(8)).unwrap_or_default()]
            .concat();
    let shown: String = String::from_utf8_lossy(&shown).chars().take(100).collect();
    let shown = shown.escape_debug();
    format!("line {line} is no text, expected UTF-8: '{shown}', at byte {}", before.len())
}
