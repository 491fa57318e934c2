//! Writing large objects: in parts, some at a time, with the memory that the settings allow.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use nars3_store_api::{BoxError, StoreError};
use object_store::path::Path;
use object_store::{Attributes, PutMultipartOptions};
use tokio::task::JoinSet;

use super::open_uploads::AbortOnDrop;
use super::{Answer, Kind, Mode, Objects, Written, answer, limit};
use crate::web::{FileToSend, WebServer};

/// The most parts an object may have in S3.
const MOST_PARTS: u64 = 10_000;

/// The least size of a part in S3, the last one excepted.
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// Files larger than this are looked for before they are sent: a body that is refused in the end costs more than the
/// question. Smaller ones are sent with the condition that they are not there.
const ASK_FIRST: u64 = 1024 * 1024;

/// The bytes of a file that is to be uploaded.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Memory(Bytes),
    File { file: Arc<File>, size: u64 },
}

impl Source {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Bytes that it takes in memory, and in a temporary file.
    pub(crate) fn takes(&self) -> (u64, u64) {
        match self {
            Self::Memory(bytes) => (bytes.len() as u64, 0),
            Self::File { size, .. } => (0, *size),
        }
    }

    /// Its bytes from the beginning on, for a thread that may block.
    pub(super) fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Memory(bytes) => Box::new(bytes.as_ref()),
            Self::File { file, .. } => Box::new(FromStart { file, at: 0 }),
        }
    }

    pub(super) async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| outside())?;
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(range.start).map_err(|_| outside())?;
                let end = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(outside)?;
                Ok(bytes.slice(start..end))
            }
            Self::File { file, .. } => {
                let file = Arc::clone(file);
                let read = move || {
                    let mut buffer = vec![0; length];
                    file.read_exact_at(&mut buffer, range.start).map(|()| buffer.into())
                };
                tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
            }
        }
    }
}

