//! What holds for every narinfo, listing and JSON, with inputs made up by proptest.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use nars3_narinfo::json::{
    Detail, PathInfoDocument, PathInfoEntry, PathInfoFormat, nar_info_from_json, nar_info_to_json,
    path_info_from_json, path_info_to_json,
};
use nars3_narinfo::{CacheInfo, Compression, Flags, Listing, NarInfo, NarInfoRef, Node, PathInfo};
use nars3_store_path::{Hash, SecretKey, StoreDir, StorePath};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use support::made_up::{narinfo, path_info, spoilt, store_path};

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (any::<bool>(), any::<u64>(), option::of(1..u64::MAX))
            .prop_map(|(executable, size, nar_offset)| Node::Regular { executable, size, nar_offset }),
        ".{0,20}".prop_map(|target| Node::Symlink { target }),
    ];
    let name = "[^/\0]{1,12}".prop_filter("a name", |name| name != "." && name != "..");
    leaf.prop_recursive(6, 64, 8, move |child| {
        btree_map(name.clone(), child, 0..6).prop_map(|entries| Node::Directory { entries })
    })
}

proptest! {
    #[test]
    fn narinfos_print_and_read_back(narinfo in narinfo()) {
        let store_dir = StoreDir::default();
        let text = narinfo.to_text(&store_dir);
        prop_assert_eq!(&NarInfo::parse_strict(&store_dir, "key", &text).unwrap(), &narinfo);
        let borrowed = NarInfoRef::parse("key", &text).unwrap();
        prop_assert_eq!(borrowed.to_text(), text);
    }

    #[test]
    fn flags_say_exactly_when_a_narinfo_does_not_print_back(
        text in narinfo().prop_flat_map(|narinfo| spoilt(&narinfo.to_text(&StoreDir::default())))
    ) {
        let store_dir = StoreDir::default();
        let parsed = NarInfo::parse(&store_dir, "key", &text);
        if let Ok(narinfo) = &parsed {
            let printed = narinfo.to_text(&store_dir);
            prop_assert_eq!(printed == text, narinfo.flags.prints_back(), "{:?}\n{}", narinfo.flags, text);
            // Printing settles: what was printed once is printed again, and says the same.
            let again = NarInfo::parse(&store_dir, "key", &printed).unwrap();
            prop_assert!(again.flags.prints_back(), "{:?}", again.flags);
            prop_assert_eq!(again.to_text(&store_dir), printed);
            prop_assert_eq!(&again.info, &narinfo.info);

            let borrowed = NarInfoRef::parse("key", &text).unwrap();
            prop_assert_eq!(borrowed.flags, narinfo.flags - Flags::STORE_PATH_FORM);
            let (linted, _) = NarInfo::lint(&store_dir, "key", &text).unwrap();
            prop_assert_eq!(&linted, narinfo);
        }
        let strict = NarInfo::parse_strict(&store_dir, "key", &text);
        prop_assert_eq!(strict.is_ok(), parsed.is_ok_and(|narinfo| narinfo.flags.is_empty()));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,200}", pieces in vec("[A-Za-z]{1,12}: ?.{0,20}\n|[:\n ]", 0..12)) {
        let store_dir = StoreDir::default();
        for text in [text, pieces.concat()] {
            let _ = NarInfo::parse(&store_dir, "key", &text).map_err(|error| error.to_string());
            let _ = NarInfo::lint(&store_dir, "key", &text);
            let _ = Listing::from_json(&text).map_err(|error| error.to_string());
            let _ = PathInfoDocument::from_json(&store_dir, &text).map_err(|error| error.to_string());
            let _ = CacheInfo::parse(&text).to_text();
        }
    }

    #[test]
    fn path_infos_go_through_every_format(info in path_info()) {
        let store_dir = StoreDir::default();
        let formats = [PathInfoFormat::Nix229, PathInfoFormat::V1, PathInfoFormat::V2, PathInfoFormat::V3];
        for format in formats {
            let json = path_info_to_json(&info, &store_dir, format, Detail::Impure);
            prop_assert_eq!(&path_info_from_json(&info.path, &store_dir, &json).unwrap(), &info);
            let json = path_info_to_json(&info, &store_dir, format, Detail::Pure);
            let pure = path_info_from_json(&info.path, &store_dir, &json).unwrap();
            let bare = PathInfo::new(info.path.clone(), info.nar_hash, info.nar_size);
            prop_assert_eq!(pure, PathInfo { references: info.references.clone(), ca: info.ca, ..bare });
        }
    }

    #[test]
    fn narinfos_go_through_every_format(narinfo in narinfo()) {
        let store_dir = StoreDir::new("/gnu/store").unwrap();
        for format in [PathInfoFormat::Nix229, PathInfoFormat::V1, PathInfoFormat::V2, PathInfoFormat::V3] {
            let json = nar_info_to_json(&narinfo, &store_dir, format, Detail::Impure);
            prop_assert_eq!(&nar_info_from_json(&narinfo.info.path, &store_dir, &json).unwrap(), &narinfo);
        }
    }

    #[test]
    fn documents_go_through_every_format(
        infos in vec(path_info(), 0..3),
        narinfos in vec(narinfo(), 0..3),
        invalid in btree_set(store_path(), 0..3),
        size in any::<u64>(),
    ) {
        let mut document = PathInfoDocument::new(StoreDir::default());
        invalid.into_iter().for_each(|path| document.insert_invalid(path));
        infos.into_iter().for_each(|info| document.insert(info));
        for narinfo in narinfos {
            let closure_size = Some(size);
            document.insert(PathInfoEntry { closure_size, closure_download_size: Some(1), ..PathInfoEntry::from(narinfo) });
        }
        for format in [PathInfoFormat::Nix229, PathInfoFormat::V1, PathInfoFormat::V2, PathInfoFormat::V3] {
            let json = document.to_json(format);
            prop_assert_eq!(&PathInfoDocument::from_json(&StoreDir::default(), &json).unwrap(), &document);
        }
    }

    #[test]
    fn listings_write_and_read_back(root in node()) {
        let listing = Listing { root };
        for json in [listing.to_json(), listing.to_json_head()] {
            prop_assert_eq!(&Listing::from_json(&json).unwrap(), &listing);
            // serde_json writes the same, so the escapes and the order of the keys are right.
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value.to_string(), json);
        }
        let mut walk = listing.root.walk();
        let mut paths: BTreeMap<String, &Node> = BTreeMap::new();
        while let Some((path, node)) = walk.next_node() {
            paths.insert(path.to_owned(), node);
        }
        prop_assert!(paths.iter().all(|(path, node)| listing.root.lookup(path) == Some(*node)));
    }

    #[test]
    fn spoilt_listings_never_panic(root in node(), cut in any::<prop::sample::Index>(), byte in "[{}\\[\\],:\"0 \\\\a]") {
        let mut json = Listing { root }.to_json();
        let at = json.floor_char_boundary(cut.index(json.len()));
        let _ = Listing::from_json(&json[..at]);
        json.insert_str(at, &byte);
        if let Ok(listing) = Listing::from_json(&json) {
            prop_assert_eq!(Listing::from_json(&listing.to_json()).unwrap(), listing);
        }
    }

    #[test]
    fn signatures_made_here_verify_here(info in path_info(), seed in any::<[u8; 32]>()) {
        let store_dir = StoreDir::default();
        let key = SecretKey::from_seed("test-1", seed).unwrap();
        let keys = [key.public_key()].into_iter().collect();
        let mut signed = info.clone();
        signed.sign(&store_dir, &key).unwrap();
        prop_assert_eq!(signed.signatures.len(), info.signatures.len() + 1);
        prop_assert_eq!(signed.valid_signatures(&store_dir, &keys), 1);
        signed.nar_size ^= 1 << 20;
        prop_assert_eq!(signed.valid_signatures(&store_dir, &keys), 0);
    }

    #[test]
    fn cache_infos_write_and_read_back(want in option::of(any::<bool>()), priority in option::of(any::<i32>())) {
        let mut info = CacheInfo::new(StoreDir::default());
        info.want_mass_query = want;
        info.priority = priority.map(i64::from);
        prop_assert_eq!(CacheInfo::parse(&info.to_text()), info);
    }
}

#[test]
fn references_of_a_path_can_include_the_path() {
    let path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar").unwrap();
    let mut info = PathInfo::new(path.clone(), Hash::sha256([0; 32]), 1);
    info.references = BTreeSet::from([path]);
    let narinfo = NarInfo::new(info, "x", Compression::None);
    let text = narinfo.to_text(&StoreDir::default());
    let mut expected = narinfo;
    expected.flags = Flags::FILE_HASH_MISSING | Flags::FILE_SIZE_MISSING;
    assert_eq!(NarInfo::parse(&StoreDir::default(), "key", &text).unwrap(), expected);
}
