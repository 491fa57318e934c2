//! Sending the file of a path as it is: checked against its narinfo, not unpacked.

use std::io::{BufRead, Write};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{BoxError, NarStream, NarWriter, PackedFiles, PackedNar, StoreError};
use nars3_store_path::{Hash, Hasher, StorePath};

use crate::BinaryCache;
use crate::objects::{Download, Objects, undo_encoding};

impl BinaryCache {
    /// The file of a path, if `wanted` includes its compression. Its first byte is on its way when this returns.
    pub(crate) async fn send_file(
        &self,
        info: &PathInfo,
        wanted: &PackedFiles,
    ) -> Result<Option<PackedNar>, StoreError> {
        let entry = self.entry(&info.path).await?.ok_or_else(|| self.invalid(&info.path))?;
        if !wanted.includes(&entry.compression) {
            return Ok(None);
        }
        // Never closed, so there is always a permit in the end. Taken first: an open body would time out waiting.
        let permit = Arc::clone(&self.nars_out).acquire_owned().await.ok();
        let (entry, key, download) = self.fetch_nar(entry).await?;
        let sending = Sending {
            objects: Arc::clone(&self.objects),
            path: info.path.clone(),
            key: key.clone(),
            file_hash: entry.file_hash,
            file_size: entry.file_size,
        };
        let file = NarStream::from_blocking(move |writer| {
            let result = sending.run(download, writer);
            drop(permit);
            result
        });
        Ok(Some(PackedNar {
            compression: entry.compression.clone(),
            size: entry.file_size,
            store: self.to_string(),
            location: key,
            file,
            inspectors: Vec::new(),
        }))
    }
}

/// One file, from its object to its consumer.
struct Sending {
    objects: Arc<Objects>,
    path: StorePath,
    key: String,
    file_hash: Option<Hash>,
    file_size: Option<u64>,
}

impl Sending {
    fn run(self, download: Download, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        let mut body = undo_encoding(&download.encoding, download.body)
            .map_err(|error| self.objects.corrupt(&self.key, error))?;
        let mut hasher = self.file_hash.map(|hash| Hasher::new(hash.algorithm()));
        let mut size: u64 = 0;
        loop {
            let chunk = body.fill_buf().map_err(|error| self.unreadable(error))?;
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len();
            size += count as u64;
            // Nothing beyond what is due is passed on.
            if let Some(expected) = self.file_size.filter(|expected| size > *expected) {
                return Err(self.wrong("FileSize", expected.to_string(), format!("{size} or more")));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(chunk);
            }
            // The consumer went away; there is nobody to hear about it.
            writer.write_all(chunk).map_err(|_| StoreError::NarInterrupted)?;
            body.consume(count);
        }
        if let Some(expected) = self.file_size.filter(|expected| *expected != size) {
            return Err(self.wrong("FileSize", expected.to_string(), size.to_string()));
        }
        match (self.file_hash, hasher.map(Hasher::finish)) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(self.wrong("FileHash", expected.to_string(), actual.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, field: &'static str, expected: String, actual: String) -> StoreError {
        StoreError::FileMismatch {
            store: self.objects.uri().to_owned(),
            path: self.path.clone(),
            location: self.key.clone(),
            field,
            expected,
            actual,
        }
    }

    fn unreadable(&self, error: impl Into<BoxError>) -> StoreError {
        self.objects.failed(format!("read '{}'", self.key), error)
    }
}
