//! Why a listing cannot be read.

use super::{MAX_LISTING_DEPTH, MAX_LISTING_NAME_LENGTH};

/// A listing that cannot be read: where, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("listing is corrupt at byte {offset}, in '{}': {problem}", path.escape_debug())]
pub struct ListingError {
    /// Where in the JSON, in bytes from its start.
    pub offset: usize,
    /// The path of the node in the NAR; empty for the root.
    pub path: String,
    /// The reason.
    pub problem: ListingProblem,
}

/// The reason why a listing cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingProblem {
    /// Something else than what JSON or the format asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A field is missing.
    #[error("the field '{0}' is missing")]
    Missing(&'static str),
    /// A version other than 1.
    #[error("version '{}', expected 1", .0.escape_debug())]
    Version(String),
    /// A type of node that NARs do not have.
    #[error("type '{}', expected 'regular', 'directory' or 'symlink'", .0.escape_debug())]
    Type(String),
    /// A name that no entry of a NAR can have.
    #[error("name '{}', expected one that is not empty, '.' or '..' and has neither '/' nor NUL", .0.escape_debug())]
    Name(String),
    /// A name longer than [`MAX_LISTING_NAME_LENGTH`].
    #[error("name '{}…' of {length} bytes, expected at most {MAX_LISTING_NAME_LENGTH}", start.escape_debug())]
    NameTooLong {
        /// The first characters of the name.
        start: String,
        /// Its length in bytes.
        length: usize,
    },
    /// An entry occurs twice in a directory.
    #[error("the entry '{}' occurs twice", .0.escape_debug())]
    Duplicate(String),
    /// Nested too deep.
    #[error("nested deeper than {MAX_LISTING_DEPTH} directories")]
    TooDeep,
}
