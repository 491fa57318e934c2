//! What compressing and unpacking one NAR takes: how many threads, and how much memory.

use nars3_compression::{Compression, EncoderOptions, default_level};
use nars3_store_url::CacheSettings;

const MIB: u64 = 1024 * 1024;

/// NARs below this size are compressed by one thread: they are many, and run beside each other anyway.
const WORTH_THREADS: u64 = 32 * MIB;

/// Buffers of one NAR beside the compressor's: chunks on their way and the hashers.
const OVERHEAD: u64 = MIB;

/// The dictionaries of xz's presets, which lzip and lzma share, in MiB.
const DICTIONARIES: [u64; 10] = [1, 1, 2, 4, 4, 8, 8, 16, 32, 64];

/// What a zstd thread holds: a frame of input and one of output.
const ZSTD_FRAMES: u64 = 32 * MIB;

/// How one NAR is to be compressed.
#[derive(Debug)]
pub(crate) struct Effort {
    pub(crate) options: EncoderOptions,
    /// Bytes that compressing may take, the compressed file excepted.
    pub(crate) memory: u64,
}

/// How a NAR of `nar_size` bytes is to be compressed within `budget` bytes of memory.
///
/// The estimates are on the safe side of what the libraries document, and a small NAR never fills large tables: what
/// it takes grows with it.
pub(crate) fn effort(settings: &CacheSettings, nar_size: u64, budget: u64) -> Effort {
    let level = settings.compression_level.or_else(|| default_level(&settings.compression)).unwrap_or(0);
    let small = MIB.saturating_add(nar_size.saturating_mul(growth(&settings.compression)));
    let one = one_thread(&settings.compression, level).min(small);
    let threads = if settings.parallel() && nar_size >= WORTH_THREADS {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let affordable = budget.saturating_sub(OVERHEAD) / one.max(1);
        let useful = nar_size.div_ceil(WORTH_THREADS / 2);
        cores.min(affordable).min(useful).max(1)
    } else {
        1
    };
    let memory = one * threads;
    let options = EncoderOptions {
        level: settings.compression_level,
        threads: u32::try_from(threads).unwrap_or(1),
        memory_limit: memory,
    };
    Effort { options, memory: memory + OVERHEAD }
}

/// Bytes that one thread of a method takes at most.
fn one_thread(method: &Compression, level: i32) -> u64 {
    match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma => {
            let preset = usize::try_from(level).unwrap_or(0);
            // Match finder and dictionary are about eleven and a half times the dictionary.
            DICTIONARIES.get(preset).unwrap_or(&64) * 12 * MIB
        }
        Compression::Zstd => {
            let tables = match level {
                ..=3 => 4,
                4..=9 => 16,
                10..=15 => 48,
                16..=19 => 96,
                _ => 768,
            };
            ZSTD_FRAMES + tables * MIB
        }
        Compression::Brotli => 80 * MIB,
        Compression::Bzip2 => 8 * MIB,
        Compression::Lz4 => 10 * MIB,
        _ => MIB,
    }
}

/// Bytes that unpacking a NAR takes, when it was compressed at the method's default level.
pub(crate) fn unpacking_memory(method: &Compression, nar_size: u64) -> u64 {
    let window = match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma | Compression::Zstd => 8 * MIB,
        Compression::Brotli | Compression::Bzip2 | Compression::Lz4 => 5 * MIB,
        _ => 0,
    };
    OVERHEAD + window.min(nar_size)
}

/// Bytes that a method takes for each byte of a NAR too small to fill its tables.
fn growth(method: &Compression) -> u64 {
    match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma | Compression::Brotli => 12,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(compression: Compression, parallel: bool) -> CacheSettings {
        CacheSettings { compression, parallel_compression: Some(parallel), ..CacheSettings::default() }
    }

    #[test]
    fn a_small_nar_takes_little_whatever_the_method() {
        for name in ["xz", "zstd", "br", "bzip2", "none"] {
            let effort = effort(&settings(name.into(), true), 1000, 128 * MIB);
            assert!(effort.memory <= 3 * MIB, "{name}: {}", effort.memory);
            assert_eq!(effort.options.threads, 1);
        }
    }

    #[test]
    fn a_giant_nar_stays_within_the_budget_at_the_default_level() {
        for name in ["xz", "zstd", "br", "bzip2", "lz4", "lzip", "gzip", "none"] {
            let effort = effort(&settings(name.into(), true), u64::MAX, 128 * MIB);
            assert!(effort.memory <= 128 * MIB, "{name}: {}", effort.memory);
        }
    }

    #[test]
    fn threads_are_used_only_when_asked_for_and_worth_it() {
        assert_eq!(effort(&settings(Compression::Zstd, false), u64::MAX, u64::MAX).options.threads, 1);
        assert_eq!(effort(&settings(Compression::Zstd, true), 10 * MIB, u64::MAX).options.threads, 1);
    }
}
