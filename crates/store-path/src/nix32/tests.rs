use base32::Alphabet;
use proptest::prelude::*;

use super::*;

/// The alphabet that the reference knows; its digits have the same values as ours.
const HEX: Alphabet = Alphabet::Rfc4648HexLower { padding: false };
const HEX_DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Nix32 by way of the `base32` crate: the number big-endian, padded in front to whole groups of five bytes, in
/// ordinary base 32; the digits in front that only the padding made are dropped.
fn reference_encode(input: &[u8]) -> String {
    let mut bytes = vec![0; input.len().next_multiple_of(5) - input.len()];
    bytes.extend(input.iter().rev());
    let text = base32::encode(HEX, &bytes);
    translate(&text[text.len() - encoded_len(input.len())..], HEX_DIGITS, ALPHABET).unwrap()
}

/// The other way: refused if the length fits no number of bytes, or if the padding is not zero afterwards.
fn reference_decode(text: &str) -> Option<Vec<u8>> {
    let length = (0..=text.len()).find(|length| encoded_len(*length) >= text.len())?;
    if encoded_len(length) != text.len() {
        return None;
    }
    let mut digits = "0".repeat(text.len().next_multiple_of(8) - text.len());
    digits.push_str(&translate(text, ALPHABET, HEX_DIGITS)?);
    let mut bytes = base32::decode(HEX, &digits)?;
    bytes.reverse();
    let padding = bytes.split_off(length);
    padding.iter().all(|byte| *byte == 0).then_some(bytes)
}

fn translate(text: &str, from: &[u8; 32], to: &[u8; 32]) -> Option<String> {
    text.bytes().map(|byte| Some(char::from(to[from.iter().position(|digit| *digit == byte)?]))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn encodes_as_the_reference(input in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = encode(&input);
        prop_assert_eq!(&text, &reference_encode(&input));
        prop_assert_eq!(decode(&text), Ok(input));
    }

    #[test]
    fn decodes_as_the_reference(text in "[0-9a-df-np-sv-z]{0,110}") {
        prop_assert_eq!(decode(&text).ok(), reference_decode(&text));
    }

    #[test]
    fn refuses_what_the_reference_refuses(text in "[0-9a-z]{0,20}|\\PC{0,20}") {
        prop_assert_eq!(decode(&text).ok(), reference_decode(&text));
    }

    #[test]
    fn every_text_has_one_value(text in "[0-9a-df-np-sv-z]{52}") {
        if let Ok(bytes) = decode(&text) {
            prop_assert_eq!(encode(&bytes), text);
        }
    }
}

#[test]
fn known_texts() {
    assert_eq!(encode(&[]), "");
    assert_eq!(encode(&[0]), "00");
    assert_eq!(encode(&[0xff]), "7z");
    assert_eq!(encode(&[1, 0, 0, 0, 0]), "00000001");
    assert_eq!(encode(&[0, 0, 0, 0, 0x80]), "h0000000");
    assert_eq!(decode("h0000000"), Ok(vec![0, 0, 0, 0, 0x80]));
}

#[test]
fn errors_tell_the_position_and_the_byte() {
    assert_eq!(decode("00000e00"), Err(Nix32Error::InvalidCharacter { position: 5, byte: b'e' }));
    assert_eq!(decode("u0"), Err(Nix32Error::InvalidCharacter { position: 0, byte: b'u' }));
    assert_eq!(decode("0A"), Err(Nix32Error::InvalidCharacter { position: 1, byte: b'A' }));
    assert_eq!(decode("000000ä"), Err(Nix32Error::InvalidCharacter { position: 6, byte: 0xc3 }));
    assert_eq!(decode("0"), Err(Nix32Error::WrongLength { found: 1, expected: 0 }));
    assert_eq!(decode("00000000000"), Err(Nix32Error::WrongLength { found: 11, expected: 6 }));
    assert_eq!(decode("80"), Err(Nix32Error::TrailingBits { length: 2 }));
    assert_eq!(decode("7z"), Ok(vec![0xff]));
    assert_eq!(decode("8z"), Err(Nix32Error::TrailingBits { length: 2 }));
    assert_eq!(decode("00000e00").unwrap_err().to_string(), "'e' at byte 5 is not a Nix32 character");
}

#[test]
fn decode_into_wants_the_exact_length() {
    let mut output = [0; 4];
    assert_eq!(decode_into(b"00", &mut output), Err(Nix32Error::WrongLength { found: 2, expected: 4 }));
    assert_eq!(
        decode_into(b"00", &mut output).unwrap_err().to_string(),
        "2 characters of Nix32, but 4 bytes take 7"
    );
    assert_eq!(decode_into(b"0000001", &mut output), Ok(()));
    assert_eq!(output, [1, 0, 0, 0]);
}

#[test]
#[should_panic(expected = "the output must fit")]
fn encode_into_wants_the_exact_length() {
    encode_into(&[0; 4], &mut [0; 8]);
}
