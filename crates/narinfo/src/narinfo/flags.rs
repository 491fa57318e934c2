//! Where a narinfo departs from the form Nix writes.

use std::fmt;
use std::ops::{BitOr, BitOrAssign, Sub};

/// A set of departures from the one form in which Nix writes a narinfo.
///
/// Nix reads far more than it writes. Reading here accepts nearly as much, and remembers what was unusual, because
/// printing cannot give it back: see [`Flags::NOT_PRINTED_BACK`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $description:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every flag with its name, lowest bit first.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name))),*];

            /// What to say about a field with this one flag, as the rest of a sentence that begins with the field.
            pub(super) fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)*
                    _ => "is not as Nix writes it",
                }
            }
        }
    };
}

flags! {
    /// A field that Nix does not know was skipped, such as the `System` that Hydra once wrote.
    UNKNOWN_FIELD = 0, "is no field that Nix knows";
    /// The fields are not in the order in which Nix writes them.
    FIELD_ORDER = 1, "comes after a field that Nix writes later";
    /// A field that occurs once at most occurs again; the last one counts.
    DUPLICATE_FIELD = 2, "is given a second time";
    /// The byte after a colon is not a space. Nix skips it unseen, even when it is a line break.
    SEPARATOR = 3, "does not have a space after its colon";
    /// `Compression` is missing or empty, which means bzip2.
    COMPRESSION_DEFAULT = 4, "is missing or empty, which means bzip2";
    /// `Compression` names a method that Nix does not have.
    COMPRESSION_UNKNOWN = 5, "names a method that Nix does not have";
    /// There is no `FileHash`. Nix 2.29 never writes such a narinfo, some cache servers do.
    FILE_HASH_MISSING = 6, "is missing";
    /// There is no `FileSize`. Nix 2.29 never writes such a narinfo, some cache servers do.
    FILE_SIZE_MISSING = 7, "is missing";
    /// `FileHash` is not in Nix32 with a `sha256:` in front, but in base16, base64 or SRI.
    FILE_HASH_ENCODING = 8, "is not written as '<algorithm>:<Nix32 digest>'";
    /// `NarHash` is not in Nix32 with a `sha256:` in front, but in base16, base64 or SRI.
    NAR_HASH_ENCODING = 9, "is not written as '<algorithm>:<Nix32 digest>'";
    /// `FileHash` is not a SHA-256.
    FILE_HASH_ALGORITHM = 10, "is not a SHA-256";
    /// `NarHash` is not a SHA-256.
    NAR_HASH_ALGORITHM = 11, "is not a SHA-256";
    /// A size has leading zeros or a plus sign.
    SIZE_FORM = 12, "has leading zeros or a plus sign";
    /// There is no `References` line; Nix writes one even for a path without references.
    REFERENCES_MISSING = 13, "is missing";
    /// The references are not in the order of their base names.
    REFERENCES_UNSORTED = 14, "comes after a reference with a later base name";
    /// A reference is listed twice.
    REFERENCES_DUPLICATE = 15, "is listed twice";
    /// The references are not separated by exactly one space each.
    REFERENCES_SPACING = 16, "are not separated by exactly one space";
    /// `Deriver: unknown-deriver`, which means that there is none.
    DERIVER_UNKNOWN = 17, "says that there is none, where Nix writes no line";
    /// The signatures are in no order that a Nix writes.
    SIGNATURES_UNSORTED = 18, "comes after a signature with a later text";
    /// A signature is given twice.
    SIGNATURES_DUPLICATE = 19, "is given twice";
    /// The signatures are ordered by key name, then by their bytes, as Nix HEAD does, and this is not the order of
    /// their texts, as Nix 2.29 does (`a-1:…` and `a:…` change places). Printing keeps this order.
    SIGNATURES_BY_KEY = 20, "is ordered by key name and bytes, not by its text";
    /// `CA` is there, but empty, which means that there is none.
    CA_EMPTY = 21, "is empty";
    /// The hash in `CA` is not in Nix32.
    CA_FORM = 22, "does not have its hash in Nix32";
    /// `StorePath` has superfluous slashes or dots, which Nix removes.
    STORE_PATH_FORM = 23, "has superfluous slashes or dots";
}

impl Flags {
    /// No flag: the narinfo is as Nix 2.29 writes it.
    pub const NONE: Self = Self(0);

    /// The flags whose reason is lost in printing.
    ///
    /// A narinfo without any of these prints back byte for byte; a narinfo with one of these does not. The others mark
    /// what is unusual but kept.
    pub const NOT_PRINTED_BACK: Self = Self(
        !(Self::COMPRESSION_UNKNOWN.0
            | Self::FILE_HASH_MISSING.0
            | Self::FILE_SIZE_MISSING.0
            | Self::FILE_HASH_ALGORITHM.0
            | Self::NAR_HASH_ALGORITHM.0
            | Self::SIGNATURES_BY_KEY.0),
    );

    /// All flags of both sets, as `|`, but in constants as well.
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// Whether there is no flag at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether at least one of `flags` is set.
    pub const fn intersects(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Whether printing gives back the text that was read, byte for byte.
    pub const fn prints_back(self) -> bool {
        !self.intersects(Self::NOT_PRINTED_BACK)
    }

    /// The names of the flags that are set, as they are written in this documentation.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The flags on the left that are not on the right.
impl Sub for Flags {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// `UNKNOWN_FIELD | FIELD_ORDER`, or `-` when nothing is set.
impl fmt::Display for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in self.names() {
            write!(formatter, "{separator}{name}")?;
            separator = " | ";
        }
        if separator.is_empty() { formatter.write_str("-") } else { Ok(()) }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Flags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_a_bit_of_their_own() {
        let mut seen = Flags::NONE;
        for (flag, name) in Flags::ALL {
            assert!(!seen.intersects(*flag), "{name}");
            seen |= *flag;
        }
        assert_eq!(seen.names().count(), Flags::ALL.len());
    }

    #[test]
    fn shown_by_name() {
        assert_eq!(format!("{:?}", Flags::NONE), "Flags(-)");
        let flags = Flags::FIELD_ORDER | Flags::CA_EMPTY;
        assert_eq!(flags.to_string(), "FIELD_ORDER | CA_EMPTY");
        assert_eq!(flags - Flags::CA_EMPTY, Flags::FIELD_ORDER);
    }

    #[test]
    fn only_kept_oddities_print_back() {
        assert!(Flags::NONE.prints_back());
        assert!((Flags::FILE_SIZE_MISSING | Flags::SIGNATURES_BY_KEY).prints_back());
        assert!(!(Flags::FILE_SIZE_MISSING | Flags::SIZE_FORM).prints_back());
    }
}
