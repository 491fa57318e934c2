//! From cache to cache: the file stays as it is, and what is in it is verified all the same.

use std::sync::atomic::{AtomicU64, Ordering};

use nars3_binary_cache::BinaryCache;
use nars3_compression::{Compression, EncoderOptions, encoder};
use nars3_narinfo::PathInfo;
use nars3_store_api::{Inspector, PackedFiles, PackedNar, StageOptions, Store, StoreError};
use object_store::ObjectStore;
use std::io::Write;
use std::sync::Arc;

use crate::support::*;

/// A file with these bytes, as another cache might hand it over.
fn packed(compression: Compression, bytes: Vec<u8>) -> PackedNar {
    PackedNar {
        compression,
        size: None,
        store: "s3://elsewhere".to_owned(),
        location: "nar/x".to_owned(),
        file: stream(bytes.into()),
        inspectors: Vec::new(),
    }
}

fn compressed(method: &Compression, bytes: &[u8]) -> Vec<u8> {
    let mut file = encoder(method, &EncoderOptions::default(), Vec::new()).unwrap();
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

/// Copies one path the way the engine does where both are caches.
async fn copy(from: &Arc<BinaryCache>, to: &Arc<BinaryCache>, info: &PathInfo) -> Result<(), StoreError> {
    let wanted = to.write_behaviour().packed_files;
    let packed = from.packed_nar(info, &wanted).await?.unwrap();
    let staged = to.stage_packed(info.clone(), packed, StageOptions::default()).await?;
    to.publish(vec![staged]).await
}

#[tokio::test]
async fn the_file_is_the_same_in_both_caches() {
    for method in [Compression::None, Compression::Xz, Compression::Zstd, Compression::Bzip2] {
        let (first, second) = (memory(), memory());
        let mut sample = Sample::tree("same");
        let from = open(&first, compressed_by(method.clone())).await;
        sample.info.sign(from.store_dir(), &secret_key("origin-1")).unwrap();
        add(&from, &sample).await;
        let to = open(&second, options()).await;
        copy(&from, &to, &sample.info).await.unwrap();
        let key = nar_key(&first).await;
        assert_eq!(nar_key(&second).await, key);
        assert_eq!(raw(&second, &key).await, raw(&first, &key).await);
        let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
        assert_eq!(raw_text(&second, &narinfo).await, raw_text(&first, &narinfo).await, "signatures stay");
        assert_eq!(fetch(&to, &sample.info).await.unwrap(), sample.nar);
    }
}

#[tokio::test]
async fn a_listing_is_made_where_it_is_asked_for() {
    let (first, second) = (memory(), memory());
    let sample = Sample::tree("listed");
    let from = open(&first, compressed_by(Compression::Zstd)).await;
    add(&from, &sample).await;
    let mut wants = options();
    wants.cache.write_nar_listing = true;
    copy(&from, &open(&second, wants).await, &sample.info).await.unwrap();
    let listing = raw_text(&second, &format!("{}.ls", sample.info.path.hash_part())).await;
    assert!(listing.contains("hello"), "{listing}");
}

#[tokio::test]
async fn only_files_that_the_settings_could_have_made_stay_as_they_are() {
    let objects = memory();
    let behaviour = |options| {
        let objects = Arc::clone(&objects);
        async move { open(&objects, options).await.write_behaviour().packed_files }
    };
    assert_eq!(behaviour(options()).await, PackedFiles::Any);
    let mut chosen = compressed_by(Compression::Zstd);
    chosen.cache.compression_is_chosen = true;
    assert_eq!(behaviour(chosen).await, PackedFiles::Only(Compression::Zstd));
    let mut level = compressed_by(Compression::Zstd);
    level.cache.compression_level = Some(19);
    assert_eq!(behaviour(level).await, PackedFiles::Never);

    let sample = Sample::tree("kept");
    let from = open(&objects, compressed_by(Compression::Xz)).await;
    add(&from, &sample).await;
    for (wanted, expected) in [
        (PackedFiles::Any, true),
        (PackedFiles::Only(Compression::Xz), true),
        (PackedFiles::Only(Compression::Zstd), false),
        (PackedFiles::Never, false),
    ] {
        let packed = from.packed_nar(&sample.info, &wanted).await.unwrap();
        assert_eq!(packed.is_some(), expected, "{wanted:?}");
    }
}

/// Nothing may be written when `packed` is offered for `info`.
async fn refused(info: &PathInfo, packed: PackedNar) -> StoreError {
    let objects = memory();
    let cache = open(&objects, options()).await;
    let error = cache.stage_packed(info.clone(), packed, StageOptions::default()).await.unwrap_err();
    assert_eq!(keys(&objects).await, Vec::<String>::new(), "{error}");
    error
}

#[tokio::test]
async fn a_file_with_another_nar_in_it_is_refused() {
    let sample = Sample::file("sample", &noise(100_000));
    for method in [Compression::None, Compression::Zstd, Compression::Xz] {
        let file = |nar: &[u8]| packed(method.clone(), compressed(&method, nar));
        let mut other = sample.nar.to_vec();
        other[50_000] ^= 1;
        let error = refused(&sample.info, file(&other)).await;
        assert!(matches!(error, StoreError::NarHashMismatch { .. }), "{method}: {error}");
        let error = refused(&sample.info, file(&sample.nar[..60_000])).await;
        assert!(matches!(error, StoreError::NarSizeMismatch { actual: 60_000, .. }), "{method}: {error}");
        let longer = [sample.nar.as_ref(), &[0; 16]].concat();
        let error = refused(&sample.info, file(&longer)).await;
        assert!(matches!(error, StoreError::NarSizeMismatch { .. }), "{method}: {error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_unpacked_is_refused_by_its_name() {
    let sample = Sample::file("sample", &noise(100_000));
    let mut damaged = compressed(&Compression::Xz, &sample.nar);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 100].fill(0xff);
    for file in [damaged, b"no xz at all".to_vec(), Vec::new()] {
        let error = refused(&sample.info, packed(Compression::Xz, file)).await;
        assert!(error.to_string().contains("'nar/x' in 's3://elsewhere' is corrupt"), "{error}");
    }
    let error = refused(&sample.info, packed(Compression::Lrzip, vec![1])).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_never_ends_does_not_fill_the_disk() {
    // Empty zstd frames: the NAR in them does not grow, the file does.
    let frame = compressed(&Compression::Zstd, b"");
    let sample = Sample::file("small", b"x");
    let endless = frame.repeat(1_000_000 / frame.len());
    let error = refused(&sample.info, packed(Compression::Zstd, endless)).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("more than"), "{cause}");
}

#[tokio::test]
async fn a_file_that_is_not_what_its_narinfo_says_is_named() {
    let (objects, empty) = (memory(), memory());
    let sample = Sample::file("sample", &noise(100_000));
    let from = plain(&objects).await;
    add(&from, &sample).await;
    let key = nar_key(&objects).await;
    let mut bytes = raw(&objects, &key).await.to_vec();
    bytes[50_000] ^= 1;
    put_raw(&objects, &key, bytes).await;
    let to = plain(&empty).await;
    let error = copy(&from, &to, &sample.info).await.unwrap_err();
    let StoreError::FileMismatch { location, field, .. } = &error else { panic!("{error}") };
    assert_eq!((location, *field), (&key, "FileHash"));
    assert_eq!(keys(&empty).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_whose_sender_goes_away_is_no_file() {
    let sample = Sample::file("sample", &noise(100_000));
    let (mut sender, file) = nars3_store_api::NarStream::channel();
    let mut half = packed(Compression::None, Vec::new());
    half.file = file;
    sender.send(sample.nar.slice(..50_000)).await.unwrap();
    drop(sender);
    let error = refused(&sample.info, half).await;
    assert!(matches!(error, StoreError::NarInterrupted), "{error}");
}

struct Watcher {
    seen: Arc<AtomicU64>,
    refuses: bool,
}

impl Inspector for Watcher {
    fn inspect(&mut self, chunk: &[u8]) {
        self.seen.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }

    fn conclude(&mut self) -> Result<(), StoreError> {
        if self.refuses { Err(StoreError::NarInterrupted) } else { Ok(()) }
    }
}

#[tokio::test]
async fn inspectors_see_the_nar_and_may_refuse_its_end() {
    let sample = Sample::file("sample", &noise(100_000));
    let file = compressed(&Compression::Zstd, &sample.nar);
    for refuses in [false, true] {
        let seen = Arc::new(AtomicU64::new(0));
        let watched = packed(Compression::Zstd, file.clone())
            .inspected_by(Box::new(Watcher { seen: Arc::clone(&seen), refuses }));
        let objects: Arc<dyn ObjectStore> = memory();
        let cache = open(&objects, options()).await;
        let staged = cache.stage_packed(sample.info.clone(), watched, StageOptions::default()).await;
        assert_eq!(staged.is_err(), refuses);
        assert_eq!(seen.load(Ordering::Relaxed), sample.info.nar_size);
        assert_eq!(keys(&objects).await.is_empty(), refuses);
    }
}
