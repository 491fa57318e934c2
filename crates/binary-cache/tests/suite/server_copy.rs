//! Files that the server copies by itself from one cache to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, FileCopier, ServerCopies};
use nars3_compression::Compression;
use nars3_narinfo::PathInfo;
use nars3_store_api::{StageOptions, Staged, Store, StoreError};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::support::*;

const FROM: &str = "s3://source";

/// Copies between two object stores in memory, as a server would, or refuses to.
#[derive(Debug)]
struct Server {
    from: Arc<dyn ObjectStore>,
    to: Arc<dyn ObjectStore>,
    refuses: bool,
    asked: AtomicUsize,
}

#[async_trait]
impl FileCopier for Server {
    async fn copy(&self, from: &str, to: &str) -> object_store::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let path = Path::parse(from)?;
        if self.refuses {
            let source = "AccessDenied".into();
            return Err(object_store::Error::PermissionDenied { path: from.to_owned(), source });
        }
        let body = self.from.get(&path).await?.bytes().await?;
        self.to.put(&Path::parse(to)?, body.into()).await.map(drop)
    }
}

/// Two caches on one server, the first with a path that is signed.
struct Pair {
    first: Arc<dyn ObjectStore>,
    second: Arc<dyn ObjectStore>,
    server: Arc<Server>,
    sample: Sample,
}

impl Pair {
    async fn new(refuses: bool) -> Self {
        let (first, second) = (memory(), memory());
        let mut sample = Sample::file("sample", &noise(300_000));
        let cache = open(&first, from_options()).await;
        sample.info.sign(cache.store_dir(), &secret_key("origin-1")).unwrap();
        add(&cache, &sample).await;
        let (from, to) = (Arc::clone(&first), Arc::clone(&second));
        let server = Arc::new(Server { from, to, refuses, asked: AtomicUsize::new(0) });
        Self { first, second, server, sample }
    }

    /// Freshly opened, so that nothing is known yet.
    async fn caches(&self, mut options: BinaryCacheOptions) -> (Arc<BinaryCache>, Arc<BinaryCache>) {
        options.server_copies = Some(ServerCopies::new(FROM, Arc::clone(&self.server) as _));
        (open(&self.first, from_options()).await, open(&self.second, options).await)
    }
}

fn from_options() -> BinaryCacheOptions {
    let mut options = BinaryCacheOptions::new(FROM);
    options.cache.compression = Compression::Zstd;
    options
}

async fn stage_copied(
    from: &BinaryCache,
    to: &BinaryCache,
    info: &PathInfo,
    options: StageOptions,
) -> Result<Option<Staged>, StoreError> {
    let wanted = to.write_behaviour().packed_files;
    let file = from.packed_file(info, &wanted).await?.unwrap();
    to.stage_copied(info, file, options).await
}

#[tokio::test]
async fn nothing_of_the_file_comes_here_and_the_narinfo_is_the_same() {
    let pair = Pair::new(false).await;
    let (from, to) = pair.caches(options()).await;
    let staged = stage_copied(&from, &to, &pair.sample.info, StageOptions::default()).await.unwrap();
    to.publish(vec![staged.unwrap()]).await.unwrap();

    // The one GET is for the narinfo, and so are the bytes: opening looked for `nix-cache-info`.
    assert_eq!(from.stats().gets(), 2, "{}", from.stats());
    assert!(from.stats().bytes_received() < 2000, "{}", from.stats());
    assert_eq!((to.stats().copies(), to.stats().parts()), (1, 0), "{}", to.stats());
    assert!(to.stats().bytes_sent() < 2000, "{}", to.stats());
    let narinfo = format!("{}.narinfo", pair.sample.info.path.hash_part());
    assert_eq!(
        raw_text(&pair.second, &narinfo).await,
        raw_text(&pair.first, &narinfo).await,
        "signatures stay"
    );
    assert_eq!(fetch(&to, &pair.sample.info).await.unwrap(), pair.sample.nar);
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_once() {
    let pair = Pair::new(true).await;
    let (from, to) = pair.caches(options()).await;
    for _ in 0..3 {
        let staged = stage_copied(&from, &to, &pair.sample.info, StageOptions::default()).await.unwrap();
        assert!(staged.is_none(), "it is to be sent");
    }
    assert_eq!(pair.server.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_has_to_be_read_is_not_copied_unseen() {
    let pair = Pair::new(false).await;
    let mut with_listing = options();
    with_listing.cache.write_nar_listing = true;
    for (options, stage) in [(with_listing, StageOptions::default()), (options(), StageOptions::repairing())]
    {
        let (from, to) = pair.caches(options).await;
        assert!(stage_copied(&from, &to, &pair.sample.info, stage).await.unwrap().is_none());
    }
    // A cache that is not the one whose files the server copies.
    let (_, to) = pair.caches(options()).await;
    let other = open(&pair.first, BinaryCacheOptions::new("s3://other")).await;
    let staged = stage_copied(&other, &to, &pair.sample.info, StageOptions::default()).await.unwrap();
    assert!(staged.is_none());
    assert_eq!(pair.server.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_file_of_another_size_is_found_out() {
    let pair = Pair::new(false).await;
    let key = nar_key(&pair.first).await;
    put_raw(&pair.first, &key, "torn").await;
    let (from, to) = pair.caches(options()).await;
    assert!(stage_copied(&from, &to, &pair.sample.info, StageOptions::default()).await.unwrap().is_none());
    // Sent, it says what is wrong.
    let error = from.packed_nar(&pair.sample.info, &to.write_behaviour().packed_files).await.unwrap_err();
    assert!(matches!(error, StoreError::FileMismatch { field: "FileSize", .. }), "{error:?}");
}

/// Of two files of one name, the one that is there may have been verified.
#[tokio::test]
async fn what_is_there_is_never_replaced_unseen() {
    let pair = Pair::new(false).await;
    let key = nar_key(&pair.first).await;
    let size = raw(&pair.first, &key).await.len();
    for there in [noise(size), noise(10)] {
        put_raw(&pair.second, &key, there.clone()).await;
        let (from, to) = pair.caches(options()).await;
        let staged = stage_copied(&from, &to, &pair.sample.info, StageOptions::default()).await.unwrap();
        assert_eq!(staged.is_some(), there.len() == size, "a torn one is for who verifies what it sends");
        assert_eq!(raw(&pair.second, &key).await, there);
    }
    assert_eq!(pair.server.asked.load(Ordering::Relaxed), 0);
}

/// A narinfo says what it likes of its file.
#[tokio::test]
async fn a_file_by_another_name_is_read_and_not_copied() {
    let pair = Pair::new(false).await;
    let key = nar_key(&pair.first).await;
    let narinfo = format!("{}.narinfo", pair.sample.info.path.hash_part());
    put_raw(&pair.first, "nar/other.nar.zst", raw(&pair.first, &key).await).await;
    let misleading = raw_text(&pair.first, &narinfo).await.replace(&key, "nar/other.nar.zst");
    put_raw(&pair.first, &narinfo, misleading).await;
    let (from, to) = pair.caches(options()).await;
    assert!(stage_copied(&from, &to, &pair.sample.info, StageOptions::default()).await.unwrap().is_none());
    assert_eq!(pair.server.asked.load(Ordering::Relaxed), 0);
}
