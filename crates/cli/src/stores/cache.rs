//! Opens binary caches: the objects of a bucket, a directory or a web server, and what the settings make of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, Limits, ListingOrder, Remembered};
use nars3_narinfo::Compression;
use nars3_s3::WebCache;
use nars3_store_path::SecretKey;
use nars3_store_url::{CacheSettings, FileCache, HttpSettings, S3Settings, StoreKind, StoreUrl};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::elsewhere::elsewhere;
use super::server_copies::server_copies;
use super::web::OwnServer;
use super::{Beside, OpenedStore, Purpose, identity, opened};
use crate::error::{CliResult, ResultExt};
use crate::run::Context;
use crate::settings::{s3_client, secret_keys, web_access};

/// S3 takes no more in one request; beyond, parts are used even with `multipart-upload=false`.
const LARGEST_PUT: u64 = 5 << 30;

/// Nix's `multipart-chunk-size` where nothing else is said, in bytes.
const NIXS_PART: u64 = 5 << 20;

/// Memory for each core that compresses xz at its default level, in bytes.
const XZ_CORE: u64 = 170 << 20;

/// Beyond, more cores would take more memory than people expect.
const MOST_XZ_CORES: u64 = 8;

pub(super) async fn s3_objects(settings: &S3Settings, context: &Context) -> CliResult<Arc<dyn ObjectStore>> {
    let mut settings = settings.clone();
    if settings.s3_client.is_none() {
        settings.s3_client = s3_client(&context.environment)?;
    }
    nars3_s3::open(&settings, &context.s3)
        .await
        .context(|| format!("cannot open the bucket '{}'", settings.bucket))
}

pub(super) fn directory_objects(dir: &Path, purpose: Purpose<'_>) -> CliResult<Arc<dyn ObjectStore>> {
    if matches!(purpose, Purpose::Preview) && !dir.exists() {
        return Ok(Arc::new(InMemory::new()));
    }
    if matches!(purpose, Purpose::Write { .. }) {
        std::fs::create_dir_all(dir).context(|| format!("cannot create the cache '{}'", dir.display()))?;
    }
    let objects = LocalFileSystem::new_with_prefix(dir)
        .context(|| format!("cannot open the cache in '{}'", dir.display()))?;
    Ok(Arc::new(objects))
}

pub(super) async fn http_objects(settings: &HttpSettings, context: &Context) -> CliResult<Arc<WebCache>> {
    let access = web_access(settings, &context.environment, &context.nix).await?;
    nars3_s3::open_web(settings, &access, &context.s3)
        .await
        .map(Arc::new)
        .context(|| format!("cannot open the cache at '{}'", settings.url))
}

/// Files of a cache directory that are opened at once. Each takes a thread, and a thread costs more than a small file that
/// is in memory; a few are enough to keep a disk or a file server busy.
const FILES_AT_ONCE: usize = 4;

/// The objects of a cache, and what is to be known of whoever has them.
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    listing: ListingOrder,
    web: Option<Arc<WebCache>>,
}

impl Objects {
    pub(super) fn bucket(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, listing: ListingOrder::Ascending, web: None }
    }

    pub(super) fn unordered(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, listing: ListingOrder::Unordered, web: None }
    }

    pub(super) fn web(cache: Arc<WebCache>) -> Self {
        Self { web: Some(Arc::clone(&cache)), ..Self::unordered(cache) }
    }
}

pub(super) async fn open_cache(
    url: &StoreUrl,
    objects: Objects,
    beside: Beside<'_>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    let mut options = BinaryCacheOptions::new(url.base());
    options.store_dir = url.store.store_dir.clone();
    options.info.want_mass_query = url.store.want_mass_query;
    options.info.priority = url.store.priority;
    options.cache = url.cache.clone();
    options.path_info_cache_size = usize::try_from(url.store.path_info_cache_size).unwrap_or(usize::MAX);
    options.progress = Arc::clone(&context.progress);
    options.elsewhere = elsewhere(url, context);
    options.remembered = remembered(url, purpose, context).await?;
    options.listing = objects.listing;
    options.open_uploads = context.open_uploads.clone();
    if let Some(cache) = objects.web {
        options.web = Some(Arc::new(OwnServer { cache, rate: context.rate.clone() }));
    }
    options.upstreams = beside.upstreams;
    options.secret_keys = signing_keys(url, purpose, context)?;
    options.force_encodings = url.cache.force_encodings;
    options.limits = limits(&options.cache, context);
    if let StoreKind::File(FileCache { dir, .. }) = &url.kind {
        options.limits.concurrent_requests = FILES_AT_ONCE;
        options.locked = Some(dir.clone());
        // What is held to a rate has to pass where the rate is.
        options.directory = context.rate.is_none().then(|| dir.clone());
    }
    if let StoreKind::S3(settings) = &url.kind {
        set_parts(&mut options.limits, settings);
        // The transport has taken up a broken body as often as the settings allow.
        options.limits.body_attempts = 0;
        options.headers = settings.headers.clone();
        if let Some(source) = beside.source {
            options.server_copies = server_copies(source, settings, context).await?;
        }
    }
    let objects = match &context.rate {
        Some(rate) => rate.limit(objects.store),
        None => objects.store,
    };
    let cache = BinaryCache::open(objects, options).await?;
    if matches!(purpose, Purpose::Write { .. }) {
        cache.claim().await?;
    }
    context.caches.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cache));
    let priority = cache.priority();
    Ok(OpenedStore { cache: Some(Arc::clone(&cache)), priority, ..opened(cache, url) })
}

