//! The metadata of the Nix store for a tree that exists.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::directory::{Entry, OpenDirectories, describe, open_directory, read_entries};
use crate::metadata::{MODE_EXECUTABLE, MODE_PLAIN, Owner, STORE_MTIME, store_times};

/// Extended attributes that stay: Nix's default of the setting `ignored-acls`.
const IGNORED_ATTRIBUTES: [&[u8]; 3] = [b"security.csm", b"security.selinux", b"system.nfs4_acl"];

/// How a tree is canonicalised.
#[derive(Clone, Debug, Default)]
pub struct CanonicalOptions {
    /// Who shall own everything; by default nothing changes hands.
    pub owner: Option<Owner>,
}

/// Why a tree could not be canonicalised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicaliseError {
    /// The file system refused.
    #[error("{action} `{}`", .path.display())]
    File {
        /// What was being done: "examining", "setting the mode of".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The Nix store has no place for this kind of file.
    #[error("`{}` is a {found}: only files, directories and symlinks can be in a store", .path.display())]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
}

/// Gives the file, directory or symlink at `path`, and everything in it, the metadata that Nix gives a store path.
///
/// Directories get mode 0555, files 0444, or 0555 when their owner may execute them (0555 on a file is left alone,
/// set-user-id bits are not); everything is modified 1 second after the start of 1970; extended attributes go, but
/// for `security.selinux`, `security.csm` and `system.nfs4_acl` (Nix `posix-fs-canonicalise.cc`). Symlinks are not
/// followed. Owners stay as they are, unlike with Nix, which takes possession; see [`canonicalise_with`].
///
/// # Errors
///
/// When something is neither file nor directory nor symlink, or the file system refuses.
pub fn canonicalise(path: &Path) -> Result<(), CanonicaliseError> {
    canonicalise_with(path, &CanonicalOptions::default())
}

/// [`canonicalise`] with options.
///
/// # Errors
///
/// When something is neither file nor directory nor symlink, or the file system refuses.
pub fn canonicalise_with(path: &Path, options: &CanonicalOptions) -> Result<(), CanonicaliseError> {
    // A slash at the end would make the system follow a symlink.
    let path = path.components().as_path();
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| CanonicaliseError::File {
        action: "examining",
        path: path.to_path_buf(),
        source: error.into(),
    })?;
    canonicalise_at(rustix::fs::CWD, &name, path, options)
}

/// [`canonicalise_with`] for what is called `name` in an open directory; errors call it `path`.
pub(crate) fn canonicalise_at(
    parent: BorrowedFd<'_>,
    name: &CStr,
    path: &Path,
    options: &CanonicalOptions,
) -> Result<(), CanonicaliseError> {
    let mut walk = Walk { root: path, options, open: OpenDirectories::default(), levels: Vec::new() };
    let entered = walk.node(parent, name)?;
    if let Some(directory) = entered {
        walk.enter(directory)?;
    }
    while let Some(level) = walk.levels.last_mut() {
        let next = level.entries.next();
        level.current = next.map(|entry| entry.name);
        match level.current.clone() {
            None => {
                walk.levels.pop();
                let popped = walk.open.pop();
                popped.map_err(|error| walk.error(None, "opening", error))?;
            }
            Some(name) => {
                let open = std::mem::take(&mut walk.open);
                let entered = match open.top() {
                    Some(directory) => walk.node(directory, &name),
                    None => Ok(None),
                };
                walk.open = open;
                if let Some(directory) = entered? {
                    walk.enter(directory)?;
                }
            }
        }
    }
    Ok(())
}

struct Walk<'w> {
    root: &'w Path,
    options: &'w CanonicalOptions,
    open: OpenDirectories,
    levels: Vec<Level>,
}

struct Level {
    entries: std::vec::IntoIter<Entry>,
    current: Option<CString>,
}

