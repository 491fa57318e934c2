//! What can be wrong with a store URL: where, which piece, and what was expected there.

use std::fmt;

use crate::s3::AddressingError;
use crate::setting::Unit;
use crate::text;

/// A store URL that cannot be used, with the place in it that is wrong.
///
/// The quoted piece never holds a secret: user information in front of an `@` is replaced, and the value of a
/// setting that may carry key material is not quoted at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreUrlError {
    /// Byte offset in the text that was given to `parse`.
    pub at: usize,
    /// The offending piece, percent-decoded where that was possible, shortened and without secrets.
    pub piece: String,
    /// What is wrong with the piece.
    pub problem: Problem,
}

impl StoreUrlError {
    pub(crate) fn new(at: usize, piece: &str, problem: Problem) -> Self {
        StoreUrlError { at, piece: text::quotable(piece), problem }
    }

    /// The same, for a piece of the URL in front of its settings: where there is an `@` anywhere in `whole`, the
    /// piece may be a part of a password (one with a bare `/`, say), and is not quoted.
    pub(crate) fn within(whole: &str, at: usize, piece: &str, problem: Problem) -> Self {
        if text::may_hold_user_information(whole) {
            Self::unquoted(at, problem)
        } else {
            Self::new(at, piece, problem)
        }
    }

    /// The same, for a piece that may be key material or a password.
    pub(crate) fn unquoted(at: usize, problem: Problem) -> Self {
        StoreUrlError { at, piece: text::REDACTED.to_owned(), problem }
    }
}

impl fmt::Display for StoreUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store URL, byte {}, {:?}: {}", self.at, self.piece, self.problem)
    }
}

impl std::error::Error for StoreUrlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.problem)
    }
}

/// What is wrong at the place that a `StoreUrlError` points at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A word that is neither a URL, nor a path, nor one of the short names.
    #[error("expected a URL, a path with a `/`, or one of `auto`, `daemon`, `local`{}", text::did_you_mean(*nearest))]
    NotAStore {
        /// The short name that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A scheme that no store of Nix has.
    #[error(
        "unknown scheme, expected one of `s3`, `file`, `http`, `https`, `local`, `unix`{}",
        text::did_you_mean(*nearest)
    )]
    UnknownScheme {
        /// The scheme that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A scheme of Nix whose stores are outside this project.
    #[error("`{scheme}` is a store of Nix that is not supported here: {reason}")]
    UnsupportedStore {
        /// The scheme, in lower case.
        scheme: &'static str,
        /// Why, and what to use instead.
        reason: &'static str,
    },
    /// A drive letter where a scheme was expected.
    #[error("this looks like a Windows path, expected a Unix path or a URL")]
    WindowsPath,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("expected two hexadecimal digits after `%`")]
    InvalidPercentEncoding,
    /// Percent-encoded bytes that are not UTF-8.
    #[error("expected percent-encoded UTF-8")]
    NotUtf8,
    /// A zero byte, which no path, name or header can hold.
    #[error("expected no zero byte")]
    ZeroByte,
    /// A character that has to be percent-encoded where it stands.
    #[error("expected a character that may stand in {place}; percent-encode it")]
    InvalidCharacter {
        /// The part of the URL.
        place: &'static str,
    },
    /// An S3 URL without a bucket.
    #[error("expected a bucket name after `s3://`")]
    MissingBucket,
    /// A bucket name with characters that no bucket has.
    #[error("expected a bucket name: 1 to 255 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`")]
    InvalidBucket,
    /// An IP address as bucket name: S3 refuses such names, and it is mostly an endpoint in the wrong place.
    #[error("expected a bucket name, not an IP address; a server's address goes into `endpoint=`")]
    BucketIsIpAddress,
    /// A port behind the bucket name.
    #[error("expected no port behind a bucket name; a server's port goes into `endpoint=`")]
    BucketWithPort,
    /// An S3 object URL without a key.
    #[error("expected `/` and an object key behind the bucket name")]
    MissingKey,
    /// A key prefix with a part that cannot be part of an object key.
    #[error("expected a key prefix whose parts are not empty, `.` or `..`")]
    InvalidPrefix,
    /// A `file:`, `local:` or `unix:` URL that names a host.
    #[error("expected no host in a `{scheme}` URL: write `{scheme}:///path`")]
    UnexpectedHost {
        /// The scheme.
        scheme: &'static str,
    },
    /// A relative path where a URL needs an absolute one.
    #[error("expected an absolute path in a `{scheme}` URL: write `{scheme}:///path`")]
    RelativeUrlPath {
        /// The scheme.
        scheme: &'static str,
    },
    /// An `http:` or `https:` URL, or an endpoint, without a host.
    #[error("expected a host name or an IP address")]
    MissingHost,
    /// A host that is neither a name nor an address.
    #[error(
        "expected a host: a name of letters, digits, `.`, `_` and `-`, an IPv4 address, or an IPv6 address in brackets"
    )]
    InvalidHost,
    /// A port outside 1 to 65535.
    #[error("expected a port from 1 to 65535")]
    InvalidPort,
    /// User information where none can be used.
    #[error("expected no user name or password here")]
    UnexpectedUserInformation,
    /// A setting whose value cannot be used.
    #[error("setting `{name}`: {problem}")]
    Setting {
        /// The setting's name as the table has it.
        name: &'static str,
        /// What is wrong with its value.
        #[source]
        problem: ValueProblem,
    },
    /// Settings that contradict one another, or the bucket name.
    #[error(transparent)]
    Addressing(#[from] AddressingError),
}

