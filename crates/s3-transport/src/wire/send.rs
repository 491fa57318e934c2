//! A request from its first attempt to its last, for both clients: signed anew each time, at the pace that the server
//! bears, in the region where the bucket is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use nars3_store_url::S3Settings;
use object_store::client::{HttpError, HttpResponse};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode};
use tracing::{Instrument, Span, debug_span, field};

use super::body::{content_range, resuming, streamed};
use super::deletion::{self, Fates};
use super::document;
use super::draft::Draft;
use super::exchange::{Chunks, Exchanged, exchange};
use super::pace::Pace;
use super::page;
use super::policy::{self, Tries, Verdict};
use super::proof::Proof;
use super::special;
use super::transport_error::{About, Break};
use super::{Answer, Operation, Target, TransportErrorKind};
use crate::credentials::CredentialCache;
use crate::stats::RequestStats;

/// A refusal's body beyond this many bytes is not read. S3's are below 1 KiB.
const REFUSAL_LIMIT: usize = 64 << 10;

/// No document of S3 is longer, in bytes: a page of a listing has 1000 keys of at most 1 KiB, percent-encoded at worst.
const DOCUMENT_LIMIT: usize = 16 << 20;

/// What all requests of one client share.
pub(crate) struct Wire {
    client: Client,
    pub(super) settings: S3Settings,
    target: Mutex<Target>,
    /// Whether somebody was told that the settings name the wrong region.
    hinted: AtomicBool,
    /// Whether the server has said that it deletes one object at a time only.
    deletes_singly: AtomicBool,
    pace: Pace,
    pub(super) stats: Arc<RequestStats>,
    credentials: Option<Arc<CredentialCache>>,
}

/// What one attempt came to.
pub(super) enum Outcome {
    /// A good answer.
    Done(Exchanged),
    /// A bad one.
    Refused(Box<Refusal>),
    /// None.
    Broken(Break),
}

/// A refusal, read to its end.
pub(super) struct Refusal {
    pub(super) answer: Answer,
    pub(super) headers: object_store::HeaderMap,
    pub(super) retry_after: Option<Duration>,
    /// What a batch came to all the same: what of it was refused may pass, and the rest is done.
    pub(super) fates: Option<Bytes>,
}

impl Wire {
    pub(super) fn new(
        client: Client,
        settings: S3Settings,
        target: Target,
        stats: Arc<RequestStats>,
        credentials: Option<Arc<CredentialCache>>,
    ) -> Self {
        Wire {
            client,
            settings,
            target: Mutex::new(target),
            hinted: AtomicBool::new(false),
            deletes_singly: AtomicBool::new(false),
            pace: Pace::default(),
            stats,
            credentials,
        }
    }

    /// Where the bucket is, as far as is known.
    pub(crate) fn target(&self) -> Target {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a request, in as many attempts as it takes and the settings allow.
    ///
    /// A refusal comes as a response whose body is the document that `Answer` reads.
    ///
    /// # Errors
    /// There is no answer, or the request cannot be made at all.
    pub(crate) fn send(
        self: &Arc<Self>,
        draft: Arc<dyn Draft>,
    ) -> BoxFuture<'static, Result<HttpResponse, HttpError>> {
        let span = debug_span!(
            "s3",
            operation = draft.operation().as_str(),
            bucket = self.settings.bucket,
            key = draft.key(),
            bytes = field::Empty,
            attempts = field::Empty,
            status = field::Empty,
            request_id = field::Empty,
        );
        if draft.body_len() > 0 {
            span.record("bytes", draft.body_len());
        }
        let wire = Arc::clone(self);
        async move { wire.try_until_done(&draft).await }.instrument(span).boxed()
    }

