//! What is wrong with a NAR, and where.

use std::fmt;

/// A violation of the NAR format.
///
/// The rules are those of Nix's `archive.cc` since April 2026. Nix 2.29.1 is laxer in three points: any tag is taken
/// for an absent `contents`, a symlink target may be empty or hold a NUL, and nothing is bounded (see
/// [`Limits`](crate::Limits)).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("bad NAR at offset {offset}{}: {kind}", At(path))]
pub struct FormatError {
    /// Where the offending string or padding starts, in bytes from the start of the NAR.
    pub offset: u64,
    /// The node being read, as names joined with `/`, empty at the root.
    pub path: Vec<u8>,
    /// What is wrong there.
    pub kind: FormatErrorKind,
}

/// The ways in which a NAR can be wrong.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// The first string is not the magic word.
    #[error("not a Nix archive: it does not start with `nix-archive-1`")]
    NotAnArchive,
    /// One of the format's own words was due, and something else stood there.
    #[error("expected {expected}, found `{}`", .found.escape_ascii())]
    UnexpectedTag {
        /// The words that would have been right, as a phrase.
        expected: &'static str,
        /// What stood there (at most 32 bytes).
        found: Vec<u8>,
    },
    /// A string is longer than allowed.
    #[error("{what} of {length} bytes, the limit is {limit}")]
    TooLong {
        /// Which string: a tag, a name, a symlink target.
        what: &'static str,
        /// Its length in bytes, as it claims.
        length: u64,
        /// The most that is allowed, in bytes.
        limit: u64,
    },
    /// The bytes after a string or file, up to the multiple of 8, are not all zero.
    #[error("padding that is not zero")]
    NonZeroPadding,
    /// An entry's name is empty, `.`, `..`, or holds a slash or a NUL.
    #[error("invalid file name `{}`", .name.escape_ascii())]
    InvalidName {
        /// The name.
        name: Vec<u8>,
    },
    /// Two entries of a directory have the same name.
    #[error("second entry of the name `{}`", .name.escape_ascii())]
    DuplicateName {
        /// The name.
        name: Vec<u8>,
    },
    /// The entries of a directory are not sorted by their names' bytes.
    #[error("file name `{}` is not sorted: it comes after `{}`", .name.escape_ascii(), .previous.escape_ascii())]
    UnsortedName {
        /// The name before it.
        previous: Vec<u8>,
        /// The name that should have come earlier.
        name: Vec<u8>,
    },
    /// The target of a symlink is empty or holds a NUL.
    #[error("invalid symlink target `{}`", .target.escape_ascii())]
    InvalidTarget {
        /// The target (at most 64 bytes of it).
        target: Vec<u8>,
    },
    /// Directories are nested too deeply.
    #[error("more than {limit} nodes below one another")]
    TooDeep {
        /// The most that is allowed, the root counted.
        limit: usize,
    },
    /// A file claims a size with which the NAR would exceed 2^63 bytes.
    #[error("file of {size} bytes, more than a NAR can hold")]
    TooLarge {
        /// The claimed size in bytes.
        size: u64,
    },
    /// The NAR ends in its middle.
    #[error("unexpected end, expected {expected}")]
    UnexpectedEnd {
        /// What was due, as a phrase.
        expected: &'static str,
    },
    /// Bytes follow the NAR where nothing may.
    #[error("bytes after the end of the NAR")]
    TrailingData,
}

impl From<FormatError> for std::io::Error {
    fn from(error: FormatError) -> Self {
        let kind = match error.kind {
            FormatErrorKind::UnexpectedEnd { .. } => std::io::ErrorKind::UnexpectedEof,
            _ => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The most bytes of a path that are printed, its last ones: a stranger's NAR may have a path of 16 KiB and more.
const EXCERPT: usize = 255;

/// Prints " (`path`)", or nothing for the root.
struct At<'a>(&'a [u8]);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.0.len().saturating_sub(EXCERPT);
        match self.0 {
            [] => Ok(()),
            path if left_out == 0 => write!(f, " (`{}`)", path.escape_ascii()),
            path => write!(f, " (`...{}`)", path[left_out..].escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_named_by_its_end() {
        let at = |path: &[u8]| {
            FormatError { offset: 8, path: path.to_vec(), kind: FormatErrorKind::NonZeroPadding }.to_string()
        };
        assert_eq!(at(b""), "bad NAR at offset 8: padding that is not zero");
        assert_eq!(at(b"a/b"), "bad NAR at offset 8 (`a/b`): padding that is not zero");
        let end = "e".repeat(EXCERPT);
        assert_eq!(
            at(format!("beginning/{end}").as_bytes()),
            format!("bad NAR at offset 8 (`...{end}`): padding that is not zero")
        );
    }
}
