//! The build logs beside the store, in files (2.8 and 2.29 `local-fs-store.cc`, `local-store.cc`). No request of the worker
//! protocol reads them: a client of a daemon on the same machine reads the files, as Nix does.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;

use nars3_store_api::{NarReader, NarStream, StoreError};
use nars3_store_path::StorePath;

use crate::error::file_error;

/// Where Nix keeps its logs, if nothing else is said.
pub(crate) const DEFAULT_LOG_DIR: &str = "/nix/var/log/nix";

/// The log of a build, as it is kept.
#[derive(Debug)]
#[non_exhaustive]
pub struct BuildLog {
    /// The file.
    pub file: File,
    /// Whether it is compressed with bzip2, as Nix does unless `compress-build-log` is false.
    pub is_bzip2: bool,
}

impl BuildLog {
    /// The log as it was written, for a thread that may block. Damage is an error of the reader.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        if self.is_bzip2 { Box::new(BzDecoder::new(self.file)) } else { Box::new(self.file) }
    }
}

/// Keeps the log of the build of `derivation`, compressed with bzip2 as Nix does; one that is there already stays, as with
/// Nix. It appears in one step. Blocks.
pub(crate) fn add_build_log(
    log_dir: &Path,
    derivation: &StorePath,
    log: NarStream,
) -> Result<(), StoreError> {
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
        io::copy(&mut Bounded::new(log), &mut encoder)?;
        encoder.finish()?;
        file.persist(&path)?;
        Ok(())
    };
    // What went wrong where the log comes from is told as it is.
    write().map_err(|error| match StoreError::from_carrier(error) {
        Ok(theirs) => theirs,
        Err(error) => file_error("write the build log", &path, error),
    })
}

/// A log in a temporary file: whole, before any of it is given to somebody who would keep what came of one that breaks off.
/// Blocks.
pub(crate) fn spooled(log: NarStream) -> Result<File, StoreError> {
    let spool = || -> io::Result<File> {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut Bounded::new(log), &mut file)?;
        file.rewind()?;
        Ok(file)
    };
    spool().map_err(spool_error)
}

/// The largest log that is taken in, in bytes. A stranger's compressed log may unpack to more than any disk has.
const LARGEST_LOG: u64 = 4 << 30;

/// A log that ends in an error where it is too large.
struct Bounded<R>(io::Take<R>);

impl Bounded<NarReader> {
    fn new(log: NarStream) -> Self {
        Self(log.into_reader().take(LARGEST_LOG))
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count == 0 && self.0.limit() == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has {LARGEST_LOG} bytes or more, which no build log should have"),
            ));
        }
        Ok(count)
    }
}

/// What went wrong where the log comes from is told as it is.
pub(crate) fn spool_error(error: io::Error) -> StoreError {
    match StoreError::from_carrier(error) {
        Ok(theirs) => theirs,
        Err(error) => file_error("keep a build log in", Path::new("a temporary file"), error),
    }
}

/// The log of the build of `derivation`; `None` where there is none. Blocks.
pub(crate) fn build_log(log_dir: &Path, derivation: &StorePath) -> Result<Option<BuildLog>, StoreError> {
    for (path, is_bzip2) in
        [(log_path(log_dir, derivation, ""), false), (log_path(log_dir, derivation, ".bz2"), true)]
    {
        match File::open(&path) {
            Ok(file) => return Ok(Some(BuildLog { file, is_bzip2 })),
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
    use std::io::Write;

    use super::*;

    fn text_of(log: Option<BuildLog>) -> io::Result<String> {
        io::read_to_string(log.expect("there").into_reader())
    }

    fn stream(text: &'static str) -> NarStream {
        NarStream::from_blocking(move |writer| {
            writer.write_all(text.as_bytes()).map_err(|_| StoreError::NarInterrupted)
        })
    }

    #[test]
    fn a_log_is_found_in_either_form() {
        let directory = tempfile::tempdir().expect("tempdir");
        let derivation: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
        assert!(build_log(directory.path(), &derivation).expect("read").is_none());
        let parent = directory.path().join("drvs/g1");
        fs::create_dir_all(&parent).expect("mkdir");
        for (suffix, is_bzip2) in [(".bz2", true), ("", false)] {
            let name = format!("w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv{suffix}");
            fs::write(parent.join(name), "a log").expect("write");
            let found = build_log(directory.path(), &derivation).expect("read").expect("there");
            assert_eq!(found.is_bzip2, is_bzip2);
        }
        assert_eq!(text_of(build_log(directory.path(), &derivation).expect("read")).expect("text"), "a log");
    }

    #[tokio::test]
    async fn a_log_that_was_added_is_read_again_and_the_first_one_stays() {
        let directory = tempfile::tempdir().expect("tempdir");
        let derivation: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
        for log in ["the first", "the second"] {
            let (directory, derivation) = (directory.path().to_owned(), derivation.clone());
            let add = move || add_build_log(&directory, &derivation, stream(log));
            tokio::task::spawn_blocking(add).await.expect("no panic").expect("written");
        }
        let found = build_log(directory.path(), &derivation).expect("read");
        assert!(found.as_ref().is_some_and(|log| log.is_bzip2));
        assert_eq!(text_of(found).expect("decoded"), "the first");
        let path = log_path(directory.path(), &derivation, ".bz2");
        File::options().write(true).open(&path).and_then(|file| file.set_len(20)).expect("cut");
        text_of(build_log(directory.path(), &derivation).expect("read")).expect_err("damaged");
    }

    #[test]
    fn a_log_without_end_is_an_error() {
        let mut endless = Bounded(io::repeat(b'x').take(1000));
        let error = io::copy(&mut endless, &mut io::sink()).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let mut fits = Bounded(io::repeat(b'x').take(10).take(1000));
        assert_eq!(io::copy(&mut fits, &mut io::sink()).expect("all of it"), 10);
    }

    #[tokio::test]
    async fn a_log_that_does_not_come_whole_is_not_kept() {
        let directory = tempfile::tempdir().expect("tempdir");
        let derivation: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
        let (mut sender, log) = NarStream::channel();
        sender.send("begun".into()).await.expect("taken");
        drop(sender);
        let (logs, name) = (directory.path().to_owned(), derivation.clone());
        let added = tokio::task::spawn_blocking(move || add_build_log(&logs, &name, log)).await;
        assert!(matches!(added.expect("no panic"), Err(StoreError::NarInterrupted)));
        assert!(build_log(directory.path(), &derivation).expect("read").is_none());
    }
}
