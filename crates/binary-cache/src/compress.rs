//! What compressing and unpacking one NAR takes: how many threads, and how much memory.

use std::fmt;

use nars3_compression::{Compression, EncoderOptions, default_level, level_range};
use nars3_store_api::cores;
use nars3_store_url::CacheSettings;

const MIB: u64 = 1024 * 1024;

/// NARs below this size are compressed by one thread: they are many, and run beside each other anyway.
const WORTH_THREADS: u64 = 32 * MIB;

/// Buffers of one NAR beside the compressor's: chunks on their way and the hashers.
const OVERHEAD: u64 = MIB;

/// The dictionaries of xz's presets, which lzip and lzma share, in MiB.
const DICTIONARIES: [u64; 10] = [1, 1, 2, 4, 4, 8, 8, 16, 32, 64];

/// The first of xz's presets that differ in nothing but their dictionary.
const WIDEST_SEARCH: i32 = 6;

/// The input of a zstd frame.
const ZSTD_FRAME: u64 = 16 * MIB;

/// How one NAR is to be compressed.
#[derive(Debug)]
pub(crate) struct Effort {
    pub(crate) options: EncoderOptions,
    /// Bytes that compressing may take, the compressed file excepted.
    pub(crate) memory: u64,
    /// Set when the level that was asked for takes too much.
    pub(crate) lowered: Option<Lowered>,
}

/// A level that takes more memory than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lowered {
    method: Compression,
    asked: i32,
    used: i32,
    /// Bytes that the level asked for takes.
    needed: u64,
    budget: u64,
}

impl fmt::Display for Lowered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, asked, used, needed, budget } = self;
        let (needed, budget) = (needed.div_ceil(MIB), budget / MIB);
        write!(
            formatter,
            "compression level {asked} of '{method}' needs {needed} MiB of memory for a large NAR, more than the \
             {budget} MiB that there are for compressing, so level {used} is used instead"
        )
    }
}

/// How a NAR of `nar_size` bytes is to be compressed within `budget` bytes of memory. The level gives way to the
/// budget; only where even the cheapest level takes more than that does the result, too.
///
/// The estimates are on the safe side of what the libraries document.
pub(crate) fn effort(settings: &CacheSettings, nar_size: u64, budget: u64) -> Effort {
    effort_on(cores() as u64, settings, nar_size, budget)
}

fn effort_on(cores: u64, settings: &CacheSettings, nar_size: u64, budget: u64) -> Effort {
    let method = &settings.compression;
    let memory_for = |level| OVERHEAD + one_thread(method, level, nar_size);
    let level = settings.compression_level.or_else(|| default_level(method)).unwrap_or(0);
    let enough = enough(method, level, nar_size);
    // A level that the method does not have is the encoder's to refuse.
    let used = match level_range(method).filter(|range| range.contains(&enough)) {
        Some(range) => {
            let mut downwards = (*range.start()..=enough).rev();
            let cheapest = downwards.clone().min_by_key(|level| memory_for(*level));
            downwards.find(|level| memory_for(*level) <= budget).or(cheapest).unwrap_or(enough)
        }
        None => enough,
    };
    let threads = if settings.parallel() && nar_size >= WORTH_THREADS {
        let affordable = budget.saturating_sub(OVERHEAD + shared(method)) / one_of_several(method, used);
        let useful = nar_size.div_ceil(WORTH_THREADS / 2);
        cores.min(affordable).min(useful).max(1)
    } else {
        1
    };
    let memory = match threads {
        1 => memory_for(used),
        several => OVERHEAD + shared(method) + several * one_of_several(method, used),
    };
    let options = EncoderOptions {
        level: if used == level { settings.compression_level } else { Some(used) },
        threads: u32::try_from(threads).unwrap_or(1),
        memory_limit: memory,
    };
    let lowered = (used != enough).then(|| Lowered {
        method: method.clone(),
        asked: level,
        used,
        needed: memory_for(enough),
        budget,
    });
    Effort { options, memory, lowered }
}

