//! The store behind a daemon, as the copy engine sees it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    NarOrder, NarStream, NarWriter, StageOptions, Staged, Store, StoreError, WriteBehaviour,
};
use nars3_store_path::{HashPart, Hasher, StoreDir, StorePath};

use super::connection::{Connection, Outcome};
use super::error::{DaemonError, WireError};
use super::pool::Pool;
use crate::LocalStoreError;
use crate::verify::VerifyingReader;

/// Where a daemon listens, if nothing else is said.
const DEFAULT_SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

/// Bytes of a NAR that are passed on at once.
const BLOCK: usize = 64 * 1024;

/// How to reach a daemon.
#[derive(Debug, Clone)]
pub struct DaemonStoreOptions {
    /// The socket; that of the daemon of this machine by default.
    pub socket: PathBuf,
    /// The logical store directory. The daemon does not say which it has: with the wrong one, no path is understood.
    pub store_dir: StoreDir,
    /// Let the daemon check signatures. It does so whatever is said here, unless it trusts us.
    pub check_signatures: bool,
    /// Connections at once, at least 1. For each, the daemon runs a process.
    pub connections: usize,
}

impl Default for DaemonStoreOptions {
    /// The daemon of this machine, with signatures checked.
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            store_dir: StoreDir::default(),
            check_signatures: true,
            connections: 8,
        }
    }
}

/// The Nix store behind a nix-daemon. The daemon makes a path valid as soon as it has its NAR, so `stage` is where
/// everything happens, and `publish` has nothing left to do.
pub struct DaemonStore {
    shared: Arc<Shared>,
}

struct Shared {
    options: DaemonStoreOptions,
    pool: Pool,
    daemon_version: Option<String>,
    trusted: Option<bool>,
    roots: Mutex<Roots>,
}

/// A connection that is kept for the temporary roots: they last as long as it does.
#[derive(Debug)]
struct Roots {
    connection: Option<Connection>,
    rooted: HashSet<StorePath>,
}

/// What is remembered of a path that has been sent: nothing.
#[derive(Debug)]
struct Sent;

impl DaemonStore {
    /// Connects to a daemon. Blocks, shortly; everything else that blocks happens on the blocking pool.
    ///
    /// # Errors
    ///
    /// `StoreError::File` when nobody listens at the socket, `StoreError::Backend` when it is no nix-daemon, or one
    /// older than Nix 2.3.
    pub fn open(options: DaemonStoreOptions) -> Result<Arc<Self>, StoreError> {
        let pool = Pool::new(options.socket.clone(), options.store_dir.clone(), options.connections);
        let connection = pool.connect().map_err(|error| match error {
            DaemonError::Wire(WireError::Io(source)) => StoreError::File {
                action: "connect to the nix-daemon at",
                path: options.socket.clone(),
                source,
            },
            other => failed(&url(&options), "connect to the nix-daemon", other),
        })?;
        let daemon_version = connection.agreement().daemon_version.clone();
        let trusted = connection.agreement().trusted;
        let roots = Mutex::new(Roots { connection: Some(connection), rooted: HashSet::new() });
        Ok(Arc::new(Self { shared: Arc::new(Shared { options, pool, daemon_version, trusted, roots }) }))
    }

    /// The version of the daemon's Nix, if it says so (since Nix 2.6).
    pub fn daemon_version(&self) -> Option<&str> {
        self.shared.daemon_version.as_deref()
    }

    /// Whether the daemon trusts us, if it says so (since Nix 2.15): whether it takes paths without signatures.
    pub fn trusted(&self) -> Option<bool> {
        self.shared.trusted
    }

