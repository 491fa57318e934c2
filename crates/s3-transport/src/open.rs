//! Opening a store: settings and environment in, an object store out.

use std::sync::Arc;
use std::time::Duration;

use nars3_store_url::{S3Client, S3Settings, ServerSideEncryption, TransferSettings};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::credentials::{Access, Adapter};
use crate::environment::{CredentialSource, Environment};
use crate::error::S3OpenError;
#[cfg(feature = "rusoto")]
use crate::rusoto::RusotoBucket;
use crate::store::Bucket;
use crate::tls::CaBundle;
use crate::wire::Connector;

/// A signature is good for 15 minutes, and a retry has that of the first attempt.
const SIGNATURE_LIFE: Duration = Duration::from_secs(14 * 60);

/// Opens the store that the settings describe.
///
/// No request goes to the bucket. Credentials are looked up (once for all stores of an environment with the same
/// profile and region), so this may take as long as their provider takes. Where none are configured the requests will
/// not be signed, which a warning says.
///
/// # Errors
/// The settings contradict one another, a file that they name cannot be used, or credentials are configured but cannot
/// be had.
pub async fn open(
    settings: &S3Settings,
    environment: &Environment,
) -> Result<Arc<dyn ObjectStore>, S3OpenError> {
    if settings.s3_client == Some(S3Client::Rusoto) && !cfg!(feature = "rusoto") {
        return Err(S3OpenError::ClientNotBuilt { client: "rusoto" });
    }
    let address = settings.bucket_address()?;
    let url = checked_url(address.url.to_string())?;
    if address.fell_back_to_path {
        tracing::debug!(bucket = settings.bucket, "the bucket's name has a dot, so it is addressed by path");
    }
    let ca_bundle = match settings.transfer.ssl_cert_file.as_ref().or(environment.ca_bundle.as_ref()) {
        Some(path) => Some(CaBundle::read(path).await?),
        None => None,
    };
    let access = access(settings, environment, ca_bundle.as_ref()).await?;
    let cache = match &access {
        Access::Signed(cache) => Some(Arc::clone(cache)),
        Access::Anonymous => None,
    };
    let scheme = address.url.scheme;
    let connector =
        Connector::new(&settings.transfer, scheme, ca_bundle.as_ref(), environment, cache).await?;
    let client: Box<dyn ObjectStore> = match settings.s3_client {
        #[cfg(feature = "rusoto")]
        Some(S3Client::Rusoto) => rusoto(settings, access, &connector)?,
        _ => Box::new(client(settings, url, access, connector)?),
    };
    let bucket = Bucket::new(client, settings);
    if settings.prefix.is_empty() {
        return Ok(Arc::new(bucket));
    }
    let prefix = Path::parse(&settings.prefix)
        .map_err(|source| S3OpenError::Prefix { prefix: settings.prefix.clone(), source })?;
    Ok(Arc::new(PrefixStore::new(bucket, prefix)))
}

/// The HTTP library takes it for granted that a URL can be parsed.
fn checked_url(url: String) -> Result<String, S3OpenError> {
    match reqwest::Url::parse(&url) {
        Ok(parsed) if parsed.has_host() => Ok(url),
        Ok(_) => Err(S3OpenError::Endpoint { url, reason: "it has no host".to_owned() }),
        Err(error) => Err(S3OpenError::Endpoint { url, reason: error.to_string() }),
    }
}

async fn access(
    settings: &S3Settings,
    environment: &Environment,
    ca_bundle: Option<&CaBundle>,
) -> Result<Access, S3OpenError> {
    if settings.anonymous || matches!(environment.credentials, CredentialSource::Anonymous) {
        return Ok(Access::Anonymous);
    }
    // A server that is not AWS has regions of its own, where there is no STS.
    let region = if settings.endpoint.is_none() { settings.region.as_str() } else { "us-east-1" };
    let profile = settings.profile.as_deref();
    let access = environment.registry.access(&environment.credentials, profile, region, ca_bundle).await?;
    if matches!(access, Access::Anonymous) {
        tracing::warn!(
            bucket = settings.bucket,
            "no AWS credentials are configured: requests will not be signed"
        );
    }
    Ok(access)
}

/// The client on rusoto, over the same connections.
#[cfg(feature = "rusoto")]
fn rusoto(
    settings: &S3Settings,
    access: Access,
    connector: &Connector,
) -> Result<Box<dyn ObjectStore>, S3OpenError> {
    use object_store::client::HttpConnector;

    let http = connector
        .connect(&ClientOptions::new())
        .map_err(|source| S3OpenError::HttpClient { source: source.into() })?;
    Ok(Box::new(RusotoBucket::new(settings.clone(), access, http)?))
}

fn client(
    settings: &S3Settings,
    url: String,
    access: Access,
    connector: Connector,
) -> Result<AmazonS3, S3OpenError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        // In object_store's terms "virtual hosted" means that the endpoint is the bucket's, which ours always is.
        .with_endpoint(url)
        .with_virtual_hosted_style_request(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_request_payer(settings.requester_pays)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries(&settings.transfer))
        .with_http_connector(connector);
    builder = match access {
        Access::Signed(cache) => builder.with_credentials(Arc::new(Adapter(cache))),
        Access::Anonymous => builder.with_skip_signature(true),
    };
    if settings.endpoint.is_none() {
        // It is computed for the signature anyway, and stored by AWS with the object. Other servers need not know it.
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    if let Some(encryption) = settings.sse {
        builder = encrypted(builder, encryption, settings.sse_kms_key_id.as_deref())?;
    }
    builder.build().map_err(|source| S3OpenError::S3Client { source })
}

fn encrypted(
    builder: AmazonS3Builder,
    encryption: ServerSideEncryption,
    kms_key_id: Option<&str>,
) -> Result<AmazonS3Builder, S3OpenError> {
    let builder = builder.with_config(encryption_key("aws_server_side_encryption")?, encryption.as_str());
    match kms_key_id {
        Some(id) => Ok(builder.with_config(encryption_key("aws_sse_kms_key_id")?, id)),
        None => Ok(builder),
    }
}

/// object_store lets the keys of encryption be parsed, but not be named.
fn encryption_key(name: &str) -> Result<AmazonS3ConfigKey, S3OpenError> {
    name.parse().map_err(|source| S3OpenError::S3Client { source })
}

/// Nix's `retry-attempts` and delays. object_store cannot tell a server that is asked too much from one that fails, so
/// `retry-delay-rate-limited` has no effect on this client.
fn retries(transfer: &TransferSettings) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: transfer.retry_delay,
            max_backoff: transfer.retry_max_delay,
            base: 2.0,
        },
        max_retries: transfer.retry_attempts.saturating_sub(1) as usize,
        retry_timeout: transfer.retry_timeout.unwrap_or(SIGNATURE_LIFE).min(SIGNATURE_LIFE),
    }
}
