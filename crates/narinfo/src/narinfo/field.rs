//! The fields Nix knows, in the order in which it writes them.

use std::fmt;

/// A field of a narinfo. The order of the variants is the order in which Nix writes the fields.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Field {
    /// `StorePath`: the full store path.
    StorePath,
    /// `URL`: where the NAR file is, relative to the cache.
    Url,
    /// `Compression`: how the NAR file is compressed.
    Compression,
    /// `FileHash`: the hash of the NAR file as stored.
    FileHash,
    /// `FileSize`: the size of the NAR file as stored, in bytes.
    FileSize,
    /// `NarHash`: the hash of the NAR, uncompressed.
    NarHash,
    /// `NarSize`: the size of the NAR, uncompressed, in bytes.
    NarSize,
    /// `References`: base names of store paths.
    References,
    /// `Deriver`: the base name of a derivation.
    Deriver,
    /// `Sig`: a signature; the only field that may be repeated.
    Sig,
    /// `CA`: a content address.
    Ca,
}

impl Field {
    /// The name as it stands before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StorePath => "StorePath",
            Self::Url => "URL",
            Self::Compression => "Compression",
            Self::FileHash => "FileHash",
            Self::FileSize => "FileSize",
            Self::NarHash => "NarHash",
            Self::NarSize => "NarSize",
            Self::References => "References",
            Self::Deriver => "Deriver",
            Self::Sig => "Sig",
            Self::Ca => "CA",
        }
    }

    /// The field of this name; none for a name that Nix skips.
    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"StorePath" => Self::StorePath,
            b"URL" => Self::Url,
            b"Compression" => Self::Compression,
            b"FileHash" => Self::FileHash,
            b"FileSize" => Self::FileSize,
            b"NarHash" => Self::NarHash,
            b"NarSize" => Self::NarSize,
            b"References" => Self::References,
            b"Deriver" => Self::Deriver,
            b"Sig" => Self::Sig,
            b"CA" => Self::Ca,
            _ => return None,
        })
    }

    /// The bit of this field in a set of fields.
    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
