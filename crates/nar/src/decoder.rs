//! A NAR from a reader, as events.

use std::io::{self, BufRead, Read};

use crate::error::FormatError;
use crate::limits::Limits;
use crate::parser::{Parser, Token};

/// Bytes read at once: large against a system call, small against a processor's second-level cache.
const BUFFER: usize = 128 * 1024;

/// A step through a NAR.
///
/// A regular file and a symlink are one event each. A directory is [`Event::Directory`], then for each entry
/// [`Event::Entry`] and the events of its node, then [`Event::EndDirectory`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A directory begins.
    Directory,
    /// The innermost open directory has an entry of this name; its node is next. Names are bytes, at least one,
    /// without slash and NUL, never `.` or `..`, and sorted within a directory.
    Entry {
        /// The name.
        name: Vec<u8>,
    },
    /// The innermost open directory ends.
    EndDirectory,
    /// A regular file. Its contents can be read from [`Decoder::contents`] until the next call of
    /// [`Decoder::next`], which skips what was not read.
    Regular {
        /// Whether the file is executable.
        executable: bool,
        /// The length of the contents in bytes.
        size: u64,
        /// Where the contents start, in bytes from the start of the NAR.
        offset: u64,
    },
    /// A symlink.
    Symlink {
        /// Where it points: bytes, at least one, without NUL.
        target: Vec<u8>,
    },
}

/// Why a NAR could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is not a NAR.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It could not be read.
    #[error("reading a NAR at offset {offset}")]
    Read {
        /// How many bytes of the NAR had been understood.
        offset: u64,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Format(error) => error.into(),
            DecodeError::Read { ref source, .. } => Self::new(source.kind(), error),
        }
    }
}

/// Decodes the NAR that a reader holds. Contents stream and nothing recurses; memory is constant but for the names on
/// the way to the current node, which the limits bound.
#[derive(Debug)]
pub struct Decoder<R> {
    reader: R,
    parser: Parser,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    exact: bool,
}

impl<R: Read> Decoder<R> {
    /// A decoder with Nix's limits. It reads ahead, so after the NAR the reader may stand anywhere; see
    /// [`Decoder::exact`].
    pub fn new(reader: R) -> Self {
        Self::with_limits(reader, Limits::default())
    }

    /// A decoder with other limits.
    pub fn with_limits(reader: R, limits: Limits) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { reader, parser: Parser::new(limits), buffer, start: 0, end: 0, exact: false }
    }

    /// Makes the decoder read nothing beyond the end of the NAR, for streams that go on after it. It then reads in
    /// small portions between files, so the reader should be a buffered one.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// How many bytes of the NAR have been decoded; after the last event, its size.
    pub fn offset(&self) -> u64 {
        self.parser.offset()
    }

    /// The path of the node that the last event is about: names joined with `/`, empty for the root. After
    /// [`Event::Entry`] it is the entry's, after [`Event::EndDirectory`] that of the directory that ended.
    pub fn path(&self) -> Vec<u8> {
        self.parser.path()
    }

    /// Returns the next event, or nothing when the NAR is complete. Contents that were not read are skipped. Bytes
    /// after the NAR are no error here; [`Decoder::finish`] looks for them.
    ///
    /// # Errors
    ///
    /// When the reader fails or the bytes are no NAR; a violation of the format is repeated by every later call.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend the contents in between")]
    pub fn next(&mut self) -> Result<Option<Event>, DecodeError> {
        loop {
            let available = self.buffer.get(self.start..self.end).unwrap_or_default();
            let mut input = available;
            let token = self.parser.advance(&mut input)?;
            self.start = self.end - input.len();
            let event = match token {
                Some(Token::Directory) => Event::Directory,
                Some(Token::Entry(name)) => Event::Entry { name: name.to_vec() },
                Some(Token::EndDirectory) => Event::EndDirectory,
                Some(Token::Regular { executable, size, offset }) => {
                    Event::Regular { executable, size, offset }
                }
                Some(Token::Symlink(target)) => Event::Symlink { target: target.to_vec() },
                Some(Token::Contents(_) | Token::EndRegular) => continue,
                None => {
                    if self.parser.is_finished() {
                        return Ok(None);
                    }
                    self.fill()?;
                    continue;
                }
            };
            return Ok(Some(event));
        }
    }

    /// The unread contents of the file that the last event announced; empty after any other event.
    pub fn contents(&mut self) -> Contents<'_, R> {
        Contents { decoder: self }
    }

    /// Checks that the NAR is complete and that the reader holds nothing more, and returns the size of the NAR in
    /// bytes. In an [exact](Decoder::exact) decoder the reader is not asked for more.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete, when bytes follow it, or when the reader fails.
    pub fn finish(mut self) -> Result<u64, DecodeError> {
        while self.next()?.is_some() {}
        if !self.exact {
            let more = self.start < self.end || self.read_some()? > 0;
            if more {
                return Err(self.parser.trailing_data().into());
            }
        }
        Ok(self.parser.offset())
    }

    /// The reader, and the bytes that were read from it but not decoded.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        let unread = self.buffer.get(self.start..self.end).unwrap_or_default().to_vec();
        (self.reader, unread)
    }

    /// Reads more into the used-up buffer, or fails because there is no more.
    fn fill(&mut self) -> Result<(), DecodeError> {
        if self.read_some()? == 0 {
            self.parser.finish()?;
        }
        Ok(())
    }

    fn read_some(&mut self) -> Result<usize, DecodeError> {
        let wanted = if self.exact { self.parser.at_least() } else { u64::MAX };
        let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.buffer.len());
        let space = self.buffer.get_mut(..length).unwrap_or_default();
        let count = read_retrying(&mut self.reader, space)
            .map_err(|source| DecodeError::Read { offset: self.parser.offset(), source })?;
        self.start = 0;
        self.end = count;
        Ok(count)
    }
}

