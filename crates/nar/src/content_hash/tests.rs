//! The content hash against a reference made of strings, for every way to cut the input.

use std::io::Write as _;

use nars3_store_path::{Algorithm, ContentAddressMethod, Hash, HashPart};
use proptest::prelude::*;

use super::{ContentHashError, ContentHasher};
use crate::{Encoder, FormatErrorKind, Limits};

const HASH_PART: &str = "00bgd045z0d4icpbc2yyz4gx48ak44la";

fn hash_part() -> HashPart {
    HASH_PART.parse().unwrap()
}

/// Nix's definition, taken literally.
fn reference(bytes: &[u8]) -> Hash {
    let mut rest = bytes.to_vec();
    let mut positions = String::new();
    let mut from = 0;
    while let Some(at) = rest[from..].windows(32).position(|window| window == HASH_PART.as_bytes()) {
        rest[from + at..from + at + 32].fill(0);
        positions += &format!("|{}", from + at);
        from += at + 32;
    }
    rest.extend_from_slice(positions.as_bytes());
    Hash::digest(Algorithm::Sha256, &rest)
}

fn file_nar(contents: &[u8], executable: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.regular(executable, contents.len() as u64).unwrap();
    encoder.contents(contents).unwrap();
    encoder.finish().unwrap()
}

fn hash(method: ContentAddressMethod, nar: &[u8], cuts: &[usize]) -> Hash {
    let mut hasher = ContentHasher::new(method, Algorithm::Sha256, Some(hash_part()));
    let mut rest = nar;
    for cut in cuts {
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        hasher.write_all(now).unwrap();
        rest = later;
    }
    hasher.write_all(rest).unwrap();
    hasher.finish().unwrap()
}

/// Text in which the hash part occurs, whole, in part, and overlapping with itself.
fn haystack() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(HASH_PART.as_bytes().to_vec()),
        2 => (0..33_usize).prop_map(|length| HASH_PART.as_bytes()[..length].to_vec()),
        2 => (0..33_usize).prop_map(|start| HASH_PART.as_bytes()[start..].to_vec()),
        3 => proptest::collection::vec(any::<u8>(), 0..70),
        1 => Just(vec![0; 32]),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn agrees_with_the_definition_however_it_is_cut(
        contents in haystack(),
        cuts in proptest::collection::vec(0..90_usize, 0..40),
    ) {
        let nar = file_nar(&contents, false);
        prop_assert_eq!(hash(ContentAddressMethod::NixArchive, &nar, &cuts), reference(&nar));
        prop_assert_eq!(hash(ContentAddressMethod::Flat, &nar, &cuts), reference(&contents));
        prop_assert_eq!(hash(ContentAddressMethod::Text, &nar, &cuts), reference(&contents));
    }
}

#[test]
fn byte_by_byte_is_the_same() {
    let contents = [b"before ", HASH_PART.as_bytes(), HASH_PART.as_bytes(), b" after"].concat();
    let nar = file_nar(&contents, false);
    let cuts = vec![1; nar.len()];
    assert_eq!(hash(ContentAddressMethod::NixArchive, &nar, &cuts), reference(&nar));
}

#[test]
fn without_self_references_it_is_the_plain_hash() {
    let nar = file_nar(HASH_PART.as_bytes(), true);
    let mut hasher = ContentHasher::new(ContentAddressMethod::NixArchive, Algorithm::Sha1, None);
    hasher.write_all(&nar).unwrap();
    assert_eq!(hasher.finish().unwrap(), Hash::digest(Algorithm::Sha1, &nar));
}

#[test]
fn flat_needs_a_plain_file() {
    let mut link = Encoder::new(Vec::new());
    link.symlink(b"target").unwrap();
    let mut directory = Encoder::new(Vec::new());
    directory.directory().unwrap();
    directory.entry(b"file").unwrap();
    directory.regular(false, 0).unwrap();
    directory.end_directory().unwrap();
    for (nar, what) in [
        (file_nar(b"x", true), "an executable file"),
        (link.finish().unwrap(), "a symlink"),
        (directory.finish().unwrap(), "a directory"),
    ] {
        for method in [ContentAddressMethod::Flat, ContentAddressMethod::Text] {
            let mut hasher = ContentHasher::new(method, Algorithm::Sha256, None);
            hasher.write_all(&nar).unwrap();
            let error = hasher.finish().unwrap_err();
            assert!(
                matches!(error, ContentHashError::NotAFlatFile { found, .. } if found == what),
                "{error}"
            );
        }
    }
}

#[test]
fn self_references_are_counted_up_to_a_limit() {
    let most = ContentHasher::MAX_SELF_REFERENCES;
    for (count, counted) in [(most, true), (most + 1, false), (3 * most, false)] {
        for chunk in [HASH_PART.len() - 1, 1 << 20] {
            let nar = file_nar(&HASH_PART.as_bytes().repeat(count), false);
            let mut hasher =
                ContentHasher::new(ContentAddressMethod::NixArchive, Algorithm::Sha256, Some(hash_part()));
            for part in nar.chunks(chunk) {
                assert_eq!(hasher.push(part).unwrap(), part.len());
            }
            match hasher.finish() {
                Ok(_) => assert!(counted, "{count}"),
                Err(error) => {
                    assert!(!counted, "{count}");
                    assert!(
                        matches!(error, ContentHashError::TooManySelfReferences { limit } if limit == most)
                    );
                }
            }
        }
    }
}

#[test]
fn the_limits_are_those_of_nix() {
    let mut encoder = Encoder::with_limits(Vec::new(), Limits::none());
    encoder.symlink(&[b't'; 4096]).unwrap();
    let nar = encoder.finish().unwrap();
    let mut hasher = ContentHasher::new(ContentAddressMethod::NixArchive, Algorithm::Sha256, None);
    assert!(matches!(hasher.push(&nar).unwrap_err().kind, FormatErrorKind::TooLong { .. }));
}

#[test]
fn half_a_nar_has_no_hash() {
    let nar = file_nar(b"contents", false);
    let mut hasher = ContentHasher::new(ContentAddressMethod::Flat, Algorithm::Sha256, None);
    hasher.write_all(&nar[..nar.len() - 8]).unwrap();
    assert!(matches!(hasher.finish(), Err(ContentHashError::Format(_))));
}
