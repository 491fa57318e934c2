//! Caches that Nix 2.8 wrote (`fixtures/make.sh`): every file of them is read, and written back the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nars3_narinfo::json::{
    DebugInfoLink, Detail, NarFile, PathInfoDocument, PathInfoFormat, nar_info_to_json,
};
use nars3_narinfo::{CACHE_INFO_KEY, CacheInfo, Compression, Listing, NarInfo, Node, listing_key, nar_key};
use nars3_store_path::{PublicKeys, StoreDir};
use serde_json::Value;

/// The caches, with the compression of each and the directory of its store.
const CACHES: [(&str, Compression, &str); 7] = [
    ("added", Compression::Xz, "/nix/store"),
    ("built-xz", Compression::Xz, BUILT),
    ("built-none", Compression::None, BUILT),
    ("built-bzip2", Compression::Bzip2, BUILT),
    ("built-gzip", Compression::Gzip, BUILT),
    ("built-zstd", Compression::Zstd, BUILT),
    ("built-br", Compression::Brotli, BUILT),
];
const BUILT: &str = "/tmp/nars3-fixtures/store";

struct Cache {
    name: &'static str,
    folder: PathBuf,
    compression: Compression,
    store_dir: StoreDir,
    narinfos: Vec<NarInfo>,
}

impl Cache {
    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The names of the files in `folder` that end with `suffix`.
fn files(folder: &Path, suffix: &str) -> BTreeSet<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(suffix)).collect()
}

fn caches() -> Vec<Cache> {
    let caches = CACHES.map(|(name, compression, store_dir)| {
        let folder = fixtures().join(name);
        let store_dir = StoreDir::new(store_dir).unwrap();
        let narinfos = files(&folder, ".narinfo").into_iter().map(|key| {
            let text = std::fs::read_to_string(folder.join(&key)).unwrap();
            let narinfo = NarInfo::parse_strict(&store_dir, &key, &text).unwrap();
            assert_eq!(narinfo.to_text(&store_dir), text, "{name}/{key}");
            assert_eq!(narinfo.key(), key);
            narinfo
        });
        Cache { name, compression, narinfos: narinfos.collect(), folder, store_dir }
    });
    caches.into()
}

#[test]
fn narinfos_print_back_and_nothing_is_to_be_said_against_them() {
    for cache in caches() {
        assert_eq!(cache.narinfos.len(), if cache.name == "added" { 4 } else { 3 });
        for narinfo in &cache.narinfos {
            assert_eq!(narinfo.compression, cache.compression);
            let file_hash = narinfo.file_hash.unwrap();
            assert_eq!(nar_key(&file_hash, &cache.compression), narinfo.url);
            let (_, findings) =
                NarInfo::lint(&cache.store_dir, &narinfo.key(), &cache.text(&narinfo.key())).unwrap();
            assert_eq!(findings, [], "{}", cache.name);
        }
    }
}

#[test]
fn signatures_verify_and_content_addresses_are_true() {
    let keys: PublicKeys = std::fs::read_to_string(fixtures().join("public-keys")).unwrap().parse().unwrap();
    let mut addressed = 0;
    for cache in caches() {
        for narinfo in &cache.narinfos {
            let info = &narinfo.info;
            let expected = if info.path.name() == "source" { 2 } else { 1 };
            assert_eq!(info.valid_signatures(&cache.store_dir, &keys), expected, "{}", info.path);
            assert_eq!(info.path_follows_from_ca(&cache.store_dir), info.ca.is_some(), "{}", info.path);
            addressed += usize::from(info.ca.is_some());
        }
    }
    // Text, flat and recursive; with and without references.
    assert_eq!(addressed, 4 + 6);
}

#[test]
fn cache_infos() {
    for cache in caches() {
        let text = cache.text(CACHE_INFO_KEY);
        let info = CacheInfo::parse(&text);
        assert_eq!(info, CacheInfo::new(cache.store_dir.clone()));
        assert_eq!(info.to_text(), text);
    }
}

