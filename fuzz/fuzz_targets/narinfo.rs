//! A narinfo from a stranger: the borrowed and the owned parser agree, the flags say truly what printing keeps, and
//! what was understood prints to something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::{Flags, NarInfo, NarInfoRef};
use nars3_store_path::StoreDir;

const KEY: &str = "fuzz.narinfo";

fuzz_target!(|text: &str| {
    let store_dir = StoreDir::default();
    let borrowed = NarInfoRef::parse(KEY, text);
    let parsed = match NarInfo::parse(&store_dir, KEY, text) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(NarInfo::lint(&store_dir, KEY, text).is_err(), "lint reads what cannot be read: {error}");
            return;
        }
    };
    let borrowed = borrowed.expect("it checks less than the owned parser");
    let (linted, _findings) = NarInfo::lint(&store_dir, KEY, text).expect("it can be read");
    assert_eq!(linted, parsed);
    assert_eq!(NarInfo::parse_strict(&store_dir, KEY, text).is_ok(), parsed.flags.is_empty());
    assert_eq!(parsed.flags - Flags::STORE_PATH_FORM, borrowed.flags);

    let printed = parsed.to_text(&store_dir);
    if !parsed.flags.contains(Flags::STORE_PATH_FORM) {
        assert_eq!(borrowed.to_text(), printed);
    }
    assert_eq!(printed == text, parsed.flags.prints_back(), "{:?}", parsed.flags);
    let again = NarInfo::parse(&store_dir, KEY, &printed).expect("our own text is understood");
    assert!(again.flags.prints_back(), "{:?}", again.flags);
    assert_eq!(NarInfo { flags: parsed.flags, ..again }, parsed);
});
