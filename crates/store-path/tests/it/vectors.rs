//! Nix's own test vectors in JSON: read, and written back equal.

use std::fs;

use nars3_store_path::{
    Algorithm, BuildTraceEntry, BuildTraceKey, ContentAddress, ContentAddressMethod, DerivedPath, DrvOutput,
    Hash, OutputsSpec, Realisation, SecretKey, Signature, StorePath,
};
use serde_json::Value;

use crate::support::{file_names, upstream};

const HEAD: &str = "nix-2.36-dev";

/// The key that signed the vectors, which Nix's sources publish for this purpose.
const TEST_KEY: &str =
    "test-key:tU7tTvLcScf8pmz/eTV0BEtLmRsPpZfKaRcd0nCN+pysBZPHSeg61/u2oc7mIOewfuAY1V1BiX32homTaDJ2Jw==";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn hashes() {
    let Some(folder) = upstream(HEAD, "hashes").map(|folder| folder.join("hash")) else { return };
    assert_eq!(file_names(&folder), ["blake3.json", "sha256.json", "sha512.json"]);
    for (name, expected) in [
        ("blake3", Hash::digest(Algorithm::Blake3, b"asdf")),
        ("sha256", Hash::digest(Algorithm::Sha256, b"asdf")),
        // Nix's vector of this name holds SHA-256 all the same.
        ("sha512", Hash::digest(Algorithm::Sha256, b"asdf")),
    ] {
        let value = json(&fs::read_to_string(folder.join(format!("{name}.json"))).unwrap());
        let text = value.as_str().unwrap();
        let hash = Hash::parse_sri(text).unwrap();
        assert_eq!(hash.to_sri(), text, "{name}");
        assert_eq!(hash, expected, "{name}");
    }
}

#[test]
fn content_addresses() {
    let Some(folder) = upstream(HEAD, "content addresses") else { return };
    let alone = folder.join("content-address");
    assert_eq!(file_names(&alone), ["nar.json", "text.json"]);
    let read = |text: &str| {
        let ca = ContentAddress::from_json(text).unwrap();
        assert_eq!(json(&ca.to_json()), json(text));
        ca
    };
    let file = |name| read(&fs::read_to_string(alone.join(name)).unwrap());
    assert_eq!(
        file("text.json"),
        ContentAddress { method: ContentAddressMethod::Text, hash: Hash::digest(Algorithm::Sha256, b"asdf") }
    );
    assert_eq!(file("nar.json").method, ContentAddressMethod::NixArchive);
    for name in ["content-address.json", "optional-content-address.json"] {
        let document = json(&fs::read_to_string(folder.join("common-protocol").join(name)).unwrap());
        for value in document.as_array().unwrap().iter().filter(|value| !value.is_null()) {
            let ca = read(&value.to_string());
            assert_eq!(ca.to_string().parse(), Ok(ca));
        }
    }
}

