//! Temporary roots: how a process keeps Nix's garbage collector away from the paths it works on.
//!
//! A process lists its paths in a file of its own under `temproots`, and holds an exclusive lock on it for as long as
//! it lives. The collector holds `gc.lock` exclusively while it runs, and reads those files once, at its start; so a
//! root that is added meanwhile must also be told to it, over its socket. It answers when the path is safe: either it
//! is not touched, or its deletion is over, and the path is not valid any more. Whoever wants to rely on a path
//! therefore roots it first and then asks whether it is valid.
//!
//! Source: `addTempRoot`, `findTempRoots` and `collectGarbage` in Nix 2.8 and 2.29 `gc.cc`, which agree.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use nars3_store_api::StoreError;
use nars3_store_path::{StoreDir, StorePath};

use crate::error::{LocalStoreError, backend_error, file_error};
use crate::layout::Layout;
use crate::locks::{open_lock_file, same_file, was_free};
use crate::socket::connect;

/// How long to wait before asking again for a collector that holds the lock but has no socket yet, or none any more.
/// The time that Nix waits.
const COLLECTOR_RETRY: Duration = Duration::from_millis(100);

/// The roots files of this process, by directory. There must be one only: its name is the process id, and a second one
/// in the same process would find the first one locked.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<TempRoots>>> = Mutex::new(BTreeMap::new());

/// The temporary roots of this process in one store. They end when the last owner lets go.
#[derive(Debug)]
pub(crate) struct TempRoots {
    layout: Layout,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    file: File,
    gc_lock: File,
    collector: Option<UnixStream>,
    rooted: HashSet<StorePath>,
}

impl TempRoots {
    /// The temporary roots of this process in the store at `layout`, which must exist.
    pub(crate) fn open(layout: &Layout) -> Result<Arc<Self>, StoreError> {
        let directory = layout.temp_roots_dir();
        let directory = std::fs::canonicalize(&directory)
            .map_err(|error| file_error("open the directory of temporary roots", &directory, error))?;
        let mut open = lock(&OPEN);
        if let Some(roots) = open.get(&directory).and_then(Weak::upgrade) {
            return Ok(roots);
        }
        let gc_lock_path = layout.gc_lock();
        let gc_lock = open_lock_file(&gc_lock_path)
            .map_err(|error| file_error("open the lock file", &gc_lock_path, error))?;
        let (path, file) = claim_file(&directory)
            .map_err(|error| file_error("create a file of temporary roots in", &directory, error))?;
        let state = State { path, file, gc_lock, collector: None, rooted: HashSet::new() };
        let roots = Arc::new(Self { layout: layout.clone(), state: Mutex::new(state) });
        open.retain(|_, known| known.strong_count() > 0);
        open.insert(directory, Arc::downgrade(&roots));
        Ok(roots)
    }

    /// Makes `paths` temporary roots, waiting for the collector where one is deleting them.
    pub(crate) fn add<'a>(&self, paths: impl IntoIterator<Item = &'a StorePath>) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        let mut seen = HashSet::new();
        let new: Vec<&StorePath> =
            paths.into_iter().filter(|path| !state.rooted.contains(*path) && seen.insert(*path)).collect();
        if new.is_empty() {
            return Ok(());
        }
        state.root(&self.layout, &new)?;
        state.rooted.extend(new.into_iter().cloned());
        Ok(())
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Deleted while the lock is held, so that the name cannot be somebody else's by now.
        if let Err(error) = std::fs::remove_file(&state.path) {
            tracing::debug!(path = %state.path.display(), %error, "cannot remove the file of temporary roots");
        }
    }
}

impl State {
    fn root(&mut self, layout: &Layout, paths: &[&StorePath]) -> Result<(), StoreError> {
        let record: Vec<u8> = paths
            .iter()
            .flat_map(|path| {
                let mut line = layout.store_dir().print(path).into_bytes();
                line.push(0);
                line
            })
            .collect();
        // Written before anything else, so that a collector that starts from now on reads it. (Nix writes it last, which
        // leaves a gap between the end of one collector and the start of the next.)
        self.file.write_all(&record).map_err(|error| file_error("write", &self.path, error))?;
        loop {
            let no_collector = was_free(self.gc_lock.try_lock_shared())
                .map_err(|error| file_error("lock", &layout.gc_lock(), error))?;
            if no_collector {
                return self.gc_lock.unlock().map_err(|error| file_error("unlock", &layout.gc_lock(), error));
            }
            if self.tell_collector(layout, paths)? {
                return Ok(());
            }
            std::thread::sleep(COLLECTOR_RETRY);
        }
    }

    /// Sends `paths` to the running collector. False when it went away, or does not listen yet.
    fn tell_collector(&mut self, layout: &Layout, paths: &[&StorePath]) -> Result<bool, StoreError> {
        let directory = layout.gc_socket_dir();
        let mut collector = match self.collector.take() {
            Some(open) => open,
            None => match connect(&directory, Path::new("socket")) {
                Ok(new) => new,
                Err(error) if went_away(&error) => return Ok(false),
                Err(error) => return Err(file_error("connect to the collector in", &directory, error)),
            },
        };
        for path in paths {
            match announce(&mut collector, layout.store_dir(), path) {
                Ok(b'1') => {}
                Ok(answer) => {
                    let error = LocalStoreError::BadCollectorAnswer { answer };
                    return Err(backend_error(layout, format!("root '{path}'"), error));
                }
                Err(error) if went_away(&error) => return Ok(false),
                Err(error) => return Err(backend_error(layout, format!("root '{path}'"), error)),
            }
        }
        self.collector = Some(collector);
        Ok(true)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes of this module guard is whole at every point where a holder could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates and locks the roots file of this process.
///
/// Nix takes the bare process id and deletes what is there. That is wrong when the owner is alive, which happens where
/// two process namespaces share a store; so a name that is locked is left alone, and a suffix is added. The name must
/// begin with a number, because the collector reads one there.
fn claim_file(directory: &Path) -> io::Result<(PathBuf, File)> {
    let process = std::process::id();
    for attempt in 0_u64.. {
        let name = if attempt == 0 { process.to_string() } else { format!("{process}-{attempt}") };
        let path = directory.join(name);
        loop {
            let file = open_lock_file(&path)?;
            if !was_free(file.try_lock())? {
                break;
            }
            // Bytes in it are those of a dead process with our id, or the mark of a collector that deleted the file
            // before we had the lock.
            if file.metadata()?.len() == 0 && same_file(&file, &path)? {
                return Ok((path, file));
            }
            if same_file(&file, &path)? {
                std::fs::remove_file(&path)?;
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn announce(collector: &mut UnixStream, store_dir: &StoreDir, path: &StorePath) -> io::Result<u8> {
    let mut line = store_dir.print(path);
    line.push('\n');
    collector.write_all(line.as_bytes())?;
    let mut answer = [0; 1];
    collector.read_exact(&mut answer)?;
    let [answer] = answer;
    Ok(answer)
}

/// Whether the error means that the collector has ended or has not begun to listen.
fn went_away(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    matches!(error.kind(), ConnectionRefused | NotFound | BrokenPipe | ConnectionReset | UnexpectedEof)
}
