//! What is remembered on disk answers readers, and never a push.

use std::path::Path;
use std::sync::Arc;

use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, Lifetimes, PathInfoCache, Remembered};
use nars3_compression::Compression;
use nars3_store_api::{StageOptions, Store, StoreError};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::support::*;

/// The cache as a command opens it that remembers in `directory`.
pub(crate) async fn reader(
    objects: &Arc<dyn ObjectStore>,
    directory: &Path,
) -> (Arc<BinaryCache>, PathInfoCache) {
    reader_as(objects, directory, URI).await
}

async fn reader_as(
    objects: &Arc<dyn ObjectStore>,
    directory: &Path,
    identity: &str,
) -> (Arc<BinaryCache>, PathInfoCache) {
    let file = PathInfoCache::open(directory.join("x.sqlite"), Lifetimes::default()).unwrap();
    let options = BinaryCacheOptions {
        remembered: Some(Remembered::new(file.clone(), identity)),
        ..compressed_by(Compression::None)
    };
    (open(objects, options).await, file)
}

async fn writer(objects: &Arc<dyn ObjectStore>, directory: &Path) -> (Arc<BinaryCache>, PathInfoCache) {
    let file = PathInfoCache::open(directory.join("x.sqlite"), Lifetimes::default()).unwrap();
    let remembered = Remembered::new(file.clone(), URI).only_forgetting();
    (
        open(
            objects,
            BinaryCacheOptions { remembered: Some(remembered), ..compressed_by(Compression::None) },
        )
        .await,
        file,
    )
}

async fn delete_raw(objects: &Arc<dyn ObjectStore>, key: &str) {
    objects.delete(&object_store::path::Path::parse(key).unwrap()).await.unwrap();
}

fn narinfo(sample: &Sample) -> String {
    format!("{}.narinfo", sample.info.path.hash_part())
}

#[tokio::test]
async fn the_second_command_asks_nothing() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let (there, absent) = (Sample::tree("there"), Sample::tree("absent"));
    add(&plain(&objects).await, &there).await;
    let paths = [there.info.path.clone(), absent.info.path.clone()];
    for expected_gets in [3, 0] {
        let (cache, file) = reader(&objects, directory.path()).await;
        let infos = cache.path_infos(&paths).await.unwrap();
        assert_eq!(infos.len(), 1);
        assert_eq!(*infos[&there.info.path], there.info);
        assert_eq!(cache.path_info(&absent.info.path).await.unwrap(), None);
        // The cache's own info and two narinfos. The path that is absent is asked for twice, and the second answer comes
        // from what waits to be written.
        assert_eq!(cache.stats().gets(), expected_gets);
        assert!(expected_gets > 0 || file.answers() >= 4);
        file.flush().await;
    }
}

#[tokio::test]
async fn another_cache_of_the_same_name_is_another_cache() {
    let (objects, elsewhere, directory) = (memory(), memory(), tempfile::tempdir().unwrap());
    let sample = Sample::tree("sample");
    add(&plain(&objects).await, &sample).await;
    let (cache, file) = reader_as(&objects, directory.path(), "s3://b?endpoint=one").await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
    file.flush().await;
    let (other, _) = reader_as(&elsewhere, directory.path(), "s3://b?endpoint=two").await;
    assert_eq!(other.path_info(&sample.info.path).await.unwrap(), None);
}

#[tokio::test]
async fn a_push_takes_no_presence_from_disk() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let (library, program) = (Sample::tree("library"), Sample::file("program", b"library"));
    let program = program.referring_to(&[&library]);
    add(&plain(&objects).await, &library).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&library.info.path).await.unwrap().is_some());
    file.flush().await;

    // Somebody deletes it. Whoever only reads may be told of it; whoever pushes may not.
    delete_raw(&objects, &narinfo(&library)).await;
    let paths = [library.info.path.clone()];
    for cache in [reader(&objects, directory.path()).await.0, writer(&objects, directory.path()).await.0] {
        cache.path_infos(&paths).await.unwrap();
        assert_eq!(cache.valid_paths(&paths).await.unwrap(), []);
        let error = stage_and_publish(&cache, &program).await.unwrap_err();
        assert!(matches!(error, StoreError::MissingReference { .. }), "{error}");
    }
    let (cache, _) = writer(&objects, directory.path()).await;
    add(&cache, &library).await;
    add(&cache, &program).await;
    let key = narinfo(&library);
    assert!(keys(&objects).await.contains(&key));
}

#[tokio::test]
async fn what_is_pushed_is_no_longer_remembered_as_absent() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let sample = Sample::tree("sample");
    let (cache, file) = reader(&objects, directory.path()).await;
    assert_eq!(cache.path_info(&sample.info.path).await.unwrap(), None);
    file.flush().await;
    let (pusher, file) = writer(&objects, directory.path()).await;
    add(&pusher, &sample).await;
    file.flush().await;
    let (cache, _) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
}

