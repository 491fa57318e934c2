//! The hash that a content address claims, from a NAR.

mod modulo;

use std::io;

use nars3_store_path::{Algorithm, ContentAddressMethod, Hash, HashPart};

use crate::error::FormatError;
use crate::limits::Limits;
use crate::parser::{Parser, Token};
use modulo::ModuloHasher;

/// Why a NAR has no hash of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentHashError {
    /// It is not a NAR.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Only a regular file that is not executable can be addressed by its own bytes.
    #[error(
        "a content address by `{method}` needs a regular file that is not executable, the NAR holds {found}"
    )]
    NotAFlatFile {
        /// The method of the content address.
        method: &'static str,
        /// What the NAR holds.
        found: &'static str,
    },
    /// The object's own hash part occurs too often in it.
    #[error("no content hash: the object refers to itself more than {limit} times")]
    TooManySelfReferences {
        /// The most that are counted: [`ContentHasher::MAX_SELF_REFERENCES`].
        limit: usize,
    },
}

/// Computes the hash in a content address from a NAR that is pushed to it in chunks of any size.
///
/// By `Flat` and `Text`, that is the hash of the one file's contents; by `NixArchive`, of the NAR. In both cases
/// modulo self-references, as Nix's `HashModuloSink` has it: every occurrence of the object's own hash part is hashed
/// as 32 zero bytes, and after the end, for each of them in turn, `|` and its position in decimal, counted in bytes
/// from the start of what is hashed.
///
/// It never blocks. Its memory is constant but for 8 bytes per self-reference, of which it counts
/// [`ContentHasher::MAX_SELF_REFERENCES`] at the most. An object with more has no hash here, though it is read to its
/// end: only [`ContentHasher::finish`] says so.
#[derive(Debug)]
pub struct ContentHasher {
    parser: Parser,
    method: ContentAddressMethod,
    hasher: ModuloHasher,
    not_flat: Option<&'static str>,
}

impl ContentHasher {
    /// How often the object may refer to itself. Their positions are hashed after the end, so they must be kept, and
    /// a few kilobytes of compressed data can hold millions of them; this many take 8 MiB. What is built by Nix has
    /// some thousands.
    pub const MAX_SELF_REFERENCES: usize = 1 << 20;

    /// A hasher for content addresses of this method and algorithm, with Nix's limits on the NAR. `self_hash_part` is
    /// the hash part of the path that the object has in the store where it was dumped; without it no self-references
    /// are looked for.
    #[must_use]
    pub fn new(method: ContentAddressMethod, algorithm: Algorithm, self_hash_part: Option<HashPart>) -> Self {
        Self {
            parser: Parser::new(Limits::default()),
            method,
            hasher: ModuloHasher::new(algorithm, self_hash_part, Self::MAX_SELF_REFERENCES),
            not_flat: None,
        }
    }

    /// Takes the next bytes and returns how many of them belong to the NAR: all, until it is complete.
    ///
    /// # Errors
    ///
    /// When the bytes break the format. The error is repeated by every later call.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, FormatError> {
        let whole = matches!(self.method, ContentAddressMethod::NixArchive);
        let mut input = bytes;
        while let Some(token) = self.parser.advance(&mut input)? {
            if !whole {
                match token {
                    Token::Contents(contents) if self.not_flat.is_none() => self.hasher.update(contents),
                    Token::Directory => self.not_flat = Some("a directory"),
                    Token::Symlink(_) => self.not_flat = self.not_flat.or(Some("a symlink")),
                    Token::Regular { executable: true, .. } => {
                        self.not_flat = self.not_flat.or(Some("an executable file"));
                    }
                    _ => {}
                }
            }
        }
        let taken = bytes.len() - input.len();
        if whole {
            self.hasher.update(bytes.get(..taken).unwrap_or_default());
        }
        Ok(taken)
    }

    /// How many bytes the NAR had so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.parser.offset()
    }

    /// Says that nothing more will come, and returns the hash.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete, when the method needs a single file and the NAR holds something else, or when
    /// the object refers to itself too often.
    pub fn finish(mut self) -> Result<Hash, ContentHashError> {
        self.parser.finish()?;
        if let Some(found) = self.not_flat {
            let method = match self.method {
                ContentAddressMethod::Text => "text",
                _ => "fixed",
            };
            return Err(ContentHashError::NotAFlatFile { method, found });
        }
        let limit = Self::MAX_SELF_REFERENCES;
        self.hasher.finish().ok_or(ContentHashError::TooManySelfReferences { limit })
    }
}

impl io::Write for ContentHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.push(bytes)? < bytes.len() {
            return Err(self.parser.trailing_data().into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
