//! The settings of an S3 store.

use super::{AddressingStyle, Endpoint, HeaderSettings};
use crate::http_url::Scheme;
use crate::transfer_settings::TransferSettings;

/// Which client sends the requests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum S3Client {
    /// The client of the `object_store` crate.
    ObjectStore,
    /// The client of the `rusoto_s3` crate.
    Rusoto,
}

/// How the server encrypts what it stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ServerSideEncryption {
    /// With keys of S3 (`AES256`).
    Aes256,
    /// With a key of KMS (`aws:kms`).
    Kms,
    /// With a key of KMS, twice (`aws:kms:dsse`).
    KmsDsse,
}

impl ServerSideEncryption {
    /// The value of the header `x-amz-server-side-encryption`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerSideEncryption::Aes256 => "AES256",
            ServerSideEncryption::Kms => "aws:kms",
            ServerSideEncryption::KmsDsse => "aws:kms:dsse",
        }
    }
}

/// An S3 store (Nix `s3-binary-cache-store.hh`, and settings of our own).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3Settings {
    /// The bucket, the host of the URL.
    pub bucket: String,
    /// What stands in front of every key, the path of the URL: without a `/` at either end, or empty.
    pub prefix: String,
    /// `profile`: of the AWS configuration files.
    pub profile: Option<String>,
    /// `region`.
    pub region: String,
    /// `scheme`: for AWS and for an endpoint that does not say it.
    pub scheme: Scheme,
    /// `endpoint`: of a server that is not AWS.
    pub endpoint: Option<Endpoint>,
    /// `addressing-style`.
    pub addressing_style: AddressingStyle,
    /// `dual-stack`: AWS's endpoints that have IPv6 too.
    pub dual_stack: bool,
    /// `fips`: AWS's endpoints with FIPS 140 cryptography.
    pub fips: bool,
    /// `accelerate`: AWS's transfer acceleration.
    pub accelerate: bool,
    /// `anonymous`: send unsigned requests and look for no credentials.
    pub anonymous: bool,
    /// `s3-client`; unset, the caller chooses.
    pub s3_client: Option<S3Client>,
    /// `multipart-upload`: whether large objects are sent in parts. Unset, the caller chooses (in Nix: false).
    pub multipart_upload: Option<bool>,
    /// `multipart-chunk-size`, once `buffer-size`: bytes of a part. Unset, the caller chooses (in Nix: 5 MiB).
    pub multipart_chunk_size: Option<u64>,
    /// `multipart-threshold`: bytes from which an object is sent in parts. Unset, the caller chooses (in Nix: 100 MiB).
    pub multipart_threshold: Option<u64>,
    /// `upload-memory`: bytes of memory for parts on their way. Unset, the caller chooses.
    pub upload_memory: Option<u64>,
    /// `storage-class`; unset, the bucket's.
    pub storage_class: Option<String>,
    /// `sse`: server-side encryption; unset, the bucket's.
    pub sse: Option<ServerSideEncryption>,
    /// `sse-kms-key-id`: the key for KMS; unset, the account's own key for S3.
    pub sse_kms_key_id: Option<String>,
    /// `requester-pays`: agree to pay for requests to somebody else's bucket.
    pub requester_pays: bool,
    /// `object-tags`: names and values put on every object that is written.
    pub object_tags: Vec<(String, String)>,
    /// The headers that objects are stored with.
    pub headers: HeaderSettings,
    /// Timeouts, retries and TLS.
    pub transfer: TransferSettings,
}

impl S3Settings {
    /// The settings of `s3://<bucket>`.
    pub fn new(bucket: impl Into<String>) -> Self {
        S3Settings {
            bucket: bucket.into(),
            prefix: String::new(),
            profile: None,
            region: "us-east-1".to_owned(),
            scheme: Scheme::Https,
            endpoint: None,
            addressing_style: AddressingStyle::Auto,
            dual_stack: false,
            fips: false,
            accelerate: false,
            anonymous: false,
            s3_client: None,
            multipart_upload: None,
            multipart_chunk_size: None,
            multipart_threshold: None,
            upload_memory: None,
            storage_class: None,
            sse: None,
            sse_kms_key_id: None,
            requester_pays: false,
            object_tags: Vec::new(),
            headers: HeaderSettings::default(),
            transfer: TransferSettings::default(),
        }
    }

    /// The key of an object in the bucket: the prefix, `/` and the name, or the name alone.
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}
