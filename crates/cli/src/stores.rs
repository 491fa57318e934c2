//! A store URL becomes an open store: the one place where all kinds of stores are known.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use nars3_binary_cache::{
    BinaryCache, BinaryCacheOptions, Elsewhere, FileCopier, Limits, ListingOrder, Remembered, ServerCopies,
};
use nars3_narinfo::Compression;
use nars3_nix_store::{AutoStore, DaemonStore, DaemonStoreOptions, LocalStore, LocalStoreOptions};
use nars3_store_api::{BoxError, Store};
use nars3_store_path::SecretKey;
use nars3_store_url::{
    CacheSettings, DaemonSettings, FileCache, HttpSettings, LocalSettings, S3Settings, StoreKind, StoreUrl,
    TransferSettings,
};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;

use crate::error::{CliError, CliResult, ResultExt};
use crate::nix_places;
use crate::run::Context;
use crate::settings::{s3_client, secret_keys, trusted_public_keys, web_access};

/// S3 takes no more in one request; beyond, parts are used even with `multipart-upload=false`.
const LARGEST_PUT: u64 = 5 << 30;

/// Nix's `multipart-chunk-size` where nothing else is said, in bytes.
const NIXS_PART: u64 = 5 << 20;

/// Memory for each core that compresses xz at its default level, in bytes.
const XZ_CORE: u64 = 170 << 20;

/// Beyond, more cores would take more memory than people expect.
const MOST_XZ_CORES: u64 = 8;

/// What a store is opened for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// To read from it; nothing is created, no key is needed. Answers may come from what earlier commands were told.
    Read,
    /// As `Read`, but to see how it is now.
    Inspect,
    /// To find out what would be written to it; one that is not there counts as empty, and is not created.
    Preview,
    /// To write to it.
    Write {
        /// `--trusted-public-keys`.
        trusted_public_keys: &'a [String],
        /// `--secret-key-file`.
        secret_key_files: &'a [PathBuf],
        /// Whether a daemon is to check signatures: not `--no-check-sigs`.
        check_signatures: bool,
        /// `--optimise`.
        optimise: bool,
    },
}

impl Purpose<'_> {
    /// To write to it, with keys from the environment and the URL only.
    pub(crate) const WRITE: Self = Purpose::Write {
        trusted_public_keys: &[],
        secret_key_files: &[],
        check_signatures: true,
        optimise: false,
    };

    fn optimise(self) -> bool {
        matches!(self, Purpose::Write { optimise: true, .. })
    }
}

/// An open store, and what its URL said of it.
#[derive(Debug)]
pub(crate) struct OpenedStore {
    pub(crate) store: Arc<dyn Store>,
    /// The same store, where it is a binary cache.
    pub(crate) cache: Option<Arc<BinaryCache>>,
    /// `?trusted=true`: its paths need no signatures.
    pub(crate) trusted: bool,
    /// What its URL says of which store it is, and nothing of how it is written to or reached.
    pub(crate) identity: String,
    /// Whether it is a binary cache by its URL.
    pub(crate) is_cache: bool,
    /// Whether it may have substituters of its own.
    pub(crate) has_substituters: bool,
    /// The settings of its bucket, where it is in one.
    s3: Option<Box<S3Settings>>,
}

impl OpenedStore {
    /// What `store info` prints: names and values.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts =
            vec![("url", self.store.to_string()), ("storeDir", self.store.store_dir().to_string())];
        if let Some(cache) = &self.cache {
            facts.extend(cache_facts(cache));
        }
        facts
    }
}

fn cache_facts(cache: &BinaryCache) -> Vec<(&'static str, String)> {
    match cache.info() {
        None => vec![("nixCacheInfo", "absent; the first write creates it".to_owned())],
        Some(info) => {
            let mass_query = info.want_mass_query.map(|yes| ("wantMassQuery", yes.to_string()));
            let priority = info.priority.map(|priority| ("priority", priority.to_string()));
            mass_query.into_iter().chain(priority).collect()
        }
    }
}

