//! Data of unknown length towards the daemon: frames with their length before them, and an empty one at the end.

use std::io::{self, Write};

use super::wire::write_number;

/// Turns what is written to it into frames, one for each write.
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
            write_number(&mut self.inner, bytes.len() as u64)?;
            self.inner.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
