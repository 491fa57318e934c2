//! Signatures, keys, hashes, content addresses and store paths from a stranger.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_store_path::{
    ContentAddress, Hash, PublicKey, Realisation, SecretKey, Signature, StoreDir, StorePath, nix32,
};

fuzz_target!(|text: &str| {
    let signature = Signature::new(text);
    assert_eq!(signature.to_string(), text);
    let key = SecretKey::from_seed("fuzz-1", [1; 32]).expect("the name is fine");
    if key.public_key().verify(b"something nobody signed", &signature) {
        panic!("a forged signature");
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        let again: PublicKey = key.to_string().parse().expect("our own text is understood");
        assert_eq!(again.as_bytes(), key.as_bytes());
        let _ = key.verify(text.as_bytes(), &signature);
    }
    let _ = SecretKey::parse(text);
    if let Ok(hash) = Hash::parse(text) {
        for printed in [hash.to_nix32(), hash.to_base16(), hash.to_base64(), hash.to_sri()] {
            assert_eq!(Hash::parse(&printed).expect("our own text is understood"), hash);
        }
    }
    if let Ok(bytes) = nix32::decode(text) {
        assert_eq!(nix32::encode(&bytes), text);
    }
    if let Ok(ca) = text.parse::<ContentAddress>() {
        assert_eq!(ca.to_string().parse::<ContentAddress>().expect("our own text is understood"), ca);
    }
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name(), text);
    }
    if let Ok((path, _inside)) = StoreDir::default().parse_inside(text) {
        assert!(text.starts_with(&StoreDir::default().print(&path)));
    }
    if let Ok(realisation) = Realisation::from_json(text) {
        let again = Realisation::from_json(&realisation.to_json()).expect("our own JSON is understood");
        assert_eq!(again.to_json(), realisation.to_json());
    }
});
