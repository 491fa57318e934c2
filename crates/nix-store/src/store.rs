//! The local store as the copy engine sees it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    NarStream, Stage, StageOptions, Staged, Store, StoreError, Work, Workers, WriteBehaviour, cores,
};
use nars3_store_path::{HashPart, StoreDir, StorePath};

use crate::database::pool::ReadPool;
use crate::database::{path_info, schema, valid_paths};
use crate::error::{corrupt, file_error, shut_down};
use crate::export::export;
use crate::import::import;
use crate::layout::Layout;
use crate::optimise::optimise;
use crate::publish::{Token, publish};
use crate::staging::StagedFiles;
use crate::temp_roots::TempRoots;
use crate::writer::{self, Writer};
use crate::{LocalStoreOptions, TempRootPolicy, blocking, derivation};

/// Paths that `list` reads at once.
const PATHS_PER_PAGE: u32 = 10_000;

/// A Nix store on this machine: files in a store directory, and Nix's database. That of the machine itself, or a
/// chroot store under some directory.
pub struct LocalStore {
    shared: Arc<Shared>,
}

/// What the tasks on the blocking pool share.
struct Shared {
    layout: Arc<Layout>,
    options: LocalStoreOptions,
    reader: Arc<ReadPool>,
    writer: Mutex<Option<Arc<Writer>>>,
    /// The temporary roots that reading takes; `None` where it may not.
    read_roots: OnceLock<Option<Arc<TempRoots>>>,
    /// Restore small paths.
    restorers: Workers,
}

/// NARs below this size, in bytes, are there as soon as their first byte.
const SMALL_NAR: u64 = 128 << 10;

/// Who restores waits for the disk now and then.
const RESTORERS_PER_CORE: usize = 4;

impl LocalStore {
    /// Opens a store. One that does not exist yet is created, unless `read_only`. Blocks, shortly; everything else
    /// that blocks happens on the blocking pool of the tokio runtime that the methods are called in.
    ///
    /// Nothing is locked or changed in an existing store until it is written to, except that reading takes temporary
    /// roots (`TempRootPolicy`).
    ///
    /// # Errors
    ///
    /// `StoreError::Backend` when there is no database, when it cannot be read by any means, or when its schema is too
    /// old; `StoreError::File` when a new store cannot be created.
    pub fn open(options: LocalStoreOptions) -> Result<Arc<Self>, StoreError> {
        let layout = Arc::new(layout_of(&options)?);
        // As Nix sees it: a store is one when it says which schema it has, which is written last.
        let is_new = schema::version(&layout)?.is_none();
        let writer = if is_new && !options.read_only {
            Some(Arc::new(Writer::open(Arc::clone(&layout), &options)?))
        } else {
            None
        };
        let reader = ReadPool::open(Arc::clone(&layout), &*options.progress)?;
        let shared = Shared {
            layout,
            options,
            reader,
            writer: Mutex::new(writer),
            read_roots: OnceLock::new(),
            restorers: Workers::at_most(RESTORERS_PER_CORE * cores()),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Whether there is a store where `open` would look for one. Blocks, shortly; creates nothing.
    ///
    /// # Errors
    ///
    /// `StoreError::Backend` when what should say so cannot be understood, `StoreError::File` when it cannot be read.
    pub fn exists(options: &LocalStoreOptions) -> Result<bool, StoreError> {
        Ok(schema::version(&layout_of(options)?)?.is_some())
    }

    /// Finds out whether this process may write to the store, without changing anything; also if it was opened `read_only`.
    /// Otherwise that is seen when the first path is staged. Blocks, shortly.
    ///
    /// # Errors
    ///
    /// `StoreError::Backend` when the store directory is mounted read-only, or the schema is not the one that is written;
    /// `StoreError::File` for a directory or a database that this user may not write.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        writer::check(&self.shared.layout)
    }

    /// Whether the database is read with locks, so that what is read is what is valid now.
    pub(crate) fn is_current(&self) -> bool {
        !self.shared.reader.is_immutable()
    }

    /// Whether reading holds temporary roots. Blocks.
    pub(crate) fn holds_roots(&self) -> bool {
        self.shared.read_roots().is_some()
    }

    /// The file or directory that holds the contents of `path`, valid or not.
    pub fn real_path(&self, path: &StorePath) -> std::path::PathBuf {
        self.shared.layout.real_path(path)
    }

    pub(crate) async fn query<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Layout, &rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.reader.read(query).await
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.shared.layout
    }

    /// Runs `work` in a transaction of the writing connection.
    pub(crate) async fn transaction<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking::run(&self.shared.layout, move || shared.writer()?.transaction(work)).await
    }

    /// As `query`, about paths that the caller is going to rely on.
    async fn query_rooted<T, F>(&self, paths: &[StorePath], query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Layout, &rusqlite::Connection, &[StorePath]) -> Result<T, StoreError> + Send + 'static,
    {
        let paths = paths.to_vec();
        let shared = Arc::clone(&self.shared);
        let root = move || {
            shared.root(&paths);
            Ok(paths)
        };
        let paths = blocking::run(&self.shared.layout, root).await?;
        self.query(move |layout, connection| query(layout, connection, &paths)).await
    }
}

fn layout_of(options: &LocalStoreOptions) -> Result<Layout, StoreError> {
    let root = || options.root.clone().unwrap_or_default();
    Layout::new(options).map_err(|error| file_error("find the directory of", &root(), error))
}

