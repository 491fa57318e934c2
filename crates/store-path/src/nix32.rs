//! Nix32, the base-32 encoding of Nix.
//!
//! The bytes are read as one little-endian number, which is written in base 32 with the most significant digit
//! first. So the *last* character holds the low five bits of the *first* byte. The alphabet leaves out `e`, `o`,
//! `u` and `t`. There is no padding: `n` bytes are always `ceil(8n / 5)` characters, and the bits of the first
//! character that lie past the last byte must be zero.

use thiserror::Error;

/// The 32 digits in order of their value.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Eight characters carry exactly five bytes; only the leading group of a text is shorter.
const GROUP_CHARACTERS: usize = 8;
const GROUP_BYTES: usize = 5;

/// Marks a byte in [`DIGITS`] that is no digit. Its high bit tells it from every digit.
const NO_DIGIT: u8 = 0xff;
const NO_DIGIT_BIT: u8 = 0x80;

/// The value of every digit, by its ASCII code.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Every two digits in the order they are written, by the value of both: half the look-ups of single digits.
static PAIRS: [[u8; 2]; 1024] = {
    let mut pairs = [[0; 2]; 1024];
    let mut value = 0;
    while value < pairs.len() {
        pairs[value] = [ALPHABET[value / 32], ALPHABET[value % 32]];
        value += 1;
    }
    pairs
};

/// Why a text is not Nix32. Positions count bytes from the start of the text.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum Nix32Error {
    /// A byte that is not in [`ALPHABET`].
    #[error("'{}' at byte {position} is not a Nix32 character", byte.escape_ascii())]
    InvalidCharacter {
        /// Byte offset in the text.
        position: usize,
        /// The byte found there.
        byte: u8,
    },
    /// A length that no whole number of bytes encodes to, or not the one asked for.
    #[error("{found} characters of Nix32, but {expected} bytes take {}", encoded_len(*expected))]
    WrongLength {
        /// Length of the text in bytes.
        found: usize,
        /// Bytes that the text should decode to (where the caller did not say: that it could hold).
        expected: usize,
    },
    /// The first character has bits that lie past the last byte.
    #[error("the first of {length} Nix32 characters has non-zero bits past the last byte")]
    TrailingBits {
        /// Length of the text in bytes.
        length: usize,
    },
}

/// The number of characters that encode `bytes` bytes.
pub const fn encoded_len(bytes: usize) -> usize {
    bytes / GROUP_BYTES * GROUP_CHARACTERS + (bytes % GROUP_BYTES * 8).div_ceil(5)
}

/// The Nix32 text of `input`.
///
/// ```
/// assert_eq!(nars3_store_path::nix32::encode(&[0x1f, 0x00]), "000z");
/// ```
pub fn encode(input: &[u8]) -> String {
    let mut text = vec![0; encoded_len(input.len())];
    encode_into(input, &mut text);
    // The alphabet is ASCII, so this never takes the default.
    String::from_utf8(text).unwrap_or_default()
}

/// Writes the Nix32 text of `input` to `output`, without allocating.
///
/// # Panics
///
/// If `output` is not exactly [`encoded_len`]`(input.len())` bytes long, which is a mistake of the caller.
#[inline]
pub fn encode_into(input: &[u8], output: &mut [u8]) {
    assert_eq!(output.len(), encoded_len(input.len()), "the output must fit the Nix32 text exactly");
    let (head, body) = output.as_rchunks_mut::<GROUP_CHARACTERS>();
    let (groups, rest) = input.as_chunks::<GROUP_BYTES>();
    for (&[a, b, c, d, e], text) in groups.iter().zip(body.iter_mut().rev()) {
        write_group(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]), text);
    }
    write_digits(little_endian(rest), head);
}

/// The bytes that `text` encodes; its length says how many they are.
///
/// # Errors
///
/// [`Nix32Error`] names the first byte that is no digit, a length that no number of bytes has, or non-zero
/// trailing bits.
pub fn decode(text: &str) -> Result<Vec<u8>, Nix32Error> {
    let mut output =
        vec![0; text.len() / GROUP_CHARACTERS * GROUP_BYTES + text.len() % GROUP_CHARACTERS * 5 / 8];
    decode_into(text.as_bytes(), &mut output)?;
    Ok(output)
}

/// Decodes `text` to exactly fill `output`, without allocating. After an error the contents of `output` mean
/// nothing.
///
/// # Errors
///
/// As [`decode`], and [`Nix32Error::WrongLength`] unless `text` is [`encoded_len`]`(output.len())` bytes long.
pub fn decode_into(text: &[u8], output: &mut [u8]) -> Result<(), Nix32Error> {
    if text.len() != encoded_len(output.len()) {
        return Err(Nix32Error::WrongLength { found: text.len(), expected: output.len() });
    }
    let (head, body) = text.as_rchunks::<GROUP_CHARACTERS>();
    let (groups, rest) = output.as_chunks_mut::<GROUP_BYTES>();
    // Errors are gathered in one bit and looked for afterwards, so that the loop has no branch.
    let mut seen = 0;
    for (bytes, group) in groups.iter_mut().zip(body.iter().rev()) {
        let [a, b, c, d, e, ..] = read_digits(group, &mut seen).to_le_bytes();
        *bytes = [a, b, c, d, e];
    }
    let number = read_digits(head, &mut seen);
    if seen & NO_DIGIT_BIT != 0 {
        return Err(first_invalid(text));
    }
    if number >> (8 * rest.len()) != 0 {
        return Err(Nix32Error::TrailingBits { length: text.len() });
    }
    for (byte, value) in rest.iter_mut().zip(number.to_le_bytes()) {
        *byte = value;
    }
    Ok(())
}

/// Where the first byte stands that is no digit.
pub(crate) fn position_of_invalid(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| DIGITS[usize::from(*byte)] == NO_DIGIT)
}

fn first_invalid(text: &[u8]) -> Nix32Error {
    let position = position_of_invalid(text).unwrap_or_default();
    Nix32Error::InvalidCharacter { position, byte: text.get(position).copied().unwrap_or_default() }
}

/// Writes all digits of a group, two at a time.
#[inline]
fn write_group(number: u64, text: &mut [u8; GROUP_CHARACTERS]) {
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (place, pair) in pairs.iter_mut().rev().enumerate() {
        *pair = PAIRS[(number >> (10 * place) & 1023) as usize];
    }
}

/// Writes the low digits of `number`, least significant last.
fn write_digits(mut number: u64, text: &mut [u8]) {
    for character in text.iter_mut().rev() {
        *character = ALPHABET[(number & 31) as usize];
        number >>= 5;
    }
}

/// Reads at most eight digits as a number; every value looked up is ORed into `seen`.
#[inline]
fn read_digits(text: &[u8], seen: &mut u8) -> u64 {
    text.iter().fold(0, |number, character| {
        let digit = DIGITS[usize::from(*character)];
        *seen |= digit;
        number << 5 | u64::from(digit)
    })
}

/// Reads fewer than eight bytes as a little-endian number.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
