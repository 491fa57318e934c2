//! Reading an object: all of it, a part of it, or only what is said about it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectMeta, Result};
use rusoto_core::ByteStream;
use rusoto_s3::{GetObjectOutput, GetObjectRequest, HeadObjectRequest, S3};

use super::dispatcher::Connection;
use super::draft::Extras;
use super::failure::Failure;
use super::metadata::{Headers, content_range, header_date, range_header, to_header, unreadable, wanted};
use crate::wire::{CHECKSUM_MODE, Operation};

/// An answer to a read.
struct Fetched {
    meta: ObjectMeta,
    /// The bytes that come.
    range: Range<u64>,
    headers: Headers,
    body: Option<ByteStream>,
}

impl Connection {
    pub(super) async fn read(self: &Arc<Self>, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fetched = if options.head {
            self.head(location, &options).await
        } else {
            self.fetch(location, &options).await
        };
        let fetched = fetched.map_err(|failure| failure.into_error(location.as_ref()))?;
        let Fetched { meta, range, headers, body } = fetched;
        let payload = match body {
            None => stream::empty().boxed(),
            Some(body) => contents(body, location.clone()),
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: headers.into_attributes(),
            extensions: Default::default(),
        })
    }

    async fn fetch(self: &Arc<Self>, location: &Path, options: &GetOptions) -> Result<Fetched, Failure> {
        let operation = Operation::GetObject;
        check_range(options, operation)?;
        let request = GetObjectRequest {
            bucket: self.settings.bucket.clone(),
            key: location.to_string(),
            if_match: options.if_match.clone(),
            if_none_match: options.if_none_match.clone(),
            if_modified_since: options.if_modified_since.map(to_header),
            if_unmodified_since: options.if_unmodified_since.map(to_header),
            range: options.range.as_ref().map(range_header),
            version_id: options.version.clone(),
            request_payer: self.request_payer(),
            ..GetObjectRequest::default()
        };
        let ask = |client: rusoto_s3::S3Client| async move { client.get_object(request).await };
        let mut extras = Extras::default();
        if self.has_checksums() {
            let (name, value) = CHECKSUM_MODE;
            extras.headers.push((name, value.to_owned()));
        }
        let mut output = self.call(operation, extras, ask).await?;
        let body = output.body.take();
        let (range, size) = range_and_size(&output, options)?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: header_date(output.last_modified.as_deref(), operation)?,
            size,
            e_tag: output.e_tag,
            version: output.version_id,
        };
        let headers = Headers {
            cache_control: output.cache_control,
            content_disposition: output.content_disposition,
            content_encoding: output.content_encoding,
            content_language: output.content_language,
            content_type: output.content_type,
            storage_class: None,
            metadata: output.metadata,
        };
        Ok(Fetched { meta, range, headers, body })
    }

    async fn head(self: &Arc<Self>, location: &Path, options: &GetOptions) -> Result<Fetched, Failure> {
        let operation = Operation::HeadObject;
        check_range(options, operation)?;
        let request = HeadObjectRequest {
            bucket: self.settings.bucket.clone(),
            key: location.to_string(),
            if_match: options.if_match.clone(),
            if_none_match: options.if_none_match.clone(),
            if_modified_since: options.if_modified_since.map(to_header),
            if_unmodified_since: options.if_unmodified_since.map(to_header),
            version_id: options.version.clone(),
            request_payer: self.request_payer(),
            ..HeadObjectRequest::default()
        };
        let ask = |client: rusoto_s3::S3Client| async move { client.head_object(request).await };
        let output = self.call(operation, Extras::default(), ask).await?;
        let size = size(output.content_length, operation)?;
        let range = wanted(options, size)
            .map_err(|reason| Failure::Impossible { operation: Some(operation), reason })?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: header_date(output.last_modified.as_deref(), operation)?,
            size,
            e_tag: output.e_tag,
            version: output.version_id,
        };
        let headers = Headers {
            cache_control: output.cache_control,
            content_disposition: output.content_disposition,
            content_encoding: output.content_encoding,
            content_language: output.content_language,
            content_type: output.content_type,
            storage_class: None,
            metadata: output.metadata,
        };
        Ok(Fetched { meta, range, headers, body: None })
    }

    pub(super) fn request_payer(&self) -> Option<String> {
        self.settings.requester_pays.then(|| "requester".to_owned())
    }
}

fn check_range(options: &GetOptions, operation: Operation) -> Result<(), Failure> {
    let Some(range) = &options.range else { return Ok(()) };
    range
        .is_valid()
        .map_err(|error| Failure::Impossible { operation: Some(operation), reason: error.to_string() })
}

fn size(content_length: Option<i64>, operation: Operation) -> Result<u64, Failure> {
    content_length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| Failure::Unreadable {
        operation,
        status: None,
        reason: "the answer does not say how long the object is".to_owned(),
    })
}

/// The bytes that come, and the size of the whole object; they must be the bytes that were asked for.
fn range_and_size(output: &GetObjectOutput, options: &GetOptions) -> Result<(Range<u64>, u64), Failure> {
    let operation = Operation::GetObject;
    if options.range.is_none() {
        let size = size(output.content_length, operation)?;
        return Ok((0..size, size));
    }
    let text = output.content_range.as_deref().unwrap_or_default();
    let wrong = |why: &str| unreadable(operation, "Content-Range", text, why);
    let (range, size) = content_range(text).ok_or_else(|| wrong("a part of the object was asked for"))?;
    let expected = wanted(options, size).map_err(|reason| wrong(&reason))?;
    if range != expected {
        return Err(wrong(&format!("bytes {} to {} were asked for", expected.start, expected.end)));
    }
    Ok((range, size))
}

/// The contents of an object. The wire has seen to it that they are whole, or that the last thing is an error.
fn contents(body: ByteStream, location: Path) -> BoxStream<'static, Result<Bytes>> {
    let error = move |error: io::Error| {
        let inner = error.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<HttpError>);
        let failure = match inner {
            Some(Ok(error)) => Failure::of_error(*error),
            _ => Failure::Broken(HttpError::new(
                HttpErrorKind::Interrupted,
                io::Error::from(io::ErrorKind::Other),
            )),
        };
        failure.into_error(location.as_ref())
    };
    body.map(move |chunk| chunk.map_err(&error)).boxed()
}
