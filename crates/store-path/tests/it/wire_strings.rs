//! Nix's test vectors of its wire protocols, as far as they are strings in these formats: read, and printed back
//! byte for byte. The framing around the strings is tested where the protocol is implemented.

use std::fs;
use std::path::Path;

use nars3_store_path::{ContentAddress, DrvOutput, Realisation, StoreDir};

use crate::support::upstream;

/// The strings in a file: each is a length as eight bytes, least first, and its bytes padded to a multiple of
/// eight. Lengths of zero and numbers that are no length of what follows are passed over.
fn strings(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.as_slice();
    let mut strings = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
        // The flags and counts in these files are 0 and 1; no string is that short.
        if length <= 1 {
            rest = tail;
            continue;
        }
        strings.push(String::from_utf8(tail[..length].to_vec()).unwrap());
        rest = &tail[length.next_multiple_of(8)..];
    }
    strings
}

#[test]
fn strings_of_the_protocols_print_back() {
    let store_dir = StoreDir::default();
    let mut seen = 0;
    for version in ["nix-2.29.1", "nix-2.36-dev"] {
        let Some(folder) = upstream(version, "strings of the protocols") else { return };
        for protocol in ["common-protocol", "worker-protocol"] {
            let mut each = |name: &str, print: &dyn Fn(&str) -> String| {
                for text in strings(&folder.join(protocol).join(format!("{name}.bin"))) {
                    assert_eq!(print(&text), text, "{version}/{protocol}/{name}");
                    seen += 1;
                }
            };
            let content_address = |text: &str| text.parse::<ContentAddress>().unwrap().to_string();
            let store_path = |text: &str| store_dir.print(&store_dir.parse(text).unwrap());
            each("content-address", &content_address);
            each("optional-content-address", &content_address);
            each("store-path", &store_path);
            each("optional-store-path", &store_path);
            each("drv-output", &|text| text.parse::<DrvOutput>().unwrap().to_string());
            each("realisation", &|text| {
                let realisation = Realisation::from_json(text).unwrap();
                if text.contains("keyName") {
                    realisation.to_json_structured().unwrap()
                } else {
                    realisation.to_json()
                }
            });
            if version == "nix-2.36-dev" {
                each("realisation-with-deps", &|text| Realisation::from_json(text).unwrap().to_json());
            }
        }
    }
    assert_eq!(seen, 4 * (3 + 1 + 2 + 1 + 2 + 2) + 2);
}
