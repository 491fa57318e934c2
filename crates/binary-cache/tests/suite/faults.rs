//! What happens when the object store fails: in the middle of a body, at a part, at a condition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nars3_binary_cache::{Finding, VerifyOptions};
use nars3_compression::Compression;
use nars3_store_api::{NarStream, StageOptions, Store, StoreError};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::double::Standing;
use crate::faulty::{Fault, Faulty};
use crate::remembered::reader;
use crate::support::*;

fn sample() -> Sample {
    Sample::file("sample", &noise(100_000))
}

/// A store with the sample in it that has `fault`.
async fn filled(fault: Fault) -> (Sample, Arc<Standing<Faulty>>) {
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    let sample = sample();
    add(&plain(&objects).await, &sample).await;
    (sample, Faulty::over(inner, fault))
}

async fn read(sample: &Sample, objects: &Arc<Standing<Faulty>>) -> (Result<Vec<u8>, StoreError>, u64) {
    let objects: Arc<dyn ObjectStore> = Arc::clone(objects) as _;
    let cache = plain(&objects).await;
    let nar = fetch(&cache, &sample.info).await;
    (nar, cache.stats().gets())
}

#[tokio::test]
async fn a_broken_body_is_resumed_where_it_broke() {
    for fault in [Fault::BreakAfter(30_000), Fault::EndAfter(30_000)] {
        let (sample, objects) = filled(fault).await;
        let (nar, gets) = read(&sample, &objects).await;
        assert_eq!(nar.unwrap(), sample.nar);
        assert_eq!(gets, 2 + 4, "cache info, narinfo, and four times thirty thousand bytes");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let (sample, objects) = filled(Fault::Mute).await;
    let (nar, gets) = read(&sample, &objects).await;
    let error = nar.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error}");
    assert_eq!(gets, 2 + 1 + 5);
}

