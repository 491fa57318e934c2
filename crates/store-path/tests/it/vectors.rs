//! Nix's own test vectors in JSON: read, and written back equal.

use std::fs;

use nars3_store_path::{
    Algorithm, BuildTraceEntry, BuildTraceKey, ContentAddress, ContentAddressMethod, DrvOutput, Hash,
    Realisation, SecretKey, Signature, StorePath,
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

/// What Nix can be asked to build or to copy, as far as that needs no evaluation and no building: store paths, and
/// outputs of derivations in the store.
#[test]
fn derived_paths() {
    let Some(folder) = upstream(HEAD, "derived paths").map(|folder| folder.join("derived-path")) else {
        return;
    };
    assert_eq!(
        file_names(&folder),
        [
            "multi_built_built.json",
            "multi_built_built_wildcard.json",
            "multi_opaque.json",
            "mutli_built.json",
            "single_built.json",
            "single_built_built.json",
            "single_opaque.json",
        ]
    );
    let read = |name: &str| json(&fs::read_to_string(folder.join(format!("{name}.json"))).unwrap());
    let drv_path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().unwrap();
    for name in ["multi_opaque", "single_opaque"] {
        assert_eq!(read(name).as_str().unwrap().parse(), Ok(drv_path.clone()), "{name}");
    }
    for (name, outputs) in
        [("single_built", json(r#"["bar"]"#)), ("mutli_built", read("mutli_built")["outputs"].clone())]
    {
        assert_eq!(read(name)["drvPath"].as_str().unwrap().parse(), Ok(drv_path.clone()), "{name}");
        for output in outputs.as_array().unwrap() {
            let output = output.as_str().unwrap();
            let key = BuildTraceKey::new(drv_path.clone(), output).unwrap();
            assert_eq!(key.to_string(), format!("{drv_path}^{output}"));
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
    assert_eq!(read("single_built")["output"], "bar");
    // The derivation is the output of another one: where that leads is known only once it is built.
    for name in ["multi_built_built", "multi_built_built_wildcard", "single_built_built"] {
        assert!(read(name)["drvPath"].is_object(), "{name}");
    }
}

/// Which outputs of a derivation are meant. Names are names here too; `*`, for all of them, is none.
#[test]
fn output_names() {
    let Some(folder) = upstream(HEAD, "output names").map(|folder| folder.join("outputs-spec")) else {
        return;
    };
    assert_eq!(file_names(&folder), ["all.json", "extended", "name.json", "names.json"]);
    let extended = folder.join("extended");
    assert_eq!(file_names(&extended), ["all.json", "def.json", "name.json", "names.json"]);
    let drv_path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().unwrap();
    for folder in [&folder, &extended] {
        let read = |name: &str| json(&fs::read_to_string(folder.join(name)).unwrap());
        for (name, expected) in [("name.json", ["a"].as_slice()), ("names.json", &["a", "b"])] {
            assert_eq!(read(name), Value::from(expected));
            assert!(expected.iter().all(|output| BuildTraceKey::new(drv_path.clone(), output).is_ok()));
        }
        assert_eq!(read("all.json"), Value::from(["*"].as_slice()));
        assert!(BuildTraceKey::new(drv_path.clone(), "*").is_err());
    }
    // Not said, so the derivation's own choice, which evaluation knows.
    assert!(json(&fs::read_to_string(extended.join("def.json")).unwrap()).is_null());
}
