//! The S3 clients of nars3, and nothing of nars3 around them: many small objects, one large one, a listing. `nars3-bench`
//! runs it beside other clients.
//!
//! ```text
//! nars3-s3-client put|get URL CONNECTIONS COUNT BYTES    objects `small/00000` and so on
//! nars3-s3-client up|down URL CONNECTIONS PART FILE      the object `large`, from or into a file
//! nars3-s3-client list URL                               the keys, one page after another; prints how many `keys` there are
//! nars3-s3-client paths URL                              the same as nars3 lists the paths of a cache
//! nars3-s3-client walk URL                               the same with one request at a time
//! ```
//!
//! Prints the seconds that it took, without those of its start, on standard error. Which client it is, the URL says
//! (`s3-client`), and the credentials are those of the environment.

#![expect(clippy::print_stderr, reason = "a program that reports")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, Limits, ListingOrder};
use nars3_s3::{Environment, install_crypto_provider};
use nars3_store_api::Store as _;
use nars3_store_url::{StoreKind, StoreUrl};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

type Store = Arc<dyn ObjectStore>;

#[tokio::main]
async fn main() -> Result<()> {
    install_crypto_provider();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operation, url, rest @ ..] = arguments.as_slice() else { bail!("expected OPERATION URL …") };
    let StoreKind::S3(settings) = StoreUrl::parse(url)?.url.kind else { bail!("expected s3://…") };
    let store = nars3_s3::open(&settings, &Environment::of_process()).await?;
    let elapsed = match (operation.as_str(), rest) {
        ("put", [connections, count, bytes]) => {
            put(&store, connections.parse()?, count.parse()?, bytes.parse()?).await?
        }
        ("get", [connections, count, bytes]) => {
            get(&store, connections.parse()?, count.parse()?, bytes.parse()?).await?
        }
        ("up", [connections, part, file]) => {
            up(&store, connections.parse()?, part.parse()?, &File::open(file)?).await?
        }
        ("down", [_, _, file]) => down(&store, File::create(file)?).await?,
        ("list", []) => list(&store).await?,
        ("paths", []) => paths(store, url, Limits::default().concurrent_requests).await?,
        ("walk", []) => paths(store, url, 1).await?,
        _ => bail!("unexpected arguments {arguments:?}"),
    };
    eprintln!("{}", elapsed.as_secs_f64());
    Ok(())
}

/// Sends each of `count` requests as a task, so that all processors take part.
async fn each<F>(connections: usize, count: usize, request: impl Fn(Path) -> F) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let started = Instant::now();
    stream::iter(0..count)
        .map(|number| tokio::spawn(request(Path::from(format!("small/{number:05}")))))
        .buffer_unordered(connections)
        .map(|joined| joined?)
        .try_collect::<()>()
        .await?;
    Ok(started.elapsed())
}

async fn put(store: &Store, connections: usize, count: usize, bytes: usize) -> Result<Duration> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let request = |key: Path| {
        let (store, body) = (Arc::clone(store), body.clone());
        async move {
            store.put(&key, body.into()).await?;
            Ok(())
        }
    };
    each(connections, count, request).await
}

async fn get(store: &Store, connections: usize, count: usize, bytes: usize) -> Result<Duration> {
    let request = |key: Path| {
        let store = Arc::clone(store);
        async move {
            let body = store.get(&key).await?.bytes().await?;
            ensure!(body.len() == bytes, "{key} has {} bytes", body.len());
            Ok(())
        }
    };
    each(connections, count, request).await
}

/// As nars3 uploads: some parts at a time, and no more of them in memory.
async fn up(store: &Store, connections: usize, part: u64, file: &File) -> Result<Duration> {
    let started = Instant::now();
    let length = file.metadata()?.len();
    let mut upload = store.put_multipart(&Path::from("large")).await?;
    let mut sending = FuturesUnordered::new();
    let mut start = 0;
    while start < length {
        if sending.len() >= connections
            && let Some(sent) = sending.next().await
        {
            sent??;
        }
        let mut bytes = vec![0; usize::try_from(part.min(length - start))?];
        file.read_exact_at(&mut bytes, start)?;
        start += part;
        sending.push(tokio::spawn(upload.put_part(bytes.into())));
    }
    while let Some(sent) = sending.next().await {
        sent??;
    }
    upload.complete().await?;
    Ok(started.elapsed())
}

/// As nars3 downloads: one stream.
async fn down(store: &Store, mut file: File) -> Result<Duration> {
    let started = Instant::now();
    let found = store.get(&Path::from("large")).await?;
    let (expected, mut received) = (found.meta.size, 0);
    let mut body = found.into_stream();
    while let Some(chunk) = body.try_next().await? {
        received += chunk.len() as u64;
        file.write_all(&chunk)?;
    }
    ensure!(received == expected, "{received} bytes came instead of {expected}");
    Ok(started.elapsed())
}

async fn list(store: &Store) -> Result<Duration> {
    let started = Instant::now();
    let found: Vec<_> = store.list(None).try_collect().await.context("the listing")?;
    eprintln!("{} keys", found.len());
    Ok(started.elapsed())
}

async fn paths(store: Store, url: &str, at_once: usize) -> Result<Duration> {
    let mut options = BinaryCacheOptions::new(url);
    options.listing = ListingOrder::Ascending;
    options.limits.concurrent_requests = at_once;
    let cache = BinaryCache::open(store, options).await?;
    let started = Instant::now();
    let found: Vec<_> = cache.list().try_collect().await.context("the listing")?;
    let elapsed = started.elapsed();
    eprintln!("{} keys", found.len());
    Ok(elapsed)
}
