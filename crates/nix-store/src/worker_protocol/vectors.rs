//! Nix's own test vectors of the wire formats: each file decodes to the values beside it, and they encode to the file.

#![allow(
    clippy::redundant_closure,
    reason = "a function with `impl Read` is not general over the lifetime of its input"
)]

mod builds;
mod realisations;

use std::fs;
use std::path::PathBuf;

use nars3_narinfo::PathInfo;
use nars3_store_path::{ContentAddress, Hash, Signature, StoreDir, StorePath};

use super::error::WireError;
use super::handshake::{read_daemon_info, read_greeting};
use super::value::{
    read_content_address, read_optional_path, read_path, read_path_info, read_trusted, write_content_address,
    write_optional_path, write_path_info,
};
use super::wire::{read_list, read_string, write_list, write_number, write_string};

const VERSIONS: [&str; 2] = ["nix-2.29.1", "nix-2.36-dev"];
const KINDS: [&str; 2] = ["worker-protocol", "common-protocol"];

/// The directory of the test data, if it is to be had.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("NARS3_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    data.is_dir().then(|| data.join("upstream"))
}

/// The vectors of one name, of all versions of Nix that have it, with the version. Empty where there are none to be
/// had.
fn vectors(test: &str, name: &str) -> Vec<(Vec<u8>, &'static str)> {
    let Some(data) = data() else {
        let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name.trim() == "data"), "{test} needs the test data");
        eprintln!("SKIPPED (no test data): {test}");
        return Vec::new();
    };
    let found: Vec<_> = VERSIONS
        .into_iter()
        .flat_map(|version| KINDS.map(|kind| (version, kind)))
        .filter_map(|(version, kind)| {
            let bytes = fs::read(data.join(version).join(kind).join(format!("{name}.bin"))).ok()?;
            Some((bytes, version))
        })
        .collect();
    assert!(!found.is_empty(), "no vector has the name {name}");
    found
}

/// What is beside a vector, where there is something.
fn expected_json(version: &str, name: &str) -> Option<serde_json::Value> {
    let directory = data()?.join(version);
    let text = KINDS
        .into_iter()
        .find_map(|kind| fs::read_to_string(directory.join(kind).join(format!("{name}.json"))).ok())?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Checks that each vector of this name is `values`, in either direction.
fn check<T: std::fmt::Debug + PartialEq>(
    test: &str,
    name: &str,
    values: &[T],
    read: impl Fn(&mut &[u8]) -> Result<T, WireError>,
    write: impl Fn(&mut Vec<u8>, &T),
) {
    for (bytes, version) in vectors(test, name) {
        let mut from = bytes.as_slice();
        for value in values {
            assert_eq!(&read(&mut from).expect("well-formed"), value, "{name} of {version}");
        }
        assert!(from.is_empty(), "{name} of {version} has more values");
        let mut written = Vec::new();
        values.iter().for_each(|value| write(&mut written, value));
        assert_eq!(written, bytes, "{name} of {version}");
    }
}

/// No vector is without a test: a new one must not go unnoticed.
#[test]
fn every_vector_is_known() {
    const KNOWN: [&str; 31] = [
        "build-mode",
        "build-result-1.27",
        "build-result-1.28",
        "build-result-1.29",
        "build-result-1.29-compat",
        "build-result-1.37",
        "build-result-realisation-with-path-not-hash",
        "client-handshake-info_1_30",
        "client-handshake-info_1_33",
        "client-handshake-info_1_35",
        "content-address",
        "derived-path-1.29",
        "derived-path-1.30",
        "drv-output",
        "drv-output-realisation-with-path-not-hash",
        "handshake-to-client",
        "keyed-build-result-1.29",
        "optional-content-address",
        "optional-store-path",
        "optional-trusted-flag",
        "realisation",
        "realisation-realisation-with-path-not-hash",
        "realisation-with-deps",
        "set",
        "store-path",
        "string",
        "unkeyed-realisation-realisation-with-path-not-hash",
        "unkeyed-valid-path-info-1.15",
        "valid-path-info-1.15",
        "valid-path-info-1.16",
        "vector",
    ];
    let Some(data) = data() else {
        vectors("every_vector_is_known", "string");
        return;
    };
    let mut count = 0;
    for (version, kind) in VERSIONS.into_iter().flat_map(|version| KINDS.map(|kind| (version, kind))) {
        for entry in fs::read_dir(data.join(version).join(kind)).expect("a directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            let Some(name) = name.strip_suffix(".bin") else { continue };
            assert!(KNOWN.contains(&name), "no test for {name} of {version}");
            count += 1;
        }
    }
    assert!(count > 60, "{count} vectors");
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
        for (bytes, _) in vectors("lists", name) {
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
        |to, value| write_trusted(to, *value),
    );
    let [foo, bar] = ["foo", "bar"].map(|version| Some(version.to_owned()));
    for (name, minor, known) in [
        ("client-handshake-info_1_30", 30, vec![(None, None)]),
        ("client-handshake-info_1_33", 33, vec![(foo.clone(), None), (bar.clone(), None)]),
        ("client-handshake-info_1_35", 35, vec![(foo, Some(false)), (bar, Some(true))]),
    ] {
        check(
            "trust_and_handshake",
            name,
            &known,
            |from| read_daemon_info(from, minor),
            |to, (version, trusted)| {
                if let Some(version) = version {
                    write_string(to, version).expect("into memory");
                }
                if minor >= 35 {
                    write_trusted(to, *trusted);
                }
            },
        );
    }
    // That of a daemon which is too old to be spoken to.
    check(
        "trust_and_handshake",
        "handshake-to-client",
        &[(1, 10)],
        |from| read_greeting(from),
        |to, (major, minor)| {
            write_number(to, 0x6478_696f).expect("into memory");
            write_number(to, major << 8 | minor).expect("into memory");
        },
    );
}

fn write_trusted(to: &mut Vec<u8>, trusted: Option<bool>) {
    write_number(to, trusted.map_or(0, |trusted| if trusted { 1 } else { 2 })).expect("into memory");
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
    for (bytes, _) in vectors("path_infos_of_the_newest_form", "valid-path-info-1.16") {
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
        for (bytes, _) in vectors("path_infos_of_the_oldest_form", name) {
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
