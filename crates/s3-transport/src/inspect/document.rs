//! The document that lists uploads.

use std::time::SystemTime;

use chrono::DateTime;

use super::PendingUpload;
use crate::wire::element;

/// A page of uploads.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub(super) uploads: Vec<PendingUpload>,
    /// The key and the upload after which the next page begins; `None` on the last.
    pub(super) next: Option<(String, String)>,
}

/// Reads a page; `None` if it is none. An upload without a key or an id is passed over: nobody could abort it.
///
/// What a server writes between the tags is escaped, so that no name can pose as a tag.
pub(super) fn page(text: &str) -> Option<Page> {
    let (_, body) = text.split_once("<ListMultipartUploadsResult")?;
    let (body, _) = body.split_once("</ListMultipartUploadsResult>")?;
    let is_encoded = element(body, "EncodingType").as_deref() == Some("url");
    let name = |text: String| if is_encoded { decode(&text) } else { text };
    let mut uploads = Vec::new();
    for upload in body.split("<Upload>").skip(1) {
        let (upload, _) = upload.split_once("</Upload>")?;
        let (Some(key), Some(upload_id)) = (element(upload, "Key"), element(upload, "UploadId")) else {
            continue;
        };
        let initiated = element(upload, "Initiated").and_then(|time| instant(&time));
        uploads.push(PendingUpload { key: name(key), upload_id, initiated });
    }
    let truncated = element(body, "IsTruncated").as_deref() == Some("true");
    let next = if truncated { element(body, "NextKeyMarker") } else { None };
    let next = next.map(|key| (name(key), element(body, "NextUploadIdMarker").unwrap_or_default()));
    Some(Page { uploads, next })
}

fn instant(time: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(time).ok().map(Into::into)
}

/// Undoes the percent-encoding of names, `+` for a space included. What is not encoded well stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, after.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (other, _) => {
                bytes.push(*other);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const PAGE: &str = "<?xml version=\"1.0\"?>\n<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Bucket>b</Bucket><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
        <NextKeyMarker>nar%2Fb+c</NextKeyMarker><NextUploadIdMarker>U2</NextUploadIdMarker>\
        <Upload><Key>nar%2Fa.nar.xz</Key><UploadId>U&amp;1</UploadId><Initiated>1970-01-02T00:00:00.500Z</Initiated></Upload>\
        <Upload><Key>nar%2Fb+c</Key><UploadId>U2</UploadId></Upload><Upload><Key>no-id</Key></Upload>\
        </ListMultipartUploadsResult>";

    #[test]
    fn a_page_is_read() {
        let page = page(PAGE).unwrap();
        let [first, second] = page.uploads.try_into().unwrap();
        assert_eq!((first.key.as_str(), first.upload_id.as_str()), ("nar/a.nar.xz", "U&1"));
        assert_eq!(first.initiated, Some(UNIX_EPOCH + Duration::from_millis(86_400_500)));
        assert_eq!((second.key.as_str(), second.initiated), ("nar/b c", None));
        assert_eq!(page.next, Some(("nar/b c".to_owned(), "U2".to_owned())));
    }

    #[test]
    fn names_that_are_not_encoded_stay_as_they_are() {
        let text = PAGE.replace("<EncodingType>url</EncodingType>", "").replace("true", "false");
        let page = page(&text).unwrap();
        assert_eq!((page.uploads[1].key.as_str(), page.next), ("nar%2Fb+c", None));
    }

    #[test]
    fn other_documents_and_halves_of_one_are_refused() {
        for text in ["", "<html></html>", "<Error><Code>x</Code></Error>", &PAGE[..PAGE.len() - 5]] {
            assert_eq!(page(text), None, "{text}");
        }
    }

    #[test]
    fn percents_that_are_none_stay() {
        assert_eq!(decode("%2x%41%"), "%2xA%");
        assert_eq!(decode("%FF"), "%FF");
    }
}
