//! Hashing of data that comes in pieces.

use std::fmt;
use std::io;

use sha2::Digest;

use super::{Algorithm, Hash};

/// Computes the hash of data given in any number of pieces, by [`Hasher::update`] or as an [`io::Write`] that
/// never fails.
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

/// BLAKE3's state is nearly 2 KiB, so it lives in a box.
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Md5 => State::Md5(Digest::new()),
            Algorithm::Sha1 => State::Sha1(Digest::new()),
            Algorithm::Sha256 => State::Sha256(Digest::new()),
            Algorithm::Sha512 => State::Sha512(Digest::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        };
        Hasher { algorithm, state }
    }

    /// Feeds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha512(state) => state.update(data),
            State::Blake3(state) => {
                state.update(data);
            }
        }
    }

    /// The hash of all pieces.
    pub fn finish(self) -> Hash {
        match self.state {
            State::Md5(state) => Hash::filled(self.algorithm, &state.finalize()),
            State::Sha1(state) => Hash::filled(self.algorithm, &state.finalize()),
            State::Sha256(state) => Hash::filled(self.algorithm, &state.finalize()),
            State::Sha512(state) => Hash::filled(self.algorithm, &state.finalize()),
            State::Blake3(state) => Hash::filled(self.algorithm, state.finalize().as_bytes()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
