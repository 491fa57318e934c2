//! Settings of binary caches.

use std::path::PathBuf;

use super::{COMPRESSIONS, Range, Setting, Slot, StoreType, row};
use crate::error::ValueProblem;
use crate::setting::Origin::{Nars3, Nix2_29};
use crate::setting::field::Field;
use crate::setting::slot::slot;

const CACHES: &[StoreType] = &[StoreType::S3, StoreType::File, StoreType::Http];

/// Content encodings need a server that keeps them.
const SERVERS: &[StoreType] = &[StoreType::S3, StoreType::Http];

/// Levels that some method has; the method's own limits are checked where its encoder is made.
const LEVELS: Range = Range::Integer { minimum: -1, maximum: 22 };

macro_rules! cache {
    ($field:ident) => {
        slot!(url => Some(&url.cache.$field), Some(&mut url.cache.$field))
    };
}

/// How many characters of base64 behind a colon make a path look like a key: 30 bytes, where a key has 32 or 64.
const KEY_CHARACTERS: usize = 40;

/// The path of a file that holds a key.
///
/// A key itself is refused: settings are printed in many places, and a path is no secret.
fn key_file(text: &str, setting: &Setting) -> Result<PathBuf, ValueProblem> {
    let is_base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let is_key = |behind: &str| behind.trim_start().chars().take_while(is_base64).count() >= KEY_CHARACTERS;
    if !text.starts_with('/') && text.split(':').skip(1).any(is_key) {
        return Err(ValueProblem::KeyInsteadOfPath);
    }
    Field::read(text, setting)
}

/// `compression` also says whether somebody has chosen it.
const COMPRESSION: Slot = Slot {
    read: |url, text, setting| {
        url.cache.compression = Field::read(text, setting)?;
        url.cache.compression_is_chosen = true;
        Ok(())
    },
    show: |url, setting| url.cache.compression.show(setting),
};

/// `secret-key` is the first of the keys.
const SECRET_KEY: Slot = Slot {
    read: |url, text, setting| {
        if !text.is_empty() {
            url.cache.secret_keys.push(key_file(text, setting)?);
        }
        Ok(())
    },
    show: |url, setting| url.cache.secret_keys.first().and_then(|path| path.show(setting)),
};

/// `secret-keys` are the others. Nix reads it after `secret-key` wherever it stands in the URL.
const SECRET_KEYS: Slot = Slot {
    read: |url, text, setting| {
        for path in text.split(',').filter(|path| !path.is_empty()) {
            url.cache.secret_keys.push(key_file(path, setting)?);
        }
        Ok(())
    },
    show: |url, setting| {
        let others = url.cache.secret_keys.iter().skip(1).filter_map(|path| path.show(setting));
        Some(others.collect::<Vec<_>>().join(",")).filter(|list| !list.is_empty())
    },
};

pub(super) static ROWS: [Setting; 13] = [
    row(
        "compression",
        CACHES,
        Nix2_29,
        COMPRESSIONS,
        "Compression of NARs that are written. Unless it is given, files of another cache keep theirs.",
        COMPRESSION,
    )
    .default("xz"),
    row(
        "compression-level",
        CACHES,
        Nix2_29,
        LEVELS,
        "Level on the compression method's own scale; -1 is the method's default.",
        cache!(compression_level),
    )
    .default("-1"),
    row(
        "parallel-compression",
        CACHES,
        Nix2_29,
        Range::Boolean,
        "Compress a NAR with several threads. Default: true for zstd, else false.",
        cache!(parallel_compression),
    ),
    row(
        "write-nar-listing",
        CACHES,
        Nix2_29,
        Range::Boolean,
        "Write a listing (`.ls`) for each NAR.",
        cache!(write_nar_listing),
    )
    .default("false"),
    row(
        "index-debug-info",
        CACHES,
        Nix2_29,
        Range::Boolean,
        "Index debug information by build id.",
        cache!(index_debug_info),
    )
    .default("false"),
    row(
        "secret-key",
        CACHES,
        Nix2_29,
        Range::Path,
        "File with the key that signs what is written.",
        SECRET_KEY,
    )
    .sensitive(),
    row("secret-keys", CACHES, Nix2_29, Range::Paths, "Files with further such keys.", SECRET_KEYS)
        .sensitive(),
    row(
        "local-nar-cache",
        CACHES,
        Nix2_29,
        Range::AbsolutePath,
        "Directory where NARs are kept that were read for single files.",
        cache!(local_nar_cache),
    ),
    row(
        "follow-nar-urls",
        CACHES,
        Nars3,
        Range::Boolean,
        "Fetch NARs from other servers where narinfos say so.",
        cache!(follow_nar_urls),
    )
    .default("false"),
    row(
        "narinfo-compression",
        SERVERS,
        Nix2_29,
        COMPRESSIONS,
        "Content encoding of narinfos that are written.",
        cache!(narinfo_compression),
    ),
    row(
        "ls-compression",
        SERVERS,
        Nix2_29,
        COMPRESSIONS,
        "Content encoding of listings that are written.",
        cache!(ls_compression),
    ),
    row(
        "log-compression",
        SERVERS,
        Nix2_29,
        COMPRESSIONS,
        "Content encoding of build logs that are written.",
        cache!(log_compression),
    ),
    row(
        "force-encodings",
        SERVERS,
        Nars3,
        Range::Boolean,
        "Write content encodings that Nix 2.34 and later cannot read, such as `xz`.",
        cache!(force_encodings),
    )
    .default("false"),
];
