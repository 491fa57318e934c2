//! A NAR as a file tree.

mod atomic;
mod error;
mod file;
mod sink;

use std::io::Read;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use crate::block::{BLOCK, SHARED_BLOCK, new_block};
use crate::decoder::read_retrying;
use crate::limits::Limits;
use crate::metadata::Owner;
pub use atomic::restore_atomic;
pub use error::RestoreError;
pub use sink::RestoreSink;

/// How a NAR is restored.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// What is accepted of the NAR; by default Nix's own limits.
    pub limits: Limits,
    /// Give everything the metadata of the Nix store: mode 0444, or 0555 for directories and executables; modified
    /// 1 second after the start of 1970, symlinks too; no extended attributes that the parent directory may have
    /// bequeathed.
    ///
    /// Off by default. Then times and extended attributes are as the system sets them for new files, and modes come
    /// from the umask of this process at the moment of creation (or, if the parent directory has default access
    /// rules, from those): directories get 0777 without the umask's bits; files 0666 without them; executables the
    /// same and then 0111 added for all, whatever the umask says. Under a umask of 022 that is 0755, 0644 and 0755;
    /// under 077 it is 0700, 0600 and 0711.
    ///
    /// `nix-store --restore` does the same, except that Nix sets its own umask to 022 when it starts, so there the
    /// modes are 0755, 0644 and 0755 for everybody. A library cannot do that, because all threads share one umask;
    /// a program that wants Nix's modes sets it before, as the `nars3` command does.
    pub canonical: bool,
    /// Who shall own everything. By default whoever runs this, as the system has it.
    pub owner: Option<Owner>,
    /// Rename files whose names differ only in case from an earlier one in the same directory, by Nix's case hack
    /// (`use-case-hack`). Off by default, as Nix has it everywhere but on macOS; on a file system without case such
    /// a NAR is then refused. A name that has such a suffix already in the NAR is taken as it is, as by Nix, and a
    /// dump with the case hack takes the suffix off: that dump is then another NAR.
    pub case_hack: bool,
    /// Leave holes in files instead of writing zeros, for runs of at least 64 KiB. Off by default, as in Nix.
    pub sparse: bool,
    /// Read on the calling thread while another one decodes and writes, from the second 256 KiB on. On by default.
    pub overlap: bool,
    /// What becomes of bytes after the NAR.
    pub trailing: Trailing,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            canonical: false,
            owner: None,
            case_hack: false,
            sparse: false,
            overlap: true,
            trailing: Trailing::default(),
        }
    }
}

/// What becomes of bytes after a NAR.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Trailing {
    /// They are an error; the reader must end with the NAR.
    #[default]
    Refuse,
    /// They do not matter: some of what follows may be read, and no more of it is waited for.
    Ignore,
    /// They are not read, for streams that go on. This takes smaller reads, so the reader should be a buffered one,
    /// and excludes [`RestoreOptions::overlap`].
    LeaveUnread,
}

/// What was restored.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RestoreSummary {
    /// The size of the NAR in bytes.
    pub nar_size: u64,
    /// How many regular files there are.
    pub files: u64,
    /// How many directories there are, the root counted if it is one.
    pub directories: u64,
    /// How many symlinks there are.
    pub symlinks: u64,
    /// The length of all contents in bytes.
    pub contents: u64,
}

/// Restores the NAR that `reader` holds as `target`, which must not exist, though its parent directory must.
///
/// Whatever the NAR says, nothing is written anywhere but at `target` and below it: names are checked, everything is
/// created anew through the descriptor of its directory, and no symlink is ever followed. Memory is constant but for
/// the names on the way to the current file (with the case hack, all names in those directories).
///
/// # Errors
///
/// When the NAR is wrong or exceeds the limits, when `target` exists, when the reader or the file system fails. What
/// had been restored by then is left behind for the caller to remove, for example by [`remove_tree`](crate::remove_tree);
/// [`restore_atomic`] leaves nothing.
pub fn restore(
    reader: &mut (impl Read + ?Sized),
    target: &Path,
    options: &RestoreOptions,
) -> Result<RestoreSummary, RestoreError> {
    let mut sink = RestoreSink::create(target, options)?;
    let mut block = new_block(BLOCK);
    if options.trailing == Trailing::LeaveUnread {
        while !sink.is_finished() {
            let wanted = usize::try_from(sink.at_least()).unwrap_or(BLOCK).min(BLOCK);
            let filled = read_retrying(reader, &mut block[..wanted]).map_err(RestoreError::Read)?;
            if filled == 0 {
                break;
            }
            sink.push(&block[..filled])?;
        }
        return sink.finish();
    }
    let mut read = 0;
    loop {
        let filled = fill(reader, &mut block, options.trailing)?;
        sink.push_all(&block[..filled])?;
        if is_last(filled, &block, options.trailing) || sink.is_done() {
            return sink.finish();
        }
        read += filled;
        if options.overlap && read >= BLOCK {
            return restore_overlapped(reader, sink, options.trailing);
        }
    }
}

/// Blocks under way between the two threads.
const IN_FLIGHT: usize = 2;

/// Goes on with a NAR of which the first block is in `sink`.
fn restore_overlapped(
    reader: &mut (impl Read + ?Sized),
    mut sink: RestoreSink,
    trailing: Trailing,
) -> Result<RestoreSummary, RestoreError> {
    let (full, blocks) = mpsc::sync_channel::<(Box<[u8]>, usize)>(IN_FLIGHT);
    let (done, empty) = mpsc::channel();
    thread::scope(|scope| {
        let writer = thread::Builder::new().name("nar restore".to_owned()).spawn_scoped(scope, move || {
            for (block, filled) in blocks {
                sink.push_all(&block[..filled])?;
                if sink.is_done() {
                    break;
                }
                // It fails when no more blocks are wanted.
                let _ = done.send(block);
            }
            Ok(sink)
        });
        let writer = writer.map_err(RestoreError::Thread)?;
        let mut unmade = IN_FLIGHT;
        let mut block = new_block(SHARED_BLOCK);
        let read = loop {
            let filled = match fill(reader, &mut block, trailing) {
                Ok(filled) => filled,
                Err(error) => break Err(error),
            };
            let last = is_last(filled, &block, trailing);
            // When the writer is gone, it knows why.
            if full.send((block, filled)).is_err() || last {
                break Ok(());
            }
            block = match empty.try_recv() {
                Ok(block) => block,
                Err(_) if unmade > 0 => {
                    unmade -= 1;
                    new_block(SHARED_BLOCK)
                }
                Err(_) => match empty.recv() {
                    Ok(block) => block,
                    Err(mpsc::RecvError) => break Ok(()),
                },
            };
        };
        drop(full);
        let written: Result<RestoreSink, RestoreError> =
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // When the NAR was found wrong before the reader failed, that is the cause to name.
        let sink = written?;
        read?;
        sink.finish()
    })
}

/// Whether nothing comes after a block that was filled so far.
fn is_last(filled: usize, block: &[u8], trailing: Trailing) -> bool {
    if trailing == Trailing::Ignore { filled == 0 } else { filled < block.len() }
}

/// Reads until the block is full or the reader ends. Where the reader need not end with the NAR, what is there must do:
/// the rest of the block may never come.
fn fill(
    reader: &mut (impl Read + ?Sized),
    block: &mut [u8],
    trailing: Trailing,
) -> Result<usize, RestoreError> {
    if trailing == Trailing::Ignore {
        return read_retrying(reader, block).map_err(RestoreError::Read);
    }
    let mut filled = 0;
    while filled < block.len() {
        match read_retrying(reader, &mut block[filled..]).map_err(RestoreError::Read)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
