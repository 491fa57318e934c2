//! Building the HTTP client from the store's settings.

use std::sync::Arc;
use std::time::Duration;

use nars3_store_url::{Scheme, TransferSettings};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
use reqwest::redirect::Policy;
use reqwest::{Client, Identity};

use super::service::Service;
use crate::credentials::CredentialCache;
use crate::environment::Environment;
use crate::stats::RequestStats;
use crate::tls::CaBundle;
use crate::{S3OpenError, tls};

/// How long an unused connection is kept. Load balancers drop theirs after 60 seconds, and a request on a connection
/// that is just being dropped fails.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// What this crate calls itself.
const USER_AGENT: &str = concat!("nars3/", env!("CARGO_PKG_VERSION"));

/// Gives object_store our client.
#[derive(Debug)]
pub(crate) struct Connector {
    client: Client,
    stats: Arc<RequestStats>,
    credentials: Option<Arc<CredentialCache>>,
}

impl Connector {
    /// Builds the client.
    ///
    /// It follows no redirect: a signature is for one host, and credentials must not go to another. It decodes no
    /// content encoding: a cache's objects are what their bytes are.
    pub(crate) async fn new(
        transfer: &TransferSettings,
        scheme: Scheme,
        ca_bundle: Option<&CaBundle>,
        environment: &Environment,
        credentials: Option<Arc<CredentialCache>>,
    ) -> Result<Self, S3OpenError> {
        tls::install_crypto_provider();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            // object_store retries, with its own count and delays.
            .retry(reqwest::retry::never())
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .http1_only()
            .https_only(scheme == Scheme::Https)
            .pool_idle_timeout(IDLE_TIMEOUT);
        if let Some(timeout) = transfer.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(timeout) = transfer.stalled_download_timeout {
            builder = builder.read_timeout(timeout);
        }
        if let Some(timeout) = transfer.request_timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(bundle) = ca_bundle {
            builder = builder.tls_certs_only(bundle.certificates.iter().cloned());
        }
        if let Some(identity) = client_identity(transfer).await? {
            builder = builder.identity(identity);
        }
        for (host, address) in &environment.addresses {
            builder = builder.resolve(host, *address);
        }
        let client = builder.build().map_err(|source| S3OpenError::HttpClient { source: source.into() })?;
        Ok(Connector { client, stats: Arc::clone(&environment.stats), credentials })
    }
}

async fn client_identity(transfer: &TransferSettings) -> Result<Option<Identity>, S3OpenError> {
    match (&transfer.tls_certificate, &transfer.tls_private_key) {
        (Some(certificate), Some(key)) => tls::identity(certificate, key).await.map(Some),
        (Some(both), None) => tls::identity(both, both).await.map(Some),
        (None, Some(key)) => Err(S3OpenError::KeyWithoutCertificate { key: key.clone() }),
        (None, None) => Ok(None),
    }
}

impl HttpConnector for Connector {
    /// The options are not asked: all that they could say has been said to `new`.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let (stats, credentials) = (Arc::clone(&self.stats), self.credentials.clone());
        Ok(HttpClient::new(Service::new(self.client.clone(), stats, credentials)))
    }
}
