//! From object_store's error to S3's terms: by what the answer said, else by what broke, else by object_store's kind.

use std::error::Error as _;

use object_store::Error;

use super::{S3Error, S3ErrorKind};
use crate::credentials::CredentialsError;
use crate::wire::{Answer, Operation, TransportError, TransportErrorKind};

impl S3Error {
    /// Reads an error of a store that `open` made.
    pub fn of(error: &Error) -> S3Error {
        let mut described = S3Error { key: key_of(error), ..S3Error::new(kind_of(error)) };
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<CredentialsError>() {
                described.kind = S3ErrorKind::NoCredentials(error.clone());
                return described;
            }
            if let Some(error) = error.downcast_ref::<S3Error>() {
                return error.clone();
            }
            if let Some(error) = error.downcast_ref::<TransportError>() {
                described.kind = error.kind.into();
                described.operation = Some(error.operation);
                described.host = Some(error.host.clone());
                described.bucket = Some(error.bucket.clone());
                described.key =
                    described.key.or_else(|| Some(error.key.clone()).filter(|key| !key.is_empty()));
                described.attempts = Some(error.attempts);
                described.elapsed = Some(error.elapsed);
                described.message = Some(error.in_words());
                return described;
            }
            if error.source().is_none()
                && let Some(answer) = find_answer(&error.to_string())
            {
                described.take_answer(answer);
                return described;
            }
            cause = error.source();
        }
        described
    }

    /// What an answer stands for; the key is what the request was about.
    pub(crate) fn of_answer(answer: Answer, key: Option<String>) -> S3Error {
        let mut described = S3Error { key, ..S3Error::new(S3ErrorKind::Other) };
        described.take_answer(answer);
        described
    }

    fn take_answer(&mut self, answer: Answer) {
        let by_answer = kind_of_answer(&answer);
        // object_store knows better what a precondition was for.
        if !matches!(self.kind, S3ErrorKind::AlreadyExists | S3ErrorKind::NotModified) {
            self.kind = by_answer;
        }
        self.operation = answer.operation;
        self.status = answer.status;
        self.code = answer.code;
        self.message = answer.message;
        self.request_id = answer.request_id;
        self.bucket = answer.bucket;
        self.key = self.key.take().or(answer.key);
        self.attempts = answer.attempts;
        self.elapsed = answer.elapsed;
    }
}

/// The facts of a refusal in the words of an error that has no cause.
fn find_answer(text: &str) -> Option<Answer> {
    Answer::find(text).or_else(|| of_batch(text))
}

/// One object of a batch was not deleted: object_store keeps S3's code in its words only.
fn of_batch(text: &str) -> Option<Answer> {
    let rest = text.strip_prefix("DeleteObjects request failed for key ")?;
    let (rest, code) = rest.strip_suffix(')')?.rsplit_once(" (code: ")?;
    let message = rest.split_once(": ").map(|(_, message)| message.to_owned());
    let operation = Some(Operation::DeleteObjects);
    Some(Answer { operation, code: Some(code.to_owned()), message, ..Answer::default() })
}

fn key_of(error: &Error) -> Option<String> {
    let path = match error {
        Error::NotFound { path, .. }
        | Error::AlreadyExists { path, .. }
        | Error::Precondition { path, .. }
        | Error::NotModified { path, .. }
        | Error::PermissionDenied { path, .. }
        | Error::Unauthenticated { path, .. } => path,
        _ => return None,
    };
    Some(path.clone()).filter(|path| !path.is_empty())
}

fn kind_of(error: &Error) -> S3ErrorKind {
    match error {
        Error::NotFound { .. } => S3ErrorKind::KeyMissing,
        Error::AlreadyExists { .. } => S3ErrorKind::AlreadyExists,
        Error::Precondition { .. } => S3ErrorKind::Precondition,
        Error::NotModified { .. } => S3ErrorKind::NotModified,
        Error::PermissionDenied { .. } => S3ErrorKind::Forbidden { action: None },
        Error::Unauthenticated { .. } => S3ErrorKind::BadCredentials,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => S3ErrorKind::NotImplemented,
        _ => S3ErrorKind::Other,
    }
}

impl From<TransportErrorKind> for S3ErrorKind {
    fn from(kind: TransportErrorKind) -> Self {
        match kind {
            TransportErrorKind::Refused => S3ErrorKind::ConnectionRefused,
            TransportErrorKind::NoSuchHost | TransportErrorKind::Unresolved => S3ErrorKind::UnknownHost,
            TransportErrorKind::Unreachable => S3ErrorKind::Unreachable,
            TransportErrorKind::Tls => S3ErrorKind::Tls,
            TransportErrorKind::TimedOut => S3ErrorKind::TimedOut,
            TransportErrorKind::Broken => S3ErrorKind::ConnectionLost,
            TransportErrorKind::Damaged => S3ErrorKind::BadDigest,
            TransportErrorKind::TooLong | TransportErrorKind::Unreadable => S3ErrorKind::InvalidAnswer,
        }
    }
}

