//! Whatever is written comes back, for every method and level, in whatever pieces it is written and read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::io::{Read, Write};

use common::{WRITTEN, compress, decompress, decompress_with, in_pieces, sample};
use nars3_compression::{
    Compression, DecoderOptions, EncoderOptions, decoder, decoder_with, default_level, encoder, level_range,
};
use proptest::prelude::*;

#[test]
fn every_level_of_every_method() {
    let data = sample(20_000);
    for method in WRITTEN {
        let range = level_range(&method).unwrap();
        assert!(range.contains(&default_level(&method).unwrap()));
        for level in range {
            let options = EncoderOptions { level: Some(level), ..EncoderOptions::default() };
            let compressed = compress(&method, &options, &data);
            assert!(decompress(&method, &compressed).unwrap() == data, "{method} level {level}");
        }
    }
}

#[test]
fn nothing_at_all_is_a_stream_too() {
    for method in WRITTEN {
        let compressed = compress(&method, &EncoderOptions::default(), b"");
        assert!(!compressed.is_empty(), "{method}");
        assert_eq!(decompress(&method, &compressed).unwrap(), b"", "{method}");
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let data = sample(300_000);
    for method in WRITTEN {
        let options = EncoderOptions { level: Some(2), ..EncoderOptions::default() };
        assert!(compress(&method, &options, &data) == compress(&method, &options, &data), "{method}");
    }
}

#[test]
fn none_is_the_bytes_themselves() {
    let compressed = compress(&Compression::None, &EncoderOptions::default(), b"bytes");
    assert_eq!(compressed, b"bytes");
    assert_eq!(decompress(&Compression::None, b"bytes").unwrap(), b"bytes");
    assert_eq!(decompress(&Compression::None, b"").unwrap(), b"");
}

#[test]
fn xz_with_several_threads_has_blocks_and_reads_back_in_parallel() {
    // Level 0 has a dictionary of 256 KiB, so blocks of 1 MiB.
    let data = sample(5 << 20);
    let parallel = EncoderOptions { level: Some(0), threads: 2, ..EncoderOptions::default() };
    let compressed = compress(&Compression::Xz, &parallel, &data);
    let single = compress(&Compression::Xz, &EncoderOptions { threads: 1, ..parallel.clone() }, &data);
    assert!(compressed.len() > single.len(), "blocks cost a little");
    let more = compress(&Compression::Xz, &EncoderOptions { threads: 4, ..parallel.clone() }, &data);
    assert!(compressed == more, "the number of threads above one does not matter");
    let poor = EncoderOptions { memory_limit: 1, ..parallel };
    assert!(compress(&Compression::Xz, &poor, &data) == compressed, "nor does a memory limit");

    let options = DecoderOptions { threads: 3, ..DecoderOptions::default() };
    for bytes in [&compressed, &single] {
        assert!(decompress_with(&Compression::Xz, &options, bytes).unwrap() == data);
        assert!(decompress(&Compression::Xz, bytes).unwrap() == data);
    }
    let twice = [compressed.as_slice(), compressed.as_slice()].concat();
    let plain = decompress_with(&Compression::Xz, &options, &twice).unwrap();
    assert!(plain == [data.as_slice(), data.as_slice()].concat());
}

#[test]
fn zstd_with_several_threads_crosses_frames() {
    let data = sample((16 << 20) * 2 + 12_345);
    let options = EncoderOptions { level: Some(1), threads: 2, ..EncoderOptions::default() };
    let compressed = compress(&Compression::Zstd, &options, &data);
    assert!(decompress(&Compression::Zstd, &compressed).unwrap() == data);
}

#[test]
fn flushing_costs_no_bytes() {
    let data = sample(50_000);
    for method in WRITTEN {
        let options = EncoderOptions { level: Some(1), ..EncoderOptions::default() };
        let mut writer = encoder(&method, &options, Vec::new()).unwrap();
        for chunk in data.chunks(1000) {
            writer.write_all(chunk).unwrap();
            writer.flush().unwrap();
        }
        assert!(writer.finish().unwrap() == compress(&method, &options, &data), "{method}");
    }
}

#[test]
fn an_encoder_that_is_dropped_leaves_no_complete_stream() {
    let data = sample(200_000);
    for method in WRITTEN {
        let mut out = Vec::new();
        let mut writer = encoder(&method, &EncoderOptions::default(), &mut out).unwrap();
        writer.write_all(&data).unwrap();
        drop(writer);
        assert!(decompress(&method, &out).is_err(), "{method}");
    }
}

/// Data of mixed character: runs, noise, and both.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (any::<u8>(), 0_usize..200_000).prop_map(|(byte, length)| vec![byte; length]),
        (0_usize..150_000).prop_map(sample),
    ]
}

