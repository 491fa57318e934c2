//! Reading and printing the narinfo corpus, beside the `narinfo` crate and beside a plain loop.
//!
//! The `narinfo` crate refuses narinfos with `CA`, so its benches and the ones beside them leave those out. It borrows
//! what it reads and checks neither paths nor hashes: `NarInfoRef` is the same kind of thing (and decodes hashes),
//! `NarInfo` owns and checks everything. The plain loop builds a `NarInfo` as well, from the same parts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nars3_narinfo::{Compression, Flags, NarInfo, NarInfoRef, PathInfo};
use nars3_store_path::{Hash, Signature, StoreDir, StorePath};

/// What one would write without a parser library, for well-formed narinfos.
fn plain_loop(store_dir: &StoreDir, text: &str) -> Option<NarInfo> {
    let (mut path, mut url, mut compression) = (None, String::new(), Compression::Bzip2);
    let (mut file_hash, mut file_size, mut nar_hash, mut nar_size) = (None, None, None, 0);
    let (mut references, mut deriver, mut signatures, mut ca) =
        (BTreeSet::new(), None, BTreeSet::new(), None);
    for line in text.lines() {
        let (name, value) = line.split_once(": ")?;
        match name {
            "StorePath" => path = Some(store_dir.parse(value).ok()?),
            "URL" => url = value.to_owned(),
            "Compression" => compression = Compression::from(value),
            "FileHash" => file_hash = Some(Hash::parse(value).ok()?),
            "FileSize" => file_size = Some(value.parse().ok()?),
            "NarHash" => nar_hash = Some(Hash::parse(value).ok()?),
            "NarSize" => nar_size = value.parse().ok()?,
            "References" => {
                for reference in value.split(' ').filter(|reference| !reference.is_empty()) {
                    references.insert(StorePath::from_base_name(reference).ok()?);
                }
            }
            "Deriver" => deriver = Some(StorePath::from_base_name(value).ok()?),
            "Sig" => {
                signatures.insert(Signature::new(value));
            }
            "CA" => ca = Some(value.parse().ok()?),
            _ => {}
        }
    }
    let mut info = PathInfo::new(path?, nar_hash?, nar_size);
    info.references = references;
    info.deriver = deriver;
    info.signatures = signatures;
    info.ca = ca;
    Some(NarInfo { info, url, compression, file_hash, file_size, flags: Flags::NONE })
}

fn parse(criterion: &mut Criterion) {
    let Some(corpus) = support::corpus("bench parse") else { return };
    let texts: Vec<&str> =
        corpus.iter().map(String::as_str).filter(|text| narinfo::NarInfo::parse(text).is_ok()).collect();
    let store_dir = StoreDir::default();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
    group.bench_function("NarInfo", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                black_box(NarInfo::parse(&store_dir, "", black_box(text)).unwrap());
            }
        });
    });
    group.bench_function("plain loop", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                black_box(plain_loop(&store_dir, black_box(text)).unwrap());
            }
        });
    });
    group.bench_function("NarInfoRef", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                black_box(NarInfoRef::parse("", black_box(text)).unwrap());
            }
        });
    });
    group.bench_function("narinfo crate", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                black_box(narinfo::NarInfo::parse(black_box(text)).unwrap());
            }
        });
    });
    group.finish();
}

fn print(criterion: &mut Criterion) {
    let Some(corpus) = support::corpus("bench print") else { return };
    let peers: Vec<narinfo::NarInfo<'_>> =
        corpus.iter().filter_map(|text| narinfo::NarInfo::parse(text).ok()).collect();
    let store_dir = StoreDir::default();
    let ours: Vec<NarInfo> = corpus
        .iter()
        .filter(|text| narinfo::NarInfo::parse(text).is_ok())
        .map(|text| NarInfo::parse(&store_dir, "", text).unwrap())
        .collect();
    let mut group = criterion.benchmark_group("print");
    group.throughput(Throughput::Bytes(
        ours.iter().map(|narinfo| narinfo.to_text(&store_dir).len() as u64).sum(),
    ));
    group.bench_function("NarInfo", |bencher| {
        bencher.iter(|| {
            for narinfo in &ours {
                black_box(black_box(narinfo).to_text(&store_dir));
            }
        });
    });
    let texts: Vec<&String> = corpus.iter().filter(|text| narinfo::NarInfo::parse(text).is_ok()).collect();
    let borrowed: Vec<NarInfoRef<'_>> =
        texts.iter().map(|text| NarInfoRef::parse("", text).unwrap()).collect();
    group.bench_function("NarInfoRef", |bencher| {
        bencher.iter(|| {
            for narinfo in &borrowed {
                black_box(black_box(narinfo).to_text());
            }
        });
    });
    group.bench_function("narinfo crate", |bencher| {
        bencher.iter(|| {
            for narinfo in &peers {
                let mut text = String::new();
                black_box(narinfo).serialize_into(&mut text).unwrap();
                black_box(text);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, parse, print);
criterion_main!(benches);
