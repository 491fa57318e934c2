//! What may be the name of a store object (Nix 2.29 `path.cc`, `checkName`).

use thiserror::Error;

use crate::text::excerpt;

/// Longest name in characters: 255 bytes of a file name, less the hash part, the dash, and room for suffixes
/// such as `.lock`.
pub const MAX_NAME_LEN: usize = 211;

/// Why a text is not the name of a store object. Positions count bytes from the start of the name.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no name.
    #[error("the name is empty")]
    Empty,
    /// More than [`MAX_NAME_LEN`] characters.
    #[error("the name '{name}' has {length} bytes, at most {MAX_NAME_LEN} are allowed")]
    TooLong {
        /// The name, with control characters escaped and cut if it is very long.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The name is `.` or `..`, or begins with one of them and a dash.
    #[error("the name '{name}' must not have '{component}' as its first part")]
    DotComponent {
        /// The name.
        name: String,
        /// `.` or `..`.
        component: &'static str,
    },
    /// A character that names cannot have.
    #[error(
        "'{}' at byte {position} of the name '{name}' is not a letter, a digit or one of '+-._?='",
        excerpt(character.encode_utf8(&mut [0; 4]))
    )]
    InvalidCharacter {
        /// The name, with control characters escaped and cut if it is very long.
        name: String,
        /// Byte offset in the name.
        position: usize,
        /// The character there.
        character: char,
    },
}

/// Tells whether `name` may be the name of a store object: 1 to 211 ASCII letters, digits and `+-._?=`, where `.`
/// and `..` cannot be the whole name, nor the part before the first dash.
///
/// # Errors
///
/// [`NameError`] says which rule is broken and where.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(NameError::TooLong { name: excerpt(name), length: name.len() });
    }
    if name.starts_with('.') {
        let first = name.split_once('-').map_or(name, |(first, _)| first);
        for component in [".", ".."] {
            if first == component {
                return Err(NameError::DotComponent { name: name.to_owned(), component });
            }
        }
    }
    if name.bytes().all(|byte| ALLOWED[usize::from(byte)]) {
        return Ok(());
    }
    let (position, character) = name
        .char_indices()
        .find(|(_, character)| !u8::try_from(*character).is_ok_and(|byte| ALLOWED[usize::from(byte)]))
        .unwrap_or_default();
    Err(NameError::InvalidCharacter { name: excerpt(name), position, character })
}

/// Which bytes a name can have.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'+' | b'-' | b'.' | b'_' | b'?' | b'=');
        byte += 1;
    }
    allowed
};
