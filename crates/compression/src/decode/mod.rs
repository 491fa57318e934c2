//! Decompression: which reader serves which method, and with which limits.

mod frames;
mod stream;

use std::io::{BufRead, Read};

use nars3_narinfo::Compression;

use crate::codec::xz::Container;
use crate::codec::{Decompress, Fault, brotli, bzip2, gzip, lz4, xz, zstd};
use crate::{CompressionError, Operation};

use self::frames::FrameReader;
use self::stream::StreamReader;

/// The default of `DecoderOptions::memory_limit`: 256 MiB, enough for the highest level of every method's command line
/// tool (zstd's `--ultra -22` asks for a window of 128 MiB, xz's and lzip's `-9` for 64 MiB).
pub const DEFAULT_MEMORY_LIMIT: u64 = 256 << 20;

/// How to decompress.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DecoderOptions {
    /// The most memory, in bytes, that the input may make a decoder use.
    ///
    /// xz and lzip hold it as it is; for zstd it bounds the window to the largest power of two that leaves room (but
    /// to no less than 16 MiB). The other methods never need more than 17 MiB.
    pub memory_limit: u64,
    /// How many threads may decode one input, beside the calling one: above one, several frames of zstd and several blocks
    /// of xz are decoded at once where their headers tell their sizes. The other methods use the calling thread.
    pub threads: u32,
    /// The most memory, in bytes, that decoding several frames or blocks at once may take. Where it does not suffice for
    /// one, they are decoded one after another.
    pub parallel_memory: u64,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        DecoderOptions {
            memory_limit: DEFAULT_MEMORY_LIMIT,
            threads: 1,
            parallel_memory: DEFAULT_MEMORY_LIMIT,
        }
    }
}

/// A reader of what `reader` holds in compressed form, with default options.
///
/// # Errors
/// `CompressionError::Unsupported` for a method that cannot be read. Everything about the data itself comes from the
/// reader that is returned: truncation, corruption and trailing bytes as a `CompressionError` inside an `io::Error`,
/// errors of `reader` as they are.
pub fn decoder<'a>(
    method: &Compression,
    reader: Box<dyn BufRead + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>, CompressionError> {
    decoder_with(method, &DecoderOptions::default(), reader)
}

/// A reader of what `reader` holds in compressed form.
///
/// # Errors
/// As `decoder`; and `CompressionError::Codec` when the library cannot be set up.
pub fn decoder_with<'a>(
    method: &Compression,
    options: &DecoderOptions,
    reader: Box<dyn BufRead + Send + 'a>,
) -> Result<Box<dyn Read + Send + 'a>, CompressionError> {
    let limit = options.memory_limit;
    let liblzma = |container| Box::new(xz::Decoder::new(container, limit));
    let codec: Box<dyn Decompress> = match method {
        Compression::None => return Ok(Box::new(reader)),
        Compression::Lz4 => return Ok(Box::new(lz4::Reader::new(reader))),
        Compression::Xz => {
            liblzma(Container::Xz { threads: options.threads, memory: options.parallel_memory })
        }
        Compression::Lzma => liblzma(Container::Lzma),
        Compression::Lzip => liblzma(Container::Lzip),
        Compression::Bzip2 => Box::new(bzip2::Decoder::new()),
        Compression::Gzip => Box::new(gzip::Decoder::new()),
        Compression::Brotli => Box::new(brotli::Decoder::new()),
        Compression::Zstd if options.threads > 1 => {
            let (threads, memory) = (options.threads, options.parallel_memory);
            return Ok(Box::new(FrameReader::new(threads, memory, limit, reader)));
        }
        Compression::Zstd => {
            Box::new(zstd::Decoder::new(limit).map_err(|fault| cannot_set_up(method, fault))?)
        }
        other => return Err(unsupported(other, Operation::Read)),
    };
    Ok(Box::new(StreamReader::new(method.clone(), limit, codec, reader)))
}

fn cannot_set_up(method: &Compression, fault: Fault) -> CompressionError {
    let reason = match fault {
        Fault::Data(reason) => reason,
        Fault::Memory => "not enough memory".to_owned(),
    };
    CompressionError::Codec { method: method.clone(), operation: Operation::Read, reason }
}

/// The error for a method that has no codec here.
pub(crate) fn unsupported(method: &Compression, operation: Operation) -> CompressionError {
    let reason = match method {
        Compression::Compress => "there is no maintained Rust library for the LZW format of compress(1)",
        Compression::Grzip | Compression::Lrzip | Compression::Lzop => {
            "Nix runs an external program for it, and there is no maintained Rust library"
        }
        _ => "it is not a compression method that Nix has",
    };
    CompressionError::Unsupported { method: method.clone(), operation, reason }
}
