//! A directory of this machine has no conditional writes: whoever changes what is there holds a lock meanwhile.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

/// The lock of a cache's directory: advisory (flock(2)), on the directory itself, so that no file of ours is in the cache.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    directory: Option<PathBuf>,
    /// Of those in this process, one waits for the other processes.
    waiting: Mutex<()>,
}

/// The lock is held until this is dropped.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    _file: Option<File>,
    _turn: MutexGuard<'a, ()>,
}

impl DirectoryLock {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, waiting: Mutex::new(()) }
    }

    /// Takes the lock; `None` if the cache is no directory of this machine. Some network file systems lock no directories:
    /// there, the moment between a look and a write stays open to other processes.
    pub(super) async fn take(&self) -> Option<Locked<'_>> {
        let directory = self.directory.clone()?;
        let turn = self.waiting.lock().await;
        let lock = move || {
            let file = File::open(&directory)?;
            lock_patiently(&file, &directory)?;
            Ok(file)
        };
        let locked = tokio::task::spawn_blocking(lock).await.map_err(io::Error::other);
        let file = match locked.flatten() {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::debug!(directory = ?self.directory, %error, "the directory cannot be locked");
                None
            }
        };
        Some(Locked { _file: file, _turn: turn })
    }
}

/// Whoever holds the lock for longer is no writer of ours, and may even wait for this program (`flock DIR nars3 …`).
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(20);

fn lock_patiently(file: &File, directory: &Path) -> io::Result<()> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= PATIENCE => {
                tracing::warn!("'{}' is still locked: writing without a lock", directory.display());
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(TryLockError::WouldBlock) => {
                if !told && begun.elapsed() >= Duration::from_secs(2) {
                    tracing::warn!("waiting for another program that has locked '{}'", directory.display());
                    told = true;
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holds_it_at_a_time_and_no_file_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::new(Some(directory.path().to_owned()));
        let held = lock.take().await.unwrap();
        let another = File::open(directory.path()).unwrap();
        assert!(another.try_lock().is_err());
        drop(held);
        another.try_lock().unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(DirectoryLock::new(None).take().await.is_none());
    }
}