/// Opens the store at `text`; the one that Nix's settings name if it is empty.
pub(crate) async fn open_store(
    text: &str,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    open(text, Beside::default(), purpose, context).await
}

/// What a cache is opened beside.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    /// Paths in it may refer to paths in these.
    pub(crate) upstreams: Vec<Arc<dyn Store>>,
    /// From there, files may be copied by the server, if it has both.
    pub(crate) source: Option<&'a OpenedStore>,
}

/// Opens the store at `text`; if it is a cache, paths in it may refer to paths in the open `upstreams`.
pub(crate) async fn open_store_with(
    text: &str,
    upstreams: Vec<Arc<dyn Store>>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    open(text, Beside { upstreams, source: None }, purpose, context).await
}

/// Opens the store at `text`, beside others if it is a cache.
pub(crate) async fn open_store_beside(
    text: &str,
    beside: Beside<'_>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    open(text, beside, purpose, context).await
}

async fn open(
    text: &str,
    beside: Beside<'_>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    let text = if text.is_empty() { context.nix.default_store(&context.environment) } else { text };
    let parsed = StoreUrl::parse(text).hint(|| {
        "a store is s3://BUCKET?OPTIONS, file:///DIR, http(s)://HOST/…, local, local?root=DIR, daemon or auto"
            .to_owned()
    })?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    let mut url = parsed.url;
    if let Some(directory) = nix_places::store_dir(text, &context.environment)? {
        url.store.store_dir = directory;
    }
    url.resolve_relative(&std::env::current_dir()?);
    if purpose.optimise() && !matches!(url.kind, StoreKind::Local(_) | StoreKind::Auto(_)) {
        return Err(CliError::new(format!("--optimise is for stores on this machine, and '{text}' is none"))
            .hint("a nix-daemon shares equal files where its nix.conf has auto-optimise-store"));
    }
    match &url.kind {
        StoreKind::S3(settings) => {
            let objects = s3_objects(settings, context).await?;
            open_cache(&url, objects, ListingOrder::Ascending, beside, purpose, context).await
        }
        StoreKind::File(FileCache { dir, .. }) => {
            let objects = directory_objects(dir, purpose)?;
            open_cache(&url, objects, ListingOrder::Unordered, beside, purpose, context).await
        }
        StoreKind::Http(settings) => {
            let objects = http_objects(settings, context).await?;
            open_cache(&url, objects, ListingOrder::Unordered, beside, purpose, context).await
        }
        StoreKind::Local(settings) => {
            let settings = nix_places::local(settings.clone(), &context.environment);
            let options = local_options(&url, &settings, purpose, context)?;
            let is_new = options.root.as_ref().is_some_and(|root| !root.join("nix/var/nix/db").exists());
            if matches!(purpose, Purpose::Preview) && is_new {
                let empty = Arc::new(InMemory::new());
                return open_cache(&url, empty, ListingOrder::Unordered, beside, purpose, context).await;
            }
            let store = tokio::task::spawn_blocking(|| LocalStore::open(options)).await??;
            Ok(opened(store, &url))
        }
        StoreKind::Daemon(settings) => {
            let settings = nix_places::daemon(settings.clone(), &context.environment);
            let options = daemon_options(&url, &settings, purpose);
            let store = tokio::task::spawn_blocking(|| DaemonStore::open(options)).await?.hint(|| {
                "to read the store without a daemon, use 'local'; to let nars3 choose, 'auto'".to_owned()
            })?;
            Ok(opened(store, &url))
        }
        StoreKind::Auto(settings) => {
            let local = nix_places::local(settings.local.clone(), &context.environment);
            let local = local_options(&url, &local, purpose, context)?;
            if local.root.is_some() {
                let store = tokio::task::spawn_blocking(|| LocalStore::open(local)).await??;
                return Ok(opened(store, &url));
            }
            let daemon = nix_places::daemon(settings.daemon(), &context.environment);
            let daemon = daemon_options(&url, &daemon, purpose);
            let store = tokio::task::spawn_blocking(|| AutoStore::open(local, daemon)).await?.hint(|| {
                "without Nix on this machine, name a store: local?root=DIR, s3://BUCKET or file:///DIR"
                    .to_owned()
            })?;
            if purpose.optimise() && store.writes_through_daemon() {
                tracing::warn!(
                    "--optimise is left to the nix-daemon, which shares equal files where its nix.conf has \
                     auto-optimise-store"
                );
            }
            Ok(opened(store, &url))
        }
    }
}

