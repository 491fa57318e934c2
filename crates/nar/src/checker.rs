//! Whether bytes are a NAR, and where it ends, without keeping any of it.

use std::io;

use crate::error::FormatError;
use crate::limits::Limits;
use crate::parser::Parser;

/// Checks a NAR that is pushed to it in chunks of any size.
///
/// It never blocks, and keeps no more than the names on the way to the current node, so it fits into any pipeline, async
/// ones too. Through `Write`, bytes
/// after the end of the NAR are an error; through [`NarChecker::push`] they are left to the caller, which is how one
/// finds the end of a NAR in a stream that goes on.
///
/// ```
/// # fn main() -> Result<(), nars3_nar::FormatError> {
/// # let stream = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0\x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0type\0\0\0\0\x09\0\0\0\0\0\0\0directory\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0more";
/// let mut checker = nars3_nar::NarChecker::default();
/// let taken = checker.push(stream)?;
/// assert!(checker.is_finished());
/// assert_eq!(&stream[taken..], b"more");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NarChecker {
    parser: Parser,
}

impl NarChecker {
    /// A checker with these limits; `default()` takes Nix's.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { parser: Parser::new(limits) }
    }

    /// Checks the next bytes and returns how many of them belong to the NAR: all, until it is complete.
    ///
    /// # Errors
    ///
    /// When the bytes break the format. The error is repeated by every later call.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, FormatError> {
        let mut input = bytes;
        while self.parser.advance(&mut input)?.is_some() {}
        Ok(bytes.len() - input.len())
    }

    /// Whether the NAR is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.parser.is_finished()
    }

    /// How many bytes the NAR had so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.parser.offset()
    }

    /// How many more bytes the NAR has at the least, 0 when it is complete: reading no more than so many never reads
    /// past its end.
    #[must_use]
    pub fn at_least(&self) -> u64 {
        self.parser.at_least()
    }

    /// Says that nothing more will come, and returns the size of the NAR in bytes.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete.
    pub fn finish(mut self) -> Result<u64, FormatError> {
        self.parser.finish()?;
        Ok(self.parser.offset())
    }
}

impl Default for NarChecker {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl io::Write for NarChecker {
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
