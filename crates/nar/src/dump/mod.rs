//! A file tree as a NAR.

mod contents;
mod error;
mod hash;
mod walk;

use std::io::Write;
use std::path::Path;

use crate::block::{Framer, WriteBlocks};
use crate::limits::Limits;
pub use error::{Change, DumpError};
pub use hash::{hash_path, hash_path_with};

/// How a tree is dumped.
#[derive(Clone, Debug, Default)]
pub struct DumpOptions {
    /// What no NAR of ours exceeds; by default Nix's own limits, so that every Nix can read it. Only the depth
    /// matters: names and targets are bounded by the file system.
    pub limits: Limits,
    /// Take the suffixes of Nix's case hack off names (`use-case-hack`). Off by default, as Nix has it everywhere
    /// but on macOS.
    pub case_hack: bool,
}

/// Writes the file, directory or symlink at `path` to `out` as a NAR, byte for byte as `nix-store --dump` does.
///
/// A symlink is dumped as such, also when it is `path` itself. Memory is constant but for the names in the
/// directories on the way to the current file. Output comes in blocks of up to 256 KiB, so `out` needs no buffer of
/// its own; it is not flushed.
///
/// # What goes unnoticed
///
/// A change is found by comparing each file's size, mode, times of modification and of status change before and after
/// it is read, and each directory's times before it is listed, after that, and when all in it is dumped. So nothing is
/// known of
///
/// - what happens to a file when its turn is over or has not come, and to a directory when all of it is dumped: the
///   tree is not a snapshot;
/// - writes so soon after one another that the file system gives them the same time (some milliseconds on Linux before
///   6.13, seconds on FAT), and writes through a memory mapping that was written to before, whose time the system may
///   record only later;
/// - what other machines do on network file systems, until this one asks the server again;
/// - a write whose time of modification was set back while the file gained or lost a hard link: a new link alone,
///   which Nix makes when it optimises a store, is no change of contents.
///
/// # Errors
///
/// When something cannot be read, is neither file nor directory nor symlink, or changes while it is read (grows,
/// shrinks, vanishes, is written to, gets another mode or another type); when the tree is too deep; when `out` fails.
/// What was written until then is no NAR.
pub fn dump(path: &Path, out: &mut (impl Write + ?Sized), options: &DumpOptions) -> Result<(), DumpError> {
    let mut framer = Framer::new(WriteBlocks(out));
    walk::dump_tree(path, &mut framer, options)?;
    framer.finish().map(drop).map_err(DumpError::Write)
}

#[cfg(test)]
mod tests;
