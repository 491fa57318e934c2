//! Why a text or some bytes are not a hash.

use thiserror::Error;

use super::{Algorithm, HashFormat, UnknownAlgorithm};

/// Why a text or some bytes are not a [`crate::Hash`].
///
/// `value` is the text as given, with control characters
/// escaped and cut if it is very long; a position counts bytes from the start of the text given.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum HashError {
    /// Neither the text nor the caller says which algorithm it is.
    #[error(
        "hash '{value}' does not name its algorithm: expected '<algorithm>:<digest>' or '<algorithm>-<base64>'"
    )]
    MissingAlgorithm {
        /// The text given.
        value: String,
    },
    /// The part before `:` or `-` is no algorithm.
    #[error("hash '{value}': {reason}")]
    UnknownAlgorithm {
        /// The text given.
        value: String,
        /// Which name is unknown.
        reason: UnknownAlgorithm,
    },
    /// The text names another algorithm than the caller wants.
    #[error("hash '{value}' is {found}, expected {expected}")]
    AlgorithmMismatch {
        /// The text given.
        value: String,
        /// The algorithm that the text names.
        found: Algorithm,
        /// The algorithm that the caller wants.
        expected: Algorithm,
    },
    /// An SRI hash was wanted, and there is no `-`.
    #[error("hash '{value}' is not in SRI form: expected '<algorithm>-<base64>'")]
    NotSri {
        /// The text given.
        value: String,
    },
    /// The digest has none of the lengths that a digest of this algorithm can have.
    #[error(
        "hash '{value}' has a digest of {found} characters: expected {} (base16), {} (nix32) or {} (base64) for {algorithm}",
        HashFormat::Base16.digest_len(*algorithm),
        HashFormat::Nix32.digest_len(*algorithm),
        HashFormat::Base64.digest_len(*algorithm)
    )]
    WrongLength {
        /// The text given.
        value: String,
        /// The algorithm of the hash.
        algorithm: Algorithm,
        /// Length of the digest's text in bytes.
        found: usize,
    },
    /// A character that the format does not have.
    #[error("hash '{value}': '{}' at byte {position} is not a {format} character", byte.escape_ascii())]
    InvalidCharacter {
        /// The text given.
        value: String,
        /// Byte offset in the text given, prefix included.
        position: usize,
        /// The byte found there.
        byte: u8,
        /// The format that the length of the digest tells.
        format: HashFormat,
    },
    /// Nix32 with bits beyond the last byte.
    #[error("hash '{value}': the first nix32 character '{character}' has non-zero bits past the last byte")]
    TrailingBits {
        /// The text given.
        value: String,
        /// The first character of the digest.
        character: char,
    },
    /// The digest decoded to another number of bytes.
    #[error("hash '{value}' decodes to {found} bytes, expected {} for {algorithm}", algorithm.size())]
    WrongSize {
        /// The text given.
        value: String,
        /// The algorithm of the hash.
        algorithm: Algorithm,
        /// Bytes found.
        found: usize,
    },
    /// Bytes given to [`crate::Hash::new`] that are not one digest long.
    #[error("{found} bytes are no {algorithm} digest, expected {}", algorithm.size())]
    WrongDigestSize {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// Bytes given.
        found: usize,
    },
}
