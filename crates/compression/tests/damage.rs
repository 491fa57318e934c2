//! Truncation, trailing bytes, corruption and memory bombs: all are errors, none is silent, none panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::io::{self, BufRead, Read, Write};

use common::{
    WRITTEN, compress, compress_fast, decode_error, decompress, decompress_with, in_pieces, sample,
};
use nars3_compression::{
    Compression, CompressionError, DecoderOptions, EncoderOptions, Operation, decoder, encoder,
};
use proptest::prelude::*;

#[test]
fn every_truncation_is_noticed() {
    let data = sample(2000);
    for method in WRITTEN {
        let compressed = compress_fast(&method, &data);
        for length in 0..compressed.len() {
            match decode_error(&method, &compressed[..length]) {
                Ok(CompressionError::Truncated { method: named, offset }) => {
                    assert_eq!(named, method);
                    assert_eq!(offset, length as u64, "{method}");
                }
                other => panic!("{method} cut at {length} of {}: {other:?}", compressed.len()),
            }
        }
    }
}

#[test]
fn truncation_inside_a_second_stream_is_noticed() {
    let data = sample(500);
    for method in [
        Compression::Xz,
        Compression::Zstd,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Lz4,
        Compression::Lzip,
    ] {
        let one = compress_fast(&method, &data);
        let two = [one.as_slice(), one.as_slice()].concat();
        for length in one.len() + 1..two.len() {
            let error = decode_error(&method, &two[..length]).expect("an error");
            assert!(matches!(error, CompressionError::Truncated { .. }), "{method} {length}: {error}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_noticed() {
    let data = sample(2000);
    for method in WRITTEN {
        for garbage in [b"garbage that is longer than any header".as_slice(), b"xy", b"\0", b"\0\0\0\0\0"] {
            let mut compressed = compress_fast(&method, &data);
            let end = compressed.len() as u64;
            compressed.extend_from_slice(garbage);
            match decode_error(&method, &compressed) {
                Ok(CompressionError::TrailingData { offset, .. }) => assert_eq!(offset, end, "{method}"),
                // A few bytes may be the beginning of a header.
                Ok(CompressionError::Truncated { .. }) if garbage.len() < 6 => {}
                other => panic!("{method} with {garbage:?} after it: {other:?}"),
            }
        }
    }
}

#[test]
fn xz_padding_is_no_garbage_but_only_in_fours() {
    let stream = compress_fast(&Compression::Xz, b"contents");
    let padded = [stream.as_slice(), &[0; 8], stream.as_slice(), &[0; 4]].concat();
    assert_eq!(decompress(&Compression::Xz, &padded).unwrap(), b"contentscontents");
    let wrong = [stream.as_slice(), &[0; 3], stream.as_slice()].concat();
    let offset = stream.len() as u64;
    let expected = CompressionError::TrailingData { method: Compression::Xz, offset };
    assert_eq!(decode_error(&Compression::Xz, &wrong), Ok(expected));
}

#[test]
fn lz4_skips_what_is_to_be_skipped() {
    let frame = compress_fast(&Compression::Lz4, b"contents");
    let skippable = [0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let mixed = [&skippable, frame.as_slice(), &skippable, frame.as_slice()].concat();
    assert_eq!(decompress(&Compression::Lz4, &mixed).unwrap(), b"contentscontents");
    let error = decode_error(&Compression::Lz4, &mixed[..skippable.len() - 1]).expect("an error");
    assert!(matches!(error, CompressionError::Truncated { .. }));
}

#[test]
fn something_else_is_corrupt_from_the_first_byte() {
    for method in WRITTEN {
        // An lz4 legacy frame, HTML, and a NAR: none is one of ours.
        for bytes in
            [b"\x02\x21\x4C\x18aaaaaaaaaaaaaaaaaa".as_slice(), b"<html><body>no such key</body></html>"]
        {
            let error = decode_error(&method, bytes).expect("an error");
            assert!(
                matches!(error, CompressionError::Corrupt { .. } | CompressionError::MemoryLimit { .. })
                    || (method == Compression::Brotli && matches!(error, CompressionError::Truncated { .. })),
                "{method}: {error:?}"
            );
        }
    }
}

#[test]
fn checksums_are_checked() {
    let data = sample(4000);
    // Brotli and .lzma have no checksum. The numbers say where each format's checksum is, from the end.
    for (method, from_end) in [
        (Compression::Gzip, 8),
        (Compression::Zstd, 2),
        (Compression::Lz4, 2),
        (Compression::Lzip, 20),
        (Compression::Bzip2, 3),
    ] {
        let mut compressed = compress_fast(&method, &data);
        let index = compressed.len() - from_end;
        compressed[index] ^= 0x10;
        let error = decode_error(&method, &compressed).expect("an error");
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{method}: {error:?}");
    }
}

#[test]
fn an_error_is_repeated() {
    for method in WRITTEN {
        let compressed = compress_fast(&method, &sample(1000));
        let mut reader = decoder(&method, in_pieces(&compressed[..compressed.len() - 1], 100)).unwrap();
        let mut sink = Vec::new();
        let first = reader.read_to_end(&mut sink).unwrap_err();
        let second = reader.read(&mut [0; 10]).unwrap_err();
        assert_eq!(CompressionError::of(&first), CompressionError::of(&second), "{method}");
    }
}

#[test]
fn errors_of_the_input_pass_unchanged() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line is dead"))
        }
    }
    impl BufRead for Broken {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the line is dead"))
        }
        fn consume(&mut self, _: usize) {}
    }
    for method in WRITTEN {
        let compressed = compress_fast(&method, &sample(1000));
        let input = compressed[..compressed.len() / 2].chain(Broken);
        let mut reader = decoder(&method, Box::new(input)).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{method}");
        assert_eq!(error.to_string(), "the line is dead", "{method}");
    }
}