    /// The valid paths that refer to `path`, itself included where it does.
    ///
    /// # Errors
    ///
    /// When the daemon refuses or goes away.
    pub async fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let path = path.clone();
        self.request("query referrers", move |connection| connection.referrers(&path)).await
    }

    /// The valid derivations that name `path` as one of their outputs.
    ///
    /// # Errors
    ///
    /// When the daemon refuses or goes away.
    pub async fn valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let path = path.clone();
        self.request("query derivers", move |connection| connection.valid_derivers(&path)).await
    }

    /// The outputs of a valid derivation by their names, valid or not.
    ///
    /// # Errors
    ///
    /// When the daemon refuses, goes away, or is older than Nix 2.4 (`StoreError::Unsupported`).
    pub async fn derivation_outputs(
        &self,
        derivation: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        let derivation = derivation.clone();
        let outputs = self
            .request("query outputs", move |connection| connection.derivation_outputs(&derivation))
            .await?;
        outputs.ok_or_else(|| StoreError::Unsupported {
            store: self.to_string(),
            operation: "tell the outputs of a derivation",
        })
    }

    /// Keeps collectors away from `paths` for as long as the store is open, where the daemon allows that.
    pub(crate) async fn hold(&self, paths: &[StorePath]) -> Result<(), StoreError> {
        let paths = paths.to_vec();
        self.blocking(move |shared| {
            shared.root(&paths);
            Ok(())
        })
        .await
    }

    async fn request<T, F>(&self, action: &'static str, request: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DaemonError> + Send + 'static,
    {
        self.blocking(move |shared| {
            shared
                .pool
                .run(|connection| request(connection).map(Outcome::Clean))
                .map_err(|error| failed(shared, action, error))
        })
        .await
    }

    /// Runs `work`, which uses one connection, on the blocking pool.
    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    {
        let _permit = self.shared.pool.permit().await;
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(StoreError::Backend {
                    store: self.to_string(),
                    action: "go on".to_owned(),
                    source: LocalStoreError::ShutDown.into(),
                }),
            },
        }
    }
}

impl Shared {
    /// Keeps collectors away from `paths`. That it may not is no reason to stop.
    fn root(&self, paths: &[StorePath]) {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let Roots { connection, rooted } = &mut *roots;
        let new: Vec<&StorePath> = paths.iter().filter(|path| !rooted.contains(*path)).collect();
        let Some(open) = connection else { return };
        match open.add_temp_roots(new.iter().copied()) {
            Ok(()) => rooted.extend(new.into_iter().cloned()),
            Err(error) => {
                tracing::debug!(%error, "reading without temporary roots");
                *connection = None;
            }
        }
    }

    fn stage(&self, info: PathInfo, nar: NarStream, options: StageOptions) -> Result<Staged, StoreError> {
        let mut sent = info.clone();
        // It was not built there; and an untrusted client may not say so anyway.
        sent.ultimate = false;
        let mut reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        let check = self.options.check_signatures;
        let added = self
            .pool
            .run(|connection| connection.add_to_store_nar(&sent, &mut reader, options.repair, check));
        added.map_err(|error| failed(self, &format!("add '{}'", info.path), error))??;
        drop(reader);
        Ok(Staged::new(info, Sent))
    }

