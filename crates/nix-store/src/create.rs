//! Making a directory into a Nix store: the directories, their modes, and an empty database.
//!
//! Source: the constructor of `LocalStore` in Nix 2.8 and 2.29 `local-store.cc`. What Nix makes only for a user who
//! builds or has profiles (`per-user/<name>`) is left to Nix.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};

use nars3_store_api::StoreError;

use crate::error::file_error;
use crate::layout::Layout;

/// Bytes that Nix keeps for its collector (`gc-reserved-space`, 8 MiB).
const RESERVED_SIZE: u64 = 8 * 1024 * 1024;

/// Creates the directories of a store that are not there yet.
pub(crate) fn create_directories(layout: &Layout) -> Result<(), StoreError> {
    let profiles = layout.profiles_dir();
    let gc_roots = layout.gc_roots_dir();
    let has_gc_roots = gc_roots.exists();
    let directories = [
        layout.real_store_dir().to_owned(),
        layout.links_dir(),
        profiles.join("per-user"),
        layout.temp_roots_dir(),
        layout.database_dir(),
        gc_roots.join("per-user"),
    ];
    for directory in directories {
        fs::create_dir_all(&directory)
            .map_err(|error| file_error("create the directory", &directory, error))?;
    }
    if !has_gc_roots {
        // Nix 2.8 looks for roots in `gcroots` only, and makes this link only together with that directory.
        let link = gc_roots.join("profiles");
        match symlink(&profiles, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(file_error("create the link", &link, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sets aside the space that lets the collector work on a full disk. Nix, too, goes on without it.
pub(crate) fn reserve_space(layout: &Layout) {
    let path = layout.reserved();
    let reserve = || -> io::Result<()> {
        let file: File =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if file.metadata()?.len() != RESERVED_SIZE {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVED_SIZE)?;
        }
        Ok(())
    };
    if let Err(error) = reserve() {
        tracing::debug!(path = %path.display(), %error, "cannot set space aside for the collector");
    }
}
