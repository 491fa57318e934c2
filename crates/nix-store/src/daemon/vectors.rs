//! Nix's own test vectors of the wire formats: each file decodes to the values beside it, and they encode to the file.

#![allow(
    clippy::redundant_closure,
    reason = "a function with `impl Read` is not general over the lifetime of its input"
)]

use std::fs;
use std::path::PathBuf;

use nars3_narinfo::PathInfo;
use nars3_store_path::{ContentAddress, Hash, Signature, StoreDir, StorePath};

use super::error::WireError;
use super::handshake::read_daemon_info;
use super::value::{
    read_content_address, read_optional_path, read_path, read_path_info, read_trusted, write_content_address,
    write_optional_path, write_path_info,
};
use super::wire::{read_list, read_string, write_list, write_number, write_string};

const VERSIONS: [&str; 2] = ["nix-2.29.1", "nix-2.36-dev"];

/// The vectors of one name, of all versions of Nix that have it. Empty where there are none to be had.
fn vectors(test: &str, name: &str) -> Vec<Vec<u8>> {
    let data = std::env::var_os("NARS3_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if !data.is_dir() {
        let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name.trim() == "data"), "{test} needs the test data");
        eprintln!("SKIPPED (no test data): {test}");
        return Vec::new();
    }
    let found: Vec<Vec<u8>> = VERSIONS
        .iter()
        .flat_map(|version| ["worker-protocol", "common-protocol"].map(|kind| (version, kind)))
        .filter_map(|(version, kind)| {
            fs::read(data.join("upstream").join(version).join(kind).join(format!("{name}.bin"))).ok()
        })
        .collect();
    assert!(!found.is_empty(), "no vector has the name {name}");
    found
}

/// Checks that each vector of this name is `values`, in either direction.
fn check<T: std::fmt::Debug + PartialEq>(
    test: &str,
    name: &str,
    values: &[T],
    read: impl Fn(&mut &[u8]) -> Result<T, WireError>,
    write: impl Fn(&mut Vec<u8>, &T),
) {
    for bytes in vectors(test, name) {
        let mut from = bytes.as_slice();
        for value in values {
            assert_eq!(&read(&mut from).expect("well-formed"), value, "{name}");
        }
        assert!(from.is_empty(), "{name} has more values");
        let mut written = Vec::new();
        values.iter().for_each(|value| write(&mut written, value));
        assert_eq!(written, bytes, "{name}");
    }
}

fn path(name: &str) -> StorePath {
    StorePath::from_base_name(name).expect("well-formed")
}

fn foo() -> StorePath {
    path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo")
}

fn bar() -> StorePath {
    path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar")
}

fn hash(sri: &str) -> Hash {
    Hash::parse(sri).expect("a hash")
}

fn content_address(prefix: &str, sri: &str) -> ContentAddress {
    format!("{prefix}{}", hash(sri).to_nix32()).parse().expect("a content address")
}

#[test]
fn strings() {
    check(
        "strings",
        "string",
        &["", "hi", "white rabbit", "大白兔", "oh no "].map(str::to_owned),
        |from| read_string(from, "string"),
        |to, value| write_string(to, value).expect("into memory"),
    );
}

#[test]
fn lists() {
    let text = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    for (name, last) in [("vector", ["", "foo", "bar"]), ("set", ["", "bar", "foo"])] {
        for bytes in vectors("lists", name) {
            let mut from = bytes.as_slice();
            let read = |from: &mut &[u8]| {
                read_list::<_, String, Vec<String>>(from, |from| read_string(from, "string"))
            };
            for expected in [text(&[]), text(&[""]), text(&last)] {
                assert_eq!(read(&mut from).expect("well-formed"), expected);
            }
            let nested: Vec<Vec<String>> = read_list(&mut from, read).expect("well-formed");
            let expected_nested = [text(&[]), text(&[""]), text(&["", "1", "2"])];
            assert_eq!(nested, expected_nested);
            assert!(from.is_empty());

            let mut written = Vec::new();
            let write = |to: &mut Vec<u8>, list: &Vec<String>| write_list(to, list.iter(), write_string);
            for list in [text(&[]), text(&[""]), text(&last)] {
                write(&mut written, &list).expect("into memory");
            }
            write_list(&mut written, expected_nested.iter(), write).expect("into memory");
            assert_eq!(written, bytes);
        }
    }
}

