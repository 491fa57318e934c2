//! The settings of the stores on this machine: Nix's own, a chroot store, the daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nars3_store_path::StoreDir;

/// Where Nix keeps its state unless told otherwise.
const DEFAULT_STATE_DIR: &str = "/nix/var/nix";

/// Where Nix keeps build logs unless told otherwise.
const DEFAULT_LOG_DIR: &str = "/nix/var/log/nix";

/// A local store (Nix `local-fs-store.hh`, `local-store.hh`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LocalSettings {
    /// `root`: the directory in front of everything else; makes it a chroot store.
    /// A bare path may be relative: see `StoreUrl::resolve_relative`.
    pub root: Option<PathBuf>,
    /// `state`: the directory of the database; `state_dir` tells it when it is unset.
    pub state: Option<PathBuf>,
    /// `log`: the directory of build logs; `log_dir` tells it when it is unset.
    pub log: Option<PathBuf>,
    /// `real`: where the store objects are in the file system; `real_store_dir` tells it when it is unset.
    pub real: Option<PathBuf>,
    /// `build-dir`: where builds happen.
    pub build_dir: Option<PathBuf>,
    /// `read-only`: open the database without locks, for a read-only file system.
    pub read_only: bool,
    /// `require-sigs`: whether paths copied into the store need a trusted signature. Unset, `nix.conf` says it.
    pub require_sigs: Option<bool>,
    /// `ignore-gc-delete-failure`: whether garbage collection goes on where a file cannot be deleted.
    pub ignore_gc_delete_failure: bool,
    /// `use-roots-daemon`: whether garbage collector roots come from a daemon.
    pub use_roots_daemon: bool,
}

impl LocalSettings {
    /// The directory of the database: `state`, or below `root`, or Nix's default (which the environment variable
    /// `NIX_STATE_DIR` may change; this crate does not look at it).
    pub fn state_dir(&self) -> PathBuf {
        below(self.state.as_deref(), self.root.as_deref(), "nix/var/nix", DEFAULT_STATE_DIR)
    }

    /// The directory of build logs: `log`, or below `root`, or Nix's default (but for `NIX_LOG_DIR`).
    pub fn log_dir(&self) -> PathBuf {
        below(self.log.as_deref(), self.root.as_deref(), "nix/var/log/nix", DEFAULT_LOG_DIR)
    }

    /// Where the store objects are: `real`, or `nix/store` below `root` (whatever the store directory is called,
    /// as Nix has it), or the store directory itself.
    pub fn real_store_dir(&self, store_dir: &StoreDir) -> PathBuf {
        below(self.real.as_deref(), self.root.as_deref(), "nix/store", store_dir.as_str())
    }
}

fn below(set: Option<&Path>, root: Option<&Path>, inside: &str, default: &str) -> PathBuf {
    match (set, root) {
        (Some(path), _) => path.to_owned(),
        (None, Some(root)) => root.join(inside),
        (None, None) => PathBuf::from(default),
    }
}

/// How many connections are kept to the daemon, and for how long (Nix `remote-store.hh`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionSettings {
    /// `max-connections`: how many at once.
    pub max_connections: u32,
    /// `max-connection-age`: after how long one is closed.
    pub max_connection_age: Duration,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        ConnectionSettings { max_connections: 1, max_connection_age: Duration::from_secs(u32::MAX.into()) }
    }
}

/// The Nix daemon (Nix `uds-remote-store.hh`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DaemonSettings {
    /// The socket, of `unix:///path`. Unset, it is `daemon-socket/socket` in the state directory (but for
    /// `NIX_DAEMON_SOCKET_PATH`, which this crate does not look at).
    pub socket: Option<PathBuf>,
    /// `root`, as in `LocalSettings`.
    pub root: Option<PathBuf>,
    /// `state`, as in `LocalSettings`.
    pub state: Option<PathBuf>,
    /// `log`, as in `LocalSettings`.
    pub log: Option<PathBuf>,
    /// `real`, as in `LocalSettings`.
    pub real: Option<PathBuf>,
    /// Connections.
    pub connections: ConnectionSettings,
}

impl DaemonSettings {
    /// The socket to connect to.
    pub fn socket_path(&self) -> PathBuf {
        let state = || below(self.state.as_deref(), self.root.as_deref(), "nix/var/nix", DEFAULT_STATE_DIR);
        self.socket.clone().unwrap_or_else(|| state().join("daemon-socket").join("socket"))
    }
}

/// Whichever of the local store and the daemon is there: Nix takes the store if its state directory can be written,
/// else the daemon if its socket exists, else the store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AutoSettings {
    /// What holds if it is the local store; `root`, `state`, `log` and `real` hold for both.
    pub local: LocalSettings,
    /// What else holds if it is the daemon.
    pub connections: ConnectionSettings,
}

impl AutoSettings {
    /// The settings if the daemon is chosen.
    pub fn daemon(&self) -> DaemonSettings {
        DaemonSettings {
            socket: None,
            root: self.local.root.clone(),
            state: self.local.state.clone(),
            log: self.local.log.clone(),
            real: self.local.real.clone(),
            connections: self.connections.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_follow_the_root() {
        let plain = LocalSettings::default();
        assert_eq!(plain.state_dir(), Path::new("/nix/var/nix"));
        assert_eq!(plain.log_dir(), Path::new("/nix/var/log/nix"));
        assert_eq!(plain.real_store_dir(&StoreDir::default()), Path::new("/nix/store"));
        assert_eq!(DaemonSettings::default().socket_path(), Path::new("/nix/var/nix/daemon-socket/socket"));

        let chroot = LocalSettings { root: Some("/r".into()), log: Some("/l".into()), ..Default::default() };
        assert_eq!(chroot.state_dir(), Path::new("/r/nix/var/nix"));
        assert_eq!(chroot.log_dir(), Path::new("/l"));
        assert_eq!(chroot.real_store_dir(&StoreDir::default()), Path::new("/r/nix/store"));

        let auto = AutoSettings { local: chroot, ..Default::default() };
        assert_eq!(auto.daemon().socket_path(), Path::new("/r/nix/var/nix/daemon-socket/socket"));
    }
}
