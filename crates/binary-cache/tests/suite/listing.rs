//! Listing a cache of many paths: all of them, once, in order, with few requests and few of them at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use nars3_binary_cache::{BinaryCacheOptions, Finding, VerifyOptions};
use nars3_store_api::Store;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, Result};

use crate::double::{Double, Standing};
use crate::support::*;

/// Keys on a page of S3.
const PAGE: usize = 1000;

/// Listings that may be on their way at once, and requests that are in vain where keys are not spread evenly.
const AT_ONCE: usize = 8;

/// One is begun behind a folder before the one that led there is dropped.
const LEAVING_A_FOLDER: usize = 1;

/// Counts the listings that are open at once, and lets each page wait until others had the time to be asked for.
#[derive(Debug, Default)]
struct Counting {
    inner: InMemory,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// A listing, while somebody holds it.
struct Open(BoxStream<'static, Result<ObjectMeta>>, Arc<AtomicUsize>);

impl Stream for Open {
    type Item = Result<ObjectMeta>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counting {
    fn counted(
        &self,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
        let later = futures::stream::once(tokio::task::yield_now()).filter_map(async |()| None);
        Open(later.chain(listing).boxed(), Arc::clone(&self.open)).boxed()
    }
}

#[async_trait]
impl Double for Counting {
    fn memory(&self) -> &InMemory {
        &self.inner
    }

    fn listing(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counted(self.inner.list(prefix))
    }

    fn listing_behind(&self, prefix: Option<&Path>, key: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counted(self.inner.list_with_offset(prefix, key))
    }
}

/// Hash parts that are spread evenly, as those of store paths are, sorted.
fn hash_parts(count: usize) -> Vec<String> {
    let bytes = noise(count * 32);
    let digits = b"0123456789abcdfghijklmnpqrsvwxyz";
    let text = |hash: &[u8]| hash.iter().map(|byte| char::from(digits[usize::from(byte % 32)])).collect();
    let mut all: Vec<String> = bytes.chunks(32).map(text).collect();
    all.sort();
    all
}

/// What a listing came to.
struct Listed {
    pages: usize,
    most_open: usize,
}

/// Lists a cache of these paths, and of objects in folders between them, and holds the outcome against the paths.
async fn list(hash_parts: &[String]) -> Listed {
    list_with(hash_parts, impatient()).await
}

/// Memory answers at once, and is to be treated as a server that is far away.
fn impatient() -> BinaryCacheOptions {
    let mut options = options();
    options.limits.listing_patience = Duration::ZERO;
    options
}

async fn list_with(hash_parts: &[String], options: BinaryCacheOptions) -> Listed {
    let store = Arc::new(Standing(Counting::default()));
    let most = Arc::clone(&store.most);
    let store: Arc<dyn ObjectStore> = store;
    for folder in ["debuginfo", "log", "nar", "realisations"] {
        for number in 0..3 {
            put_raw(&store, &format!("{folder}/{number}"), "x").await;
        }
    }
    for hash_part in hash_parts {
        put_raw(&store, &format!("{hash_part}.narinfo"), "x").await;
    }
    put_raw(&store, "nix-cache-info", "StoreDir: /nix/store\n").await;
    let cache = open(&store, ascending(options)).await;
    let found: Vec<String> = cache.list().map_ok(|found| found.to_string()).try_collect().await.unwrap();
    assert!(found == hash_parts, "{} instead of {} paths, or others", found.len(), hash_parts.len());
    Listed {
        pages: usize::try_from(cache.stats().list_pages()).unwrap(),
        most_open: most.load(Ordering::Relaxed),
    }
}

/// Pages that come one after another, and one more for each folder that is left.
fn one_by_one(count: usize) -> usize {
    count / PAGE + 1 + 4
}

#[tokio::test]
async fn few_paths_are_listed_page_by_page() {
    for count in [0, 1, 999, 1000, 1001, 1500, 2000, 2500] {
        let listed = list(&hash_parts(count)).await;
        assert!(listed.pages <= one_by_one(count), "{count} paths: {} pages", listed.pages);
        assert!(listed.most_open <= 1 + LEAVING_A_FOLDER, "{count} paths");
    }
}

#[tokio::test]
async fn many_paths_are_listed_in_pieces_a_few_at_a_time() {
    for count in [3500, 8000, 20_000] {
        let listed = list(&hash_parts(count)).await;
        let most = one_by_one(count) + count / PAGE / 4 + 2;
        assert!(listed.pages <= most, "{count} paths: {} pages", listed.pages);
        assert!(
            (3..=AT_ONCE + LEAVING_A_FOLDER).contains(&listed.most_open),
            "{count} paths: {} at once",
            listed.most_open
        );
    }
}

#[tokio::test]
async fn a_server_that_answers_soon_and_whoever_allows_one_request_get_one_at_a_time() {
    let (mut patient, mut modest) = (impatient(), impatient());
    patient.limits.listing_patience = Duration::MAX;
    modest.limits.concurrent_requests = 1;
    for options in [patient, modest] {
        let listed = list_with(&hash_parts(5000), options).await;
        assert_eq!(listed.most_open, 1 + LEAVING_A_FOLDER);
        assert!(listed.pages <= one_by_one(5000), "{} pages", listed.pages);
    }
}

/// What is no longer named is found by a listing of all files. Their names have 52 digits, of which the first is 0 or 1.
#[tokio::test]
async fn files_of_nars_are_listed_in_pieces_too() {
    for (count, extra, at_once) in [(1500, 0, 1..=1), (10_000, 4, 3..=AT_ONCE)] {
        let store = Arc::new(Standing(Counting::default()));
        let most = Arc::clone(&store.most);
        let store: Arc<dyn ObjectStore> = store;
        let mut expected = Vec::new();
        for (number, hash_part) in hash_parts(count).into_iter().enumerate() {
            let key = format!("nar/{}{hash_part}{:019}.nar.xz", number % 2, 0);
            put_raw(&store, &key, "x").await;
            expected.push(key);
        }
        put_raw(&store, "log/1", "x").await;
        put_raw(&store, "nix-cache-info", "StoreDir: /nix/store\n").await;
        expected.sort();
        let cache = open(&store, ascending(impatient())).await;
        let findings = cache.verify(&VerifyOptions::default()).await.unwrap().findings;
        let key = |finding: &Finding| match finding {
            Finding::OrphanNar { key, size: 1, uncertain: false } => key.clone(),
            other => panic!("{other:?}"),
        };
        let mut found: Vec<String> = findings.iter().map(key).collect();
        found.sort();
        assert!(found == expected, "{} instead of {count} files, or others", found.len());
        // Two for the empty top, where the first folder is left at once, and the second.
        let pages = usize::try_from(cache.stats().list_pages()).unwrap();
        assert!(pages <= 3 + count / PAGE + 1 + extra, "{count} files: {pages} pages");
        assert!(
            at_once.contains(&(most.load(Ordering::Relaxed) - LEAVING_A_FOLDER)),
            "{count} files: {most:?} at once"
        );
    }
}

/// Hash parts are spread evenly, but a bucket may hold anything. It costs some requests, and loses no key.
#[tokio::test]
async fn paths_that_are_not_spread_evenly_are_all_listed() {
    let even = hash_parts(4000);
    let with = |head: &str, hash_part: &String| format!("{head}{}", &hash_part[head.len()..]);
    let all_of = |head: &str| even.iter().map(|hash_part| with(head, hash_part)).collect::<Vec<_>>();
    let half: Vec<_> = even.iter().filter(|it| it.as_str() < "h").cloned().collect();
    let mut clusters = half.clone();
    clusters.extend(all_of("hhhh"));
    clusters.extend(all_of("zz"));
    let mut gap: Vec<_> = even.iter().filter(|it| !("4".."y").contains(&it.as_str())).cloned().collect();
    gap.extend(all_of("xyxyxyxyxy"));
    let mut at_first = all_of("00000000");
    at_first.extend(half.iter().cloned());
    for (shape, mut hash_parts) in [
        ("one head", all_of("0000")),
        ("one head, and the last one", all_of("zzzzzzzzzzzzzzzz")),
        ("half", half),
        ("clusters", clusters),
        ("a gap", gap),
        ("a crowd at first", at_first),
    ] {
        hash_parts.sort();
        hash_parts.dedup();
        let listed = list(&hash_parts).await;
        let most = one_by_one(hash_parts.len()) + AT_ONCE + hash_parts.len() / PAGE / 2 + 2;
        assert!(listed.pages <= most, "{shape}: {} pages for {} paths", listed.pages, hash_parts.len());
        assert!(listed.most_open <= AT_ONCE + LEAVING_A_FOLDER, "{shape}: {} at once", listed.most_open);
    }
}

/// Whole narinfos, however few are kept in memory.
#[tokio::test]
async fn each_narinfo_of_a_whole_cache_is_read_once() {
    let objects = memory();
    for number in 0..20 {
        add(&plain(&objects).await, &Sample::file(&format!("number-{number}"), &[number])).await;
    }
    let cache = open(&objects, BinaryCacheOptions { path_info_cache_size: 1, ..options() }).await;
    let gets = cache.stats().gets();
    let all: Vec<_> = cache.all_nar_infos().try_collect().await.unwrap();
    assert!(all.len() == 20 && all.iter().all(|narinfo| narinfo.url.starts_with("nar/")), "{all:?}");
    assert_eq!(cache.stats().gets() - gets, 20);
}