#[test]
fn a_failed_output_is_never_finished() {
    /// Fails once, then takes all.
    struct Hiccup(bool);
    impl Write for Hiccup {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                Ok(data.len())
            } else {
                Err(io::Error::other("disk full"))
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let data = sample(17 << 20);
    for method in WRITTEN {
        let options = EncoderOptions { level: Some(1), ..EncoderOptions::default() };
        let mut writer = encoder(&method, &options, Hiccup(false)).unwrap();
        assert_eq!(writer.write_all(&data).unwrap_err().to_string(), "disk full", "{method}");
        let error = writer.finish().err().unwrap();
        let expected = CompressionError::Poisoned { method: method.clone() };
        assert_eq!(CompressionError::of(&error), Some(&expected));
    }
}

#[test]
fn memory_limits_hold() {
    let data = sample(100_000);
    let options = EncoderOptions { level: Some(9), ..EncoderOptions::default() };
    let limited = DecoderOptions { memory_limit: 1 << 20, ..DecoderOptions::default() };
    for method in [Compression::Xz, Compression::Lzip, Compression::Lzma] {
        let compressed = compress(&method, &options, &data);
        let error = decompress_with(&method, &limited, &compressed).unwrap_err();
        assert!(
            matches!(
                CompressionError::of(&error),
                Some(CompressionError::MemoryLimit { limit: 0x10_0000, .. })
            ),
            "{method}: {error}"
        );
        assert_eq!(decompress(&method, &compressed).unwrap(), data);
    }
    let threads = DecoderOptions { threads: 4, ..limited };
    let compressed = compress(&Compression::Xz, &options, &data);
    let error = decompress_with(&Compression::Xz, &threads, &compressed).unwrap_err();
    assert!(matches!(CompressionError::of(&error), Some(CompressionError::MemoryLimit { .. })));
}

#[test]
fn a_zstd_window_beyond_the_limit_is_refused() {
    // A frame header that asks for a window of 2 GiB, and a raw block of one byte.
    let bomb = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x09, 0x00, 0x00, b'x'];
    let error = decode_error(&Compression::Zstd, &bomb).expect("an error");
    assert!(matches!(error, CompressionError::MemoryLimit { .. }), "{error:?}");
    let generous = DecoderOptions { memory_limit: 8 << 30, ..DecoderOptions::default() };
    assert_eq!(decompress_with(&Compression::Zstd, &generous, &bomb).unwrap(), b"x");
}

#[test]
fn methods_without_a_library_are_refused_by_name() {
    for method in [
        Compression::Compress,
        Compression::Lzop,
        Compression::Lrzip,
        Compression::Grzip,
        Compression::from("snappy"),
    ] {
        let error = decoder(&method, Box::new(io::empty())).err().unwrap();
        assert!(
            matches!(&error, CompressionError::Unsupported { method: named, operation: Operation::Read, .. }
                if *named == method),
        );
        assert!(error.to_string().contains(&format!("'{method}'")), "{error}");
        let error = encoder(&method, &EncoderOptions::default(), Vec::new()).err().unwrap();
        assert!(matches!(error, CompressionError::Unsupported { operation: Operation::Write, .. }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(
        method in prop::sample::select(WRITTEN.to_vec()),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let limited = DecoderOptions { memory_limit: 4 << 20, ..DecoderOptions::default() };
        let _ = decompress_with(&method, &limited, &noise);
    }

    #[test]
    fn a_flipped_bit_never_panics_and_never_passes_where_there_is_a_checksum(
        method in prop::sample::select(WRITTEN.to_vec()),
        length in 1_usize..3000,
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let data = sample(length);
        let mut compressed = compress_fast(&method, &data);
        let index = at.index(compressed.len());
        compressed[index] ^= 1 << bit;
        let limited = DecoderOptions { memory_limit: 64 << 20, ..DecoderOptions::default() };
        if let Ok(plain) = decompress_with(&method, &limited, &compressed)
            && !matches!(method, Compression::Brotli | Compression::Lzma)
        {
            // Bits that carry nothing, such as gzip's operating system, may flip unseen; data may not.
            prop_assert!(plain == data, "{} byte {} bit {}", method, index, bit);
        }
    }
}
