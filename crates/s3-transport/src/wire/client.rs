//! Building the HTTP client from the store's settings.

use std::sync::Arc;
use std::time::Duration;

use nars3_store_url::{S3Settings, TransferSettings};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Identity};

use super::Target;
use super::draft::Signer;
use super::send::Wire;
use super::service::Service;
use crate::credentials::CredentialCache;
use crate::environment::Environment;
use crate::tls::CaBundle;
use crate::{S3OpenError, tls};

/// How long an unused connection is kept. Load balancers drop theirs after 60 seconds, and a request on a connection
/// that is just being dropped fails.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// What this crate calls itself.
const USER_AGENT: &str = concat!("nars3/", env!("CARGO_PKG_VERSION"));

/// Gives both clients the wire.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) wire: Arc<Wire>,
    credentials: Option<Arc<CredentialCache>>,
}

impl Connector {
    /// Builds the client.
    ///
    /// It follows no redirect: a signature is for one host, and credentials must not go to another. It decodes no
    /// content encoding, and so asks for none: a cache's objects are what their bytes are.
    pub(crate) async fn new(
        settings: &S3Settings,
        ca_bundle: Option<&CaBundle>,
        environment: &Environment,
        credentials: Option<Arc<CredentialCache>>,
    ) -> Result<Self, S3OpenError> {
        let (transfer, target) = (&settings.transfer, Target::of(settings)?);
        let mut builder =
            client_builder(transfer, ca_bundle, environment).https_only(target.scheme == "https");
        if let Some(identity) = client_identity(transfer).await? {
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|source| S3OpenError::HttpClient { source: source.into() })?;
        let stats = Arc::clone(&environment.stats);
        let wire = Wire::new(client, settings.clone(), target, stats, credentials.clone());
        Ok(Connector { wire: Arc::new(wire), credentials })
    }
}

/// The settings of every client: whoever follows redirects or asks for TLS says so itself.
pub(crate) fn client_builder(
    transfer: &TransferSettings,
    ca_bundle: Option<&CaBundle>,
    environment: &Environment,
) -> ClientBuilder {
    tls::install_crypto_provider();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        // Whoever is above retries, with the count and delays of the settings.
        .retry(reqwest::retry::never())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        .pool_idle_timeout(IDLE_TIMEOUT);
    if let Some(timeout) = transfer.connect_timeout {
        builder = builder.connect_timeout(timeout);
    }
    if let Some(timeout) = transfer.request_timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(bundle) = ca_bundle {
        builder = builder.tls_certs_only(bundle.certificates.iter().cloned());
    }
    for (host, address) in &environment.addresses {
        builder = builder.resolve(host, *address);
    }
    builder
}

/// The certificate that the client shows, if the settings name one.
pub(crate) async fn client_identity(transfer: &TransferSettings) -> Result<Option<Identity>, S3OpenError> {
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
        let S3Settings { requester_pays, endpoint, .. } = &self.wire.settings;
        let signer = Arc::new(Signer {
            credentials: self.credentials.clone(),
            requester_pays: *requester_pays,
            has_checksums: endpoint.is_none(),
        });
        let base = self.wire.target().path;
        Ok(HttpClient::new(Service { wire: Arc::clone(&self.wire), signer, base }))
    }
}
