//! Sharing equal files, as Nix lays it out: each file is hard-linked to `.links/<hash>`, where the hash is that of the
//! NAR of the file alone, in Nix32.
//!
//! Source: `optimisePath_` in Nix 2.8 and 2.29 `optimise-store.cc`. Nix does it to files in their place; here it is
//! done in the staging directory, where nobody looks.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nars3_nar::DumpOptions;
use nars3_store_api::{BoxError, StoreError};

use crate::error::{backend_error, file_error};
use crate::layout::Layout;
use crate::staging::StagingDir;

/// The modification time of everything in a store, in seconds since 1970.
const STORE_TIME: Duration = Duration::from_secs(1);

/// Shares the files of the tree at `root`, which has the metadata of a store already.
pub(crate) fn optimise(layout: &Layout, staging: &StagingDir, root: &Path) -> Result<(), StoreError> {
    let optimiser = Optimiser { links: layout.links_dir(), staging };
    optimiser.tree(root).map_err(|(path, error)| match error.downcast::<io::Error>() {
        Ok(error) => file_error("share the file", &path, *error),
        Err(other) => backend_error(layout, format!("share the file '{}'", path.display()), other),
    })
}

/// A failure, and where.
type Failed = (PathBuf, BoxError);

struct Optimiser<'a> {
    links: PathBuf,
    staging: &'a StagingDir,
}

impl Optimiser<'_> {
    fn tree(&self, root: &Path) -> Result<(), Failed> {
        let is_directory = |path: &Path| -> Result<bool, Failed> {
            Ok(fs::symlink_metadata(path).map_err(|error| failed(path, error))?.is_dir())
        };
        if !is_directory(root)? {
            return self.file(root).map(drop).map_err(|error| (root.to_owned(), error));
        }
        let mut waiting = vec![root.to_owned()];
        while let Some(directory) = waiting.pop() {
            let writable = WritableDirectory::open(&directory).map_err(|error| failed(&directory, error))?;
            for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
                let path = entry.map_err(|error| failed(&directory, error))?.path();
                if is_directory(&path)? {
                    waiting.push(path);
                } else {
                    self.file(&path).map_err(|error| (path.clone(), error))?;
                }
            }
            writable.close().map_err(|error| failed(&directory, error))?;
        }
        Ok(())
    }

    /// Shares one file or symlink.
    fn file(&self, path: &Path) -> Result<(), BoxError> {
        let metadata = fs::symlink_metadata(path)?;
        let (hash, _) = nars3_nar::hash_path(path, &DumpOptions::default())?;
        let link = self.links.join(hash.nix32_digest());
        match fs::symlink_metadata(&link) {
            // A length that is not that of the contents: somebody wrote to it. A new one takes its place; the files
            // that share it stay as they are.
            Ok(found) if found.len() != metadata.len() => remove_if_there(&link)?,
            Ok(found) => return Ok(self.replace(path, &metadata, &link, &found)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        match fs::hard_link(path, &link) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Somebody was faster, and a collector may have been faster than he.
                match fs::symlink_metadata(&link) {
                    Ok(found) => Ok(self.replace(path, &metadata, &link, &found)?),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) if cannot_share(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts another name of `link` in the place of `path`.
    fn replace(
        &self,
        path: &Path,
        metadata: &fs::Metadata,
        link: &Path,
        found: &fs::Metadata,
    ) -> io::Result<()> {
        if found.ino() == metadata.ino() {
            return Ok(());
        }
        let temporary = self.staging.new_path();
        match fs::hard_link(link, &temporary) {
            Ok(()) => {}
            // A collector removed the link meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if cannot_share(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        match fs::rename(&temporary, path) {
            Ok(()) => Ok(()),
            Err(error) => {
                remove_if_there(&temporary)?;
                if cannot_share(&error) { Ok(()) } else { Err(error) }
            }
        }
    }
}

/// Whether the file system, not the store, is the reason why a file cannot be shared: too many links (empty files get
/// there), a full directory index, or a file of somebody else under `protected_hardlinks`.
fn cannot_share(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, StorageFull, TooManyLinks};
    matches!(error.kind(), TooManyLinks | StorageFull | PermissionDenied)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> Failed {
    (path.to_owned(), error.into())
}

/// A read-only directory whose entries are being replaced.
struct WritableDirectory {
    open: File,
    mode: u32,
}

impl WritableDirectory {
    fn open(path: &Path) -> io::Result<Self> {
        let open = File::open(path)?;
        let mode = open.metadata()?.permissions().mode();
        open.set_permissions(Permissions::from_mode(mode | 0o200))?;
        Ok(Self { open, mode })
    }

    /// Gives the directory back the metadata of a store.
    fn close(self) -> io::Result<()> {
        self.open.set_permissions(Permissions::from_mode(self.mode))?;
        self.open.set_modified(SystemTime::UNIX_EPOCH + STORE_TIME)
    }
}
