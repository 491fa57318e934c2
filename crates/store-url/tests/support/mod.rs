//! The folder of test data that is not part of the repository.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

/// The folder `name` in the test data; `None` after a note if it is not there.
///
/// # Panics
/// If it is not there although `NARS3_REQUIRE` lists `data`.
pub(crate) fn test_data(name: &str, test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NARS3_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|item| item.trim() == "data"), "no test data in {}", folder.display());
    eprintln!("SKIPPED (no test data): {test}");
    None
}
