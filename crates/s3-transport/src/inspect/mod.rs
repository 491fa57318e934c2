//! Looking after a bucket: what is known of the credentials, the server's clock, the bucket's region, and uploads in parts
//! that nobody completed. object_store has no requests for these.
//!
//! They go over the same HTTP client, with the same credentials, as everything else, whichever S3 client is chosen.

mod document;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::DateTime;
use futures::TryStreamExt;
use nars3_store_url::S3Settings;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody};
use object_store::{ClientOptions, HeaderMap};
use reqwest::Method;

use crate::credentials::Access;
use crate::environment::Environment;
use crate::error::{S3Error, S3ErrorKind, S3OpenError};
use crate::open::Reach;
use crate::wire::{Answer, Operation, TransportError};
use crate::{CredentialFacts, CredentialsError, ProviderAttempt};

/// The IAM action of ListMultipartUploads.
const LIST_UPLOADS: &str = "s3:ListBucketMultipartUploads";

/// The most pages of uploads, of a thousand each, that are read.
const MOST_PAGES: usize = 100;

/// No page of uploads is longer, in bytes: it has 1000 keys of at most 1 KiB, percent-encoded at worst.
const LONGEST_PAGE: usize = 8 << 20;

/// How the requests to a bucket are made.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Identity {
    /// Signed.
    Signed(CredentialFacts),
    /// Not signed: the settings want it so, or no provider is configured.
    Anonymous {
        /// What each provider said; empty if none was asked.
        tried: Arc<[ProviderAttempt]>,
    },
}

/// What a server says of itself and of a bucket, also where it refuses.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BucketFacts {
    /// The server's clock when it answered, to the second.
    pub date: Option<SystemTime>,
    /// The bucket's region, where the server says it.
    pub region: Option<String>,
    /// Why it refused, if it did. Without `s3:ListBucket` this is what AWS does.
    pub refusal: Option<S3Error>,
}

/// An upload in parts that was begun, and neither completed nor aborted. Its parts cost money until it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PendingUpload {
    /// The object's key in the bucket, the store's prefix included.
    pub key: String,
    /// The upload's id.
    pub upload_id: String,
    /// When it was begun, by the server's clock.
    pub initiated: Option<SystemTime>,
}

/// The uploads of a bucket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PendingUploads {
    /// Them, by key.
    pub uploads: Vec<PendingUpload>,
    /// Whether there are more than were read.
    pub more: bool,
}

/// Requests about a bucket that are not about its objects.
pub struct Inspector {
    http: HttpClient,
    access: Access,
    /// The bucket's URL, without a slash at its end.
    url: String,
}

