//! Reading a closure of 10,000 paths out of Nix's database, and adding 500 small paths to a chroot store.
//!
//! With `NARS3_BENCH_ROOT` set, the store that is read is made there and stays, so that Nix can be timed on it:
//! `nix path-info --store "$NARS3_BENCH_ROOT" --json -r --all`.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nars3_narinfo::PathInfo;
use nars3_nix_store::{LocalStore, LocalStoreOptions};
use nars3_store_api::{NarStream, StageOptions, Store};
use nars3_store_path::{Algorithm, Hash, StorePath, nix32};
use tokio::runtime::Runtime;

const PATHS: usize = 10_000;
const REFERENCES: usize = 8;

fn path(number: usize) -> StorePath {
    let digest = Hash::digest(Algorithm::Sha256, &number.to_le_bytes());
    let hash_part = nix32::encode(digest.as_bytes().get(..20).expect("32 bytes"));
    StorePath::from_base_name(&format!("{hash_part}-package-{number}")).expect("well-formed")
}

/// The number of the row of a path; the first is 1.
fn row(number: usize) -> i64 {
    i64::try_from(number + 1).expect("small")
}

fn open(root: &Path) -> Arc<LocalStore> {
    LocalStore::open(LocalStoreOptions { root: Some(root.to_owned()), ..LocalStoreOptions::default() })
        .expect("opens")
}

/// A store with rows for `PATHS` paths, each referring to the `REFERENCES` before it, and no files.
fn large_store(root: &Path) -> Arc<LocalStore> {
    drop(open(root));
    let mut database = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).expect("opens");
    let transaction = database.transaction().expect("begins");
    for number in 0..PATHS {
        let hash = Hash::digest(Algorithm::Sha256, &number.to_be_bytes()).to_base16();
        transaction
            .execute(
                "insert or ignore into ValidPaths (id, path, hash, registrationTime, narSize) values (?1, ?2, ?3, 1, 96)",
                (row(number), format!("/nix/store/{}", path(number)), hash),
            )
            .expect("inserted");
        for reference in number.saturating_sub(REFERENCES)..=number {
            transaction
                .execute("insert or ignore into Refs values (?1, ?2)", (row(number), row(reference)))
                .expect("inserted");
        }
    }
    transaction.commit().expect("committed");
    open(root)
}

fn reading(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().expect("tempdir");
    let root =
        std::env::var_os("NARS3_BENCH_ROOT").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let store = large_store(&root);
    let runtime = Runtime::new().expect("a runtime");
    let top = [path(PATHS - 1)];
    criterion.bench_function("closure of 10,000 paths", |bencher| {
        bencher.iter(|| runtime.block_on(store.closure(&top)).expect("query").len());
    });
    let all: Vec<StorePath> = (0..PATHS).map(path).collect();
    criterion.bench_function("path infos of 10,000 paths", |bencher| {
        bencher.iter(|| runtime.block_on(store.path_infos(&all)).expect("query").len());
    });
}

fn writing(criterion: &mut Criterion) {
    let tree = tempfile::tempdir().expect("tempdir");
    let runtime = Runtime::new().expect("a runtime");
    let samples: Vec<(PathInfo, Vec<u8>)> = (0..500)
        .map(|number| {
            let top = tree.path().join(number.to_string());
            std::fs::create_dir(&top).expect("mkdir");
            for file in 0..4 {
                std::fs::write(top.join(file.to_string()), format!("{number} {file} ").repeat(200))
                    .expect("write");
            }
            let mut nar = Vec::new();
            nars3_nar::dump(&top, &mut nar, &nars3_nar::DumpOptions::default()).expect("dump");
            (PathInfo::new(path(number), Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64), nar)
        })
        .collect();
    let mut group = criterion.benchmark_group("writing");
    group.sample_size(10);
    group.bench_function("500 small paths", |bencher| {
        bencher.iter_batched_ref(
            || tempfile::tempdir().expect("tempdir"),
            |root| runtime.block_on(add_all(open(root.path()), &samples)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

async fn add_all(store: Arc<LocalStore>, samples: &[(PathInfo, Vec<u8>)]) {
    let mut batch = Vec::new();
    for (info, nar) in samples {
        let (mut sender, stream) = NarStream::channel();
        sender.send(nar.clone().into()).await.expect("there is room");
        let staging = store.stage(info.clone(), stream, StageOptions::default());
        let (staged, ()) = tokio::join!(staging, sender.finish());
        batch.push(staged.expect("staged"));
    }
    store.publish(batch).await.expect("published");
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
