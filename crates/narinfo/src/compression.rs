//! The compression methods a narinfo can name.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A compression method, under the name Nix gives it.
///
/// Every text is a `Compression`: a name that Nix does not have becomes [`Compression::Unknown`], so that a narinfo
/// stays readable and fails only when its NAR has to be decompressed. Nix 2.29 does the same; newer versions refuse the
/// narinfo instead (`compression-algo.cc`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Compression {
    /// Not compressed.
    None,
    /// xz, Nix's default.
    Xz,
    /// bzip2, what a narinfo without `Compression` means.
    Bzip2,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Brotli, which Nix calls `br`.
    Brotli,
    /// lz4 in its frame format.
    Lz4,
    /// lzip.
    Lzip,
    /// The older "lzma alone" format.
    Lzma,
    /// Unix `compress`.
    Compress,
    /// grzip, through an outside program.
    Grzip,
    /// lrzip, through an outside program.
    Lrzip,
    /// lzop, through an outside program.
    Lzop,
    /// A name that Nix does not know, verbatim.
    Unknown(Box<str>),
}

impl Compression {
    /// Every method Nix knows, in the order of their names.
    pub const KNOWN: [Self; 13] = [
        Self::Brotli,
        Self::Bzip2,
        Self::Compress,
        Self::Grzip,
        Self::Gzip,
        Self::Lrzip,
        Self::Lz4,
        Self::Lzip,
        Self::Lzma,
        Self::Lzop,
        Self::None,
        Self::Xz,
        Self::Zstd,
    ];

    /// Nix's name, as it stands in a narinfo: `none`, `xz`, `br`, ….
    pub fn name(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Lz4 => "lz4",
            Self::Lzip => "lzip",
            Self::Lzma => "lzma",
            Self::Compress => "compress",
            Self::Grzip => "grzip",
            Self::Lrzip => "lrzip",
            Self::Lzop => "lzop",
            Self::Unknown(name) => name,
        }
    }

    /// What Nix appends to `nar/<hash>.nar`, with its dot; empty for most methods, gzip among them
    /// (Nix 2.29 `binary-cache-store.cc`).
    pub fn file_extension(&self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Lzip => ".lzip",
            Self::Lz4 => ".lz4",
            Self::Brotli => ".br",
            _ => "",
        }
    }

    /// Whether Nix has a method of this name.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl From<&str> for Compression {
    fn from(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "xz" => Self::Xz,
            "bzip2" => Self::Bzip2,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "br" => Self::Brotli,
            "lz4" => Self::Lz4,
            "lzip" => Self::Lzip,
            "lzma" => Self::Lzma,
            "compress" => Self::Compress,
            "grzip" => Self::Grzip,
            "lrzip" => Self::Lrzip,
            "lzop" => Self::Lzop,
            other => Self::Unknown(other.into()),
        }
    }
}

impl FromStr for Compression {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(name))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_method() {
        for method in Compression::KNOWN {
            assert_eq!(Compression::from(method.name()), method);
            assert!(method.is_known());
        }
    }

    #[test]
    fn known_methods_are_in_the_order_of_their_names() {
        assert!(Compression::KNOWN.is_sorted_by_key(|method| method.name().to_owned()));
    }

    #[test]
    fn names_that_nix_refuses_are_kept_verbatim() {
        for name in ["brotli", "XZ", "", "zst"] {
            let method = Compression::from(name);
            assert!(!method.is_known(), "{name:?}");
            assert_eq!(method.to_string(), name);
            assert_eq!(method.file_extension(), "");
        }
    }

    #[test]
    fn extensions_are_those_nix_writes() {
        let with_extension: Vec<String> = Compression::KNOWN
            .iter()
            .filter(|method| !method.file_extension().is_empty())
            .map(|method| format!("{method}{}", method.file_extension()))
            .collect();
        assert_eq!(with_extension, ["br.br", "bzip2.bz2", "lz4.lz4", "lzip.lzip", "xz.xz", "zstd.zst"]);
    }
}
