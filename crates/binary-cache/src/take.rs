//! Taking a NAR into the cache: hashed, listed, compressed, spooled, verified, and only then uploaded.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nars3_compression::{Compression, CompressionError, EncoderOptions, encoder};
use nars3_narinfo::{Listing, PathInfo, nar_key};
use nars3_store_api::{BoxError, NarStream, Stage, StageOptions, Staged, StoreError, Work};
use nars3_store_path::{Algorithm, Hash};

use crate::BinaryCache;
use crate::compress::{effort, takes_much};
use crate::debug_info::Beside;
use crate::incoming::Incoming;
use crate::objects::{Ahead, Kind, Objects};
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
    /// Until the narinfo is written.
    pub(crate) ahead: Option<Ahead>,
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
        let nar = match self.take_stored(&info, nar, options).await? {
            Ok(staged) => return Ok(Staged::new(info, staged)),
            Err(nar) => nar,
        };
        let limits = self.objects.limits();
        let in_memory = limits.spool_memory.min(self.compression_memory.total() / 2);
        let effort = effort(&self.settings, info.nar_size, self.compression_memory.total() - in_memory);
        if let Some(lowered) = &effort.lowered
            && !self.level_lowered.swap(true, Ordering::Relaxed)
        {
            self.objects.warn(&lowered.to_string());
        }
        // Incompressible data grows a little.
        let largest = info.nar_size.saturating_add(info.nar_size / 8).saturating_add(1024);
        let mut space = self.space_for(largest, in_memory).await;
        let mut share = self.compression_memory.take(effort.memory + in_memory.min(largest)).await;
        let spool = Spool::new(in_memory, limits.spool_directory.clone()).at_most(limits.spool_space);
        let given_up = GivenUp::default();
        let packing = Packing {
            objects: Arc::clone(&self.objects),
            info: info.clone(),
            compression: self.settings.compression.clone(),
            options: effort.options,
            wants_listing: self.wants_listing(),
            given_up: given_up.flag(),
        };
        let workers = match (nar.is_lazy(), nar.is_at_hand()) {
            _ if takes_much(&self.settings.compression) => Some(&self.compressors),
            (true, true) => Some(&self.packers),
            (true, false) => Some(&self.readers),
            (false, _) => None,
        };
        let pack = move || packing.run(nar, spool);
        let failed = |error: BoxError| self.objects.failed(format!("compress '{}'", info.path), error);
        let Packed { file, hash, listing } = match workers {
            Some(workers) => workers.run(pack).await.map_err(|error| failed(error.into()))??,
            None => tokio::task::spawn_blocking(pack).await.map_err(|error| failed(error.into()))??,
        };
        let (in_memory, in_file) = file.source.takes();
        share.shrink_to(in_memory);
        space.iter_mut().for_each(|space| space.shrink_to(in_file));
        let key = nar_key(&hash, &self.settings.compression);
        let mut staged = StagedFile {
            ahead: None,
            beside: listing.map(|listing| self.beside(&listing, &key)).unwrap_or_default(),
            key,
            compression: self.settings.compression.clone(),
            hash,
            size: file.source.size(),
            replace: options.repair,
        };
        let work = Work::begin(Stage::Upload);
        self.objects.put_file(&staged.key, &file.source, Kind::Nar, options.repair).await?;
        self.objects.report_work(work);
        staged.ahead = Some(self.objects.lead.gained());
        drop((file, share, space));
        Ok(Staged::new(info, staged))
    }

    /// Whether what goes beside a NAR is made of its listing.
    pub(crate) fn wants_listing(&self) -> bool {
        self.settings.write_nar_listing || self.settings.index_debug_info
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
    /// SHA-256 of the file.
    hash: Hash,
    listing: Option<Listing>,
}

impl Packing {
    fn run(&self, mut nar: NarStream, spool: Spool) -> Result<Packed, StoreError> {
        let mut work = Work::begin(Stage::Compress);
        let mut incoming = Incoming::new(&self.objects, &self.info, &nar, self.wants_listing);
        let unsupported = |error: CompressionError| {
            self.objects.failed(format!("compress '{}' with '{}'", self.info.path, self.compression), error)
        };
        let unwritable = |error: io::Error| {
            self.objects.failed(format!("compress '{}' into a temporary file", self.info.path), error)
        };
        // A file that is the NAR has its hash.
        let is_nar = self.compression == Compression::None;
        let known = Some(self.info.nar_hash).filter(|hash| is_nar && hash.algorithm() == Algorithm::Sha256);
        let spool = if known.is_some() { spool.unhashed() } else { spool };
        let mut packer = encoder(&self.compression, &self.options, spool).map_err(unsupported)?;
        while let Some(chunk) = nar.blocking_next()? {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(StoreError::NarInterrupted);
            }
            if !incoming.take(&chunk) {
                break;
            }
            packer.write_all(&chunk).map_err(unwritable)?;
        }
        let listing = incoming.finish()?;
        let file = packer.finish().map_err(unwritable)?.finish();
        work.waited_for_input(nar.waited());
        self.objects.report_work(work);
        let Some(hash) = file.hash.or(known) else { return Err(StoreError::NarInterrupted) };
        Ok(Packed { file, hash, listing })
    }
}
