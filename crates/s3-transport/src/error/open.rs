//! Why a store cannot be opened.

use std::io;
use std::path::PathBuf;

use nars3_store_url::AddressingError;

use crate::credentials::CredentialsError;

/// Why a store cannot be opened. No request has been made to the bucket yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3OpenError {
    /// The settings leave no way to address the bucket.
    #[error(transparent)]
    Addressing(#[from] AddressingError),
    /// The bucket's address is no URL that requests can be made to.
    #[error("cannot make requests to '{url}': {reason}")]
    Endpoint {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The prefix has an empty segment, `.` or `..`, which object stores do not address.
    #[error("prefix '{prefix}' cannot stand in front of keys")]
    Prefix {
        /// The prefix.
        prefix: String,
        /// The segment that is refused.
        source: object_store::path::Error,
    },
    /// Credentials are configured, but there are none to be had.
    #[error(transparent)]
    Credentials(CredentialsError),
    /// A file with certificates or keys cannot be read.
    #[error("cannot read '{}'", path.display())]
    ReadPem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with certificates or keys has something else in it.
    #[error("'{}' is not the PEM file that it should be", path.display())]
    InvalidPem {
        /// The file.
        path: PathBuf,
        /// What the TLS library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of authorities to trust has no certificate in it.
    #[error("'{}' has no certificate, expected those of the authorities to trust", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// A client key without its certificate.
    #[error("'tls-private-key={}' needs 'tls-certificate' beside it", key.display())]
    KeyWithoutCertificate {
        /// The key's file.
        key: PathBuf,
    },
    /// A token or password that cannot be sent.
    #[error("the token or password cannot be sent")]
    Token {
        /// Why.
        source: crate::web::UnfitToken,
    },
    /// The S3 client that was asked for is not part of this build.
    #[error("the S3 client '{client}' is not part of this program")]
    ClientNotBuilt {
        /// Its name, as in `s3-client`.
        client: &'static str,
    },
    /// The HTTP client cannot be built.
    #[error("cannot set up the HTTP client")]
    HttpClient {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The S3 client refuses the settings.
    #[error("cannot set up the S3 client")]
    S3Client {
        /// Why.
        source: object_store::Error,
    },
}
