//! Nix's own test vectors, of 2.29.1 and of HEAD: each is read to the expected value and written back equal.
//!
//! The three that do not make the full round trip, and why:
//!
//! | vector | what is tested | why not more |
//! |---|---|---|
//! | `nix-2.36-dev/*/json-1/pure_noversion.json` | read as version 1, written as the 2.29 format, which it equals | a Nix with versions writes no JSON without one |
//! | `nix-2.36-dev/nar-listing/shallow.json` | written; reading is refused | its entries have no type, so it is no listing that can be read |
//! | `nix-2.29.1/*/impure.json` | read and written | its signatures are no signatures to HEAD; here any text is one |

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nars3_narinfo::json::{
    Detail, PathInfoFormat, nar_info_from_json, nar_info_to_json, path_info_from_json, path_info_to_json,
};
use nars3_narinfo::{Compression, ListingDepth, ListingForm, NarInfo, Node, PathInfo};
use nars3_store_path::{Hash, Signature, StoreDir, StorePath};
use serde_json::Value;

/// A folder of vectors, its format, and whether its signatures have the form that HEAD asks for.
const FORMATS: [(&str, PathInfoFormat); 4] = [
    ("nix-2.29.1/KIND", PathInfoFormat::Nix229),
    ("nix-2.36-dev/KIND/json-1", PathInfoFormat::V1),
    ("nix-2.36-dev/KIND/json-2", PathInfoFormat::V2),
    ("nix-2.36-dev/KIND/json-3", PathInfoFormat::V3),
];

fn path(base_name: &str) -> StorePath {
    StorePath::from_base_name(base_name).unwrap()
}

/// The store path Nix's tests use; it is not in the JSON.
fn own_path() -> StorePath {
    path("n5wkd9frr45pa74if5gpz9j7mifg27fh-foo")
}

fn nar_hash() -> Hash {
    Hash::parse("sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=").unwrap()
}

