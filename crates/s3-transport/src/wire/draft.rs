//! A request before it is signed, and the one of object_store's client.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use nars3_store_path::{Algorithm, Hash};
use object_store::CredentialProvider;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::exchange::pieces;
use super::{Operation, Target};
use crate::credentials::{Adapter, CredentialCache};

/// A body of more bytes is hashed on the blocking pool; fewer take less time than to get there.
pub(crate) const HASH_INLINE: usize = 64 << 10;

/// Headers that say which part of an object to read, and on which conditions.
const OF_READS: [&str; 5] =
    ["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// What a key has in a URL as it is; the rest is encoded, as signatures want it.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The header that has AWS say the checksum of an object with its contents.
pub(crate) const CHECKSUM_MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

/// A listing of no objects, its parameters in the order in which they are signed.
pub(crate) const LIST_NOTHING: [(&str, &str); 2] = [("list-type", "2"), ("max-keys", "0")];

/// Headers that are added to a request.
pub(crate) type Headers<'a> = &'a [(&'static str, String)];

/// A request that is not signed yet. Each attempt signs it anew, for its moment and for where the bucket is then.
#[async_trait]
pub(crate) trait Draft: Send + Sync {
    /// What it does.
    fn operation(&self) -> Operation;

    /// The key that it is about, not encoded; empty for the bucket itself.
    fn key(&self) -> &str;

    /// Bytes of the body.
    fn body_len(&self) -> u64;

    /// The body, where it is a document.
    fn document(&self) -> Bytes;

    /// The request of one attempt.
    ///
    /// # Errors
    /// There is nothing to sign with, or the request cannot be sent at all.
    async fn sign(&self, target: &Target) -> Result<HttpRequest, HttpError>;

    /// A read of the same object, with these headers instead of its own range and conditions.
    fn read(&self, method: ReadMethod, headers: Headers<'_>) -> Arc<dyn Draft>;

    /// The deletion of an object, for a request that is about the bucket.
    fn delete(&self, key: &str) -> Arc<dyn Draft>;

    /// A listing of nothing, for a request that is about the bucket.
    fn list_nothing(&self) -> Arc<dyn Draft>;
}

/// How to read an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadMethod {
    Get,
    Head,
}

#[cfg(feature = "rusoto")]
impl ReadMethod {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ReadMethod::Get => "GET",
            ReadMethod::Head => "HEAD",
        }
    }
}

/// Whether a header is about a read's range or conditions.
#[cfg(feature = "rusoto")]
pub(crate) fn is_of_reads(name: &str) -> bool {
    OF_READS.contains(&name)
}

/// A request that object_store made, which leaves signing to us.
pub(super) struct Made {
    operation: Operation,
    key: String,
    request: HttpRequest,
    /// SHA-256 of the body.
    digest: [u8; 32],
    signer: Arc<Signer>,
}

/// What signs object_store's requests; without credentials, nothing does.
pub(super) struct Signer {
    pub(super) credentials: Option<Arc<CredentialCache>>,
    pub(super) requester_pays: bool,
    /// Whether the server keeps checksums of objects, and is to say them with their contents.
    pub(super) has_checksums: bool,
}

impl Made {
    /// Takes over a request; `base` is the path in front of `/<key>`, not encoded.
    pub(super) async fn new(
        mut request: HttpRequest,
        base: &str,
        signer: Arc<Signer>,
    ) -> Result<Self, HttpError> {
        let digest = match given(&request) {
            Some(digest) => digest,
            None => digest(request.body().clone()).await?,
        };
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let key = path.strip_prefix(base).unwrap_or(&path).trim_start_matches('/').to_owned();
        let operation = Operation::of(&request, &key);
        if operation == Operation::GetObject && signer.has_checksums {
            let (name, value) = CHECKSUM_MODE;
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(Made { operation, key, request, digest, signer })
    }
}

/// The SHA-256 of the body, where whoever made the request knows it, or object_store has computed it for AWS to store. A wrong
/// one makes a signature that the server refuses.
fn given(request: &HttpRequest) -> Option<[u8; 32]> {
    let known = request.extensions().get::<Hash>();
    if let Some(hash) = known.filter(|hash| hash.algorithm() == Algorithm::Sha256) {
        return hash.as_bytes().try_into().ok();
    }
    let header = request.headers().get("x-amz-checksum-sha256")?;
    BASE64.decode(header.as_bytes()).ok()?.try_into().ok()
}

async fn digest(body: HttpRequestBody) -> Result<[u8; 32], HttpError> {
    let length = body.content_length();
    let hash = move || {
        let mut hasher = Sha256::new();
        pieces(body).into_iter().rev().for_each(|piece| hasher.update(&piece));
        hasher.finalize().into()
    };
    if length <= HASH_INLINE {
        return Ok(hash());
    }
    tokio::task::spawn_blocking(hash).await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
}

#[async_trait]
impl Draft for Made {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn key(&self) -> &str {
        &self.key
    }

    fn body_len(&self) -> u64 {
        self.request.body().content_length() as u64
    }

    fn document(&self) -> Bytes {
        self.request.body().as_bytes().cloned().unwrap_or_default()
    }

    async fn sign(&self, target: &Target) -> Result<HttpRequest, HttpError> {
        let mut request = self.request.clone();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("{}://{}{path}", target.scheme, target.authority);
        *request.uri_mut() = uri.parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        if let Some(cache) = &self.signer.credentials {
            let unusable = |error| HttpError::new(HttpErrorKind::Unknown, error);
            let credential = Adapter(Arc::clone(cache)).get_credential().await.map_err(unusable)?;
            AwsAuthorizer::new(&credential, "s3", &target.region)
                .with_request_payer(self.signer.requester_pays)
                .try_authorize(&mut request, Some(&self.digest))
                .map_err(unusable)?;
        }
        Ok(request)
    }

    fn read(&self, method: ReadMethod, headers: Headers<'_>) -> Arc<dyn Draft> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = match method {
            ReadMethod::Get => Method::GET,
            ReadMethod::Head => Method::HEAD,
        };
        let is_read = matches!(self.operation, Operation::GetObject | Operation::HeadObject);
        if is_read {
            *request.uri_mut() = self.request.uri().clone();
            *request.headers_mut() = self.request.headers().clone();
            OF_READS.iter().for_each(|name| {
                request.headers_mut().remove(*name);
            });
        } else if let Ok(uri) = self.request.uri().to_string().split('?').next().unwrap_or_default().parse() {
            *request.uri_mut() = uri;
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        self.other(request, self.key.clone())
    }

    fn delete(&self, key: &str) -> Arc<dyn Draft> {
        let uri = format!("{}/{}", self.bucket(), utf8_percent_encode(key, PLAIN));
        self.about(Method::DELETE, &uri, key)
    }

    fn list_nothing(&self) -> Arc<dyn Draft> {
        let query = LIST_NOTHING.map(|(name, value)| format!("{name}={value}")).join("&");
        // A host alone has no path, and then a query would follow it at once.
        self.about(Method::GET, &format!("{}/?{query}", self.bucket()), "")
    }
}

impl Made {
    /// The bucket's URL, of a request that is about it.
    fn bucket(&self) -> String {
        let uri = self.request.uri().to_string();
        uri.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned()
    }

    fn about(&self, method: Method, uri: &str, key: &str) -> Arc<dyn Draft> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        if let Ok(uri) = uri.parse() {
            *request.uri_mut() = uri;
        }
        self.other(request, key.to_owned())
    }

    /// Another request, without a body, by the same signer.
    fn other(&self, request: HttpRequest, key: String) -> Arc<dyn Draft> {
        let operation = Operation::of(&request, &key);
        let digest = Sha256::digest([]).into();
        Arc::new(Made { operation, key, request, digest, signer: Arc::clone(&self.signer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_that_is_known_is_believed() {
        let signer = Arc::new(Signer { credentials: None, requester_pays: false, has_checksums: false });
        let (known, other) =
            (Hash::digest(Algorithm::Sha256, b"known"), Hash::digest(Algorithm::Sha1, b"known"));
        let hashed = Hash::digest(Algorithm::Sha256, b"body");
        for (given, expected) in [(None, hashed), (Some(known), known), (Some(other), hashed)] {
            let mut request = HttpRequest::new(HttpRequestBody::from(b"body".to_vec()));
            given.map(|hash| request.extensions_mut().insert(hash));
            let made = Made::new(request, "", Arc::clone(&signer)).await.unwrap();
            assert_eq!(made.digest, expected.as_bytes());
        }
    }
}
