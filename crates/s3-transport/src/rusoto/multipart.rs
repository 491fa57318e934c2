//! An upload in parts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart};
use rusoto_s3::{
    AbortMultipartUploadRequest, CompleteMultipartUploadRequest, CompletedMultipartUpload, CompletedPart,
    CreateMultipartUploadRequest, S3, UploadPartRequest,
};

use super::dispatcher::Connection;
use super::draft::Extras;
use super::failure::Failure;
use super::metadata::Headers;
use super::write::{CHECKSUM, e_tag};
use crate::S3ErrorKind;
use crate::wire::Operation;

/// S3 makes an object of no more parts.
const MAX_PARTS: usize = 10_000;

impl Connection {
    pub(super) async fn begin_upload(
        self: &Arc<Self>,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Upload> {
        let headers = Headers::of(&options.attributes)?;
        let (encryption, kms_key) = self.encryption();
        let tags = options.tags.encoded();
        let request = CreateMultipartUploadRequest {
            bucket: self.settings.bucket.clone(),
            key: location.to_string(),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_type: headers.content_type,
            storage_class: headers.storage_class,
            metadata: headers.metadata,
            tagging: Some(tags.to_owned()).filter(|tags| !tags.is_empty()),
            server_side_encryption: encryption,
            ssekms_key_id: kms_key,
            request_payer: self.request_payer(),
            ..CreateMultipartUploadRequest::default()
        };
        let mut extras = Extras::default();
        if self.has_checksums() {
            extras.headers.push(("x-amz-checksum-algorithm", "SHA256".to_owned()));
        }
        let operation = Operation::CreateMultipartUpload;
        let ask = |client: rusoto_s3::S3Client| async move { client.create_multipart_upload(request).await };
        let output = self.call(operation, extras, ask).await;
        let id = output.and_then(|output| {
            let reason = "the answer has no upload id".to_owned();
            let id = output.upload_id.filter(|id| !id.is_empty());
            id.ok_or(Failure::Unreadable { operation, status: None, reason })
        });
        let id = id.map_err(|failure| failure.into_error(location.as_ref()))?;
        let state =
            State { connection: Arc::clone(self), location: location.clone(), id, parts: Mutex::default() };
        Ok(Upload { state: Arc::new(state), begun: 0 })
    }
}

/// An upload under way.
pub(super) struct Upload {
    state: Arc<State>,
    /// Parts that have been begun.
    begun: usize,
}

struct State {
    connection: Arc<Connection>,
    location: Path,
    id: String,
    /// What the server said of each part, by number from 0; parts end in any order.
    parts: Mutex<Vec<Option<Part>>>,
}

#[derive(Clone)]
struct Part {
    e_tag: String,
    /// Its SHA-256, base 64, where checksums are sent.
    checksum: Option<String>,
}

impl State {
    async fn send_part(&self, index: usize, payload: PutPayload) -> Result<()> {
        let connection = &self.connection;
        let extras = connection.with_body(payload).await?;
        let checksum = extras.headers.iter().find(|(name, _)| *name == CHECKSUM).map(|(_, sum)| sum.clone());
        let request = UploadPartRequest {
            bucket: connection.settings.bucket.clone(),
            key: self.location.to_string(),
            part_number: part_number(index),
            upload_id: self.id.clone(),
            request_payer: connection.request_payer(),
            ..UploadPartRequest::default()
        };
        let operation = Operation::UploadPart;
        let ask = |client: rusoto_s3::S3Client| async move { client.upload_part(request).await };
        let output = connection.call(operation, extras, ask).await;
        let e_tag = output.and_then(|output| e_tag(output.e_tag, operation)).map_err(|it| self.error(it))?;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.len() <= index {
            parts.resize(index + 1, None);
        }
        if let Some(part) = parts.get_mut(index) {
            *part = Some(Part { e_tag, checksum });
        }
        Ok(())
    }

    /// The parts, if all that were begun have arrived.
    fn whole(&self, begun: usize) -> Result<Vec<Part>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let arrived: Vec<Part> = parts.iter().flatten().cloned().collect();
        if arrived.len() == begun {
            return Ok(arrived);
        }
        let reason = format!("{} of {begun} parts have arrived", arrived.len());
        Err(self.error(Failure::Impossible { operation: Some(Operation::CompleteMultipartUpload), reason }))
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(self.location.as_ref())
    }
}

/// S3 counts from 1. The number of parts is bounded far below what does not fit.
fn part_number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1)
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        // The number is decided here and now: parts may be sent in any order.
        let (index, state) = (self.begun, Arc::clone(&self.state));
        self.begun += 1;
        Box::pin(async move {
            if index >= MAX_PARTS {
                let reason = format!("part {} was begun, and S3 takes {MAX_PARTS}", index + 1);
                let operation = Some(Operation::UploadPart);
                return Err(state.error(Failure::Impossible { operation, reason }));
            }
            state.send_part(index, payload).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.begun == 0 {
            // An object of no parts is refused; one of an empty part is empty.
            self.put_part(PutPayload::new()).await?;
        }
        let state = &self.state;
        let parts = state.whole(self.begun)?;
        let part_checksums = parts.iter().filter_map(|part| part.checksum.clone()).collect();
        let completed = parts.into_iter().enumerate().map(|(index, part)| CompletedPart {
            e_tag: Some(part.e_tag),
            part_number: Some(part_number(index)),
        });
        let request = CompleteMultipartUploadRequest {
            bucket: state.connection.settings.bucket.clone(),
            key: state.location.to_string(),
            upload_id: state.id.clone(),
            multipart_upload: Some(CompletedMultipartUpload { parts: Some(completed.collect()) }),
            request_payer: state.connection.request_payer(),
            ..CompleteMultipartUploadRequest::default()
        };
        let operation = Operation::CompleteMultipartUpload;
        let extras = Extras { part_checksums, ..Extras::default() };
        let ask =
            |client: rusoto_s3::S3Client| async move { client.complete_multipart_upload(request).await };
        let output = state.connection.call(operation, extras, ask).await.map_err(|it| state.error(it))?;
        let e_tag = e_tag(output.e_tag, operation).map_err(|it| state.error(it))?;
        Ok(PutResult { e_tag: Some(e_tag), version: output.version_id, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        let state = &self.state;
        let request = AbortMultipartUploadRequest {
            bucket: state.connection.settings.bucket.clone(),
            key: state.location.to_string(),
            upload_id: state.id.clone(),
            request_payer: state.connection.request_payer(),
            ..AbortMultipartUploadRequest::default()
        };
        let ask = |client: rusoto_s3::S3Client| async move { client.abort_multipart_upload(request).await };
        let aborted = state.connection.call(Operation::AbortMultipartUpload, Extras::default(), ask).await;
        match aborted {
            // It is gone, which is what was wanted; the answer to an earlier attempt may have been lost.
            Err(failure) if failure.describe(None).kind == S3ErrorKind::UploadMissing => Ok(()),
            other => other.map(|_| ()).map_err(|it| state.error(it)),
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upload").field("location", &self.state.location).finish_non_exhaustive()
    }
}