#[test]
fn listings_and_the_debug_info_in_them() {
    for cache in caches().iter().filter(|cache| matches!(cache.name, "added" | "built-xz")) {
        let mut links = BTreeSet::new();
        for narinfo in &cache.narinfos {
            let text = cache.text(&listing_key(&narinfo.info.path));
            let listing = Listing::from_json(&text).unwrap();
            // Nix 2.8 does not sort its keys yet; 2.29 does.
            let expected: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(listing.to_json(), expected.to_string());
            let mut walk = listing.root.walk();
            while let Some((path, node)) = walk.next_node() {
                if let Node::Regular { size, nar_offset, .. } = node {
                    let end = nar_offset.unwrap() + size;
                    assert!(end < narinfo.info.nar_size, "{path} ends behind its NAR");
                    if let Some((key, link)) = DebugInfoLink::for_member(&narinfo.url, path) {
                        let text = cache.text(&key);
                        assert_eq!(DebugInfoLink::from_json(&text).unwrap(), link);
                        assert_eq!(link.to_json(), text);
                        links.insert(key);
                    }
                }
            }
        }
        let folder = cache.folder.join("debuginfo");
        let written = if folder.is_dir() { files(&folder, "") } else { BTreeSet::new() };
        let expected = written.iter().map(|name| format!("debuginfo/{name}")).collect();
        assert_eq!(links, expected, "{}", cache.name);
    }
}

/// What `nix path-info --json` said of these caches, in the form of Nix 2.8: an array.
#[test]
fn path_info_json() {
    for cache in caches() {
        let document = PathInfoDocument::from_json(&cache.store_dir, &cache.text("path-info.json")).unwrap();
        assert_eq!(document.entries.len(), cache.narinfos.len());
        for narinfo in &cache.narinfos {
            let entry = document.entries[&narinfo.info.path].as_ref().unwrap();
            assert_eq!(entry.info, narinfo.info);
            // Nix 2.8 does not say how the file is compressed.
            assert_eq!(entry.file, Some(NarFile { compression: None, ..NarFile::from(narinfo) }));
            assert!(entry.closure_size.unwrap() >= narinfo.info.nar_size);
            assert!(entry.closure_download_size.unwrap() >= narinfo.file_size.unwrap());
        }
        for format in [PathInfoFormat::Nix229, PathInfoFormat::V1, PathInfoFormat::V2, PathInfoFormat::V3] {
            let json = document.to_json(format);
            assert_eq!(PathInfoDocument::from_json(&cache.store_dir, &json).unwrap(), document);
        }
    }
}

/// The object of a path in the old array and in the format of 2.29 differ by known keys only.
#[test]
fn path_info_json_of_2_29_adds_to_that_of_2_8() {
    for cache in caches() {
        let old: Value = serde_json::from_str(&cache.text("path-info.json")).unwrap();
        for old in old.as_array().unwrap() {
            let path = cache.store_dir.parse(old["path"].as_str().unwrap()).unwrap();
            let narinfo = cache.narinfos.iter().find(|narinfo| narinfo.info.path == path).unwrap();
            let new = nar_info_to_json(narinfo, &cache.store_dir, PathInfoFormat::Nix229, Detail::Impure);
            let new = new.as_object().unwrap();
            let added: Vec<&str> =
                new.keys().map(String::as_str).filter(|key| old.get(key).is_none()).collect();
            let always = ["compression", "registrationTime", "ultimate"];
            assert!(added.iter().all(|key| always.contains(key) || new[*key].is_null()), "{added:?}");
            let kept = old.as_object().unwrap().iter().filter(|(key, _)| new.contains_key(*key));
            assert!(kept.clone().count() >= 6);
            assert!(kept.clone().all(|(key, value)| new[key] == *value), "{old}\n{new:?}");
        }
    }
}
