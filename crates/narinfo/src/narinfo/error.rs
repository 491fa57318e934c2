//! Why a narinfo cannot be read.

use std::fmt;

use nars3_store_path::{ContentAddressError, HashError, StorePathError};

use super::{Field, Flags, MAX_SIGNATURES, MAX_TEXT_LENGTH};

/// A narinfo that cannot be read: which one, where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfoError {
    /// The key of the object that was read, as the caller gave it.
    pub key: Box<str>,
    /// The line, counted from 1; none when something is missing from the whole.
    pub line: Option<u32>,
    /// The field, if it is one of Nix's.
    pub field: Option<Field>,
    /// The value found, or its first [`EXCERPT_LENGTH`] bytes and an ellipsis.
    pub value: Option<Box<str>>,
    /// The reason.
    pub problem: NarInfoProblem,
}

/// At most so many bytes of a value are quoted in an error or a finding.
pub const EXCERPT_LENGTH: usize = 100;

/// The reason why a narinfo cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NarInfoProblem {
    /// The text is longer than [`MAX_TEXT_LENGTH`].
    #[error("has {length} bytes, expected at most {MAX_TEXT_LENGTH}")]
    TooLong {
        /// The length of the text in bytes.
        length: usize,
    },
    /// The rest of the text has no colon, so it names no field.
    #[error("has no colon, expected 'Name: value'")]
    NoColon,
    /// The last line does not end.
    #[error("does not end, expected a line break after the value")]
    NoLineEnd,
    /// The value begins inside a character, because the byte after the colon is part of one.
    #[error("begins inside a character, expected ': ' before the value")]
    NotText,
    /// The line is no text.
    #[error("is no text, expected UTF-8; the first wrong byte is byte {offset} of the narinfo")]
    NotUtf8 {
        /// Where, in bytes from the start of the narinfo.
        offset: usize,
    },
    /// A field that every narinfo must have is missing, or empty, or 0.
    #[error("is missing, empty or zero")]
    Missing,
    /// The first line, which holds a field that every narinfo must have, begins with a byte order mark.
    #[error(
        "is not found, expected it at the very start, where a byte order mark stands (EF BB BF); remove that"
    )]
    ByteOrderMark,
    /// A field is given a second time where Nix does not allow it.
    #[error("is given a second time, expected it once")]
    Repeated,
    /// There are more signatures than [`MAX_SIGNATURES`].
    #[error("occurs too often, expected at most {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not a number of bytes.
    #[error("is no size, expected a decimal number of bytes below 2^64")]
    Size,
    /// Not a hash.
    #[error("is no hash, expected '<algorithm>:<Nix32 digest>'")]
    Hash(#[source] HashError),
    /// Not a store path.
    #[error("is no store path of this store")]
    StorePath(#[source] Box<StorePathError>),
    /// Not a content address.
    #[error("is no content address, expected 'text:', 'fixed:' or 'fixed:r:' and a hash")]
    ContentAddress(#[source] ContentAddressError),
    /// The narinfo can be read, but is not as Nix writes it; only strict reading complains.
    #[error("is not as Nix writes it ({0})")]
    NotCanonical(Flags),
}

impl fmt::Display for NarInfoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "narinfo '{}' is corrupt", self.key.escape_debug())?;
        if let Some(line) = self.line {
            write!(formatter, " at line {line}")?;
        }
        match (self.field, &self.value) {
            (Some(field), Some(value)) => write!(formatter, ": {field} '{}' ", value.escape_debug())?,
            (Some(field), None) => write!(formatter, ": {field} ")?,
            (None, Some(value)) => write!(formatter, ": '{}' ", value.escape_debug())?,
            (None, None) => formatter.write_str(": it ")?,
        }
        self.problem.fmt(formatter)
    }
}

impl std::error::Error for NarInfoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// The beginning of `value`, cut at a character, with an ellipsis when something is left out.
pub(super) fn excerpt(value: &str) -> Box<str> {
    if value.len() <= EXCERPT_LENGTH {
        return value.into();
    }
    let end = value.floor_char_boundary(EXCERPT_LENGTH);
    let mut excerpt = String::from(value.get(..end).unwrap_or_default());
    excerpt.push('…');
    excerpt.into()
}