/// S3's code says most; a HEAD request's refusal, which has none, leaves the status.
fn kind_of_answer(answer: &Answer) -> S3ErrorKind {
    let forbidden = || S3ErrorKind::Forbidden { action: answer.operation.map(Operation::iam_action) };
    let wrong_region = || S3ErrorKind::WrongRegion { region: answer.region.clone() };
    let code = answer.code.as_deref().unwrap_or_default();
    match (code, answer.status) {
        ("NoSuchKey", _) => S3ErrorKind::KeyMissing,
        ("NoSuchBucket", _) => S3ErrorKind::BucketMissing,
        ("NoSuchUpload", _) => S3ErrorKind::UploadMissing,
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
            S3ErrorKind::ExpiredCredentials
        }
        // `NotSignedUp` is what s3s says of an unknown key id.
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "InvalidSecurity"
            | "NotSignedUp",
            _,
        ) => S3ErrorKind::BadCredentials,
        ("RequestTimeTooSkewed", _) => S3ErrorKind::ClockSkew,
        ("AuthorizationHeaderMalformed", _) if answer.region.is_some() => wrong_region(),
        ("PermanentRedirect" | "IllegalLocationConstraintException" | "IncorrectEndpoint", _) => {
            wrong_region()
        }
        ("AuthorizationHeaderMalformed", _) => S3ErrorKind::BadCredentials,
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) => forbidden(),
        ("PreconditionFailed" | "ConditionalRequestConflict", _) => S3ErrorKind::Precondition,
        (
            "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "Busy",
            _,
        ) => S3ErrorKind::Throttled,
        ("RequestTimeout" | "RequestTimeoutException", _) => S3ErrorKind::TimedOut,
        ("InternalError" | "InternalServerError", _) => S3ErrorKind::Server,
        ("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody", _) => {
            S3ErrorKind::BadDigest
        }
        ("EntityTooLarge" | "MaxMessageLengthExceeded", _) => S3ErrorKind::TooLarge,
        ("NotImplemented" | "MethodNotAllowed", _) => S3ErrorKind::NotImplemented,
        (_, Some(300..=399)) if answer.region.is_some() => wrong_region(),
        (_, Some(300..=399)) => S3ErrorKind::Redirected { location: answer.location.clone() },
        // A HEAD request in the wrong region is refused with 400 and nothing but this header.
        ("", Some(400)) if answer.region.is_some() => wrong_region(),
        (_, Some(401)) => S3ErrorKind::BadCredentials,
        (_, Some(403)) => forbidden(),
        (_, Some(404)) => S3ErrorKind::KeyMissing,
        (_, Some(405 | 501)) => S3ErrorKind::NotImplemented,
        (_, Some(408)) => S3ErrorKind::TimedOut,
        (_, Some(409 | 412)) => S3ErrorKind::Precondition,
        (_, Some(413)) => S3ErrorKind::TooLarge,
        (_, Some(429 | 503)) => S3ErrorKind::Throttled,
        (_, Some(500..)) => S3ErrorKind::Server,
        _ => S3ErrorKind::InvalidRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(operation: Operation, status: u16, code: &str, region: Option<&str>) -> S3ErrorKind {
        kind_of_answer(&Answer {
            operation: Some(operation),
            status: Some(status),
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            region: region.map(str::to_owned),
            ..Answer::default()
        })
    }

    #[test]
    fn codes_come_before_statuses() {
        use S3ErrorKind::{
            BadCredentials, BucketMissing, ClockSkew, ExpiredCredentials, Forbidden, KeyMissing, Server,
            Throttled, WrongRegion,
        };
        let get = Operation::GetObject;
        assert_eq!(kind(get, 404, "NoSuchKey", None), KeyMissing);
        assert_eq!(kind(get, 404, "NoSuchBucket", None), BucketMissing);
        assert_eq!(kind(get, 404, "", None), KeyMissing);
        assert_eq!(kind(get, 403, "AccessDenied", None), Forbidden { action: Some("s3:GetObject") });
        assert_eq!(
            kind(Operation::ListObjectsV2, 403, "AccessDenied", None),
            Forbidden { action: Some("s3:ListBucket") }
        );
        assert_eq!(kind(get, 403, "SignatureDoesNotMatch", None), BadCredentials);
        assert_eq!(kind(get, 403, "RequestTimeTooSkewed", None), ClockSkew);
        assert_eq!(kind(get, 400, "ExpiredToken", None), ExpiredCredentials);
        assert_eq!(kind(get, 503, "SlowDown", None), Throttled);
        assert_eq!(kind(get, 500, "InternalError", None), Server);
        let elsewhere = WrongRegion { region: Some("eu-west-1".to_owned()) };
        assert_eq!(kind(get, 301, "PermanentRedirect", Some("eu-west-1")), elsewhere);
        assert_eq!(kind(get, 400, "AuthorizationHeaderMalformed", Some("eu-west-1")), elsewhere);
        assert_eq!(kind(Operation::HeadObject, 400, "", Some("eu-west-1")), elsewhere);
        assert_eq!(kind(Operation::HeadObject, 301, "", Some("eu-west-1")), elsewhere);
    }

    #[test]
    fn an_object_of_a_batch_that_was_not_deleted_has_its_code() {
        let text = "DeleteObjects request failed for key a (b): Access Denied. (code: AccessDenied)";
        let error = Error::Generic { store: "S3", source: text.into() };
        let described = S3Error::of(&error);
        assert_eq!(described.kind, S3ErrorKind::Forbidden { action: Some("s3:DeleteObject") });
        assert_eq!(described.message.as_deref(), Some("Access Denied."));
    }

    #[test]
    fn errors_that_are_not_of_s3_keep_object_stores_kind() {
        let source = Box::from("no such file");
        let error = Error::NotFound { path: "a/b".to_owned(), source };
        let described = S3Error::of(&error);
        assert_eq!(described.kind, S3ErrorKind::KeyMissing);
        assert_eq!(described.key.as_deref(), Some("a/b"));
        assert_eq!(described.to_string(), "no such key, key 'a/b'");
    }
}