    async fn try_until_done(self: &Arc<Self>, draft: &Arc<dyn Draft>) -> Result<HttpResponse, HttpError> {
        let operation = draft.operation();
        if operation == Operation::DeleteObjects && self.deletes_singly.load(Ordering::Relaxed) {
            return deletion::one_by_one(self, &**draft).await;
        }
        let begun = Instant::now();
        let mut tries = Tries::since(begun, 0, &self.settings.transfer);
        let (mut renewed, mut moved) = (false, false);
        loop {
            tries.attempts += 1;
            Span::current().record("attempts", tries.attempts);
            if tries.attempts > 1 {
                self.stats.retried();
            }
            let target = self.target();
            let mut outcome = self.attempt(&**draft, &target).await?;
            if let Outcome::Done(exchanged) = outcome {
                outcome = self.contents(draft, exchanged, begun, tries.attempts).await?;
            }
            let (verdict, retry_after) = match &outcome {
                Outcome::Done(_) => (Verdict::Final, None),
                Outcome::Broken(broken) => (policy::of_break(broken.kind), None),
                Outcome::Refused(refusal) => {
                    if !moved && self.follow(&refusal.answer, &target) {
                        moved = true;
                        continue;
                    }
                    let verdict = policy::of_refusal(&refusal.answer);
                    if verdict == Verdict::Expired && !renewed && self.credentials.is_some() {
                        // The cache has forgotten them.
                        renewed = true;
                        continue;
                    }
                    (verdict, refusal.retry_after)
                }
            };
            if let Some(delay) = tries.delay(verdict, retry_after) {
                tracing::debug!(
                    attempts = tries.attempts,
                    ?delay,
                    reason = outcome.in_words(),
                    "trying again"
                );
                tokio::time::sleep(delay).await;
                continue;
            }
            return match outcome {
                Outcome::Done(exchanged) => {
                    Ok(response(exchanged.status, exchanged.headers, exchanged.chunks))
                }
                Outcome::Broken(broken) => {
                    Err(self.failed(broken, &**draft, tries.attempts, tries.elapsed()))
                }
                Outcome::Refused(mut refusal) => {
                    if let Some(fates) = refusal.fates.take() {
                        // Each key has its own error.
                        return Ok(response(StatusCode::OK, refusal.headers, once(fates)));
                    }
                    if let Some(instead) = special::instead(self, &**draft, &refusal).await? {
                        return Ok(instead);
                    }
                    Ok(self.refused(*refusal, &**draft, tries.attempts, tries.elapsed()))
                }
            };
        }
    }

    /// The contents of an object, taken up again where they break off; those of a small one are read here, and compared with
    /// what the answer says of them.
    async fn contents(
        self: &Arc<Self>,
        draft: &Arc<dyn Draft>,
        mut exchanged: Exchanged,
        begun: Instant,
        attempts: u32,
    ) -> Result<Outcome, HttpError> {
        if draft.operation() != Operation::GetObject || !exchanged.status.is_success() {
            return Ok(Outcome::Done(exchanged));
        }
        let mut chunks = resuming(self, draft, &mut exchanged, begun, attempts);
        let proof = Proof::of(&self.settings.bucket, &exchanged.headers);
        let Some(proof) = proof.filter(|_| !is_nar(draft.key())) else {
            return Ok(Outcome::Done(Exchanged { chunks, ..exchanged }));
        };
        // No longer than announced, which is little.
        let mut contents = BytesMut::new();
        while let Some(chunk) = chunks.try_next().await? {
            contents.extend_from_slice(&chunk);
        }
        let contents = contents.freeze();
        Ok(match proof.check(contents.clone()).await? {
            Ok(()) => Outcome::Done(Exchanged { chunks: once(contents), ..exchanged }),
            Err(reason) => self.broke(Break::of_answer(TransportErrorKind::Damaged, reason)),
        })
    }

