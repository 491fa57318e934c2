//! A NAR from any source, event by event.

use std::io::{self, Read, Write};

use crate::block::{Framer, WriteBlocks};
use crate::decoder::{Event, read_retrying};
use crate::error::FormatErrorKind;
use crate::limits::Limits;
use crate::parser::{check_name, check_order};
use crate::wire;

/// Why a NAR could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event would break the format: a bad or unsorted name, a bad target, too much depth.
    #[error("cannot encode a NAR: {0}")]
    Format(FormatErrorKind),
    /// The event does not fit here.
    #[error("cannot encode a NAR: {found} where {expected} is due")]
    OutOfPlace {
        /// The event that was given.
        found: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
    /// A file's contents are longer or shorter than announced.
    #[error("cannot encode a NAR: file announced with {announced} bytes has {found}")]
    WrongSize {
        /// The size in bytes that was announced.
        announced: u64,
        /// The size in bytes as far as it is known: when the contents are too long, one byte too many.
        found: u64,
    },
    /// The contents could not be read.
    #[error("reading contents for a NAR")]
    Read(#[source] io::Error),
    /// The NAR could not be written.
    #[error("writing a NAR")]
    Write(#[source] io::Error),
}

/// Writes a NAR from events, and lets no wrong one through.
///
/// The order is that of [`Event`]; contents follow a regular file. Names must come sorted by their bytes. Output is
/// collected in blocks of 256 KiB; [`Encoder::finish`] writes the last.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut encoder = nars3_nar::Encoder::new(Vec::new());
/// encoder.directory()?;
/// encoder.entry(b"greeting")?;
/// encoder.regular(false, 5)?;
/// encoder.contents(b"hello")?;
/// encoder.entry(b"link")?;
/// encoder.symlink(b"greeting")?;
/// encoder.end_directory()?;
/// let nar = encoder.finish()?;
/// assert!(nar.starts_with(b"\x0d\0\0\0\0\0\0\0nix-archive-1"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Encoder<W: Write> {
    framer: Framer<WriteBlocks<W>>,
    limits: Limits,
    /// The name of the current entry of each open directory; empty before the first.
    names: Vec<Vec<u8>>,
    due: Due,
}

/// What the encoder waits for.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Due {
    Node,
    Contents { size: u64, left: u64 },
    EntryOrEnd,
    Nothing,
}

impl Due {
    fn phrase(self) -> &'static str {
        match self {
            Self::Node => "a file, a symlink or a directory",
            Self::Contents { .. } => "the contents of a file",
            Self::EntryOrEnd => "an entry or the end of the directory",
            Self::Nothing => "nothing",
        }
    }
}

impl<W: Write> Encoder<W> {
    /// An encoder with Nix's limits, so that every Nix can read the NAR.
    pub fn new(writer: W) -> Self {
        Self::with_limits(writer, Limits::default())
    }

    /// An encoder with other limits.
    pub fn with_limits(writer: W, limits: Limits) -> Self {
        Self { framer: Framer::new(WriteBlocks(writer)), limits, names: Vec::new(), due: Due::Node }
    }

    /// How many bytes the NAR has so far, those not yet written included.
    pub fn offset(&self) -> u64 {
        self.framer.offset()
    }

    /// Begins a directory.
    ///
    /// # Errors
    ///
    /// When no node is due, the depth is exceeded, or the writer fails.
    pub fn directory(&mut self) -> Result<(), EncodeError> {
        self.begin_node("a directory")?;
        self.put(wire::DIRECTORY)?;
        self.names.push(Vec::new());
        self.due = Due::EntryOrEnd;
        Ok(())
    }

