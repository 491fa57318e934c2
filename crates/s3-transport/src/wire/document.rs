//! XML documents of successes, looked at before a client reads them: is it the whole document that was asked for?

use bytes::Bytes;

use super::Answer;
use super::Operation;
use super::policy::{self, Verdict};

/// The root of the document that answers an operation; none for an answer without a document.
pub(crate) const fn root_of(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ListObjectsV2 => Some("ListBucketResult"),
        Operation::CreateMultipartUpload => Some("InitiateMultipartUploadResult"),
        Operation::CompleteMultipartUpload => Some("CompleteMultipartUploadResult"),
        Operation::CopyObject => Some("CopyObjectResult"),
        Operation::DeleteObjects => Some("DeleteResult"),
        Operation::ListMultipartUploads => Some("ListMultipartUploadsResult"),
        _ => None,
    }
}

/// Whether the document's root is `Error`.
pub(super) fn is_error(body: &[u8]) -> bool {
    let text = without_declaration(body);
    text.starts_with(b"<Error>") || text.starts_with(b"<Error ")
}

/// Whether a document is the one that answers an operation, from its root to its end.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(operation: Operation, body: &[u8]) -> Result<(), String> {
    let Some(root) = root_of(operation) else { return Ok(()) };
    if body.trim_ascii().is_empty() {
        return Err(format!("the answer is empty, expected a {root}"));
    }
    let text = without_declaration(body);
    let tag = text.strip_prefix(b"<").and_then(|rest| rest.strip_prefix(root.as_bytes())).unwrap_or_default();
    if !matches!(tag.first(), Some(b'>' | b'/' | b' ' | b'\n' | b'\r' | b'\t')) {
        let start = String::from_utf8_lossy(text.get(..text.len().min(40)).unwrap_or_default()).into_owned();
        return Err(format!("the answer begins with '{start}', expected a {root}"));
    }
    let end = body.trim_ascii_end();
    let closed = end.strip_suffix(b">").map(<[u8]>::trim_ascii_end).is_some_and(|end| {
        let by_name = end.strip_suffix(root.as_bytes()).is_some_and(|end| end.ends_with(b"</"));
        // `<DeleteResult/>`, with attributes perhaps.
        by_name || (end.ends_with(b"/") && tag.iter().filter(|byte| **byte == b'<').count() == 0)
    });
    if closed { Ok(()) } else { Err(format!("the {root} ends early")) }
}

/// Words that object_store's client looks for in a successful answer, wherever they stand, to take it for a failure: with
/// one of them in its name, an object could never be deleted, nor be sent in parts (object_store 0.14, `client/retry.rs`,
/// `body_contains_error`).
const ALARMING: [&[u8]; 2] = [b"InternalError", b"SlowDown"];

/// A document that is known to be no error, with the first letter of each alarming word as a character reference: the same
/// text to whoever reads it as XML. A document with literal sections stays as it is, since references mean nothing there.
pub(super) fn calmed(operation: Operation, body: Bytes) -> Bytes {
    let has = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
    if root_of(operation).is_none() || !ALARMING.iter().any(|word| has(word)) || has(b"<![CDATA[") {
        return body;
    }
    let mut calm = Vec::with_capacity(body.len() + 64);
    let mut rest = &body[..];
    while let Some((first, behind)) = rest.split_first() {
        if ALARMING.iter().any(|word| rest.starts_with(word)) {
            calm.extend_from_slice(format!("&#{first};").as_bytes());
        } else {
            calm.push(*first);
        }
        rest = behind;
    }
    calm.into()
}

/// The status that an error in a success should have had.
pub(super) fn status_of(code: Option<&str>) -> u16 {
    let answer = Answer { code: code.map(str::to_owned), ..Answer::default() };
    match (policy::of_refusal(&answer), code) {
        (Verdict::Passing, Some("OperationAborted" | "ConditionalRequestConflict")) => 409,
        (Verdict::Passing, Some("BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch")) => 400,
        (Verdict::Passing, _) => 500,
        (Verdict::Throttled, _) => 503,
        (_, Some("NoSuchKey" | "NoSuchBucket" | "NoSuchUpload")) => 404,
        (_, Some("PreconditionFailed")) => 412,
        (_, Some("AccessDenied")) => 403,
        _ => 400,
    }
}

fn without_declaration(body: &[u8]) -> &[u8] {
    let text = body.trim_ascii_start();
    let Some(declaration) = text.strip_prefix(b"<?xml") else { return text };
    let end = declaration.windows(2).position(|pair| pair == b"?>");
    end.and_then(|end| declaration.get(end + 2..)).unwrap_or_default().trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_told_from_others() {
        for body in
            ["<Error><Code>x</Code></Error>", "<?xml version=\"1.0\"?>\n<Error>", "\n  <Error xmlns='a'>"]
        {
            assert!(is_error(body.as_bytes()), "{body}");
        }
        for body in ["", "<ListBucketResult><Error></Error>", "<?xml", "<Errors>", "<DeleteResult><Error>"] {
            assert!(!is_error(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn whole_documents_pass() {
        for body in [
            "<DeleteResult/>",
            "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>\n",
            "<?xml version=\"1.0\"?>\n<DeleteResult xmlns='x'>\n<Deleted><Key>a</Key></Deleted></DeleteResult >\n",
        ] {
            assert_eq!(check(Operation::DeleteObjects, body.as_bytes()), Ok(()), "{body}");
        }
        assert_eq!(check(Operation::PutObject, b""), Ok(()));
    }

    #[test]
    fn others_and_beginnings_do_not() {
        for (body, complaint) in [
            ("", "empty"),
            ("<html><body>log in</body></html>", "begins with"),
            ("<DeleteResults></DeleteResults>", "begins with"),
            ("<DeleteResult><Deleted><Key>a</Key></Deleted>", "ends early"),
            ("<DeleteResult><Deleted/>", "ends early"),
            ("<DeleteResult", "begins with"),
        ] {
            let error = check(Operation::DeleteObjects, body.as_bytes()).unwrap_err();
            assert!(error.contains(complaint), "{body}: {error}");
        }
    }

    #[test]
    fn names_of_objects_alarm_nobody() {
        let calm = |body: &'static str| calmed(Operation::DeleteObjects, Bytes::from_static(body.as_bytes()));
        assert_eq!(
            calm("<DeleteResult><Key>SlowDown/InternalErrors</Key></DeleteResult>"),
            "<DeleteResult><Key>&#83;lowDown/&#73;nternalErrors</Key></DeleteResult>"
        );
        for same in ["<DeleteResult><Key>SlowUp</Key></DeleteResult>", "<Key><![CDATA[SlowDown]]></Key>"] {
            assert_eq!(calm(same), same);
        }
        let contents = Bytes::from_static(b"SlowDown");
        assert_eq!(calmed(Operation::GetObject, contents.clone()), contents);
    }
}