/// Whether a method takes tens of MiB also for a small NAR, for tables that it fills before it begins.
pub(crate) fn takes_much(method: &Compression) -> bool {
    matches!(method, Compression::Xz | Compression::Lzip | Compression::Lzma)
}

/// The least level that makes the same of a NAR as `level`: a dictionary larger than the NAR is of no use.
fn enough(method: &Compression, level: i32, nar_size: u64) -> i32 {
    match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma => {
            (WIDEST_SEARCH..level).find(|lower| dictionary(*lower) >= nar_size).unwrap_or(level)
        }
        _ => level,
    }
}

/// Bytes that a method takes when it compresses a NAR of `nar_size` bytes with one thread. Tables that are searched by
/// hash are filled all over even by a small NAR; most of the rest grows with it.
fn one_thread(method: &Compression, level: i32, nar_size: u64) -> u64 {
    let grows = |factor: u64, most: u64| nar_size.saturating_mul(factor).min(most);
    match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma => {
            let dictionary = dictionary(level);
            // liblzma clears its hash table, which has twice the size of the dictionary and 64 MiB at most; all
            // together is about eleven and a half times the dictionary.
            let hash_table = (2 * dictionary).min(64 * MIB);
            hash_table + MIB + grows(10, 10 * dictionary)
        }
        // A frame that is collected, one that is compressed, and one of output; zstd fits its tables to the frame.
        Compression::Zstd => grows(3, 3 * ZSTD_FRAME) + grows(32, zstd_tables(level)) + MIB,
        Compression::Brotli => grows(12, 79 * MIB) + MIB,
        Compression::Bzip2 => grows(3, 7 * MIB) + MIB,
        Compression::Lz4 => grows(3, 9 * MIB) + MIB,
        _ => MIB,
    }
}

/// Bytes that each of several threads takes.
fn one_of_several(method: &Compression, level: i32) -> u64 {
    match method {
        // What one takes, and nine dictionaries: a block of three, and room for two blocks of output.
        Compression::Xz => 21 * dictionary(level) + MIB,
        Compression::Zstd => 2 * ZSTD_FRAME + zstd_tables(level),
        // The others have no use for a second thread.
        _ => u64::MAX,
    }
}

/// Bytes that several threads take together, beside what each takes: the frame that is collected meanwhile.
fn shared(method: &Compression) -> u64 {
    if *method == Compression::Zstd { ZSTD_FRAME } else { 0 }
}

/// The dictionary of one of xz's presets, in bytes.
fn dictionary(level: i32) -> u64 {
    usize::try_from(level).ok().and_then(|preset| DICTIONARIES.get(preset)).unwrap_or(&64) * MIB
}

