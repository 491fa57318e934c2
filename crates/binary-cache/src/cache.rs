//! The cache itself: opening it, and its face as a `Store`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use futures::stream::BoxStream;
use nars3_narinfo::{CACHE_INFO_KEY, CacheInfo, NarInfo, PathInfo};
use nars3_store_api::{
    NarStream, PackedFile, PackedFiles, PackedNar, StageOptions, Staged, Store, StoreError, Workers,
    WriteBehaviour, cores,
};
use nars3_store_path::{HashPart, SecretKey, StoreDir, StorePath};
use nars3_store_url::CacheSettings;
use object_store::ObjectStore;
use tokio::sync::{OnceCell, Semaphore};

use crate::ServerCopies;
use crate::budget::{Budget, Share};
use crate::known::Known;
use crate::location::Elsewhere;
use crate::objects::Objects;
use crate::options::BinaryCacheOptions;
use crate::stats::CacheStats;

/// The largest `nix-cache-info` that is believed. Real ones have some sixty bytes.
const CACHE_INFO_SIZE: u64 = 64 * 1024;

/// The text of `nix-cache-info`, from disk where it was read lately.
async fn cache_info_text(objects: &Objects) -> Result<Option<String>, StoreError> {
    let Some(remembered) = &objects.remembered else {
        return objects.text(CACHE_INFO_KEY, CACHE_INFO_SIZE).await;
    };
    if let Some(text) = remembered.info().await {
        objects.note_remembered_info();
        return Ok(Some(text));
    }
    let text = objects.text(CACHE_INFO_KEY, CACHE_INFO_SIZE).await?;
    // That there is none is not remembered: the first push changes it.
    remembered.set_info(text.clone()).await;
    Ok(text)
}

/// A Nix binary cache over an object store. Made by `open`; everything else is the `Store` trait and the operations
/// that only caches have.
pub struct BinaryCache {
    pub(crate) objects: Arc<Objects>,
    pub(crate) store_dir: StoreDir,
    pub(crate) settings: CacheSettings,
    pub(crate) secret_keys: Vec<SecretKey>,
    pub(crate) upstreams: Vec<Arc<dyn Store>>,
    pub(crate) server_copies: Option<ServerCopies>,
    pub(crate) known: Known,
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
    /// Read and compress small NARs whose bytes have to be waited for now and then.
    pub(crate) readers: Workers,
    /// Read and compress those that are on this machine.
    pub(crate) packers: Workers,
    /// Compress what takes much memory.
    pub(crate) compressors: Workers,
    pub(crate) compression_memory: Budget,
    pub(crate) decompression_memory: Budget,
    /// `None`: temporary files may take any space.
    pub(crate) spool_space: Option<Budget>,
    pub(crate) nars_out: Arc<Semaphore>,
    pub(crate) force_encodings: bool,
    /// Set once somebody was told that the compression level takes too much memory.
    pub(crate) level_lowered: AtomicBool,
    /// What `nix-cache-info` said when the cache was opened.
    info: Option<CacheInfo>,
    /// What the user says instead.
    pub(crate) stated: CacheInfo,
    /// Set once `nix-cache-info` is there.
    pub(crate) announced: OnceCell<()>,
}

/// Who reads waits for the network now and then.
const READERS_PER_CORE: usize = 4;

