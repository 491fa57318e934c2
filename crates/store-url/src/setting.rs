//! The table of settings: one row each, which reading, printing, documentation and suggestions all follow.

mod field;
mod slot;
mod table;

use std::fmt;

use crate::nearest;
pub(crate) use slot::Slot;

/// A kind of store, as far as settings are concerned.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StoreType {
    /// `s3://bucket`, an S3 binary cache.
    S3,
    /// `s3://bucket/key`, an object in a bucket.
    S3Object,
    /// `file:///directory`, a binary cache in a directory.
    File,
    /// `http://…` and `https://…`, a binary cache on a web server.
    Http,
    /// `local`, Nix's own store or a chroot store.
    Local,
    /// `daemon`, the Nix daemon.
    Daemon,
    /// `auto`, whichever of `local` and `daemon` is there.
    Auto,
}

impl StoreType {
    /// A short name for messages and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            StoreType::S3 => "s3",
            StoreType::S3Object => "s3 object",
            StoreType::File => "file",
            StoreType::Http => "http",
            StoreType::Local => "local",
            StoreType::Daemon => "daemon",
            StoreType::Auto => "auto",
        }
    }
}

impl fmt::Display for StoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// Nix 2.29 has it for these stores.
    Nix2_29,
    /// Nix HEAD (2.36) has it for these stores.
    NixHead,
    /// Nix has it as a global option, not in store URLs.
    NixOption,
    /// It is of our own making.
    Nars3,
}

impl Origin {
    /// A short name for tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Nix2_29 => "Nix 2.29",
            Origin::NixHead => "Nix 2.36",
            Origin::NixOption => "nix.conf",
            Origin::Nars3 => "nars3",
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Unit {
    /// Nothing, or the setting is no number.
    None,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Entries of a cache.
    Entries,
    /// Attempts at a request.
    Attempts,
    /// Connections.
    Connections,
}

impl Unit {
    /// The word for tables and messages; empty for `None`.
    pub const fn as_str(self) -> &'static str {
        match self.suffix().split_at_checked(1) {
            Some((_, word)) => word,
            None => "",
        }
    }

    /// The word with a space in front, to stand behind a number.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Bytes => " bytes",
            Unit::Seconds => " seconds",
            Unit::Milliseconds => " milliseconds",
            Unit::Entries => " entries",
            Unit::Attempts => " attempts",
            Unit::Connections => " connections",
        }
    }
}

/// What a setting's value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Range {
    /// `true`, `yes`, `1`, `false`, `no` or `0`.
    Boolean,
    /// A whole number between two others, both included; `K`, `M`, `G` and `T` stand for powers of 1024.
    Integer {
        /// The smallest.
        minimum: i64,
        /// The largest.
        maximum: u64,
    },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Any text without control characters.
    Text,
    /// Letters, digits, `.`, `_` and `-`.
    Name,
    /// A path of a file or directory, relative or absolute.
    Path,
    /// An absolute path.
    AbsolutePath,
    /// Paths with commas between them.
    Paths,
    /// Words with spaces between them.
    Words,
    /// `https://host[:port]`, `http://host[:port]` or `host[:port]`.
    Endpoint,
    /// `name=value` with `&` between them, all of it percent-encoded once more.
    Tags,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Boolean => f.write_str("true or false"),
            Range::Integer { minimum, maximum } => write!(f, "{minimum} to {maximum}"),
            Range::OneOf(words) => f.write_str(&words.join(", ")),
            Range::Text => f.write_str("text"),
            Range::Name => f.write_str("letters, digits, `.`, `_`, `-`"),
            Range::Path => f.write_str("path"),
            Range::AbsolutePath => f.write_str("absolute path"),
            Range::Paths => f.write_str("paths with commas between them"),
            Range::Words => f.write_str("words with spaces between them"),
            Range::Endpoint => f.write_str("URL, or host with optional port"),
            Range::Tags => f.write_str("at most 10 `name=value` with `&` between them"),
        }
    }
}

/// A setting that a store URL may hold.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name in the URL.
    pub name: &'static str,
    /// Older names that mean the same.
    pub aliases: &'static [&'static str],
    /// The stores that have it.
    pub stores: &'static [StoreType],
    /// Where it comes from.
    pub origin: Origin,
    /// The value that holds if it is not given, as it would be written; empty if that is no value at all.
    pub default: &'static str,
    /// What a number counts.
    pub unit: Unit,
    /// What the value may be.
    pub range: Range,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Whether errors must not quote the value, since key material could be put there by mistake.
    pub sensitive: bool,
    pub(crate) slot: Slot,
}

impl Setting {
    /// Whether a kind of store has this setting.
    pub fn applies_to(&self, store: StoreType) -> bool {
        self.stores.contains(&store)
    }

    /// Its name and its old names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Every setting, in the order in which documentation should list them.
///
/// ```
/// for setting in nars3_store_url::settings_table() {
///     println!("| `{}` | {} | {} | {} |", setting.name, setting.default, setting.range, setting.meaning);
/// }
/// ```
pub fn settings_table() -> impl Iterator<Item = &'static Setting> {
    table::GROUPS.iter().copied().flatten()
}

/// The setting of a name or of an old name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    settings_table().find(|setting| setting.name == name || setting.aliases.contains(&name))
}

/// The name nearest to a mistyped one: of this kind of store, or else of any.
pub(crate) fn nearest_name(name: &str, store: StoreType) -> Option<&'static str> {
    let names = |only: bool| {
        settings_table().filter(move |setting| !only || setting.applies_to(store)).flat_map(Setting::names)
    };
    nearest::nearest(name, names(true)).or_else(|| nearest::nearest(name, names(false)))
}

#[cfg(test)]
mod tests;
