//! A cache in a directory of this machine, whose files are read where they are used: a thread that may block opens and reads
//! them at once, many small ones in one go. By way of the object store, each would take several trips to such a thread.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_store_api::{BoxError, StoreError};

use super::download::{Download, FileBody};
use super::{Objects, not_text};

/// Small files that one thread reads in one go.
const FILES_IN_ONE_GO: usize = 64;

/// A file of the cache.
#[derive(Debug, Clone)]
pub(crate) struct FileHere {
    pub(crate) key: String,
    path: PathBuf,
}

impl Objects {
    /// The file of `key`, if this cache is a directory; `None` where it is not, and for keys that are not plain names: how
    /// the object store spells those is its own affair.
    pub(crate) fn file_here(&self, key: &str) -> Option<FileHere> {
        let directory = self.directory.as_ref()?;
        let plain = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
        };
        key.split('/').all(plain).then(|| FileHere { key: key.to_owned(), path: directory.join(key) })
    }

    /// The texts of small files, each of at most `limit` bytes, in their order; `None` for each that is not there.
    pub(crate) async fn texts_here(
        self: &Arc<Self>,
        files: Vec<FileHere>,
        limit: u64,
    ) -> Result<Vec<Option<String>>, StoreError> {
        let groups: Vec<Vec<FileHere>> = files.chunks(FILES_IN_ONE_GO).map(<[FileHere]>::to_vec).collect();
        let read = |group: Vec<FileHere>| {
            let objects = Arc::clone(self);
            async move {
                let read = move || group.iter().map(|file| objects.text_here(file, limit)).collect();
                tokio::task::spawn_blocking(read)
                    .await
                    .map_err(|error| self.failed("read narinfos".to_owned(), error))?
            }
        };
        let texts: Vec<Vec<Option<String>>> = stream::iter(groups.into_iter().map(read))
            .buffered(self.limits.concurrent_requests.max(1))
            .try_collect()
            .await?;
        Ok(texts.into_iter().flatten().collect())
    }

    fn text_here(&self, file: &FileHere, limit: u64) -> Result<Option<String>, StoreError> {
        self.stats.count_get();
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(&file.path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(format!("read '{}'", file.key), error)),
        };
        if bytes.len() as u64 > limit {
            let reason = format!("it has more than {limit} bytes, and those are not believed");
            return Err(self.corrupt(&file.key, reason));
        }
        self.received(bytes.len());
        let text = String::from_utf8(bytes);
        let not_text = |error: std::string::FromUtf8Error| not_text(error.as_bytes(), error.utf8_error());
        text.map(Some).map_err(|error| self.corrupt(&file.key, not_text(error)))
    }

    /// The contents of a file; `None` if there is none. Blocks.
    pub(crate) fn open_here(self: &Arc<Self>, file: &FileHere) -> Result<Option<Download>, StoreError> {
        self.stats.count_get();
        let open = || -> Result<(File, u64), BoxError> {
            let opened = File::open(&file.path)?;
            let metadata = opened.metadata()?;
            if metadata.is_file() { Ok((opened, metadata.len())) } else { Err("it is no file".into()) }
        };
        match open() {
            Ok((opened, size)) => {
                let body = FileBody::whole(Arc::clone(self), opened, size);
                Ok(Some(Download::of_file(body, size)))
            }
            Err(error) => match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => Ok(None),
                _ => Err(self.failed(format!("read '{}'", file.key), error)),
            },
        }
    }
}
