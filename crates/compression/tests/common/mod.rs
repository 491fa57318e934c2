//! Helpers that the integration tests share.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::io::{self, BufReader, Read, Write};

use nars3_compression::{
    Compression, CompressionError, DecoderOptions, EncoderOptions, decoder_with, encoder,
};

/// Every method that can be written, but for `none`.
pub(crate) const WRITTEN: [Compression; 8] = [
    Compression::Xz,
    Compression::Zstd,
    Compression::Bzip2,
    Compression::Gzip,
    Compression::Brotli,
    Compression::Lz4,
    Compression::Lzip,
    Compression::Lzma,
];

/// Bytes that compress somewhat, and that no two places of are equal.
pub(crate) fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state & 0x0F0F_00FF_0F00_0F0F).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn compress(method: &Compression, options: &EncoderOptions, data: &[u8]) -> Vec<u8> {
    let mut writer = encoder(method, options, Vec::new()).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// At a fast level, for tests that are not about levels.
pub(crate) fn compress_fast(method: &Compression, data: &[u8]) -> Vec<u8> {
    compress(method, &EncoderOptions { level: Some(1), ..EncoderOptions::default() }, data)
}

pub(crate) fn decompress(method: &Compression, data: &[u8]) -> io::Result<Vec<u8>> {
    decompress_with(method, &DecoderOptions::default(), data)
}

pub(crate) fn decompress_with(
    method: &Compression,
    options: &DecoderOptions,
    data: &[u8],
) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder_with(method, options, Box::new(data)).unwrap().read_to_end(&mut plain)?;
    Ok(plain)
}

/// The compression error that decoding ends with, or what was decoded without one.
pub(crate) fn decode_error(method: &Compression, data: &[u8]) -> Result<CompressionError, Vec<u8>> {
    match decompress(method, data) {
        Ok(plain) => Err(plain),
        Err(error) => Ok(CompressionError::of(&error).expect("one of our errors").clone()),
    }
}

/// A reader that gives its bytes in small pieces, as a network does.
pub(crate) fn in_pieces<'a>(data: &'a [u8], piece: usize) -> Box<dyn io::BufRead + Send + 'a> {
    Box::new(BufReader::with_capacity(piece.max(1), data))
}

/// Prints why a test does nothing, where the machine has no such program; refuses to skip when `NARS3_REQUIRE` says so.
pub(crate) fn skip(test: &str, program: &str) {
    let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == program), "{test} needs {program}");
    eprintln!("SKIPPED (no {program}): {test}");
}
