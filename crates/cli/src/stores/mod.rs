//! A store URL becomes an open store: the one place where all kinds of stores are known.

mod cache;
mod elsewhere;
mod machine;
mod server_copies;
mod web;

use std::path::PathBuf;
use std::sync::Arc;

use nars3_binary_cache::BinaryCache;
use nars3_store_api::{BuildRecords, Store};
use nars3_store_url::{FileCache, LocalSettings, S3Settings, StoreKind, StoreUrl, aws_domain};
use object_store::memory::InMemory;

use self::cache::{Objects, directory_objects, http_objects, open_cache, s3_objects};
pub(crate) use self::machine::DAEMON_HINT;
use crate::error::{CliError, CliResult, ResultExt};
use crate::nix_places;
use crate::run::Context;

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

    /// Whether it matters if the store may be written.
    fn needs_writable(self) -> bool {
        matches!(self, Purpose::Write { .. } | Purpose::Preview)
    }

    fn optimise(self) -> bool {
        matches!(self, Purpose::Write { optimise: true, .. })
    }
}

/// An open store, and what its URL said of it.
#[derive(Debug)]
pub(crate) struct OpenedStore {
    pub(crate) store: Arc<dyn Store>,
    /// The same store, as the keeper of what builds leave.
    pub(crate) records: Arc<dyn BuildRecords>,
    /// The same store, where it is a binary cache.
    pub(crate) cache: Option<Arc<BinaryCache>>,
    /// `?trusted=true`: its paths need no signatures.
    pub(crate) trusted: bool,
    /// Its rank among stores that have the same, by its URL or by what the cache says of itself; the lowest is asked first.
    pub(crate) priority: Option<i64>,
    /// What its URL says that it can build.
    system_features: Vec<String>,
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
            if cache.info().is_none() {
                facts.push(("nixCacheInfo", "absent; the first write creates it".to_owned()));
            }
            facts.extend(cache.want_mass_query().map(|yes| ("wantMassQuery", yes.to_string())));
        }
        facts.extend(self.priority.map(|priority| ("priority", priority.to_string())));
        if !self.system_features.is_empty() {
            facts.push(("systemFeatures", self.system_features.join(" ")));
        }
        facts
    }
}

/// Stores in the order in which they are to be asked, as Nix asks its substituters: by priority, and as they were given where
/// that is the same.
pub(crate) fn by_priority(mut stores: Vec<OpenedStore>) -> Vec<Arc<dyn Store>> {
    stores.sort_by_key(|opened| opened.priority.unwrap_or(0));
    stores.into_iter().map(|opened| opened.store).collect()
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
            open_cache(&url, Objects::bucket(objects), beside, purpose, context).await
        }
        StoreKind::File(FileCache { dir, .. }) => {
            let objects = directory_objects(dir, purpose)?;
            open_cache(&url, Objects::unordered(objects), beside, purpose, context).await
        }
        StoreKind::Http(settings) => {
            let objects = http_objects(settings, context).await?;
            open_cache(&url, Objects::web(objects), beside, purpose, context).await
        }
        StoreKind::Local(settings) => {
            let settings = nix_places::local(settings.clone(), &context.environment);
            open_local(&url, &settings, beside, purpose, context).await
        }
        StoreKind::Daemon(settings) => {
            let settings = nix_places::daemon(settings.clone(), &context.environment);
            Ok(opened(machine::daemon(&url, &settings, purpose).await?, &url))
        }
        StoreKind::Auto(settings) => {
            let local = nix_places::local(settings.local.clone(), &context.environment);
            if local.root.is_some() {
                return open_local(&url, &local, beside, purpose, context).await;
            }
            let daemon = nix_places::daemon(settings.daemon(), &context.environment);
            Ok(opened(machine::auto(&url, &local, &daemon, purpose, context).await?, &url))
        }
    }
}

/// A store that is opened directly. What would be written to one that is not there is found out without creating it.
async fn open_local(
    url: &StoreUrl,
    settings: &LocalSettings,
    beside: Beside<'_>,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<OpenedStore> {
    match machine::local(url, settings, purpose, context).await? {
        Some(store) => Ok(opened(store, url)),
        None => {
            let empty = Arc::new(InMemory::new());
            open_cache(url, Objects::unordered(empty), beside, purpose, context).await
        }
    }
}

fn opened<S: BuildRecords + 'static>(store: Arc<S>, url: &StoreUrl) -> OpenedStore {
    OpenedStore {
        store: Arc::clone(&store) as Arc<dyn Store>,
        records: store,
        cache: None,
        trusted: url.store.trusted,
        priority: url.store.priority,
        system_features: url.store.system_features.clone(),
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
        StoreKind::S3(settings) => match (&settings.endpoint, settings.bucket_address()) {
            (Some(_), Ok(address)) => format!("{}?endpoint={}", url.base(), address.service),
            (Some(endpoint), Err(_)) => format!("{}?endpoint={endpoint}", url.base()),
            (None, _) => format!("{}?endpoint={}", url.base(), aws_domain(&settings.region)),
        },
        StoreKind::File(_) | StoreKind::Http(_) => url.base(),
        StoreKind::Local(_) | StoreKind::Daemon(_) | StoreKind::Auto(_) => {
            StoreUrl::new(url.kind.clone()).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_of(text: &str) -> String {
        identity(&StoreUrl::parse(text).unwrap().url)
    }

    #[test]
    fn a_bucket_is_the_same_however_its_endpoint_is_written() {
        let one = identity_of("s3://cache?endpoint=http://host:9000");
        assert_eq!(one, identity_of("s3://cache?scheme=http&endpoint=host:9000"));
        assert_eq!(
            one,
            identity_of("s3://cache?scheme=http&endpoint=host:9000&region=eu-west-1&compression=zstd")
        );
        assert_ne!(one, identity_of("s3://cache?scheme=http&endpoint=host:9001"));
        assert_ne!(one, identity_of("s3://other?scheme=http&endpoint=host:9000"));
    }

    #[test]
    fn at_aws_a_name_is_one_bucket_in_each_partition() {
        let one = identity_of("s3://cache");
        assert_eq!(one, identity_of("s3://cache?region=eu-west-1"));
        assert_ne!(one, identity_of("s3://cache?region=cn-north-1"));
        assert_ne!(one, identity_of("s3://cache/prefix"));
    }
}
