//! The way through a tree: iterative, sorted bytewise, from descriptor to descriptor.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::contents;
use super::{Change, DumpError, DumpOptions};
use crate::block::{BlockSink, Framer};
use crate::case_hack::unhacked;
use crate::directory::{Entry, OpenDirectories, describe, open_directory, read_entries};
use crate::wire;

/// Lays out the tree at `path`.
pub(super) fn dump_tree<S: BlockSink>(
    path: &Path,
    framer: &mut Framer<S>,
    options: &DumpOptions,
) -> Result<(), DumpError> {
    // A slash at the end would make the system follow a symlink, which Nix does not do either.
    let path = path.components().as_path();
    let mut walk = Walk { root: path, framer, options, open: OpenDirectories::default(), levels: Vec::new() };
    walk.framer.bytes(wire::HEADER).map_err(DumpError::Write)?;
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| walk.failed("opening", error))?;
    let entered = walk.node(rustix::fs::CWD, &name, FileType::Unknown)?;
    if let Some(directory) = entered {
        walk.enter(directory)?;
    }
    while let Some(level) = walk.levels.last_mut() {
        match level.entries.next() {
            Some(entry) => {
                level.current = Some(entry.name);
                walk.entry(entry.file_type)?;
            }
            None => walk.leave()?,
        }
    }
    Ok(())
}

struct Walk<'w, S> {
    root: &'w Path,
    framer: &'w mut Framer<S>,
    options: &'w DumpOptions,
    open: OpenDirectories,
    levels: Vec<Level>,
}

/// An open directory.
struct Level {
    entries: std::vec::IntoIter<Entry>,
    /// When it had last changed as it was listed.
    listed: Times,
    /// The name on disk of the entry being dumped.
    current: Option<CString>,
}

/// The times at which a directory or its entries were last changed: seconds and nanoseconds of either.
#[derive(Copy, Clone, Eq, PartialEq)]
struct Times(i64, u64, i64, u64);

fn times(directory: BorrowedFd<'_>) -> io::Result<Times> {
    let stat = rustix::fs::fstat(directory)?;
    Ok(Times(stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec))
}

