//! A narinfo from a stranger: the borrowed and the owned parser agree, and what was understood prints to something
//! that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::NarInfo;
use nars3_store_path::StoreDir;

fuzz_target!(|text: &str| {
    let store_dir = StoreDir::default();
    let Ok(parsed) = NarInfo::parse(&store_dir, "fuzz.narinfo", text) else { return };
    let printed = parsed.to_text(&store_dir);
    let again = NarInfo::parse(&store_dir, "fuzz.narinfo", &printed).expect("our own text is understood");
    assert_eq!(again.info, parsed.info);
    assert_eq!(again.to_text(&store_dir), printed, "printing settles at once");
});
