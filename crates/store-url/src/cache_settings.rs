//! The settings of every binary cache: S3, HTTP or a directory.

use std::path::PathBuf;

use nars3_narinfo::Compression;

/// Settings of a binary cache (Nix `binary-cache-store.hh`; the three content encodings are in
/// `s3-binary-cache-store.hh` of 2.29 and in `http-binary-cache-store.hh` since).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheSettings {
    /// `compression`: of NARs that are written.
    pub compression: Compression,
    /// Whether `compression` stands in the URL. If it does not, files of other caches may keep what they have.
    pub compression_is_chosen: bool,
    /// `compression-level`: the method's own scale; `None` is the method's default (Nix writes -1).
    pub compression_level: Option<i32>,
    /// `parallel-compression`; `parallel` tells what it means when it is unset.
    pub parallel_compression: Option<bool>,
    /// `write-nar-listing`: whether a `.ls` file is written beside each NAR.
    pub write_nar_listing: bool,
    /// `index-debug-info`: whether build ids of debug information are indexed.
    pub index_debug_info: bool,
    /// `secret-key`, then those of `secret-keys`: files with the keys that sign what is written.
    /// A key in place of a file's path is refused while reading, so that printing these shows no secret.
    /// They may be relative, as in Nix 2.29: see `StoreUrl::resolve_relative`.
    pub secret_keys: Vec<PathBuf>,
    /// `local-nar-cache`: a directory where NARs are kept once they were read for a single file.
    pub local_nar_cache: Option<PathBuf>,
    /// `follow-nar-urls`: whether the `URL` of a narinfo may lead to another server. No credentials go there.
    pub follow_nar_urls: bool,
    /// `narinfo-compression`: the content encoding of narinfos; `None` is none.
    pub narinfo_compression: Option<Compression>,
    /// `ls-compression`: the content encoding of `.ls` files.
    pub ls_compression: Option<Compression>,
    /// `log-compression`: the content encoding of build logs.
    pub log_compression: Option<Compression>,
    /// `force-encodings`: whether content encodings are written that Nix 2.34 and later cannot read.
    pub force_encodings: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings {
            compression: Compression::Xz,
            compression_is_chosen: false,
            compression_level: None,
            parallel_compression: None,
            write_nar_listing: false,
            index_debug_info: false,
            secret_keys: Vec::new(),
            local_nar_cache: None,
            follow_nar_urls: false,
            narinfo_compression: None,
            ls_compression: None,
            log_compression: None,
            force_encodings: false,
        }
    }
}

impl CacheSettings {
    /// Whether NARs are compressed with several threads: if not set, only for zstd, whose frames decode in any
    /// version of Nix (Nix HEAD's rule).
    pub fn parallel(&self) -> bool {
        self.parallel_compression.unwrap_or(self.compression == Compression::Zstd)
    }
}
