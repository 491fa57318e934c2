//! What an object store's error means for a cache: an object that is not there, a feature that is not there, or a
//! failure.

use std::error::Error as StdError;

use nars3_store_api::StoreError;
use object_store::Error;

/// What an error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no such object.
    Missing,
    /// Access denied, which is how S3 says "no such object" to whom it does not let list the bucket (Nix 2.29 takes
    /// it so, `s3-binary-cache-store.cc`).
    Denied,
    /// The object is there already.
    Exists,
    /// The object is another than the condition asked for.
    Changed,
    /// The object store cannot do this kind of request.
    NotSupported,
    /// Anything else.
    Failed,
}

/// Codes that S3 sends with 403 when the credentials themselves are at fault. Taking these for "no such object"
/// would make a push upload everything again and a pull rebuild everything, without a word.
const CREDENTIAL_CODES: [&str; 8] = [
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "RequestTimeTooSkewed",
    "AccountProblem",
    "AuthorizationHeaderMalformed",
];

/// What the errors of both S3 clients have in them, and those of other stores do not.
const OF_S3: [&str; 2] = ["<Operation>", ", operation "];

/// Codes by which servers refuse a request for its condition, beside saying that they do not know it. Any other failure
/// says nothing of conditions, and a write that then went without one could replace what somebody else has just written.
const NO_CONDITIONS: [&str; 6] = [
    "NotImplemented",
    "InvalidArgument",
    "InvalidRequest",
    "MethodNotAllowed",
    "UnsupportedOperation",
    "Unsupported header",
];

/// Whether the error of a conditional write says that the store has no conditions.
pub(crate) fn has_no_conditions(error: &Error) -> bool {
    match answer(error) {
        Answer::NotSupported => true,
        Answer::Failed => mentions(error, &NO_CONDITIONS),
        _ => false,
    }
}

/// Whether a store's error says that access was denied.
pub(crate) fn is_denial(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    source.downcast_ref::<Error>().is_some_and(|error| answer(error) == Answer::Denied)
}

/// Reads `error`.
pub(crate) fn answer(error: &Error) -> Answer {
    match error {
        // A bucket that does not exist is a wrong URL, not an empty cache.
        Error::NotFound { .. } if mentions(error, &["NoSuchBucket"]) => Answer::Failed,
        Error::NotFound { .. } => Answer::Missing,
        Error::PermissionDenied { .. } if mentions(error, &CREDENTIAL_CODES) => Answer::Failed,
        Error::PermissionDenied { .. } if mentions(error, &["AccessDenied"]) => Answer::Denied,
        // S3 says why it refuses. Somebody else does who stands before it, and that says nothing about objects.
        Error::PermissionDenied { .. } if mentions(error, &OF_S3) => Answer::Failed,
        // A plain web server does not say why.
        Error::PermissionDenied { .. } => Answer::Denied,
        Error::AlreadyExists { .. } => Answer::Exists,
        Error::Precondition { .. } | Error::NotModified { .. } => Answer::Changed,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => Answer::NotSupported,
        _ => Answer::Failed,
    }
}

/// Whether the text of the error or of one of its causes, where the server's own answer is, holds one of `words`.
fn mentions(error: &Error, words: &[&str]) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        let text = current.to_string();
        if words.iter().any(|word| text.contains(word)) {
            return true;
        }
        next = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> Error {
        Error::PermissionDenied { path: "x.narinfo".into(), source: body.into() }
    }

    #[test]
    fn a_plain_403_may_be_a_missing_object() {
        assert_eq!(answer(&denied("<Code>AccessDenied</Code>")), Answer::Denied);
    }

    #[test]
    fn a_403_of_nobody_knows_whom_is_a_failure_where_s3_would_say_why() {
        for text in
            ["<Error><Operation>GetObject</Operation></Error>", "access denied, key 'a', operation GetObject"]
        {
            assert_eq!(answer(&denied(text)), Answer::Failed, "{text}");
        }
        assert_eq!(answer(&denied("403 Forbidden")), Answer::Denied);
    }

    #[test]
    fn only_a_refusal_says_that_there_are_no_conditions() {
        let failed = |source: &str| Error::Generic { store: "S3", source: source.into() };
        assert!(has_no_conditions(&failed("<Code>NotImplemented</Code>")));
        assert!(has_no_conditions(&Error::NotSupported { source: "no".into() }));
        for text in ["connection reset by peer", "<Code>InternalError</Code>", "<Code>SlowDown</Code>"] {
            assert!(!has_no_conditions(&failed(text)), "{text}");
        }
        let there = Error::AlreadyExists { path: "x".into(), source: "InvalidRequest".into() };
        assert!(!has_no_conditions(&there));
    }

    #[test]
    fn bad_credentials_are_a_failure() {
        for code in CREDENTIAL_CODES {
            assert_eq!(answer(&denied(&format!("<Code>{code}</Code>"))), Answer::Failed, "{code}");
        }
    }

    #[test]
    fn a_missing_bucket_is_not_an_empty_cache() {
        let missing = |body: &str| Error::NotFound { path: "x".into(), source: body.into() };
        assert_eq!(answer(&missing("<Code>NoSuchBucket</Code>")), Answer::Failed);
        assert_eq!(answer(&missing("<Code>NoSuchKey</Code>")), Answer::Missing);
    }
}
