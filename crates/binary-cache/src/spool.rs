//! Where a compressed file waits until its name is known: in memory, and from a certain size on in a temporary file
//! that has no name and vanishes with the process.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use nars3_store_path::{Algorithm, Hash, Hasher};

use crate::objects::Source;

/// A writer that keeps what it is given, and hashes it.
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    size: u64,
    /// `None` where the hash of the file is known from elsewhere.
    hasher: Option<Hasher>,
    /// Bytes that stay in memory.
    threshold: u64,
    directory: Option<PathBuf>,
    /// Bytes that the file may have.
    most: u64,
}

/// A file needs more space than all temporary files may take.
#[derive(Debug, thiserror::Error)]
#[error("the temporary file would exceed the {most} bytes that temporary files may take (--spool)")]
pub(crate) struct SpoolFull {
    most: u64,
}

/// What a spool held.
pub(crate) struct Spooled {
    pub(crate) source: Source,
    /// SHA-256 of it, unless it was not asked for.
    pub(crate) hash: Option<Hash>,
}

impl Spool {
    pub(crate) fn new(threshold: u64, directory: Option<PathBuf>) -> Self {
        Self {
            memory: Vec::new(),
            file: None,
            size: 0,
            hasher: Some(Hasher::new(Algorithm::Sha256)),
            threshold,
            directory,
            most: u64::MAX,
        }
    }

    /// The same with a bound on the file, in bytes.
    pub(crate) fn at_most(mut self, most: Option<u64>) -> Self {
        self.most = most.unwrap_or(u64::MAX);
        self
    }

    /// The same without a hash.
    pub(crate) fn unhashed(mut self) -> Self {
        self.hasher = None;
        self
    }

    pub(crate) fn finish(self) -> Spooled {
        let source = match self.file {
            Some(file) => Source::File { file: Arc::new(file), size: self.size },
            None => Source::Memory(self.memory.into()),
        };
        Spooled { source, hash: self.hasher.map(Hasher::finish) }
    }

    fn move_to_file(&mut self) -> io::Result<&mut File> {
        let file = match &self.directory {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        let file = self.file.insert(file);
        file.write_all(&self.memory)?;
        self.memory = Vec::new();
        Ok(file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        if self.size > self.threshold && self.size > self.most {
            return Err(io::Error::other(SpoolFull { most: self.most }));
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        } else if self.size > self.threshold {
            self.move_to_file()?.write_all(bytes)?;
        } else {
            self.memory.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(pieces: &[&[u8]]) -> Spooled {
        let mut spool = Spool::new(8, None);
        for piece in pieces {
            spool.write_all(piece).unwrap();
        }
        spool.finish()
    }

    #[test]
    fn up_to_the_threshold_it_stays_in_memory() {
        let spooled = spooled(&[b"1234", b"5678"]);
        assert!(matches!(&spooled.source, Source::Memory(bytes) if bytes == "12345678"));
        assert_eq!(spooled.hash, Some(Hash::digest(Algorithm::Sha256, b"12345678")));
    }

    #[test]
    fn a_file_beyond_the_space_for_files_is_an_error() {
        let mut spool = Spool::new(8, None).at_most(Some(10));
        spool.write_all(b"1234567890").unwrap();
        let error = spool.write_all(b"1").unwrap_err();
        assert!(error.to_string().contains("10 bytes"), "{error}");
        // What stays in memory needs no space.
        let mut spool = Spool::new(8, None).at_most(Some(4));
        spool.write_all(b"12345678").unwrap();
    }

    #[test]
    fn beyond_it_moves_to_a_file() {
        use std::os::unix::fs::FileExt;
        let spooled = spooled(&[b"1234", b"56789", b"0"]);
        assert_eq!(spooled.hash, Some(Hash::digest(Algorithm::Sha256, b"1234567890")));
        let Source::File { file, size } = spooled.source else { panic!("it is in memory") };
        let mut content = [0; 10];
        file.read_exact_at(&mut content, 0).unwrap();
        assert_eq!((size, &content), (10, b"1234567890"));
    }
}
