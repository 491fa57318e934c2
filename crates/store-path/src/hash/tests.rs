use std::io::Write;

use proptest::prelude::*;

use super::*;

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

fn any_hash() -> impl Strategy<Value = Hash> {
    (any_algorithm(), any::<[u8; 64]>())
        .prop_map(|(algorithm, bytes)| Hash::new(algorithm, &bytes[..algorithm.size()]).unwrap())
}

/// The hash of `abc`, from the standards of the algorithms.
const ABC: [(Algorithm, &str); 5] = [
    (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
    (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        Algorithm::Sha512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (Algorithm::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
];

const EMPTY: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

#[test]
fn hashes_the_standard_text() {
    for (algorithm, expected) in ABC {
        assert_eq!(Hash::digest(algorithm, b"abc").base16_digest(), expected);
        let mut hasher = Hasher::new(algorithm);
        hasher.write_all(b"a").unwrap();
        hasher.flush().unwrap();
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Hash::digest(algorithm, b"abc"));
    }
}

proptest! {
    #[test]
    fn every_form_reads_back(hash in any_hash()) {
        let algorithm = hash.algorithm();
        for format in HashFormat::ALL {
            let prefixed = hash.print(format, true);
            prop_assert_eq!(Hash::parse_any(&prefixed, None), Ok((hash, format)));
            prop_assert_eq!(Hash::parse_with(algorithm, &prefixed), Ok(hash));
            if format != HashFormat::Sri {
                let digest = hash.print(format, false);
                prop_assert_eq!(digest.len(), format.digest_len(algorithm));
                prop_assert_eq!(Hash::parse_digest(algorithm, &digest), Ok(hash));
                prop_assert_eq!(Hash::parse_with(algorithm, &digest), Ok(hash));
            }
        }
        prop_assert_eq!(Hash::parse_sri(&hash.to_sri()), Ok(hash));
        prop_assert_eq!(Hash::parse(&hash.to_base16().to_uppercase().replacen(
            &algorithm.name().to_uppercase(), algorithm.name(), 1)), Ok(hash));
        prop_assert_eq!(hash.to_string(), hash.to_nix32());
    }

    #[test]
    fn parsing_never_panics(value in "(md5|sha1|sha256|sha512|blake3)?[:-]?\\PC{0,140}") {
        if let Ok((hash, format)) = Hash::parse_any(&value, None) {
            prop_assert_eq!(Hash::parse(&hash.print(format, true)), Ok(hash));
        }
        for algorithm in Algorithm::ALL {
            let _ = Hash::parse_with(algorithm, &value);
        }
    }

    #[test]
    fn the_order_is_that_of_nix(a in any_hash(), b in any_hash()) {
        let key = |hash: &Hash| (hash.as_bytes().len(), hash.as_bytes().to_vec());
        if key(&a) != key(&b) {
            prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
        }
        prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
    }
}

#[test]
fn new_wants_the_size_of_the_algorithm() {
    assert_eq!(
        Hash::new(Algorithm::Sha256, &[0; 20]),
        Err(HashError::WrongDigestSize { algorithm: Algorithm::Sha256, found: 20 })
    );
    assert_eq!(Hash::new(Algorithm::Sha256, &[7; 32]), Ok(Hash::sha256([7; 32])));
}

#[test]
fn the_algorithm_is_part_of_the_value() {
    let blake3 = Hash::new(Algorithm::Blake3, &[7; 32]).unwrap();
    assert_ne!(blake3, Hash::sha256([7; 32]));
    assert_eq!(format!("{:?}", Hash::digest(Algorithm::Sha256, b"")), format!("Hash({EMPTY})"));
}

/// Leniency that hashes in the world rely on.
#[test]
fn base64_is_read_as_leniently_as_nix_does() {
    let hash = Hash::parse(EMPTY).unwrap();
    for value in [
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU==?x",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
    ] {
        assert_eq!(Hash::parse(value), Ok(hash), "{value:?}");
    }
}

#[test]
fn errors_name_value_position_and_what_was_expected() {
    let digest = EMPTY.strip_prefix("sha256:").unwrap();
    for (value, message) in [
        (
            digest.to_owned(),
            format!(
                "hash '{digest}' does not name its algorithm: expected '<algorithm>:<digest>' or '<algorithm>-<base64>'"
            ),
        ),
        (
            "sha3:00".to_owned(),
            "hash 'sha3:00': unknown hash algorithm 'sha3': expected blake3, md5, sha1, sha256 or sha512".to_owned(),
        ),
        (
            "sha256:00".to_owned(),
            "hash 'sha256:00' has a digest of 2 characters: expected 64 (base16), 52 (nix32) or 44 (base64) for sha256"
                .to_owned(),
        ),
        (
            format!("sha256:e{}", &digest[1..]),
            format!("hash 'sha256:e{}': 'e' at byte 7 is not a nix32 character", &digest[1..]),
        ),
        (
            format!("sha256:z{}", &digest[1..]),
            format!(
                "hash 'sha256:z{}': the first nix32 character 'z' has non-zero bits past the last byte",
                &digest[1..]
            ),
        ),
        (
            "md5:0000000000000000000000000000000g".to_owned(),
            "hash 'md5:0000000000000000000000000000000g': 'g' at byte 35 is not a base16 character".to_owned(),
        ),
        (
            "sha1-AAAA*AAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
            "hash 'sha1-AAAA*AAAAAAAAAAAAAAAAAAAAAA=': '*' at byte 9 is not a sri character".to_owned(),
        ),
        ("sha256-AAAA".to_owned(), "hash 'sha256-AAAA' decodes to 3 bytes, expected 32 for sha256".to_owned()),
    ] {
        assert_eq!(Hash::parse(&value).unwrap_err().to_string(), message);
    }
    assert_eq!(
        Hash::parse_with(Algorithm::Md5, EMPTY).unwrap_err(),
        HashError::AlgorithmMismatch {
            value: EMPTY.to_owned(),
            found: Algorithm::Sha256,
            expected: Algorithm::Md5
        }
    );
    assert_eq!(Hash::parse_sri(EMPTY).unwrap_err(), HashError::NotSri { value: EMPTY.to_owned() });
    // A prefix is no digest.
    assert!(Hash::parse_digest(Algorithm::Sha256, EMPTY).is_err());
}

#[test]
fn names_of_algorithms_and_formats() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
    for format in HashFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!("base32".parse(), Ok(HashFormat::Nix32));
    assert_eq!("SHA256".parse::<Algorithm>(), Err(UnknownAlgorithm { name: "SHA256".to_owned() }));
    assert_eq!("hex".parse::<HashFormat>(), Err(UnknownHashFormat { name: "hex".to_owned() }));
}