    /// One attempt: wait for a turn, sign, send, and read what is not the body of an object.
    pub(super) async fn attempt(&self, draft: &dyn Draft, target: &Target) -> Result<Outcome, HttpError> {
        let operation = draft.operation();
        self.pace.turn().await;
        let request = draft.sign(target).await?;
        let signature = request.headers().get(AUTHORIZATION).cloned();
        self.stats.sent(operation, draft.body_len());
        let stall = self.settings.transfer.stalled_download_timeout;
        let exchanged = match exchange(&self.client, request, stall, operation.streams()).await {
            Ok(exchanged) => exchanged,
            Err(error) => return Ok(self.broke(Break::of(error))),
        };
        Span::current().record("status", exchanged.status.as_u16());
        if let Some(id) = exchanged.headers.get("x-amz-request-id").and_then(|id| id.to_str().ok()) {
            Span::current().record("request_id", id);
        }
        let outcome = if exchanged.status == StatusCode::NOT_MODIFIED {
            Outcome::Done(Exchanged { chunks: futures::stream::empty().boxed(), ..exchanged })
        } else if !exchanged.status.is_success() {
            self.read_refusal(operation, exchanged).await
        } else if operation.streams() && !has_sound_range(&exchanged.headers) {
            let reason = "the answer's Content-Range is none".to_owned();
            self.broke(Break::of_answer(TransportErrorKind::Unreadable, reason))
        } else if operation.streams() {
            Outcome::Done(exchanged)
        } else {
            self.read_document(draft, exchanged).await
        };
        match &outcome {
            Outcome::Refused(refusal) if policy::of_refusal(&refusal.answer) == Verdict::Expired => {
                if let (Some(credentials), Some(key_id)) = (&self.credentials, signed_by(signature.as_ref()))
                {
                    credentials.forget(key_id);
                }
            }
            _ => {}
        }
        match &outcome {
            Outcome::Done(_) => {
                self.stats.answered(200, false);
                self.pace.answered();
            }
            Outcome::Broken(_) => {}
            Outcome::Refused(refusal) => {
                let throttled = policy::of_refusal(&refusal.answer) == Verdict::Throttled;
                self.stats.answered(refusal.answer.status.unwrap_or_default(), throttled);
                if throttled {
                    self.pace.throttled();
                } else {
                    self.pace.answered();
                }
            }
        }
        Ok(outcome)
    }

    /// Remembers that the server deletes one object at a time only.
    pub(super) fn delete_singly(&self) {
        if !self.deletes_singly.swap(true, Ordering::Relaxed) {
            tracing::debug!("the server knows no DeleteObjects, objects are deleted one by one");
        }
    }

    fn broke(&self, broken: Break) -> Outcome {
        self.stats.broke();
        Outcome::Broken(broken)
    }

    async fn read_refusal(&self, operation: Operation, exchanged: Exchanged) -> Outcome {
        let Exchanged { status, headers, chunks } = exchanged;
        let body = self.read_up_to(chunks, REFUSAL_LIMIT).await;
        let answer =
            Answer::read(operation, status.as_u16(), &headers, &String::from_utf8_lossy(&body.bytes));
        Outcome::Refused(self.take_note(answer, headers))
    }

    /// A success with a document, which may turn out to be an error: S3 begins some answers before it knows how they
    /// end. It may also be the beginning of a document, or something else altogether.
    async fn read_document(&self, draft: &dyn Draft, exchanged: Exchanged) -> Outcome {
        let operation = draft.operation();
        let Exchanged { status, mut headers, chunks } = exchanged;
        let body = self.read_up_to(chunks, DOCUMENT_LIMIT).await;
        if draft.body_len() == 0 {
            Span::current().record("bytes", body.bytes.len());
        }
        if let Some(error) = body.error {
            return self.broke(Break::of(error));
        }
        if body.more {
            let reason = format!("the answer is longer than {DOCUMENT_LIMIT} bytes");
            return self.broke(Break::of_answer(TransportErrorKind::TooLong, reason));
        }
        if document::is_error(&body.bytes) {
            let text = String::from_utf8_lossy(&body.bytes);
            let mut answer = Answer::read(operation, status.as_u16(), &headers, &text);
            answer.status = Some(document::status_of(answer.code.as_deref()));
            return Outcome::Refused(self.take_note(answer, headers));
        }
        if let Err(reason) = document::check(operation, &body.bytes) {
            return self.broke(Break::of_answer(TransportErrorKind::Unreadable, reason));
        }
        if document::root_of(operation).is_some() {
            // What is handed out may be longer or shorter than what the server sent.
            headers.remove("content-length");
        }
        let document = match operation {
            Operation::DeleteObjects => match Fates::read(&draft.document(), &body.bytes) {
                Err(reason) => return self.broke(Break::of_answer(TransportErrorKind::Unreadable, reason)),
                Ok(fates) => {
                    if let Some(code) = fates.passing() {
                        // Some were deleted, which can be done once more.
                        let answer = Answer {
                            status: Some(document::status_of(Some(code))),
                            code: Some(code.to_owned()),
                            ..Answer::read(operation, status.as_u16(), &headers, "")
                        };
                        let refusal = self.take_note(answer, headers);
                        return Outcome::Refused(Box::new(Refusal {
                            fates: Some(fates.document()),
                            ..*refusal
                        }));
                    }
                    fates.document()
                }
            },
            Operation::ListObjectsV2 => document::calmed(operation, page::addressable(body.bytes)),
            _ => document::calmed(operation, body.bytes),
        };
        Outcome::Done(Exchanged { status, headers, chunks: once(document) })
    }

