use ed25519_dalek::Verifier;
use proptest::prelude::*;

use super::*;

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name, [7; 32]).unwrap()
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

/// RFC 8032, 7.1, tests 1 to 3: seed, public key, message, signature.
const RFC8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn signs_and_verifies_the_standard_messages() {
    for [seed, public, message, expected] in RFC8032 {
        let secret = SecretKey::from_seed("k", hex(seed)).unwrap();
        let message = data_encoding::HEXLOWER.decode(message.as_bytes()).unwrap();
        let signature = secret.sign(&message);
        assert_eq!(secret.public_key().as_bytes(), &hex::<32>(public));
        assert_eq!(signature.to_bytes(), Some(hex(expected)));
        assert!(secret.public_key().verify(&message, &signature));
    }
}

#[test]
fn key_texts_read_back() {
    let secret = key("cache.example.org-1");
    let text = secret.to_secret_string();
    let again = SecretKey::parse(&text).unwrap();
    assert_eq!(*again.to_secret_string(), *text);
    assert_eq!(again.name(), "cache.example.org-1");
    assert_eq!(again.public_key(), secret.public_key());
    // Editors put a newline at the end of a file.
    assert_eq!(*format!("{}\n", *text).parse::<SecretKey>().unwrap().to_secret_string(), *text);
    let public = secret.public_key().to_string();
    assert_eq!(public.parse(), Ok(secret.public_key()));
    assert_eq!(public, "cache.example.org-1:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=");
}

