//! The loop that turns a codec into a reader: streams after streams, and every way in which they can end.

use std::io::{self, BufRead, Read};

use nars3_narinfo::Compression;

use crate::CompressionError;
use crate::codec::{Decompress, Fault, Sequence};

/// No format's header is longer. A later stream that fails within as many bytes, before any output, is no stream at
/// all, but something else that follows the data.
const LONGEST_HEADER: u64 = 18;

/// Where in the input the reader is.
enum Position {
    /// Before the first stream, or after one; with the number of padding bytes seen there.
    Between { padding: u64 },
    /// In a stream that began at this byte, with what it has brought so far.
    Inside { start: u64, produced: u64 },
}

/// Reads what a codec decompresses from an input.
pub(super) struct StreamReader<'a> {
    method: Compression,
    memory_limit: u64,
    codec: Box<dyn Decompress>,
    input: Box<dyn BufRead + Send + 'a>,
    position: Position,
    /// Bytes consumed from the input.
    offset: u64,
    /// Streams that are complete.
    streams: u64,
    failure: Option<CompressionError>,
}

/// Where a reader takes over.
#[derive(Clone, Copy, Default)]
pub(super) struct Start {
    /// Bytes before its input, for errors.
    pub(super) offset: u64,
    /// Streams that were complete before.
    pub(super) streams: u64,
}

impl<'a> StreamReader<'a> {
    pub(super) fn new(
        method: Compression,
        memory_limit: u64,
        codec: Box<dyn Decompress>,
        input: Box<dyn BufRead + Send + 'a>,
    ) -> Self {
        Self::starting_at(Start::default(), method, memory_limit, codec, input)
    }

    /// A reader of the rest of an input, from the beginning of a stream on.
    pub(super) fn starting_at(
        start: Start,
        method: Compression,
        memory_limit: u64,
        codec: Box<dyn Decompress>,
        input: Box<dyn BufRead + Send + 'a>,
    ) -> Self {
        StreamReader {
            method,
            memory_limit,
            codec,
            input,
            position: Position::Between { padding: 0 },
            offset: start.offset,
            streams: start.streams,
            failure: None,
        }
    }

    fn read_some(&mut self, output: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.position {
                Position::Between { padding } => {
                    if self.ends_here(padding)? {
                        return Ok(0);
                    }
                }
                Position::Inside { start, produced } => {
                    let made = self.step(start, produced, output)?;
                    if made > 0 {
                        return Ok(made);
                    }
                }
            }
        }
    }

    /// Passes over padding, and starts the next stream if there is one. True at the end of the input.
    fn ends_here(&mut self, padding: u64) -> io::Result<bool> {
        let input = fill(&mut self.input)?;
        let Some(&first) = input.first() else {
            return if self.streams == 0 {
                Err(self.truncated())
            } else {
                self.checked_padding(padding, true)
            };
        };
        let sequence = self.codec.sequence();
        if self.streams > 0 {
            match sequence {
                Sequence::Single => return Err(self.trailing(self.offset)),
                Sequence::Padded(_) if first == 0 => {
                    let zeros = input.iter().take_while(|byte| **byte == 0).count();
                    self.consume(zeros);
                    self.position = Position::Between { padding: padding + zeros as u64 };
                    return Ok(false);
                }
                Sequence::Padded(_) | Sequence::Concatenated => {}
            }
        }
        self.checked_padding(padding, false)?;
        self.codec.restart().map_err(|fault| self.fault(fault))?;
        self.position = Position::Inside { start: self.offset, produced: 0 };
        Ok(false)
    }

    /// Padding of the wrong length is not padding.
    fn checked_padding(&self, padding: u64, at_end: bool) -> io::Result<bool> {
        match self.codec.sequence() {
            Sequence::Padded(multiple) if !padding.is_multiple_of(multiple) => {
                Err(self.trailing(self.offset - padding))
            }
            _ => Ok(at_end),
        }
    }

    /// One step inside a stream; returns how much output it made.
    fn step(&mut self, start: u64, produced: u64, output: &mut [u8]) -> io::Result<usize> {
        let input = fill(&mut self.input)?;
        let last = input.is_empty();
        let step = match self.codec.run(input, output, last) {
            Ok(step) => step,
            Err(_) if self.is_no_stream(start, produced) => return Err(self.trailing(start)),
            Err(fault) => return Err(self.fault(fault)),
        };
        self.consume(step.consumed);
        if step.ended {
            self.streams += 1;
            self.position = Position::Between { padding: 0 };
            return Ok(step.produced);
        }
        if step.consumed == 0 && step.produced == 0 {
            return Err(if last { self.truncated() } else { self.stalled() });
        }
        self.position = Position::Inside { start, produced: produced + step.produced as u64 };
        Ok(step.produced)
    }

    fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset += bytes as u64;
    }

    fn is_no_stream(&self, start: u64, produced: u64) -> bool {
        self.streams > 0 && produced == 0 && self.offset - start <= LONGEST_HEADER
    }

    fn truncated(&self) -> io::Error {
        CompressionError::Truncated { method: self.method.clone(), offset: self.offset }.into()
    }

    fn trailing(&self, offset: u64) -> io::Error {
        CompressionError::TrailingData { method: self.method.clone(), offset }.into()
    }

    fn stalled(&self) -> io::Error {
        self.fault(Fault::Data("the decoder neither takes input nor makes output".to_owned()))
    }

    fn fault(&self, fault: Fault) -> io::Error {
        let (method, offset) = (self.method.clone(), self.offset);
        match fault {
            Fault::Data(reason) => CompressionError::Corrupt { method, offset, reason },
            Fault::Memory => CompressionError::MemoryLimit { method, limit: self.memory_limit, offset },
        }
        .into()
    }
}

impl Read for StreamReader<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        // A codec must not be asked again after it failed, so our own errors are repeated.
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        let result = self.read_some(output);
        self.failure = result.as_ref().err().and_then(CompressionError::of).cloned();
        result
    }
}

/// The next input, through interruptions; empty at its end.
pub(super) fn fill<'b>(input: &'b mut Box<dyn BufRead + Send + '_>) -> io::Result<&'b [u8]> {
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    // Asked a second time because the borrow checker cannot see that the loop ends with this very slice; a filled
    // buffer is returned again at once.
    input.fill_buf()
}
