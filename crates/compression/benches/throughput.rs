//! How many bytes of plain data each method takes and gives a second.

use std::hint::black_box;
use std::io::{self, Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nars3_compression::{Compression, DecoderOptions, EncoderOptions, decoder_with, default_level, encoder};

/// Bytes of plain data in each round.
const LENGTH: usize = 8 << 20;

/// Half text, half noise: about as compressible as a program.
fn data() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut bytes = Vec::with_capacity(LENGTH + 64);
    while bytes.len() < LENGTH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
        write!(bytes, "/nix/store/{:02}-lib/{}.so", state % 97, state % 1009).unwrap_or_default();
    }
    bytes.truncate(LENGTH);
    bytes
}

fn compress(method: &Compression, options: &EncoderOptions, data: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = encoder(method, options, Vec::with_capacity(LENGTH))?;
    writer.write_all(data)?;
    writer.finish()
}

fn decompress(method: &Compression, options: &DecoderOptions, data: &[u8]) -> io::Result<u64> {
    io::copy(&mut decoder_with(method, options, Box::new(data))?, &mut io::sink())
}

fn throughput(criterion: &mut Criterion) {
    let data = data();
    let cases = [
        (Compression::None, None, 1),
        (Compression::Lz4, None, 1),
        (Compression::Zstd, Some(1), 1),
        (Compression::Zstd, None, 1),
        (Compression::Zstd, Some(9), 1),
        (Compression::Gzip, None, 1),
        (Compression::Brotli, Some(5), 1),
        (Compression::Bzip2, None, 1),
        (Compression::Xz, Some(1), 1),
        (Compression::Xz, Some(1), 2),
        (Compression::Lzip, Some(1), 1),
    ];
    for (method, level, threads) in cases {
        let options = EncoderOptions { level, threads, ..EncoderOptions::default() };
        let level = level.or_else(|| default_level(&method)).unwrap_or(0);
        let name = format!("{method}-{level}x{threads}");
        let Ok(compressed) = compress(&method, &options, &data) else { continue };
        let mut group = criterion.benchmark_group("throughput");
        group.sample_size(10).throughput(Throughput::Bytes(LENGTH as u64));
        group.bench_function(BenchmarkId::new("encode", &name), |bencher| {
            bencher.iter(|| compress(&method, &options, black_box(&data)));
        });
        let options = DecoderOptions { threads, ..DecoderOptions::default() };
        group.bench_function(BenchmarkId::new("decode", &name), |bencher| {
            bencher.iter(|| decompress(&method, &options, black_box(&compressed)));
        });
        group.finish();
    }
}

criterion_group!(benches, throughput);
criterion_main!(benches);
