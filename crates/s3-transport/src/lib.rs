//! `nars3-s3` turns the settings of an S3 store and the process's AWS credentials into an `object_store::ObjectStore`.
//!
//! ```
//! use nars3_s3::{CredentialSource, Environment, StaticKeys, open};
//! use nars3_store_url::{Endpoint, S3Settings};
//!
//! async fn example() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut settings = S3Settings::new("example-nix-cache");
//!     settings.endpoint = Some(Endpoint::parse("http://127.0.0.1:9000")?);
//!     let keys = StaticKeys::new("minioadmin", "minioadmin", None);
//!     let environment = Environment::of_process().with_credentials(CredentialSource::Static(keys));
//!
//!     let store = open(&settings, &environment).await?;
//!     assert_eq!(store.to_string(), "s3://example-nix-cache");
//!     Ok(())
//! }
//! ```
//!
//! # Credentials
//!
//! Providers are asked in the order of the AWS SDKs; the first that has credentials wins, and one that is configured
//! but fails ends the search with an error that names every provider that was asked:
//!
//! 1. environment variables (`AWS_ACCESS_KEY_ID`, …);
//! 2. the profile that `AWS_PROFILE` names, or `default`, in `~/.aws/config` and `~/.aws/credentials`: keys, `role_arn`
//!    with `source_profile` or `credential_source`, `credential_process`, SSO, web identity;
//! 3. web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`);
//! 4. the container's credentials endpoint (ECS, EKS);
//! 5. the instance's metadata (IMDSv2).
//!
//! A profile that the store's settings name (`?profile=`) stands alone: the other providers, keys in the environment
//! included, are not asked, as with `aws --profile`. Where nothing at all is configured, requests are not signed; that
//! is decided when the store is opened, with a warning, and not again. A profile that does not exist, or an SSO session
//! that has expired, is an error and never a reason to go on without a signature.
//!
//! Credentials are looked up by one request at a time for all stores of an `Environment` with the same profile and
//! region, renewed five minutes before they expire, dropped when the server calls them expired, and errors are never
//! remembered.
//!
//! # Requests
//!
//! One HTTP client (reqwest, rustls on `ring`) serves all. It follows no redirect, because a signature is for one host,
//! and decodes no content encoding, because a cache's objects are what their bytes are. An answer that S3 began with
//! "200 OK" and ended with an error is an error. `If-None-Match` and `If-Match` decide about concurrent writers. On AWS
//! every object is stored with its SHA-256.
//!
//! Requests are repeated below both clients: each attempt signed anew, for every code that AWS's SDKs repeat, with full
//! jitter, `Retry-After`, and one pace for all requests, which the server's complaints lower. A body that breaks off
//! goes on where it broke, from the same object. A bucket in another region is found. The 403 of a HEAD request, and
//! the 400 that is S3's word for a token that has expired, are asked again as a GET of one byte, which has a reason in
//! it. Contents of up to 1 MiB are compared with the checksum or the MD5 that the answer has of them. A listing passes
//! over keys that object_store cannot address, and where a server knows no DeleteObjects, objects are deleted one by
//! one. `RequestStats` counts all of it, and one tracing span a request, `s3`, has operation, bucket, key, bytes,
//! attempts, status and request id.
//!
//! `S3Error::of` reads any `object_store::Error` of such a store: what happened, the operation, the IAM action that is
//! missing, the region where the bucket is, S3's code and words, the request id, how many attempts there were and how long
//! they took.
//!
//! # Two clients
//!
//! object_store's client is the default. With the cargo feature `rusoto`, `s3-client=rusoto` chooses one on `rusoto_s3`,
//! which does the same in every respect: the same HTTP client, credentials, settings and errors. The feature adds 28
//! packages, among them hyper 0.14, http 0.2 and h2 0.3, which make no connection. It is off by default because of
//! what it pulls in: rusoto cannot be compiled without one of its TLS features, and this one needs `hyper-tls`, and with
//! it OpenSSL. This project puts a stub of a few lines in that crate's place (`[patch.crates-io]`, `patches/hyper-tls`);
//! a patch is not inherited, so whoever enables the feature elsewhere repeats the patch, or links OpenSSL for nothing.
//!
//! # Modules
//!
//! - `open`: `open`, from settings to store.
//! - `environment`: `Environment` and `CredentialSource`.
//! - `server_copy`: `ServerCopy`, between two buckets of one server.
//! - `credentials`: the providers, the cache, the registry.
//! - `wire`: all between either client and the network, `Operation`.
//! - `web`: caches on web servers, `open_web` and its `WebCache`, `open_elsewhere`, `WebAccess` and `Netrc`.
//! - `rusoto`: the client on rusoto.
//! - `store`: storage class, tags and limits of objects.
//! - `tls`: the provider of cryptography, `install_crypto_provider`, and authorities to trust.
//! - `error`: `S3OpenError` and `S3Error`.
//! - `inspect`: `Inspector`, requests about a bucket that are not about its objects.
//! - `stats`: counters of requests.

mod credentials;
mod environment;
mod error;
mod inspect;
mod open;
#[cfg(feature = "rusoto")]
mod rusoto;
mod server_copy;
mod stats;
mod store;
mod tls;
mod web;
mod wire;

pub use credentials::{CredentialFacts, CredentialsError, ProviderAttempt, Refusal};
pub use environment::{CredentialSource, Environment, StaticKeys};
pub use error::{S3Error, S3ErrorKind, S3OpenError};
pub use inspect::{BucketFacts, Identity, Inspector, PendingUpload, PendingUploads};
pub use open::open;
pub use server_copy::ServerCopy;
pub use stats::{RequestCounts, RequestStats};
pub use tls::install_crypto_provider;
pub use web::{Netrc, StreamedBody, UnfitToken, WebAccess, WebCache, WebPlace, open_elsewhere, open_web};
pub use wire::Operation;
