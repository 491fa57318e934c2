//! Hashes: an algorithm and its digest, read and written in every form of Nix.

mod algorithm;
mod error;
mod format;
mod hasher;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::HashError;
pub use format::{HashFormat, UnknownHashFormat};
pub use hasher::Hasher;

use crate::{base64, nix32};

/// Length of the longest digest in bytes.
const MAX_SIZE: usize = Algorithm::Sha512.size();

/// A digest and the algorithm that made it.
///
/// `Display` is the form that Nix prints most, `<algorithm>:<nix32>`; `FromStr` is [`Hash::parse`].
/// The order is Nix's (`hash.cc`): shorter digests first, then bytewise, then by algorithm.
///
/// ```
/// use nars3_store_path::{Algorithm, Hash};
///
/// let hash = Hash::digest(Algorithm::Sha256, b"");
/// assert_eq!(hash.to_string(), "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
/// assert_eq!(hash.to_sri(), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// assert_eq!(Hash::parse(&hash.to_sri())?, hash);
/// # Ok::<(), nars3_store_path::HashError>(())
/// ```
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct Hash {
    algorithm: Algorithm,
    /// The digest, then zeros: so the derived equality is right.
    bytes: [u8; MAX_SIZE],
}

impl Hash {
    /// A hash of its parts.
    ///
    /// # Errors
    ///
    /// [`HashError::WrongDigestSize`] unless `digest` is [`Algorithm::size`] bytes long.
    pub fn new(algorithm: Algorithm, digest: &[u8]) -> Result<Hash, HashError> {
        if digest.len() == algorithm.size() {
            Ok(Hash::filled(algorithm, digest))
        } else {
            Err(HashError::WrongDigestSize { algorithm, found: digest.len() })
        }
    }

    /// A SHA-256 hash of its digest.
    pub const fn sha256(digest: [u8; 32]) -> Hash {
        let mut bytes = [0; MAX_SIZE];
        let mut i = 0;
        while i < digest.len() {
            bytes[i] = digest[i];
            i += 1;
        }
        Hash { algorithm: Algorithm::Sha256, bytes }
    }

    /// Hashes `data`.
    pub fn digest(algorithm: Algorithm, data: &[u8]) -> Hash {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// Reads a hash that names its algorithm: `<algorithm>:` followed by base16, Nix32 or base64 (told apart by
    /// their length), or SRI, `<algorithm>-<base64>`.
    ///
    /// # Errors
    ///
    /// [`HashError`] says what is wrong and where.
    pub fn parse(value: &str) -> Result<Hash, HashError> {
        parse::parse_any(value, None).map(|(hash, _)| hash)
    }

    /// Reads a hash of a known algorithm. The text may name the algorithm as in [`Hash::parse`], or not at all.
    ///
    /// # Errors
    ///
    /// As [`Hash::parse`], and [`HashError::AlgorithmMismatch`] if the text names another algorithm.
    pub fn parse_with(algorithm: Algorithm, value: &str) -> Result<Hash, HashError> {
        parse::parse_any(value, Some(algorithm)).map(|(hash, _)| hash)
    }

    /// As [`Hash::parse`] or, with an algorithm, as [`Hash::parse_with`]; tells the format found, too.
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn parse_any(value: &str, algorithm: Option<Algorithm>) -> Result<(Hash, HashFormat), HashError> {
        parse::parse_any(value, algorithm)
    }

    /// Reads an SRI hash, `<algorithm>-<base64>`, and no other form.
    ///
    /// # Errors
    ///
    /// [`HashError`] says what is wrong and where.
    pub fn parse_sri(value: &str) -> Result<Hash, HashError> {
        parse::parse_sri(value)
    }

    /// Reads a digest without any prefix: base16, Nix32 or base64, told apart by their length.
    ///
    /// # Errors
    ///
    /// [`HashError`] says what is wrong and where.
    pub fn parse_digest(algorithm: Algorithm, digest: &str) -> Result<Hash, HashError> {
        parse::parse_digest(algorithm, digest)
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest, [`Algorithm::size`] bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.size()).unwrap_or_default()
    }

    /// `<algorithm>:<nix32>`, as in narinfos.
    pub fn to_nix32(&self) -> String {
        self.print(HashFormat::Nix32, true)
    }

    /// `<algorithm>:<base16>`.
    pub fn to_base16(&self) -> String {
        self.print(HashFormat::Base16, true)
    }

    /// `<algorithm>:<base64>`.
    pub fn to_base64(&self) -> String {
        self.print(HashFormat::Base64, true)
    }

    /// `<algorithm>-<base64>`, as in JSON.
    pub fn to_sri(&self) -> String {
        self.print(HashFormat::Sri, true)
    }

    /// The digest alone in Nix32.
    pub fn nix32_digest(&self) -> String {
        nix32::encode(self.as_bytes())
    }

    /// The digest alone in lower-case hexadecimal.
    pub fn base16_digest(&self) -> String {
        HEXLOWER.encode(self.as_bytes())
    }

    /// The digest alone in base64 with padding.
    pub fn base64_digest(&self) -> String {
        base64::encode(self.as_bytes())
    }

    /// The hash in `format`, with `<algorithm>:` before it if `prefixed`. SRI always has its own prefix.
    pub fn print(&self, format: HashFormat, prefixed: bool) -> String {
        let digest = match format {
            HashFormat::Base16 => self.base16_digest(),
            HashFormat::Nix32 => self.nix32_digest(),
            HashFormat::Base64 | HashFormat::Sri => self.base64_digest(),
        };
        match (format, prefixed) {
            (HashFormat::Sri, _) => format!("{}-{digest}", self.algorithm),
            (_, true) => format!("{}:{digest}", self.algorithm),
            (_, false) => digest,
        }
    }

    /// `digest` and zeros behind it; what does not fit is left out.
    fn filled(algorithm: Algorithm, digest: &[u8]) -> Hash {
        let mut hash = Hash { algorithm, bytes: [0; MAX_SIZE] };
        for (byte, value) in hash.bytes.iter_mut().zip(digest) {
            *byte = *value;
        }
        hash
    }

    fn as_mut_bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.algorithm.size()).unwrap_or_default()
    }
}

impl PartialOrd for Hash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hash {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |hash: &Hash| (hash.algorithm.size(), hash.bytes, hash.algorithm);
        key(self).cmp(&key(other))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; nix32::encoded_len(MAX_SIZE)];
        let text = buffer.get_mut(..nix32::encoded_len(self.algorithm.size())).unwrap_or_default();
        nix32::encode_into(self.as_bytes(), text);
        write!(f, "{}:{}", self.algorithm, str::from_utf8(text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(value: &str) -> Result<Self, HashError> {
        Hash::parse(value)
    }
}
