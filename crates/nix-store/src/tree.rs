//! Moving trees whose directories are read-only, as all directories of a store are.

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
