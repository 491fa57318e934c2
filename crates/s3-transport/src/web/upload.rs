//! What a PUT says beyond object_store's words: under which condition, and a body that is read while it is sent.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::HeaderValue;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use reqwest::header::{CONTENT_LENGTH, HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, Method, StatusCode, Url};

use crate::wire::{Progress, watched};

/// The most that is read of what a server says of an upload.
const MOST_WORDS: usize = 64 * 1024;

tokio::task_local! {
    /// What the PUT that this task is about to make, and each of its attempts, has in addition: object_store hands neither
    /// conditions nor streams down to whoever sends requests.
    static ADDITION: Addition;
}

/// A body that is made anew for each attempt, so that nothing of it has to be kept.
#[derive(Clone)]
pub struct StreamedBody {
    size: u64,
    chunks: Arc<dyn Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync>,
}

impl StreamedBody {
    /// A body of `size` bytes, as `chunks` gives them, each time that it is called.
    pub fn new(
        size: u64,
        chunks: impl Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self { size, chunks: Arc::new(chunks) }
    }
}

impl fmt::Debug for StreamedBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamedBody").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What a PUT has in addition.
#[derive(Clone, Debug, Default)]
pub(super) struct Addition {
    pub(super) condition: Option<Condition>,
    pub(super) body: Option<StreamedBody>,
}

/// When a PUT is to have an effect.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Absent,
    Unchanged(HeaderValue),
}

/// The server has no conditions.
#[derive(Debug, thiserror::Error)]
#[error("the server answers {status} to a condition")]
pub(super) struct NoConditions {
    status: StatusCode,
}

impl Addition {
    /// Makes the requests of `putting`, with this in addition.
    pub(super) async fn with<T>(self, putting: impl Future<Output = T>) -> T {
        ADDITION.scope(self, putting).await
    }

    /// What the request that this task makes has in addition.
    pub(super) fn of(request: &HttpRequest) -> Self {
        if request.method() != Method::PUT {
            return Self::default();
        }
        ADDITION.try_with(Clone::clone).unwrap_or_default()
    }

    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.condition.as_ref().map(|condition| match condition {
            Condition::Absent => (IF_NONE_MATCH, HeaderValue::from_static("*")),
            Condition::Unchanged(tag) => (IF_MATCH, tag.clone()),
        })
    }

    /// That the server did not stumble over the condition: these answers are no failure that passes.
    pub(super) fn check(&self, response: &HttpResponse) -> Result<(), HttpError> {
        match response.status() {
            status @ (StatusCode::BAD_REQUEST | StatusCode::NOT_IMPLEMENTED) if self.condition.is_some() => {
                Err(HttpError::new(HttpErrorKind::Unknown, NoConditions { status }))
            }
            _ => Ok(()),
        }
    }
}

/// Sends `request` with `body` in place of its own.
pub(super) async fn send_streamed(
    client: &Client,
    request: HttpRequest,
    url: Url,
    body: &StreamedBody,
    stall: Option<Duration>,
) -> Result<HttpResponse, HttpError> {
    let progress = Arc::new(Progress::new());
    let (parts, _) = request.into_parts();
    let mut sent = reqwest::Request::new(parts.method, url);
    *sent.headers_mut() = parts.headers;
    sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.size));
    let moving = Arc::clone(&progress);
    let chunks = (body.chunks)().inspect_ok(move |_| moving.advance());
    *sent.body_mut() = Some(reqwest::Body::wrap_stream(chunks));
    let response = watched(client.execute(sent), &progress, stall).await?.map_err(broken)?;
    let mut answer = HttpResponse::new(Bytes::new().into());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    let mut words = Vec::new();
    let mut coming = response.bytes_stream();
    progress.advance();
    while words.len() < MOST_WORDS
        && let Some(chunk) = watched(coming.try_next(), &progress, stall).await?.map_err(broken)?
    {
        progress.advance();
        words.extend_from_slice(&chunk);
    }
    *answer.body_mut() = words.into();
    Ok(answer)
}

/// A PUT of a whole object may be made twice, so whatever broke is worth another attempt.
fn broken(error: reqwest::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