impl<S: BlockSink> Walk<'_, S> {
    /// Dumps the current entry of the current directory, or enters it.
    fn entry(&mut self, file_type: FileType) -> Result<(), DumpError> {
        let Some(name) = self.levels.last_mut().and_then(|level| level.current.take()) else {
            return Ok(());
        };
        let in_nar = if self.options.case_hack { unhacked(name.to_bytes()) } else { name.to_bytes() };
        self.put(wire::ENTRY)?;
        self.framer.string(in_nar).map_err(DumpError::Write)?;
        self.put(wire::NODE)?;
        // Moved out for the while, so that the directory can be borrowed beside the rest of `self`.
        let open = std::mem::take(&mut self.open);
        let entered = match open.top() {
            Some(directory) => self.node(directory, &name, file_type),
            None => Err(self.error_at(&name, "opening", Errno::BADF.into())),
        };
        self.open = open;
        if let Some(level) = self.levels.last_mut() {
            level.current = Some(name);
        }
        match entered? {
            Some(directory) => self.enter(directory),
            None => self.put(wire::CLOSE),
        }
    }

    /// Dumps the file or symlink `name`, or opens it if it is a directory.
    fn node(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        file_type: FileType,
    ) -> Result<Option<OwnedFd>, DumpError> {
        if self.levels.len() >= self.options.limits.depth {
            return Err(DumpError::TooDeep { path: self.path_of(name), limit: self.options.limits.depth });
        }
        let file_type = match file_type {
            FileType::Unknown => {
                let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| self.error_at(name, "examining", error.into()))?;
                FileType::from_raw_mode(stat.st_mode)
            }
            known => known,
        };
        match file_type {
            FileType::RegularFile => {
                // Not to block, and to gain no terminal, should it have been replaced by a pipe or a device.
                let flags =
                    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
                let file = rustix::fs::openat(parent, name, flags, Mode::empty())
                    .map_err(|error| self.error_at(name, "opening", error.into()))?;
                contents::dump_file(file.as_fd(), self.framer).map_err(|error| match error {
                    contents::Error::Read(error) => self.error_at(name, "reading", error),
                    contents::Error::Changed(change) => {
                        DumpError::Changed { path: self.path_of(name), change }
                    }
                    contents::Error::Write(error) => DumpError::Write(error),
                })?;
                Ok(None)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::with_capacity(256))
                    .map_err(|error| self.error_at(name, "reading", error.into()))?;
                self.put(wire::SYMLINK)?;
                self.framer.string(target.to_bytes()).map_err(DumpError::Write)?;
                self.put(wire::CLOSE)?;
                Ok(None)
            }
            FileType::Directory => {
                open_directory(parent, name).map(Some).map_err(|error| self.error_at(name, "opening", error))
            }
            other => Err(DumpError::UnsupportedType { path: self.path_of(name), found: describe(other) }),
        }
    }

    /// Begins with a directory.
    fn enter(&mut self, directory: OwnedFd) -> Result<(), DumpError> {
        self.put(wire::DIRECTORY)?;
        let (entries, listed) = self.sorted_entries(directory.as_fd())?;
        self.open.push(directory).map_err(|error| self.failed("examining", error))?;
        self.levels.push(Level { entries: entries.into_iter(), listed, current: None });
        Ok(())
    }

    fn sorted_entries(&self, directory: BorrowedFd<'_>) -> Result<(Vec<Entry>, Times), DumpError> {
        let listed = times(directory).map_err(|error| self.failed("examining", error))?;
        let mut entries = read_entries(directory).map_err(|error| self.failed("listing", error))?;
        // A listing that is made while entries come and go may lack some and have others twice.
        self.unchanged_since(listed, directory)?;
        if self.options.case_hack {
            entries.sort_unstable_by(|a, b| unhacked(a.name.to_bytes()).cmp(unhacked(b.name.to_bytes())));
            let same = entries
                .windows(2)
                .find(|pair| unhacked(pair[0].name.to_bytes()) == unhacked(pair[1].name.to_bytes()));
            if let Some([one, other]) = same {
                let place = self.current_path();
                let path_of = |entry: &Entry| place.join(OsStr::from_bytes(entry.name.to_bytes()));
                return Err(DumpError::NameCollision { path: path_of(one), other: path_of(other) });
            }
        } else {
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        Ok((entries, listed))
    }

    fn unchanged_since(&self, listed: Times, directory: BorrowedFd<'_>) -> Result<(), DumpError> {
        if times(directory).map_err(|error| self.failed("examining", error))? == listed {
            return Ok(());
        }
        Err(DumpError::Changed { path: self.current_path(), change: Change::Modified })
    }

    /// Ends the current directory, and its entry in the directory around it.
    fn leave(&mut self) -> Result<(), DumpError> {
        self.put(wire::CLOSE)?;
        let left = self.levels.pop();
        // What was moved from here to where the walk comes later would be in the NAR twice, and the other way round not
        // at all.
        if let (Some(left), Some(directory)) = (left, self.open.top()) {
            self.unchanged_since(left.listed, directory)?;
        }
        self.open.pop().map_err(|error| self.failed("opening", error))?;
        if self.levels.is_empty() { Ok(()) } else { self.put(wire::CLOSE) }
    }

    fn put(&mut self, run: &[u8]) -> Result<(), DumpError> {
        self.framer.bytes(run).map_err(DumpError::Write)
    }

    /// The path of the node being dumped.
    fn current_path(&self) -> PathBuf {
        let mut path = self.root.to_path_buf();
        for level in &self.levels {
            if let Some(name) = &level.current {
                path.push(OsStr::from_bytes(name.to_bytes()));
            }
        }
        path
    }

    /// The path of `name`, which is the root or an entry of the current directory.
    fn path_of(&self, name: &CStr) -> PathBuf {
        let path = self.current_path();
        if self.levels.is_empty() { path } else { path.join(OsStr::from_bytes(name.to_bytes())) }
    }

    fn failed(&self, action: &'static str, source: impl Into<io::Error>) -> DumpError {
        DumpError::File { action, path: self.current_path(), source: source.into() }
    }

    fn error_at(&self, name: &CStr, action: &'static str, source: io::Error) -> DumpError {
        let path = self.path_of(name);
        // What the directory had just listed is gone, or is no longer what it said.
        let change = match Errno::from_io_error(&source) {
            Some(Errno::NOENT) if !self.levels.is_empty() => Some(Change::Vanished),
            Some(Errno::LOOP | Errno::NOTDIR) if action == "opening" => Some(Change::Replaced),
            Some(Errno::INVAL) if action == "reading" => Some(Change::Replaced),
            _ => None,
        };
        match change {
            Some(change) => DumpError::Changed { path, change },
            None => DumpError::File { action, path, source },
        }
    }
}