    /// Begins an entry of the innermost open directory; its node must follow.
    ///
    /// # Errors
    ///
    /// When no entry is due, the name is bad or not greater than the one before, or the writer fails.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), EncodeError> {
        let expected = self.due.phrase();
        let (Due::EntryOrEnd, Some(previous)) = (self.due, self.names.last_mut()) else {
            return Err(EncodeError::OutOfPlace { found: "an entry", expected });
        };
        check_length("file name", name, self.limits.name)?;
        check_name(name).and_then(|()| check_order(previous, name)).map_err(EncodeError::Format)?;
        previous.clear();
        previous.extend_from_slice(name);
        self.put(wire::ENTRY)?;
        self.framer.string(name).map_err(EncodeError::Write)?;
        self.put(wire::NODE)?;
        self.due = Due::Node;
        Ok(())
    }

    /// Ends the innermost open directory.
    ///
    /// # Errors
    ///
    /// When a node or contents are due instead, or the writer fails.
    pub fn end_directory(&mut self) -> Result<(), EncodeError> {
        if self.due != Due::EntryOrEnd {
            let expected = self.due.phrase();
            return Err(EncodeError::OutOfPlace { found: "the end of a directory", expected });
        }
        self.names.pop();
        self.end_node()
    }

    /// Writes a symlink.
    ///
    /// # Errors
    ///
    /// When no node is due, the target is empty, too long or holds a NUL, or the writer fails.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), EncodeError> {
        check_length("symlink target", target, self.limits.target)?;
        if target.is_empty() || target.contains(&0) {
            let target = target.iter().copied().take(64).collect();
            return Err(EncodeError::Format(FormatErrorKind::InvalidTarget { target }));
        }
        self.begin_node("a symlink")?;
        self.put(wire::SYMLINK)?;
        self.framer.string(target).map_err(EncodeError::Write)?;
        self.end_node()
    }

    /// Begins a regular file of `size` bytes; its contents must follow.
    ///
    /// # Errors
    ///
    /// When no node is due, or the writer fails.
    pub fn regular(&mut self, executable: bool, size: u64) -> Result<(), EncodeError> {
        self.begin_contents(executable, size)?;
        self.end_contents()
    }

    /// Writes the next part of the current file's contents.
    ///
    /// # Errors
    ///
    /// When it is more than announced, no contents are due, or the writer fails.
    pub fn contents(&mut self, part: &[u8]) -> Result<(), EncodeError> {
        if part.is_empty() {
            return Ok(());
        }
        let Due::Contents { size, left } = self.due else {
            return Err(EncodeError::OutOfPlace { found: "contents", expected: self.due.phrase() });
        };
        let Some(left) = left.checked_sub(part.len() as u64) else {
            return Err(EncodeError::WrongSize { announced: size, found: size + 1 });
        };
        self.framer.bytes(part).map_err(EncodeError::Write)?;
        self.due = Due::Contents { size, left };
        self.end_contents()
    }

    /// Writes a regular file whose contents are all that `reader` holds, which must be `size` bytes. They are read
    /// straight into the output.
    ///
    /// # Errors
    ///
    /// When no node is due, the reader fails or has more or less than `size` bytes, or the writer fails. After an
    /// error of the reader the file is not complete, and neither will be the NAR.
    pub fn regular_from(
        &mut self,
        executable: bool,
        size: u64,
        mut reader: impl Read,
    ) -> Result<(), EncodeError> {
        self.begin_contents(executable, size)?;
        while let Due::Contents { size, left: left @ 1.. } = self.due {
            let space = self.framer.space(left).map_err(EncodeError::Write)?;
            let count = read_retrying(&mut reader, space).map_err(EncodeError::Read)?;
            if count == 0 {
                return Err(EncodeError::WrongSize { announced: size, found: size - left });
            }
            self.framer.fill(count);
            self.due = Due::Contents { size, left: left - count as u64 };
        }
        // Before the file is ended, so that whoever passes over the error cannot finish the NAR.
        match read_retrying(&mut reader, &mut [0]).map_err(EncodeError::Read)? {
            0 => self.end_contents(),
            _ => Err(EncodeError::WrongSize { announced: size, found: size + 1 }),
        }
    }

    /// Writes what a decoded event says; after [`Event::Regular`] the contents must follow.
    ///
    /// # Errors
    ///
    /// Those of the method for the event.
    pub fn event(&mut self, event: &Event) -> Result<(), EncodeError> {
        match event {
            Event::Directory => self.directory(),
            Event::Entry { name } => self.entry(name),
            Event::EndDirectory => self.end_directory(),
            Event::Regular { executable, size, .. } => self.regular(*executable, *size),
            Event::Symlink { target } => self.symlink(target),
        }
    }

    /// Writes the rest and gives back the writer, which is not flushed.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete, or the writer fails.
    pub fn finish(self) -> Result<W, EncodeError> {
        if self.due != Due::Nothing {
            return Err(EncodeError::OutOfPlace { found: "the end", expected: self.due.phrase() });
        }
        self.framer.finish().map(|sink| sink.0).map_err(EncodeError::Write)
    }

    fn put(&mut self, run: &[u8]) -> Result<(), EncodeError> {
        self.framer.bytes(run).map_err(EncodeError::Write)
    }

    fn begin_node(&mut self, found: &'static str) -> Result<(), EncodeError> {
        if self.due != Due::Node {
            return Err(EncodeError::OutOfPlace { found, expected: self.due.phrase() });
        }
        if self.names.len() >= self.limits.depth {
            return Err(EncodeError::Format(FormatErrorKind::TooDeep { limit: self.limits.depth }));
        }
        if self.framer.offset() == 0 { self.put(wire::HEADER) } else { Ok(()) }
    }

    fn begin_contents(&mut self, executable: bool, size: u64) -> Result<(), EncodeError> {
        if self.offset().checked_add(size).is_none_or(|end| end > (1 << 63) - 1) {
            return Err(EncodeError::Format(FormatErrorKind::TooLarge { size }));
        }
        self.begin_node("a file")?;
        self.put(if executable { wire::EXECUTABLE } else { wire::REGULAR })?;
        self.framer.number(size).map_err(EncodeError::Write)?;
        self.due = Due::Contents { size, left: size };
        Ok(())
    }

    /// Ends the current file if nothing of its contents is left.
    fn end_contents(&mut self) -> Result<(), EncodeError> {
        if let Due::Contents { size, left: 0 } = self.due {
            self.framer.pad(size).map_err(EncodeError::Write)?;
            self.end_node()?;
        }
        Ok(())
    }

    fn end_node(&mut self) -> Result<(), EncodeError> {
        self.put(wire::CLOSE)?;
        if self.names.is_empty() {
            self.due = Due::Nothing;
            return Ok(());
        }
        self.put(wire::CLOSE)?;
        self.due = Due::EntryOrEnd;
        Ok(())
    }
}

