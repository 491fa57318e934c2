//! The metadata that files in a Nix store have.

use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};

/// The time of last modification of everything in a Nix store, in seconds since 1970 (Nix 2.29
/// `posix-fs-canonicalise.cc`: `mtimeStore`).
pub(crate) const STORE_MTIME: i64 = 1;

/// Directories and executable files.
pub(crate) const MODE_EXECUTABLE: Mode = Mode::from_raw_mode(0o555);
/// All other files.
pub(crate) const MODE_PLAIN: Mode = Mode::from_raw_mode(0o444);

/// Who shall own files.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The numeric user.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
}

impl Owner {
    pub(crate) fn ids(self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }
}

/// Sets the time of modification to the store's; the time of access stays.
pub(crate) fn store_times() -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
        last_modification: Timespec { tv_sec: STORE_MTIME, tv_nsec: 0 },
    }
}

/// Gives an open file or directory the metadata of the store, and the owner if one is given.
pub(crate) fn seal(file: impl AsFd, mode: Mode, owner: Option<Owner>) -> rustix::io::Result<()> {
    if let Some(owner) = owner {
        let (uid, gid) = owner.ids();
        rustix::fs::fchown(file.as_fd(), uid, gid)?;
    }
    // After the owner, because a change of owner takes away the set-user-id bits, and by the system's umask.
    rustix::fs::fchmod(file.as_fd(), mode)?;
    rustix::fs::futimens(file.as_fd(), &store_times())
}
