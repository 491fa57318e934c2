//! The hash part of a store path.

use std::fmt;
use std::str::FromStr;

use super::error::StorePathError;
use crate::nix32;
use crate::text::excerpt;

/// The 32 characters of Nix32 that begin a store path: 160 bits that tell store objects apart, and the key of
/// their narinfo in a binary cache.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct HashPart([u8; HashPart::LEN]);

impl HashPart {
    /// Its length in characters.
    pub const LEN: usize = 32;

    /// Its length in bytes once decoded: 32 characters of five bits, with none left over.
    pub const DIGEST_LEN: usize = 20;

    /// The hash part of a digest that is already compressed to 20 bytes.
    pub fn from_digest(digest: [u8; Self::DIGEST_LEN]) -> Self {
        let mut text = [0; Self::LEN];
        nix32::encode_into(&digest, &mut text);
        HashPart(text)
    }

    /// The 20 bytes that the text encodes.
    pub fn to_digest(&self) -> [u8; Self::DIGEST_LEN] {
        let mut digest = [0; Self::DIGEST_LEN];
        // Every 32 valid characters encode 20 bytes, so there is no error to see.
        let _ = nix32::decode_into(&self.0, &mut digest);
        digest
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // All Nix32 characters are ASCII, so this never takes the default.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The position of the first byte that is not Nix32.
    pub(super) fn check(text: &[u8; Self::LEN]) -> Result<(), usize> {
        nix32::position_of_invalid(text).map_or(Ok(()), Err)
    }

    /// The hash part that begins a valid base name.
    pub(super) fn leading(base_name: &str) -> Self {
        let chunk = base_name.as_bytes().first_chunk().copied();
        // A base name was checked when its store path was made, so this never takes the default.
        HashPart(chunk.unwrap_or([b'0'; Self::LEN]))
    }
}

impl AsRef<str> for HashPart {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashPart({self})")
    }
}

impl FromStr for HashPart {
    type Err = StorePathError;

    fn from_str(value: &str) -> Result<Self, StorePathError> {
        let text: [u8; Self::LEN] = value
            .as_bytes()
            .try_into()
            .map_err(|_| StorePathError::HashPartLength { value: excerpt(value), length: value.len() })?;
        match HashPart::check(&text) {
            Ok(()) => Ok(HashPart(text)),
            Err(position) => Err(StorePathError::InvalidHashCharacter {
                value: value.to_owned(),
                position,
                byte: text.get(position).copied().unwrap_or_default(),
            }),
        }
    }
}
