//! What holds for every narinfo, listing and JSON, with inputs made up by proptest.

use std::collections::{BTreeMap, BTreeSet};

use nars3_narinfo::json::{
    Detail, PathInfoDocument, PathInfoEntry, PathInfoFormat, nar_info_from_json, nar_info_to_json,
    path_info_from_json, path_info_to_json,
};
use nars3_narinfo::{CacheInfo, Compression, Flags, Listing, NarInfo, NarInfoRef, Node, PathInfo};
use nars3_store_path::{
    Algorithm, ContentAddress, ContentAddressMethod, Hash, SecretKey, Signature, StoreDir, StorePath,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

fn store_path() -> impl Strategy<Value = StorePath> {
    "[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+_?=-][0-9a-zA-Z+._?=-]{0,40}"
        .prop_map(|base_name| StorePath::from_base_name(&base_name).unwrap())
}

fn sha256() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::sha256)
}

fn content_address() -> impl Strategy<Value = ContentAddress> {
    let method = prop_oneof![
        Just(ContentAddressMethod::Text),
        Just(ContentAddressMethod::Flat),
        Just(ContentAddressMethod::NixArchive)
    ];
    let algorithm = prop_oneof![Just(Algorithm::Md5), Just(Algorithm::Sha1), Just(Algorithm::Sha512)];
    let hash = prop_oneof![sha256(), algorithm.prop_map(|algorithm| Hash::digest(algorithm, b"contents"))];
    (method, hash).prop_map(|(method, hash)| ContentAddress { method, hash })
}

/// Signatures of the form that every Nix takes; names are chosen so that the two orders differ now and then.
fn signature() -> impl Strategy<Value = Signature> {
    ("[a-b][-.1:]{0,2}", any::<u8>())
        .prop_map(|(name, byte)| Signature::from_parts(name.trim_end_matches(':'), &[byte; 64]))
}

fn path_info() -> impl Strategy<Value = PathInfo> {
    (
        (store_path(), sha256(), 1_u64..),
        btree_set(store_path(), 0..8),
        option::of(store_path()),
        btree_set(signature(), 0..4),
        option::of(content_address()),
        (option::of(1..i64::MAX), any::<bool>()),
    )
        .prop_map(|((path, hash, size), references, deriver, signatures, ca, (time, ultimate))| {
            let mut info = PathInfo::new(path, hash, size);
            info.references = references;
            info.deriver = deriver;
            info.signatures = signatures;
            info.ca = ca;
            info.registration_time = time;
            info.ultimate = ultimate;
            info
        })
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::KNOWN.to_vec())
}

/// A narinfo as a cache has it: complete, without what only a local store knows.
fn narinfo() -> impl Strategy<Value = NarInfo> {
    (path_info(), "[a-z0-9/._%?=&-]{1,60}", compression(), sha256(), 1_u64..).prop_map(
        |(mut info, url, compression, file_hash, file_size)| {
            info.registration_time = None;
            info.ultimate = false;
            let mut narinfo = NarInfo::new(info, url, compression);
            narinfo.file_hash = Some(file_hash);
            narinfo.file_size = Some(file_size);
            narinfo
        },
    )
}

/// How a narinfo is spoilt: lines of it, and pieces that mean something to the parser, put together at random.
fn spoilt(text: &str) -> impl Strategy<Value = String> + use<> {
    let mut pieces: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let special = [
        "Sig: ",
        "Sig: a:b\n",
        "CA: \n",
        "References: \n",
        "References:  \n",
        "Deriver: unknown-deriver\n",
        "System: x\n",
        "Compression: \n",
        "FileSize: 00\n",
        "NarSize: +7\n",
        "URL:",
        "URL: x\n",
        ":",
        " ",
        "\n",
        "\r\n",
        "é",
        "StorePath",
        "NarHash: sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=\n",
    ];
    pieces.extend(special.map(str::to_owned));
    let count = pieces.len();
    (vec(0..count, 0..3), any::<prop::sample::Index>(), Just(pieces.clone()), text_of(&pieces, text))
        .prop_map(|(extra, at, pieces, lines)| {
            let mut lines = lines;
            for index in extra {
                lines.insert(at.index(lines.len() + 1), pieces[index].clone());
            }
            lines.concat()
        })
}

/// The lines of `text`, some of them left out, doubled or moved.
fn text_of(pieces: &[String], text: &str) -> impl Strategy<Value = Vec<String>> + use<> {
    let lines: Vec<String> = pieces[..text.split_inclusive('\n').count()].to_vec();
    prop_oneof![
        3 => Just(lines.clone()),
        1 => Just(lines.clone()).prop_shuffle(),
        1 => prop::sample::subsequence(lines.clone(), 0..=lines.len()),
    ]
}

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
        let paths: BTreeMap<String, &Node> = listing.root.walk().collect();
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
