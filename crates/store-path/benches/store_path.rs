//! Nix32 beside the crates `nix-base32`, `base32` and `data-encoding`, parsing of store paths and hashes, signing and verifying.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use data_encoding::{BitOrder, DecodeError, Encoding, Specification};
use nars3_store_path::{Hash, SecretKey, StoreDir, StorePath, nix32, path_fingerprint};

const DIGEST: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];
const DIGEST_TEXT: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
const BASE_NAME: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-python3.12-cryptography-44.0.2";

/// The crate has neither Nix's alphabet nor its order of digits, so this is another encoding of the same length: what
/// an own codec has to be faster than, not one that could take its place.
const BASE32: base32::Alphabet = base32::Alphabet::Crockford;

/// Nix's alphabet with the least significant bits first. What it encodes is Nix32 from back to front.
fn data_encoding() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.extend(nix32::ALPHABET.iter().map(|symbol| char::from(*symbol)));
    specification.bit_order = BitOrder::LeastSignificantFirst;
    specification.encoding().ok().filter(|encoding| {
        encode_reversed(encoding, &DIGEST) == DIGEST_TEXT.as_bytes()
            && decode_reversed(encoding, DIGEST_TEXT).is_ok_and(|bytes| bytes == DIGEST)
    })
}

fn encode_reversed(encoding: &Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut text = encoding.encode(bytes).into_bytes();
    text.reverse();
    text
}

fn decode_reversed(encoding: &Encoding, text: &str) -> Result<Vec<u8>, DecodeError> {
    let mut text = text.as_bytes().to_vec();
    text.reverse();
    encoding.decode(&text)
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nix32 encode 32 bytes");
    group.throughput(Throughput::Bytes(32));
    group.bench_function("encode", |bencher| bencher.iter(|| nix32::encode(black_box(&DIGEST))));
    let mut text = [0; nix32::encoded_len(32)];
    group.bench_function("encode_into", |bencher| {
        bencher.iter(|| nix32::encode_into(black_box(&DIGEST), black_box(&mut text)));
    });
    group.bench_function("nix-base32", |bencher| {
        bencher.iter(|| nix_base32::to_nix_base32(black_box(&DIGEST)));
    });
    group.bench_function("base32", |bencher| {
        bencher.iter(|| base32::encode(BASE32, black_box(&DIGEST)));
    });
    if let Some(encoding) = data_encoding() {
        group.bench_function("data-encoding", |bencher| {
            bencher.iter(|| encode_reversed(&encoding, black_box(&DIGEST)));
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nix32 decode 32 bytes");
    group.throughput(Throughput::Bytes(32));
    group.bench_function("decode", |bencher| bencher.iter(|| nix32::decode(black_box(DIGEST_TEXT))));
    let mut bytes = [0; 32];
    group.bench_function("decode_into", |bencher| {
        bencher.iter(|| nix32::decode_into(black_box(DIGEST_TEXT.as_bytes()), black_box(&mut bytes)));
    });
    group.bench_function("nix-base32", |bencher| {
        bencher.iter(|| nix_base32::from_nix_base32(black_box(DIGEST_TEXT)));
    });
    let text = base32::encode(BASE32, &DIGEST);
    group.bench_function("base32", |bencher| {
        bencher.iter(|| base32::decode(BASE32, black_box(&text)));
    });
    if let Some(encoding) = data_encoding() {
        group.bench_function("data-encoding", |bencher| {
            bencher.iter(|| decode_reversed(&encoding, black_box(DIGEST_TEXT)));
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion) {
    let store_dir = StoreDir::default();
    let full = format!("{store_dir}/{BASE_NAME}");
    let hash = format!("sha256:{DIGEST_TEXT}");
    let mut group = criterion.benchmark_group("parse");
    group.bench_function("base name", |bencher| {
        bencher.iter(|| StorePath::from_base_name(black_box(BASE_NAME)));
    });
    group.bench_function("full path", |bencher| bencher.iter(|| store_dir.parse(black_box(&full))));
    group.bench_function("hash", |bencher| bencher.iter(|| Hash::parse(black_box(&hash))));
    group.finish();
}

fn sign(criterion: &mut Criterion) {
    let (Ok(key), Ok(path)) =
        (SecretKey::from_seed("bench-1", [7; 32]), StorePath::from_base_name(BASE_NAME))
    else {
        return;
    };
    let references: BTreeSet<StorePath> =
        ('a'..='p').filter_map(|letter| format!("{BASE_NAME}-{letter}").parse().ok()).collect();
    let store_dir = StoreDir::default();
    let hash = Hash::sha256(DIGEST);
    let fingerprint = || path_fingerprint(&store_dir, &path, &hash, 120, &references).unwrap_or_default();
    let text = fingerprint();
    let signature = key.sign(text.as_bytes());
    let public = key.public_key();
    let mut group = criterion.benchmark_group("signatures");
    group.bench_function("fingerprint of 16 references", |bencher| bencher.iter(fingerprint));
    group.bench_function("sign", |bencher| bencher.iter(|| key.sign(black_box(text.as_bytes()))));
    group.bench_function("verify", |bencher| {
        bencher.iter(|| public.verify(black_box(text.as_bytes()), black_box(&signature)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2)).without_plots();
    targets = encode, decode, parse, sign
}
criterion_main!(benches);
