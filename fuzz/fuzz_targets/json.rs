//! Path infos and debug info links as JSON, from a stranger: what was understood prints, in each format, to something
//! that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::json::{DebugInfoLink, PathInfoDocument, PathInfoFormat};
use nars3_store_path::StoreDir;

fuzz_target!(|text: &str| {
    let store_dir = StoreDir::default();
    match PathInfoDocument::from_json(&store_dir, text) {
        Ok(document) => {
            for format in [PathInfoFormat::Nix229, PathInfoFormat::V1, PathInfoFormat::V2, PathInfoFormat::V3]
            {
                let printed = document.to_json(format);
                let again = PathInfoDocument::from_json(&store_dir, &printed)
                    .unwrap_or_else(|error| panic!("our own JSON is not understood: {error}: {printed}"));
                assert_eq!(again.to_json(format), printed, "printing settles at once");
                assert!(again.entries.keys().eq(document.entries.keys()));
            }
        }
        Err(error) => drop(error.to_string()),
    }
    match DebugInfoLink::from_json(text) {
        Ok(link) => assert_eq!(DebugInfoLink::from_json(&link.to_json()).expect("our own JSON"), link),
        Err(error) => drop(error.to_string()),
    }
});