#[tokio::test]
async fn a_failed_part_aborts_the_upload_and_publishes_nothing() {
    let objects = Faulty::new(Fault::Part);
    let store: Arc<dyn ObjectStore> = Arc::clone(&objects) as _;
    let mut options = compressed_by(Compression::None);
    options.limits.multipart_threshold = 1;
    let sample = Sample::file("large", &noise(11_000_000));
    let cache = open(&store, options).await;
    let error = stage_and_publish(&cache, &sample).await.unwrap_err();
    assert!(error.to_string().ends_with("in parts"), "{error}");
    assert_eq!(objects.aborted.load(Ordering::Relaxed), 1);
    assert_eq!(keys(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_upload_is_aborted() {
    let objects = Faulty::new(Fault::StuckPart);
    let store: Arc<dyn ObjectStore> = Arc::clone(&objects) as _;
    let mut options = compressed_by(Compression::None);
    options.limits.multipart_threshold = 1;
    let sample = Sample::file("large", &noise(11_000_000));
    let cache = open(&store, options).await;
    let staging = tokio::spawn(async move {
        cache.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await
    });
    objects.stuck.notified().await;
    staging.abort();
    assert!(staging.await.unwrap_err().is_cancelled());
    objects.abort_seen.notified().await;
    assert_eq!(objects.aborted.load(Ordering::Relaxed), 1);
    assert_eq!(keys(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_nar_leaves_no_narinfo() {
    for suffix in [".nar", "nix-cache-info", ".narinfo"] {
        let objects = Faulty::new(Fault::Put(suffix));
        let store: Arc<dyn ObjectStore> = Arc::clone(&objects) as _;
        let cache = plain(&store).await;
        let error = stage_and_publish(&cache, &sample()).await.unwrap_err();
        assert!(error.to_string().contains(suffix), "{error}");
        assert!(!keys(&store).await.iter().any(|key| key.ends_with(".narinfo")));
    }
}

#[tokio::test]
async fn a_push_that_dies_anywhere_leaves_a_valid_cache() {
    let base = Sample::file("base", &noise(3000));
    let library = Sample::file("library", &noise(4000)).referring_to(&[&base]);
    let program = Sample::tree("program").referring_to(&[&base, &library]);
    let mut died = 0;
    for writes in 0..100 {
        let inner = InMemory::new();
        let store: Arc<dyn ObjectStore> = Faulty::over(inner.clone(), Fault::DieAfter(writes));
        let mut options = compressed_by(Compression::Zstd);
        options.cache.write_nar_listing = true;
        let cache = open(&store, options).await;
        // The NARs of all first, in any order; then the narinfos.
        let mut staged = Vec::new();
        for sample in [&program, &base, &library] {
            staged.push(cache.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await);
        }
        staged.rotate_left(1);
        let mut complete = true;
        for path in staged {
            complete &= match path {
                Ok(path) => cache.publish(vec![path]).await.is_ok(),
                Err(_) => false,
            };
        }
        let left: Arc<dyn ObjectStore> = Arc::new(inner);
        let everything = VerifyOptions { contents: true, ..VerifyOptions::default() };
        let report = plain(&left).await.verify(&everything).await.unwrap();
        let harm = report.findings.iter().filter(|finding| !matches!(finding, Finding::OrphanNar { .. }));
        assert_eq!(harm.count(), 0, "after {writes} writes: {:?}", report.findings);
        if complete {
            assert_eq!(report.paths, 3);
            break;
        }
        died += 1;
    }
    assert_eq!(died, 10, "three NARs, three listings, the cache info and three narinfos");
}

#[tokio::test]
async fn a_nar_whose_sender_dies_leaves_nothing() {
    let store = memory();
    let cache = plain(&store).await;
    let sample = sample();
    let (mut sender, nar) = NarStream::channel();
    sender.send(sample.nar.slice(..1000)).await.unwrap();
    drop(sender);
    let error = cache.stage(sample.info.clone(), nar, StageOptions::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::NarInterrupted), "{error}");
    assert_eq!(keys(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_without_conditions_is_written_to_all_the_same() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Conditions);
    let cache = plain(&store).await;
    let sample = sample();
    add(&cache, &sample).await;
    let twin = plain(&store).await;
    add(&twin, &sample).await;
    assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
    assert!(twin.stats().bytes_sent() > 0);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_counts() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::LostAnswer);
    let cache = plain(&store).await;
    let sample = sample();
    add(&cache, &sample).await;
    assert_eq!(fetch(&plain(&store).await, &sample.info).await.unwrap(), sample.nar);
}

#[tokio::test]
async fn bad_credentials_are_not_an_empty_cache() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Denied("ExpiredToken"));
    let error = nars3_binary_cache::BinaryCache::open(store, options()).await.unwrap_err();
    assert_eq!(error.to_string(), "store 's3://test-cache': cannot read 'nix-cache-info'");
}

/// A cache in memory that answers all reads but those of its `nix-cache-info` with access denied.
async fn unlistable() -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Unlistable("AccessDenied"));
    store.put(&Path::from("nix-cache-info"), "StoreDir: /nix/store\n".into()).await.unwrap();
    store
}

#[tokio::test]
async fn denied_reads_are_missing_objects_with_one_warning() {
    let store = unlistable().await;
    let warnings = Arc::new(Warnings::default());
    let mut options = options();
    options.progress = Arc::clone(&warnings) as _;
    let cache = open(&store, options).await;
    assert!(cache.info().is_some() && !cache.info_denied());
    for name in ["a", "b", "a"] {
        assert!(cache.path_info(&Sample::file_path(name)).await.unwrap().is_none());
    }
    let warnings = warnings.all();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("s3:ListBucket"));
    // That it was denied is not remembered: somebody may have written it meanwhile.
    let sample = Sample::file("a", b"contents");
    add(&plain(&store).await, &sample).await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
}

#[tokio::test]
async fn denied_reads_are_an_error_before_the_credentials_have_proven_good() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Denied("AccessDenied"));
    let cache = open(&store, options()).await;
    assert!(cache.info().is_none() && cache.info_denied());
    cache.path_info(&Sample::file_path("a")).await.unwrap_err();
    // Written: from now on access denied may mean absent.
    cache.claim().await.unwrap();
    assert!(cache.path_info(&Sample::file_path("a")).await.unwrap().is_none());
    // There already, and not to be read.
    let error = open(&store, options()).await.claim().await.unwrap_err();
    assert_eq!(error.to_string(), "store 's3://test-cache': cannot read 'nix-cache-info'");
}

#[tokio::test]
async fn bad_signatures_never_mean_that_an_object_is_missing() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Unlistable("SignatureDoesNotMatch"));
    store.put(&Path::from("nix-cache-info"), "StoreDir: /nix/store\n".into()).await.unwrap();
    let cache = open(&store, options()).await;
    cache.path_info(&Sample::file_path("a")).await.unwrap_err();
}

/// Counts warnings that are traced.
#[derive(Debug, Default)]
struct TracedWarnings(Arc<AtomicU64>);

