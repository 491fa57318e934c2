//! Caches on web servers: the same connections, timeouts, retries and trust as for S3, and other ways to say who asks.

mod access;
mod netrc;
mod service;
mod store;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use nars3_store_url::{HttpSettings, TransferSettings};
use object_store::client::{HttpClient, HttpConnector};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use reqwest::{Client, ClientBuilder, Url};

pub use access::{UnfitToken, WebAccess};
pub use netrc::Netrc;
pub use store::{WebCache, WebPlace};
pub use upload::StreamedBody;

use self::service::{Clients, Origin, Service};
use crate::environment::Environment;
use crate::error::S3OpenError;
use crate::tls::CaBundle;
use crate::wire::{client_builder, client_identity};

/// As good as none.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens the cache at `settings.url`: GET, HEAD and PUT of what is below it, and WebDAV's listing where the server has it.
///
/// No request is made yet. Redirects are followed, up to ten, but never from `https` to `http`. `access` and the client
/// certificate go to the URL's own scheme, host and port, and to nobody else.
///
/// # Errors
/// The URL cannot be requested, a file that the settings name cannot be used, or `access` fits into no header.
pub async fn open_web(
    settings: &HttpSettings,
    access: &WebAccess,
    environment: &Environment,
) -> Result<WebCache, S3OpenError> {
    let text = settings.url.to_string();
    let unusable = |reason: String| S3OpenError::Endpoint { url: text.clone(), reason };
    let url = Url::parse(&text).map_err(|error| unusable(error.to_string()))?;
    if !url.has_host() {
        return Err(unusable("it has no host".to_owned()));
    }
    let ca_bundle = match settings.transfer.ssl_cert_file.as_ref().or(environment.ca_bundle.as_ref()) {
        Some(path) => Some(CaBundle::read(path).await?),
        None => None,
    };
    let identity = client_identity(&settings.transfer).await?;
    let builder = || client_builder(&settings.transfer, ca_bundle.as_ref(), environment);
    let clients = |builder: &dyn Fn() -> ClientBuilder| -> Result<Clients, S3OpenError> {
        let others = build(builder())?;
        let own = match &identity {
            Some(identity) => build(builder().identity(identity.clone()))?,
            None => others.clone(),
        };
        Ok(Clients { own, others })
    };
    // reqwest's own limit counts from the begin of a request to its answer, also while a large body is still on its way.
    let uploads = clients(&builder)?;
    let clients = clients(&|| patient(&settings.transfer, builder()))?;
    let stall = settings.transfer.stalled_download_timeout;
    let authorization = access.header().map_err(|source| S3OpenError::Token { source })?;
    let service = Service { clients, uploads, stall, origin: Origin::of(&url), authorization, only: None };
    let retries = retries(&settings.transfer);
    Ok(WebCache { store: store(text, retries.clone(), service.clone())?, url, retries, service })
}

/// Opens whatever an absolute URL leads to, a narinfo's for example, with the connections of `transfer` but none of its
/// credentials or certificates: the server that holds it, and the place there.
///
/// # Errors
/// The URL is none of `http` or `https`, or cannot be requested.
pub async fn open_elsewhere(
    url: &str,
    transfer: &TransferSettings,
    environment: &Environment,
) -> Result<(Arc<dyn ObjectStore>, Path), S3OpenError> {
    let shown = url.split(['?', '#']).next().unwrap_or(url);
    let unusable = |reason: String| S3OpenError::Endpoint { url: shown.to_owned(), reason };
    let mut url = Url::parse(url).map_err(|error| unusable(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unusable("it is no URL of a web server".to_owned()));
    }
    // Not ours to tell.
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return Err(unusable("it has no host".to_owned()));
    }
    url.set_fragment(None);
    let ca_bundle = match transfer.ssl_cert_file.as_ref().or(environment.ca_bundle.as_ref()) {
        Some(path) => Some(CaBundle::read(path).await?),
        None => None,
    };
    let client = build(patient(transfer, client_builder(transfer, ca_bundle.as_ref(), environment)))?;
    let clients = Clients { own: client.clone(), others: client };
    let service = Service {
        uploads: clients.clone(),
        clients,
        stall: transfer.stalled_download_timeout,
        origin: Origin::of(&url),
        authorization: None,
        only: None,
    };
    single(url, retries(transfer), service)
}

/// The store that has nothing but what is at `url`, and its place there. What stands behind `?` goes along: it may be what
/// opens the door.
fn single(
    url: Url,
    retries: RetryConfig,
    service: Service,
) -> Result<(Arc<dyn ObjectStore>, Path), S3OpenError> {
    let mut root = url.clone();
    root.set_path("/");
    root.set_query(None);
    // What messages call it; requests go to the URL as it is.
    let place = Path::from_url_path(url.path()).unwrap_or_else(|_| Path::from("file"));
    let store = store(root.into(), retries, Service { only: Some(url), ..service })?;
    Ok((Arc::new(store), place))
}

fn build(builder: ClientBuilder) -> Result<Client, S3OpenError> {
    builder.build().map_err(|source| S3OpenError::HttpClient { source: source.into() })
}

/// A transfer without a byte for so long is given up.
fn patient(transfer: &TransferSettings, builder: ClientBuilder) -> ClientBuilder {
    match transfer.stalled_download_timeout {
        Some(timeout) => builder.read_timeout(timeout),
        None => builder,
    }
}

/// Nix's `retry-attempts` and delays. object_store cannot tell a server that is asked too much from one that fails, so
/// `retry-delay-rate-limited` has no effect here.
fn retries(transfer: &TransferSettings) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: transfer.retry_delay,
            max_backoff: transfer.retry_max_delay,
            base: 2.0,
        },
        max_retries: transfer.retry_attempts.saturating_sub(1) as usize,
        retry_timeout: transfer.retry_timeout.unwrap_or(NO_LIMIT),
    }
}

fn store(url: String, retries: RetryConfig, service: Service) -> Result<HttpStore, S3OpenError> {
    HttpBuilder::new()
        .with_url(url)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries)
        .with_http_connector(Connector(service))
        .build()
        .map_err(|source| S3OpenError::HttpClient { source: source.into() })
}

/// Gives object_store our client.
#[derive(Debug)]
struct Connector(Service);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
