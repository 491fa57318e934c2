//! A request as rusoto made it, before it is signed: with what rusoto cannot say added, for a host that may change, and
//! signed anew for each attempt.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::PutPayload;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use rusoto_core::Region;
use rusoto_core::signature::{Params, SignedRequest, SignedRequestPayload};
use rusoto_credential::AwsCredentials;
use sha2::{Digest, Sha256};

use crate::wire::{Headers, LIST_NOTHING, Operation, ReadMethod, Target, is_of_reads};

/// What a request has beyond what rusoto can say.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Headers; their names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body, instead of rusoto's. rusoto would not sign a stream's contents, and could not send it again.
    pub(super) body: Option<PutPayload>,
    /// Checksums (SHA-256, base 64) of the parts of a completed upload, in the order of the parts.
    pub(super) part_checksums: Vec<String>,
}

/// A request that is not signed yet.
pub(super) struct Unsigned {
    operation: Operation,
    method: String,
    /// `/<key>`, or nothing for the bucket itself; not encoded.
    path: String,
    params: Params,
    headers: BTreeMap<String, Vec<Vec<u8>>>,
    /// In the pieces in which it came: a part of an upload is never put together.
    body: PutPayload,
}

impl Unsigned {
    /// Takes over what rusoto made for a bucket.
    pub(super) fn new(request: SignedRequest, bucket: &str, extras: &Extras) -> Self {
        let path = request.path.strip_prefix('/').and_then(|path| path.strip_prefix(bucket));
        let mut headers = request.headers;
        // rusoto's own ideas of them, for its host and without our body.
        for name in ["host", "content-length"] {
            headers.remove(name);
        }
        for (name, value) in &extras.headers {
            headers.insert((*name).to_owned(), vec![value.clone().into_bytes()]);
        }
        let body = match (&extras.body, request.payload) {
            (Some(body), _) => body.clone(),
            (None, Some(SignedRequestPayload::Buffer(body))) => {
                with_part_checksums(body, &extras.part_checksums).into()
            }
            (None, _) => PutPayload::new(),
        };
        let path = path.unwrap_or_default().to_owned();
        let params = request.params;
        let is_copy = headers.contains_key("x-amz-copy-source");
        let operation = Operation::named(&request.method, |name| params.contains_key(name), is_copy);
        Unsigned { operation, method: request.method, path, params, headers, body }
    }

    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// The key, not encoded; empty for the bucket itself.
    pub(super) fn key(&self) -> &str {
        self.path.trim_start_matches('/')
    }

    pub(super) fn body_len(&self) -> usize {
        self.body.content_length()
    }

    /// The body where it is in one piece, as documents are.
    pub(super) fn in_one_piece(&self) -> Option<Bytes> {
        match self.body.as_ref() {
            [] => Some(Bytes::new()),
            [whole] => Some(whole.clone()),
            _ => None,
        }
    }

    /// A read of the same object, with these headers instead of its own range and conditions.
    pub(super) fn read(&self, method: ReadMethod, headers: Headers<'_>) -> Self {
        let is_read = matches!(self.operation, Operation::GetObject | Operation::HeadObject);
        let mut kept = if is_read { self.headers.clone() } else { BTreeMap::new() };
        kept.retain(|name, _| !is_of_reads(name));
        kept.extend(
            headers.iter().map(|(name, value)| ((*name).to_owned(), vec![value.clone().into_bytes()])),
        );
        Unsigned {
            operation: match method {
                ReadMethod::Get => Operation::GetObject,
                ReadMethod::Head => Operation::HeadObject,
            },
            method: method.as_str().to_owned(),
            path: self.path.clone(),
            params: if is_read { self.params.clone() } else { Params::new() },
            headers: kept,
            body: PutPayload::new(),
        }
    }

    /// The deletion of an object.
    pub(super) fn delete(&self, key: &str) -> Self {
        let operation = Operation::DeleteObject;
        self.about(operation, "DELETE", format!("/{key}"), Params::new())
    }

    /// A listing of nothing.
    pub(super) fn list_nothing(&self) -> Self {
        let mut params = Params::new();
        for (name, value) in LIST_NOTHING {
            params.insert(name.to_owned(), Some(value.to_owned()));
        }
        self.about(Operation::ListObjectsV2, "GET", String::new(), params)
    }

