//! Why JSON is not what it should be.

use std::sync::Arc;

use nars3_store_path::{ContentAddressError, HashError, StoreDir, StorePathError};

/// JSON that cannot be read as what was asked for: where, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("JSON of {what} is wrong{}: {problem}", place(path))]
pub struct JsonError {
    /// What was to be read, such as `a path info`.
    pub what: &'static str,
    /// The keys that lead to the wrong value, outermost first.
    pub path: Vec<String>,
    /// The reason.
    #[source]
    pub problem: JsonProblem,
}

/// The reason why JSON cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Not JSON at all, or nested too deep.
    #[error("it is not JSON: {0}")]
    Syntax(Arc<str>),
    /// A value of another type.
    #[error("found {found}, expected {expected}")]
    Type {
        /// What was expected.
        expected: &'static str,
        /// The beginning of the JSON that was found.
        found: String,
    },
    /// More signatures than [`crate::MAX_SIGNATURES`].
    #[error("{found} signatures, expected at most {}", nars3_store_path::MAX_SIGNATURES)]
    TooManySignatures {
        /// How many there are.
        found: usize,
    },
    /// A key is missing.
    #[error("the key '{0}' is missing")]
    Missing(&'static str),
    /// A format version that is not known.
    #[error("format version {0}, expected 1, 2 or 3")]
    Version(u64),
    /// The paths are in another store directory.
    #[error("store directory '{}', expected '{expected}'", found.escape_debug())]
    StoreDir {
        /// The directory in the JSON.
        found: String,
        /// The directory that was asked for.
        expected: StoreDir,
    },
    /// Not a hash.
    #[error("it is no hash")]
    Hash(#[source] HashError),
    /// Not a store path.
    #[error("it is no store path")]
    StorePath(#[source] StorePathError),
    /// Not a content address.
    #[error("it is no content address")]
    ContentAddress(#[source] ContentAddressError),
}

/// At most so many characters of a key are quoted; a store path has at most 244.
const LONGEST_KEY: usize = 300;

impl JsonError {
    /// This error, found while reading the value of `key`.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.path.insert(0, key.chars().take(LONGEST_KEY).collect());
        self
    }
}

fn place(path: &[String]) -> String {
    let keys: Vec<String> = path.iter().map(|key| format!("'{}'", key.escape_debug())).collect();
    if keys.is_empty() { String::new() } else { format!(" at {}", keys.join(" ")) }
}
