//! Secret keys.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::public_key::PublicKey;
use super::{KeyError, Signature, split};
use crate::base64::{self, Base64Error};
use crate::text::excerpt;

const KIND: &str = "secret key";

/// Seed and public key, as libsodium keeps them.
const SIZE: usize = 64;

/// A named secret key, as `nix key generate-secret` writes it: `<name>:<base64 of 64 bytes>`.
///
/// It cannot be printed by accident: `Debug` shows the name only, there is no `Display`, and the memory is wiped.
///
/// ```
/// use nars3_store_path::SecretKey;
///
/// let key = SecretKey::from_seed("cache.example.org-1", [7; 32])?;
/// let signature = key.sign(b"a fingerprint");
/// assert!(key.public_key().verify(b"a fingerprint", &signature));
/// assert!(!key.public_key().verify(b"another", &signature));
/// # Ok::<(), nars3_store_path::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// Reads the text of a key file; newlines in or behind the base64 do not matter.
    ///
    /// Unlike Nix this refuses a key whose second half is not the public key of the first, since nothing that it
    /// signed would verify.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which repeats nothing but the name.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, payload) = split(text)
            .filter(|(_, payload)| !payload.is_empty())
            .ok_or(KeyError::NotNamed { kind: KIND })?;
        check_key_name(name)?;
        let mut bytes = Zeroizing::new([0; SIZE]);
        base64::decode_into(payload.as_bytes(), &mut *bytes).map_err(|error| match error {
            Base64Error::InvalidCharacter { position, .. } => {
                KeyError::NotBase64 { kind: KIND, name: excerpt(name), position }
            }
            Base64Error::WrongLength { found } => {
                KeyError::WrongSize { kind: KIND, name: excerpt(name), found, expected: SIZE }
            }
        })?;
        let key = SigningKey::from_keypair_bytes(&bytes)
            .map_err(|_| KeyError::HalvesDiffer { name: excerpt(name) })?;
        Ok(SecretKey { name: name.to_owned(), key })
    }

    /// A key of its seed: 32 random bytes from a source fit for secrets.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidName`] if `name` is empty, or has a colon or a control character.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        let seed = Zeroizing::new(seed);
        Ok(SecretKey { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// The name that its signatures will carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs `data`, such as a fingerprint. The same data gives the same signature.
    pub fn sign(&self, data: &[u8]) -> Signature {
        Signature::from_parts(&self.name, &self.key.sign(data).to_bytes())
    }

    /// The key that verifies what this one signs, of the same name.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(self.name.clone(), self.key.verifying_key())
    }

    /// The text of the key file: the secret itself. There is no newline at its end, as in Nix's files.
    pub fn to_secret_string(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        let payload = Zeroizing::new(base64::encode(&*bytes));
        let mut text = Zeroizing::new(String::with_capacity(self.name.len() + 1 + payload.len()));
        text.push_str(&self.name);
        text.push(':');
        text.push_str(&payload);
        text
    }
}

/// A colon would end the name early, and a control character break the line of a narinfo.
pub(crate) fn check_key_name(name: &str) -> Result<(), KeyError> {
    if name.is_empty() || name.contains(|character: char| character == ':' || character.is_control()) {
        return Err(KeyError::InvalidName { name: excerpt(name) });
    }
    Ok(())
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        SecretKey::parse(text)
    }
}