/// What is wrong with the value of a setting.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// An empty value where one is needed.
    #[error("expected a value that is not empty")]
    Empty,
    /// Neither of the six words for a truth value.
    #[error("expected `true`, `yes`, `1`, `false`, `no` or `0`")]
    NotBoolean,
    /// Not a whole number, or not one with a known unit letter.
    #[error("expected a whole number, with `K`, `M`, `G` or `T` behind it for powers of 1024")]
    NotInteger,
    /// A number outside the setting's range.
    #[error("out of range, expected {minimum} to {maximum}{}", unit.suffix())]
    OutOfRange {
        /// The smallest number allowed.
        minimum: i64,
        /// The largest number allowed.
        maximum: u64,
        /// What the numbers count.
        unit: Unit,
    },
    /// Not one of the words that the setting knows.
    #[error("expected one of {}{}", text::list(expected), text::did_you_mean(*nearest))]
    NotOneOf {
        /// The words.
        expected: &'static [&'static str],
        /// The word that was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A key where the path of the file that holds it belongs.
    #[error("expected the path of a file, not a key: put the key into a file, or into `NARS3_SECRET_KEY`")]
    KeyInsteadOfPath,
    /// A relative path where an absolute one is needed.
    #[error("expected an absolute path")]
    NotAbsolute,
    /// Not a store directory.
    #[error("expected a store directory, an absolute path such as `/nix/store`: {0}")]
    NotAStoreDir(String),
    /// Characters that would break out of a host name or a signature.
    #[error("expected only letters, digits, `.`, `_` and `-`")]
    NotAName,
    /// A line break or another control character in a value that becomes an HTTP header.
    #[error("expected no control characters")]
    ControlCharacter,
    /// An endpoint that is not usable.
    #[error("expected `https://host[:port]`, `http://host[:port]` or `host[:port]`: {0}")]
    Endpoint(Box<Problem>),
    /// An endpoint with a query or a fragment.
    #[error("expected an endpoint without `?` and `#`")]
    EndpointWithQuery,
    /// More tags than an S3 object can have, or one that S3 refuses.
    #[error(
        "expected at most 10 tags `name=value` joined by `&`, names of 1 to 128 and values of at most 256 characters"
    )]
    Tags,
}