impl tracing::Subscriber for TracedWarnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_warning_is_not_traced_too() {
    let traced = TracedWarnings::default();
    let count = Arc::clone(&traced.0);
    let _guard = tracing::subscriber::set_default(traced);
    let store = unlistable().await;
    let warnings = Arc::new(Warnings::default());
    let mut options = options();
    options.progress = Arc::clone(&warnings) as _;
    let cache = open(&store, options).await;
    assert!(cache.path_info(&Sample::file_path("a")).await.unwrap().is_none());
    assert_eq!((warnings.all().len(), count.load(Ordering::Relaxed)), (1, 0));
    tracing::warn!("this one is counted");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_denied_read_is_not_remembered_as_an_absence() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::tree("sample");
    let objects = memory();
    add(&plain(&objects).await, &sample).await;
    let denied: Arc<dyn ObjectStore> = Faulty::new(Fault::Denied("AccessDenied"));
    let (cache, file) = reader(&denied, directory.path()).await;
    assert!(cache.path_info(&sample.info.path).await.is_err());
    file.flush().await;
    // The same cache, after somebody has given the permission.
    let (cache, _) = reader(&objects, directory.path()).await;
    assert!(cache.path_info(&sample.info.path).await.unwrap().is_some());
}

#[tokio::test]
async fn where_listing_is_denied_paths_are_asked_for() {
    let inner = InMemory::new();
    let store: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    let cache = plain(&store).await;
    let samples: Vec<_> = (0..100).map(|number| Sample::file(&format!("s{number}"), b"")).collect();
    for sample in &samples[..40] {
        add(&cache, sample).await;
    }
    let denied: Arc<dyn ObjectStore> = Faulty::over(inner, Fault::List);
    let paths: Vec<_> = samples.iter().map(|sample| sample.info.path.clone()).collect();
    let reader = open(&denied, ascending(options())).await;
    assert_eq!(reader.valid_paths(&paths).await.unwrap().len(), 40);
}

#[tokio::test]
async fn a_path_added_by_somebody_else_is_seen() {
    let store = memory();
    let (ours, theirs) = (plain(&store).await, plain(&store).await);
    let sample = sample();
    assert!(ours.path_info(&sample.info.path).await.unwrap().is_none());
    add(&theirs, &sample).await;
    assert!(ours.path_info(&sample.info.path).await.unwrap().is_some(), "absence is never remembered");
}

/// Two builds of one path that differ.
fn two_builds() -> [Sample; 2] {
    let first = Sample::tree("first");
    let mut second = Sample::file("second", b"a file and no tree");
    second.info.path = first.info.path.clone();
    [first, second]
}

fn listed() -> nars3_binary_cache::BinaryCacheOptions {
    let mut options = compressed_by(Compression::None);
    options.cache.write_nar_listing = true;
    options
}

/// That the cache lists the NAR that its narinfo names, and whether it does so by a `.ls`.
async fn has_the_right_listing(store: &Arc<dyn ObjectStore>, builds: &[Sample; 2]) -> bool {
    let reader = plain(store).await;
    let path = &builds[0].info.path;
    let info = reader.path_info(path).await.unwrap().unwrap();
    let kept = builds.iter().find(|build| build.info.nar_hash == info.nar_hash).unwrap();
    let listing = nars3_nar::list(kept.nar.as_ref(), nars3_nar::Limits::default()).unwrap();
    assert_eq!(reader.listing(path).await.unwrap().to_json(), listing.to_json());
    keys(store).await.contains(&format!("{}.ls", path.hash_part()))
}

#[tokio::test]
async fn a_second_build_of_a_path_does_not_replace_the_listing_of_the_first() {
    let store = memory();
    let builds = two_builds();
    for build in &builds {
        add(&open(&store, listed()).await, build).await;
    }
    assert!(has_the_right_listing(&store, &builds).await);
}

#[tokio::test]
async fn two_builds_of_a_path_at_once_leave_no_wrong_listing() {
    let store: Arc<dyn ObjectStore> = Faulty::new(Fault::Meeting);
    let builds = two_builds();
    let (ours, theirs) = (open(&store, listed()).await, open(&store, listed()).await);
    tokio::join!(add(&ours, &builds[0]), add(&theirs, &builds[1]));
    assert!(!has_the_right_listing(&store, &builds).await, "nobody knows whose it would be");
}

#[tokio::test]
async fn a_listing_that_was_not_asked_for_before_is_added_later() {
    let store = memory();
    let builds = two_builds();
    add(&plain(&store).await, &builds[0]).await;
    assert!(!has_the_right_listing(&store, &builds).await);
    add(&open(&store, listed()).await, &builds[0]).await;
    assert!(has_the_right_listing(&store, &builds).await);
}

#[tokio::test]
async fn a_staged_path_has_no_listing_yet() {
    let store = memory();
    let sample = sample();
    let cache = open(&store, listed()).await;
    let staged = cache.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await.unwrap();
    assert_eq!(keys(&store).await, [nar_key(&store).await]);
    cache.publish(vec![staged]).await.unwrap();
    assert_eq!(keys(&store).await.len(), 4);
}
