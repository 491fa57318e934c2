//! Which test reads which folder of Nix's test vectors, in all crates: none is left out without a reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::upstream;

/// A folder that holds files, and the tests that read it: a source file of the workspace, and a function in it.
type Row = (&'static str, &'static [(&'static str, &'static str)]);

const VECTORS: &str = "crates/store-path/tests/it/vectors.rs";
const WIRE_STRINGS: (&str, &str) =
    ("crates/store-path/tests/it/wire_strings.rs", "strings_of_the_protocols_print_back");
const DAEMON: &str = "crates/nix-store/src/worker_protocol/vectors.rs";
const STORE_REFERENCES: (&str, &str) =
    ("crates/store-url/tests/store_references.rs", "every_reference_is_printed_back_or_refused_for_a_reason");
const NARINFO: &str = "crates/narinfo/tests/upstream.rs";

/// The vectors of the protocols are told apart by name in the test of the crate that reads them.
const TABLE: [Row; 22] = [
    ("nix-2.29.1/common-protocol", &[WIRE_STRINGS, (DAEMON, "lists")]),
    ("nix-2.29.1/nar-info", &[(NARINFO, "nar_infos")]),
    ("nix-2.29.1/path-info", &[(NARINFO, "path_infos")]),
    ("nix-2.29.1/store-reference", &[STORE_REFERENCES]),
    ("nix-2.29.1/worker-protocol", &[WIRE_STRINGS, (DAEMON, "trust_and_handshake")]),
    (
        "nix-2.36-dev/common-protocol",
        &[WIRE_STRINGS, (DAEMON, "lists"), (VECTORS, "realisations"), (VECTORS, "derivation_outputs")],
    ),
    ("nix-2.36-dev/content-address", &[(VECTORS, "content_addresses")]),
    ("nix-2.36-dev/derived-path", &[(VECTORS, "derived_paths")]),
    ("nix-2.36-dev/hash", &[(VECTORS, "hashes")]),
    ("nix-2.36-dev/nar-info/json-1", &[(NARINFO, "nar_infos")]),
    ("nix-2.36-dev/nar-info/json-2", &[(NARINFO, "nar_infos")]),
    ("nix-2.36-dev/nar-info/json-3", &[(NARINFO, "nar_infos")]),
    ("nix-2.36-dev/nar-listing", &[(NARINFO, "listings")]),
    ("nix-2.36-dev/outputs-spec", &[(VECTORS, "output_names")]),
    ("nix-2.36-dev/outputs-spec/extended", &[(VECTORS, "output_names")]),
    ("nix-2.36-dev/path-info/json-1", &[(NARINFO, "path_infos")]),
    ("nix-2.36-dev/path-info/json-2", &[(NARINFO, "path_infos")]),
    ("nix-2.36-dev/path-info/json-3", &[(NARINFO, "path_infos")]),
    (
        "nix-2.36-dev/realisation",
        &[(VECTORS, "build_trace_entries"), (VECTORS, "fingerprints_and_signatures_of_build_trace_entries")],
    ),
    ("nix-2.36-dev/store-path", &[(VECTORS, "store_paths")]),
    ("nix-2.36-dev/store-reference", &[STORE_REFERENCES]),
    (
        "nix-2.36-dev/worker-protocol",
        &[WIRE_STRINGS, (DAEMON, "trust_and_handshake"), (VECTORS, "realisations")],
    ),
];

/// The folders below `folder` that hold files, by their paths from `root`.
fn folders_with_files(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders_with_files(root, &path, found);
        } else {
            found.insert(folder.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_folder_is_read() {
    let Some(root) = upstream("", "every folder is read") else { return };
    let mut found = BTreeSet::new();
    folders_with_files(&root, &root, &mut found);
    let listed: BTreeSet<String> = TABLE.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    assert_eq!(found, listed);

    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (folder, readers) in TABLE {
        assert!(!readers.is_empty(), "{folder}");
        for (source, test) in readers {
            let text = fs::read_to_string(workspace.join(source)).unwrap();
            assert!(text.contains(&format!("#[test]\nfn {test}()")), "{source} has no test {test}");
            for part in folder.split('/') {
                assert!(text.contains(part), "{source} does not name {part} of {folder}");
            }
        }
    }
}
