//! Directories by file descriptor: every step goes from an open directory to a name in it and never through a
//! symlink, so that nobody who renames things meanwhile can lead it elsewhere.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};

/// How many directories on the way down are kept open. More than Nix's limit of depth, so that only without limits a
/// directory is closed and found again; few enough for the usual 1,024 descriptors of a process.
const KEPT_OPEN: usize = 80;

/// Opens the directory `name` in `parent` for reading its entries, unless it is a symlink.
pub(crate) fn open_directory(parent: BorrowedFd<'_>, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// The open directories from the root of a tree to the current one.
#[derive(Debug, Default)]
pub(crate) struct OpenDirectories {
    levels: Vec<Level>,
}

#[derive(Debug)]
enum Level {
    Open(OwnedFd),
    /// Closed to save descriptors; what identifies it when it is opened again as the parent of its child.
    Closed {
        device: u64,
        inode: u64,
    },
}

impl OpenDirectories {
    pub(crate) fn top(&self) -> Option<BorrowedFd<'_>> {
        match self.levels.last() {
            Some(Level::Open(fd)) => Some(fd.as_fd()),
            _ => None,
        }
    }

    pub(crate) fn push(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.levels.push(Level::Open(fd));
        let closable = self.levels.len().checked_sub(KEPT_OPEN + 1);
        if let Some(level) = closable.and_then(|index| self.levels.get_mut(index))
            && let Level::Open(fd) = level
        {
            let (device, inode) = identity(&rustix::fs::fstat(fd)?);
            *level = Level::Closed { device, inode };
        }
        Ok(())
    }

    /// Leaves the current directory for its parent, which is opened again if it had been closed.
    pub(crate) fn pop(&mut self) -> io::Result<()> {
        let Some(Level::Open(left)) = self.levels.pop() else {
            return Ok(());
        };
        if let Some(level) = self.levels.last_mut()
            && let Level::Closed { device, inode } = *level
        {
            let fd = open_directory(left.as_fd(), c"..")?;
            if identity(&rustix::fs::fstat(&fd)?) != (device, inode) {
                return Err(io::Error::other("a directory was moved while it was being worked in"));
            }
            *level = Level::Open(fd);
        }
        Ok(())
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// An entry of a directory. The type is as the directory tells it: it may be `Unknown`, or no longer true.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: CString,
    pub(crate) file_type: FileType,
}

/// Reads all entries of an open directory but `.` and `..`, in no order.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn read_entries(directory: BorrowedFd<'_>) -> io::Result<Vec<Entry>> {
    use std::mem::MaybeUninit;

    // Holds an entry with the longest possible name many times over.
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut reader = rustix::fs::RawDir::new(directory, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            entries.push(Entry { name: name.to_owned(), file_type: entry.file_type() });
        }
    }
    Ok(entries)
}

/// Reads all entries of an open directory but `.` and `..`, in no order.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn read_entries(directory: BorrowedFd<'_>) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            entries.push(Entry { name: name.to_owned(), file_type: entry.file_type() });
        }
    }
    Ok(entries)
}

/// What an unsupported kind of file is called in errors.
pub(crate) fn describe(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "file of an unknown kind",
    }
}
