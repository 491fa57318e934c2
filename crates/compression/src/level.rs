//! Which levels a method has.

use std::ops::RangeInclusive;

use nars3_narinfo::Compression;

use crate::CompressionError;

/// The range of levels and the default of a method that has levels.
///
/// The ranges are those of Nix's `compression-level` as libarchive takes it (zstd's lower end included).
/// Brotli is the exception: Nix has no level for it, so the range is the library's own.
const fn levels(method: &Compression) -> Option<(i32, i32, i32)> {
    match method {
        Compression::Xz | Compression::Lzip | Compression::Lzma | Compression::Gzip => Some((0, 9, 6)),
        Compression::Bzip2 => Some((1, 9, 9)),
        Compression::Zstd => Some((-99, 22, 3)),
        Compression::Brotli => Some((0, 11, 11)),
        Compression::Lz4 => Some((1, 9, 1)),
        _ => None,
    }
}

/// The levels that `EncoderOptions::level` may have for this method; `None` for a method without levels.
pub fn level_range(method: &Compression) -> Option<RangeInclusive<i32>> {
    levels(method).map(|(lowest, highest, _)| lowest..=highest)
}

/// The level that is used when none is asked for; `None` for a method without levels.
pub fn default_level(method: &Compression) -> Option<i32> {
    levels(method).map(|(_, _, default)| default)
}

/// The level to use: the one asked for, if the method has it, else the default.
pub(crate) fn effective(method: &Compression, asked: Option<i32>) -> Result<i32, CompressionError> {
    match (levels(method), asked) {
        (Some((lowest, highest, _)), Some(level)) if !(lowest..=highest).contains(&level) => {
            Err(CompressionError::Level { method: method.clone(), level, range: lowest..=highest })
        }
        (Some(_), Some(level)) => Ok(level),
        (Some((_, _, default)), None) => Ok(default),
        (None, Some(level)) => Err(CompressionError::NoLevels { method: method.clone(), level }),
        (None, None) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_each_range_are_inside_and_their_neighbours_outside() {
        for method in [Compression::Xz, Compression::Zstd, Compression::Bzip2, Compression::Brotli] {
            let range = level_range(&method).unwrap();
            assert_eq!(effective(&method, Some(*range.start())), Ok(*range.start()));
            assert_eq!(effective(&method, Some(*range.end())), Ok(*range.end()));
            for level in [range.start() - 1, range.end() + 1] {
                let range = range.clone();
                let expected = CompressionError::Level { method: method.clone(), level, range };
                assert_eq!(effective(&method, Some(level)), Err(expected));
            }
        }
    }

    #[test]
    fn defaults_are_the_ones_of_libarchive() {
        let defaults = [
            (Compression::Xz, 6),
            (Compression::Zstd, 3),
            (Compression::Bzip2, 9),
            (Compression::Gzip, 6),
            (Compression::Brotli, 11),
        ];
        for (method, level) in defaults {
            assert_eq!(default_level(&method), Some(level));
            assert_eq!(effective(&method, None), Ok(level));
        }
    }

    #[test]
    fn a_level_for_none_is_refused() {
        let error = effective(&Compression::None, Some(3)).unwrap_err();
        assert_eq!(error.to_string(), "compression method 'none' has no levels, but level 3 was asked for");
    }
}