impl Shared {
    /// The temporary roots of reading, where they are allowed.
    fn read_roots(&self) -> Option<&TempRoots> {
        let roots = self.read_roots.get_or_init(|| {
            if self.options.temp_roots == TempRootPolicy::OnlyWriting || self.reader.is_immutable() {
                return None;
            }
            TempRoots::open(&self.layout)
                .inspect_err(|error| tracing::debug!(%error, "reading without temporary roots"))
                .ok()
        });
        roots.as_deref()
    }

    /// Makes `paths` temporary roots where that is allowed: to be called before asking whether they are valid.
    fn root(&self, paths: &[StorePath]) {
        if let Some(roots) = self.read_roots()
            && let Err(error) = roots.add(paths)
        {
            tracing::debug!(%error, "cannot root what is being read");
        }
    }

    /// The writing side, made on first use.
    fn writer(&self) -> Result<Arc<Writer>, StoreError> {
        if self.options.read_only {
            return Err(StoreError::Unsupported {
                store: self.layout.to_string(),
                operation: "be written to: it was opened read-only",
            });
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = &*writer {
            return Ok(Arc::clone(writer));
        }
        let new = Arc::new(Writer::open(Arc::clone(&self.layout), &self.options)?);
        *writer = Some(Arc::clone(&new));
        Ok(new)
    }

    fn stage(&self, mut info: PathInfo, nar: NarStream, options: StageOptions) -> Result<Staged, StoreError> {
        let writer = self.writer()?;
        writer.temp_roots().add([&info.path])?;
        let staging = writer.staging()?;
        let files = StagedFiles::new(Arc::clone(&staging));
        let mut work = Work::begin(Stage::Restore);
        let waited = import(&self.layout, &mut info, nar, files.path())?;
        work.waited_for_input(waited);
        self.options.progress.report(work.end());
        let outputs = if info.path.is_derivation() { self.outputs(&info, &files)? } else { Vec::new() };
        if self.options.optimise {
            optimise(&self.layout, &staging, files.path())?;
        }
        let token = Token { layout: Arc::clone(&self.layout), files, outputs, repair: options.repair };
        Ok(Staged::new(info, token))
    }

    /// The outputs that a staged derivation names.
    fn outputs(&self, info: &PathInfo, files: &StagedFiles) -> Result<Vec<(String, StorePath)>, StoreError> {
        let file = File::open(files.path()).map_err(|error| file_error("open", files.path(), error))?;
        derivation::outputs(file, self.layout.store_dir())
            .map_err(|error| corrupt(&self.layout, info.path.to_string(), error))
    }
}

#[async_trait]
impl Store for LocalStore {
    fn store_dir(&self) -> &StoreDir {
        self.shared.layout.store_dir()
    }

    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        Ok(self.path_infos(std::slice::from_ref(path)).await?.remove(path))
    }

    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        let hash_part = *hash_part;
        self.query(move |layout, connection| valid_paths::path_from_hash_part(layout, connection, &hash_part))
            .await
    }

    async fn path_infos(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.query_rooted(paths, path_info::path_infos).await
    }

    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        self.query_rooted(paths, valid_paths::valid_paths).await
    }

    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        let pages = stream::try_unfold(Some(None), move |last: Option<Option<StorePath>>| async move {
            let Some(last) = last else { return Ok::<_, StoreError>(None) };
            let page = self
                .query(move |layout, connection| {
                    valid_paths::page(layout, connection, last.as_ref(), PATHS_PER_PAGE)
                })
                .await?;
            let next = page.last().cloned().map(Some);
            Ok(Some((stream::iter(page.into_iter().map(|path| Ok(path.hash_part()))), next)))
        });
        pages.try_flatten().boxed()
    }

    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        let shared = Arc::clone(&self.shared);
        let (nar_hash, nar_size) = (info.nar_hash, info.nar_size);
        let info = info.clone();
        let most = if nar_size == 0 { u64::MAX } else { nar_size };
        let stream = NarStream::from_blocking_sized(most, move |writer| {
            shared.root(std::slice::from_ref(&info.path));
            let mut work = Work::begin(Stage::Read);
            let result = export(&shared.layout, &info, writer);
            work.waited_for_output(writer.waited());
            shared.options.progress.report(work.end());
            result
        });
        let stream = stream.at_hand();
        // Size 0 stands in old databases: not known, so not verified either.
        Ok(if nar_size == 0 { stream } else { stream.verified_as(nar_hash, nar_size) })
    }

    fn write_behaviour(&self) -> WriteBehaviour {
        WriteBehaviour::database(self.shared.options.required_signatures.clone())
    }

    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        let shared = Arc::clone(&self.shared);
        if info.nar_size < SMALL_NAR {
            let staged = self.shared.restorers.run(move || shared.stage(info, nar, options)).await;
            return staged.unwrap_or_else(|_ended| Err(shut_down(&*self.shared.layout)));
        }
        blocking::run(&self.shared.layout, move || shared.stage(info, nar, options)).await
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(batch.len());
        for staged in batch {
            let (info, token) = staged.into_parts::<Token>(self)?;
            if token.layout != self.shared.layout {
                return Err(StoreError::Unsupported {
                    store: self.to_string(),
                    operation: "publish a path that another store has staged",
                });
            }
            entries.push((info, token));
        }
        let shared = Arc::clone(&self.shared);
        blocking::run(&self.shared.layout, move || publish(&shared.layout, &*shared.writer()?, entries)).await
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.layout.fmt(formatter)
    }
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalStore").field("url", &self.to_string()).finish_non_exhaustive()
    }
}
