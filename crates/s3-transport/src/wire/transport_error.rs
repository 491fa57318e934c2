//! A request that ended without a usable answer, and why.

use std::error::Error;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use super::Operation;

/// What broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TransportErrorKind {
    /// Nobody listens there.
    Refused,
    /// The name service says that the host has no address.
    NoSuchHost,
    /// The name service does not answer.
    Unresolved,
    /// There is no way to the network or the host.
    Unreachable,
    /// The certificate of either side, or the handshake.
    Tls,
    /// It took too long.
    TimedOut,
    /// The connection ended early.
    Broken,
    /// The contents are not those that the answer is about.
    Damaged,
    /// The answer is longer than any right one.
    TooLong,
    /// The answer is none that S3 gives, or only the beginning of one.
    Unreadable,
}

/// A request that ended without a usable answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {host}: {source}")]
pub(crate) struct TransportError {
    pub(crate) operation: Operation,
    pub(crate) host: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) kind: TransportErrorKind,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    source: HttpError,
}

impl TransportError {
    /// The words of the cause of all.
    pub(crate) fn in_words(&self) -> String {
        innermost(&self.source)
    }
}

fn innermost(error: &HttpError) -> String {
    let mut innermost: &(dyn Error + 'static) = error;
    loop {
        let wrapped = innermost.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        innermost = match (wrapped, innermost.source()) {
            (Some(wrapped), _) => wrapped,
            (None, Some(cause)) => cause,
            (None, None) => return innermost.to_string(),
        };
    }
}

/// What broke and how, before it is known whether that was the last attempt.
#[derive(Debug)]
pub(super) struct Break {
    pub(super) kind: TransportErrorKind,
    source: HttpError,
}

impl Break {
    /// From the HTTP client's error.
    pub(super) fn of(source: HttpError) -> Self {
        Break { kind: classify(&source), source }
    }

    /// For an answer that is not what it should be.
    pub(super) fn of_answer(kind: TransportErrorKind, reason: String) -> Self {
        let source =
            HttpError::new(HttpErrorKind::Decode, io::Error::new(io::ErrorKind::InvalidData, reason));
        Break { kind, source }
    }

    /// In a few words, for logs.
    pub(super) fn in_words(&self) -> String {
        innermost(&self.source)
    }

    /// The error of the request, with what it was about and what was tried.
    pub(super) fn into_error(self, about: About<'_>) -> HttpError {
        let Break { kind, source } = self;
        let retry_kind = source.kind();
        let About { operation, host, bucket, key, attempts, elapsed } = about;
        let (host, bucket, key) = (host.to_owned(), bucket.to_owned(), key.to_owned());
        let error = TransportError { operation, host, bucket, key, kind, attempts, elapsed, source };
        HttpError::new(retry_kind, error)
    }
}

/// What a request was about, and what was tried.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) operation: Operation,
    pub(super) host: &'a str,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
}

/// Finds the reason in the chain of causes. The connector's own error types are private, so for the name service only
/// its words are left.
fn classify(outermost: &HttpError) -> TransportErrorKind {
    let mut cause: Option<&(dyn Error + 'static)> = outermost.source();
    let mut kind = None;
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return of_tls(tls, outermost.kind() == HttpErrorKind::Connect);
        }
        if error.to_string().starts_with("dns error") {
            return of_name_service(&innermost(outermost));
        }
        let io = error.downcast_ref::<io::Error>();
        kind = io.and_then(|error| of_io(error.kind())).or(kind);
        // An I/O error that wraps another one passes over it when it is asked for its cause.
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    kind.unwrap_or(match outermost.kind() {
        HttpErrorKind::Timeout => TransportErrorKind::TimedOut,
        HttpErrorKind::Connect => TransportErrorKind::Unreachable,
        _ => TransportErrorKind::Broken,
    })
}

/// What a TLS error is about: once the connection stands, a broken record is a broken line, unless the other side says that
/// it does not want our certificate. (In TLS 1.3 it says so after the handshake.)
fn of_tls(error: &rustls::Error, connecting: bool) -> TransportErrorKind {
    use rustls::AlertDescription as Alert;
    let about_certificates = matches!(
        error,
        rustls::Error::AlertReceived(
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::AccessDenied
        )
    );
    if connecting || about_certificates { TransportErrorKind::Tls } else { TransportErrorKind::Broken }
}

/// Whether there is no such name, in the words of glibc, musl and the BSDs, or the name service could not say.
fn of_name_service(words: &str) -> TransportErrorKind {
    let known = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided",
    ];
    if known.iter().any(|known| words.contains(known)) {
        TransportErrorKind::NoSuchHost
    } else {
        TransportErrorKind::Unresolved
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The connector's own error, whose type is private.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Named(&'static str, #[source] io::Error);

    fn of(kind: HttpErrorKind, cause: impl Error + Send + Sync + 'static) -> TransportErrorKind {
        Break::of(HttpError::new(kind, cause)).kind
    }

    #[test]
    fn a_name_service_that_cannot_say_is_not_one_that_says_no() {
        let dns = |words: &str| {
            let words = format!("failed to lookup address information: {words}");
            of(HttpErrorKind::Connect, Named("dns error", io::Error::other(words)))
        };
        assert_eq!(dns("Temporary failure in name resolution"), TransportErrorKind::Unresolved);
        assert_eq!(dns("Try again"), TransportErrorKind::Unresolved);
        assert_eq!(dns("Name or service not known"), TransportErrorKind::NoSuchHost);
    }

    #[test]
    fn tls_that_breaks_later_is_a_broken_line() {
        let tls = |kind, error: rustls::Error| of(kind, io::Error::new(io::ErrorKind::InvalidData, error));
        let broken = || rustls::Error::DecryptError;
        assert_eq!(tls(HttpErrorKind::Connect, broken()), TransportErrorKind::Tls);
        assert_eq!(tls(HttpErrorKind::Interrupted, broken()), TransportErrorKind::Broken);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        assert_eq!(tls(HttpErrorKind::Interrupted, alert), TransportErrorKind::Tls);
    }
}
