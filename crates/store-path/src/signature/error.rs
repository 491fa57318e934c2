//! Why a text is not a key. No message repeats any part of a secret.

use thiserror::Error;

/// Why a text is not a key.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no colon, or nothing before it, or nothing behind it.
    #[error("the {kind} is not of the form '<name>:<base64>'")]
    NotNamed {
        /// `public key` or `secret key`.
        kind: &'static str,
    },
    /// The name cannot be used: it is empty, or has a colon or a control character.
    #[error("the key name '{name}' is empty, or has a colon or a control character")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A byte that base64 does not have. Which one it is, is not said: it may be part of a secret.
    #[error("the {kind} '{name}' has a byte that is not base64, {position} bytes behind the colon")]
    NotBase64 {
        /// `public key` or `secret key`.
        kind: &'static str,
        /// The name of the key.
        name: String,
        /// Byte offset behind the colon.
        position: usize,
    },
    /// Another number of bytes.
    #[error("the {kind} '{name}' has {found} bytes, expected {expected}")]
    WrongSize {
        /// `public key` or `secret key`.
        kind: &'static str,
        /// The name of the key.
        name: String,
        /// Bytes found.
        found: usize,
        /// Bytes that such a key has.
        expected: usize,
    },
    /// The second half of a secret key is not the public key of the first: nothing that it signs would verify.
    #[error("the two halves of the secret key '{name}' do not belong together")]
    HalvesDiffer {
        /// The name of the key.
        name: String,
    },
}
