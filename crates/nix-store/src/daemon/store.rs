//! The store behind a daemon, as the copy engine sees it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    NarOrder, NarStream, Publication, StageOptions, Staged, Store, StoreError, Workers, WriteBehaviour, cores,
};
use nars3_store_path::{HashPart, StoreDir, StorePath};

use super::connection::{Connection, Outcome};
use super::options::{DaemonStoreOptions, url};
use super::pool::Pool;
use super::sending::Token;
use super::shared::{Shared, failed};
use super::socket::Wanted;
use super::waiting::{SMALL_NAR, Waiting};
use crate::error::shut_down;
use crate::worker_protocol::error::{DaemonError, WireError};

/// The Nix store behind a nix-daemon. The daemon makes a path valid as soon as it has its NAR. So small NARs are kept
/// until `publish`, which sends them together, and a large one is sent when it is staged: `publish` has nothing left
/// to do for it.
pub struct DaemonStore {
    pub(super) shared: Arc<Shared>,
}

/// Who reads small NARs into memory waits for their bytes now and then, unless they are on this machine.
const KEEPERS_PER_CORE: usize = 4;

impl DaemonStore {
    /// Connects to a daemon. Blocks, shortly; everything else that blocks happens on the blocking pool.
    ///
    /// # Errors
    ///
    /// `StoreError::File` when nobody listens at the socket, `StoreError::Backend` when it is no nix-daemon, or one
    /// older than Nix 2.3.
    pub fn open(options: DaemonStoreOptions) -> Result<Arc<Self>, StoreError> {
        let pool = Pool::new(options.socket.clone(), options.store_dir.clone(), options.connections);
        let connection = pool.connect(&Wanted::default()).map_err(|error| match error {
            DaemonError::Wire(WireError::Io(source)) => StoreError::File {
                action: "connect to the nix-daemon at",
                path: options.socket.clone(),
                source,
            },
            other => failed(&url(&options), "connect to the nix-daemon", other),
        })?;
        let daemon_version = connection.agreement().daemon_version.clone();
        let trusted = connection.agreement().trusted;
        if trusted == Some(false) && !options.check_signatures {
            tracing::warn!(
                "the nix-daemon does not trust this user: it will ask for signatures whatever it is told \
                 (trusted-users in its nix.conf)"
            );
        }
        let takes_many = connection.takes_many();
        pool.give_back(connection);
        let roots = Mutex::default();
        let waiting = Waiting::new();
        let keepers = Workers::at_most(KEEPERS_PER_CORE * cores());
        // One core is the daemon's.
        let readers = Workers::at_most(cores().saturating_sub(1));
        let shared =
            Shared { options, pool, daemon_version, trusted, takes_many, waiting, keepers, readers, roots };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The version of the daemon's Nix, if it says so (since Nix 2.6).
    pub fn daemon_version(&self) -> Option<&str> {
        self.shared.daemon_version.as_deref()
    }

    /// Whether the daemon trusts us, if it says so (since Nix 2.15): whether it takes paths without signatures.
    pub fn trusted(&self) -> Option<bool> {
        self.shared.trusted
    }

    /// Keeps collectors away from `paths` for as long as the store is open, where the daemon allows that.
    pub(crate) async fn hold(&self, paths: &[StorePath]) -> Result<(), StoreError> {
        let paths = paths.to_vec();
        self.blocking(move |shared, wanted| {
            shared.root(wanted, &paths);
            Ok(())
        })
        .await
    }

    pub(super) async fn request<T, F>(&self, action: &'static str, request: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DaemonError> + Send + 'static,
    {
        self.blocking(move |shared, wanted| {
            shared
                .pool
                .run(wanted, |connection| request(connection).map(Outcome::Clean))
                .map_err(|error| failed(shared, action, error))
        })
        .await
    }

    /// Runs `work`, which uses one connection, on the blocking pool. It is given up when the future is dropped.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Shared, &Wanted) -> Result<T, StoreError> + Send + 'static,
    {
        let _permit = self.shared.pool.permit().await;
        let shared = Arc::clone(&self.shared);
        let wanted = Wanted::default();
        let _guard = wanted.guard();
        self.joined(tokio::task::spawn_blocking(move || work(&shared, &wanted)).await)
    }

    /// What became of work on the blocking pool. A panic there goes on here.
    fn joined<T>(
        &self,
        joined: Result<Result<T, StoreError>, tokio::task::JoinError>,
    ) -> Result<T, StoreError> {
        match joined {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(shut_down(self)),
            },
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
        self.blocking(move |shared, wanted| {
            shared.root(wanted, &paths);
            let infos = shared
                .pool
                .run(wanted, |connection| connection.path_infos(&paths).map(Outcome::Clean))
                .map_err(|error| failed(shared, "query path infos", error))?;
            Ok(infos.into_iter().flatten().map(|info| (info.path.clone(), Arc::new(info))).collect())
        })
        .await
    }

    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let paths = paths.to_vec();
        self.blocking(move |shared, wanted| {
            let query = |paths: &[StorePath]| {
                shared
                    .pool
                    .run(wanted, |connection| connection.valid_paths(paths, false).map(Outcome::Clean))
                    .map_err(|error| failed(shared, "query valid paths", error))
            };
            let mut valid = query(&paths)?;
            if !valid.is_empty() {
                // Only what is there can go away, and what has gone before it had a root is found out.
                let there: Vec<StorePath> =
                    paths.iter().filter(|path| valid.contains(*path)).cloned().collect();
                shared.root(wanted, &there);
                valid = query(&there)?;
            }
            Ok(paths.into_iter().filter(|path| valid.contains(path)).collect())
        })
        .await
    }

    async fn substitute(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        DaemonStore::substitute(self, paths).await
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
        let mut behaviour = WriteBehaviour::database(None);
        behaviour.judges_signatures = true;
        behaviour.verifies_nars = true;
        behaviour.nar_order =
            NarOrder::ReferencesFirst { except: if self.shared.takes_many { SMALL_NAR } else { 0 } };
        if !self.shared.takes_many {
            behaviour.publication = Publication::Singly;
        }
        behaviour
    }

    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        if self.shared.takes_many && !options.repair && (1..=SMALL_NAR).contains(&info.nar_size) {
            // Needs no connection.
            let room = self.shared.waiting.room(info.nar_size);
            let shared = Arc::clone(&self.shared);
            let workers = if nar.is_at_hand() { &self.shared.readers } else { &self.shared.keepers };
            let kept = workers.run(move || shared.keep(info, nar, room)).await;
            return kept.unwrap_or_else(|_ended| Err(shut_down(&*self.shared)));
        }
        self.shared.waiting.departed(&info.references).await;
        self.blocking(move |shared, wanted| shared.send(wanted, info, nar, options)).await
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        let mut waiting = Vec::new();
        for staged in batch {
            match staged.into_parts::<Token>(self)? {
                (_, Token::Sent) => {}
                (info, Token::Waiting(nar)) => waiting.push((info, nar)),
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        self.blocking(move |shared, wanted| shared.send_together(wanted, &waiting)).await
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
