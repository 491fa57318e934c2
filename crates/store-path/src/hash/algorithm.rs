//! The hash algorithms that Nix knows.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::text::excerpt;

/// A hash algorithm. Nix keeps `blake3` behind an experimental feature; here it is always known.
///
/// Exhaustive on purpose: every place that hashes must know what to do with each of them.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub enum Algorithm {
    /// MD5, 16 bytes. Broken; only old fixed outputs use it.
    Md5,
    /// SHA-1, 20 bytes. Broken; only old fixed outputs use it.
    Sha1,
    /// SHA-256, 32 bytes: what Nix itself uses for everything.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// BLAKE3, 32 bytes.
    Blake3,
}

/// A name that is no hash algorithm of Nix.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[error("unknown hash algorithm '{name}': expected blake3, md5, sha1, sha256 or sha512")]
pub struct UnknownAlgorithm {
    /// The name found.
    pub name: String,
}

impl Algorithm {
    /// All of them, in the order that Nix lists them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Blake3, Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

    /// Length of the digest in bytes.
    pub const fn size(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 | Algorithm::Blake3 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// Nix's name, such as `sha256`.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
            Algorithm::Blake3 => "blake3",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm { name: excerpt(name) })
    }
}
