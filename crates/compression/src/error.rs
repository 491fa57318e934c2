//! What can go wrong, as facts.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use nars3_narinfo::Compression;

/// Which direction was asked for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Compression.
    Write,
    /// Decompression.
    Read,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Operation::Write => "write",
            Operation::Read => "read",
        })
    }
}

/// An error of an encoder or a decoder.
///
/// Readers and writers return it inside an `std::io::Error`; `CompressionError::of` finds it there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The method cannot be written, or read, at all.
    #[error("cannot {operation} compression method '{method}': {reason}")]
    Unsupported {
        /// The method that was asked for.
        method: Compression,
        /// What was to be done with it.
        operation: Operation,
        /// Why not.
        reason: &'static str,
    },
    /// The level is not one of the method's.
    #[error("compression level {level} is outside the range {} to {} of method '{method}'", range.start(), range.end())]
    Level {
        /// The method.
        method: Compression,
        /// The level that was asked for.
        level: i32,
        /// The levels that exist.
        range: RangeInclusive<i32>,
    },
    /// A level was given for a method that has none.
    #[error("compression method '{method}' has no levels, but level {level} was asked for")]
    NoLevels {
        /// The method.
        method: Compression,
        /// The level that was asked for.
        level: i32,
    },
    /// The input ends inside a stream.
    #[error("{method} data is truncated: it ends at byte {offset}, inside a stream")]
    Truncated {
        /// The method.
        method: Compression,
        /// Length of the compressed input in bytes.
        offset: u64,
    },
    /// After the last stream there are bytes that begin no other.
    #[error("{method} data has bytes after its end, at byte {offset}, that are not another stream")]
    TrailingData {
        /// The method.
        method: Compression,
        /// Where the last stream ended, in bytes of compressed input.
        offset: u64,
    },
    /// The library refused the bytes, or a checksum does not match.
    #[error("{method} data is corrupt near byte {offset}: {reason}")]
    Corrupt {
        /// The method.
        method: Compression,
        /// How far the compressed input had been consumed, in bytes.
        offset: u64,
        /// The library's own words.
        reason: String,
    },
    /// Decoding needs more memory than `DecoderOptions::memory_limit` allows.
    #[error("{method} data needs more memory to decode than the limit of {limit} bytes (near byte {offset})")]
    MemoryLimit {
        /// The method.
        method: Compression,
        /// The limit in bytes.
        limit: u64,
        /// How far the compressed input had been consumed, in bytes.
        offset: u64,
    },
    /// The library could not be set up, or failed while it compressed: no memory or no thread, most likely.
    #[error("cannot {operation} {method} data: {reason}")]
    Codec {
        /// The method.
        method: Compression,
        /// What was being done.
        operation: Operation,
        /// The library's own words.
        reason: String,
    },
    /// The encoder was used again after an error.
    #[error("the {method} encoder failed earlier and cannot continue")]
    Poisoned {
        /// The method.
        method: Compression,
    },
}

impl CompressionError {
    /// The compression error inside an `io::Error`, if it came from this crate.
    pub fn of(error: &io::Error) -> Option<&CompressionError> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<CompressionError> for io::Error {
    fn from(error: CompressionError) -> Self {
        let kind = match &error {
            CompressionError::Unsupported { .. } => io::ErrorKind::Unsupported,
            CompressionError::Level { .. } | CompressionError::NoLevels { .. } => io::ErrorKind::InvalidInput,
            CompressionError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            CompressionError::TrailingData { .. } | CompressionError::Corrupt { .. } => {
                io::ErrorKind::InvalidData
            }
            CompressionError::MemoryLimit { .. } => io::ErrorKind::OutOfMemory,
            CompressionError::Codec { .. } | CompressionError::Poisoned { .. } => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
