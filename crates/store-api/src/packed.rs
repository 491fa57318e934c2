//! A NAR inside the file that a cache keeps it in, on its way to a cache that can keep the same file.

use std::fmt;

use nars3_narinfo::Compression;
use nars3_store_path::Hash;

use crate::{Inspector, NarStream};

/// Which compressed files a store takes as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PackedFiles {
    /// None: it keeps no files, or makes its own.
    #[default]
    Never,
    /// Those of one compression.
    Only(Compression),
    /// All that it can unpack.
    Any,
}

impl PackedFiles {
    /// Whether a file with this compression is taken as it is.
    pub fn includes(&self, compression: &Compression) -> bool {
        match self {
            Self::Never => false,
            Self::Only(one) => one == compression,
            Self::Any => true,
        }
    }
}

/// Where the file of a path is, for a store that can have it copied without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    /// How the NAR is compressed in it.
    pub compression: Compression,
    /// Its FileHash.
    pub hash: Hash,
    /// Its FileSize, in bytes.
    pub size: u64,
    /// The store that it is in, as that prints itself.
    pub store: String,
    /// Its object key there.
    pub location: String,
}

/// The file of a path, as a cache keeps it. What is unpacked from it is verified by the store that takes it in.
pub struct PackedNar {
    /// How the NAR is compressed in it.
    pub compression: Compression,
    /// Its size in bytes, where the narinfo tells it.
    pub size: Option<u64>,
    /// The store it comes from, for messages.
    pub store: String,
    /// The object key or URL of it there, for messages.
    pub location: String,
    /// Its bytes. A file without the FileHash and FileSize that its narinfo promises ends in an error.
    pub file: NarStream,
    /// They look at the NAR while it is unpacked, and may refuse its end.
    pub inspectors: Vec<Box<dyn Inspector>>,
}

impl PackedNar {
    /// The same file, whose NAR is looked at by `inspector` as well.
    #[must_use]
    pub fn inspected_by(mut self, inspector: Box<dyn Inspector>) -> Self {
        self.inspectors.push(inspector);
        self
    }
}

impl fmt::Debug for PackedNar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PackedNar")
            .field("store", &self.store)
            .field("location", &self.location)
            .field("compression", &self.compression)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_store_asks_for_stays_packed() {
        assert!(!PackedFiles::Never.includes(&Compression::None));
        assert!(PackedFiles::Any.includes(&Compression::Zstd));
        assert!(PackedFiles::Only(Compression::Xz).includes(&Compression::Xz));
        assert!(!PackedFiles::Only(Compression::Xz).includes(&Compression::Zstd));
    }
}
