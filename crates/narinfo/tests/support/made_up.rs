//! Narinfos made up by proptest, good and spoilt.

use nars3_narinfo::{Compression, NarInfo, PathInfo};
use nars3_store_path::{Algorithm, ContentAddress, ContentAddressMethod, Hash, Signature, StorePath};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

pub(crate) fn store_path() -> impl Strategy<Value = StorePath> {
    "[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+_?=-][0-9a-zA-Z+._?=-]{0,40}"
        .prop_map(|base_name| StorePath::from_base_name(&base_name).unwrap())
}

pub(crate) fn sha256() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::sha256)
}

pub(crate) fn content_address() -> impl Strategy<Value = ContentAddress> {
    let algorithm = prop::sample::select(vec![Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha512]);
    let any_hash =
        prop_oneof![sha256(), algorithm.prop_map(|algorithm| Hash::digest(algorithm, b"contents"))];
    let file = prop::sample::select(vec![ContentAddressMethod::Flat, ContentAddressMethod::NixArchive]);
    prop_oneof![
        // Texts are always hashed with SHA-256; Nix 2.8 refuses narinfos that say otherwise.
        sha256().prop_map(|hash| ContentAddress { method: ContentAddressMethod::Text, hash }),
        (file, any_hash).prop_map(|(method, hash)| ContentAddress { method, hash }),
    ]
}

/// Signatures of the form that every Nix takes; names are chosen so that the two orders differ now and then.
pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    ("[a-b][-.1]{0,2}", any::<u8>()).prop_map(|(name, byte)| Signature::from_parts(&name, &[byte; 64]))
}

pub(crate) fn path_info() -> impl Strategy<Value = PathInfo> {
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

pub(crate) fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::KNOWN.to_vec())
}

/// A narinfo as a cache has it: complete, without what only a local store knows.
pub(crate) fn narinfo() -> impl Strategy<Value = NarInfo> {
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
pub(crate) fn spoilt(text: &str) -> impl Strategy<Value = String> + use<> {
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
pub(crate) fn text_of(pieces: &[String], text: &str) -> impl Strategy<Value = Vec<String>> + use<> {
    let lines: Vec<String> = pieces[..text.split_inclusive('\n').count()].to_vec();
    prop_oneof![
        3 => Just(lines.clone()),
        1 => Just(lines.clone()).prop_shuffle(),
        1 => prop::sample::subsequence(lines.clone(), 0..=lines.len()),
    ]
}
