//! A store directory that is mounted read-only, as NixOS does it to protect it from its users: root remounts it for
//! itself alone.
//!
//! Source: `makeStoreWritable` in Nix 2.8 and 2.29 `local-store.cc`.

use std::io;
use std::path::Path;

use nars3_store_api::StoreError;
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{MountFlags, mount_remount};
use rustix::thread::UnshareFlags;

use crate::LocalStoreOptions;
use crate::error::{LocalStoreError, backend_error, file_error};
use crate::layout::Layout;

/// Makes the store directory of `options` writable for this thread, and for the threads that it starts from now on,
/// where it is mounted read-only: by a remount in a mount namespace of their own, which nobody else sees. To be called
/// before the other threads of the process are started. Answers whether there was anything to do.
///
/// Without root, and where the store directory does not exist, nothing is done.
///
/// # Errors
///
/// `StoreError::File` when the system does not allow it.
pub fn make_store_writable(options: &LocalStoreOptions) -> Result<bool, StoreError> {
    let failed = |path: &Path, error| file_error("remount in a namespace of its own", path, error);
    let layout =
        Layout::new(options).map_err(|error| failed(&options.root.clone().unwrap_or_default(), error))?;
    let directory = layout.real_store_dir();
    if !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    let Some(flags) = mount_flags(directory).map_err(|error| failed(directory, error))? else {
        return Ok(false);
    };
    if !flags.contains(StatVfsMountFlags::RDONLY) {
        return Ok(false);
    }
    remount(directory, flags).map_err(|error| failed(directory, error))?;
    Ok(true)
}

/// Fails when the store directory is mounted read-only.
pub(crate) fn check_writable(layout: &Layout) -> Result<(), StoreError> {
    let directory = layout.real_store_dir();
    let flags = mount_flags(directory).map_err(|error| file_error("look at", directory, error))?;
    if flags.is_some_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)) {
        let error = LocalStoreError::ReadOnlyMount {
            path: directory.to_owned(),
            is_root: rustix::process::geteuid().is_root(),
        };
        return Err(backend_error(layout, "be written to", error));
    }
    Ok(())
}

/// How the file system at `directory` is mounted; `None` where there is no such directory.
fn mount_flags(directory: &Path) -> io::Result<Option<StatVfsMountFlags>> {
    match statvfs(directory) {
        Ok(found) => Ok(Some(found.f_flag)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remount(directory: &Path, was: StatVfsMountFlags) -> io::Result<()> {
    // What a mount forbids besides writing, it goes on forbidding.
    let kept = [
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let flags = kept
        .into_iter()
        .filter(|(found, _)| was.contains(*found))
        .fold(MountFlags::BIND, |flags, (_, flag)| flags | flag);
    unshare_mounts()?;
    Ok(mount_remount(directory, flags, "")?)
}

fn unshare_mounts() -> io::Result<()> {
    // Deprecated, because with other flags than this one it could take file descriptors away from threads.
    #[expect(deprecated, reason = "what replaces it is unsafe, which is forbidden here")]
    let unshared = rustix::thread::unshare(UnshareFlags::NEWNS);
    Ok(unshared?)
}
