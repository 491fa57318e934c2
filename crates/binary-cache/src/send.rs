//! Sending a NAR out of the cache: fetched, checked as a file, decompressed, and checked as a NAR.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use nars3_compression::{Compression, DecoderOptions, decoder_with};
use nars3_narinfo::PathInfo;
use nars3_store_api::{BoxError, CHUNK_SIZE, NarStream, NarWriter, Stage, StoreError, Work};
use nars3_store_path::{Hash, Hasher, StorePath};

use crate::BinaryCache;
use crate::known::Entry;
use crate::location::{LocationError, object_key, without_query};
use crate::objects::{Download, FileHere, Objects, SMALL_BODY, Turn, undo_encoding};
use crate::place::NarPlace;

impl BinaryCache {
    /// The NAR of a path. Its first byte is on its way when this returns, so a NAR that is gone is told at once; but for a
    /// file of this machine, which is opened when it is read.
    pub(crate) async fn send_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        let entry = self.entry(&info.path).await?.ok_or_else(|| self.invalid(&info.path))?;
        self.send_nar_of(entry, info).await
    }

    /// As `send_nar`, without a look at the hashes of the NAR and of its file.
    pub(crate) async fn send_unverified_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        let entry = self.entry(&info.path).await?.ok_or_else(|| self.invalid(&info.path))?;
        self.send(entry, info, false).await
    }

    /// As `send_nar`, by a narinfo that is at hand: of a large cache, memory does not keep all.
    pub(crate) async fn send_nar_of(
        &self,
        entry: Arc<Entry>,
        info: &PathInfo,
    ) -> Result<NarStream, StoreError> {
        let stream = self.send(entry, info, true).await?;
        // `run` hashes all that it writes, and ends well only if that was this NAR.
        Ok(stream.verified_as(info.nar_hash, info.nar_size))
    }

    async fn send(
        &self,
        entry: Arc<Entry>,
        info: &PathInfo,
        is_verified: bool,
    ) -> Result<NarStream, StoreError> {
        // Never closed, so there is always a permit in the end. Taken first: an open body would time out waiting.
        let permit = Arc::clone(&self.nars_out).acquire_owned().await.ok();
        let unpacker = self.unpacker(&entry.compression, info.nar_size).await;
        let here =
            object_key(self.objects.uri(), &entry.url).ok().and_then(|key| self.objects.file_here(&key));
        let (entry, source) = match here {
            Some(file) => (entry, Source::Here(file)),
            None => {
                let (entry, key, download) = self.fetch_nar(entry).await?;
                (entry, Source::Coming { key, download: Box::new(download) })
            }
        };
        let is_at_hand = matches!(source, Source::Here(_));
        let unpacking = Unpacking {
            objects: Arc::clone(&self.objects),
            path: info.path.clone(),
            key: source.key().to_owned(),
            compression: entry.compression.clone(),
            options: unpacker.options.clone(),
            file_hash: entry.file_hash,
            file_size: entry.file_size,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            is_verified,
        };
        let stream = NarStream::from_blocking_sized(info.nar_size, move |writer| {
            let mut work = Work::begin(Stage::Unpack);
            let download = unpacking.open(source)?;
            let (objects, waited) = (Arc::clone(&unpacking.objects), download.waited.clone());
            let hash_part = unpacking.path.hash_part();
            let result = unpacking.run(download, writer);
            // The narinfo may be older than the file.
            if matches!(
                result,
                Err(StoreError::FileMismatch { .. }
                    | StoreError::NarHashMismatch { .. }
                    | StoreError::NarSizeMismatch { .. })
            ) {
                objects.forget_on_disk(&hash_part);
            }
            work.waited_for_input(waited.so_far());
            work.waited_for_output(writer.waited());
            objects.report_work(work);
            drop((permit, unpacker));
            result
        });
        Ok(if is_at_hand { stream.at_hand() } else { stream })
    }

    /// The file of a path, as it is stored, its key, and the narinfo that led there: a newer one than `entry` where that
    /// was remembered on disk and its file is not there, or is another.
    pub(crate) async fn fetch_nar(
        &self,
        entry: Arc<Entry>,
    ) -> Result<(Arc<Entry>, String, Download), StoreError> {
        match self.fetch_file(&entry).await {
            Ok((key, download)) => Ok((entry, key, download)),
            Err(
                StoreError::NarGone { .. } | StoreError::FileMismatch { .. } | StoreError::Corrupt { .. },
            ) if !entry.seen => {
                let path = &entry.info.path;
                self.forget(path);
                let current = self.read_entry(&path.hash_part()).await?;
                let current = current.filter(|current| current.info.path == *path);
                let current = current.ok_or_else(|| self.invalid(path))?;
                let (key, download) = self.fetch_file(&current).await?;
                Ok((current, key, download))
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch_file(&self, entry: &Entry) -> Result<(String, Download), StoreError> {
        let path = &entry.info.path;
        let place = self.locate_nar(entry).await?;
        let is_small =
            matches!(place, NarPlace::Here(_)) && entry.file_size.is_some_and(|size| size <= SMALL_BODY);
        let turn = if is_small { Some(self.objects.turn().await) } else { None };
        let found = self.download_nar(&place, None).await?;
        turn.iter().for_each(Turn::answered);
        let key = place.name().to_owned();
        let Some(download) = found else {
            self.forget(path);
            return Err(StoreError::NarGone { store: self.to_string(), path: path.clone(), location: key });
        };
        ensure_size(&self.objects, path, &key, entry.file_size, &download)?;
        Ok((key, download))
    }

    /// The key of the file that a narinfo may name: as `nar_key_of`, and where the URL leads elsewhere, that of the file of
    /// this cache that it could be by another name of the server. For those who must not take it for nobody's.
    pub(crate) fn file_named_by(&self, entry: &Entry) -> Option<String> {
        let url = without_query(&entry.url);
        let other_name = || {
            let name = url.rsplit_once("/nar/").map(|(_, name)| name).or_else(|| url.strip_prefix("nar/"))?;
            Some(format!("nar/{name}"))
        };
        self.nar_key_of(entry).ok().or_else(other_name)
    }

    /// The key of the file of a path, which is what it is called in the cache. An error for one that lies elsewhere.
    pub(crate) fn nar_key_of(&self, entry: &Entry) -> Result<String, StoreError> {
        let misled = |error| self.misled(entry, error);
        let key = self.objects.location(&entry.url).map_err(misled)?.key;
        key.ok_or_else(|| misled(LocationError::OtherOrigin { url: entry.url.clone() }))
    }

    /// Where to ask for the file of a path: its key, or a URL of the web server that the cache is on.
    pub(crate) fn nar_place_of(&self, entry: &Entry) -> Result<String, StoreError> {
        let location = self.objects.location(&entry.url);
        Ok(location.map_err(|error| self.misled(entry, error))?.place)
    }

    fn misled(&self, entry: &Entry, error: LocationError) -> StoreError {
        self.objects.corrupt(format!("{}.narinfo", entry.info.path.hash_part()), error)
    }
}

/// That a file is as large as its narinfo says. A body that is decoded on the way says nothing of it.
fn ensure_size(
    objects: &Objects,
    path: &StorePath,
    key: &str,
    expected: Option<u64>,
    download: &Download,
) -> Result<(), StoreError> {
    match expected {
        Some(expected) if download.encoding.is_empty() && expected != download.object_size => {
            Err(StoreError::FileMismatch {
                store: objects.uri().to_owned(),
                path: path.clone(),
                location: key.to_owned(),
                field: "FileSize",
                expected: expected.to_string(),
                actual: download.object_size.to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// Where the file of a NAR comes from.
enum Source {
    Coming { key: String, download: Box<Download> },
    Here(FileHere),
}

impl Source {
    fn key(&self) -> &str {
        match self {
            Self::Coming { key, .. } => key,
            Self::Here(file) => &file.key,
        }
    }
}

/// One NAR, from its file to its consumer.
struct Unpacking {
    objects: Arc<Objects>,
    path: StorePath,
    key: String,
    compression: Compression,
    options: DecoderOptions,
    file_hash: Option<Hash>,
    file_size: Option<u64>,
    nar_hash: Hash,
    nar_size: u64,
    /// Whether hashes are looked at.
    is_verified: bool,
}

impl Unpacking {
    fn open(&self, source: Source) -> Result<Download, StoreError> {
        let file = match source {
            Source::Coming { download, .. } => return Ok(*download),
            Source::Here(file) => file,
        };
        let download = self.objects.open_here(&file)?.ok_or_else(|| StoreError::NarGone {
            store: self.objects.uri().to_owned(),
            path: self.path.clone(),
            location: file.key,
        })?;
        ensure_size(&self.objects, &self.path, &self.key, self.file_size, &download)?;
        Ok(download)
    }

    fn run(self, download: Download, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        let body = undo_encoding(&download.encoding, download.body).map_err(|error| self.corrupt(error))?;
        // Stored as it is, and of one hash: what is checked of the NAR is checked of the file.
        let same = self.compression == Compression::None && self.file_hash == Some(self.nar_hash);
        let mut file = Checked::new(body, self.file_hash.filter(|_| self.is_verified && !same));
        let mut hasher = self.is_verified.then(|| Hasher::new(self.nar_hash.algorithm()));
        let mut size: u64 = 0;
        let mut pass = |chunk: &[u8]| {
            size += chunk.len() as u64;
            // A compressed file may hold any number of bytes: nothing beyond what is due is passed on.
            if size > self.nar_size {
                return Err(self.wrong_size(size));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(chunk);
            }
            // The consumer went away; there is nobody to hear about it.
            writer.write_all(chunk).map_err(|_| StoreError::NarInterrupted)
        };
        if self.compression == Compression::None {
            loop {
                let chunk = file.fill_buf().map_err(|error| self.unreadable(error))?;
                let count = chunk.len();
                if count == 0 {
                    break;
                }
                pass(chunk)?;
                file.consume(count);
            }
        } else {
            let mut nar = decoder_with(&self.compression, &self.options, Box::new(&mut file))
                .map_err(|error| self.corrupt(error))?;
            let mut buffer = vec![0; chunk_size(self.nar_size)];
            loop {
                let count = nar.read(&mut buffer).map_err(|error| self.unreadable(error))?;
                let chunk = buffer.get(..count).unwrap_or_default();
                if chunk.is_empty() {
                    break;
                }
                pass(chunk)?;
            }
        }
        self.check_file(file)?;
        if size != self.nar_size {
            return Err(self.wrong_size(size));
        }
        let Some(actual) = hasher.map(Hasher::finish) else { return Ok(()) };
        if actual != self.nar_hash && same {
            return Err(self.wrong_file("FileHash", self.nar_hash.to_string(), actual.to_string()));
        }
        if actual != self.nar_hash {
            return Err(StoreError::NarHashMismatch {
                store: self.objects.uri().to_owned(),
                path: self.path,
                expected: self.nar_hash,
                actual,
            });
        }
        Ok(())
    }

    fn check_file<R: BufRead>(&self, mut file: Checked<R>) -> Result<(), StoreError> {
        // Most decoders stop at the end of the stream that they decode, before that of the file.
        io::copy(&mut file, &mut io::sink()).map_err(|error| self.unreadable(error))?;
        if let Some(expected) = self.file_size.filter(|expected| *expected != file.size) {
            return Err(self.wrong_file("FileSize", expected.to_string(), file.size.to_string()));
        }
        let actual = file.hasher.map(Hasher::finish);
        match (self.file_hash, actual) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(self.wrong_file("FileHash", expected.to_string(), actual.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, actual: u64) -> StoreError {
        StoreError::NarSizeMismatch {
            store: self.objects.uri().to_owned(),
            path: self.path.clone(),
            expected: self.nar_size,
            actual,
        }
    }

    fn wrong_file(&self, field: &'static str, expected: String, actual: String) -> StoreError {
        StoreError::FileMismatch {
            store: self.objects.uri().to_owned(),
            path: self.path.clone(),
            location: self.key.clone(),
            field,
            expected,
            actual,
        }
    }

    fn corrupt(&self, error: impl Into<BoxError>) -> StoreError {
        self.objects.corrupt(&self.key, error)
    }

    /// The bytes could not be decoded, or could not be had.
    fn unreadable(&self, error: io::Error) -> StoreError {
        self.objects.unreadable(&self.key, error)
    }
}

/// Bytes to have in hand of a body of `size` bytes, and one more that shows its end or that it has none.
fn chunk_size(size: u64) -> usize {
    usize::try_from(size).unwrap_or(CHUNK_SIZE).saturating_add(1).min(CHUNK_SIZE)
}

/// A reader that counts and, if there is a hash to compare with, hashes what passes.
struct Checked<R> {
    inner: R,
    hasher: Option<Hasher>,
    size: u64,
}

impl<R: BufRead> Checked<R> {
    fn new(inner: R, expected: Option<Hash>) -> Self {
        Self { inner, hasher: expected.map(|hash| Hasher::new(hash.algorithm())), size: 0 }
    }
}

impl<R: BufRead> BufRead for Checked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // The buffer is still filled, so this reads nothing and cannot fail.
        if let (Some(hasher), Ok(buffer)) = (&mut self.hasher, self.inner.fill_buf()) {
            hasher.update(buffer.get(..amount).unwrap_or(buffer));
        }
        self.size += amount as u64;
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
