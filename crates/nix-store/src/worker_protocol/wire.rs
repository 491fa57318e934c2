//! Numbers, strings and lists as they are on the wire: numbers are 8 bytes, little-endian; strings have their length
//! before them and zeros behind, up to a multiple of 8; lists have their number of elements before them.
//!
//! The other side is not believed: memory is spent only on bytes that have arrived.

use std::io::{self, Read, Write};

use super::error::WireError;

/// The longest string that is accepted, in bytes. Log lines and error messages are the longest that a daemon sends;
/// the list of all paths is many short ones.
const MAX_STRING: u64 = 64 * 1024 * 1024;

/// Reads one number.
///
/// # Errors
///
/// [`WireError::Io`] when there are not 8 bytes more. So for all that follow.
pub fn read_number(from: &mut impl Read) -> Result<u64, WireError> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads a truth value. Like Nix, takes any number but 0 for true.
///
/// # Errors
///
/// As [`read_number`].
pub fn read_bool(from: &mut impl Read) -> Result<bool, WireError> {
    Ok(read_number(from)? != 0)
}

/// Reads the bytes of a string; `what` it is goes into the error.
///
/// # Errors
///
/// [`WireError::TooLong`] beyond 64 MiB, [`WireError::Padding`] when what follows up to the multiple of 8 is not zero.
pub fn read_bytes(from: &mut impl Read, what: &'static str) -> Result<Vec<u8>, WireError> {
    let length = read_number(from)?;
    if length > MAX_STRING {
        return Err(WireError::TooLong { what, length, limit: MAX_STRING });
    }
    let mut bytes = Vec::new();
    // `take` lets the buffer grow with what arrives, not with what is announced.
    if from.by_ref().take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    read_padding(from, length)?;
    Ok(bytes)
}

/// Reads a string.
///
/// # Errors
///
/// As [`read_bytes`], and [`WireError::NotUtf8`].
pub fn read_string(from: &mut impl Read, what: &'static str) -> Result<String, WireError> {
    String::from_utf8(read_bytes(from, what)?)
        .map_err(|error| WireError::NotUtf8 { what, found: error.into_bytes() })
}

/// Reads a list, element by element.
///
/// # Errors
///
/// Those of the elements.
pub fn read_list<R: Read, T, C: Default + Extend<T>>(
    from: &mut R,
    element: impl FnMut(&mut R) -> Result<T, WireError>,
) -> Result<C, WireError> {
    let count = read_number(from)?;
    read_elements(from, count, element)
}

/// Reads a list that has no reason to be longer than `limit`; `what` its elements are goes into the error.
///
/// # Errors
///
/// [`WireError::TooMany`], and those of the elements.
pub fn read_list_of_up_to<R: Read, T, C: Default + Extend<T>>(
    from: &mut R,
    what: &'static str,
    limit: usize,
    element: impl FnMut(&mut R) -> Result<T, WireError>,
) -> Result<C, WireError> {
    let count = read_number(from)?;
    if count > limit as u64 {
        return Err(WireError::TooMany { what, count, limit });
    }
    read_elements(from, count, element)
}

fn read_elements<R: Read, T, C: Default + Extend<T>>(
    from: &mut R,
    count: u64,
    mut element: impl FnMut(&mut R) -> Result<T, WireError>,
) -> Result<C, WireError> {
    let mut list = C::default();
    for _ in 0..count {
        list.extend([element(from)?]);
    }
    Ok(list)
}

fn read_padding(from: &mut impl Read, length: u64) -> Result<(), WireError> {
    let mut padding = [0; 8];
    let padding = padding.get_mut(..padding_after(length)).unwrap_or_default();
    from.read_exact(padding)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(WireError::Padding);
    }
    Ok(())
}

fn padding_after(length: u64) -> usize {
    // Less than 8, so it fits.
    usize::try_from((8 - length % 8) % 8).unwrap_or(0)
}

/// Writes one number.
///
/// # Errors
///
/// Those of `to`.
pub fn write_number(to: &mut impl Write, number: u64) -> io::Result<()> {
    to.write_all(&number.to_le_bytes())
}

/// Writes a truth value.
///
/// # Errors
///
/// Those of `to`.
pub fn write_bool(to: &mut impl Write, value: bool) -> io::Result<()> {
    write_number(to, u64::from(value))
}

/// Writes a string.
///
/// # Errors
///
/// Those of `to`.
pub fn write_string(to: &mut impl Write, string: impl AsRef<[u8]>) -> io::Result<()> {
    let bytes = string.as_ref();
    let length = bytes.len() as u64;
    write_number(to, length)?;
    to.write_all(bytes)?;
    to.write_all([0; 8].get(..padding_after(length)).unwrap_or_default())
}

/// Writes a list, element by element.
///
/// # Errors
///
/// Those of `to`.
pub fn write_list<W: Write, T>(
    to: &mut W,
    list: impl ExactSizeIterator<Item = T>,
    mut element: impl FnMut(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    write_number(to, list.len() as u64)?;
    for item in list {
        element(to, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_costs_no_memory() {
        let mut hostile = (MAX_STRING - 1).to_le_bytes().to_vec();
        hostile.extend(b"short");
        assert!(matches!(read_bytes(&mut hostile.as_slice(), "string"), Err(WireError::Io(_))));
        let mut hostile = u64::MAX.to_le_bytes().to_vec();
        hostile.extend(b"short");
        assert!(matches!(
            read_bytes(&mut hostile.as_slice(), "string"),
            Err(WireError::TooLong { length: u64::MAX, .. })
        ));
        let hostile = u64::MAX.to_le_bytes();
        let list: Result<Vec<u64>, _> = read_list(&mut hostile.as_slice(), read_number);
        assert!(matches!(list, Err(WireError::Io(_))));
    }

    #[test]
    fn padding_must_be_zero() {
        let mut bytes = Vec::new();
        write_string(&mut bytes, "abc").expect("into memory");
        assert_eq!(bytes.len(), 16);
        assert_eq!(read_string(&mut bytes.as_slice(), "string").expect("as written"), "abc");
        bytes[15] = 1;
        assert!(matches!(read_string(&mut bytes.as_slice(), "string"), Err(WireError::Padding)));
    }
}
