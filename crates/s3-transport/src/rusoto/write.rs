//! Writing an object at once, and copying one inside the bucket.

use std::sync::Arc;

use data_encoding::BASE64;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, Error, PutMode, PutOptions, PutPayload, PutResult, Result};
use rusoto_s3::util::encode_key;
use rusoto_s3::{CopyObjectRequest, PutObjectRequest, S3};

use super::dispatcher::Connection;
use super::draft::{Extras, sha256};
use super::failure::Failure;
use super::metadata::Headers;
use crate::S3ErrorKind;
use crate::wire::Operation;

/// The header with the checksum of a body.
pub(super) const CHECKSUM: &str = "x-amz-checksum-sha256";

impl Connection {
    pub(super) async fn put(
        self: &Arc<Self>,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let PutOptions { mode, tags, attributes, extensions: _ } = options;
        let mut extras = self.with_body(payload).await?;
        match &mode {
            PutMode::Overwrite => {}
            PutMode::Create => extras.headers.push(("if-none-match", "*".to_owned())),
            PutMode::Update(version) => match &version.e_tag {
                Some(e_tag) => extras.headers.push(("if-match", e_tag.clone())),
                None => {
                    let source = "an object can only be replaced on condition of an ETag".into();
                    return Err(Error::NotSupported { source });
                }
            },
        }
        let headers = Headers::of(&attributes)?;
        let (encryption, kms_key) = self.encryption();
        let request = PutObjectRequest {
            bucket: self.settings.bucket.clone(),
            key: location.to_string(),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_type: headers.content_type,
            storage_class: headers.storage_class,
            metadata: headers.metadata,
            tagging: Some(tags.encoded().to_owned()).filter(|tags| !tags.is_empty()),
            server_side_encryption: encryption,
            ssekms_key_id: kms_key,
            request_payer: self.request_payer(),
            ..PutObjectRequest::default()
        };
        let operation = Operation::PutObject;
        let ask = |client: rusoto_s3::S3Client| async move { client.put_object(request).await };
        let output = self.call(operation, extras, ask).await;
        let output = output.map_err(|failure| refused_write(failure, location, &mode))?;
        let e_tag =
            Some(e_tag(output.e_tag, operation).map_err(|failure| failure.into_error(location.as_ref()))?);
        Ok(PutResult { e_tag, version: output.version_id, extensions: Default::default() })
    }

    pub(super) async fn copy(self: &Arc<Self>, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode == CopyMode::Create {
            let source = "the client on rusoto cannot make a copy depend on there being none".into();
            return Err(Error::NotSupported { source });
        }
        let (encryption, kms_key) = self.encryption();
        let request = CopyObjectRequest {
            bucket: self.settings.bucket.clone(),
            key: to.to_string(),
            copy_source: encode_key(format!("{}/{from}", self.settings.bucket)),
            server_side_encryption: encryption,
            ssekms_key_id: kms_key,
            request_payer: self.request_payer(),
            ..CopyObjectRequest::default()
        };
        let operation = Operation::CopyObject;
        let ask = |client: rusoto_s3::S3Client| async move { client.copy_object(request).await };
        let output = self.call(operation, Extras::default(), ask).await;
        let written =
            output.and_then(|output| e_tag(output.copy_object_result.and_then(|it| it.e_tag), operation));
        written.map(|_| ()).map_err(|failure| failure.into_error(from.as_ref()))
    }

    /// A body with, on AWS, its checksum. The signature has another SHA-256 of it, which AWS does not store.
    pub(super) async fn with_body(&self, payload: PutPayload) -> Result<Extras> {
        let mut headers = Vec::new();
        if self.has_checksums() {
            let contents = payload.clone();
            let hashing = tokio::task::spawn_blocking(move || sha256(&contents));
            headers.push((CHECKSUM, BASE64.encode(&hashing.await?)));
        }
        Ok(Extras { headers, body: Some(payload), ..Extras::default() })
    }

    /// AWS stores checksums; other servers need not know them.
    pub(super) fn has_checksums(&self) -> bool {
        self.settings.endpoint.is_none()
    }

    /// How the server is to encrypt, and with which key.
    pub(super) fn encryption(&self) -> (Option<String>, Option<String>) {
        let settings = &self.settings;
        (settings.sse.map(|sse| sse.as_str().to_owned()), settings.sse_kms_key_id.clone())
    }
}

/// The ETag of something written. An answer without one is not an answer of S3, and the write cannot be counted on.
pub(super) fn e_tag(e_tag: Option<String>, operation: Operation) -> Result<String, Failure> {
    let reason = || "the answer has no ETag, so nothing says that the object is there".to_owned();
    e_tag.ok_or_else(|| Failure::Unreadable { operation, status: None, reason: reason() })
}

/// A refused write, in the words of the condition that it was under.
fn refused_write(failure: Failure, location: &Path, mode: &PutMode) -> Error {
    let path = location.to_string();
    let mut described = failure.describe(Some(&path));
    match (mode, failure.status()) {
        // Some servers say "not modified".
        (PutMode::Create, Some(304 | 412)) => {
            described.kind = S3ErrorKind::AlreadyExists;
            Error::AlreadyExists { path, source: Box::new(described) }
        }
        // AWS says 404 of an object that was to be replaced, and 409 of one that is being written by somebody else.
        (PutMode::Update(_), Some(404 | 409)) if described.kind != S3ErrorKind::BucketMissing => {
            described.kind = S3ErrorKind::Precondition;
            Error::Precondition { path, source: Box::new(described) }
        }
        _ => failure.into_error(&path),
    }
}
