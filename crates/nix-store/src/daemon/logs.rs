//! The build logs beside the store. No request of the protocol reads them: a client of a daemon on the same machine
//! reads the files, as Nix does (2.8 and 2.29 `local-fs-store.cc`).

use std::io;
use std::path::{Path, PathBuf};

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use crate::error::file_error;

/// Where Nix keeps its logs, if nothing else is said.
pub(crate) const DEFAULT_LOG_DIR: &str = "/nix/var/log/nix";

/// The log of a build, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildLog {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Whether they are compressed with bzip2, as Nix does unless `compress-build-log` is false.
    pub is_bzip2: bool,
}

/// The log of the build of `derivation`; `None` where there is none. Blocks.
pub(crate) fn build_log(log_dir: &Path, derivation: &StorePath) -> Result<Option<BuildLog>, StoreError> {
    for (path, is_bzip2) in
        [(log_path(log_dir, derivation, ""), false), (log_path(log_dir, derivation, ".bz2"), true)]
    {
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(Some(BuildLog { bytes, is_bzip2 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file_error("read the build log", &path, error)),
        }
    }
    Ok(None)
}

fn log_path(log_dir: &Path, derivation: &StorePath, suffix: &str) -> PathBuf {
    // A store path is ASCII, and has 32 characters before its name.
    let (first, rest) = derivation.base_name().split_at(2);
    log_dir.join("drvs").join(first).join(format!("{rest}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_found_in_either_form() {
        let directory = tempfile::tempdir().expect("tempdir");
        let derivation: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
        assert_eq!(build_log(directory.path(), &derivation).expect("read"), None);
        let parent = directory.path().join("drvs/g1");
        std::fs::create_dir_all(&parent).expect("mkdir");
        for (suffix, is_bzip2) in [(".bz2", true), ("", false)] {
            let name = format!("w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv{suffix}");
            std::fs::write(parent.join(name), "a log").expect("write");
            let found = build_log(directory.path(), &derivation).expect("read").expect("there");
            assert_eq!(found, BuildLog { bytes: b"a log".to_vec(), is_bzip2 });
        }
    }
}
