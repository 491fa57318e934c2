//! The store behind a daemon, as the copy engine sees it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    NarOrder, NarStream, NarWriter, Publication, StageOptions, Staged, Store, StoreError, WriteBehaviour,
};
use nars3_store_path::{HashPart, Hasher, StoreDir, StorePath};

use super::connection::{Connection, Outcome, Taking};
use super::pool::Pool;
use super::socket::Wanted;
use super::waiting::{Room, Waiting, WaitingNar};
use crate::LocalStoreError;
use crate::error::backend_error_of;
use crate::logs::DEFAULT_LOG_DIR;
use crate::order::references_first;
use crate::verify::VerifyingReader;
use crate::worker_protocol::error::{DaemonError, WireError};

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
    /// Where the daemon keeps its build logs: they are read from there.
    pub log_dir: PathBuf,
}

impl Default for DaemonStoreOptions {
    /// The daemon of this machine, with signatures checked.
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            store_dir: StoreDir::default(),
            check_signatures: true,
            connections: 8,
            log_dir: DEFAULT_LOG_DIR.into(),
        }
    }
}

/// The Nix store behind a nix-daemon. The daemon makes a path valid as soon as it has its NAR. So small NARs are kept
/// until `publish`, which sends them together, and a large one is sent when it is staged: `publish` has nothing left
/// to do for it.
pub struct DaemonStore {
    pub(super) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(super) options: DaemonStoreOptions,
    pub(super) pool: Pool,
    daemon_version: Option<String>,
    trusted: Option<bool>,
    takes_many: bool,
    waiting: Arc<Waiting>,
    roots: Mutex<Roots>,
}

/// A connection that is kept for the temporary roots: they last as long as it does. There is none before the first root,
/// since for each the daemon runs a process.
#[derive(Debug, Default)]
struct Roots {
    connection: Option<Connection>,
    refused: bool,
    rooted: HashSet<StorePath>,
}

/// What is remembered of a path between `stage` and `publish`.
#[derive(Debug)]
enum Token {
    /// It has been sent, and is valid.
    Sent,
    /// It is to be sent with others.
    Waiting(WaitingNar),
}

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
        let shared = Shared { options, pool, daemon_version, trusted, takes_many, waiting, roots };
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
    fn root(&self, wanted: &Wanted, paths: &[StorePath]) {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let Roots { connection, refused, rooted } = &mut *roots;
        let new: Vec<&StorePath> = paths.iter().filter(|path| !rooted.contains(*path)).collect();
        if *refused || new.is_empty() {
            return;
        }
        let added = match connection.take() {
            Some(mut open) => {
                open.serve(wanted);
                Ok(open)
            }
            None => self.pool.connect(wanted),
        }
        .and_then(|mut open| open.add_temp_roots(new.iter().copied()).map(|()| open));
        match added {
            Ok(open) => {
                rooted.extend(new.into_iter().cloned());
                *connection = Some(open);
            }
            Err(error) => {
                tracing::debug!(%error, "reading without temporary roots");
                *refused = true;
            }
        }
    }

    /// Takes in a path that goes by itself.
    fn send(
        &self,
        wanted: &Wanted,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        let sent = as_copied(&info);
        let mut reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        let taking = self.taking(options.repair);
        let added =
            self.pool.run(wanted, |connection| connection.add_to_store_nar(&sent, &mut reader, taking));
        added.map_err(|error| failed(self, &format!("add '{}'", info.path), error))??;
        drop(reader);
        Ok(Staged::new(info, Token::Sent))
    }

    /// Takes in a path that waits for others.
    fn keep(&self, info: PathInfo, nar: NarStream, room: Room) -> Result<Staged, StoreError> {
        let mut reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        // The reader stops at the size that was promised.
        let mut bytes = Vec::with_capacity(usize::try_from(info.nar_size).unwrap_or(0));
        if let Err(error) = reader.read_to_end(&mut bytes) {
            return Err(reader.failure_of(error));
        }
        reader.finish()?;
        drop(reader);
        let waiting = room.fill(&info.path, bytes);
        Ok(Staged::new(info, Token::Waiting(waiting)))
    }

    /// Sends paths that have waited, in one request; where the daemon refuses it, each by itself. One that it does not
    /// take must not keep the others out; and Nix 2.8 stumbles in such a request over a path that somebody else has
    /// made valid meanwhile.
    fn send_together(&self, wanted: &Wanted, batch: &[(PathInfo, WaitingNar)]) -> Result<(), StoreError> {
        let infos: Vec<PathInfo> = batch.iter().map(|(info, _)| as_copied(info)).collect();
        let order = references_first(&infos.iter().collect::<Vec<_>>())
            .map_err(|cycle| backend_error_of(self, "add paths", cycle))?;
        let ordered: Vec<(&PathInfo, &[u8])> = order
            .iter()
            .filter_map(|&place| Some((infos.get(place)?, batch.get(place)?.1.nar.as_slice())))
            .collect();
        let taking = self.taking(false);
        let together = self.pool.run(wanted, |connection| connection.add_multiple_to_store(&ordered, taking));
        match together {
            Ok(sent) => return sent,
            Err(DaemonError::Remote(error)) => tracing::debug!(%error, "sending paths one by one"),
            Err(broken) => return Err(failed(self, "add paths", broken)),
        }
        let mut refused: Vec<(StorePath, StoreError)> = Vec::new();
        for (info, nar) in ordered {
            // What was refused, others cannot refer to.
            let gone = info.references.iter().find(|path| refused.iter().any(|(other, _)| other == *path));
            let added = match gone {
                Some(reference) => Err(StoreError::MissingReference {
                    store: self.to_string(),
                    path: info.path.clone(),
                    reference: reference.clone(),
                }),
                None => self
                    .pool
                    .run(wanted, |connection| connection.add_bytes_to_store(info, nar, taking))
                    .map_err(|error| failed(self, &format!("add '{}'", info.path), error))
                    .flatten(),
            };
            if let Err(error) = added {
                refused.push((info.path.clone(), error));
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        let refusal = StoreError::Refused { store: self.to_string(), refused };
        Err(if batch.len() == 1 { refusal.into_first() } else { refusal })
    }

    fn taking(&self, repair: bool) -> Taking {
        Taking { repair, check_signatures: self.options.check_signatures }
    }

    /// Passes the NAR of a path on to `writer`.
    fn nar(&self, info: &PathInfo, writer: &mut NarWriter) -> Result<(), StoreError> {
        let wanted = Wanted::default();
        self.root(&wanted, std::slice::from_ref(&info.path));
        let mut hasher = Hasher::new(info.nar_hash.algorithm());
        let sent = self.pool.run(&wanted, |connection| {
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
        behaviour.nar_order = NarOrder::ReferencesFirst;
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
        let room = if self.shared.takes_many && !options.repair {
            self.shared.waiting.room(info.nar_size)
        } else {
            None
        };
        if let Some(room) = room {
            // Needs no connection.
            let shared = Arc::clone(&self.shared);
            return self.joined(tokio::task::spawn_blocking(move || shared.keep(info, nar, room)).await);
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

/// A copy was not built where it comes to; and an untrusted client may not say so anyway.
fn as_copied(info: &PathInfo) -> PathInfo {
    PathInfo { ultimate: false, ..info.clone() }
}

/// The error of a request, with what was to be done.
pub(super) fn failed(store: &impl fmt::Display, action: &str, error: DaemonError) -> StoreError {
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
