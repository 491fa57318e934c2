//! The words of the format: a string is its length as 64-bit little-endian, its bytes, and zeros up to a multiple of 8.

/// The first string of every NAR.
pub(crate) const MAGIC: &[u8] = b"nix-archive-1";

/// How many zero bytes follow a string of `length` bytes.
pub(crate) const fn padding(length: u64) -> u64 {
    length.wrapping_neg() & 7
}

/// The length of the given strings when written one after another.
const fn framed_length(strings: &[&[u8]]) -> usize {
    let mut total = 0;
    let mut i = 0;
    while i < strings.len() {
        total += 8 + strings[i].len().next_multiple_of(8);
        i += 1;
    }
    total
}

/// The given strings as they stand in a NAR, one after another, made at compile time.
const fn framed<const N: usize>(strings: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let mut at = 0;
    let mut i = 0;
    while i < strings.len() {
        let length = strings[i].len();
        out[at] = length as u8;
        let mut j = 0;
        while j < length {
            out[at + 8 + j] = strings[i][j];
            j += 1;
        }
        at += 8 + length.next_multiple_of(8);
        i += 1;
    }
    out
}

/// Defines constants that hold runs of strings as they stand in a NAR.
macro_rules! runs {
    ($($(#[$doc:meta])* $name:ident = [$($string:expr),+];)+) => {$(
        $(#[$doc])*
        pub(crate) const $name: &[u8] = {
            const STRINGS: &[&[u8]] = &[$($string),+];
            const RUN: [u8; framed_length(STRINGS)] = framed(STRINGS);
            &RUN
        };
    )+};
}

runs! {
    /// Everything before the root node.
    HEADER = [MAGIC];
    /// A directory, up to its first entry.
    DIRECTORY = [b"(", b"type", b"directory"];
    /// A file, up to the length of its contents.
    REGULAR = [b"(", b"type", b"regular", b"contents"];
    /// An executable file, up to the length of its contents.
    EXECUTABLE = [b"(", b"type", b"regular", b"executable", b"", b"contents"];
    /// A symlink, up to its target.
    SYMLINK = [b"(", b"type", b"symlink", b"target"];
    /// A directory entry, up to its name.
    ENTRY = [b"entry", b"(", b"name"];
    /// What stands between the name of an entry and its node.
    NODE = [b"node"];
    /// The end of a node, or of an entry.
    CLOSE = [b")"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_framed_strings() {
        assert_eq!(HEADER, b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0");
        assert_eq!(CLOSE, b"\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0");
        assert_eq!(EXECUTABLE.len(), 16 + 16 + 16 + 24 + 8 + 16);
    }

    #[test]
    fn padding_reaches_the_next_multiple_of_eight() {
        for length in 0..64_u64 {
            let padding = padding(length);
            assert!(padding < 8);
            assert_eq!((length + padding) % 8, 0);
        }
    }
}
