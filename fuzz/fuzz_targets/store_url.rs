//! A store URL from a stranger: what was understood prints to a URL that is understood the same, secrets aside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_store_url::StoreUrl;

fuzz_target!(|text: &str| {
    let Ok(parsed) = StoreUrl::parse(text) else { return };
    let printed = parsed.url.to_string();
    let again = StoreUrl::parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    assert_eq!(again.url, parsed.url.without_secrets(), "{printed:?}");
});
