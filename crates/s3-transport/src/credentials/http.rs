//! The HTTP client that AWS's providers use: rustls on `ring`, our authorities, the environment's proxies.

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};

use crate::S3OpenError;
use crate::tls::CaBundle;

/// Whether requests may go through a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proxy {
    /// As the environment says.
    FromEnvironment,
    /// Never: instance metadata and container credentials are on the machine itself.
    Never,
}

/// A client. A connector is made for each request, which is cheap next to what the request is for, and rare.
pub(super) fn client(proxy: Proxy, ca_bundle: Option<&CaBundle>) -> Result<SharedHttpClient, S3OpenError> {
    let context = match ca_bundle {
        None => TlsContext::default(),
        Some(bundle) => TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(bundle.pem.clone()))
            .build()
            .map_err(|source| S3OpenError::HttpClient { source: source.into() })?,
    };
    Ok(http_client_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .connector_settings(settings.clone())
            .proxy_config(match proxy {
                Proxy::FromEnvironment => ProxyConfig::from_env(),
                Proxy::Never => ProxyConfig::disabled(),
            });
        builder.set_sleep_impl(components.sleep_impl());
        SharedHttpConnector::new(builder.build())
    }))
}
