//! Reading and printing store URLs, from a bare name to one with many settings.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nars3_store_url::{S3ObjectUrl, StoreUrl};

const URLS: [(&str, &str); 4] = [
    ("daemon", "daemon"),
    ("https", "https://cache.nixos.org?priority=40"),
    ("s3", "s3://my-cache?region=eu-west-1&profile=ci&compression=zstd"),
    (
        "s3-many-settings",
        "s3://my-cache/team/a?endpoint=https%3A%2F%2Fminio.example.com%3A9000&addressing-style=path&region=eu-west-1\
         &compression=zstd&compression-level=12&parallel-compression=true&write-nar-listing=true\
         &narinfo-compression=zstd&secret-key=/etc/nix/key.secret&multipart-upload=true&buffer-size=16M\
         &storage-class=STANDARD_IA&nar-cache-control=max-age%3D31536000&want-mass-query=true&priority=30",
    ),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, text) in URLS {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| StoreUrl::parse(black_box(text))));
    }
    group.finish();
}

fn print(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("print");
    for (name, text) in URLS {
        let Ok(parsed) = StoreUrl::parse(text) else { continue };
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&parsed.url).to_string()));
    }
    group.finish();
}

fn address(criterion: &mut Criterion) {
    let Ok(parsed) = S3ObjectUrl::parse("s3://my-cache/nar/abc.nar.zst?region=eu-west-1") else { return };
    criterion.bench_function("address", |bencher| bencher.iter(|| black_box(&parsed.url).to_https_url()));
}

criterion_group!(benches, parse, print, address);
criterion_main!(benches);
