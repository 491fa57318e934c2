//! The vectors of realisations, in both forms.

use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, StoreDir};

use super::super::realisation::{
    UnkeyedRealisation, read_build_trace_entry, read_build_trace_key, read_drv_output, read_realisation,
    read_unkeyed_realisation, write_build_trace_entry, write_build_trace_key, write_drv_output,
    write_realisation, write_unkeyed_realisation,
};
use super::super::wire::write_string;
use super::{check, expected_json, foo, path, vectors};

fn id(text: &str) -> DrvOutput {
    text.parse().expect("well-formed")
}

fn baz() -> DrvOutput {
    id("sha256:15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527!baz")
}

#[test]
fn outputs_by_the_hash_of_their_derivation() {
    check(
        "outputs_by_the_hash_of_their_derivation",
        "drv-output",
        &[baz(), id("sha256:6f869f9ea2823bda165e06076fd0de4366dead2c0e8d2dbbad277d4f15c373f5!quux")],
        |from| read_drv_output(from),
        |to, value| write_drv_output(to, value).expect("into memory"),
    );
}

#[test]
fn realisations_as_json() {
    for name in ["realisation", "realisation-with-deps"] {
        for (bytes, version) in vectors("realisations_as_json", name) {
            let mut from = bytes.as_slice();
            let mut written = Vec::new();
            let mut found = Vec::new();
            while !from.is_empty() {
                let realisation = read_realisation(&mut from).expect("well-formed");
                assert_eq!((&realisation.id, &realisation.out_path), (&baz(), &foo()));
                if !realisation.signatures.is_empty() {
                    // Older versions made up other signatures: what matters is that they pass unchanged.
                    let texts = realisation.signatures.iter().map(|signature| &signature.as_str()[..4]);
                    assert_eq!(texts.collect::<Vec<_>>(), ["asdf", "qwer"], "{version}");
                }
                // A version under development wrote signatures as objects in the one file.
                if bytes.windows(7).any(|part| part == b"keyName") {
                    let json = realisation.to_json_structured().expect("signatures of the usual form");
                    write_string(&mut written, if found.is_empty() { realisation.to_json() } else { json })
                        .expect("into memory");
                } else {
                    write_realisation(&mut written, &realisation).expect("into memory");
                }
                found.push(realisation);
            }
            assert_eq!(written, bytes, "{name} of {version}");
            if let Some(json) = expected_json(version, name) {
                let expected: Vec<_> = json
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|value| Realisation::from_json(&value.to_string()).expect("a realisation"))
                    .collect();
                assert_eq!(found, expected, "{name} of {version}");
            }
        }
    }
}

#[test]
fn outputs_by_the_path_of_their_derivation() {
    let store_dir = StoreDir::default();
    let derivation = path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv");
    let key = |name: &str| BuildTraceKey::new(derivation.clone(), name).expect("a name");
    check(
        "outputs_by_the_path_of_their_derivation",
        "drv-output-realisation-with-path-not-hash",
        &[key("baz"), key("quux")],
        |from| read_build_trace_key(from, &store_dir),
        |to, value| write_build_trace_key(to, &store_dir, value).expect("into memory"),
    );
    let name = "realisation-realisation-with-path-not-hash";
    for (_, version) in vectors("outputs_by_the_path_of_their_derivation", name) {
        let json = expected_json(version, name).expect("there is one");
        let entry = BuildTraceEntry::from_json(&json.to_string()).expect("an entry");
        assert_eq!(entry.signatures.len(), 2);
        check(
            "outputs_by_the_path_of_their_derivation",
            name,
            std::slice::from_ref(&entry),
            |from| read_build_trace_entry(from, &store_dir),
            |to, value| write_build_trace_entry(to, &store_dir, value).expect("into memory"),
        );
        let unkeyed = |entry: &BuildTraceEntry| UnkeyedRealisation {
            out_path: entry.out_path.clone(),
            signatures: entry.signatures.clone(),
        };
        check(
            "outputs_by_the_path_of_their_derivation",
            "unkeyed-realisation-realisation-with-path-not-hash",
            &[unkeyed(&entry)],
            |from| read_unkeyed_realisation(from, &store_dir),
            |to, value| write_unkeyed_realisation(to, &store_dir, value).expect("into memory"),
        );
    }
}
