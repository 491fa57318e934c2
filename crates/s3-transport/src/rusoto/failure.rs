//! Why an operation has no good answer. rusoto's errors have lost the status and the request id; these keep them.

use std::error::Error as _;

use object_store::Error;
use object_store::client::HttpError;

use crate::wire::{Answer, Operation, TransportError};
use crate::{CredentialsError, S3Error, S3ErrorKind};

/// Why an operation has no good answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused.
    Refused(Box<Answer>),
    /// The object is the one that the reader has.
    NotModified { operation: Operation },
    /// There was no whole answer.
    Broken(HttpError),
    /// The answer is not one of S3.
    Unreadable { operation: Operation, status: Option<u16>, reason: String },
    /// The request cannot be made.
    Impossible { operation: Option<Operation>, reason: String },
    /// There is nothing to sign with.
    NoCredentials(CredentialsError),
}

impl Failure {
    /// From an error of the wire.
    pub(super) fn of_error(error: HttpError) -> Self {
        match error.source() {
            Some(source) if source.is::<CredentialsError>() => {
                match source.downcast_ref::<CredentialsError>() {
                    Some(error) => Failure::NoCredentials(error.clone()),
                    None => Failure::Broken(error),
                }
            }
            Some(source) if source.is::<Impossible>() => {
                Failure::Impossible { operation: None, reason: source.to_string() }
            }
            _ => Failure::Broken(error),
        }
    }

    /// The failure in S3's terms.
    pub(super) fn describe(&self, key: Option<&str>) -> S3Error {
        let key = key.map(str::to_owned);
        let plain = |kind, operation: Option<Operation>, status, message: Option<&String>| S3Error {
            operation,
            status,
            message: message.cloned(),
            key: key.clone(),
            ..S3Error::new(kind)
        };
        match self {
            Failure::Refused(answer) => S3Error::of_answer((**answer).clone(), key),
            Failure::NotModified { operation } => {
                plain(S3ErrorKind::NotModified, Some(*operation), Some(304), None)
            }
            Failure::Broken(error) => match transport(error) {
                None => plain(S3ErrorKind::ConnectionLost, None, None, Some(&error.to_string())),
                Some(found) => S3Error {
                    host: Some(found.host.clone()),
                    bucket: Some(found.bucket.clone()),
                    attempts: Some(found.attempts),
                    elapsed: Some(found.elapsed),
                    ..plain(found.kind.into(), Some(found.operation), None, Some(&found.in_words()))
                },
            },
            Failure::Unreadable { operation, status, reason } => {
                plain(S3ErrorKind::InvalidAnswer, Some(*operation), *status, Some(reason))
            }
            Failure::Impossible { operation, reason } => {
                plain(S3ErrorKind::InvalidRequest, *operation, None, Some(reason))
            }
            Failure::NoCredentials(error) => {
                plain(S3ErrorKind::NoCredentials(error.clone()), None, None, None)
            }
        }
    }

    /// The failure as object_store's callers know it, by the HTTP status, as object_store's own client has it.
    pub(super) fn into_error(self, key: &str) -> Error {
        let described = self.describe(Some(key).filter(|key| !key.is_empty()));
        let (path, status) = (key.to_owned(), described.status);
        let source = Box::new(described);
        match status {
            Some(304) => Error::NotModified { path, source },
            Some(401) => Error::Unauthenticated { path, source },
            Some(403) => Error::PermissionDenied { path, source },
            Some(404) => Error::NotFound { path, source },
            Some(409) => Error::AlreadyExists { path, source },
            Some(412) => Error::Precondition { path, source },
            _ => Error::Generic { store: "S3", source },
        }
    }

    /// The HTTP status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Failure::Refused(answer) => answer.status,
            Failure::NotModified { .. } => Some(304),
            _ => None,
        }
    }
}

/// A request that cannot be sent, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Impossible(pub(super) String);

/// What broke, by the wrapper that the HTTP client puts around every error.
fn transport(error: &HttpError) -> Option<&TransportError> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<TransportError>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.into_error("")
    }
}
