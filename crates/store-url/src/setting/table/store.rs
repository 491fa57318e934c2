//! Settings of every store.

use super::{Range, Setting, StoreType, Unit, row};
use crate::setting::Origin::Nix2_29;
use crate::setting::slot::slot;

const STORES: &[StoreType] =
    &[StoreType::S3, StoreType::File, StoreType::Http, StoreType::Local, StoreType::Daemon, StoreType::Auto];

macro_rules! store {
    ($field:ident) => {
        slot!(url => Some(&url.store.$field), Some(&mut url.store.$field))
    };
}

/// Nix's `int`.
const INT: Range = Range::Integer { minimum: i32::MIN as i64, maximum: i32::MAX as u64 };

pub(super) static ROWS: [Setting; 6] = [
    row(
        "store",
        STORES,
        Nix2_29,
        Range::AbsolutePath,
        "Store directory of the store's paths.",
        store!(store_dir),
    )
    .default("/nix/store"),
    row(
        "path-info-cache-size",
        STORES,
        Nix2_29,
        Range::Integer { minimum: 0, maximum: i32::MAX as u64 },
        "How many path infos are kept in memory.",
        store!(path_info_cache_size),
    )
    .default("65536")
    .unit(Unit::Entries),
    row(
        "trusted",
        STORES,
        Nix2_29,
        Range::Boolean,
        "Accept paths from this store without a trusted signature.",
        store!(trusted),
    )
    .default("false"),
    row(
        "priority",
        STORES,
        Nix2_29,
        INT,
        "Lower is asked first. Default: what `nix-cache-info` says, else 0.",
        store!(priority),
    ),
    row(
        "want-mass-query",
        STORES,
        Nix2_29,
        Range::Boolean,
        "Ask for many path infos at once. Default: what `nix-cache-info` says, else false.",
        store!(want_mass_query),
    ),
    row(
        "system-features",
        STORES,
        Nix2_29,
        Range::Words,
        "What the store can build, such as `kvm`.",
        store!(system_features),
    ),
];
