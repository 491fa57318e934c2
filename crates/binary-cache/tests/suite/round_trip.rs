//! What goes in comes out.

use std::sync::Arc;

use futures::TryStreamExt;
use nars3_compression::Compression;
use nars3_store_api::{StageOptions, Store, StoreError};

use crate::support::*;

#[tokio::test]
async fn a_closure_goes_in_and_comes_out_of_memory_and_files() {
    let (_directory, files) = files();
    for objects in [memory(), files] {
        let library = Sample::tree("library");
        let program = Sample::file("program", b"calls library").referring_to(&[&library]);
        let cache = plain(&objects).await;
        add(&cache, &library).await;
        add(&cache, &program).await;

        let reader = plain(&objects).await;
        let info = reader.path_info(&program.info.path).await.unwrap().unwrap();
        assert_eq!(*info, program.info);
        assert_eq!(fetch(&reader, &info).await.unwrap(), program.nar);
        assert_eq!(fetch(&reader, &library.info).await.unwrap(), library.nar);

        let mut listed: Vec<_> = reader.list().try_collect().await.unwrap();
        listed.sort();
        let mut expected = vec![library.info.path.hash_part(), program.info.path.hash_part()];
        expected.sort();
        assert_eq!(listed, expected);
        let found = reader.path_from_hash_part(&program.info.path.hash_part()).await.unwrap();
        assert_eq!(found, Some(program.info.path.clone()));
    }
}

#[tokio::test]
async fn every_method_comes_back() {
    for name in ["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4", "lzip"] {
        let objects = memory();
        let sample = Sample::file("sample", &[b"text ".repeat(10_000), noise(50_000)].concat());
        add(&open(&objects, compressed_by(Compression::from(name))).await, &sample).await;
        let nar = fetch(&plain(&objects).await, &sample.info).await;
        assert_eq!(nar.unwrap(), sample.nar, "{name}");
        let narinfo = raw_text(&objects, &format!("{}.narinfo", sample.info.path.hash_part())).await;
        assert!(narinfo.contains(&format!("\nCompression: {name}\n")), "{narinfo}");
    }
}

#[tokio::test]
async fn a_nar_beyond_the_thresholds_is_spooled_and_sent_in_parts() {
    let (_directory, files) = files();
    for objects in [memory(), files] {
        let mut options = compressed_by(Compression::None);
        options.limits.spool_memory = 100_000;
        options.limits.multipart_threshold = 1_000_000;
        options.limits.part_size = 1;
        let sample = Sample::file("large", &noise(12_000_000));
        let cache = open(&objects, options).await;
        add(&cache, &sample).await;
        assert_eq!(cache.stats().parts(), 3, "parts of five MiB, the least that S3 takes");
        assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
    }
}

#[tokio::test]
async fn a_reference_must_be_there_first() {
    let objects = memory();
    let library = Sample::file("library", b"x");
    let program = Sample::file("program", b"y").referring_to(&[&library]);
    let cache = plain(&objects).await;
    let error = stage_and_publish(&cache, &program).await.unwrap_err();
    let StoreError::MissingReference { path, reference, .. } = error else { panic!("{error}") };
    assert_eq!((path, reference), (program.info.path.clone(), library.info.path.clone()));
    assert!(!keys(&objects).await.iter().any(|key| key.ends_with(".narinfo")));
    add(&cache, &library).await;
    add(&cache, &program).await;
}

#[tokio::test]
async fn a_reference_to_itself_needs_nothing() {
    let mut sample = Sample::file("recursive", b"x");
    sample.info.references.insert(sample.info.path.clone());
    add(&plain(&memory()).await, &sample).await;
}

#[tokio::test]
async fn a_reference_may_be_in_an_upstream() {
    let library = Sample::file("library", b"x");
    let program = Sample::file("program", b"y").referring_to(&[&library]);
    let upstream = plain(&memory()).await;
    add(&upstream, &library).await;
    let mut options = options();
    options.upstreams.push(upstream);
    add(&open(&memory(), options).await, &program).await;
}

#[tokio::test]
async fn a_second_push_of_the_same_nar_sends_no_body() {
    let objects = memory();
    let sample = Sample::file("one", &noise(2_000_000));
    add(&plain(&objects).await, &sample).await;
    let mut twin = sample.clone();
    twin.info.path = Sample::file("two", b"").info.path;
    let cache = plain(&objects).await;
    add(&cache, &twin).await;
    assert!(cache.stats().bytes_sent() < 2000, "{}", cache.stats());
    assert_eq!(fetch(&cache, &twin.info).await.unwrap(), sample.nar);
}

