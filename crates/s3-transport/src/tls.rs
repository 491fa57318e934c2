//! TLS: one provider of cryptography for the process, and the authorities that are trusted.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};

use crate::S3OpenError;

/// Makes `ring` the process's provider of cryptography for TLS, unless one has been chosen already.
///
/// `open` does it; a program that builds other clients on the same stack calls it itself, once, before it builds them.
/// Calling it from several threads at once is fine.
pub fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Someone may have been faster. Theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Certificates of authorities from a file: what to trust instead of the system's.
#[derive(Clone)]
pub(crate) struct CaBundle {
    pub(crate) path: PathBuf,
    pub(crate) pem: Vec<u8>,
    pub(crate) certificates: Vec<Certificate>,
}

impl CaBundle {
    /// Reads a PEM file with at least one certificate.
    pub(crate) async fn read(path: &Path) -> Result<Self, S3OpenError> {
        let pem = read(path).await?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|source| S3OpenError::InvalidPem { path: path.to_owned(), source: source.into() })?;
        if certificates.is_empty() {
            return Err(S3OpenError::NoCertificates { path: path.to_owned() });
        }
        Ok(CaBundle { path: path.to_owned(), pem, certificates })
    }
}

/// Reads a client certificate and its key, which may be in the same file.
pub(crate) async fn identity(certificate: &Path, key: &Path) -> Result<Identity, S3OpenError> {
    let mut pem = read(certificate).await?;
    if certificate != key {
        pem.push(b'\n');
        pem.extend(read(key).await?);
    }
    Identity::from_pem(&pem)
        .map_err(|source| S3OpenError::InvalidPem { path: certificate.to_owned(), source: source.into() })
}

async fn read(path: &Path) -> Result<Vec<u8>, S3OpenError> {
    tokio::fs::read(path).await.map_err(|source| S3OpenError::ReadPem { path: path.to_owned(), source })
}
