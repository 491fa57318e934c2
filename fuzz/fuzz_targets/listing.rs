//! A listing from a stranger: no depth overflows the stack, and what was understood prints back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::Listing;

fuzz_target!(|text: &str| {
    let listing = match Listing::from_json(text) {
        Ok(listing) => listing,
        Err(error) => return drop(error.to_string()),
    };
    for printed in [listing.to_json(), listing.to_json_head()] {
        let again = Listing::from_json(&printed).expect("our own JSON is understood");
        assert_eq!(again, listing);
    }
    let mut walk = listing.root.walk();
    while let Some((path, node)) = walk.next_node() {
        let found = listing.root.lookup(path).unwrap_or_else(|| panic!("{path:?} is not found"));
        assert!(std::ptr::eq(found, node), "{path:?} is something else");
    }
});
