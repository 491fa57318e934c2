//! Settings for the headers of stored objects: two for each kind of object.

use super::{Range, Setting, StoreType, row};
use crate::setting::Origin::Nars3;
use crate::setting::slot::of_kind;

const S3: &[StoreType] = &[StoreType::S3];

macro_rules! rows {
    ($($kind:literal $field:ident $what:literal;)+) => {
        [$(
            row(
                concat!($kind, "-content-type"),
                S3,
                Nars3,
                Range::Text,
                concat!("`Content-Type` of ", $what, ". Default: as Nix writes it."),
                of_kind!(s3, s3_mut, headers.$field.content_type),
            ),
            row(
                concat!($kind, "-cache-control"),
                S3,
                Nars3,
                Range::Text,
                concat!("`Cache-Control` of ", $what, "."),
                of_kind!(s3, s3_mut, headers.$field.cache_control),
            ),
        )+]
    };
}

pub(super) static ROWS: [Setting; 14] = rows! {
    "cache-info" cache_info "`nix-cache-info`";
    "narinfo" narinfo "narinfos";
    "nar" nar "NARs";
    "ls" ls "listings";
    "debuginfo" debuginfo "the index of debug information";
    "realisation" realisation "realisations";
    "log" log "build logs";
};