/// The contents of one file of a NAR, as a reader; from [`Decoder::contents`].
///
/// Errors of the NAR come as `io::Error`s that hold a [`FormatError`].
#[derive(Debug)]
pub struct Contents<'d, R> {
    decoder: &'d mut Decoder<R>,
}

impl<R: Read> Contents<'_, R> {
    /// How many bytes have not been read yet.
    pub fn left(&self) -> u64 {
        self.decoder.parser.contents_left()
    }

    /// `length` bytes of contents that lie at `self.start` were read by the caller.
    fn take(&mut self, length: usize) -> io::Result<()> {
        let decoder = &mut *self.decoder;
        let end = decoder.start + length;
        let mut input = decoder.buffer.get(decoder.start..end).unwrap_or_default();
        decoder.parser.advance(&mut input)?;
        decoder.start = end;
        Ok(())
    }
}

impl<R: Read> Read for Contents<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        if left == 0 || out.is_empty() {
            return Ok(0);
        }
        if self.decoder.start == self.decoder.end && out.len() >= BUFFER {
            // Large reads need no buffer of ours in between.
            let length = left.min(out.len());
            let space = out.get_mut(..length).unwrap_or_default();
            let count = read_retrying(&mut self.decoder.reader, space)?;
            if count == 0 {
                self.decoder.parser.finish()?;
            }
            self.decoder.parser.advance(&mut &space[..count])?;
            return Ok(count);
        }
        let available = self.fill_buf()?;
        let length = available.len().min(out.len());
        if let (Some(out), Some(available)) = (out.get_mut(..length), available.get(..length)) {
            out.copy_from_slice(available);
        }
        self.take(length)?;
        Ok(length)
    }
}

impl<R: Read> BufRead for Contents<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        if left > 0 && self.decoder.start == self.decoder.end {
            self.decoder.fill()?;
        }
        let available = self.decoder.buffer.get(self.decoder.start..self.decoder.end).unwrap_or_default();
        Ok(available.get(..left.min(available.len())).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        // What `fill_buf` lends is known to be contents, so this cannot fail.
        let amount = amount.min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        let taken = self.take(amount.min(self.decoder.end - self.decoder.start));
        debug_assert!(taken.is_ok());
    }
}

/// Reads once, again when a signal came in between.
pub(crate) fn read_retrying(reader: &mut (impl Read + ?Sized), space: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
