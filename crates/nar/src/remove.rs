//! Removing trees that are read-only, as those of a store are.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Removes a file, symlink or directory with all that is in it, whatever its permissions: what was restored with the
/// metadata of the store cannot be removed by whoever is not root before its directories are made writable again. It
/// is no error if nothing is there.
///
/// # Errors
///
/// What the system says, for example when the files are somebody else's. Then a part may be gone.
pub fn remove_tree(path: &Path) -> io::Result<()> {
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
    make_writable(path)?;
    fs::remove_dir_all(path)
}

/// Gives the owner all permissions for all directories of the tree, each before it is listed. Not recursive, so that no
/// depth of a tree can exhaust the stack.
fn make_writable(root: &Path) -> io::Result<()> {
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}
