//! A nix-cache-info from a stranger.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::CacheInfo;

fuzz_target!(|text: &str| {
    let printed = CacheInfo::parse(text).to_text();
    assert_eq!(CacheInfo::parse(&printed).to_text(), printed, "printing settles at once");
});
