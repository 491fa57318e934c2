//! Answers, in rusoto's types, without what would make it panic.

use std::io;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use http02::header::HeaderName;
use object_store::HeaderMap;
use object_store::client::HttpResponse;
use rusoto_core::ByteStream;
use rusoto_core::request::HttpResponse as RusotoResponse;

use super::document;
use super::failure::Failure;
use crate::wire::{Operation, root_of};

/// Headers that rusoto takes for numbers.
const NUMBERS: [&str; 4] =
    ["content-length", "x-amz-missing-meta", "x-amz-mp-parts-count", "x-amz-tagging-count"];

/// Headers that rusoto takes for `true` or `false`.
const BOOLEANS: [&str; 2] = ["x-amz-delete-marker", "x-amz-server-side-encryption-bucket-key-enabled"];

/// A success, as rusoto wants it.
///
/// # Errors
/// If the answer is not one to this operation.
pub(super) async fn accept(operation: Operation, response: HttpResponse) -> Result<RusotoResponse, Failure> {
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    let unreadable = |reason: String| Failure::Unreadable { operation, status: Some(status), reason };
    let headers = headers(&parts.headers);
    let body = match root_of(operation) {
        _ if operation == Operation::GetObject => {
            // The error stays whole inside: whoever reads the stream wants to know it.
            ByteStream::new(body.bytes_stream().map_err(io::Error::other))
        }
        Some(root) => {
            let bytes = body.bytes().await.map_err(Failure::of_error)?;
            document::check(&bytes, root).map_err(unreadable)?;
            ByteStream::new(once(bytes))
        }
        // Whatever it says besides the headers, nobody reads it.
        None => ByteStream::new(stream::empty()),
    };
    let status = http02::StatusCode::from_u16(status).map_err(|error| unreadable(error.to_string()))?;
    Ok(RusotoResponse { status, body, headers })
}

fn once(bytes: Bytes) -> BoxStream<'static, io::Result<Bytes>> {
    stream::once(async { Ok(bytes) }).boxed()
}

/// The headers that rusoto can read. One that it cannot is as good as absent.
fn headers(headers: &HeaderMap) -> http02::HeaderMap<String> {
    let mut readable = http02::HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let value = std::str::from_utf8(value.as_bytes()).ok().filter(|value| fits(name.as_str(), value));
        match (HeaderName::from_bytes(name.as_str().as_bytes()), value) {
            (Ok(name), Some(value)) => {
                readable.insert(name, value.to_owned());
            }
            _ => tracing::debug!(header = name.as_str(), "a header of the answer cannot be read"),
        }
    }
    readable
}

fn fits(name: &str, value: &str) -> bool {
    if NUMBERS.contains(&name) {
        value.parse::<i64>().is_ok_and(|number| number >= 0)
    } else if BOOLEANS.contains(&name) {
        value.parse::<bool>().is_ok()
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use object_store::HeaderValue;

    use super::*;

    #[test]
    fn headers_that_rusoto_would_choke_on_are_left_out() {
        let mut all = HeaderMap::new();
        for (name, value) in [
            ("etag", b"\"e\"".as_slice()),
            ("content-length", b"12"),
            ("x-amz-mp-parts-count", b"many"),
            ("x-amz-tagging-count", b"-1"),
            ("x-amz-delete-marker", b"yes"),
            ("x-amz-meta-broken", b"\xff\xfe"),
            ("x-amz-meta-name", "né".as_bytes()),
        ] {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            all.insert(name, HeaderValue::from_bytes(value).unwrap());
        }
        let readable = headers(&all);
        let mut names: Vec<_> = readable.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "etag", "x-amz-meta-name"]);
        assert_eq!(readable["x-amz-meta-name"], "né");
    }
}
