//! What can go wrong between us and a daemon.

use std::io;

use nars3_store_path::{ContentAddressError, HashError, StorePathError};

/// What came over the wire is not what the protocol says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection failed or ended.
    #[error("the connection to the nix-daemon broke")]
    Io(#[from] io::Error),
    /// A length is beyond what is believed.
    #[error("{what} of {length} bytes, the limit is {limit}")]
    TooLong {
        /// What is that long.
        what: &'static str,
        /// The length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A list is longer than what is believed.
    #[error("{count} {what}, the limit is {limit}")]
    TooMany {
        /// What its elements are.
        what: &'static str,
        /// How many are announced.
        count: u64,
        /// How many there may be.
        limit: usize,
    },
    /// The bytes after a string, up to the multiple of 8, are not zero.
    #[error("the padding of a string is not zero")]
    Padding,
    /// A string is not UTF-8.
    #[error("{what} is not UTF-8: '{}'", found.escape_ascii())]
    NotUtf8 {
        /// Which string.
        what: &'static str,
        /// Its bytes.
        found: Vec<u8>,
    },
    /// A number has no meaning where it stands.
    #[error("{what} should be {expected}, but is {found:#x}")]
    BadNumber {
        /// What the number is.
        what: &'static str,
        /// What it could be.
        expected: &'static str,
        /// What it is.
        found: u64,
    },
    /// A store path is none.
    #[error("'{found}' should be a store path")]
    BadPath {
        /// What it is.
        found: String,
        /// What is wrong with it.
        #[source]
        source: StorePathError,
    },
    /// A text is not what its place asks for.
    #[error("{what} should not be '{found}': {reason}")]
    BadText {
        /// What the text is.
        what: &'static str,
        /// What it is, cut where it is long.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon does not have what the value needs.
    #[error("the nix-daemon does not know {what}: it lacks the protocol feature '{feature}'")]
    NoFeature {
        /// What was to be sent.
        what: &'static str,
        /// The feature that is missing.
        feature: &'static str,
    },
    /// A hash is none.
    #[error("'{found}' should be a SHA-256 hash in base 16")]
    BadHash {
        /// What it is.
        found: String,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// A content address is none.
    #[error("'{found}' should be a content address")]
    BadContentAddress {
        /// What it is.
        found: String,
        /// What is wrong with it.
        #[source]
        source: ContentAddressError,
    },
    /// The daemon speaks a version of the protocol that is too old or too new.
    #[error("the nix-daemon speaks protocol {major}.{minor}, but 1.21 (Nix 2.3) or newer is needed")]
    Version {
        /// The major version.
        major: u64,
        /// The minor version.
        minor: u64,
    },
    /// The daemon asks for data when there is none to be had.
    #[error("the nix-daemon asks for data that it was not offered")]
    UnexpectedRead,
    /// The daemon sends data that nobody asked for.
    #[error("the nix-daemon sends data that it was not asked for")]
    UnexpectedWrite,
}

/// The daemon could not, or would not, do what was asked. In its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the nix-daemon says: {message}")]
#[non_exhaustive]
pub struct RemoteError {
    /// The message, without colours.
    pub message: String,
    /// Nix's level of the message: 0 for an error.
    pub level: u64,
    /// What the daemon was doing, outermost first.
    pub traces: Vec<String>,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The daemon answered with an error. The connection goes on.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The connection is of no more use.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<io::Error> for DaemonError {
    fn from(error: io::Error) -> Self {
        Self::Wire(WireError::Io(error))
    }
}

/// The text, cut where it is too long for an error.
pub(crate) fn excerpt(text: &str) -> String {
    const LIMIT: usize = 200;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
