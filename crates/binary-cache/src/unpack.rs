//! How a NAR is unpacked: with the memory that there is, and on several threads where its file allows it and there is
//! memory for that.

use nars3_compression::{Compression, DecoderOptions};
use nars3_store_api::cores;

use crate::BinaryCache;
use crate::budget::{Budget, Share};
use crate::compress::unpacking_memory;

const MIB: u64 = 1024 * 1024;

/// NARs up to this size are in one frame, of those that can be divided at all.
const UNDIVIDED: u64 = 16 * MIB;

/// Threads for one NAR. More would wait for the thread that hashes.
const MOST_THREADS: u64 = 4;

/// The right to unpack one NAR. Its memory is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Unpacker {
    pub(crate) options: DecoderOptions,
    _memory: (Share, Option<Share>),
}

impl BinaryCache {
    /// Waits for the memory that unpacking takes at least, and takes what is free beyond for more threads.
    pub(crate) async fn unpacker(&self, method: &Compression, nar_size: u64) -> Unpacker {
        unpacker(&self.decompression_memory, method, nar_size, cores() as u64).await
    }
}

async fn unpacker(budget: &Budget, method: &Compression, nar_size: u64, cores: u64) -> Unpacker {
    let least = budget.take(unpacking_memory(method, nar_size)).await;
    let mut options = DecoderOptions::default();
    let most = if nar_size > UNDIVIDED { cores.min(MOST_THREADS) } else { 1 };
    let mut more = None;
    if let Some(each) = per_thread(method) {
        for threads in (2..=most).rev() {
            let bytes = threads * each;
            more = budget.take_now(bytes);
            if more.is_some() {
                (options.threads, options.parallel_memory) = (u32::try_from(threads).unwrap_or(1), bytes);
                break;
            }
        }
    }
    Unpacker { options, _memory: (least, more) }
}

/// Bytes that one more thread takes; `None` where it would be of no use.
fn per_thread(method: &Compression) -> Option<u64> {
    match method {
        // A frame, and what is in it.
        Compression::Zstd => Some(2 * UNDIVIDED),
        // A block of three dictionaries, what is in it, and the decoder.
        Compression::Xz => Some(2 * 24 * MIB + 8 * MIB),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn threads(budget: &Budget, name: &str, nar_size: u64, cores: u64) -> (u32, Unpacker) {
        let unpacker = unpacker(budget, &Compression::from(name), nar_size, cores).await;
        (unpacker.options.threads, unpacker)
    }

    #[tokio::test]
    async fn threads_are_taken_where_they_help_and_memory_is_free() {
        let budget = || Budget::new(128 * MIB);
        assert_eq!(threads(&budget(), "zstd", 16 * MIB, 8).await.0, 1, "one frame");
        assert_eq!(threads(&budget(), "zstd", 100 * MIB, 1).await.0, 1, "one core");
        assert_eq!(threads(&budget(), "zstd", 100 * MIB, 2).await.0, 2);
        assert_eq!(threads(&budget(), "zstd", 100 * MIB, 64).await.0, 3, "memory for no more");
        assert_eq!(threads(&budget(), "xz", 100 * MIB, 8).await.0, 2);
        assert_eq!(threads(&budget(), "bzip2", 100 * MIB, 8).await.0, 1);
        assert_eq!(threads(&Budget::new(1024 * MIB), "zstd", 100 * MIB, 64).await.0, 4);
    }

    #[tokio::test]
    async fn together_they_stay_within_the_budget_and_give_back() {
        let budget = Budget::new(128 * MIB);
        let (first, kept) = threads(&budget, "zstd", u64::MAX, 8).await;
        let (second, other) = threads(&budget, "zstd", u64::MAX, 8).await;
        assert_eq!((first, second), (3, 1));
        drop((kept, other));
        assert_eq!(threads(&budget, "zstd", u64::MAX, 8).await.0, 3);
    }
}