#[test]
fn store_paths() {
    let store_dir = StoreDir::default();
    check(
        "store_paths",
        "store-path",
        &[foo(), path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo-bar")],
        |from| read_path(from, &store_dir),
        |to, value| write_string(to, store_dir.print(value)).expect("into memory"),
    );
    check(
        "store_paths",
        "optional-store-path",
        &[None, Some(path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo-bar"))],
        |from| read_optional_path(from, &store_dir),
        |to, value| write_optional_path(to, &store_dir, value.as_ref()).expect("into memory"),
    );
}

#[test]
fn content_addresses() {
    let flat = content_address("fixed:", "sha1-gGemBoenViNZM3hiwqns/Fgzqwo=");
    let write = |to: &mut Vec<u8>, value: &Option<ContentAddress>| {
        write_content_address(to, value.as_ref()).expect("into memory");
    };
    check(
        "content_addresses",
        "content-address",
        &[
            Some(content_address("text:", "sha256-+Xc9Ll6mcPltwaewrk/BAQ56Y3G5T//wzhKUc0zrYu0=")),
            Some(flat),
            Some(content_address("fixed:r:", "sha256-EMIJ+giQ/gLIWoxmPKjno3zHZrxbGymgzGGyZvZBIdM=")),
        ],
        |from| read_content_address(from),
        write,
    );
    check(
        "content_addresses",
        "optional-content-address",
        &[None, Some(flat)],
        |from| read_content_address(from),
        write,
    );
}

#[test]
fn trust_and_handshake() {
    check(
        "trust_and_handshake",
        "optional-trusted-flag",
        &[None, Some(true), Some(false)],
        |from| read_trusted(from),
        |to, value| {
            write_number(to, value.map_or(0, |trusted| if trusted { 1 } else { 2 })).expect("into memory");
        },
    );
    let version = Some("nix-1.2.3".to_owned());
    for (name, minor, known) in [
        ("client-handshake-info_1_30", 30, vec![(None, None)]),
        ("client-handshake-info_1_33", 33, vec![(version.clone(), None)]),
        ("client-handshake-info_1_35", 35, vec![(version.clone(), Some(true)), (version, Some(false))]),
    ] {
        for bytes in vectors("trust_and_handshake", name) {
            let mut from = bytes.as_slice();
            // The same daemon may come more than once in a vector: what it says of itself is all that varies.
            while !from.is_empty() {
                let info = read_daemon_info(&mut from, minor).expect("well-formed");
                assert!(known.iter().any(|expected| expected.1 == info.1), "{name}: {info:?}");
                assert_eq!(info.0.is_some(), minor >= 33, "{name}: {info:?}");
            }
        }
    }
}

/// The values of `valid-path-info-1.16`, the newest form.
fn path_infos() -> [PathInfo; 3] {
    let nar_hash = hash("sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=");
    let info = |path: StorePath| {
        let mut info = PathInfo::new(path, nar_hash, 34878);
        info.registration_time = Some(23423);
        info
    };
    let mut first = info(bar());
    first.ultimate = true;
    let mut second = info(bar());
    second.deriver = Some(path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv"));
    second.references = [bar(), path("g1w7hyyyy1w7hy3qg1w7hy3qgqqqqy3q-foo")].into();
    let zeros = "A".repeat(86);
    second.signatures =
        ["fake-sig-1", "fake-sig-2"].map(|key| Signature::new(&format!("{key}:{zeros}=="))).into();
    let third_path = path("n5wkd9frr45pa74if5gpz9j7mifg27fh-foo");
    let mut third = info(third_path.clone());
    third.references = [bar(), third_path].into();
    third.ca = Some(content_address("fixed:r:", "sha256-EMIJ+giQ/gLIWoxmPKjno3zHZrxbGymgzGGyZvZBIdM="));
    [first, second, third]
}

#[test]
fn path_infos_of_the_newest_form() {
    let store_dir = StoreDir::default();
    for bytes in vectors("path_infos_of_the_newest_form", "valid-path-info-1.16") {
        let mut from = bytes.as_slice();
        let mut written = Vec::new();
        for expected in path_infos() {
            let path = read_path(&mut from, &store_dir).expect("well-formed");
            let mut info = read_path_info(&mut from, &store_dir, 16, path).expect("well-formed");
            write_string(&mut written, store_dir.print(&info.path)).expect("into memory");
            write_path_info(&mut written, &store_dir, 16, &info).expect("into memory");
            // Older versions made up other signatures: what matters is that they pass unchanged.
            if info.signatures.len() == expected.signatures.len() {
                info.signatures.clone_from(&expected.signatures);
            }
            assert_eq!(info, expected);
        }
        assert!(from.is_empty());
        assert_eq!(written, bytes);
    }
}

#[test]
fn path_infos_of_the_oldest_form() {
    let store_dir = StoreDir::default();
    for (name, keyed) in [("valid-path-info-1.15", true), ("unkeyed-valid-path-info-1.15", false)] {
        for bytes in vectors("path_infos_of_the_oldest_form", name) {
            let mut from = bytes.as_slice();
            let mut written = Vec::new();
            for derived in [false, true] {
                let path = if keyed { read_path(&mut from, &store_dir).expect("well-formed") } else { foo() };
                let info = read_path_info(&mut from, &store_dir, 15, path).expect("well-formed");
                assert_eq!((info.nar_size, info.registration_time), (34878, Some(23423)));
                assert_eq!(info.deriver.is_some(), derived);
                if keyed {
                    write_string(&mut written, store_dir.print(&info.path)).expect("into memory");
                }
                write_path_info(&mut written, &store_dir, 15, &info).expect("into memory");
            }
            assert!(from.is_empty());
            assert_eq!(written, bytes);
        }
    }
}