fn opened(store: Arc<dyn Store>, url: &StoreUrl) -> OpenedStore {
    OpenedStore {
        store,
        cache: None,
        trusted: url.store.trusted,
        identity: identity(url),
        is_cache: url.kind.is_cache(),
        has_substituters: matches!(url.kind, StoreKind::Daemon(_) | StoreKind::Auto(_)),
        s3: match &url.kind {
            StoreKind::S3(settings) => Some(settings.clone().into()),
            _ => None,
        },
    }
}

/// The same for every URL of the same store, as far as a URL can tell.
fn identity(url: &StoreUrl) -> String {
    match &url.kind {
        StoreKind::S3(settings) => match &settings.endpoint {
            Some(endpoint) => format!("{}?endpoint={endpoint}", url.base()),
            None => url.base(),
        },
        StoreKind::File(_) | StoreKind::Http(_) => url.base(),
        StoreKind::Local(_) | StoreKind::Daemon(_) | StoreKind::Auto(_) => {
            StoreUrl::new(url.kind.clone()).to_string()
        }
    }
}

async fn s3_objects(settings: &S3Settings, context: &Context) -> CliResult<Arc<dyn ObjectStore>> {
    let mut settings = settings.clone();
    if settings.s3_client.is_none() {
        settings.s3_client = s3_client(&context.environment)?;
    }
    nars3_s3::open(&settings, &context.s3)
        .await
        .context(|| format!("cannot open the bucket '{}'", settings.bucket))
}

fn directory_objects(dir: &Path, purpose: Purpose<'_>) -> CliResult<Arc<dyn ObjectStore>> {
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

async fn http_objects(settings: &HttpSettings, context: &Context) -> CliResult<Arc<dyn ObjectStore>> {
    let access = web_access(settings, &context.environment, &context.nix).await?;
    nars3_s3::open_web(settings, &access, &context.s3)
        .await
        .context(|| format!("cannot open the cache at '{}'", settings.url))
}

/// Files of a cache directory that are opened at once. Each takes a thread, and a thread costs more than a small file that
/// is in memory; a few are enough to keep a disk or a file server busy.
const FILES_AT_ONCE: usize = 4;

async fn open_cache(
    url: &StoreUrl,
    objects: Arc<dyn ObjectStore>,
    listing: ListingOrder,
    beside: Beside<'_>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    let mut options = BinaryCacheOptions::new(url.base());
    options.store_dir = url.store.store_dir.clone();
    options.cache = url.cache.clone();
    options.path_info_cache_size = usize::try_from(url.store.path_info_cache_size).unwrap_or(usize::MAX);
    options.progress = Arc::clone(&context.progress);
    options.elsewhere = elsewhere(url, context);
    options.remembered = remembered(url, purpose, context).await?;
    options.listing = listing;
    options.upstreams = beside.upstreams;
    options.secret_keys = signing_keys(url, purpose, context)?;
    options.force_encodings = url.cache.force_encodings;
    options.limits = limits(&options.cache, context);
    if matches!(url.kind, StoreKind::File { .. }) {
        options.limits.concurrent_requests = FILES_AT_ONCE;
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
        Some(rate) => rate.limit(objects),
        None => objects,
    };
    let cache = BinaryCache::open(objects, options).await?;
    if matches!(purpose, Purpose::Write { .. }) {
        cache.claim().await?;
    }
    context.caches.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cache));
    Ok(OpenedStore { cache: Some(Arc::clone(&cache)), ..opened(cache, url) })
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
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        limits.compression_memory += cores.min(MOST_XZ_CORES) * XZ_CORE;
    }
    limits.spool_space = context.spool;
    limits
}

