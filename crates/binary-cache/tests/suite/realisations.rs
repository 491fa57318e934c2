//! Realisations go from cache to cache in both forms, and no signature is lost.

use futures::TryStreamExt;
use nars3_binary_cache::{BinaryCache, DeleteOptions, Deletion, Finding, VerifyOptions};
use nars3_compression::Compression;
use nars3_store_api::{BuildRecords, StoreError};
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, PublicKeys, Realisation, RealisedOutput, SecretKey};

use crate::support::{Sample, add, compressed_by, memory, open, plain, put_raw, secret_key};

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&format!("key-{number}"), [number; 32]).unwrap()
}

async fn copy(from: &BinaryCache, to: &BinaryCache, output: &RealisedOutput) -> Result<bool, StoreError> {
    to.add_realised(from.realised(output).await?.unwrap()).await
}

/// A realisation of the path in each form, signed.
fn both(out: &Sample) -> (Realisation, BuildTraceEntry) {
    let id = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
    let mut realisation = Realisation::new(id, out.info.path.clone());
    realisation.sign(&key(1));
    let trace = BuildTraceKey::new(Sample::file_path("out.drv"), "out").unwrap();
    let mut entry = BuildTraceEntry::new(trace, out.info.path.clone());
    entry.sign(&key(1));
    (realisation, entry)
}

#[tokio::test]
async fn both_forms_are_listed_and_copied_with_their_signatures() {
    let (from, to) = (memory(), memory());
    let out = Sample::file("out", b"out");
    let source = plain(&from).await;
    let (realisation, entry) = both(&out);
    add(&source, &out).await;
    source.put_realisation(&realisation).await.unwrap();
    source.put_build_trace(&entry).await.unwrap();
    put_raw(&from, "realisations/nonsense.doi", "x").await;
    let outputs: Vec<RealisedOutput> = source.realised_outputs().try_collect().await.unwrap();
    let expected =
        [RealisedOutput::ByHash(realisation.id.clone()), RealisedOutput::ByPath(entry.key.clone())];
    assert_eq!(outputs, expected);
    for output in &outputs {
        assert_eq!(output.to_string().parse::<RealisedOutput>().unwrap(), *output);
    }

    let mut options = compressed_by(Compression::None);
    options.secret_keys.push(secret_key("mine-1"));
    let destination = open(&to, options).await;
    for output in &outputs {
        let error = copy(&source, &destination, output).await.unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "its path is not there: {error}");
    }
    add(&destination, &out).await;
    for output in &outputs {
        assert!(copy(&source, &destination, output).await.unwrap());
        assert!(!copy(&source, &destination, output).await.unwrap(), "nothing is new");
    }
    let keys: PublicKeys = [key(1).public_key(), secret_key("mine-1").public_key()].into_iter().collect();
    let copied = destination.realisation(&realisation.id).await.unwrap().unwrap();
    assert_eq!((copied.valid_signatures(&keys), &copied.out_path), (2, &out.info.path));
    let copied = destination.build_trace(&entry.key).await.unwrap().unwrap();
    assert_eq!((copied.valid_signatures(&keys), &copied.out_path), (2, &out.info.path));
}

#[tokio::test]
async fn copies_at_once_from_two_caches_keep_the_signatures_of_both() {
    let to = memory();
    let out = Sample::file("out", b"out");
    add(&plain(&to).await, &out).await;
    let mut sources = Vec::new();
    for number in 1..=4 {
        let source = plain(&memory()).await;
        let mut realisation = both(&out).0;
        realisation.signatures.clear();
        realisation.sign(&key(number));
        source.put_realisation(&realisation).await.unwrap();
        sources.push(source);
    }
    let id = both(&out).0.id;
    let output = RealisedOutput::ByHash(id.clone());
    let copies = sources.iter().map(|source| async {
        copy(source, &*plain(&to).await, &output).await.unwrap();
    });
    futures::future::join_all(copies).await;
    let copied = plain(&to).await.realisation(&id).await.unwrap().unwrap();
    assert_eq!(copied.valid_signatures(&(1..=4).map(|number| key(number).public_key()).collect()), 4);
}

#[tokio::test]
async fn a_realisation_that_names_another_path_stays() {
    let (source, destination) = (plain(&memory()).await, plain(&memory()).await);
    let (one, other) = (Sample::file("one", b"one"), Sample::file("other", b"other"));
    for sample in [&one, &other] {
        add(&destination, sample).await;
    }
    source.put_realisation(&both(&one).0).await.unwrap();
    destination.put_realisation(&both(&other).0).await.unwrap();
    let id = both(&one).0.id;
    let refused = copy(&source, &destination, &RealisedOutput::ByHash(id.clone())).await;
    assert!(refused.is_err());
    assert_eq!(destination.realisation(&id).await.unwrap().unwrap().out_path, other.info.path);
}

#[tokio::test]
async fn a_verification_finds_realisations_that_lead_nowhere_and_those_that_make_no_sense() {
    let objects = memory();
    let cache = plain(&objects).await;
    let (out, gone) = (Sample::file("out", b"out"), Sample::file("gone", b"gone"));
    add(&cache, &out).await;
    let (realisation, entry) = (both(&out).0, both(&gone).1);
    cache.put_realisation(&realisation).await.unwrap();
    cache.put_build_trace(&entry).await.unwrap();
    let findings =
        async |cache: &BinaryCache| cache.verify(&VerifyOptions::default()).await.unwrap().findings;
    let found = findings(&*plain(&objects).await).await;
    assert!(
        matches!(&found[..], [Finding::DanglingRealisation { output: RealisedOutput::ByPath(key), path }]
            if *key == entry.key && *path == gone.info.path),
        "{found:?}"
    );
    put_raw(&objects, &realisation.id.object_key(), "{").await;
    let upstream = plain(&memory()).await;
    add(&upstream, &gone).await;
    let mut options = crate::support::options();
    options.upstreams.push(upstream);
    let found = findings(&*open(&objects, options).await).await;
    assert!(
        matches!(&found[..], [Finding::UnreadableRealisation { output: RealisedOutput::ByHash(id), .. }]
            if *id == realisation.id),
        "the upstream has the other: {found:?}"
    );
}

#[tokio::test]
async fn realisations_go_with_the_path_that_they_name() {
    let objects = memory();
    let cache = plain(&objects).await;
    let (out, stays) = (Sample::file("out", b"out"), Sample::file("stays", b"stays"));
    for sample in [&out, &stays] {
        add(&cache, sample).await;
    }
    let (realisation, entry) = (both(&stays).0, both(&out).1);
    cache.put_realisation(&realisation).await.unwrap();
    cache.put_build_trace(&entry).await.unwrap();
    put_raw(&objects, &format!("realisations/sha256:{}!x.doi", "cd".repeat(32)), "{").await;
    let paths = [out.info.path.clone()];
    for dry_run in [true, false] {
        let deleted = cache.delete(&paths, DeleteOptions { dry_run, ..DeleteOptions::default() }).await;
        let Deletion::Done { realisations, .. } = deleted.unwrap() else { panic!("refused") };
        assert_eq!(realisations, [entry.key.object_key()]);
        assert_eq!(cache.build_trace(&entry.key).await.unwrap().is_some(), dry_run);
    }
    assert!(cache.realisation(&realisation.id).await.unwrap().is_some());
}
