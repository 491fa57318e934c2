//! What the tests share: random trees, the real Nix, and the folder of test data.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

/// A file tree in memory.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    File { contents: Vec<u8>, mode: u32 },
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

impl Tree {
    /// Makes the tree real.
    pub(crate) fn create(&self, path: &Path) {
        match self {
            Self::File { contents, mode } => {
                fs::write(path, contents).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Self::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
            Self::Directory(entries) => {
                fs::create_dir(path).unwrap();
                for (name, node) in entries {
                    node.create(&path.join(OsStr::from_bytes(name)));
                }
            }
        }
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9._-]{1,12}".prop_map(String::into_bytes),
        // Any bytes that a name may have, UTF-8 or not, up to the longest name.
        proptest::collection::vec(any::<u8>(), 1..20),
        Just(vec![b'n'; 255]),
    ]
    .prop_map(|mut name| {
        for byte in &mut name {
            if matches!(byte, 0 | b'/') {
                *byte = b'~';
            }
        }
        if matches!(name.as_slice(), b"." | b"..") { b"...".to_vec() } else { name }
    })
}

/// Trees of all kinds of nodes: sizes around the multiples of 8 and of blocks, odd modes, odd names.
pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    let contents = prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..40),
        2 => (any::<u8>(), 4000..9000_usize).prop_map(|(byte, size)| vec![byte; size]),
        1 => (any::<u8>(), 250_000..600_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ];
    let mode = prop_oneof![Just(0o644), Just(0o755), Just(0o444), Just(0o555), Just(0o600), Just(0o700)];
    let file = (contents, mode).prop_map(|(contents, mode)| Tree::File { contents, mode });
    let target = proptest::collection::vec(1..=255_u8, 1..60).prop_map(Tree::Symlink);
    let leaf = prop_oneof![4 => file, 1 => target];
    leaf.prop_recursive(5, 60, 8, |inner| {
        proptest::collection::btree_map(name(), inner, 0..8).prop_map(Tree::Directory)
    })
}

/// Says that a test did not run, or fails if it must.
pub(crate) fn skip(what: &str, kind: &str, test: &str) {
    let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|item| item.trim() == kind), "{test} needs {what}");
    eprintln!("SKIPPED (no {what}): {test}");
}

/// The real Nix, if there is one.
pub(crate) fn nix(test: &str) -> Option<()> {
    let found =
        Command::new("nix-store").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(());
    }
    skip("nix", "nix", test);
    None
}

/// A folder of the test data, if there is one.
pub(crate) fn data(folder: &str, test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NARS3_TEST_DATA").map_or_else(
        || Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    skip("test data", "data", test);
    None
}

/// What the real Nix makes of a tree.
pub(crate) fn nix_dump(path: &Path) -> Vec<u8> {
    let output = Command::new("nix-store").arg("--dump").arg(path).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Whether the real Nix restores a NAR.
pub(crate) fn nix_restore(nar: &[u8], target: &Path) -> bool {
    use std::io::Write as _;
    let mut child = Command::new("nix-store")
        .arg("--restore")
        .arg(target)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A Nix that has seen enough does not read on.
    let _ = child.stdin.take().unwrap().write_all(nar);
    child.wait().unwrap().success()
}
