//! Why a text is not a store path.

use thiserror::Error;

use super::name::NameError;

/// Why a text is not a store path. `value` is the text as given, with control characters
/// escaped and cut if it is very long; positions count bytes.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum StorePathError {
    /// Not even room for a hash part and a dash.
    #[error(
        "'{value}' has {length} bytes, too short for a store path: expected '<32 characters of Nix32>-<name>'"
    )]
    TooShort {
        /// The text given.
        value: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The hash part has a character that Nix32 does not have.
    #[error("'{}' at byte {position} of '{value}' is not a Nix32 character", byte.escape_ascii())]
    InvalidHashCharacter {
        /// The text given.
        value: String,
        /// Byte offset in the hash part, which begins the base name.
        position: usize,
        /// The byte found there.
        byte: u8,
    },
    /// No dash behind the hash part.
    #[error("'{}' at byte 32 of '{value}', expected the '-' between hash part and name", byte.escape_ascii())]
    MissingDash {
        /// The text given.
        value: String,
        /// The byte found there.
        byte: u8,
    },
    /// A hash part on its own that is not 32 bytes long.
    #[error("the hash part '{value}' has {length} bytes, expected 32")]
    HashPartLength {
        /// The text given.
        value: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The name breaks a rule.
    #[error("'{value}' is not a store path: {reason}")]
    Name {
        /// The text given.
        value: String,
        /// Which rule.
        reason: NameError,
    },
    /// The path is not directly in the store directory, or (where that is allowed) not inside it.
    #[error("'{value}' is not in the store directory '{store_dir}'")]
    NotInStore {
        /// The path given.
        value: String,
        /// The store directory that it was looked for in.
        store_dir: String,
    },
}
