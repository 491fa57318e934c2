//! Several connections to one daemon, so that several NARs can travel at once.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nars3_store_path::StoreDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::{Connection, Outcome};
use super::socket::Wanted;
use crate::socket;
use crate::worker_protocol::error::{DaemonError, WireError};

/// Connections, opened as needed.
#[derive(Debug)]
pub(crate) struct Pool {
    socket: PathBuf,
    store_dir: StoreDir,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Pool {
    pub(crate) fn new(socket: PathBuf, store_dir: StoreDir, connections: usize) -> Self {
        Self { socket, store_dir, idle: Mutex::new(Vec::new()), permits: Semaphore::new(connections.max(1)) }
    }

    /// Waits until a connection may be used. To be held as long as it is.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// A connection of one's own. Blocks.
    pub(crate) fn connect(&self, wanted: &Wanted) -> Result<Connection, DaemonError> {
        let stream = connect(&self.socket)?;
        Connection::open(stream, self.store_dir.clone(), wanted.clone())
    }

    /// Keeps a connection for the next request.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Runs `request` on a connection, which is used again unless it broke. Blocks, but not much longer than it is
    /// `wanted`.
    pub(crate) fn run<T>(
        &self,
        wanted: &Wanted,
        request: impl FnOnce(&mut Connection) -> Result<Outcome<T>, DaemonError>,
    ) -> Result<T, DaemonError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(mut connection) => {
                connection.serve(wanted);
                connection
            }
            None => self.connect(wanted)?,
        };
        let (answer, usable) = match request(&mut connection) {
            Ok(Outcome::Clean(answer)) => (Ok(answer), true),
            Ok(Outcome::Broken(answer)) => (Ok(answer), false),
            Err(DaemonError::Remote(error)) => (Err(error.into()), true),
            Err(broken) => (Err(broken), false),
        };
        if usable {
            self.give_back(connection);
        }
        answer
    }
}

fn connect(path: &Path) -> Result<UnixStream, DaemonError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().map_or(path, Path::new);
    socket::connect(directory, name).map_err(|error| DaemonError::Wire(WireError::Io(error)))
}
