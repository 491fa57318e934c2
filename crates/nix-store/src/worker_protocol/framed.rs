//! Data of unknown length towards the daemon: frames with their length before them, and an empty one at the end.

use std::io::{self, IoSlice, Write};

use super::wire::write_number;

/// Turns what is written to it into frames, one for each write. A frame and its length go together, where the writer takes
/// several slices at once: a length that went by itself would wake the daemon for eight bytes.
#[derive(Debug)]
pub struct FramedWriter<W: Write> {
    inner: W,
}

impl<W: Write> FramedWriter<W> {
    /// Nothing is written yet.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes the end mark. Without it the daemon waits for more.
    ///
    /// # Errors
    ///
    /// Those of what is written to.
    pub fn finish(mut self) -> io::Result<()> {
        write_number(&mut self.inner, 0)?;
        self.inner.flush()
    }
}

impl<W: Write> Write for FramedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An empty frame would be the end mark.
        if !bytes.is_empty() {
            let length = (bytes.len() as u64).to_le_bytes();
            write_all_of(&mut self.inner, &mut [IoSlice::new(&length), IoSlice::new(bytes)])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes all `slices`, one after another.
fn write_all_of(to: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match to.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and is interrupted before each.
    #[derive(Default)]
    struct Narrow {
        bytes: Vec<u8>,
        is_interrupted: bool,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = bytes.len().min(3);
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_is_whole_however_little_is_taken_at_once() {
        let mut narrow = Narrow::default();
        FramedWriter::new(&mut narrow).write_all(b"abcdefgh").expect("taken bit by bit");
        assert_eq!(narrow.bytes, *b"\x08\0\0\0\0\0\0\0abcdefgh");
    }

    #[test]
    fn frames_are_not_padded_and_an_empty_write_is_no_end() {
        let mut bytes = Vec::new();
        let mut writer = FramedWriter::new(&mut bytes);
        writer.write_all(b"abc").expect("into memory");
        assert_eq!(writer.write(b"").expect("into memory"), 0);
        writer.finish().expect("into memory");
        assert_eq!(bytes, [3, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', b'c', 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
