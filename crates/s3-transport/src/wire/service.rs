//! One request, one answer: what is watched and what is changed on the way.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService};
use reqwest::{Client, StatusCode};
use tracing::{Instrument, Span, debug_span, field};

use super::answer::Answer;
use super::{Operation, TransportError};
use crate::credentials::CredentialCache;
use crate::stats::RequestStats;

/// A refusal's body beyond this many bytes is not read. S3's are below 1 KiB.
const REFUSAL_LIMIT: usize = 64 << 10;

/// No document of S3 is longer, in bytes: a page of a listing has 1000 keys of at most 1 KiB, percent-encoded at worst.
const DOCUMENT_LIMIT: usize = 16 << 20;

/// Sends requests.
pub(super) struct Service {
    client: Client,
    stats: Arc<RequestStats>,
    credentials: Option<Arc<CredentialCache>>,
}

impl Service {
    pub(super) fn new(
        client: Client,
        stats: Arc<RequestStats>,
        credentials: Option<Arc<CredentialCache>>,
    ) -> Self {
        Service { client, stats, credentials }
    }

    async fn send(&self, operation: Operation, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        self.stats.sent(operation, request.body().content_length() as u64);
        let response = self.client.call(request).await.map_err(|error| {
            self.stats.broke();
            TransportError::wrap(operation, host.clone(), error)
        })?;
        let status = response.status();
        let length = if operation == Operation::HeadObject { 0 } else { content_length(&response) };
        self.stats.answered(status.as_u16(), length);
        let span = Span::current();
        span.record("status", status.as_u16());
        if let Some(id) = response.headers().get("x-amz-request-id").and_then(|id| id.to_str().ok()) {
            span.record("request_id", id);
        }
        if status == StatusCode::NOT_MODIFIED || (status.is_success() && operation.streams()) {
            Ok(response)
        } else if status.is_success() {
            document(operation, host, response).await
        } else {
            Ok(self.refusal(operation, response).await)
        }
    }

    /// A refusal, with all its facts in the body.
    async fn refusal(&self, operation: Operation, response: HttpResponse) -> HttpResponse {
        let status = response.status();
        let (mut parts, body) = response.into_parts();
        let body = read_up_to(body, REFUSAL_LIMIT).await;
        let answer =
            Answer::read(operation, status.as_u16(), &parts.headers, &String::from_utf8_lossy(&body.bytes));
        tracing::debug!(
            operation = operation.as_str(),
            status = status.as_u16(),
            code = answer.code,
            message = answer.message,
            request_id = answer.request_id,
            "S3 refused a request"
        );
        if let Some(credentials) = &self.credentials
            && matches!(
                answer.code.as_deref(),
                Some("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
            )
        {
            credentials.forget();
        }
        if status.is_redirection() {
            // object_store drops a redirect's body, and with it where the bucket is.
            parts.status = StatusCode::MISDIRECTED_REQUEST;
        }
        HttpResponse::from_parts(parts, answer.to_xml().into())
    }
}

/// A success with a document, which may turn out to be an error: S3 begins some answers before it knows how they end.
async fn document(
    operation: Operation,
    host: String,
    response: HttpResponse,
) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = response.into_parts();
    let body = read_up_to(body, DOCUMENT_LIMIT).await;
    if let Some(error) = body.error {
        return Err(TransportError::wrap(operation, host, error));
    }
    if body.more {
        return Err(TransportError::too_long(operation, host, DOCUMENT_LIMIT));
    }
    if !is_error_document(&body.bytes) {
        return Ok(HttpResponse::from_parts(parts, body.bytes.into()));
    }
    let text = String::from_utf8_lossy(&body.bytes);
    let mut answer = Answer::read(operation, parts.status.as_u16(), &parts.headers, &text);
    parts.status = status_of(answer.code.as_deref());
    answer.status = Some(parts.status.as_u16());
    Ok(HttpResponse::from_parts(parts, answer.to_xml().into()))
}

/// Whether the document's root is `Error`.
fn is_error_document(body: &[u8]) -> bool {
    let mut text = body.trim_ascii_start();
    if let Some(declaration) = text.strip_prefix(b"<?xml") {
        let end = declaration.windows(2).position(|pair| pair == b"?>");
        text = end.and_then(|end| declaration.get(end + 2..)).unwrap_or_default().trim_ascii_start();
    }
    text.starts_with(b"<Error>") || text.starts_with(b"<Error ")
}

/// The status that an error in a success should have had. Only the ones that are worth a retry matter.
fn status_of(code: Option<&str>) -> StatusCode {
    match code {
        Some("InternalError") => StatusCode::INTERNAL_SERVER_ERROR,
        Some("SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "Busy") => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Some("NoSuchKey" | "NoSuchBucket" | "NoSuchUpload") => StatusCode::NOT_FOUND,
        Some("PreconditionFailed") => StatusCode::PRECONDITION_FAILED,
        Some("AccessDenied") => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The beginning of a body.
struct Beginning {
    bytes: Bytes,
    /// There is more.
    more: bool,
    /// It broke off.
    error: Option<HttpError>,
}

async fn read_up_to(body: HttpResponseBody, limit: usize) -> Beginning {
    let mut stream = body.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) if bytes.len() + chunk.len() > limit => {
                let room = limit - bytes.len();
                bytes.extend_from_slice(chunk.get(..room).unwrap_or_default());
                return Beginning { bytes: bytes.freeze(), more: true, error: None };
            }
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => return Beginning { bytes: bytes.freeze(), more: false, error: Some(error) },
        }
    }
    Beginning { bytes: bytes.freeze(), more: false, error: None }
}

fn content_length(response: &HttpResponse) -> u64 {
    let header = response.headers().get("content-length").and_then(|length| length.to_str().ok());
    header.and_then(|length| length.parse().ok()).unwrap_or(0)
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let operation = Operation::of(&request);
        let span = debug_span!(
            "s3",
            operation = operation.as_str(),
            path = request.uri().path(),
            bytes = request.body().content_length(),
            status = field::Empty,
            request_id = field::Empty,
        );
        self.send(operation, request).instrument(span).await
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_told_from_others() {
        for body in
            ["<Error><Code>x</Code></Error>", "<?xml version=\"1.0\"?>\n<Error>", "\n  <Error xmlns='a'>"]
        {
            assert!(is_error_document(body.as_bytes()), "{body}");
        }
        for body in ["", "<ListBucketResult><Error></Error>", "<?xml", "<Errors>", "<DeleteResult><Error>"] {
            assert!(!is_error_document(body.as_bytes()), "{body}");
        }
    }
}
