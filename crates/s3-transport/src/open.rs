//! Opening a store: settings and environment in, an object store out.

use std::sync::Arc;

use nars3_store_url::{S3Client, S3Settings, ServerSideEncryption};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::credentials::Access;
use crate::environment::{CredentialSource, Environment};
use crate::error::S3OpenError;
#[cfg(feature = "rusoto")]
use crate::rusoto::RusotoBucket;
use crate::store::Bucket;
use crate::tls::CaBundle;
use crate::wire::Connector;

/// Opens the store that the settings describe.
///
/// No request goes to the bucket. Credentials are looked up (once for all stores of an environment with the same
/// profile and partition of AWS), so this may take as long as their provider takes. Where none are configured the requests will
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
    let Reach { url, access, connector } = Reach::of(settings, environment).await?;
    let client: Box<dyn ObjectStore> = match settings.s3_client {
        #[cfg(feature = "rusoto")]
        Some(S3Client::Rusoto) => rusoto(settings, access, &connector),
        _ => Box::new(client(settings, url, connector)?),
    };
    let bucket = Bucket::new(client, settings);
    if settings.prefix.is_empty() {
        return Ok(Arc::new(bucket));
    }
    let prefix = Path::parse(&settings.prefix)
        .map_err(|source| S3OpenError::Prefix { prefix: settings.prefix.clone(), source })?;
    Ok(Arc::new(PrefixStore::new(bucket, prefix)))
}

/// object_store's client that sends requests to `url` as `destination` says, and has `settings` for the rest.
pub(crate) async fn connect(
    settings: &S3Settings,
    destination: &S3Settings,
    url: String,
    environment: &Environment,
) -> Result<AmazonS3, S3OpenError> {
    let Reach { connector, .. } = Reach::of(destination, environment).await?;
    client(settings, url, connector)
}

/// What every client of a bucket needs: where it is, what to sign with, and an HTTP client.
pub(crate) struct Reach {
    /// The bucket's URL, without a slash at its end.
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) connector: Connector,
}

impl Reach {
    /// # Errors
    /// As `open`.
    pub(crate) async fn of(settings: &S3Settings, environment: &Environment) -> Result<Self, S3OpenError> {
        let address = settings.bucket_address()?;
        let url = checked_url(address.url.to_string())?;
        if address.fell_back_to_path {
            tracing::debug!(
                bucket = settings.bucket,
                "the bucket's name has a dot, so it is addressed by path"
            );
        }
        let ca_bundle = match settings.transfer.ssl_cert_file.as_ref().or(environment.ca_bundle.as_ref()) {
            Some(path) => Some(CaBundle::read(path).await?),
            None => None,
        };
        let access = access(settings, environment, ca_bundle.as_ref()).await?;
        let cache = match &access {
            Access::Signed(cache) => Some(Arc::clone(cache)),
            Access::Anonymous(_) => None,
        };
        let connector = Connector::new(settings, ca_bundle.as_ref(), environment, cache).await?;
        Ok(Reach { url, access, connector })
    }
}

/// The HTTP library takes it for granted that a URL can be parsed.
pub(crate) fn checked_url(url: String) -> Result<String, S3OpenError> {
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
        return Ok(Access::Anonymous(Arc::new([])));
    }
    // A server that is not AWS has regions of its own, where there is no STS.
    let region = if settings.endpoint.is_none() { settings.region.as_str() } else { "us-east-1" };
    let profile = settings.profile.as_deref();
    let access = environment.registry.access(&environment.credentials, profile, region, ca_bundle).await?;
    if matches!(access, Access::Anonymous(_)) {
        tracing::warn!(
            bucket = settings.bucket,
            "no AWS credentials are configured: requests will not be signed"
        );
    }
    Ok(access)
}

/// The client on rusoto, over the same connections.
#[cfg(feature = "rusoto")]
fn rusoto(settings: &S3Settings, access: Access, connector: &Connector) -> Box<dyn ObjectStore> {
    Box::new(RusotoBucket::new(settings.clone(), access, Arc::clone(&connector.wire)))
}

fn client(settings: &S3Settings, url: String, connector: Connector) -> Result<AmazonS3, S3OpenError> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        // In object_store's terms "virtual hosted" means that the endpoint is the bucket's, which ours always is.
        .with_endpoint(url)
        .with_virtual_hosted_style_request(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        // The wire below retries, and signs each attempt anew (docs/decisions/0004).
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_skip_signature(true)
        .with_http_connector(connector);
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
