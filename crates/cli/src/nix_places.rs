//! Where the Nix of this machine is, as far as the environment says otherwise than usual: `NIX_STORE_DIR`, `NIX_STATE_DIR`,
//! `NIX_LOG_DIR` and `NIX_DAEMON_SOCKET_PATH`, as Nix reads them (2.29 `globals.cc`). What a store URL says comes first.

use nars3_store_path::StoreDir;
use nars3_store_url::{DaemonSettings, LocalSettings};

use crate::error::{CliResult, ResultExt};
use crate::settings::Environment;

/// The store directory of a store whose URL, `text`, names none: that of the environment, if it names one. It holds for
/// stores of every kind (2.29 `store-api.hh`, `store`), or a scratch database would be paired with `/nix/store`.
pub(crate) fn store_dir(text: &str, environment: &Environment) -> CliResult<Option<StoreDir>> {
    let settings = text.split_once('?').map_or("", |(_, settings)| settings);
    if settings.split('&').any(|setting| setting.starts_with("store=")) {
        return Ok(None);
    }
    for name in ["NIX_STORE_DIR", "NIX_STORE"] {
        if let Some(directory) = environment.get(name).filter(|value| !value.is_empty()) {
            let directory = StoreDir::new(directory)
                .context(|| format!("the environment variable {name} is no store directory"))?;
            return Ok(Some(directory));
        }
    }
    Ok(None)
}

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
    fn the_environment_names_the_store_directory_unless_the_url_does() {
        let environment = Environment::from([("NIX_STORE_DIR", "/scratch/store"), ("NIX_STORE", "/old")]);
        let found = |text| store_dir(text, &environment).unwrap().map(|directory| directory.to_string());
        for text in ["local", "s3://b?region=x", "daemon?restore=1"] {
            assert_eq!(found(text).as_deref(), Some("/scratch/store"), "{text}");
        }
        assert_eq!(found("local?store=/nix/store"), None);
        assert_eq!(found("file:///c?trusted=1&store=/x"), None);
        let older = Environment::from([("NIX_STORE", "/old"), ("NIX_STORE_DIR", "")]);
        assert_eq!(store_dir("local", &older).unwrap().unwrap().to_string(), "/old");
        let wrong = Environment::from([("NIX_STORE_DIR", "scratch")]);
        assert!(store_dir("local", &wrong).unwrap_err().to_string().contains("NIX_STORE_DIR"));
        assert!(store_dir("local", &Environment::from([("X", "y")])).unwrap().is_none());
    }

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