/// The path info that the vectors describe.
fn expected_path_info(format: PathInfoFormat, detail: Detail) -> PathInfo {
    let mut info = PathInfo::new(own_path(), nar_hash(), 34878);
    info.references = BTreeSet::from([path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar"), own_path()]);
    info.ca = Some("fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh".parse().unwrap());
    if detail == Detail::Impure {
        info.deriver = Some(path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv"));
        info.registration_time = Some(23423);
        info.ultimate = true;
        let signature = |name| match format {
            PathInfoFormat::Nix229 => Signature::new(name),
            _ => Signature::from_parts(name, &[0; 64]),
        };
        info.signatures = BTreeSet::from([signature("asdf"), signature("qwer")]);
    }
    info
}

fn read(folder: &Path, file: &str) -> Value {
    let file = folder.join(file);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// Every `.json` file below `folder` whose path has `part` in it, by its path from there.
fn vectors(folder: &Path, part: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.retain(|file| file.split('/').any(|component| component == part));
    found
}

const DETAILS: [(&str, Detail); 2] = [("pure.json", Detail::Pure), ("impure.json", Detail::Impure)];

#[test]
fn path_infos() {
    let Some(data) = support::data("path_infos") else { return };
    let (upstream, store_dir) = (data.join("upstream"), StoreDir::default());
    let mut left = vectors(&upstream, "path-info");
    for (folder, format) in FORMATS {
        let folder = folder.replace("KIND", "path-info");
        for (file, detail) in DETAILS {
            let empty = PathInfo::new(own_path(), nar_hash(), 0);
            for (file, expected) in
                [(file.to_owned(), expected_path_info(format, detail)), (format!("empty_{file}"), empty)]
            {
                let json = read(&upstream.join(&folder), &file);
                let info = path_info_from_json(&own_path(), &store_dir, &json).unwrap();
                assert_eq!(info, expected, "{folder}/{file}");
                assert_eq!(path_info_to_json(&info, &store_dir, format, detail), json, "{folder}/{file}");
                assert!(left.remove(&format!("{folder}/{file}")));
            }
        }
    }
    let json = read(&upstream, "nix-2.36-dev/path-info/json-1/pure_noversion.json");
    let info = path_info_from_json(&own_path(), &store_dir, &json).unwrap();
    assert_eq!(info, expected_path_info(PathInfoFormat::V1, Detail::Pure));
    assert_eq!(path_info_to_json(&info, &store_dir, PathInfoFormat::Nix229, Detail::Pure), json);
    assert!(left.remove("nix-2.36-dev/path-info/json-1/pure_noversion.json"));
    assert_eq!(left, BTreeSet::new(), "vectors that no test reads");
}

#[test]
fn nar_infos() {
    let Some(data) = support::data("nar_infos") else { return };
    let (upstream, store_dir) = (data.join("upstream"), StoreDir::default());
    let mut left = vectors(&upstream, "nar-info");
    for (folder, format) in FORMATS {
        let folder = folder.replace("KIND", "nar-info");
        for (file, detail) in DETAILS {
            let json = read(&upstream.join(&folder), file);
            let narinfo = nar_info_from_json(&own_path(), &store_dir, &json).unwrap();
            let mut expected = NarInfo::new(expected_path_info(format, detail), "", Compression::Bzip2);
            expected.flags = narinfo.flags;
            if detail == Detail::Impure {
                expected.url = "nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz".to_owned();
                expected.compression = Compression::Xz;
                expected.file_hash = Some(nar_hash());
                expected.file_size = Some(4_029_176);
                assert!(narinfo.flags.is_empty());
            }
            assert_eq!(narinfo, expected, "{folder}/{file}");
            assert_eq!(nar_info_to_json(&narinfo, &store_dir, format, detail), json, "{folder}/{file}");
            assert!(left.remove(&format!("{folder}/{file}")));
        }
    }
    let json = read(&upstream, "nix-2.36-dev/nar-info/json-1/pure_noversion.json");
    let narinfo = nar_info_from_json(&own_path(), &store_dir, &json).unwrap();
    assert_eq!(narinfo.info, expected_path_info(PathInfoFormat::V1, Detail::Pure));
    assert_eq!(nar_info_to_json(&narinfo, &store_dir, PathInfoFormat::Nix229, Detail::Pure), json);
    assert!(left.remove("nix-2.36-dev/nar-info/json-1/pure_noversion.json"));
    assert_eq!(left, BTreeSet::new(), "vectors that no test reads");
}

#[test]
fn listings() {
    let Some(data) = support::data("listings") else { return };
    let upstream = data.join("upstream");
    let mut left = vectors(&upstream, "nar-listing");
    let directory = |entries: [(&str, Node); 2]| Node::Directory {
        entries: entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect::<BTreeMap<_, _>>(),
    };
    let file = |executable, size| Node::Regular { executable, size, nar_offset: None };
    let link = Node::Symlink { target: "/over/there".to_owned() };
    let expected =
        directory([("bar", directory([("baz", file(true, 19)), ("quux", link)])), ("foo", file(false, 15))]);

    let deep = read(&upstream, "nix-2.36-dev/nar-listing/deep.json");
    let node = Node::from_json(&serde_json::to_string_pretty(&deep).unwrap()).unwrap();
    assert_eq!(node, expected);
    assert_eq!(node.to_json(ListingForm::Head, ListingDepth::Deep), deep.to_string());
    assert!(left.remove("nix-2.36-dev/nar-listing/deep.json"));

    let shallow = read(&upstream, "nix-2.36-dev/nar-listing/shallow.json");
    assert_eq!(node.to_json(ListingForm::Head, ListingDepth::Shallow), shallow.to_string());
    let error = Node::from_json(&shallow.to_string()).unwrap_err();
    assert_eq!(error.to_string(), "listing is corrupt at byte 20, in 'bar': the field 'type' is missing");
    assert!(left.remove("nix-2.36-dev/nar-listing/shallow.json"));
    assert_eq!(left, BTreeSet::new(), "vectors that no test reads");
}
