//! Public keys.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;

use super::secret_key::check_key_name;
use super::{KeyError, Signature, split};
use crate::base64::{self, Base64Error};
use crate::text::excerpt;

const KIND: &str = "public key";
const SIZE: usize = 32;

/// A named public key, as in Nix's setting `trusted-public-keys`: `<name>:<base64 of 32 bytes>`.
///
/// As in Nix, any 32 bytes are a key; those that are no usable point of the curve verify nothing.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    name: String,
    bytes: [u8; SIZE],
    /// The point, unless the bytes are none, or one that libsodium refuses.
    point: Option<VerifyingKey>,
}

impl PublicKey {
    pub(super) fn of(name: String, point: VerifyingKey) -> Self {
        PublicKey { name, bytes: point.to_bytes(), point: Some(point) }
    }

    /// A key of its parts.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidName`] if `name` is empty, or has a colon or a control character.
    pub fn from_bytes(name: &str, bytes: [u8; SIZE]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        // libsodium takes neither an encoding that is not the canonical one nor a point of small order; the
        // latter is refused again by the strict verification.
        let point = VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|point| !point.is_weak() && point.to_edwards().compress().to_bytes() == bytes);
        Ok(PublicKey { name: name.to_owned(), bytes, point })
    }

    /// The name: a signature is checked only by a key of its own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8; SIZE] {
        &self.bytes
    }

    /// True if `signature` carries this key's name and signs `data`.
    ///
    /// A signature that is not well-formed is false, as any other that does not verify.
    pub fn verify(&self, data: &[u8], signature: &Signature) -> bool {
        signature.key_name() == self.name && self.verify_bytes(data, signature)
    }

    /// As [`PublicKey::verify`], whatever the name.
    fn verify_bytes(&self, data: &[u8], signature: &Signature) -> bool {
        let (Some(point), Some(bytes)) = (&self.point, signature.to_bytes()) else {
            return false;
        };
        // Strict as libsodium is: no point of small order, no other encoding of the same signature.
        point.verify_strict(data, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, base64::encode(&self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, payload) = split(text)
            .filter(|(_, payload)| !payload.is_empty())
            .ok_or(KeyError::NotNamed { kind: KIND })?;
        let mut bytes = [0; SIZE];
        base64::decode_into(payload.as_bytes(), &mut bytes).map_err(|error| match error {
            Base64Error::InvalidCharacter { position, .. } => {
                KeyError::NotBase64 { kind: KIND, name: excerpt(name), position }
            }
            Base64Error::WrongLength { found } => {
                KeyError::WrongSize { kind: KIND, name: excerpt(name), found, expected: SIZE }
            }
        })?;
        PublicKey::from_bytes(name, bytes)
    }
}
