//! The rule for what a machine may lack: a test that cannot run says so and returns, unless `NARS3_REQUIRE` names what is missing.

use std::fmt;

/// Something outside the project that a test needs.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Need {
    /// A MinIO binary.
    Minio,
    /// A SeaweedFS binary.
    SeaweedFs,
    /// `nix` and `nix-store`, and a store that this user can build in.
    Nix,
    /// To be root, for what only root may do, and to become somebody who is not.
    Root,
}

impl Need {
    /// The word that names this need in `NARS3_REQUIRE`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Minio => "minio",
            Self::SeaweedFs => "seaweedfs",
            Self::Nix => "nix",
            Self::Root => "root",
        }
    }

    /// Whether `NARS3_REQUIRE` (a comma list) says that missing this is a failure.
    #[must_use]
    pub fn is_required(self) -> bool {
        std::env::var("NARS3_REQUIRE")
            .is_ok_and(|list| list.split(',').any(|word| word.trim() == self.word()))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Says that the running test is skipped for want of `need`. The line has a fixed form, which `cargo xtask test` counts.
///
/// # Panics
/// Where `NARS3_REQUIRE` contains the need.
#[expect(clippy::print_stderr, reason = "this is how a test says that it was skipped")]
pub fn skip(need: Need, why: &str) {
    let test = std::thread::current().name().unwrap_or("unnamed test").to_owned();
    assert!(!need.is_required(), "{test} needs {need}, NARS3_REQUIRE demands it, and it is missing: {why}");
    eprintln!("SKIPPED (no {need}): {test}: {why}");
}

/// Whether the running test is root's. If not, it is skipped, loudly.
///
/// # Panics
/// Where `NARS3_REQUIRE` contains `root`.
#[must_use]
pub fn is_root(what_for: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(Need::Root, what_for);
    }
    root
}
