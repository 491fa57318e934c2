//! A regular file being restored.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::metadata::{MODE_EXECUTABLE, MODE_PLAIN, Owner, seal};

/// The shortest run of zeros for which a hole is left.
const HOLE: usize = 64 * 1024;

/// A file that was created and is being filled.
#[derive(Debug)]
pub(super) struct File {
    fd: OwnedFd,
    executable: bool,
    sparse: bool,
    /// Zeros that were passed over since the last bytes were written.
    hole: u64,
    written: u64,
}

impl File {
    /// Creates the file `name`, which must not exist, in `parent`.
    pub(super) fn create(
        parent: BorrowedFd<'_>,
        name: &[u8],
        executable: bool,
        sparse: bool,
    ) -> io::Result<Self> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NOCTTY;
        let fd = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(Self { fd, executable, sparse, hole: 0, written: 0 })
    }

    /// Writes the next contents.
    pub(super) fn write(&mut self, mut contents: &[u8]) -> io::Result<()> {
        if !self.sparse {
            return self.write_all(contents);
        }
        while !contents.is_empty() {
            let (piece, rest) = contents.split_at(contents.len().min(HOLE));
            if is_zero(piece) {
                self.hole += piece.len() as u64;
            } else {
                self.pass_hole()?;
                self.write_all(piece)?;
            }
            contents = rest;
        }
        Ok(())
    }

    /// Finishes the file, with the metadata of the store or as the umask has it.
    pub(super) fn finish(self, canonical: bool, owner: Option<Owner>) -> io::Result<()> {
        if self.hole > 0 {
            rustix::fs::ftruncate(&self.fd, self.written + self.hole)?;
        }
        if canonical {
            seal(&self.fd, if self.executable { MODE_EXECUTABLE } else { MODE_PLAIN }, owner)?;
            return Ok(());
        }
        if let Some(owner) = owner {
            let (uid, gid) = owner.ids();
            rustix::fs::fchown(&self.fd, uid, gid)?;
        }
        if self.executable {
            // As Nix does: executable for all, whatever else the umask took away.
            let mode = rustix::fs::fstat(&self.fd)?.st_mode;
            rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode & 0o7777 | 0o111))?;
        }
        Ok(())
    }

    fn pass_hole(&mut self) -> io::Result<()> {
        if self.hole > 0 {
            self.written += self.hole;
            self.hole = 0;
            rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(self.written))?;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(self.fd.as_fd(), bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count as u64;
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // A fixed-width comparison, which the compiler turns into vector instructions.
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| *chunk == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}
