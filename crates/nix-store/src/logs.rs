//! The build logs beside the store, in files (2.8 and 2.29 `local-fs-store.cc`, `local-store.cc`). No request of the worker
//! protocol reads them: a client of a daemon on the same machine reads the files, as Nix does.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use bzip2::Compression;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use crate::error::file_error;

/// Where Nix keeps its logs, if nothing else is said.
pub(crate) const DEFAULT_LOG_DIR: &str = "/nix/var/log/nix";

/// Bytes that a log may have, decoded.
const LIMIT: u64 = 256 << 20;

/// The log of a build, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildLog {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Whether they are compressed with bzip2, as Nix does unless `compress-build-log` is false.
    pub is_bzip2: bool,
}

impl BuildLog {
    /// The log as it was written. Blocks.
    ///
    /// # Errors
    /// When the bytes are damaged, or when there are more than 256 MiB.
    pub fn decode(self) -> io::Result<Bytes> {
        if !self.is_bzip2 {
            return Ok(self.bytes.into());
        }
        let mut log = Vec::new();
        BzDecoder::new(self.bytes.as_slice()).take(LIMIT + 1).read_to_end(&mut log)?;
        if log.len() as u64 > LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {LIMIT} bytes"),
            ));
        }
        Ok(log.into())
    }
}

/// Keeps the log of the build of `derivation`, compressed with bzip2 as Nix does; one that is there already stays, as with
/// Nix. It appears in one step. Blocks.
pub(crate) fn add_build_log(log_dir: &Path, derivation: &StorePath, log: &[u8]) -> Result<(), StoreError> {
    let path = log_path(log_dir, derivation, ".bz2");
    if path.exists() || log_path(log_dir, derivation, "").exists() {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(log_dir);
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut builder = tempfile::Builder::new();
        let mut file = builder
            .prefix(".nars3-log-")
            .permissions(PermissionsExt::from_mode(0o644))
            .tempfile_in(directory)?;
        let mut encoder = BzEncoder::new(file.as_file_mut(), Compression::best());
        encoder.write_all(log)?;
        encoder.finish()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| file_error("write the build log", &path, error))
}

/// The log of the build of `derivation`; `None` where there is none. Blocks.
pub(crate) fn build_log(log_dir: &Path, derivation: &StorePath) -> Result<Option<BuildLog>, StoreError> {
    for (path, is_bzip2) in
        [(log_path(log_dir, derivation, ""), false), (log_path(log_dir, derivation, ".bz2"), true)]
    {
        match fs::read(&path) {
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
        fs::create_dir_all(&parent).expect("mkdir");
        for (suffix, is_bzip2) in [(".bz2", true), ("", false)] {
            let name = format!("w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv{suffix}");
            fs::write(parent.join(name), "a log").expect("write");
            let found = build_log(directory.path(), &derivation).expect("read").expect("there");
            assert_eq!(found, BuildLog { bytes: b"a log".to_vec(), is_bzip2 });
        }
    }

    #[test]
    fn a_log_that_was_added_is_read_again_and_the_first_one_stays() {
        let directory = tempfile::tempdir().expect("tempdir");
        let derivation: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
        for log in ["the first", "the second"] {
            add_build_log(directory.path(), &derivation, log.as_bytes()).expect("written");
        }
        let found = build_log(directory.path(), &derivation).expect("read").expect("there");
        assert!(found.is_bzip2);
        assert_eq!(found.clone().decode().expect("decoded"), "the first");
        let cut = BuildLog { bytes: found.bytes.get(..20).expect("longer").to_vec(), is_bzip2: true };
        cut.decode().expect_err("damaged");
    }
}