#[test]
fn store_paths() {
    let Some(folder) = upstream(HEAD, "store paths") else { return };
    assert_eq!(file_names(&folder.join("store-path")), ["simple.json"]);
    let mut seen = 0;
    for name in [
        "store-path/simple.json",
        "common-protocol/store-path.json",
        "common-protocol/optional-store-path.json",
    ] {
        let document = json(&fs::read_to_string(folder.join(name)).unwrap());
        let values = document.as_array().map_or(std::slice::from_ref(&document), Vec::as_slice);
        for text in values.iter().filter_map(Value::as_str) {
            let path: StorePath = text.parse().unwrap();
            assert_eq!(path.to_string(), text);
            assert_eq!(path.is_derivation(), text.ends_with(".drv"));
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn derivation_outputs() {
    let Some(folder) = upstream(HEAD, "derivation outputs") else { return };
    let document = json(&fs::read_to_string(folder.join("common-protocol/drv-output.json")).unwrap());
    for text in document.as_array().unwrap() {
        let text = text.as_str().unwrap();
        assert_eq!(text.parse::<DrvOutput>().unwrap().to_string(), text);
    }
}

/// Realisations keyed by hash, of Nix up to 2.34.
#[test]
fn realisations() {
    let Some(folder) = upstream(HEAD, "realisations") else { return };
    for protocol in ["common-protocol", "worker-protocol"] {
        // Signatures as objects, then as text.
        for (name, structured) in [("realisation", true), ("realisation-with-deps", false)] {
            let text = fs::read_to_string(folder.join(protocol).join(format!("{name}.json"))).unwrap();
            for value in json(&text).as_array().unwrap() {
                let realisation = Realisation::from_json(&value.to_string()).unwrap();
                let written = if structured {
                    realisation.to_json_structured().unwrap()
                } else {
                    realisation.to_json()
                };
                assert_eq!(json(&written), *value, "{protocol}/{name}");
                assert_eq!(Realisation::from_json(&realisation.to_json()).unwrap(), realisation);
            }
        }
    }
}

/// Realisations keyed by path, of Nix since 2.35.
#[test]
fn build_trace_entries() {
    let Some(folder) = upstream(HEAD, "build trace entries") else { return };
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let entry = |name: &str| BuildTraceEntry::from_json(&read(name)).unwrap();
    for name in [
        "realisation/simple.json",
        "realisation/with-signature.json",
        "worker-protocol/realisation-realisation-with-path-not-hash.json",
    ] {
        let entry = entry(name);
        assert_eq!(json(&entry.to_json().unwrap()), json(&read(name)), "{name}");
        assert_eq!(entry.key.to_string().parse(), Ok(entry.key));
    }
    for name in [
        "realisation/unkeyed-simple.json",
        "realisation/unkeyed-with-signature.json",
        "worker-protocol/unkeyed-realisation-realisation-with-path-not-hash.json",
    ] {
        let key: BuildTraceKey = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv^baz".parse().unwrap();
        let entry = BuildTraceEntry::from_value_json(key, &read(name)).unwrap();
        assert_eq!(json(&entry.value_json().unwrap()), json(&read(name)), "{name}");
    }
    // Signatures as text are still read, and written as objects.
    assert_eq!(
        entry("realisation/with-signature-unstructured.json"),
        entry("realisation/with-signature.json")
    );
}

#[test]
fn fingerprints_and_signatures_of_build_trace_entries() {
    let Some(folder) = upstream(HEAD, "signed build trace entries").map(|folder| folder.join("realisation"))
    else {
        return;
    };
    assert_eq!(
        file_names(&folder),
        [
            "simple-fingerprint.txt",
            "simple-sig.json",
            "simple.json",
            "unkeyed-simple.json",
            "unkeyed-with-signature.json",
            "with-signature-fingerprint.txt",
            "with-signature-sig.json",
            "with-signature-unstructured.json",
            "with-signature.json",
        ]
    );
    let secret = SecretKey::parse(TEST_KEY).unwrap();
    for name in ["simple", "with-signature"] {
        let read = |suffix: &str| fs::read_to_string(folder.join(format!("{name}{suffix}"))).unwrap();
        let mut entry = BuildTraceEntry::from_json(&read(".json")).unwrap();
        assert_eq!(entry.fingerprint(), read("-fingerprint.txt"));
        let expected = json(&read("-sig.json"));
        let expected = Signature::new(&format!(
            "{}:{}",
            expected["keyName"].as_str().unwrap(),
            expected["sig"].as_str().unwrap()
        ));
        entry.sign(&secret);
        assert!(entry.signatures.contains(&expected), "{name}: {entry:?}");
        assert_eq!(entry.valid_signatures(&[secret.public_key()].into_iter().collect()), 1);
    }
}

/// Paths and outputs of derivations, also of derivations that are themselves outputs.
#[test]
fn derived_paths() {
    let Some(folder) = upstream(HEAD, "derived paths").map(|folder| folder.join("derived-path")) else {
        return;
    };
    let expected = [
        ("multi_built_built.json", "^bar^baz,quux"),
        ("multi_built_built_wildcard.json", "^bar^*"),
        ("multi_opaque.json", ""),
        ("mutli_built.json", "^bar,baz"),
        ("single_built.json", "^bar"),
        ("single_built_built.json", "^bar^baz"),
        ("single_opaque.json", ""),
    ];
    assert_eq!(file_names(&folder), expected.map(|(name, _)| name));
    for (name, suffix) in expected {
        let document = fs::read_to_string(folder.join(name)).unwrap();
        let path = DerivedPath::from_json(&document).unwrap();
        let text = format!("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv{suffix}");
        assert_eq!(path.to_string(), text, "{name}");
        assert_eq!(text.parse(), Ok(path.clone()), "{name}");
        // Of one output Nix has a type of its own, whose JSON says `output`; here it is a set of one.
        if name.starts_with("single_built") {
            assert_eq!(DerivedPath::from_json(&path.to_json()), Ok(path), "{name}");
        } else {
            assert_eq!(json(&path.to_json()), json(&document), "{name}");
        }
    }
}

/// Which outputs of a derivation are meant.
#[test]
fn output_names() {
    let Some(folder) = upstream(HEAD, "output names").map(|folder| folder.join("outputs-spec")) else {
        return;
    };
    assert_eq!(file_names(&folder), ["all.json", "extended", "name.json", "names.json"]);
    let extended = folder.join("extended");
    assert_eq!(file_names(&extended), ["all.json", "def.json", "name.json", "names.json"]);
    for folder in [&folder, &extended] {
        for (name, text) in [("all.json", "*"), ("name.json", "a"), ("names.json", "a,b")] {
            let document = fs::read_to_string(folder.join(name)).unwrap();
            let outputs = OutputsSpec::from_json(&document).unwrap();
            assert_eq!(outputs.to_string(), text);
            assert_eq!(text.parse(), Ok(outputs.clone()));
            assert_eq!(json(&outputs.to_json()), json(&document));
        }
    }
    // Not said, so the derivation's own choice, which only evaluation knows: here it is the absence of a value.
    let unsaid = fs::read_to_string(extended.join("def.json")).unwrap();
    assert!(json(&unsaid).is_null() && OutputsSpec::from_json(&unsaid).is_err());
}