impl Walk<'_> {
    /// Canonicalises one file, and returns it opened when it is a directory.
    fn node(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, CanonicaliseError> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.error(Some(name), "examining", error.into()))?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        match file_type {
            FileType::RegularFile | FileType::Directory | FileType::Symlink => {}
            other => {
                let found = describe(other);
                return Err(CanonicaliseError::UnsupportedType { path: self.path_of(Some(name)), found });
            }
        }
        remove_attributes(parent, name)
            .map_err(|error| self.error(Some(name), "removing extended attributes of", error))?;
        if file_type != FileType::Symlink
            && let Some(mode) = canonical_mode(&stat)
        {
            set_mode(parent, name, &stat, mode)
                .map_err(|error| self.error(Some(name), "setting the mode of", error))?;
        }
        if (stat.st_mtime, stat.st_mtime_nsec as i64) != (STORE_MTIME, 0) {
            rustix::fs::utimensat(parent, name, &store_times(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| self.error(Some(name), "setting the time of", error.into()))?;
        }
        if let Some(owner) = self.options.owner
            && (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid)
        {
            let (uid, gid) = owner.ids();
            rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| self.error(Some(name), "setting the owner of", error.into()))?;
        }
        if file_type != FileType::Directory {
            return Ok(None);
        }
        open_directory(parent, name).map(Some).map_err(|error| self.error(Some(name), "opening", error))
    }

    fn enter(&mut self, directory: OwnedFd) -> Result<(), CanonicaliseError> {
        let entries = read_entries(directory.as_fd()).map_err(|error| self.error(None, "listing", error))?;
        let pushed = self.open.push(directory);
        pushed.map_err(|error| self.error(None, "examining", error))?;
        self.levels.push(Level { entries: entries.into_iter(), current: None });
        Ok(())
    }

    fn path_of(&self, name: Option<&CStr>) -> PathBuf {
        let mut path = self.root.to_path_buf();
        let outer = self.levels.len().saturating_sub(usize::from(name.is_some()));
        for level in self.levels.iter().take(outer) {
            if let Some(name) = &level.current {
                path.push(OsStr::from_bytes(name.to_bytes()));
            }
        }
        match name {
            Some(name) if !self.levels.is_empty() => path.join(OsStr::from_bytes(name.to_bytes())),
            _ => path,
        }
    }

    fn error(&self, name: Option<&CStr>, action: &'static str, source: io::Error) -> CanonicaliseError {
        CanonicaliseError::File { action, path: self.path_of(name), source }
    }
}

/// The mode that a file or directory should have, unless it has it.
fn canonical_mode(stat: &Stat) -> Option<Mode> {
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    match stat.st_mode & 0o7777 {
        0o555 => None,
        0o444 if !is_directory => None,
        mode if mode & 0o100 != 0 || is_directory => Some(MODE_EXECUTABLE),
        _ => Some(MODE_PLAIN),
    }
}

/// Changes a mode through a descriptor of the very file that was examined, never through a symlink in its place.
fn set_mode(parent: BorrowedFd<'_>, name: &CStr, stat: &Stat, mode: Mode) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(file) => {
            same_file(&file, stat)?;
            Ok(rustix::fs::fchmod(&file, mode)?)
        }
        Err(Errno::ACCESS) => set_mode_unreadable(parent, name, stat, mode),
        Err(error) => Err(error.into()),
    }
}

/// [`set_mode`] for a file that its owner may not even read: by a descriptor that only stands for it, and by way of
/// `/proc`, because such a descriptor does not allow a change of mode itself.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_mode_unreadable(parent: BorrowedFd<'_>, name: &CStr, stat: &Stat, mode: Mode) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    same_file(&file, stat)?;
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)?)
}

/// [`set_mode`] for a file that its owner may not even read.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_mode_unreadable(parent: BorrowedFd<'_>, name: &CStr, _: &Stat, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmodat(parent, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn same_file(file: &OwnedFd, stat: &Stat) -> io::Result<()> {
    let now = rustix::fs::fstat(file)?;
    if (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino) {
        return Ok(());
    }
    Err(io::Error::other("the file was replaced meanwhile"))
}

/// The path by which the system calls for extended attributes, which know no directory descriptors, find `name`
/// without a symlink on the way.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn attribute_path(parent: BorrowedFd<'_>, name: &CStr) -> Vec<u8> {
    // The root of a walk is named from the working directory.
    if parent.as_raw_fd() == rustix::fs::CWD.as_raw_fd() {
        return name.to_bytes().to_vec();
    }
    [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name.to_bytes()].concat()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn remove_attributes(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let path = attribute_path(parent, name);
    // The kernel allows no more than 64 KiB of names; few files have any.
    let mut names = vec![0; 1024];
    let length = loop {
        match rustix::fs::llistxattr(path.as_slice(), names.as_mut_slice()) {
            Ok(length) => break length,
            Err(Errno::NOTSUP | Errno::NODATA) => return Ok(()),
            Err(Errno::RANGE) if names.len() <= 64 * 1024 => names.resize(names.len() * 64, 0),
            Err(error) => return Err(error.into()),
        }
    };
    for attribute in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        if !attribute.is_empty() && !IGNORED_ATTRIBUTES.contains(&attribute) {
            rustix::fs::lremovexattr(path.as_slice(), attribute)?;
        }
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn remove_attributes(_: BorrowedFd<'_>, _: &CStr) -> io::Result<()> {
    Ok(())
}

/// Whether files made in the directory get extended attributes from it: the access rules by which Linux lets a
/// directory rule over what is created in it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn bequeaths_attributes(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::fgetxattr_query(directory, c"system.posix_acl_default").is_ok_and(|length| length > 0)
}

/// Whether files made in the directory get extended attributes from it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn bequeaths_attributes(_: BorrowedFd<'_>) -> bool {
    false
}

#[cfg(test)]
mod tests;
