//! One regular file into a NAR, read straight into the output.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, SeekFrom, Stat};
use rustix::io::Errno;

use super::Change;
use crate::block::{BlockSink, Framer};
use crate::wire;

/// Why a file could not be dumped; the caller knows its path.
pub(super) enum Error {
    Read(io::Error),
    Changed(Change),
    Write(io::Error),
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::Read(error.into())
    }
}

/// Lays out an open file as a node. It is examined before and after reading: a NAR made from two states of a file
/// would be true of neither.
pub(super) fn dump_file<S: BlockSink>(file: BorrowedFd<'_>, framer: &mut Framer<S>) -> Result<(), Error> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Changed(Change::Replaced));
    }
    // Nix looks at the owner's bit alone.
    let executable = stat.st_mode & 0o100 != 0;
    let size = size_of(&stat);
    framer.bytes(if executable { wire::EXECUTABLE } else { wire::REGULAR }).map_err(Error::Write)?;
    framer.number(size).map_err(Error::Write)?;
    // The system counts the blocks of a file in units of 512 bytes, whatever its own block size.
    let sparse = stat.st_blocks.saturating_mul(512) < stat.st_size;
    match size {
        0 => check_empty(file)?,
        _ if sparse => copy_sparse(file, size, framer)?,
        _ => copy(file, size, framer).and_then(|missing| shrunk(size, missing))?,
    }
    framer.pad(size).and_then(|()| framer.bytes(wire::CLOSE)).map_err(Error::Write)?;
    let after = rustix::fs::fstat(file)?;
    if size_of(&after) != size {
        return Err(Error::Changed(Change::Size { opened: size, found: size_of(&after) }));
    }
    if was_written(&stat, &after) {
        return Err(Error::Changed(Change::Modified));
    }
    Ok(())
}

/// Whether a file was modified between two examinations, as far as its times tell.
///
/// The time of modification can be set back by whoever wrote to the file; the time of status change cannot. But that
/// one also moves when a file gets or loses a hard link, which happens to files of a store that is being optimised,
/// and does their contents no harm: then the number of links has changed as well.
fn was_written(before: &Stat, after: &Stat) -> bool {
    let modified = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
    let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
    let linked = after.st_nlink != before.st_nlink;
    modified(after) != modified(before)
        || after.st_mode != before.st_mode
        || (changed(after) != changed(before) && !linked)
}

/// Copies `length` bytes from where the file stands, and returns how many of them the file did not have.
fn copy<S: BlockSink>(file: BorrowedFd<'_>, length: u64, framer: &mut Framer<S>) -> Result<u64, Error> {
    let mut left = length;
    while left > 0 {
        let space = framer.space(left).map_err(Error::Write)?;
        match rustix::io::read(file, space) {
            Ok(0) => break,
            Ok(count) => {
                framer.fill(count);
                left -= count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(left)
}

/// Copies a file that has holes: they are not read but written as zeros, which spares the page cache.
fn copy_sparse<S: BlockSink>(file: BorrowedFd<'_>, size: u64, framer: &mut Framer<S>) -> Result<(), Error> {
    let mut position = 0;
    while position < size {
        let data = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(data) => data.min(size),
            // There is only a hole from here on.
            Err(Errno::NXIO) => size,
            // The file system does not know its holes.
            Err(_) => {
                rustix::fs::seek(file, SeekFrom::Start(position))?;
                let missing = copy(file, size - position, framer)?;
                return shrunk(size, missing);
            }
        };
        framer.zeros(data - position).map_err(Error::Write)?;
        let hole = match rustix::fs::seek(file, SeekFrom::Hole(data)) {
            Ok(hole) => hole.min(size),
            // The file ends here or, because somebody has cut it meanwhile, before: then bytes will be missing.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error.into()),
        };
        rustix::fs::seek(file, SeekFrom::Start(data))?;
        let missing = copy(file, hole - data, framer)?;
        shrunk(size, missing + if missing > 0 { size - hole } else { 0 })?;
        position = hole;
    }
    Ok(())
}

fn shrunk(size: u64, missing: u64) -> Result<(), Error> {
    if missing == 0 {
        return Ok(());
    }
    Err(Error::Changed(Change::Size { opened: size, found: size - missing }))
}

/// Makes sure that a file of no size has no contents either, which the files of `/proc` do have.
fn check_empty(file: BorrowedFd<'_>) -> Result<(), Error> {
    match rustix::io::retry_on_intr(|| rustix::io::read(file, &mut [0_u8; 1]))? {
        0 => Ok(()),
        found => Err(Error::Changed(Change::Size { opened: 0, found: found as u64 })),
    }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