/// The way of files from `source` to the bucket of `settings`, where one server has both.
async fn server_copies(
    source: &OpenedStore,
    settings: &S3Settings,
    context: &Context,
) -> CliResult<Option<ServerCopies>> {
    let Some(from) = &source.s3 else { return Ok(None) };
    let mut settings = settings.clone();
    if settings.s3_client.is_none() {
        settings.s3_client = s3_client(&context.environment)?;
    }
    let copy = nars3_s3::ServerCopy::open(from, &settings, &context.s3)
        .await
        .context(|| format!("cannot open the bucket '{}'", settings.bucket))?;
    Ok(copy.map(|copy| ServerCopies::new(source.store.to_string(), Arc::new(Copier(copy)))))
}

#[derive(Debug)]
struct Copier(nars3_s3::ServerCopy);

#[async_trait]
impl FileCopier for Copier {
    async fn copy(&self, from: &str, to: &str) -> object_store::Result<()> {
        self.0.copy(from, to).await
    }
}

/// Opens what narinfos name on other servers, for whoever allowed it.
#[derive(Debug)]
struct OtherServers {
    transfer: TransferSettings,
    environment: nars3_s3::Environment,
}

#[async_trait]
impl Elsewhere for OtherServers {
    async fn open(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath), BoxError> {
        Ok(nars3_s3::open_elsewhere(url, &self.transfer, &self.environment).await?)
    }
}

fn elsewhere(url: &StoreUrl, context: &Context) -> Option<Arc<dyn Elsewhere>> {
    let transfer = match &url.kind {
        StoreKind::S3(settings) => settings.transfer.clone(),
        StoreKind::Http(settings) => settings.transfer.clone(),
        _ => TransferSettings::default(),
    };
    let environment = context.s3.clone();
    url.cache.follow_nar_urls.then(|| Arc::new(OtherServers { transfer, environment }) as Arc<dyn Elsewhere>)
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

fn local_options(
    url: &StoreUrl,
    settings: &LocalSettings,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<LocalStoreOptions> {
    let mut options = LocalStoreOptions::default();
    options.root.clone_from(&settings.root);
    options.state_dir.clone_from(&settings.state);
    options.real_store_dir.clone_from(&settings.real);
    options.store_dir = url.store.store_dir.clone();
    options.progress = Arc::clone(&context.progress);
    match purpose {
        Purpose::Read | Purpose::Inspect | Purpose::Preview => options.read_only = true,
        Purpose::Write { trusted_public_keys: arguments, .. } => {
            options.read_only = settings.read_only;
            options.optimise =
                purpose.optimise() || context.nix.flag("auto-optimise-store")?.unwrap_or(false);
            options.required_signatures = if settings.require_sigs == Some(false) {
                None
            } else {
                trusted_public_keys(arguments, &context.environment, &context.nix)?.map(Arc::new)
            };
        }
    }
    Ok(options)
}

fn daemon_options(url: &StoreUrl, settings: &DaemonSettings, purpose: Purpose<'_>) -> DaemonStoreOptions {
    DaemonStoreOptions {
        socket: settings.socket_path(),
        store_dir: url.store.store_dir.clone(),
        check_signatures: !matches!(purpose, Purpose::Write { check_signatures: false, .. }),
        log_dir: settings.log.clone().unwrap_or(DaemonStoreOptions::default().log_dir),
        ..DaemonStoreOptions::default()
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
