//! Where paths wait between `stage` and `publish`: a directory of our own inside the store directory, so that putting a
//! path in place is a rename.
//!
//! Its name is that of a store path which is not valid, and it is a temporary root: so every collector, of Nix 2.3 as
//! of 2.29, leaves it alone while we live and removes it when we are gone. A lock on the directory says that we live
//! to those who clean up without a collector.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nars3_nar::remove_tree;
use nars3_store_api::StoreError;
use nars3_store_path::{Algorithm, Hash, StorePath, nix32};

use crate::error::{corrupt, file_error};
use crate::layout::Layout;
use crate::locks::{same_file, was_free};
use crate::temp_roots::TempRoots;

/// The name part of a staging directory.
const NAME: &str = "nars3-staging";

/// Bytes in the hash part of a store path.
const HASH_PART_BYTES: usize = 20;

/// The staging directory of one open store.
#[derive(Debug)]
pub(crate) struct StagingDir {
    path: PathBuf,
    next: AtomicU64,
    _lock: File,
}

impl StagingDir {
    /// Makes a staging directory, and removes those that dead processes left behind.
    pub(crate) fn create(layout: &Layout, temp_roots: &TempRoots) -> Result<Self, StoreError> {
        remove_abandoned(layout);
        loop {
            let name = new_name(layout)?;
            temp_roots.add([&name])?;
            let path = layout.real_path(&name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(file_error("create the directory", &path, error)),
            }
            let lock = || -> io::Result<Option<File>> {
                let directory = File::open(&path)?;
                // One who cleans up may have taken the directory between its creation and the lock.
                let ours = was_free(directory.try_lock())? && same_file(&directory, &path)?;
                Ok(ours.then_some(directory))
            };
            match lock() {
                Ok(Some(lock)) => return Ok(Self { path, next: AtomicU64::new(0), _lock: lock }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(file_error("lock", &path, error)),
            }
        }
    }

    /// A name inside the directory that nobody has.
    pub(crate) fn new_path(&self) -> PathBuf {
        self.path.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove the staging directory");
        }
    }
}

/// A path of a staging directory that has not been published. Dropped, it is removed, on the blocking pool where there
/// is one.
#[derive(Debug)]
pub(crate) struct StagedFiles {
    path: PathBuf,
    directory: Arc<StagingDir>,
}

impl StagedFiles {
    /// A name for what is about to be written.
    pub(crate) fn new(directory: Arc<StagingDir>) -> Self {
        Self { path: directory.new_path(), directory }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        let is_there = fs::symlink_metadata(&self.path).is_ok();
        if !is_there {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let directory = Arc::clone(&self.directory);
        let remove = move || {
            if let Err(error) = remove_tree(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove an unpublished path");
            }
            drop(directory);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_no_runtime) => remove(),
        }
    }
}

/// A store path that nobody uses. It need not be hard to guess: creating the directory settles who has it.
fn new_name(layout: &Layout) -> Result<StorePath, StoreError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let seed = format!("{}-{}-{count}", std::process::id(), since.as_nanos());
    let digest = Hash::digest(Algorithm::Sha256, seed.as_bytes());
    let hash_part = nix32::encode(digest.as_bytes().get(..HASH_PART_BYTES).unwrap_or_default());
    let name = format!("{hash_part}-{NAME}");
    StorePath::from_base_name(&name).map_err(|error| corrupt(layout, name, error))
}

/// Removes the staging directories that nobody holds a lock on. What cannot be removed is left to the collector.
fn remove_abandoned(layout: &Layout) {
    let suffix = format!("-{NAME}");
    let Ok(entries) = fs::read_dir(layout.real_store_dir()) else { return };
    for entry in entries.flatten() {
        let is_staging = entry
            .file_name()
            .to_str()
            .and_then(|name| StorePath::from_base_name(name).ok())
            .is_some_and(|path| path.base_name().ends_with(&suffix) && path.name() == NAME);
        if !is_staging {
            continue;
        }
        let path = entry.path();
        let abandoned = File::open(&path).ok().filter(|directory| {
            // Nobody but us makes these, and only as directories with this mode; anything else is left alone.
            directory
                .metadata()
                .is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o777 == 0o700)
                && matches!(was_free(directory.try_lock()), Ok(true))
        });
        if let Some(_locked) = abandoned {
            tracing::debug!(path = %path.display(), "removing an abandoned staging directory");
            if let Err(error) = remove_tree(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove an abandoned staging directory");
            }
        }
    }
}
