//! Where the tests of this crate find their data.

#![allow(dead_code, reason = "each test binary uses a part of this")]

pub(crate) mod made_up;

use std::path::{Path, PathBuf};

/// The folder with test data: `NARS3_TEST_DATA`, or `shared/data` beside the repository.
///
/// Without it the test `name` is skipped, loudly, unless `NARS3_REQUIRE` demands `data`.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NARS3_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!is_required("data"), "no test data at {}", folder.display());
    eprintln!("SKIPPED (no test data): {name}");
    None
}

/// Whether there is a Nix to compare with.
///
/// Without it the test `name` is skipped, loudly, unless `NARS3_REQUIRE` demands `nix`.
pub(crate) fn has_nix(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join("nix-store").is_file()) {
        return true;
    }
    assert!(!is_required("nix"), "no nix-store in PATH");
    eprintln!("SKIPPED (no nix): {name}");
    false
}

fn is_required(what: &str) -> bool {
    std::env::var("NARS3_REQUIRE").unwrap_or_default().split(',').any(|required| required == what)
}

/// The corpus: real narinfos of cache.nixos.org, each with its final line break.
pub(crate) fn corpus(name: &str) -> Option<Vec<String>> {
    let path = data(name)?.join("narinfo-corpus.zst");
    let compressed = std::fs::read(&path).unwrap();
    let text = String::from_utf8(zstd::decode_all(compressed.as_slice()).unwrap()).unwrap();
    Some(text.trim_end_matches('\n').split("\n\n").map(|narinfo| format!("{narinfo}\n")).collect())
}
