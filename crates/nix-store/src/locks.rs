//! Nix's lock files: `flock` on files that nobody deletes (`gc.lock`, `big-lock`), and on short-lived ones beside a
//! store path.
//!
//! Source: Nix 2.8 and 2.29 `pathlocks.cc`. All are advisory, belong to an open file description, and end with the
//! process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nars3_store_api::StoreError;

use crate::error::file_error;

/// Opens a lock file, creating it with the mode that Nix gives it.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether the lock was free, with the other errors kept apart.
pub(crate) fn was_free(attempt: Result<(), TryLockError>) -> io::Result<bool> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The shared `big-lock` of one who uses the database. Nix migrates the schema only while nobody holds it.
#[derive(Debug)]
pub(crate) struct BigLock {
    _file: File,
}

impl BigLock {
    /// Takes the lock, waiting for a migration to end.
    pub(crate) fn shared(path: &Path) -> Result<Self, StoreError> {
        let file = open_lock_file(path).map_err(|error| file_error("open the lock file", path, error))?;
        file.lock_shared().map_err(|error| file_error("lock", path, error))?;
        Ok(Self { _file: file })
    }
}

/// Exclusive locks on the store paths that are being put in place. Whoever builds, substitutes or adds a path holds
/// the lock on `<path>.lock` while it touches the files there.
#[derive(Debug, Default)]
pub(crate) struct PathLocks {
    held: Vec<(PathBuf, File)>,
}

impl PathLocks {
    /// Locks `paths`, waiting for each. They must be sorted: everybody takes locks in this order, so that nobody waits
    /// in a circle.
    pub(crate) fn take(paths: &[PathBuf]) -> Result<Self, StoreError> {
        let mut locks = Self::default();
        for path in paths {
            let mut name = path.clone().into_os_string();
            name.push(".lock");
            let lock_path = PathBuf::from(name);
            let file = lock_live_file(&lock_path).map_err(|error| file_error("lock", &lock_path, error))?;
            locks.held.push((lock_path, file));
        }
        Ok(locks)
    }
}

impl Drop for PathLocks {
    /// Deletes the lock files. The byte tells those who wait on the deleted file that they wait for nothing.
    fn drop(&mut self) {
        for (path, mut file) in self.held.drain(..) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove a lock file");
            }
            if let Err(error) = file.write_all(b"d") {
                tracing::debug!(path = %path.display(), %error, "cannot mark a lock file as stale");
            }
        }
    }
}

/// Locks the file at `path` exclusively, making sure that it is the file which is still there: one that has bytes in it
/// was deleted by its former holder, and somebody else may hold a lock on a new one.
fn lock_live_file(path: &Path) -> io::Result<File> {
    loop {
        let file = open_lock_file(path)?;
        file.lock()?;
        if file.metadata()?.len() == 0 {
            return Ok(file);
        }
        // A holder that died between writing the byte and closing cannot leave such a file behind, because it deletes
        // first; but a file system restored from a backup can. Deleting it, with the lock held, ends the loop.
        if same_file(&file, path)? {
            std::fs::remove_file(path)?;
        }
    }
}

/// Whether `path` still names the file that is open as `file`.
pub(crate) fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok(named.ino() == open.ino() && named.dev() == open.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lock_keeps_others_out_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("tempdir");
        let target = directory.path().join("x");
        let lock_path = directory.path().join("x.lock");
        let locks = PathLocks::take(std::slice::from_ref(&target)).expect("free");

        let other = open_lock_file(&lock_path).expect("open");
        assert!(!was_free(other.try_lock()).expect("flock"), "the lock is held");
        drop(locks);
        assert!(!lock_path.exists());
        assert!(was_free(other.try_lock()).expect("flock"));
        assert_eq!(other.metadata().expect("fstat").len(), 1, "those who waited are told that it is stale");
    }

    #[test]
    fn a_stale_lock_file_is_replaced() {
        let directory = tempfile::tempdir().expect("tempdir");
        let target = directory.path().join("x");
        std::fs::write(directory.path().join("x.lock"), b"d").expect("write");
        let locks = PathLocks::take(std::slice::from_ref(&target)).expect("free");
        assert_eq!(std::fs::metadata(directory.path().join("x.lock")).expect("there").len(), 0);
        drop(locks);
    }
}
