//! Refusals that are not the last word: a HEAD request's, which has no reasons; and those of a request whose earlier
//! attempt did the work, and the news of it was lost, or that arrived twice.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use futures::StreamExt;
use md5::{Digest, Md5};
use object_store::client::{HttpError, HttpResponse};
use object_store::{HeaderMap, HeaderValue};
use reqwest::StatusCode;

use super::body::content_range;
use super::deletion::{Batches, one_by_one};
use super::draft::{Draft, ReadMethod};
use super::send::{Outcome, Refusal, Wire, response};
use super::xml::{element, escaped};
use super::{Answer, Operation};

/// What to answer instead of a refusal, if there is anything better.
pub(super) async fn instead(
    wire: &Arc<Wire>,
    draft: &dyn Draft,
    refusal: &Refusal,
) -> Result<Option<HttpResponse>, HttpError> {
    let answer = &refusal.answer;
    let upload_is_gone = answer.code.as_deref() == Some("NoSuchUpload");
    match draft.operation() {
        Operation::HeadObject if is_bare(answer, &[400, 403]) => ask_for_a_byte(wire, draft).await.map(Some),
        Operation::HeadBucket if is_bare(answer, &[400]) => ask_for_no_key(wire, draft).await,
        Operation::DeleteObjects => match Batches::of(answer) {
            Batches::Unknown => {
                wire.delete_singly();
                one_by_one(wire, draft).await.map(Some)
            }
            Batches::Unfit => one_by_one(wire, draft).await.map(Some),
            Batches::Silent => Ok(None),
        },
        // It was to be forgotten, and it is.
        Operation::AbortMultipartUpload if upload_is_gone => {
            Ok(Some(response(StatusCode::NO_CONTENT, HeaderMap::new(), futures::stream::empty().boxed())))
        }
        Operation::CompleteMultipartUpload if upload_is_gone => completed(wire, draft).await,
        _ => Ok(None),
    }
}

/// Whether a refusal has one of these statuses and no reasons. (A 400 that names a region has one.)
fn is_bare(answer: &Answer, statuses: &[u16]) -> bool {
    let has_status = answer.status.is_some_and(|status| statuses.contains(&status));
    has_status && answer.code.is_none() && !(answer.status == Some(400) && answer.region.is_some())
}

/// The answer to HEAD has no body, so its 403 does not say whether the object, the permission or the signature is at
/// fault, nor its 400 that a token has expired. A GET of one byte is allowed or refused for the same reasons, and says so;
/// and where new credentials mend it, it has found them.
async fn ask_for_a_byte(wire: &Arc<Wire>, draft: &dyn Draft) -> Result<HttpResponse, HttpError> {
    let get = draft.read(ReadMethod::Get, &[("range", "bytes=0-0".to_owned())]);
    let answered = wire.send(get).await?;
    let (mut parts, body) = answered.into_parts();
    if parts.status == StatusCode::RANGE_NOT_SATISFIABLE {
        // An empty object has no first byte, but it may be read.
        let head = draft.read(ReadMethod::Head, &[]);
        if let Outcome::Done(found) = wire.attempt(&*head, &wire.target()).await? {
            return Ok(response(found.status, found.headers, futures::stream::empty().boxed()));
        }
    }
    if !parts.status.is_success() {
        let text = renamed(&body.bytes().await?, draft.operation());
        return Ok(HttpResponse::from_parts(parts, text.into()));
    }
    // It may be read after all: what GET says of the object is what HEAD would have said.
    let range = parts.headers.remove("content-range");
    let size = range.as_ref().and_then(|range| content_range(range.to_str().ok()?)).map(|(_, size)| size);
    if let Some(size) = size {
        parts.headers.insert("content-length", HeaderValue::from(size));
    }
    Ok(response(StatusCode::OK, parts.headers, futures::stream::empty().boxed()))
}

/// The same for a bucket: a listing of nothing needs the same permission.
async fn ask_for_no_key(wire: &Arc<Wire>, draft: &dyn Draft) -> Result<Option<HttpResponse>, HttpError> {
    let (parts, body) = wire.send(draft.list_nothing()).await?.into_parts();
    if !parts.status.is_success() {
        let text = renamed(&body.bytes().await?, draft.operation());
        return Ok(Some(HttpResponse::from_parts(parts, text.into())));
    }
    // Whatever it was, it has passed; what HEAD says of the bucket is in its headers.
    let outcome = wire.attempt(draft, &wire.target()).await?;
    let Outcome::Done(found) = outcome else { return Ok(None) };
    Ok(Some(response(found.status, found.headers, found.chunks)))
}

/// A refusal, as one of another operation.
fn renamed(refusal: &[u8], operation: Operation) -> String {
    let text = String::from_utf8_lossy(refusal).into_owned();
    match Answer::find(&text) {
        None => text,
        Some(answer) => Answer { operation: Some(operation), ..answer }.to_xml(),
    }
}

/// An upload that is gone may be gone because it was completed. Then the object is there, with the ETag that S3 makes of
/// those of its parts: the MD5 of their MD5s, and how many they are. Where ETags are something else nothing is found out.
async fn completed(wire: &Arc<Wire>, draft: &dyn Draft) -> Result<Option<HttpResponse>, HttpError> {
    let document = String::from_utf8_lossy(&draft.document()).into_owned();
    let Some(expected) = e_tag_of_parts(&document) else { return Ok(None) };
    let head = draft.read(ReadMethod::Head, &[]);
    let Outcome::Done(found) = wire.attempt(&*head, &wire.target()).await? else { return Ok(None) };
    let e_tag = found.headers.get("etag").and_then(|tag| tag.to_str().ok()).map(|tag| tag.trim_matches('"'));
    if e_tag != Some(expected.as_str()) {
        return Ok(None);
    }
    let key = escaped(draft.key());
    let document = format!(
        "<CompleteMultipartUploadResult><Key>{key}</Key><ETag>\"{expected}\"</ETag></CompleteMultipartUploadResult>"
    );
    let mut headers = HeaderMap::new();
    if let Some(version) = found.headers.get("x-amz-version-id") {
        headers.insert("x-amz-version-id", version.clone());
    }
    let chunks = futures::stream::once(async { Ok(document.into()) }).boxed();
    Ok(Some(response(StatusCode::OK, headers, chunks)))
}

/// The ETag of an object made of these parts, without its quotes; nothing where a part's ETag is no MD5.
fn e_tag_of_parts(document: &str) -> Option<String> {
    let mut md5 = Md5::new();
    let mut count = 0;
    for part in document.split("<Part>").skip(1) {
        let e_tag = element(part, "ETag")?;
        let digest = HEXLOWER.decode(e_tag.trim_matches('"').as_bytes()).ok().filter(|it| it.len() == 16)?;
        md5.update(digest);
        count += 1;
    }
    (count > 0).then(|| format!("{}-{count}", HEXLOWER.encode(&md5.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_of_parts_is_the_md5_of_their_md5s() {
        // Two parts, "a" and "b".
        let document = "<CompleteMultipartUpload><Part><ETag>\"0cc175b9c0f1b6a831c399e269772661\"</ETag></Part>\
                        <Part><ETag>&quot;92eb5ffee6ae2fec3ad71c777531578f&quot;</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(e_tag_of_parts(document).as_deref(), Some("96e024ba2074fe77e8e965ba43a704be-2"));
        let other = document.replace("0cc175b9c0f1b6a831c399e269772661", "not an MD5");
        assert_eq!(e_tag_of_parts(&other), None);
        assert_eq!(e_tag_of_parts("<CompleteMultipartUpload/>"), None);
    }
}