impl BinaryCache {
    /// Opens the cache whose objects are `objects`. Nothing is written: an empty place is an empty cache, and becomes
    /// one that others can open with the first path that is published.
    ///
    /// # Errors
    /// `StoreDirMismatch` when the cache is for another store directory; `Backend` when its `nix-cache-info` cannot be
    /// read although it may be there.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        options: BinaryCacheOptions,
    ) -> Result<Arc<Self>, StoreError> {
        let objects = Arc::new(Objects::new(objects, &options));
        let text = cache_info_text(&objects).await?;
        let info = text.map(|text| CacheInfo::parse(&text));
        if info.is_none() && !objects.info_denied() {
            objects.note_empty();
        }
        if let Some(info) = &info {
            info.ensure_store_dir(&options.uri, &options.store_dir).map_err(|mismatch| {
                StoreError::StoreDirMismatch {
                    store: mismatch.cache,
                    expected: mismatch.expected.to_string(),
                    actual: mismatch.found,
                }
            })?;
        }
        Ok(Arc::new(Self {
            announced: OnceCell::new_with(info.is_some().then_some(())),
            info,
            stated: options.info,
            objects,
            store_dir: options.store_dir,
            settings: options.cache,
            secret_keys: options.secret_keys,
            upstreams: options.upstreams,
            server_copies: options.server_copies,
            known: Known::new(options.path_info_cache_size),
            elsewhere: options.elsewhere,
            compression_memory: Budget::new(options.limits.compression_memory),
            decompression_memory: Budget::new(options.limits.decompression_memory),
            spool_space: options.limits.spool_space.map(Budget::new),
            nars_out: Arc::new(Semaphore::new(options.limits.concurrent_nars.max(1))),
            force_encodings: options.force_encodings,
            level_lowered: AtomicBool::new(false),
            // One more than there are cores, so that none waits while one thread waits for input.
            compressors: Workers::at_most(cores() + 1),
            readers: Workers::at_most(READERS_PER_CORE * cores()),
            packers: Workers::at_most(cores()),
        }))
    }

    /// What `nix-cache-info` said when the cache was opened; `None` if there was none.
    pub fn info(&self) -> Option<&CacheInfo> {
        self.info.as_ref()
    }

    /// Whether the cache bears being asked about many paths at once, by the options or by its `nix-cache-info`. `None`: neither
    /// says so, which Nix takes for no.
    pub fn want_mass_query(&self) -> Option<bool> {
        self.stated.want_mass_query.or_else(|| self.info.as_ref()?.want_mass_query)
    }

    /// The rank among caches, by the options or by its `nix-cache-info`; the lowest is asked first. `None`: neither says
    /// so, which Nix takes for 0.
    pub fn priority(&self) -> Option<i64> {
        self.stated.priority.or_else(|| self.info.as_ref()?.priority)
    }

    /// Whether reading `nix-cache-info` was answered by access denied when the cache was opened. Then `info` is `None`
    /// although it may be there: S3 answers so for a missing object, too, to whom it does not let list the bucket.
    pub fn info_denied(&self) -> bool {
        self.objects.info_denied()
    }

    /// Sees to it that access denied can be taken for absent, before anything is written: where `nix-cache-info` was
    /// denied, it is written, unless it is there. Elsewhere nothing happens.
    ///
    /// # Errors
    /// `Backend` when it can be neither read nor written: these credentials are not for this cache.
    pub async fn claim(&self) -> Result<(), StoreError> {
        if !self.info_denied() || self.objects.is_proven() {
            return Ok(());
        }
        self.announce().await?;
        if self.objects.is_proven() {
            return Ok(());
        }
        // It is there after all, and may not be read.
        self.objects.readable(CACHE_INFO_KEY).await
    }

    /// The whole narinfo of a path, its file included; `None` if the path is not in the cache.
    ///
    /// # Errors
    /// `Corrupt` for a narinfo that cannot be understood, `Backend` when it cannot be read.
    pub async fn nar_info(&self, path: &StorePath) -> Result<Option<NarInfo>, StoreError> {
        Ok(self.entry(path).await?.map(|entry| NarInfo::from(entry.as_ref())))
    }

    /// Requests and bytes so far.
    pub fn stats(&self) -> &CacheStats {
        self.objects.stats()
    }

    /// Space for a temporary file that may get this large, or nothing if it will stay in memory.
    pub(crate) async fn space_for(&self, largest: u64, in_memory: u64) -> Option<Share> {
        match &self.spool_space {
            Some(space) if largest > in_memory => Some(space.take(largest).await),
            _ => None,
        }
    }

    /// The error for a path that is not in this cache.
    pub(crate) fn invalid(&self, path: &StorePath) -> StoreError {
        StoreError::InvalidPath { store: self.to_string(), path: path.clone() }
    }
}

#[async_trait]
impl Store for BinaryCache {
    fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        Ok(self.entry(path).await?.map(|entry| Arc::clone(&entry.info)))
    }

    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        Ok(self.entry_of(hash_part).await?.map(|entry| entry.info.path.clone()))
    }

    async fn path_of_listed(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        Ok(self.listed_entry(hash_part).await?.map(|entry| entry.info.path.clone()))
    }

    async fn path_infos(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.infos(paths).await
    }

    async fn fresh_path_infos(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.fresh_infos(paths).await
    }

    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        self.present(paths).await
    }

    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        self.objects.hash_parts()
    }

    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        self.send_nar(info).await
    }

    async fn unverified_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        self.send_unverified_nar(info).await
    }

    async fn packed_nar(
        &self,
        info: &PathInfo,
        wanted: &PackedFiles,
    ) -> Result<Option<PackedNar>, StoreError> {
        self.send_file(info, wanted).await
    }

    async fn packed_file(
        &self,
        info: &PathInfo,
        wanted: &PackedFiles,
    ) -> Result<Option<PackedFile>, StoreError> {
        self.file_of(info, wanted).await
    }

    fn write_behaviour(&self) -> WriteBehaviour {
        let mut behaviour = WriteBehaviour::cache();
        behaviour.packed_files = self.packed_files();
        behaviour
    }

    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.take_nar(info, nar, options).await
    }

    async fn stage_packed(
        &self,
        info: PathInfo,
        packed: PackedNar,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.take_file(info, packed, options).await
    }

    async fn stage_copied(
        &self,
        info: &PathInfo,
        file: PackedFile,
        options: StageOptions,
    ) -> Result<Option<Staged>, StoreError> {
        self.copy_file(info, file, options).await
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        for staged in batch {
            self.publish_one(staged).await?;
        }
        Ok(())
    }
}

impl fmt::Display for BinaryCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.objects.uri())
    }
}

impl fmt::Debug for BinaryCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BinaryCache").field("uri", &self.objects.uri()).finish_non_exhaustive()
    }
}
