//! Moving and removing trees whose directories are read-only, as all directories of a store are.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Permission to write, for the owner.
const OWNER_WRITE: u32 = 0o200;

/// Renames `from` to `to`, on the same file system. Moving a directory to another parent changes its `..`, so whoever
/// is not root needs permission to write to it meanwhile.
pub(crate) fn move_tree(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    let mode = metadata.permissions().mode();
    let needs_permission =
        metadata.is_dir() && mode & OWNER_WRITE == 0 && !rustix::process::geteuid().is_root();
    if !needs_permission {
        return fs::rename(from, to);
    }
    fs::set_permissions(from, Permissions::from_mode(mode | OWNER_WRITE))?;
    let renamed = fs::rename(from, to);
    let now_at = if renamed.is_ok() { to } else { from };
    fs::set_permissions(now_at, Permissions::from_mode(mode))?;
    renamed
}

/// Removes a file, or a directory and all that is in it, whatever its permissions. It is no error if nothing is there.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    // The easy way works for root, and for trees without read-only directories.
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    for entry in walkdir_directories(path)? {
        fs::set_permissions(&entry, Permissions::from_mode(0o700))?;
    }
    fs::remove_dir_all(path)
}

/// All directories of the tree, each made accessible before it is listed. Not recursive, so that no depth of a tree
/// can exhaust the stack.
fn walkdir_directories(root: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next).cloned() {
        next += 1;
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
