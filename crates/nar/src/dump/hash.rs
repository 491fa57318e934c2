//! The hash of a tree's NAR, which nobody writes: reading on one core, hashing on another.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nars3_store_path::{Algorithm, Hash, Hasher};

use super::{DumpError, DumpOptions, walk};
use crate::block::{BlockSink, Framer, SHARED_BLOCK, new_block};

/// Blocks under way between the two threads, beside the one that is filled and the one that is hashed: enough to
/// even out small files (slow to read) and large ones.
const IN_FLIGHT: usize = 2;

/// Returns the SHA-256 hash and the size in bytes of the NAR that [`dump`](crate::dump) would write: NarHash and NarSize.
///
/// # Errors
///
/// Those of [`dump`](crate::dump).
pub fn hash_path(path: &Path, options: &DumpOptions) -> Result<(Hash, u64), DumpError> {
    hash_path_with(path, Algorithm::Sha256, options)
}

/// [`hash_path`] with any algorithm.
///
/// # Errors
///
/// Those of [`dump`](crate::dump).
pub fn hash_path_with(
    path: &Path,
    algorithm: Algorithm,
    options: &DumpOptions,
) -> Result<(Hash, u64), DumpError> {
    let mut framer = Framer::new(HashBlocks::Here(Hasher::new(algorithm)));
    walk::dump_tree(path, &mut framer, options)?;
    let size = framer.offset();
    let hash = framer.finish().and_then(HashBlocks::hash).map_err(DumpError::Write)?;
    Ok((hash, size))
}

/// Hashes blocks.
enum HashBlocks {
    /// In this thread: for the first block, which may be the only one, or when there is no thread to be had.
    Here(Hasher),
    /// In another thread.
    There(HashThread),
    /// Only while the one becomes the other.
    Moving,
}

struct HashThread {
    full: mpsc::SyncSender<(Box<[u8]>, usize)>,
    empty: mpsc::Receiver<Box<[u8]>>,
    thread: JoinHandle<Hasher>,
    /// How many blocks may still be made; beyond them, used ones must come back.
    unmade: usize,
}

impl HashBlocks {
    fn hash(self) -> io::Result<Hash> {
        match self {
            Self::Here(hasher) => Ok(hasher.finish()),
            Self::There(HashThread { full, thread, .. }) => {
                drop(full);
                thread.join().map(Hasher::finish).map_err(|_| lost_thread())
            }
            Self::Moving => Err(lost_thread()),
        }
    }

    /// Starts the thread after the first block.
    fn start(hasher: Hasher) -> Self {
        let (full, blocks) = mpsc::sync_channel::<(Box<[u8]>, usize)>(IN_FLIGHT);
        let (done, empty) = mpsc::channel();
        // The hasher is given by a channel, so that it is not lost when there is no thread to be had.
        let (give, take) = mpsc::channel();
        let spawned = thread::Builder::new().name("nar hash".to_owned()).spawn(move || {
            let mut hasher: Hasher = take.recv().unwrap_or_else(|_| Hasher::new(Algorithm::Sha256));
            for (block, filled) in blocks {
                hasher.update(block.get(..filled).unwrap_or_default());
                // It fails when no more blocks are wanted.
                let _ = done.send(block);
            }
            hasher
        });
        match spawned {
            Ok(thread) => match give.send(hasher) {
                Ok(()) => Self::There(HashThread { full, empty, thread, unmade: IN_FLIGHT + 1 }),
                Err(mpsc::SendError(hasher)) => Self::Here(hasher),
            },
            Err(_) => Self::Here(hasher),
        }
    }
}

impl BlockSink for HashBlocks {
    fn block(&mut self, block: Box<[u8]>, filled: usize) -> io::Result<Box<[u8]>> {
        match self {
            Self::Here(hasher) => {
                hasher.update(block.get(..filled).unwrap_or_default());
                if let Self::Here(hasher) = std::mem::replace(self, Self::Moving) {
                    *self = Self::start(hasher);
                }
                Ok(if matches!(self, Self::There(_)) { new_block(SHARED_BLOCK) } else { block })
            }
            Self::There(thread) => {
                thread.full.send((block, filled)).map_err(|_| lost_thread())?;
                if let Ok(block) = thread.empty.try_recv() {
                    return Ok(block);
                }
                if thread.unmade > 0 {
                    thread.unmade -= 1;
                    return Ok(new_block(SHARED_BLOCK));
                }
                thread.empty.recv().map_err(|_| lost_thread())
            }
            Self::Moving => Err(lost_thread()),
        }
    }
}

fn lost_thread() -> io::Error {
    io::Error::other("the thread that hashes a NAR ended early")
}