/// A file from its beginning on, wherever others who have it are.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Objects {
    /// Writes the file `source` under `key`, a name that follows from its content: what is there already is kept if
    /// it has the right size, unless `replace`. `Written::Not` says that it was kept. Memory for a file on disk is that of a
    /// part, or of some chunks; one that is to go in one request of an object store is refused if it needs more.
    pub(crate) async fn put_file(
        &self,
        key: &str,
        source: &Source,
        kind: Kind,
        replace: bool,
    ) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        let size = source.size();
        if !replace && self.asks_first(size) && self.is_there(key, size).await? {
            return Ok(Written::Not);
        }
        if let (Source::File { file, .. }, Some(web)) = (source, &self.web)
            && self.in_parts(size)
        {
            let file = FileToSend::new(Arc::clone(file), size);
            return self.put_file_streamed(web.as_ref(), &path, file, self.headers(kind)).await;
        }
        if self.in_parts(size) && self.put_file_in_parts(&path, source, kind).await? {
            tracing::debug!(store = %self.uri, key, bytes = size, "uploaded in parts");
            return Ok(Written::Now);
        }
        if let Source::File { .. } = source {
            limit::check_whole(size, self.upload_memory.total())
                .map_err(|error| self.failed(format!("write '{key}'"), error))?;
        }
        // What is in memory is accounted for by whoever put it there.
        let _share = match source {
            Source::Memory(_) => None,
            Source::File { .. } => Some(self.upload_memory.take(size).await),
        };
        let body =
            source.read(0..size).await.map_err(|error| self.failed(format!("read back '{key}'"), error))?;
        let mode = if replace || size > ASK_FIRST { Mode::Always } else { Mode::IfAbsent };
        let written = self.put_with_or_without_headers(&path, body.clone(), kind, &mode).await?;
        if written == Written::Not {
            self.was_empty.store(false, Ordering::Relaxed);
        }
        if written == Written::Not && !self.is_there(key, size).await? {
            return self.put_with_or_without_headers(&path, body, kind, &Mode::Always).await;
        }
        tracing::debug!(store = %self.uri, key, bytes = size, ?written, "uploaded");
        Ok(written)
    }

    /// Sends a large file to a web server, which takes objects whole.
    pub(super) async fn put_file_streamed(
        &self,
        web: &dyn WebServer,
        path: &Path,
        file: FileToSend,
        headers: Attributes,
    ) -> Result<Written, StoreError> {
        let turn = self.turn().await;
        let size = file.size();
        self.stats.count_put(size);
        web.put_file(path, file, headers)
            .await
            .map_err(|error| self.failed(format!("write '{path}'"), error))?;
        turn.took(size);
        self.sent(size);
        tracing::debug!(store = %self.uri, key = %path, bytes = size, "uploaded as it was read");
        Ok(Written::Now)
    }

    /// Whether to look for an object of `size` bytes before it is sent. In a cache that was empty a moment ago, only
    /// those that are worth it whatever the odds: an interrupted push may have left them.
    fn asks_first(&self, size: u64) -> bool {
        size > ASK_FIRST && (self.in_parts(size) || !self.was_empty.load(Ordering::Relaxed))
    }

    /// Whether the object is there, whole. A torn one is to be replaced, or it would never heal.
    pub(crate) async fn is_there(&self, key: &str, size: u64) -> Result<bool, StoreError> {
        match self.head(key).await? {
            None => Ok(false),
            Some(meta) if meta.size == size => Ok(true),
            Some(meta) => {
                self.warn(&format!(
                    "'{key}' in '{}' has {} bytes instead of {size} and is replaced",
                    self.uri, meta.size
                ));
                Ok(false)
            }
        }
    }

    /// Whether an object of `size` bytes is to be sent in parts.
    pub(crate) fn in_parts(&self, size: u64) -> bool {
        size > 0 && size >= self.limits.multipart_threshold
    }

    /// False when the store has no multipart uploads.
    async fn put_file_in_parts(&self, path: &Path, source: &Source, kind: Kind) -> Result<bool, StoreError> {
        if self.keeps_headers.load(Ordering::Relaxed)
            && self.put_parts(path, source, self.headers(kind)).await?
        {
            return Ok(true);
        }
        // Either the headers or the parts are what it cannot do: without headers, it tells.
        let sent = self.put_parts(path, source, Attributes::new()).await?;
        if sent {
            self.keeps_headers.store(false, Ordering::Relaxed);
        }
        Ok(sent)
    }

    /// Sends an object in parts. False, and nothing was sent, when the store cannot do that with these headers.
    pub(super) async fn put_parts(
        &self,
        path: &Path,
        source: &Source,
        headers: Attributes,
    ) -> Result<bool, StoreError> {
        let failed = |error: BoxError| self.failed(format!("write '{path}' in parts"), error);
        if let Source::File { size, .. } = source {
            let part = part_size(*size, self.limits.part_size);
            limit::check(*size, part, self.upload_memory.total()).map_err(|error| failed(error.into()))?;
        }
        let options = PutMultipartOptions { attributes: headers, ..PutMultipartOptions::default() };
        let mut upload = match AbortOnDrop::begin(&self.store, path, options, &self.open_uploads).await {
            Ok(begun) => begun,
            Err(error) if answer(&error) == Answer::NotSupported => return Ok(false),
            Err(error) => return Err(failed(error.into())),
        };
        let Err(error) = self.send_parts(&mut upload, source).await else {
            upload.done();
            return Ok(true);
        };
        upload.abort(&self.uri, path).await;
        Err(failed(error))
    }

    async fn send_parts(&self, upload: &mut AbortOnDrop, source: &Source) -> Result<(), BoxError> {
        let size = source.size();
        let part_size = part_size(size, self.limits.part_size);
        // Tasks, not futures of this one: a part that has its memory must go on while the next waits for memory.
        let mut parts = JoinSet::new();
        let mut start = 0;
        while start < size {
            let end = size.min(start.saturating_add(part_size));
            // One that has failed makes the others useless: it is to be seen as soon as can be.
            while let Some(part) = parts.try_join_next() {
                self.part_done(part??);
            }
            while parts.len() >= self.limits.concurrent_parts.max(1) {
                if let Some(part) = parts.join_next().await {
                    self.part_done(part??);
                }
            }
            let share = self.upload_memory.take(end - start).await;
            let bytes = source.read(start..end).await?;
            let sending = upload.get()?.put_part(bytes.into());
            parts.spawn(async move {
                let sent = sending.await.map(|()| end - start);
                drop(share);
                sent
            });
            start = end;
        }
        while let Some(part) = parts.join_next().await {
            self.part_done(part??);
        }
        upload.get()?.complete().await?;
        Ok(())
    }

    pub(super) fn part_done(&self, bytes: u64) {
        self.stats.count_part(bytes);
        self.sent(bytes);
    }
}

/// The part size for a file: the one asked for, or what keeps the file within the number of parts that S3 allows.
pub(super) fn part_size(file_size: u64, asked: u64) -> u64 {
    asked.max(LEAST_PART).max(file_size.div_ceil(MOST_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_are_as_asked_while_ten_thousand_suffice() {
        assert_eq!(part_size(100 * MIB, 8 * MIB), 8 * MIB);
        assert_eq!(part_size(80_000 * MIB, 8 * MIB), 8 * MIB);
    }

    #[test]
    fn parts_grow_with_giant_files() {
        let giant = 5 * 1024 * 1024 * MIB;
        assert!(giant.div_ceil(part_size(giant, 8 * MIB)) <= MOST_PARTS);
    }

    #[test]
    fn parts_are_never_below_what_s3_takes() {
        assert_eq!(part_size(100 * MIB, 1), LEAST_PART);
    }
}