fn check_length(what: &'static str, string: &[u8], limit: usize) -> Result<(), EncodeError> {
    if string.len() <= limit {
        return Ok(());
    }
    let (length, limit) = (string.len() as u64, limit as u64);
    Err(EncodeError::Format(FormatErrorKind::TooLong { what, length, limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that cannot tell its end.
    struct Endless;

    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    #[test]
    fn a_reader_with_more_than_announced_leaves_no_nar() {
        for size in [0, 3, 8] {
            let mut encoder = Encoder::new(Vec::new());
            let contents = vec![b'x'; size + 1];
            let error = encoder.regular_from(false, size as u64, contents.as_slice()).unwrap_err();
            assert!(
                matches!(error, EncodeError::WrongSize { announced, found } if found == announced + 1),
                "{error}"
            );
            // Whatever is tried then, the file stays open.
            encoder.contents(b"").unwrap();
            assert!(encoder.contents(b"x").is_err());
            assert!(matches!(encoder.finish(), Err(EncodeError::OutOfPlace { .. })));
        }
    }

    #[test]
    fn a_reader_with_less_than_announced_or_without_an_end_leaves_no_nar() {
        let mut encoder = Encoder::new(Vec::new());
        let error = encoder.regular_from(false, 5, &b"four"[..]).unwrap_err();
        assert!(matches!(error, EncodeError::WrongSize { announced: 5, found: 4 }), "{error}");
        assert!(encoder.finish().is_err());

        let mut encoder = Encoder::new(Vec::new());
        let error = encoder.regular_from(false, 4, Read::chain(&b"four"[..], Endless)).unwrap_err();
        assert!(matches!(error, EncodeError::Read(_)), "{error}");
        assert!(encoder.finish().is_err());
    }

    #[test]
    fn a_reader_with_what_was_announced_is_a_file() {
        for contents in [&b""[..], b"four", b"12345678"] {
            let mut encoder = Encoder::new(Vec::new());
            encoder.regular_from(true, contents.len() as u64, contents).unwrap();
            let nar = encoder.finish().unwrap();
            let mut by_parts = Encoder::new(Vec::new());
            by_parts.regular(true, contents.len() as u64).unwrap();
            by_parts.contents(contents).unwrap();
            assert_eq!(nar, by_parts.finish().unwrap());
        }
    }
}
