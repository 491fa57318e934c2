//! Moving trees whose directories are read-only, as all directories of a store are.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Permission to write, for the owner.
const OWNER_WRITE: u32 = 0o200;

/// Renames `from` to `to`, on the same file system. Moving a directory to another parent changes its `..`, so whoever
/// is not root needs permission to write to it meanwhile.
pub(crate) fn move_tree(from: &Path, to: &Path) -> io::Result<()> {
    let Some(mode) = mode_that_forbids_moving(from)? else { return fs::rename(from, to) };
    fs::set_permissions(from, Permissions::from_mode(mode | OWNER_WRITE))?;
    let renamed = fs::rename(from, to);
    let now_at = if renamed.is_ok() { to } else { from };
    fs::set_permissions(now_at, Permissions::from_mode(mode))?;
    renamed
}

/// Lets what is at `one` and what is at `other`, on the same file system, change places, so that at no moment there is
/// nothing at either. False where this file system, or the kernel, does not know how.
pub(crate) fn exchange_trees(one: &Path, other: &Path) -> io::Result<bool> {
    let modes =
        [(one, other), (other, one)].map(|(from, to)| Ok((from, to, mode_that_forbids_moving(from)?)));
    let modes = modes.into_iter().collect::<io::Result<Vec<_>>>()?;
    for (from, _, mode) in &modes {
        if let Some(mode) = mode {
            fs::set_permissions(from, Permissions::from_mode(mode | OWNER_WRITE))?;
        }
    }
    let exchanged = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    for (from, to, mode) in &modes {
        if let Some(mode) = mode {
            let now_at = if exchanged.is_ok() { to } else { from };
            fs::set_permissions(now_at, Permissions::from_mode(*mode))?;
        }
    }
    match exchanged {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The mode of a directory that this user cannot give another parent as it is.
fn mode_that_forbids_moving(path: &Path) -> io::Result<Option<u32>> {
    let metadata = fs::symlink_metadata(path)?;
    let mode = metadata.permissions().mode();
    let forbids = metadata.is_dir() && mode & OWNER_WRITE == 0 && !rustix::process::geteuid().is_root();
    Ok(forbids.then_some(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_and_a_file_change_places() {
        let directory = tempfile::tempdir().expect("tempdir");
        let (tree, file) = (directory.path().join("tree"), directory.path().join("below/file"));
        fs::create_dir(&tree).expect("mkdir");
        fs::write(tree.join("inside"), "of the tree").expect("write");
        fs::set_permissions(&tree, Permissions::from_mode(0o555)).expect("chmod");
        fs::create_dir(directory.path().join("below")).expect("mkdir");
        fs::write(&file, "a file").expect("write");
        if !exchange_trees(&tree, &file).expect("exchanged") {
            eprintln!("SKIPPED: this file system exchanges nothing");
            return;
        }
        assert_eq!(fs::read(&tree).expect("read"), b"a file");
        assert_eq!(fs::read(file.join("inside")).expect("read"), b"of the tree");
        assert_eq!(fs::metadata(&file).expect("stat").permissions().mode() & 0o777, 0o555);
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("chmod");
    }
}
