use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::StoreDir;

const HASH: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q";

#[test]
fn names_that_nix_allows() {
    let longest = "a".repeat(MAX_NAME_LEN);
    for name in [
        "a",
        "hello-2.12.1",
        "+-._?=",
        "-",
        "--",
        ".a",
        "..a",
        "...",
        ".a-b",
        "..a-b",
        "...-",
        "x.drv",
        &longest,
    ] {
        let path = StorePath::from_base_name(&format!("{HASH}-{name}")).unwrap();
        assert_eq!(path.name(), name);
        assert_eq!(path.hash_part().as_str(), HASH);
        assert_eq!(StorePath::from_parts(&path.hash_part(), name), Ok(path));
    }
}

#[test]
fn names_that_nix_refuses() {
    let too_long = "a".repeat(MAX_NAME_LEN + 1);
    let dot = |name: &str, component| NameError::DotComponent { name: name.to_owned(), component };
    let invalid = |name: &str, position, character| NameError::InvalidCharacter {
        name: excerpt(name),
        position,
        character,
    };
    for (name, error) in [
        ("", NameError::Empty),
        (".", dot(".", ".")),
        ("..", dot("..", "..")),
        (".-a", dot(".-a", ".")),
        ("..-a", dot("..-a", "..")),
        ("a/b", invalid("a/b", 1, '/')),
        ("a b", invalid("a b", 1, ' ')),
        ("a\0", invalid("a\0", 1, '\0')),
        ("a\n", invalid("a\n", 1, '\n')),
        ("aä", invalid("aä", 1, 'ä')),
        ("a\u{20000}~", invalid("a\u{20000}~", 1, '\u{20000}')),
        (&too_long, NameError::TooLong { name: too_long.clone(), length: MAX_NAME_LEN + 1 }),
    ] {
        assert_eq!(check_name(name), Err(error.clone()));
        let base_name = format!("{HASH}-{name}");
        let expected = StorePathError::Name { value: excerpt(&base_name), reason: error };
        assert_eq!(StorePath::from_base_name(&base_name), Err(expected.clone()));
        assert_eq!(StorePath::from_parts(&HASH.parse().unwrap(), name), Err(expected));
    }
}

#[test]
fn every_ascii_character_in_a_name() {
    let allowed: String =
        (0..=0x7f_u8).map(char::from).filter(|c| check_name(&format!("a{c}")).is_ok()).collect();
    assert_eq!(allowed, "+-.0123456789=?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
}

#[test]
fn other_errors_tell_value_and_position() {
    let value = |text: &str| text.to_owned();
    for (base_name, error) in [
        ("", StorePathError::TooShort { value: value(""), length: 0 }),
        (HASH, StorePathError::TooShort { value: value(HASH), length: 32 }),
        (
            "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3qa",
            StorePathError::MissingDash { value: value("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3qa"), byte: b'a' },
        ),
        (
            "g1w7hy3qg1w7hy3qg1e7hy3qg1w7hy3q-a",
            StorePathError::InvalidHashCharacter {
                value: value("g1w7hy3qg1w7hy3qg1e7hy3qg1w7hy3q-a"),
                position: 18,
                byte: b'e',
            },
        ),
        (
            "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3Q-a",
            StorePathError::InvalidHashCharacter {
                value: value("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3Q-a"),
                position: 31,
                byte: b'Q',
            },
        ),
    ] {
        assert_eq!(StorePath::from_base_name(base_name), Err(error));
    }
    assert_eq!(
        "g1w7".parse::<HashPart>(),
        Err(StorePathError::HashPartLength { value: value("g1w7"), length: 4 })
    );
    assert_eq!(
        StorePath::from_base_name(&format!("{HASH}/x")).unwrap_err().to_string(),
        format!("'/' at byte 32 of '{HASH}/x', expected the '-' between hash part and name")
    );
}

#[test]
fn derivations_are_told_by_their_name() {
    let is_derivation =
        |name: &str| StorePath::from_base_name(&format!("{HASH}-{name}")).unwrap().is_derivation();
    assert!(is_derivation("a.drv"));
    assert!(is_derivation(".drv"));
    assert!(!is_derivation("a.drv.chroot"));
    assert!(!is_derivation("drv"));
}

#[test]
fn sets_are_in_bytewise_order_and_can_be_asked_for_text() {
    let names = ["b", "a-", "a", "a.", "B"].map(|name| format!("{HASH}-{name}"));
    let set: BTreeSet<StorePath> = names.iter().map(|name| name.parse().unwrap()).collect();
    let mut sorted = names.to_vec();
    sorted.sort();
    assert!(set.iter().map(StorePath::base_name).eq(sorted.iter().map(String::as_str)));
    assert!(set.contains(names[0].as_str()));
}

proptest! {
    #[test]
    fn hash_parts_are_twenty_bytes(digest in any::<[u8; 20]>()) {
        let hash_part = HashPart::from_digest(digest);
        prop_assert_eq!(hash_part.to_digest(), digest);
        prop_assert_eq!(hash_part.as_str().parse(), Ok(hash_part));
    }

    #[test]
    fn full_paths_read_back(
        digest in any::<[u8; 20]>(),
        name in "[a-zA-Z0-9+_?=-][a-zA-Z0-9+._?=-]{0,210}",
        dir in "(/[a-z.]{0,2}[a-z]){1,3}",
    ) {
        let store_dir = StoreDir::new(&dir).unwrap();
        let path = StorePath::from_parts(&HashPart::from_digest(digest), &name).unwrap();
        let full = store_dir.print(&path);
        prop_assert_eq!(store_dir.parse(&full), Ok(path.clone()));
        prop_assert_eq!(store_dir.parse_inside(&full), Ok((path.clone(), "")));
        let inside = format!("{full}/bin//x/");
        prop_assert_eq!(store_dir.parse_inside(&inside), Ok((path, "/bin//x/")));
        prop_assert!(store_dir.parse(&inside).is_err());
    }

    #[test]
    fn parsing_never_panics(text in "(/nix/store/)?([0-9a-df-np-sv-z]{32}-)?\\PC{0,230}") {
        let store_dir = StoreDir::default();
        if let Ok(path) = StorePath::from_base_name(&text) {
            prop_assert_eq!(path.to_string(), text.clone());
        }
        if let Ok(path) = store_dir.parse(&text) {
            prop_assert_eq!(store_dir.parse(&store_dir.print(&path)), Ok(path));
        }
        let _ = store_dir.parse_inside(&text);
        let _ = text.parse::<HashPart>();
    }
}