#[test]
fn a_secret_is_not_shown() {
    let secret = key("k");
    let payload = secret.to_secret_string().strip_prefix("k:").unwrap().to_owned();
    assert_eq!(format!("{secret:?}"), r#"SecretKey { name: "k", .. }"#);
    // Every text that is nearly the key.
    for text in [payload.clone(), format!(":{payload}"), format!("k:{payload}*"), format!("k:*{payload}")] {
        let error = SecretKey::parse(&text).err();
        let shown = format!("{error:?} {}", error.as_ref().map(ToString::to_string).unwrap_or_default());
        assert!(!shown.contains(&payload[4..20]), "{shown}");
    }
}

#[test]
fn errors_of_keys() {
    let text = key("k").to_secret_string();
    let (_, payload) = text.split_once(':').unwrap();
    let mut bytes = base64::decode(payload.as_bytes()).unwrap();
    bytes[63] ^= 1;
    let kind = "secret key";
    for (text, error) in [
        (String::new(), KeyError::NotNamed { kind }),
        (payload.to_owned(), KeyError::NotNamed { kind }),
        (format!(":{payload}"), KeyError::NotNamed { kind }),
        ("k:".to_owned(), KeyError::NotNamed { kind }),
        (format!("a\nb:{payload}"), KeyError::InvalidName { name: "a\\nb".to_owned() }),
        ("k:AAAA".to_owned(), KeyError::WrongSize { kind, name: "k".to_owned(), found: 3, expected: 64 }),
        (format!("k: {payload}"), KeyError::NotBase64 { kind, name: "k".to_owned(), position: 0 }),
        (format!("k:{}", base64::encode(&bytes)), KeyError::HalvesDiffer { name: "k".to_owned() }),
    ] {
        assert_eq!(SecretKey::parse(&text).unwrap_err(), error);
    }
    let kind = "public key";
    for (text, error) in [
        ("k", KeyError::NotNamed { kind }),
        ("k:AAAA", KeyError::WrongSize { kind, name: "k".to_owned(), found: 3, expected: 32 }),
        ("k:A-AA", KeyError::NotBase64 { kind, name: "k".to_owned(), position: 1 }),
    ] {
        assert_eq!(text.parse::<PublicKey>(), Err(error));
    }
    for (name, shown) in [("", ""), ("a:b", "a:b"), ("a\0", "a\\u{0}")] {
        let error = KeyError::InvalidName { name: shown.to_owned() };
        assert_eq!(SecretKey::from_seed(name, [0; 32]).unwrap_err(), error);
        assert_eq!(PublicKey::from_bytes(name, [0; 32]).unwrap_err(), error);
    }
    assert_eq!(
        SecretKey::from_seed("a\nb", [0; 32]).unwrap_err().to_string(),
        r"the key name 'a\nb' is empty, or has a colon or a control character"
    );
}

#[test]
fn signatures_keep_any_text() {
    for (text, key_name, structured) in [
        ("", "", false),
        ("asdf", "", false),
        (":AAAA", "", false),
        ("a:b:c", "a", false),
        ("a:AAAA", "a", false),
        ("a:é", "a", false),
    ] {
        let signature = Signature::new(text);
        assert_eq!(signature.to_string(), text);
        assert_eq!(signature.key_name(), key_name);
        assert_eq!(signature.to_bytes().is_some(), structured);
        assert!(!key("a").public_key().verify(b"", &signature));
    }
    let mut texts = vec!["b:x", "a:x", "", "a", "a.b:x", "B"];
    let sorted: Vec<_> = texts
        .iter()
        .map(|text| Signature::new(text))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    texts.sort_unstable();
    assert!(sorted.iter().map(Signature::as_str).eq(texts));
}

/// The order of the group that S counts in, little-endian: S and S + L would be the same signature.
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn another_encoding_of_a_signature_does_not_verify() {
    let signature = key("k").sign(b"data");
    let mut bytes = signature.to_bytes().unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(hex::<32>(GROUP_ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!key("k").public_key().verify(b"data", &Signature::from_parts("k", &bytes)));
}

/// Under a public key of small order one signature would fit many messages.
#[test]
fn keys_that_are_no_good_point_verify_nothing() {
    // The neutral element, with a signature that holds for it in the sense of the plain equation: R = B, S = 1.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[..32]
        .copy_from_slice(&hex::<32>("5866666666666666666666666666666666666666666666666666666666666666"));
    signature[32] = 1;
    // A verifier that is not strict takes it, whatever the message.
    let lax = ed25519_dalek::VerifyingKey::from_bytes(&neutral).unwrap();
    assert!(lax.verify(b"any message", &ed25519_dalek::Signature::from_bytes(&signature)).is_ok());
    let signature = Signature::from_parts("k", &signature);
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xee;
    not_canonical[31] = 0x7f;
    // A y that is on no point, and one above the field's order.
    let off_the_curve = hex::<32>("0200000000000000000000000000000000000000000000000000000000000000");
    let above = hex::<32>("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    for bytes in [neutral, not_canonical, off_the_curve, above, [0; 32]] {
        let public = PublicKey::from_bytes("k", bytes).unwrap();
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        assert!(!public.verify(b"any message", &signature));
    }
}

#[test]
fn a_set_of_keys_goes_by_name_and_the_first_counts() {
    let first = key("a").public_key();
    let second = SecretKey::from_seed("a", [8; 32]).unwrap();
    let other = SecretKey::from_seed("b", [9; 32]).unwrap();
    let text = format!(" {first}\n\t{} {}\n", second.public_key(), other.public_key());
    let keys: PublicKeys = text.parse().unwrap();
    assert_eq!(keys.len(), 2);
    assert!(!keys.is_empty() && PublicKeys::new().is_empty());
    assert_eq!(keys.iter().map(PublicKey::name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(keys.by_name("a"), Some(&first));
    assert!(keys.verify(b"x", &key("a").sign(b"x")));
    assert!(keys.verify(b"x", &other.sign(b"x")));
    assert!(!keys.verify(b"x", &second.sign(b"x")));
    // The right key under another name, and a name that is not there.
    assert!(!keys.verify(b"x", &key("b").sign(b"x")));
    assert!(!keys.verify(b"x", &key("c").sign(b"x")));
    assert!("a".parse::<PublicKeys>().is_err());
    assert_eq!("".parse(), Ok(PublicKeys::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else(
        seed in any::<[u8; 32]>(),
        data in prop::collection::vec(any::<u8>(), 0..200),
        position in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let secret = SecretKey::from_seed("k-1", seed).unwrap();
        let public = secret.public_key();
        let signature = secret.sign(&data);
        prop_assert!(public.verify(&data, &signature));
        let mut bytes = signature.to_bytes().unwrap();
        bytes[position.index(64)] ^= 1 << bit;
        prop_assert!(!public.verify(&data, &Signature::from_parts("k-1", &bytes)));
        let mut other = data.clone();
        other.push(0);
        prop_assert!(!public.verify(&other, &signature));
        prop_assert_eq!(secret.to_secret_string().parse::<SecretKey>().unwrap().sign(&data), signature);
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,120}|k:[A-Za-z0-9+/=\\n]{0,120}") {
        let signature = Signature::new(&text);
        let _ = (signature.key_name(), signature.to_bytes());
        if let Ok(key) = text.parse::<PublicKey>() {
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
        let _ = SecretKey::parse(&text);
        let _ = text.parse::<PublicKeys>();
    }
}
