//! The rows, in the groups that documentation shows.

mod cache;
mod headers;
mod http;
mod local;
mod s3;
mod store;
mod transfer;

use super::{Origin, Range, Setting, Slot, StoreType, Unit};

/// All rows. A setting that must be read after another one (`secret-keys` after `secret-key`) stands behind it.
pub(super) static GROUPS: [&[Setting]; 7] =
    [&s3::ROWS, &headers::ROWS, &cache::ROWS, &http::ROWS, &transfer::ROWS, &local::ROWS, &store::ROWS];

/// All NAR compression methods that Nix names (`compression-algo.hh`), the usual ones first.
const COMPRESSIONS: Range = Range::OneOf(&[
    "xz", "zstd", "none", "bzip2", "gzip", "br", "compress", "grzip", "lrzip", "lz4", "lzip", "lzma", "lzop",
]);

/// A whole number that fits Nix's `unsigned int`.
const UNSIGNED: Range = Range::Integer { minimum: 0, maximum: u32::MAX as u64 };

/// The start of a row: a setting without default, unit and old names. The rest is added by the methods below.
const fn row(
    name: &'static str,
    stores: &'static [StoreType],
    origin: Origin,
    range: Range,
    meaning: &'static str,
    slot: Slot,
) -> Setting {
    Setting {
        name,
        aliases: &[],
        stores,
        origin,
        default: "",
        unit: Unit::None,
        range,
        meaning,
        sensitive: false,
        slot,
    }
}

impl Setting {
    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }
}
