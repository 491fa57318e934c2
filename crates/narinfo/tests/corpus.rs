//! 978 real narinfos of cache.nixos.org: each is read, printed back, and its signature checked.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

mod support;

use std::collections::BTreeMap;

use nars3_narinfo::{Compression, Flags, NarInfo, NarInfoRef, PathInfo};
use nars3_store_path::{Algorithm, Hash, PublicKeys, Signature, StoreDir, StorePath};

const PUBLIC_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

fn narinfos(test: &str) -> Option<Vec<(String, NarInfo)>> {
    let texts = support::corpus(test)?;
    assert_eq!(texts.len(), 978);
    let store_dir = StoreDir::default();
    let read = |text: String| {
        let narinfo =
            NarInfo::parse(&store_dir, "corpus", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        (text, narinfo)
    };
    Some(texts.into_iter().map(read).collect())
}

#[test]
fn all_print_back_or_say_why_not() {
    let Some(narinfos) = narinfos("all_print_back_or_say_why_not") else { return };
    let store_dir = StoreDir::default();
    let mut flags_seen: BTreeMap<String, usize> = BTreeMap::new();
    for (text, narinfo) in &narinfos {
        let printed = narinfo.to_text(&store_dir);
        assert_eq!(printed == *text, narinfo.flags.prints_back(), "{:?}\n{text}\n{printed}", narinfo.flags);
        *flags_seen.entry(narinfo.flags.to_string()).or_default() += 1;

        let again = NarInfo::parse_strict(&store_dir, "printed", &printed).unwrap();
        assert_eq!(again, NarInfo { flags: Flags::NONE, ..narinfo.clone() }, "{text}");
    }
    // Exactly eight narinfos are not as Nix writes them today: Hydra once wrote a `System` line.
    let expected = [("-".to_owned(), 970), ("UNKNOWN_FIELD".to_owned(), 8)];
    assert_eq!(flags_seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn borrowed_and_owned_agree() {
    let Some(narinfos) = narinfos("borrowed_and_owned_agree") else { return };
    let store_dir = StoreDir::default();
    for (text, narinfo) in &narinfos {
        let borrowed = NarInfoRef::parse("corpus", text).unwrap();
        assert_eq!(borrowed.flags, narinfo.flags);
        assert_eq!(borrowed.store_path, store_dir.print(&narinfo.info.path));
        assert_eq!(borrowed.url, narinfo.url);
        assert_eq!(borrowed.compression, narinfo.compression.name());
        assert_eq!(borrowed.nar_hash, narinfo.info.nar_hash);
        assert_eq!(borrowed.nar_size, narinfo.info.nar_size);
        assert_eq!(borrowed.file_hash, narinfo.file_hash);
        assert_eq!(borrowed.file_size, narinfo.file_size);
        assert_eq!(borrowed.ca, narinfo.info.ca);
        assert_eq!(borrowed.deriver, narinfo.info.deriver.as_ref().map(StorePath::base_name));
        assert!(borrowed.references.iter().eq(narinfo.info.references.iter().map(StorePath::base_name)));
        assert!(borrowed.signatures.iter().eq(narinfo.info.signatures.iter().map(Signature::as_str)));
        assert_eq!(borrowed.to_text(), narinfo.to_text(&store_dir));
    }
}

#[test]
fn every_signature_verifies() {
    let Some(narinfos) = narinfos("every_signature_verifies") else { return };
    let (store_dir, keys): (_, PublicKeys) = (StoreDir::default(), PUBLIC_KEY.parse().unwrap());
    for (text, narinfo) in &narinfos {
        assert_eq!(narinfo.info.valid_signatures(&store_dir, &keys), 1, "{text}");
    }
}

#[test]
fn content_addresses_lead_to_their_store_paths() {
    let Some(narinfos) = narinfos("content_addresses_lead_to_their_store_paths") else { return };
    let store_dir = StoreDir::default();
    let addressed: Vec<&PathInfo> =
        narinfos.iter().map(|(_, narinfo)| &narinfo.info).filter(|info| info.ca.is_some()).collect();
    assert_eq!(addressed.len(), 8);
    for info in addressed {
        assert!(info.path_follows_from_ca(&store_dir), "{info:?}");
    }
}

/// One change to a narinfo, and whether the signature must notice it.
type Tampering = (&'static str, bool, fn(&mut NarInfo));

const OTHER_PATH: &str = "00000000000000000000000000000000-other";

const TAMPERINGS: [Tampering; 13] = [
    ("StorePath", true, |narinfo| narinfo.info.path = other_path()),
    ("StorePath, name only", true, |narinfo| {
        let name = format!("{}x", narinfo.info.path.name());
        narinfo.info.path = StorePath::from_parts(&narinfo.info.path.hash_part(), &name).unwrap();
    }),
    ("NarHash", true, |narinfo| narinfo.info.nar_hash = Hash::digest(Algorithm::Sha256, b"other")),
    ("NarSize", true, |narinfo| narinfo.info.nar_size += 1),
    ("NarSize 0", true, |narinfo| narinfo.info.nar_size = 0),
    ("References, one more", true, |narinfo| {
        narinfo.info.references.insert(other_path());
    }),
    ("References, one less", true, |narinfo| {
        if narinfo.info.references.pop_first().is_none() {
            narinfo.info.references.insert(other_path());
        }
    }),
    ("URL", false, |narinfo| narinfo.url.push('x')),
    ("Compression", false, |narinfo| narinfo.compression = Compression::Lz4),
    ("FileHash", false, |narinfo| narinfo.file_hash = Some(Hash::digest(Algorithm::Sha256, b"other"))),
    ("FileSize", false, |narinfo| narinfo.file_size = None),
    ("Deriver", false, |narinfo| narinfo.info.deriver = Some(other_path())),
    ("CA", false, |narinfo| {
        narinfo.info.ca = "text:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s".parse().ok();
    }),
];

fn other_path() -> StorePath {
    StorePath::from_base_name(OTHER_PATH).unwrap()
}

#[test]
fn signatures_notice_tampering_with_what_they_cover_and_nothing_else() {
    let Some(narinfos) = narinfos("signatures_notice_tampering_with_what_they_cover_and_nothing_else") else {
        return;
    };
    let (store_dir, keys): (_, PublicKeys) = (StoreDir::default(), PUBLIC_KEY.parse().unwrap());
    for (text, narinfo) in &narinfos {
        for (what, is_covered, tamper) in TAMPERINGS {
            let mut tampered = narinfo.clone();
            tamper(&mut tampered);
            assert_ne!(tampered, *narinfo, "{what} did not change\n{text}");
            let valid = tampered.info.valid_signatures(&store_dir, &keys);
            assert_eq!(valid, usize::from(!is_covered), "{what}\n{text}");
        }
    }
}

#[test]
fn other_keys_and_other_store_directories_do_not_verify() {
    let Some(narinfos) = narinfos("other_keys_and_other_store_directories_do_not_verify") else { return };
    let (_, narinfo) = &narinfos[0];
    let keys: PublicKeys = PUBLIC_KEY.parse().unwrap();
    let other_key = PUBLIC_KEY.replace("6NCHdD59", "6NCHdD58").parse().unwrap();
    let other_name = PUBLIC_KEY.replace("nixos.org-1", "nixos.org-2").parse().unwrap();
    let other_dir = StoreDir::new("/gnu/store").unwrap();
    assert_eq!(narinfo.info.valid_signatures(&StoreDir::default(), &keys), 1);
    assert_eq!(narinfo.info.valid_signatures(&other_dir, &keys), 0);
    assert_eq!(narinfo.info.valid_signatures(&StoreDir::default(), &other_key), 0);
    assert_eq!(narinfo.info.valid_signatures(&StoreDir::default(), &other_name), 0);
    assert_eq!(narinfo.info.valid_signatures(&StoreDir::default(), &PublicKeys::new()), 0);
}

#[test]
fn lint_finds_nothing_but_the_system_lines() {
    let Some(narinfos) = narinfos("lint_finds_nothing_but_the_system_lines") else { return };
    let store_dir = StoreDir::default();
    let mut found: Vec<String> = Vec::new();
    for (text, narinfo) in &narinfos {
        let (read, findings) = NarInfo::lint(&store_dir, &narinfo.key(), text).unwrap();
        assert_eq!(read, *narinfo);
        found.extend(findings.iter().map(ToString::to_string));
    }
    found.sort();
    found.dedup();
    assert!(found.iter().all(|finding| finding.contains("is no field that Nix knows")), "{found:?}");
}
