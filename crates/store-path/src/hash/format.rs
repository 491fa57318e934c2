//! The texts in which Nix writes a hash.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Algorithm;
use crate::text::excerpt;
use crate::{base64, nix32};

/// How a digest is written as text.
///
/// Exhaustive on purpose: these are the four forms of Nix.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub enum HashFormat {
    /// Hexadecimal: lower case is printed, both cases are read.
    Base16,
    /// Nix's base 32, see the module `nix32`.
    Nix32,
    /// Base64 with padding.
    Base64,
    /// `<algorithm>-<base64>`, the form of Subresource Integrity.
    Sri,
}

/// A name that is no hash format of Nix.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[error("unknown hash format '{name}': expected base16, nix32 (or its old name base32), base64 or sri")]
pub struct UnknownHashFormat {
    /// The name found.
    pub name: String,
}

impl HashFormat {
    /// All of them.
    pub const ALL: [HashFormat; 4] =
        [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64, HashFormat::Sri];

    /// Nix's name, such as `nix32`.
    pub const fn name(self) -> &'static str {
        match self {
            HashFormat::Base16 => "base16",
            HashFormat::Nix32 => "nix32",
            HashFormat::Base64 => "base64",
            HashFormat::Sri => "sri",
        }
    }

    /// Number of characters of a digest of `algorithm`, without any prefix.
    pub const fn digest_len(self, algorithm: Algorithm) -> usize {
        match self {
            HashFormat::Base16 => algorithm.size() * 2,
            HashFormat::Nix32 => nix32::encoded_len(algorithm.size()),
            HashFormat::Base64 | HashFormat::Sri => base64::encoded_len(algorithm.size()),
        }
    }
}

impl fmt::Display for HashFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for HashFormat {
    type Err = UnknownHashFormat;

    fn from_str(name: &str) -> Result<Self, UnknownHashFormat> {
        // Nix before 2.20 said base32.
        let name = if name == "base32" { "nix32" } else { name };
        HashFormat::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownHashFormat { name: excerpt(name) })
    }
}
