//! The store of this machine by whichever way is open: Nix's database is read directly where that can be done, and
//! a daemon that answers does the writing; each stands in for the other.
//!
//! Nix's own `auto` asks the daemon for everything, unless it may write the store itself (2.29 `store-api.cc`). Reading
//! directly gives the same answers, thousands of paths at a time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    BuildRecords, Event, NarStream, NoProgress, StageOptions, Staged, Store, StoreError, WriteBehaviour,
};
use nars3_store_path::{HashPart, StoreDir, StorePath};

use crate::{DaemonStore, DaemonStoreOptions, LocalStore, LocalStoreOptions};

/// Reads by one way and writes by another.
#[derive(Debug)]
pub struct AutoStore {
    pub(crate) reader: Arc<dyn BuildRecords>,
    pub(crate) writer: Arc<dyn BuildRecords>,
    /// Holds the temporary roots, where the reader may not.
    holder: Option<Arc<DaemonStore>>,
    /// The writer, where it is no daemon.
    direct_writer: Option<Arc<LocalStore>>,
}

impl AutoStore {
    /// Finds out which ways are open. Blocks, shortly. The store is never created.
    ///
    /// # Errors
    ///
    /// When no daemon answers and the database cannot be read either: the error of the database, with what the daemon
    /// did in its action.
    pub fn open(local: LocalStoreOptions, daemon: DaemonStoreOptions) -> Result<Arc<Self>, StoreError> {
        let daemon = match DaemonStore::open(daemon) {
            Ok(daemon) => daemon,
            Err(no_daemon) => return Self::without_daemon(local, &no_daemon),
        };
        let progress = Arc::clone(&local.progress);
        // A database that can only be read without locks is worse than the daemon, which has it open.
        let direct =
            LocalStore::open(LocalStoreOptions { read_only: true, progress: Arc::new(NoProgress), ..local });
        let auto = match direct {
            Ok(direct) if direct.is_current() => {
                let holder = (!direct.holds_roots()).then(|| Arc::clone(&daemon));
                Self { reader: direct, writer: daemon, holder, direct_writer: None }
            }
            Ok(_) => {
                tracing::info!(
                    "Nix's database cannot be locked by this user: reading through the nix-daemon"
                );
                Self::only_daemon(daemon)
            }
            Err(error) => {
                let message = format!(
                    "Nix's database cannot be read ({}): reading through the nix-daemon instead",
                    error.with_causes()
                );
                progress.report(Event::Warning { message: &message });
                Self::only_daemon(daemon)
            }
        };
        Ok(Arc::new(auto))
    }

    /// As `open`, where nobody says that the store behind the daemon is this one: a daemon that answers is asked for
    /// everything. What one store has says nothing of what the other lacks.
    ///
    /// # Errors
    ///
    /// As `open`.
    pub fn open_either(
        local: LocalStoreOptions,
        daemon: DaemonStoreOptions,
    ) -> Result<Arc<Self>, StoreError> {
        match DaemonStore::open(daemon) {
            Ok(daemon) => Ok(Arc::new(Self::only_daemon(daemon))),
            Err(no_daemon) => Self::without_daemon(local, &no_daemon),
        }
    }

    fn only_daemon(daemon: Arc<DaemonStore>) -> Self {
        let reader = Arc::clone(&daemon) as Arc<dyn BuildRecords>;
        Self { reader, writer: daemon, holder: None, direct_writer: None }
    }

    fn without_daemon(local: LocalStoreOptions, no_daemon: &StoreError) -> Result<Arc<Self>, StoreError> {
        // Opened read-only first, because a store that is not there is not to be made.
        let probe = LocalStore::open(LocalStoreOptions {
            read_only: true,
            progress: Arc::new(NoProgress),
            ..local.clone()
        });
        let opened = probe.and_then(|_| LocalStore::open(local));
        let store = opened.map_err(|error| StoreError::Backend {
            store: "auto".to_owned(),
            action: format!("open the store directly, nor through a daemon ({no_daemon})"),
            source: error.into(),
        })?;
        Ok(Arc::new(Self {
            reader: Arc::clone(&store) as Arc<dyn BuildRecords>,
            writer: Arc::clone(&store) as Arc<dyn BuildRecords>,
            holder: None,
            direct_writer: Some(store),
        }))
    }

    /// The store that answers questions and gives out NARs.
    pub fn reader(&self) -> &Arc<dyn BuildRecords> {
        &self.reader
    }

    /// The store that takes paths in.
    pub fn writer(&self) -> &Arc<dyn BuildRecords> {
        &self.writer
    }

    /// Whether a daemon takes the paths in.
    pub fn writes_through_daemon(&self) -> bool {
        self.direct_writer.is_none()
    }

    /// As `LocalStore::check_writable`, where no daemon takes the paths in. A daemon says by itself what it does not take.
    ///
    /// # Errors
    ///
    /// As `LocalStore::check_writable`.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.direct_writer.as_ref().map_or(Ok(()), |store| store.check_writable())
    }

    async fn hold(&self, paths: &[StorePath]) -> Result<(), StoreError> {
        match &self.holder {
            Some(daemon) => daemon.hold(paths).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Store for AutoStore {
    fn store_dir(&self) -> &StoreDir {
        self.reader.store_dir()
    }

    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        self.hold(std::slice::from_ref(path)).await?;
        self.reader.path_info(path).await
    }

    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        self.reader.path_from_hash_part(hash_part).await
    }

    async fn path_infos(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.hold(paths).await?;
        self.reader.path_infos(paths).await
    }

    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        self.hold(paths).await?;
        self.reader.valid_paths(paths).await
    }

    async fn substitute(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        self.hold(paths).await?;
        self.writer.substitute(paths).await
    }

    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        self.reader.list()
    }

    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        self.hold(std::slice::from_ref(&info.path)).await?;
        self.reader.nar(info).await
    }

    async fn unverified_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        self.hold(std::slice::from_ref(&info.path)).await?;
        self.reader.unverified_nar(info).await
    }

    fn write_behaviour(&self) -> WriteBehaviour {
        self.writer.write_behaviour()
    }

    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.writer.stage(info, nar, options).await
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        self.writer.publish(batch).await
    }
}

impl fmt::Display for AutoStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("auto")
    }
}
