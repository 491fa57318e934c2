//! Where a local store keeps what, on the disk.
//!
//! The names are those of Nix 2.8 to 2.29: `local-fs-store.hh` for the two directories that can be moved,
//! `local-store.cc` and `gc.cc` for what is inside them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nars3_store_path::{StoreDir, StorePath};

use crate::LocalStoreOptions;
use crate::logs::DEFAULT_LOG_DIR;

/// Nix's state directory where nothing else is said.
const DEFAULT_STATE_DIR: &str = "/nix/var/nix";

/// The places of one store. `Display` is its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    url: String,
    store_dir: StoreDir,
    real_store_dir: PathBuf,
    state_dir: PathBuf,
    log_dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(options: &LocalStoreOptions) -> io::Result<Self> {
        let root = options.root.as_deref().map(std::path::absolute).transpose()?;
        let real_store_dir = match (&options.real_store_dir, &root) {
            (Some(chosen), _) => std::path::absolute(chosen)?,
            // Nix appends `nix/store` whatever the logical store directory is.
            (None, Some(root)) => root.join("nix/store"),
            (None, None) => PathBuf::from(options.store_dir.as_str()),
        };
        let state_dir = match (&options.state_dir, &root) {
            (Some(chosen), _) => std::path::absolute(chosen)?,
            (None, Some(root)) => root.join("nix/var/nix"),
            (None, None) => PathBuf::from(DEFAULT_STATE_DIR),
        };
        let log_dir = match (&options.log_dir, &root) {
            (Some(chosen), _) => std::path::absolute(chosen)?,
            (None, Some(root)) => root.join("nix/var/log/nix"),
            (None, None) => PathBuf::from(DEFAULT_LOG_DIR),
        };
        let url = url(options, root.as_deref());
        Ok(Self { url, store_dir: options.store_dir.clone(), real_store_dir, state_dir, log_dir })
    }

    /// The logical store directory.
    pub(crate) fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// The directory that holds the files.
    pub(crate) fn real_store_dir(&self) -> &Path {
        &self.real_store_dir
    }

    /// The file or directory that a store path names.
    pub(crate) fn real_path(&self, path: &StorePath) -> PathBuf {
        self.real_store_dir.join(path.base_name())
    }

    /// Hard links to the contents of optimised files, by hash.
    pub(crate) fn links_dir(&self) -> PathBuf {
        self.real_store_dir.join(".links")
    }

    /// The directory of build logs.
    pub(crate) fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    pub(crate) fn database_dir(&self) -> PathBuf {
        self.state_dir.join("db")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state_dir.join("db/db.sqlite")
    }

    /// Holds the version of the database schema, in decimal.
    pub(crate) fn schema(&self) -> PathBuf {
        self.state_dir.join("db/schema")
    }

    /// Held shared by whoever uses the database, exclusively by whoever migrates it.
    pub(crate) fn big_lock(&self) -> PathBuf {
        self.state_dir.join("db/big-lock")
    }

    /// Space that the collector frees first, so that it can work on a full disk.
    pub(crate) fn reserved(&self) -> PathBuf {
        self.state_dir.join("db/reserved")
    }

    /// Held exclusively by a running collector.
    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.state_dir.join("gc.lock")
    }

    /// The directory of the socket on which a running collector takes new roots.
    pub(crate) fn gc_socket_dir(&self) -> PathBuf {
        self.state_dir.join("gc-socket")
    }

    /// One file of roots for each process.
    pub(crate) fn temp_roots_dir(&self) -> PathBuf {
        self.state_dir.join("temproots")
    }

    pub(crate) fn profiles_dir(&self) -> PathBuf {
        self.state_dir.join("profiles")
    }

    pub(crate) fn gc_roots_dir(&self) -> PathBuf {
        self.state_dir.join("gcroots")
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

fn url(options: &LocalStoreOptions, root: Option<&Path>) -> String {
    let default_store_dir = StoreDir::default();
    let moved_store = (options.store_dir != default_store_dir).then(|| Path::new(options.store_dir.as_str()));
    let parameters: Vec<_> = [
        ("root", root),
        ("store", moved_store),
        ("state", options.state_dir.as_deref()),
        ("real", options.real_store_dir.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| format!("{name}={}", value.display())))
    .collect();
    if parameters.is_empty() { "local".to_owned() } else { format!("local?{}", parameters.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_moves_files_and_state_together() {
        let options = LocalStoreOptions { root: Some("/mnt".into()), ..LocalStoreOptions::default() };
        let layout = Layout::new(&options).expect("absolute");
        assert_eq!(layout.real_store_dir(), Path::new("/mnt/nix/store"));
        assert_eq!(layout.database(), Path::new("/mnt/nix/var/nix/db/db.sqlite"));
        assert_eq!(layout.to_string(), "local?root=/mnt");
    }

    #[test]
    fn the_store_of_this_machine_is_where_nix_has_it() {
        let layout = Layout::new(&LocalStoreOptions::default()).expect("absolute");
        assert_eq!(layout.real_store_dir(), Path::new("/nix/store"));
        assert_eq!(layout.gc_lock(), Path::new("/nix/var/nix/gc.lock"));
        assert_eq!(layout.to_string(), "local");
    }

    #[test]
    fn single_directories_can_be_moved() {
        let options = LocalStoreOptions {
            root: Some("/mnt".into()),
            state_dir: Some("/state".into()),
            real_store_dir: Some("/files".into()),
            ..LocalStoreOptions::default()
        };
        let layout = Layout::new(&options).expect("absolute");
        assert_eq!(layout.real_store_dir(), Path::new("/files"));
        assert_eq!(layout.big_lock(), Path::new("/state/db/big-lock"));
        assert_eq!(layout.to_string(), "local?root=/mnt&state=/state&real=/files");
    }
}
