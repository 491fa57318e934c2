//! Signatures and the keys that make and check them.
//!
//! All three are `<key name>:<base64>` (Nix 2.29 `local-keys.cc`): 64 bytes of an Ed25519 signature, 64 bytes of a
//! secret key (the seed, then the public key), 32 bytes of a public key.

mod error;
mod public_key;
mod public_keys;
mod secret_key;
#[cfg(test)]
mod tests;

use std::fmt;

pub use error::KeyError;
pub use public_key::PublicKey;
pub use public_keys::PublicKeys;
pub use secret_key::SecretKey;
pub(crate) use secret_key::check_key_name;

use crate::base64;

/// Length of an Ed25519 signature in bytes.
const SIGNATURE_SIZE: usize = 64;

/// The text of one signature, exactly as it was found: what is not well-formed is kept, and verifies with no key.
///
/// The order is bytewise, as in Nix's sets of signatures, so it is the order of `Sig` lines in a narinfo.
#[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Signature(Box<str>);

impl Signature {
    /// A signature of its text, such as what follows `Sig: ` in a narinfo. Nothing is checked.
    pub fn new(text: &str) -> Self {
        Signature(text.into())
    }

    /// A signature of its parts.
    pub fn from_parts(key_name: &str, bytes: &[u8]) -> Self {
        Signature(format!("{key_name}:{}", base64::encode(bytes)).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the key: what stands before the first colon; empty if there is no colon.
    pub fn key_name(&self) -> &str {
        split(&self.0).map_or("", |(name, _)| name)
    }

    /// The Ed25519 signature, if the text has a key name and 64 bytes of base64.
    pub fn to_bytes(&self) -> Option<[u8; SIGNATURE_SIZE]> {
        let (_, payload) = split(&self.0)?;
        let mut bytes = [0; SIGNATURE_SIZE];
        base64::decode_into(payload.as_bytes(), &mut bytes).ok()?;
        Some(bytes)
    }

    /// The key name and the bytes, however many: what newer versions of Nix keep of a signature.
    pub(crate) fn to_parts(&self) -> Option<(&str, Vec<u8>)> {
        let (name, payload) = split(&self.0)?;
        let bytes = base64::decode(payload.as_bytes()).ok()?;
        Some((name, bytes))
    }
}

/// Splits `<name>:<payload>`; as in Nix, a colon that comes first does not count.
fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, _)| !name.is_empty())
}

impl AsRef<str> for Signature {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Signature {
    fn from(text: &str) -> Self {
        Signature::new(text)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.0)
    }
}
