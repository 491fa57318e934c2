//! Taking a NAR into the cache: hashed, listed, compressed, spooled, verified, and only then uploaded.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nars3_compression::{Compression, CompressionError, EncoderOptions, encoder};
use nars3_nar::ListingSink;
use nars3_narinfo::{Listing, PathInfo, nar_key};
use nars3_store_api::{NarStream, StageOptions, Staged, StoreError};
use nars3_store_path::{Hash, Hasher};

use crate::BinaryCache;
use crate::compress::effort;
use crate::debug_info::Beside;
use crate::objects::{Kind, Objects, Source};
use crate::spool::{Spool, Spooled};

/// What the cache remembers of a path between `stage` and `publish`: where its file is, and what goes beside it.
#[derive(Debug)]
pub(crate) struct StagedFile {
    pub(crate) key: String,
    pub(crate) compression: Compression,
    pub(crate) hash: Hash,
    pub(crate) size: u64,
    pub(crate) replace: bool,
    pub(crate) beside: Beside,
}

impl BinaryCache {
    /// Takes in the NAR of `info`, and uploads it when it is what `info` says.
    pub(crate) async fn take_nar(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.ensure_readable_encodings()?;
        let limits = self.objects.limits();
        let in_memory = limits.spool_memory.min(self.compression_memory.total() / 2);
        let effort = effort(&self.settings, info.nar_size, self.compression_memory.total() - in_memory);
        if let Some(lowered) = &effort.lowered
            && !self.level_lowered.swap(true, Ordering::Relaxed)
        {
            self.objects.warn(&lowered.to_string());
        }
        // Incompressible data grows a little.
        let waiting = in_memory.min(info.nar_size.saturating_add(info.nar_size / 8).saturating_add(1024));
        let mut share = self.compression_memory.take(effort.memory + waiting).await;
        let spool = Spool::new(in_memory, limits.spool_directory.clone());
        let given_up = GivenUp::default();
        let packing = Packing {
            objects: Arc::clone(&self.objects),
            info: info.clone(),
            compression: self.settings.compression.clone(),
            options: effort.options,
            wants_listing: self.settings.write_nar_listing || self.settings.index_debug_info,
            given_up: given_up.flag(),
        };
        let packed = tokio::task::spawn_blocking(move || packing.run(nar, spool)).await;
        let Packed { file, listing } =
            packed.map_err(|error| self.objects.failed(format!("compress '{}'", info.path), error))??;
        share.shrink_to(match &file.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { .. } => 0,
        });
        let key = nar_key(&file.hash, &self.settings.compression);
        let staged = StagedFile {
            beside: listing.map(|listing| self.beside(&listing, &key)).unwrap_or_default(),
            key,
            compression: self.settings.compression.clone(),
            hash: file.hash,
            size: file.source.size(),
            replace: options.repair,
        };
        self.objects.put_file(&staged.key, &file.source, Kind::Nar, options.repair).await?;
        drop((file, share));
        Ok(Staged::new(info, staged))
    }

    /// Refuses to write documents that newer Nix could not read.
    pub(crate) fn ensure_readable_encodings(&self) -> Result<(), StoreError> {
        match self.objects.encodings().unreadable() {
            Some((setting, method)) if !self.force_encodings => {
                let reason = UnreadableEncoding { setting, method: method.clone() };
                Err(self.objects.failed(format!("write with {setting}={method}"), reason))
            }
            _ => Ok(()),
        }
    }
}

/// A Content-Encoding that is not written unless `force_encodings` is set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Nix 2.34 and later read no Content-Encoding '{method}', only gzip, br and zstd ({setting})")]
pub struct UnreadableEncoding {
    /// The setting that asks for it.
    pub setting: &'static str,
    /// Its value.
    pub method: Compression,
}

/// Tells the thread that works for a task when the task was cancelled.
#[derive(Debug, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// What the thread looks at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One NAR on its way into a file.
struct Packing {
    objects: Arc<Objects>,
    info: PathInfo,
    compression: Compression,
    options: EncoderOptions,
    wants_listing: bool,
    given_up: Arc<AtomicBool>,
}

/// A NAR that is what its path info says, as a file.
struct Packed {
    file: Spooled,
    listing: Option<Listing>,
}

impl Packing {
    fn run(&self, mut nar: NarStream, spool: Spool) -> Result<Packed, StoreError> {
        let mut hasher = Hasher::new(self.info.nar_hash.algorithm());
        let mut size: u64 = 0;
        let mut listing = self.wants_listing.then(ListingSink::default);
        let unsupported = |error: CompressionError| {
            self.objects.failed(format!("compress '{}' with '{}'", self.info.path, self.compression), error)
        };
        let unwritable = |error: io::Error| {
            self.objects.failed(format!("compress '{}' into a temporary file", self.info.path), error)
        };
        let mut packer = encoder(&self.compression, &self.options, spool).map_err(unsupported)?;
        while let Some(chunk) = nar.blocking_next()? {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(StoreError::NarInterrupted);
            }
            size += chunk.len() as u64;
            if size > self.info.nar_size {
                break;
            }
            hasher.update(&chunk);
            if let Some(sink) = &mut listing
                && let Err(error) = sink.write_all(&chunk)
            {
                self.warn_unlisted(&error.to_string());
                listing = None;
            }
            packer.write_all(&chunk).map_err(unwritable)?;
        }
        if size != self.info.nar_size {
            return Err(StoreError::NarSizeMismatch {
                store: self.objects.uri().to_owned(),
                path: self.info.path.clone(),
                expected: self.info.nar_size,
                actual: size,
            });
        }
        let actual = hasher.finish();
        if actual != self.info.nar_hash {
            return Err(StoreError::NarHashMismatch {
                store: self.objects.uri().to_owned(),
                path: self.info.path.clone(),
                expected: self.info.nar_hash,
                actual,
            });
        }
        let file = packer.finish().map_err(unwritable)?.finish();
        let listing = listing.and_then(|sink| match sink.finish() {
            Ok(listing) => Some(listing),
            Err(error) => {
                self.warn_unlisted(&error.to_string());
                None
            }
        });
        Ok(Packed { file, listing })
    }

    /// A listing is a convenience: what cannot be listed (names that are no Unicode text) can still be stored.
    fn warn_unlisted(&self, reason: &str) {
        self.objects.warn(&format!("'{}' is stored without a listing: {reason}", self.info.path));
    }
}
