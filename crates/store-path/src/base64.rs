//! Base64 with exactly the leniency of Nix.
//!
//! Nix (2.29 `util.cc`) stops at the first `=`, skips newlines, and drops bits that do not fill a byte. Hashes,
//! keys and signatures found in the world rely on the first two, so a stricter decoder would refuse what Nix
//! takes.

use data_encoding::BASE64;

const NO_DIGIT: u8 = 0xff;

/// The value of every digit, by its ASCII code.
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < alphabet.len() {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Why a text did not decode to the wanted number of bytes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Base64Error {
    /// A byte that is neither a digit, nor `=`, nor a newline.
    InvalidCharacter { position: usize, byte: u8 },
    /// Another number of bytes than wanted.
    WrongLength { found: usize },
}

/// Base64 with padding, as Nix prints it.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The number of characters that Nix prints for `bytes` bytes.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Decodes `text` to exactly fill `output`.
pub(crate) fn decode_into(text: &[u8], output: &mut [u8]) -> Result<(), Base64Error> {
    let mut found = 0;
    let mut bytes = output.iter_mut();
    each_byte(text, |value| {
        if let Some(byte) = bytes.next() {
            *byte = value;
        }
        found += 1;
    })?;
    if found == output.len() { Ok(()) } else { Err(Base64Error::WrongLength { found }) }
}

/// Decodes `text`, whatever its length.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, Base64Error> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    each_byte(text, |value| bytes.push(value))?;
    Ok(bytes)
}

fn each_byte(text: &[u8], mut take: impl FnMut(u8)) -> Result<(), Base64Error> {
    let mut buffer = 0u32;
    let mut bits = 0;
    for (position, &byte) in text.iter().enumerate() {
        match byte {
            b'=' => break,
            b'\n' => continue,
            _ => {}
        }
        let digit = DIGITS[usize::from(byte)];
        if digit == NO_DIGIT {
            return Err(Base64Error::InvalidCharacter { position, byte });
        }
        buffer = buffer << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            take((buffer >> bits & 0xff) as u8);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_tolerates_is_tolerated() {
        for text in ["AQID", "AQ\nID", "AQID\n", "AQID=trailing \u{fffd} nonsense", "AQIDA"] {
            assert_eq!(decode(text.as_bytes()).unwrap(), [1, 2, 3], "{text:?}");
        }
        // Bits that fill no byte are dropped, whether zero or not.
        assert_eq!(decode(b"AQJ").unwrap(), [1, 2]);
        assert_eq!(decode(b"AQI=").unwrap(), [1, 2]);
    }

    #[test]
    fn other_bytes_are_named() {
        for (text, position, byte) in [("AQ ID", 2, b' '), ("AQID\r\n", 4, b'\r'), ("-QID", 0, b'-')] {
            assert_eq!(decode(text.as_bytes()), Err(Base64Error::InvalidCharacter { position, byte }));
        }
    }

    #[test]
    fn decode_into_wants_the_exact_length() {
        let mut output = [0; 3];
        assert_eq!(decode_into(b"AQID", &mut output), Ok(()));
        assert_eq!(output, [1, 2, 3]);
        assert_eq!(decode_into(b"AQIDBA==", &mut output), Err(Base64Error::WrongLength { found: 4 }));
        assert_eq!(decode_into(b"AQI=", &mut output), Err(Base64Error::WrongLength { found: 2 }));
    }

    #[test]
    fn encoded_len_is_the_length_of_the_text() {
        for length in 0..70 {
            assert_eq!(encode(&vec![7; length]).len(), encoded_len(length));
        }
    }
}