#[tokio::test]
async fn a_nar_that_is_gone_ends_what_was_remembered_of_its_path() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let sample = Sample::file("sample", &noise(1000));
    add(&plain(&objects).await, &sample).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
    file.flush().await;

    // The path comes back with another file: the old narinfo leads nowhere, and the new one is looked for by itself.
    let old = nar_key(&objects).await;
    delete_raw(&objects, &old).await;
    delete_raw(&objects, &narinfo(&sample)).await;
    add(&open(&objects, compressed_by(Compression::Gzip)).await, &sample).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    let info = cache.path_info(&sample.info.path).await.unwrap().unwrap();
    assert_eq!(cache.stats().gets(), 0);
    assert_eq!(fetch(&cache, &info).await.unwrap(), sample.nar);
    file.flush().await;

    // And when it is gone for good, nobody believes in it a second time.
    delete_raw(&objects, &nar_key(&objects).await).await;
    delete_raw(&objects, &narinfo(&sample)).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    let info = cache.path_info(&sample.info.path).await.unwrap().unwrap();
    assert!(fetch(&cache, &info).await.is_err());
    file.flush().await;
    let (cache, _) = reader(&objects, directory.path()).await;
    assert_eq!(cache.path_info(&sample.info.path).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_has_changed_is_not_measured_by_an_old_narinfo_twice() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let sample = Sample::file("sample", &noise(1000));
    add(&plain(&objects).await, &sample).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    cache.path_info(&sample.info.path).await.unwrap();
    file.flush().await;
    // Another NAR of the same size comes under the same key, as in caches that name files by store paths.
    let other = Sample::from_nar("sample", Sample::file("other", &[0; 1000]).nar.to_vec());
    let text = raw_text(&objects, &narinfo(&sample)).await;
    let hash = |sample: &Sample| sample.info.nar_hash.to_string();
    put_raw(&objects, &nar_key(&objects).await, other.nar.clone()).await;
    put_raw(&objects, &narinfo(&sample), text.replace(&hash(&sample), &hash(&other))).await;

    let (cache, file) = reader(&objects, directory.path()).await;
    let info = cache.path_info(&sample.info.path).await.unwrap().unwrap();
    assert!(fetch(&cache, &info).await.is_err());
    file.flush().await;
    let (cache, _) = reader(&objects, directory.path()).await;
    let info = cache.path_info(&sample.info.path).await.unwrap().unwrap();
    assert_eq!(fetch(&cache, &info).await.unwrap(), other.nar);
}

#[tokio::test]
async fn refreshing_asks_and_remembers_the_answer() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let sample = Sample::tree("sample");
    let (cache, file) = reader(&objects, directory.path()).await;
    assert_eq!(cache.path_info(&sample.info.path).await.unwrap(), None);
    file.flush().await;
    add(&plain(&objects).await, &sample).await;

    let file = PathInfoCache::open(directory.path().join("x.sqlite"), Lifetimes::NONE).unwrap();
    let remembered = Some(Remembered::new(file.clone(), URI));
    let refreshing = open(&objects, BinaryCacheOptions { remembered, ..options() }).await;
    assert!(refreshing.path_info(&sample.info.path).await.unwrap().is_some());
    file.flush().await;
    let (cache, _) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
    assert_eq!(cache.stats().gets(), 0);
}

#[tokio::test]
async fn a_staged_repair_is_read_anew() {
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let sample = Sample::file("sample", &noise(1000));
    add(&plain(&objects).await, &sample).await;
    let (cache, file) = reader(&objects, directory.path()).await;
    cache.path_info(&sample.info.path).await.unwrap();
    file.flush().await;
    let (pusher, file) = writer(&objects, directory.path()).await;
    let staged = pusher.stage(sample.info.clone(), sample.stream(), StageOptions::repairing()).await.unwrap();
    pusher.publish(vec![staged]).await.unwrap();
    file.flush().await;
    let (cache, _) = reader(&objects, directory.path()).await;
    cache.path_info(&sample.info.path).await.unwrap();
    assert_eq!(cache.stats().gets(), 1, "asked again");
}

/// A listing is news: that a path was absent once is none.
#[tokio::test]
async fn what_a_listing_names_is_there_whatever_is_remembered() {
    use futures::TryStreamExt;
    let (objects, directory) = (memory(), tempfile::tempdir().unwrap());
    let (first, late) = (Sample::tree("first"), Sample::tree("late"));
    add(&plain(&objects).await, &first).await;
    let (asker, file) = reader(&objects, directory.path()).await;
    assert!(asker.path_info(&late.info.path).await.unwrap().is_none());
    file.flush().await;
    add(&plain(&objects).await, &late).await;
    let (cache, _) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&late.info.path).await.unwrap().is_none(), "it is remembered");
    let found: Vec<_> = cache.all_nar_infos().try_collect().await.unwrap();
    assert_eq!(found.len(), 2);
    let path = cache.path_of_listed(&late.info.path.hash_part()).await.unwrap();
    assert_eq!(path, Some(late.info.path));
}