fn written_method() -> impl Strategy<Value = Compression> {
    prop::sample::select(WRITTEN.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_on_both_sides(
        method in written_method(),
        data in contents(),
        level in 1_i32..=9,
        chunk in 1_usize..70_000,
        piece in 1_usize..5000,
        window in 1_usize..70_000,
    ) {
        // The slow end of brotli would take the time of all the others.
        let level = if method == Compression::Brotli { level.min(6) } else { level };
        let options = EncoderOptions { level: Some(level), ..EncoderOptions::default() };
        let mut writer = encoder(&method, &options, Vec::new()).unwrap();
        for part in data.chunks(chunk) {
            writer.write_all(part).unwrap();
        }
        let compressed = writer.finish().unwrap();
        prop_assert!(compressed == compress(&method, &options, &data));

        let mut reader = decoder(&method, in_pieces(&compressed, piece)).unwrap();
        let mut plain = Vec::new();
        let mut buffer = vec![0; window];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            plain.extend_from_slice(&buffer[..read]);
        }
        prop_assert_eq!(reader.read(&mut buffer).unwrap(), 0);
        prop_assert!(plain == data);
    }

    #[test]
    fn streams_one_after_another(
        method in prop::sample::select(vec![
            Compression::Xz, Compression::Zstd, Compression::Bzip2, Compression::Gzip, Compression::Lz4,
            Compression::Lzip,
        ]),
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 1..5),
        piece in 1_usize..300,
    ) {
        let options = EncoderOptions { level: Some(1), ..EncoderOptions::default() };
        let compressed: Vec<u8> =
            parts.iter().flat_map(|part| compress(&method, &options, part)).collect();
        let mut plain = Vec::new();
        decoder(&method, in_pieces(&compressed, piece)).unwrap().read_to_end(&mut plain).unwrap();
        prop_assert_eq!(plain, parts.concat());
    }
}

/// One frame with its size and a checksum.
fn frame(data: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(data).unwrap()
}

/// Frames of different sizes, with what may stand between and after them.
fn several_frames() -> (Vec<u8>, Vec<u8>) {
    let mut plain = Vec::new();
    let mut file = Vec::new();
    for (number, size) in [300_000, 0, 1, 2_000_000, 70_000, 5, 900_000].into_iter().enumerate() {
        let data = sample(size);
        file.extend(frame(&data));
        plain.extend(data);
        if number % 3 == 1 {
            // A frame without data, as seekable files have.
            file.extend([0x5E, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        }
    }
    // As `zstd` writes a stream: without its size.
    let data = sample(400_000);
    file.extend(zstd::encode_all(data.as_slice(), 1).unwrap());
    plain.extend(data);
    file.extend(zstd::bulk::compress(b"and one more", 1).unwrap());
    plain.extend(b"and one more");
    (file, plain)
}

#[test]
fn frames_come_out_in_order_whatever_the_threads_and_the_memory() {
    let (file, plain) = several_frames();
    for (threads, parallel_memory) in
        [(1, u64::MAX), (2, u64::MAX), (7, u64::MAX), (3, 1_000_000), (3, 3_000_000), (2, 0)]
    {
        let options = DecoderOptions { threads, parallel_memory, ..DecoderOptions::default() };
        for piece in [7, 100_000] {
            let mut found = Vec::new();
            decoder_with(&Compression::Zstd, &options, in_pieces(&file, piece))
                .unwrap()
                .read_to_end(&mut found)
                .unwrap();
            assert!(found == plain, "{threads} threads, {parallel_memory} bytes, pieces of {piece}");
        }
    }
}

#[test]
fn errors_are_the_same_with_several_threads() {
    let (file, _) = several_frames();
    let parallel = DecoderOptions { threads: 3, ..DecoderOptions::default() };
    let end = |data: &[u8], options: &DecoderOptions| {
        decompress_with(&Compression::Zstd, options, data)
            .map(|plain| plain.len())
            .map_err(|error| error.to_string())
    };
    for cut in [0, 3, 20, 1000, file.len() / 2, file.len() - 1] {
        assert_eq!(
            end(&file[..cut], &parallel),
            end(&file[..cut], &DecoderOptions::default()),
            "cut at {cut}"
        );
    }
    let garbage = [file.as_slice(), b"something that is no frame at all"].concat();
    assert_eq!(end(&garbage, &parallel), end(&garbage, &DecoderOptions::default()));
    // A wrong byte within a frame is found by its frame, so the offset is that of the frame.
    let mut broken = file.clone();
    broken[400_000] ^= 0x55;
    assert!(end(&broken, &parallel).is_err() && end(&broken, &DecoderOptions::default()).is_err());
}

#[test]
fn blocks_of_xz_come_out_in_order_on_several_threads() {
    let data = sample(9 << 20);
    let written = EncoderOptions { level: Some(0), threads: 4, ..EncoderOptions::default() };
    let file = compress(&Compression::Xz, &written, &data);
    for (threads, parallel_memory) in [(1, u64::MAX), (4, u64::MAX), (4, 0)] {
        let options = DecoderOptions { threads, parallel_memory, ..DecoderOptions::default() };
        assert!(
            decompress_with(&Compression::Xz, &options, &file).unwrap() == data,
            "{threads}, {parallel_memory}"
        );
    }
}