#[tokio::test]
async fn a_torn_object_under_the_right_name_is_healed() {
    for size in [1000, 2_000_000] {
        let objects = memory();
        let sample = Sample::file("sample", &noise(size));
        add(&plain(&objects).await, &sample).await;
        put_raw(&objects, &nar_key(&objects).await, "torn").await;
        let warnings = Arc::new(Warnings::default());
        let mut options = compressed_by(Compression::None);
        options.progress = Arc::clone(&warnings) as _;
        let cache = open(&objects, options).await;
        add(&cache, &sample).await;
        assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
        assert!(warnings.all()[0].contains("has 4 bytes instead of"), "{:?}", warnings.all());
    }
}

#[tokio::test]
async fn repair_replaces_nar_and_narinfo() {
    let objects = memory();
    let sample = Sample::file("sample", b"right");
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    let mut wrong = raw(&objects, &nar_key(&objects).await).await.to_vec();
    wrong[100] ^= 1;
    put_raw(&objects, &nar_key(&objects).await, wrong).await;
    assert!(fetch(&cache, &sample.info).await.is_err());
    let staged = cache.stage(sample.info.clone(), sample.stream(), StageOptions::repairing()).await.unwrap();
    cache.publish(vec![staged]).await.unwrap();
    assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
}

#[tokio::test]
async fn two_signers_of_one_path_lose_nothing() {
    let objects = memory();
    let sample = Sample::file("sample", b"x");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (objects, sample) = (Arc::clone(&objects), sample.clone());
        tasks.spawn(async move {
            let mut options = options();
            options.secret_keys.push(secret_key(&format!("key-{number}")));
            add(&open(&objects, options).await, &sample).await;
        });
    }
    tasks.join_all().await;
    let info = plain(&objects).await.path_info(&sample.info.path).await.unwrap().unwrap();
    assert_eq!(info.signatures.len(), 8);
}

#[tokio::test]
async fn many_paths_are_answered_by_one_listing() {
    let objects = memory();
    let samples: Vec<_> = (0..300).map(|number| Sample::file(&format!("s{number}"), b"")).collect();
    let cache = plain(&objects).await;
    for sample in &samples[..200] {
        add(&cache, sample).await;
    }
    let paths: Vec<_> = samples.iter().map(|sample| sample.info.path.clone()).collect();
    let reader = open(&objects, ascending(options())).await;
    let asked_before = reader.stats().gets();
    let mut present = reader.valid_paths(&paths).await.unwrap();
    present.sort();
    let mut expected = paths[..200].to_vec();
    expected.sort();
    assert_eq!(present, expected);
    assert_eq!(reader.stats().gets(), asked_before, "{}", reader.stats());
    assert!(reader.stats().list_pages() <= 2, "{}", reader.stats());
    let presence = reader.stats().presence();
    assert_eq!((presence.asked, presence.listed, presence.pages), (0, 300, 1));

    let asker = open(&objects, options()).await;
    assert_eq!(asker.valid_paths(&paths).await.unwrap().len(), 200);
    assert_eq!(asker.stats().list_pages(), 0);
    assert_eq!(asker.stats().presence().asked, 300);
}

#[tokio::test]
async fn a_listing_that_grows_too_long_is_left() {
    let objects = memory();
    for number in 0..12_000 {
        let path = Sample::file_path(&format!("other{number}"));
        put_raw(&objects, &format!("{}.narinfo", path.hash_part()), "").await;
    }
    let samples: Vec<_> = (0..100).map(|number| Sample::file(&format!("s{number}"), b"")).collect();
    let cache = plain(&objects).await;
    for sample in &samples[..50] {
        add(&cache, sample).await;
    }
    let paths: Vec<_> = samples.iter().map(|sample| sample.info.path.clone()).collect();
    let reader = open(&objects, ascending(options())).await;
    assert_eq!(reader.valid_paths(&paths).await.unwrap().len(), 50);
    assert_eq!(reader.stats().list_pages(), 1, "{}", reader.stats());
    assert!(reader.stats().gets() > 70, "{}", reader.stats());
    let presence = reader.stats().presence();
    assert_eq!((presence.asked + presence.listed, presence.pages), (100, 1));
    assert!(presence.asked > 70, "{presence}");
}

#[tokio::test]
async fn an_ascending_walk_steps_over_folders() {
    let objects = memory();
    let cache = open(&objects, ascending(compressed_by(Compression::None))).await;
    let mut expected = Vec::new();
    for number in 0..60 {
        let sample = Sample::file(&format!("s{number}"), format!("{number}").as_bytes());
        add(&cache, &sample).await;
        expected.push(sample.info.path.hash_part());
    }
    for folder in ["log", "debuginfo", "realisations"] {
        put_raw(&objects, &format!("{folder}/x"), "").await;
    }
    for stray in ["favicon.ico", "nar-not-a-folder", "0000000000000000000000000000000e.narinfo"] {
        put_raw(&objects, stray, "").await;
    }
    expected.sort();
    let listed: Vec<_> = cache.list().try_collect().await.unwrap();
    assert_eq!(listed, expected);
}