    /// Passes the NAR of a path on to `writer`.
    fn nar(&self, info: &PathInfo, writer: &mut NarWriter) -> Result<(), StoreError> {
        self.root(std::slice::from_ref(&info.path));
        let mut hasher = Hasher::new(info.nar_hash.algorithm());
        let sent = self.pool.run(|connection| {
            let from = connection.nar_from_path(&info.path)?;
            let mut buffer = vec![0; BLOCK];
            let mut left = info.nar_size;
            while left > 0 {
                let room = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
                let block = buffer.get_mut(..room).unwrap_or_default();
                from.read_exact(block)?;
                hasher.update(block);
                left -= room as u64;
                if writer.write_all(block).is_err() {
                    // Nobody wants the rest; but it is on its way.
                    return Ok(Outcome::Broken(None));
                }
            }
            let actual = hasher.finish();
            // With another hash it may have another size, and then the rest of it is still on its way.
            Ok(if actual == info.nar_hash {
                Outcome::Clean(Some(actual))
            } else {
                Outcome::Broken(Some(actual))
            })
        });
        match sent.map_err(|error| failed(self, &format!("read '{}'", info.path), error))? {
            Some(actual) if actual != info.nar_hash => Err(StoreError::NarHashMismatch {
                store: self.to_string(),
                path: info.path.clone(),
                expected: info.nar_hash,
                actual,
            }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for DaemonStore {
    fn store_dir(&self) -> &StoreDir {
        &self.shared.options.store_dir
    }

    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        Ok(self.path_infos(std::slice::from_ref(path)).await?.remove(path))
    }

    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        let hash_part = *hash_part;
        self.request("query a path", move |connection| connection.path_from_hash_part(&hash_part)).await
    }

    async fn path_infos(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        let paths = paths.to_vec();
        self.blocking(move |shared| {
            shared.root(&paths);
            let infos = shared
                .pool
                .run(|connection| connection.path_infos(&paths).map(Outcome::Clean))
                .map_err(|error| failed(shared, "query path infos", error))?;
            Ok(infos.into_iter().flatten().map(|info| (info.path.clone(), Arc::new(info))).collect())
        })
        .await
    }

    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let paths = paths.to_vec();
        self.blocking(move |shared| {
            shared.root(&paths);
            let valid = shared
                .pool
                .run(|connection| connection.valid_paths(&paths).map(Outcome::Clean))
                .map_err(|error| failed(shared, "query valid paths", error))?;
            Ok(paths.into_iter().filter(|path| valid.contains(path)).collect())
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        // The protocol has no pages: the answer is all paths.
        stream::once(self.request("list its paths", Connection::all_valid_paths))
            .map_ok(|paths| stream::iter(paths.into_iter().map(|path| Ok(path.hash_part()))))
            .try_flatten()
            .boxed()
    }

    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        if info.nar_size == 0 {
            // Only databases older than Nix 1.0 have such paths; without the size, the end of the NAR is not known.
            return Err(StoreError::Unsupported {
                store: self.to_string(),
                operation: "send a NAR whose size is not known",
            });
        }
        let shared = Arc::clone(&self.shared);
        let info = info.clone();
        let (sender, stream) = NarStream::channel();
        tokio::spawn(async move {
            let _permit = shared.pool.permit().await;
            let sending = Arc::clone(&shared);
            let work = tokio::task::spawn_blocking(move || {
                let mut writer = sender.into_writer();
                match sending.nar(&info, &mut writer) {
                    Ok(()) => writer.finish(),
                    Err(error) => writer.fail(error),
                }
            });
            // A panic drops the sender, which the receiver notices.
            let _ = work.await;
        });
        Ok(stream)
    }

    fn write_behaviour(&self) -> WriteBehaviour {
        // The daemon checks signatures with keys of its own.
        let mut behaviour = WriteBehaviour::cache();
        behaviour.nar_order = NarOrder::ReferencesFirst;
        behaviour
    }

    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.blocking(move |shared| shared.stage(info, nar, options)).await
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        for staged in batch {
            staged.into_parts::<Sent>(self)?;
        }
        Ok(())
    }
}

/// The error of a request, with what was to be done.
fn failed(store: &impl fmt::Display, action: &str, error: DaemonError) -> StoreError {
    StoreError::Backend { store: store.to_string(), action: action.to_owned(), source: error.into() }
}

fn url(options: &DaemonStoreOptions) -> String {
    if options.socket == Path::new(DEFAULT_SOCKET) {
        "daemon".to_owned()
    } else {
        format!("unix://{}", options.socket.display())
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&url(&self.options))
    }
}

impl fmt::Display for DaemonStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(formatter)
    }
}

impl fmt::Debug for DaemonStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DaemonStore").field("url", &self.to_string()).finish_non_exhaustive()
    }
}
