//! How a daemon is reached.

use std::path::{Path, PathBuf};

use nars3_store_path::StoreDir;

use crate::logs::DEFAULT_LOG_DIR;

/// Where a daemon listens, if nothing else is said.
const DEFAULT_SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

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

/// The store URL of the daemon.
pub(super) fn url(options: &DaemonStoreOptions) -> String {
    if options.socket == Path::new(DEFAULT_SOCKET) {
        "daemon".to_owned()
    } else {
        format!("unix://{}", options.socket.display())
    }
}
