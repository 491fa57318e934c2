//! A store URL from a stranger: what was understood prints to a URL that is understood the same, secrets aside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_store_url::{S3ObjectUrl, StoreKind, StoreUrl};

fuzz_target!(|text: &str| {
    match StoreUrl::parse(text) {
        Ok(parsed) => store(parsed.url, parsed.warnings.iter().map(ToString::to_string).collect()),
        Err(error) => drop(error.to_string()),
    }
    match S3ObjectUrl::parse(text) {
        Ok(parsed) => object(&parsed.url),
        Err(error) => drop(error.to_string()),
    }
});

fn store(url: StoreUrl, warnings: Vec<String>) {
    let printed = url.to_string();
    let again = StoreUrl::parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    if let StoreKind::S3(s3) = &url.kind {
        drop(s3.bucket_address().map_err(|error| error.to_string()));
    }
    assert_eq!(again.url, url.without_secrets(), "{printed:?} {warnings:?}");
    assert_eq!(again.url.to_string(), printed, "printing settles at once");
}

fn object(url: &S3ObjectUrl) {
    let printed = url.to_string();
    let again = S3ObjectUrl::parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    assert_eq!(&again.url, url, "{printed:?}");
    drop(url.to_https_url().map(|url| url.to_string()).map_err(|error| error.to_string()));
}
