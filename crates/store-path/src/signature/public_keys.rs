//! Sets of trusted public keys.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{KeyError, PublicKey, Signature};

/// Trusted public keys by their name. Of two keys with one name the first counts, as in Nix.
///
/// `FromStr` reads keys separated by white space, as in the setting `trusted-public-keys`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublicKeys(BTreeMap<String, PublicKey>);

impl PublicKeys {
    /// No keys: nothing verifies.
    pub fn new() -> Self {
        PublicKeys::default()
    }

    /// Adds a key, unless one of its name is there already.
    pub fn insert(&mut self, key: PublicKey) {
        self.0.entry(key.name().to_owned()).or_insert(key);
    }

    /// True without any key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of a name.
    pub fn by_name(&self, name: &str) -> Option<&PublicKey> {
        self.0.get(name)
    }

    /// True if the key that `signature` names is here, and `signature` signs `data`.
    pub fn verify(&self, data: &[u8], signature: &Signature) -> bool {
        self.by_name(signature.key_name()).is_some_and(|key| key.verify(data, signature))
    }

    /// The keys, by name.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }
}

impl FromIterator<PublicKey> for PublicKeys {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        let mut set = PublicKeys::new();
        set.extend(keys);
        set
    }
}

impl Extend<PublicKey> for PublicKeys {
    fn extend<T: IntoIterator<Item = PublicKey>>(&mut self, keys: T) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl FromStr for PublicKeys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.split_whitespace().map(PublicKey::from_str).collect()
    }
}