    /// Another request to the same bucket, which is also paid for as this one.
    fn about(&self, operation: Operation, method: &str, path: String, params: Params) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|name, _| name == "x-amz-request-payer");
        Unsigned { operation, method: method.to_owned(), path, params, headers, body: PutPayload::new() }
    }

    /// The request of one attempt, signed for this moment, or unsigned.
    ///
    /// rusoto signs a body that is in one piece. It has no way to sign a hash, so a body in several is signed as for
    /// object_store's client: putting it together would double the memory that the settings allow to uploads.
    ///
    /// # Errors
    /// What cannot be sent: a header with a line break in it, for instance.
    pub(super) fn sign(
        &self,
        target: &Target,
        credentials: Option<&AwsCredentials>,
    ) -> Result<HttpRequest, String> {
        let path = format!("{}{}", target.path, self.path);
        let mut signed = SignedRequest::new(&self.method, "s3", &region(target), &path);
        signed.scheme = Some(target.scheme.to_owned());
        signed.hostname = Some(target.authority.clone());
        signed.params = self.params.clone();
        signed.headers =
            self.headers.iter().map(|(name, values)| (name.clone(), for_signature(values))).collect();
        let whole = self.in_one_piece();
        signed.payload = whole.clone().map(SignedRequestPayload::Buffer);
        match (credentials, whole) {
            (Some(credentials), Some(_)) => {
                signed.sign(credentials);
                self.to_http(&signed)
            }
            (Some(credentials), None) => {
                signed.complement();
                let mut request = self.to_http(&signed)?;
                let credential = AwsCredential {
                    key_id: credentials.aws_access_key_id().to_owned(),
                    secret_key: credentials.aws_secret_access_key().to_owned(),
                    token: credentials.token().clone(),
                };
                AwsAuthorizer::new(&credential, "s3", &target.region)
                    .try_authorize(&mut request, Some(&sha256(&self.body)))
                    .map_err(|error| error.to_string())?;
                Ok(request)
            }
            (None, _) => {
                signed.complement();
                self.to_http(&signed)
            }
        }
    }

    fn to_http(&self, signed: &SignedRequest) -> Result<HttpRequest, String> {
        let mut uri = format!("{}://{}{}", signed.scheme(), signed.hostname(), signed.canonical_uri());
        if !signed.canonical_query_string().is_empty() {
            uri.push('?');
            uri.push_str(signed.canonical_query_string());
        }
        let mut request = HttpRequest::new(HttpRequestBody::from(self.body.clone()));
        *request.uri_mut() = uri.parse().map_err(|error| format!("'{uri}' is no URI: {error}"))?;
        *request.method_mut() =
            Method::from_bytes(self.method.as_bytes()).map_err(|error| error.to_string())?;
        // It is not signed, a request without a body does without it, and rusoto knows it of one piece only.
        let has_length =
            matches!(request.method(), &Method::PUT | &Method::POST) && self.in_one_piece().is_some();
        for (name, values) in &signed.headers {
            if name == "content-length" && !has_length {
                continue;
            }
            // What was made, not what was signed of it.
            for value in self.headers.get(name).unwrap_or(values) {
                let value = HeaderValue::from_bytes(value)
                    .map_err(|_| format!("the value of the header '{name}' cannot be sent"))?;
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
                request.headers_mut().append(name, value);
            }
        }
        Ok(request)
    }
}

/// The SHA-256 of a body in pieces.
pub(super) fn sha256(body: &PutPayload) -> [u8; 32] {
    let mut hasher = Sha256::new();
    body.iter().for_each(|piece| hasher.update(piece));
    hasher.finalize().into()
}

/// A target's region, in rusoto's terms: any name, because its own list of regions ends in 2022, and its table of hosts is
/// not used.
pub(super) fn region(target: &Target) -> Region {
    // Without a path: rusoto would put it in front of ours.
    let endpoint = format!("{}://{}", target.scheme, target.authority);
    Region::Custom { name: target.region.clone(), endpoint }
}

/// Values as a signature has them: every run of spaces is one. rusoto only halves them.
fn for_signature(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let single = |value: &Vec<u8>| {
        let mut value = value.clone();
        value.dedup_by(|next, before| *next == b' ' && *before == b' ');
        value
    };
    values.iter().map(single).collect()
}

/// Adds the checksums of parts, of which rusoto knows nothing, to the document that completes an upload.
fn with_part_checksums(document: Bytes, checksums: &[String]) -> Bytes {
    if checksums.is_empty() {
        return document;
    }
    let mut text = String::from_utf8_lossy(&document).into_owned();
    for (index, checksum) in checksums.iter().enumerate() {
        let number = format!("<PartNumber>{}</PartNumber>", index + 1);
        let both = format!("<ChecksumSHA256>{checksum}</ChecksumSHA256>{number}");
        text = text.replacen(&number, &both, 1);
    }
    text.into()
}
