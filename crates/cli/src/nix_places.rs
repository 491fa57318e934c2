//! Where the Nix of this machine is, as far as the environment says otherwise than usual: `NIX_STATE_DIR`, `NIX_LOG_DIR` and
//! `NIX_DAEMON_SOCKET_PATH`, as Nix reads them (2.29 `globals.cc`). What a store URL says comes first.

use nars3_store_url::{DaemonSettings, LocalSettings};

use crate::settings::Environment;

/// The same settings, with what the environment says in place of the defaults. A chroot store has its own places.
pub(crate) fn local(mut settings: LocalSettings, environment: &Environment) -> LocalSettings {
    if settings.root.is_none() {
        settings.state = settings.state.or_else(|| environment.path("NIX_STATE_DIR"));
        settings.log = settings.log.or_else(|| environment.path("NIX_LOG_DIR"));
    }
    settings
}

/// As `local`, for a daemon.
pub(crate) fn daemon(mut settings: DaemonSettings, environment: &Environment) -> DaemonSettings {
    if settings.root.is_none() {
        settings.socket = settings.socket.or_else(|| environment.path("NIX_DAEMON_SOCKET_PATH"));
        settings.state = settings.state.or_else(|| environment.path("NIX_STATE_DIR"));
        settings.log = settings.log.or_else(|| environment.path("NIX_LOG_DIR"));
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn the_environment_moves_what_the_url_leaves_open() {
        let environment = Environment::from([
            ("NIX_STATE_DIR", "/state"),
            ("NIX_LOG_DIR", "/log"),
            ("NIX_DAEMON_SOCKET_PATH", "/run/socket"),
        ]);
        let moved = daemon(DaemonSettings::default(), &environment);
        assert_eq!((moved.socket_path(), moved.log), (PathBuf::from("/run/socket"), Some("/log".into())));
        assert_eq!(local(LocalSettings::default(), &environment).state_dir(), Path::new("/state"));
        let chroot = LocalSettings { root: Some("/r".into()), ..LocalSettings::default() };
        assert_eq!(local(chroot, &environment).state_dir(), Path::new("/r/nix/var/nix"));
        let named = DaemonSettings { socket: Some("/s".into()), ..DaemonSettings::default() };
        assert_eq!(daemon(named, &environment).socket_path(), Path::new("/s"));
        let only_state = Environment::from([("NIX_STATE_DIR", "/state")]);
        let moved = daemon(DaemonSettings::default(), &only_state);
        assert_eq!(moved.socket_path(), Path::new("/state/daemon-socket/socket"));
    }
}
