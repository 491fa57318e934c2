//! A request's error in S3's terms: what happened, with the facts that help to do something about it.

use std::fmt;
use std::time::Duration;

use crate::credentials::CredentialsError;
use crate::wire::Operation;

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum S3ErrorKind {
    /// There is no such key. (Where listing is not allowed, AWS says `Forbidden` instead.)
    KeyMissing,
    /// There is no such bucket.
    BucketMissing,
    /// There is no such upload in parts; it was completed or aborted.
    UploadMissing,
    /// The credentials are good, but not for this.
    Forbidden {
        /// The IAM action that the policy has to allow.
        action: Option<&'static str>,
    },
    /// The key id is unknown, or the secret does not belong to it, or the token is no token.
    BadCredentials,
    /// The credentials were good until lately.
    ExpiredCredentials,
    /// Credentials are configured, but there are none to be had.
    NoCredentials(CredentialsError),
    /// This machine's clock, or the server's, is wrong.
    ClockSkew,
    /// The bucket is in another region.
    WrongRegion {
        /// The region, if the server says it.
        region: Option<String>,
    },
    /// The server sends requests elsewhere, and does not say that it is about the region.
    Redirected {
        /// Where to.
        location: Option<String>,
    },
    /// The object exists already, and was not to be replaced.
    AlreadyExists,
    /// The object is not the one that the request was about.
    Precondition,
    /// The object has not changed.
    NotModified,
    /// The server wants fewer requests.
    Throttled,
    /// The server failed.
    Server,
    /// The body did not arrive as it was sent.
    BadDigest,
    /// The object, or a part of it, is larger than S3 or the server allows.
    TooLarge,
    /// The server does not know this operation or header.
    NotImplemented,
    /// The server refuses the request for another reason.
    InvalidRequest,
    /// Nobody listens at the endpoint.
    ConnectionRefused,
    /// The endpoint's host name has no address.
    UnknownHost,
    /// There is no way to the endpoint.
    Unreachable,
    /// The endpoint's certificate, or the TLS handshake.
    Tls,
    /// It took too long.
    TimedOut,
    /// The connection ended early.
    ConnectionLost,
    /// The answer is not one of S3.
    InvalidAnswer,
    /// Something else.
    Other,
}

/// A request's error in S3's terms.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct S3Error {
    /// What happened.
    pub kind: S3ErrorKind,
    /// What was to be done.
    pub operation: Option<Operation>,
    /// The bucket.
    pub bucket: Option<String>,
    /// The key, or keys, in the bucket.
    pub key: Option<String>,
    /// The host and port that the request went to; only when there was no answer.
    pub host: Option<String>,
    /// The HTTP status. A redirect has its own.
    pub status: Option<u16>,
    /// S3's code, such as `AccessDenied`.
    pub code: Option<String>,
    /// S3's words, or the beginning of what was said instead.
    pub message: Option<String>,
    /// The request's id, by which the server's operator finds it.
    pub request_id: Option<String>,
    /// How often the request was made.
    pub attempts: Option<u32>,
    /// How long that took, from the first attempt to the end of the last, the pauses between them included.
    pub elapsed: Option<Duration>,
}

impl S3Error {
    /// An error of which no more is known yet.
    pub(crate) fn new(kind: S3ErrorKind) -> Self {
        S3Error {
            kind,
            operation: None,
            bucket: None,
            key: None,
            host: None,
            status: None,
            code: None,
            message: None,
            request_id: None,
            attempts: None,
            elapsed: None,
        }
    }

    /// Whether the same request may succeed later, with nothing changed but the time.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            S3ErrorKind::Throttled
                | S3ErrorKind::Server
                | S3ErrorKind::ConnectionRefused
                | S3ErrorKind::Unreachable
                | S3ErrorKind::TimedOut
                | S3ErrorKind::ConnectionLost
                | S3ErrorKind::BadDigest
        )
    }

    fn what(&self) -> &'static str {
        match self.kind {
            S3ErrorKind::KeyMissing => "no such key",
            S3ErrorKind::BucketMissing => "no such bucket",
            S3ErrorKind::UploadMissing => "no such multipart upload",
            S3ErrorKind::Forbidden { .. } => "access denied",
            S3ErrorKind::BadCredentials => "credentials not accepted",
            S3ErrorKind::ExpiredCredentials => "credentials expired",
            S3ErrorKind::NoCredentials(_) => "no credentials",
            S3ErrorKind::ClockSkew => "clocks differ too much",
            S3ErrorKind::WrongRegion { .. } => "bucket is in another region",
            S3ErrorKind::Redirected { .. } => "redirected elsewhere",
            S3ErrorKind::AlreadyExists => "object exists already",
            S3ErrorKind::Precondition => "object has changed",
            S3ErrorKind::NotModified => "object has not changed",
            S3ErrorKind::Throttled => "too many requests",
            S3ErrorKind::Server => "server error",
            S3ErrorKind::BadDigest => "body damaged on its way",
            S3ErrorKind::TooLarge => "object too large",
            S3ErrorKind::NotImplemented => "not implemented by the server",
            S3ErrorKind::InvalidRequest => "request refused",
            S3ErrorKind::ConnectionRefused => "connection refused",
            S3ErrorKind::UnknownHost => "unknown host",
            S3ErrorKind::Unreachable => "host unreachable",
            S3ErrorKind::Tls => "TLS handshake failed",
            S3ErrorKind::TimedOut => "timed out",
            S3ErrorKind::ConnectionLost => "connection lost",
            S3ErrorKind::InvalidAnswer => "answer not understood",
            S3ErrorKind::Other => "S3 error",
        }
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.what())?;
        if let Some(bucket) = &self.bucket {
            write!(formatter, ", bucket '{bucket}'")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, ", key '{key}'")?;
        }
        if let Some(host) = &self.host {
            write!(formatter, ", host '{host}'")?;
        }
        if let Some(operation) = self.operation {
            write!(formatter, ", operation {operation}")?;
        }
        match &self.kind {
            S3ErrorKind::Forbidden { action: Some(action) } => write!(formatter, ", action {action}")?,
            S3ErrorKind::WrongRegion { region: Some(region) } => write!(formatter, ", region {region}")?,
            S3ErrorKind::Redirected { location: Some(location) } => write!(formatter, " to '{location}'")?,
            S3ErrorKind::NoCredentials(error) => write!(formatter, ": {error}")?,
            _ => {}
        }
        if let Some(status) = self.status {
            write!(formatter, ", status {status}")?;
        }
        if let Some(code) = &self.code {
            write!(formatter, ", code {code}")?;
        }
        if let Some(id) = &self.request_id {
            write!(formatter, ", request id {id}")?;
        }
        if let Some(attempts) = self.attempts.filter(|attempts| *attempts > 1) {
            write!(formatter, ", {attempts} attempts")?;
            if let Some(elapsed) = self.elapsed {
                write!(formatter, " in {:.1} s", elapsed.as_secs_f64())?;
            }
        }
        if let Some(message) = &self.message {
            write!(formatter, ": {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for S3Error {}
