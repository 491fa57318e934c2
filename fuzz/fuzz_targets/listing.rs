//! A listing from a stranger: no depth overflows the stack, and what was understood prints back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::Listing;

fuzz_target!(|text: &str| {
    let Ok(listing) = Listing::from_json(text) else { return };
    for printed in [listing.to_json(), listing.to_json_head()] {
        let again = Listing::from_json(&printed).expect("our own JSON is understood");
        assert_eq!(again.to_json(), listing.to_json());
    }
    for (path, _node) in listing.root.walk() {
        assert!(listing.root.lookup(&path).is_some(), "{path:?}");
    }
});