/// What `ZSTD_estimateCCtxSize_usingCParams` of zstd 1.5 says for a frame of 16 MiB, in bytes and rounded up.
fn zstd_tables(level: i32) -> u64 {
    let mib = match level {
        ..=3 => 2,
        4..=9 => 14,
        10..=12 => 50,
        13..=15 => 66,
        16 => 34,
        17..=18 => 50,
        19 => 82,
        20 => 162,
        21 => 194,
        _ => 258,
    };
    mib * MIB
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(compression: Compression, parallel: bool) -> CacheSettings {
        CacheSettings { compression, parallel_compression: Some(parallel), ..CacheSettings::default() }
    }

    fn at_level(compression: Compression, level: i32) -> CacheSettings {
        CacheSettings { compression_level: Some(level), ..settings(compression, true) }
    }

    #[test]
    fn a_small_nar_takes_little_whatever_the_method() {
        for name in ["zstd", "br", "bzip2", "none"] {
            let effort = effort(&settings(name.into(), true), 1000, 128 * MIB);
            assert!(effort.memory <= 3 * MIB, "{name}: {}", effort.memory);
            assert_eq!(effort.options.threads, 1);
        }
    }

    #[test]
    fn the_hash_table_of_xz_is_there_however_small_the_nar() {
        let effort = effort(&settings(Compression::Xz, true), 1000, 128 * MIB);
        assert!((17 * MIB..20 * MIB).contains(&effort.memory), "{}", effort.memory);
    }

    #[test]
    fn every_level_stays_within_the_budget() {
        let budget = 120 * MIB;
        for name in ["xz", "zstd", "br", "bzip2", "lz4", "lzip", "lzma", "gzip", "none"] {
            let method = Compression::from(name);
            let levels = level_range(&method).into_iter().flatten().map(Some).chain([None]);
            for (level, cores) in levels.flat_map(|level| [(level, 1), (level, 2), (level, 64)]) {
                let settings = CacheSettings { compression_level: level, ..settings(method.clone(), true) };
                for nar_size in [0, 100_000, 3 * MIB, 9 * MIB, 40 * MIB, 300 * MIB, u64::MAX] {
                    let effort = effort_on(cores, &settings, nar_size, budget);
                    assert!(effort.memory <= budget, "{name}, {level:?}, {nar_size}: {effort:?}");
                    assert!(u64::from(effort.options.threads) <= cores);
                }
            }
        }
    }

    #[test]
    fn a_level_that_takes_too_much_is_lowered_to_the_highest_that_does_not() {
        for (name, asked, used) in [("xz", 9, 6), ("lzip", 8, 6), ("zstd", 22, 18), ("zstd", 15, 15)] {
            let effort = effort(&at_level(name.into(), asked), u64::MAX, 120 * MIB);
            assert_eq!(effort.options.level, Some(used), "{name}");
            assert_eq!(effort.lowered.is_some(), asked != used, "{name}");
        }
        let lowered = effort(&at_level(Compression::Xz, 9), u64::MAX, 120 * MIB).lowered.unwrap();
        assert_eq!(
            lowered.to_string(),
            "compression level 9 of 'xz' needs 706 MiB of memory for a large NAR, more than the 120 MiB that there \
             are for compressing, so level 6 is used instead"
        );
    }

    #[test]
    fn a_dictionary_larger_than_the_nar_is_no_loss_and_no_warning() {
        let effort = effort(&at_level(Compression::Xz, 9), 5 * MIB, 120 * MIB);
        assert_eq!((effort.options.level, effort.lowered), (Some(6), None));
    }

    #[test]
    fn with_memory_for_it_the_level_is_the_one_asked_for() {
        let effort = effort(&at_level(Compression::Xz, 9), u64::MAX, 1024 * MIB);
        assert_eq!((effort.options.level, effort.lowered), (Some(9), None));
    }

    #[test]
    fn without_memory_for_any_level_the_cheapest_is_used() {
        let effort = effort(&settings(Compression::Xz, true), u64::MAX, MIB);
        assert_eq!((effort.options.level, effort.options.threads), (Some(1), 1));
    }

    #[test]
    fn a_level_that_does_not_exist_is_left_to_the_encoder_to_refuse() {
        let effort = effort(&at_level(Compression::Bzip2, 10), u64::MAX, MIB);
        assert_eq!((effort.options.level, effort.lowered), (Some(10), None));
    }

    #[test]
    fn several_threads_are_used_where_there_is_memory_for_each() {
        let threads =
            |name: &str, budget| effort_on(8, &settings(name.into(), true), u64::MAX, budget).options.threads;
        assert_eq!((threads("xz", 120 * MIB), threads("xz", 400 * MIB)), (1, 2));
        assert_eq!((threads("zstd", 120 * MIB), threads("zstd", 1024 * MIB)), (3, 8));
        assert_eq!(threads("gzip", u64::MAX), 1);
    }

    #[test]
    fn threads_are_used_only_when_asked_for_and_worth_it() {
        assert_eq!(effort(&settings(Compression::Zstd, false), u64::MAX, u64::MAX).options.threads, 1);
        assert_eq!(effort(&settings(Compression::Zstd, true), 10 * MIB, u64::MAX).options.threads, 1);
    }
}