    fn take_note(&self, answer: Answer, headers: object_store::HeaderMap) -> Box<Refusal> {
        tracing::debug!(
            operation = answer.operation.map(Operation::as_str),
            status = answer.status,
            code = answer.code,
            message = answer.message,
            request_id = answer.request_id,
            "S3 refused a request"
        );
        let retry_after = policy::retry_after(&headers, SystemTime::now());
        Box::new(Refusal { answer, headers, retry_after, fates: None })
    }

    /// Goes to the region that a refusal names. False if it names none, or the one that was asked.
    fn follow(&self, answer: &Answer, asked: &Target) -> bool {
        let Some(elsewhere) = asked.elsewhere(&self.settings, answer) else { return false };
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster.
        if *target == *asked {
            if !self.hinted.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    bucket = self.settings.bucket,
                    "the bucket is in region {}, not in {}: write region={} into the store URL, which saves a request",
                    elsewhere.region,
                    asked.region,
                    elsewhere.region
                );
            }
            *target = elsewhere;
        }
        true
    }

    /// A refusal, with all its facts in the body.
    fn refused(&self, refusal: Refusal, draft: &dyn Draft, attempts: u32, elapsed: Duration) -> HttpResponse {
        let Refusal { mut answer, headers, .. } = refusal;
        answer.bucket = Some(self.settings.bucket.clone());
        answer.key = Some(draft.key().to_owned()).filter(|key| !key.is_empty());
        answer.attempts = Some(attempts);
        answer.elapsed = Some(elapsed);
        let status = answer.status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = match status {
            // object_store drops a redirect's body, and with it where the bucket is.
            Some(status) if status.is_redirection() => StatusCode::MISDIRECTED_REQUEST,
            Some(status) if !status.is_success() => status,
            _ => StatusCode::BAD_REQUEST,
        };
        response(status, headers, once(answer.to_xml().into()))
    }

    /// The error of a request that ended without an answer.
    pub(super) fn failed(
        &self,
        broken: Break,
        draft: &dyn Draft,
        attempts: u32,
        elapsed: Duration,
    ) -> HttpError {
        let host = self.target().authority;
        let (operation, key, bucket) = (draft.operation(), draft.key(), self.settings.bucket.as_str());
        broken.into_error(About { operation, host: &host, bucket, key, attempts, elapsed })
    }

    pub(super) fn count(&self, chunk: &Result<Bytes, HttpError>) {
        if let Ok(chunk) = chunk {
            self.stats.received(chunk.len() as u64);
        }
    }

    async fn read_up_to(&self, mut chunks: Chunks, limit: usize) -> Beginning {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            self.count(&chunk);
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
}

impl Outcome {
    fn in_words(&self) -> String {
        match self {
            Outcome::Done(_) => String::new(),
            Outcome::Broken(broken) => broken.in_words(),
            Outcome::Refused(refusal) => refusal.answer.in_words(),
        }
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

/// The id of the key that a request was signed with.
fn signed_by(signature: Option<&HeaderValue>) -> Option<&str> {
    let (_, credential) = signature?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

/// Whether `Content-Range`, where there is one, is the range of an object: object_store's client computes with whatever is
/// written there.
fn has_sound_range(headers: &object_store::HeaderMap) -> bool {
    let range = headers.get("content-range");
    range.is_none_or(|range| range.to_str().ok().and_then(content_range).is_some())
}

fn once(bytes: Bytes) -> Chunks {
    futures::stream::once(async { Ok(bytes) }).boxed()
}

/// A response of these parts.
pub(super) fn response(status: StatusCode, headers: object_store::HeaderMap, chunks: Chunks) -> HttpResponse {
    let mut response = HttpResponse::new(streamed(chunks));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wire").field("bucket", &self.settings.bucket).finish_non_exhaustive()
    }
}

/// Whether a binary cache keeps a NAR under this key. Its hash is in its narinfo, and whoever reads it compares it as it streams:
/// to read it whole here, and to hash it once more, would only take time.
fn is_nar(key: &str) -> bool {
    key.starts_with("nar/") || key.contains("/nar/")
}
