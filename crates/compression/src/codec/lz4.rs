//! lz4 in its frame format, by lz4_flex.
//!
//! The library's reader takes the end of the input inside a frame for the end of the data, so the reader here watches
//! the bytes go by: it looks at each frame's magic number itself, and notices when the library ran into the end.

use std::io::{self, BufRead, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use nars3_narinfo::Compression;

use crate::CompressionError;

/// First four bytes of a frame, little-endian.
const FRAME_MAGIC: u32 = 0x184D_2204;
/// First four bytes of a frame without data, but for the lowest four bits.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;

/// A writer of one frame, with the block size and checksum that libarchive chooses.
pub(crate) fn encoder<W: Write>(out: W) -> FrameEncoder<W> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max4MB)
        .block_mode(BlockMode::Independent)
        .content_checksum(true);
    FrameEncoder::with_frame_info(info, out)
}

/// Reads frames, one after another, and skips skippable ones.
pub(crate) struct Reader<'a> {
    frames: FrameDecoder<Input<'a>>,
    inside: bool,
    frames_read: u64,
    failure: Option<CompressionError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + Send + 'a>) -> Self {
        let input = Input { inner: input, replay: Vec::new(), offset: 0, ran_out: false, failed: false };
        Reader { frames: FrameDecoder::new(input), inside: false, frames_read: 0, failure: None }
    }

    /// Goes to the next frame with data; false at the end of the input.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let at = self.frames.get_ref().offset;
            let input = self.frames.get_mut();
            let mut magic = [0; 4];
            let have = input.read_up_to(&mut magic)?;
            if have == 0 && self.frames_read > 0 {
                return Ok(false);
            }
            if have < magic.len() {
                return Err(truncated(input.offset).into());
            }
            let number = u32::from_le_bytes(magic);
            if number == FRAME_MAGIC {
                input.replay = magic.into();
                input.replay.reverse();
                return Ok(true);
            }
            if number & !0xF != SKIPPABLE_MAGIC {
                return Err(self.not_a_frame(at).into());
            }
            input.skip_frame()?;
            self.frames_read += 1;
        }
    }

    fn not_a_frame(&self, offset: u64) -> CompressionError {
        if self.frames_read > 0 {
            CompressionError::TrailingData { method: Compression::Lz4, offset }
        } else {
            corrupt(offset, "not an lz4 frame".to_owned())
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.next_frame()? {
                return Ok(0);
            }
            self.inside = true;
            let read = self.frames.read(buffer).map_err(|error| self.explain(error))?;
            if read > 0 {
                return Ok(read);
            }
            let input = self.frames.get_ref();
            if input.ran_out {
                return Err(truncated(input.offset).into());
            }
            self.inside = false;
            self.frames_read += 1;
        }
    }

    /// An error of the input passes as it is; one of the library becomes ours.
    fn explain(&self, error: io::Error) -> io::Error {
        let input = self.frames.get_ref();
        if input.failed {
            error
        } else if input.ran_out {
            truncated(input.offset).into()
        } else {
            corrupt(input.offset, error.to_string()).into()
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        let result = self.read_some(buffer);
        self.failure = result.as_ref().err().and_then(CompressionError::of).cloned();
        result
    }
}

fn truncated(offset: u64) -> CompressionError {
    CompressionError::Truncated { method: Compression::Lz4, offset }
}

fn corrupt(offset: u64, reason: String) -> CompressionError {
    CompressionError::Corrupt { method: Compression::Lz4, offset, reason }
}

/// The compressed input, watched.
struct Input<'a> {
    inner: Box<dyn BufRead + Send + 'a>,
    /// Bytes to give again, last byte first.
    replay: Vec<u8>,
    /// Bytes taken from `inner`.
    offset: u64,
    /// Someone wanted more and there was none.
    ran_out: bool,
    /// `inner` returned an error.
    failed: bool,
}

impl Input<'_> {
    /// Fills the buffer as far as the input goes; returns how far.
    fn read_up_to(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while let Some(rest) = buffer.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }

    /// Passes over the size and the contents of a skippable frame.
    fn skip_frame(&mut self) -> io::Result<()> {
        let mut size = [0; 4];
        let have = self.read_up_to(&mut size)?;
        if have < size.len() {
            return Err(truncated(self.offset).into());
        }
        let size = u64::from(u32::from_le_bytes(size));
        let skipped = io::copy(&mut Read::take(&mut *self, size), &mut io::sink())?;
        if skipped < size {
            return Err(truncated(self.offset).into());
        }
        Ok(())
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        if let Some(byte) = self.replay.pop() {
            *first = byte;
            return Ok(1);
        }
        match self.inner.read(buffer) {
            Ok(read) => {
                self.offset += read as u64;
                self.ran_out |= read == 0;
                Ok(read)
            }
            Err(error) => {
                self.failed |= error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}