/// What `--memory` and `--spool` say, or the cache's own limits. Who asks for xz on several cores, which takes some 170 MiB
/// for each, gets memory for them.
fn limits(settings: &CacheSettings, context: &Context) -> Limits {
    let mut limits = match context.memory {
        Some(memory) => Limits::default().within(memory),
        None => Limits::default(),
    };
    let parallel_xz = settings.compression == Compression::Xz && settings.parallel_compression == Some(true);
    if context.memory.is_none() && parallel_xz {
        let cores = nars3_store_api::cores() as u64;
        limits.compression_memory += cores.min(MOST_XZ_CORES) * XZ_CORE;
    }
    limits.spool_space = context.spool;
    limits
}

/// What earlier commands were told by the cache. A directory of files answers faster than anything that could be
/// remembered of it, and whoever writes asks anew.
async fn remembered(
    url: &StoreUrl,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<Option<Remembered>> {
    if !matches!(url.kind, StoreKind::S3(_) | StoreKind::Http(_)) {
        return Ok(None);
    }
    let Some(file) = context.remembering.file().await? else { return Ok(None) };
    // Paths of another store directory are other paths.
    let remembered = Remembered::new(file, format!("{} {}", url.store.store_dir, identity(url)));
    Ok(Some(match purpose {
        Purpose::Read => remembered,
        Purpose::Inspect | Purpose::Preview | Purpose::Write { .. } => remembered.only_forgetting(),
    }))
}

/// Where the URL says nothing of parts, the cache's own limits stay: they suit memory and bandwidth better than Nix's.
fn set_parts(limits: &mut Limits, settings: &S3Settings) {
    if let Some(threshold) = settings.multipart_threshold {
        limits.multipart_threshold = threshold;
    }
    // Who asks for Nix's parts gets them, also where their size is Nix's default.
    let nixs = (settings.multipart_upload == Some(true)).then_some(NIXS_PART);
    if let Some(size) = settings.multipart_chunk_size.or(nixs) {
        limits.part_size = size;
    }
    if let Some(memory) = settings.upload_memory {
        limits.upload_memory = memory;
    }
    if settings.multipart_upload == Some(false) {
        limits.multipart_threshold = LARGEST_PUT;
    }
}

fn signing_keys(url: &StoreUrl, purpose: Purpose<'_>, context: &Context) -> CliResult<Vec<SecretKey>> {
    match purpose {
        Purpose::Read | Purpose::Inspect | Purpose::Preview => Ok(Vec::new()),
        Purpose::Write { secret_key_files, .. } => {
            let files = secret_key_files.iter().chain(&url.cache.secret_keys).map(PathBuf::as_path);
            secret_keys(files, &context.environment, &context.nix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(settings: &str) -> (u64, u64) {
        let StoreKind::S3(settings) = StoreUrl::parse(&format!("s3://b?{settings}")).unwrap().url.kind else {
            panic!("no S3 store");
        };
        let mut limits = Limits::default();
        set_parts(&mut limits, &settings);
        (limits.part_size, limits.multipart_threshold)
    }

    /// Also where somebody asks for just what Nix has as its default.
    #[test]
    fn parts_are_as_the_url_asks() {
        let own = Limits::default();
        assert_eq!(parts(""), (own.part_size, own.multipart_threshold));
        assert_eq!(parts("multipart-chunk-size=5242880"), (5 << 20, own.multipart_threshold));
        assert_eq!(parts("buffer-size=16M&multipart-threshold=104857600"), (16 << 20, 100 << 20));
        assert_eq!(parts("multipart-upload=true"), (NIXS_PART, own.multipart_threshold));
        assert_eq!(parts("multipart-upload=false&multipart-threshold=9M"), (own.part_size, LARGEST_PUT));
    }
}