impl Inspector {
    /// Takes the same settings as `open`, and makes no request to the bucket either.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open(settings: &S3Settings, environment: &Environment) -> Result<Self, S3OpenError> {
        let Reach { url, access, connector } = Reach::of(settings, environment).await?;
        let http = connector
            .connect(&ClientOptions::new())
            .map_err(|source| S3OpenError::HttpClient { source: source.into() })?;
        Ok(Inspector { http, access, url })
    }

    /// The bucket's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// With what requests are signed.
    pub fn identity(&self) -> Identity {
        match &self.access {
            Access::Anonymous(tried) => Identity::Anonymous { tried: Arc::clone(tried) },
            Access::Signed(cache) => match cache.facts() {
                Some(facts) => Identity::Signed(facts),
                // The server has called them expired meanwhile.
                None => Identity::Anonymous { tried: Arc::new([]) },
            },
        }
    }

    /// Asks for the bucket itself (HeadBucket).
    ///
    /// # Errors
    /// Only where there is no answer; a refusal is one.
    pub async fn bucket(&self) -> Result<BucketFacts, S3Error> {
        let answer = self.send(&Method::HEAD, "").await?;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let date = header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(Into::into);
        let mut region = header("x-amz-bucket-region").map(str::to_owned);
        let refusal = answer.refusal.map(|refused| {
            region = region.take().or_else(|| refused.region.clone());
            refused.describe(None, "s3:ListBucket")
        });
        Ok(BucketFacts { date, region, refusal })
    }

    /// The uploads in parts that are under way or left behind, of the whole bucket: MinIO finds none below a prefix.
    ///
    /// # Errors
    /// Refusals (the action is `s3:ListBucketMultipartUploads`), no answer, or one that is not of S3.
    pub async fn uploads(&self) -> Result<PendingUploads, S3Error> {
        let mut found = PendingUploads::default();
        let mut after: Option<(String, String)> = None;
        for _ in 0..MOST_PAGES {
            let mut query = String::from("?encoding-type=url");
            if let Some((key, upload)) = &after {
                query.push_str(&format!("&key-marker={}&upload-id-marker={}", encode(key), encode(upload)));
            }
            // The query is signed in the order of its names, which is that of these.
            query.push_str("&uploads=");
            let text = self.ask(&Method::GET, &query, None, LIST_UPLOADS).await?;
            let page = document::page(&text).ok_or_else(|| unreadable(&text))?;
            found.uploads.extend(page.uploads);
            match page.next {
                // A server that repeats itself would be asked for ever.
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(found),
            }
        }
        found.more = true;
        Ok(found)
    }

    /// Ends an upload and drops its parts. One that is gone already is no error.
    ///
    /// # Errors
    /// Refusals, or no answer.
    pub async fn abort(&self, upload: &PendingUpload) -> Result<(), S3Error> {
        let key: Vec<String> = upload.key.split('/').map(encode).collect();
        let target = format!("/{}?uploadId={}", key.join("/"), encode(&upload.upload_id));
        let action = Operation::AbortMultipartUpload.iam_action();
        match self.ask(&Method::DELETE, &target, Some(&upload.key), action).await {
            Err(error) if error.kind != S3ErrorKind::UploadMissing => Err(error),
            _ => Ok(()),
        }
    }

    /// A request whose refusal is an error.
    async fn ask(
        &self,
        method: &Method,
        target: &str,
        key: Option<&str>,
        action: &'static str,
    ) -> Result<String, S3Error> {
        match self.send(method, target).await? {
            Reply { refusal: None, body, .. } => Ok(body),
            Reply { refusal: Some(refused), .. } => Err(refused.describe(key, action)),
        }
    }

    /// Sends a request; the wire below signs it, repeats it, and follows the bucket to its region.
    async fn send(&self, method: &Method, target: &str) -> Result<Reply, S3Error> {
        let request = self.request(method, target)?;
        let response = self.http.execute(request).await.map_err(|error| broken(&error))?;
        let (parts, body) = response.into_parts();
        let mut chunks = body.bytes_stream();
        let mut body = Vec::new();
        while let Some(chunk) = chunks.try_next().await.map_err(|error| broken(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_PAGE {
                return Err(unreadable("more than any page has"));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let refusal = (!parts.status.is_success()).then(|| {
            let answer = Answer::find(&text)
                .unwrap_or_else(|| Answer { status: Some(parts.status.as_u16()), ..Answer::default() });
            Refused { region: answer.region.clone(), answer }
        });
        Ok(Reply { headers: parts.headers, body: text, refusal })
    }

    fn request(&self, method: &Method, target: &str) -> Result<HttpRequest, S3Error> {
        // A host alone has no path, and then a query would follow it at once.
        let slash = if target.starts_with('/') || self.url_has_path() { "" } else { "/" };
        let uri = format!("{}{slash}{target}", self.url);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.parse().map_err(|error| S3Error {
            message: Some(format!("'{uri}': {error}")),
            ..S3Error::new(S3ErrorKind::InvalidRequest)
        })?;
        Ok(request)
    }

    fn url_has_path(&self) -> bool {
        self.url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inspector").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An answer, good or bad.
struct Reply {
    headers: HeaderMap,
    body: String,
    refusal: Option<Refused>,
}

struct Refused {
    answer: Answer,
    region: Option<String>,
}

impl Refused {
    /// The refusal in S3's terms. The HTTP client knows object_store's operations only, so the action is ours.
    fn describe(mut self, key: Option<&str>, action: &'static str) -> S3Error {
        self.answer.operation = None;
        let mut error = S3Error::of_answer(self.answer, key.map(str::to_owned));
        if let S3ErrorKind::Forbidden { action: missing } = &mut error.kind {
            *missing = Some(action);
        }
        error
    }
}

/// An error without an answer.
fn broken(error: &HttpError) -> S3Error {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<CredentialsError>() {
            return S3Error::new(S3ErrorKind::NoCredentials(error.clone()));
        }
        if let Some(found) = error.downcast_ref::<TransportError>() {
            let (host, message) = (Some(found.host.clone()), Some(found.in_words()));
            return S3Error { host, message, ..S3Error::new(found.kind.into()) };
        }
        cause = error.source();
    }
    S3Error { message: Some(error.to_string()), ..S3Error::new(S3ErrorKind::ConnectionLost) }
}

fn unreadable(text: &str) -> S3Error {
    let beginning: String = text.chars().filter(|character| !character.is_control()).take(100).collect();
    let message = Some(format!("expected a list of uploads, not '{beginning}'"));
    S3Error { message, ..S3Error::new(S3ErrorKind::InvalidAnswer) }
}

/// Percent-encodes all but the unreserved characters, as signatures want it.
fn encode(text: impl AsRef<str>) -> String {
    let mut encoded = String::new();
    for byte in text.as_ref().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
