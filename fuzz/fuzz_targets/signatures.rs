//! Signatures, keys, hashes, content addresses, store paths and realisations from a stranger: what is understood
//! prints to something that is understood the same, and no signature verifies that nobody made.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use nars3_store_path::{
    Algorithm, BuildTraceEntry, BuildTraceKey, ContentAddress, DrvOutput, Hash, HashFormat, PublicKey,
    PublicKeys, Realisation, SecretKey, Signature, StoreDir, StorePath, nix32,
};

fuzz_target!(|text: &str| {
    signatures(text);
    hashes(text);
    paths(text);
    realisations(text);
    prints_back::<ContentAddress>(text);
    prints_back::<DrvOutput>(text);
    prints_back::<BuildTraceKey>(text);
    prints_back::<PublicKey>(text);
    prints_back::<StorePath>(text);
    prints_back::<StoreDir>(text);
    if let Ok(ca) = ContentAddress::from_json(text) {
        assert_eq!(ContentAddress::from_json(&ca.to_json()), Ok(ca));
    }
});

fn prints_back<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().expect("our own text is understood"), value);
    }
}

fn signatures(text: &str) {
    let signature = Signature::new(text);
    assert_eq!(signature.to_string(), text);
    let ours = SecretKey::from_seed("fuzz-1", [1; 32]).expect("the name is fine");
    assert!(!ours.public_key().verify(b"something nobody signed", &signature), "a forged signature");
    if let Ok(keys) = text.parse::<PublicKeys>() {
        assert!(!keys.verify(text.as_bytes(), &ours.sign(text.as_bytes())), "a key that is not there");
    }
    if let Ok(key) = SecretKey::parse(text) {
        let again = SecretKey::parse(&key.to_secret_string()).expect("our own text is understood");
        assert!(key.public_key().verify(text.as_bytes(), &again.sign(text.as_bytes())));
    }
}

fn hashes(text: &str) {
    if let Ok((hash, _)) = Hash::parse_any(text, None) {
        for format in HashFormat::ALL {
            let printed = hash.print(format, true);
            assert_eq!(Hash::parse_any(&printed, Some(hash.algorithm())), Ok((hash, format)));
        }
    }
    for algorithm in Algorithm::ALL {
        if let Ok(hash) = Hash::parse_digest(algorithm, text) {
            assert_eq!(Hash::parse_digest(algorithm, &hash.nix32_digest()), Ok(hash));
        }
    }
    if let Ok(bytes) = nix32::decode(text) {
        assert_eq!(nix32::encode(&bytes), text);
    }
}

fn paths(text: &str) {
    let store_dir = StoreDir::default();
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name(), text);
        assert_eq!(StorePath::from_parts(&path.hash_part(), path.name()), Ok(path));
    }
    if let Ok(path) = store_dir.parse(text) {
        assert_eq!(store_dir.parse(&store_dir.print(&path)), Ok(path));
    }
    if let Ok((path, inside)) = store_dir.parse_inside(text) {
        assert_eq!(format!("{}{inside}", store_dir.print(&path)), text);
    }
}

fn realisations(text: &str) {
    if let Ok(realisation) = Realisation::from_json(text) {
        assert_eq!(Realisation::from_json(&realisation.to_json()).as_ref(), Ok(&realisation));
        assert_eq!(realisation.id.object_key().split('/').count(), 2, "a key elsewhere");
    }
    if let Ok(entry) = BuildTraceEntry::from_json(text) {
        // Signatures of no form can be read, but not written.
        if let Ok(json) = entry.to_json() {
            let again = BuildTraceEntry::from_json(&json).expect("our own JSON is understood");
            assert_eq!(again.to_json().as_ref(), Ok(&json));
        }
    }
}
