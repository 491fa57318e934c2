//! Restoring under another name first, so that what appears is whole.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{RestoreError, RestoreOptions, RestoreSummary, restore};
use crate::remove::remove_tree;

/// Restores the NAR that `reader` holds as `target`, all of it or nothing: the tree grows under a hidden name of its own
/// beside `target`, `.nars3-` and 16 hexadecimal digits, and gets its name when it is complete.
///
/// Otherwise as [`restore`]. Where `target` exists already, nothing is read.
///
/// # Errors
///
/// As those of [`restore`], in terms of `target`; then what had been restored is removed again. Only a process that is
/// killed leaves it behind.
pub fn restore_atomic(
    reader: &mut (impl Read + ?Sized),
    target: &Path,
    options: &RestoreOptions,
) -> Result<RestoreSummary, RestoreError> {
    let (Some(parent), Some(_)) = (target.parent(), target.file_name()) else {
        return Err(RestoreError::BadTarget { path: target.to_path_buf() });
    };
    if target.symlink_metadata().is_ok() {
        return Err(RestoreError::TargetExists { path: target.to_path_buf() });
    }
    let staged = parent.join(format!(".nars3-{:016x}", RandomState::new().hash_one(())));
    let restored = restore(reader, &staged, options).and_then(|summary| {
        rename_new(&staged, target).map(|()| summary).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => RestoreError::TargetExists { path: target.to_path_buf() },
            _ => RestoreError::File { action: "naming", path: target.to_path_buf(), source: error },
        })
    });
    restored.map_err(|error| {
        // Why it failed matters more than that something could not be removed, for which the reason is the same.
        if !matches!(&error, RestoreError::TargetExists { path } if *path == staged) {
            let _ = remove_tree(&staged);
        }
        in_terms_of(error, &staged, target)
    })
}

/// Renames `from` to `to`, where nothing may be.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system or the kernel does not know how.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// The error with the name that the caller knows.
fn in_terms_of(error: RestoreError, staged: &Path, target: &Path) -> RestoreError {
    let renamed = |path: PathBuf| match path.strip_prefix(staged) {
        Ok(below) if below.as_os_str().is_empty() => target.to_path_buf(),
        Ok(below) => target.join(below),
        Err(_) => path,
    };
    match error {
        RestoreError::File { action, path, source } => {
            RestoreError::File { action, path: renamed(path), source }
        }
        RestoreError::NameCollision { path } => RestoreError::NameCollision { path: renamed(path) },
        RestoreError::TargetExists { path } => RestoreError::TargetExists { path: renamed(path) },
        other => other,
    }
}
