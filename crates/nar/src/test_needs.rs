//! What tests may lack.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

/// Whether this runs as root. Where it does not, says loudly that `test` does nothing, or fails if `NARS3_REQUIRE` lists `root`.
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|item| item.trim() == "root"), "{test} needs root");
        eprintln!("SKIPPED (no root): {test}");
    }
    root
}
