//! Files that the server copies by itself, from another cache on it: nothing of them comes here.
//!
//! Nobody reads such a file, so nothing but its size is compared. Only one that has the name of its hash is copied, it keeps
//! that name, and whoever takes it out of the cache holds it against it. What is there under the name is never replaced: it
//! may have been verified.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use nars3_narinfo::{PathInfo, nar_key};
use nars3_store_api::{PackedFile, PackedFiles, StageOptions, Staged, StoreError};

use crate::BinaryCache;
use crate::debug_info::Beside;
use crate::objects::{Answer, answer};
use crate::take::StagedFile;

/// The largest object, in bytes, that S3 copies in one request: 5 GiB.
const LARGEST: u64 = 5 << 30;

/// Copies objects from another cache on the same server.
#[async_trait]
pub trait FileCopier: Debug + Send + Sync {
    /// Copies the object under the key `from` of the other cache to the key `to` of this one.
    ///
    /// # Errors
    /// Any; the file is then sent instead.
    async fn copy(&self, from: &str, to: &str) -> object_store::Result<()>;
}

/// From where files can be copied, and how.
#[derive(Debug)]
pub struct ServerCopies {
    from: String,
    copier: Arc<dyn FileCopier>,
    refused: AtomicBool,
}

impl ServerCopies {
    /// `copier` copies from the cache that prints itself as `from`.
    pub fn new(from: impl Into<String>, copier: Arc<dyn FileCopier>) -> Self {
        Self { from: from.into(), copier, refused: AtomicBool::new(false) }
    }
}

impl BinaryCache {
    /// Where the file of a path is, if `wanted` includes its compression and its narinfo says which file it is.
    pub(crate) async fn file_of(
        &self,
        info: &PathInfo,
        wanted: &PackedFiles,
    ) -> Result<Option<PackedFile>, StoreError> {
        let entry = self.entry(&info.path).await?.ok_or_else(|| self.invalid(&info.path))?;
        let (Some(hash), Some(size)) = (entry.file_hash, entry.file_size) else { return Ok(None) };
        if !wanted.includes(&entry.compression) {
            return Ok(None);
        }
        // One on another server is not this server's to copy.
        let Ok(location) = self.nar_key_of(&entry) else { return Ok(None) };
        let compression = entry.compression.clone();
        Ok(Some(PackedFile { compression, hash, size, store: self.to_string(), location }))
    }

    /// Has the server copy `file`. `None` where it is to be sent.
    pub(crate) async fn copy_file(
        &self,
        info: &PathInfo,
        file: PackedFile,
        options: StageOptions,
    ) -> Result<Option<Staged>, StoreError> {
        let Some(copies) = self.server_copies.as_ref().filter(|copies| copies.from == file.store) else {
            return Ok(None);
        };
        let must_be_read =
            options.repair || self.settings.write_nar_listing || self.settings.index_debug_info;
        if must_be_read || file.size > LARGEST || copies.refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.ensure_readable_encodings()?;
        let key = nar_key(&file.hash, &file.compression);
        // Any other name was given by whoever wrote the narinfo there, which is no reason to have its bytes under this one.
        if file.location != key {
            return Ok(None);
        }
        match self.objects.head(&key).await? {
            Some(there) if there.size == file.size => {}
            // Sent, it is verified, and may take the place of a torn one.
            Some(_) => return Ok(None),
            None if self.copied(copies, &file, &key).await? => {}
            None => return Ok(None),
        }
        let staged = StagedFile {
            ahead: None,
            key,
            compression: file.compression,
            hash: file.hash,
            size: file.size,
            replace: false,
            beside: Beside::default(),
        };
        Ok(Some(Staged::new(info.clone(), staged)))
    }

    /// Whether the file has been copied, and is of the size that was promised.
    async fn copied(&self, copies: &ServerCopies, file: &PackedFile, key: &str) -> Result<bool, StoreError> {
        let result = {
            let _turn = self.objects.turn().await;
            self.objects.stats().count_copy();
            copies.copier.copy(&file.location, key).await
        };
        match result {
            // A file of another size is found out again when it is sent, by those who can say what is wrong with it.
            Ok(()) => Ok(self.objects.head(key).await?.is_some_and(|meta| meta.size == file.size)),
            Err(error) => {
                // That one object is not there says nothing of the others.
                if answer(&error) != Answer::Missing && !copies.refused.swap(true, Ordering::Relaxed) {
                    tracing::info!(
                        store = %self, from = copies.from, %error,
                        "the server does not copy from one cache to the other: files are sent instead"
                    );
                }
                Ok(false)
            }
        }
    }
}
