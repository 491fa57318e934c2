//! A request that ended without an answer, and why.

use std::error::Error;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use super::Operation;

/// What broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TransportErrorKind {
    /// Nobody listens there.
    Refused,
    /// The host name has no address.
    Unresolved,
    /// There is no way to the network or the host.
    Unreachable,
    /// The certificate, or the handshake.
    Tls,
    /// It took too long.
    TimedOut,
    /// The connection ended early.
    Broken,
    /// The answer is longer than any right one.
    TooLong,
}

/// A request that ended without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {host}: {source}")]
pub(crate) struct TransportError {
    pub(crate) operation: Operation,
    pub(crate) host: String,
    pub(crate) kind: TransportErrorKind,
    source: HttpError,
}

impl TransportError {
    /// The error, as object_store's retries want it: with the client's own kind, which decides whether to retry.
    pub(crate) fn wrap(operation: Operation, host: String, source: HttpError) -> HttpError {
        let retry_kind = source.kind();
        let kind = classify(&source);
        HttpError::new(retry_kind, TransportError { operation, host, kind, source })
    }

    /// The error for an answer without end.
    pub(super) fn too_long(operation: Operation, host: String, limit: usize) -> HttpError {
        let message = io::Error::other(format!("the answer is longer than {limit} bytes"));
        let source = HttpError::new(HttpErrorKind::Decode, message);
        let kind = TransportErrorKind::TooLong;
        HttpError::new(HttpErrorKind::Decode, TransportError { operation, host, kind, source })
    }
}

/// Finds the reason in the chain of causes. The connector's own error types are private, so for the name service only
/// its words are left.
fn classify(error: &HttpError) -> TransportErrorKind {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    let mut kind = None;
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return TransportErrorKind::Tls;
        }
        if error.to_string().starts_with("dns error") {
            return TransportErrorKind::Unresolved;
        }
        let io = error.downcast_ref::<io::Error>();
        kind = io.and_then(|error| of_io(error.kind())).or(kind);
        // An I/O error that wraps another one passes over it when it is asked for its cause.
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    kind.unwrap_or(match error.kind() {
        HttpErrorKind::Timeout => TransportErrorKind::TimedOut,
        HttpErrorKind::Connect => TransportErrorKind::Unreachable,
        _ => TransportErrorKind::Broken,
    })
}

fn of_io(kind: io::ErrorKind) -> Option<TransportErrorKind> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some(TransportErrorKind::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Some(TransportErrorKind::Unreachable)
        }
        io::ErrorKind::TimedOut => Some(TransportErrorKind::TimedOut),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(TransportErrorKind::Broken),
        _ => None,
    }
}
