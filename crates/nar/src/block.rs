//! Large blocks of NAR on their way out: filled in place, handed on whole.

use std::io::{self, Write};

use crate::wire::padding;

/// Bytes per block: several times a pipe's capacity, well inside a processor's second-level cache.
pub(crate) const BLOCK: usize = 256 * 1024;

/// Bytes per block between two threads: so large that waking the other thread costs little beside working on it.
pub(crate) const SHARED_BLOCK: usize = 1024 * 1024;

/// Where full blocks go.
pub(crate) trait BlockSink {
    /// Takes the first `filled` bytes of `block`, and gives back a block to fill next, of at least [`BLOCK`] bytes.
    fn block(&mut self, block: Box<[u8]>, filled: usize) -> io::Result<Box<[u8]>>;
}

/// Sends blocks to a writer.
#[derive(Debug)]
pub(crate) struct WriteBlocks<W>(pub(crate) W);

impl<W: Write> BlockSink for WriteBlocks<W> {
    fn block(&mut self, block: Box<[u8]>, filled: usize) -> io::Result<Box<[u8]>> {
        self.0.write_all(block.get(..filled).unwrap_or_default())?;
        Ok(block)
    }
}

/// A new block of zeros.
pub(crate) fn new_block(length: usize) -> Box<[u8]> {
    vec![0; length].into_boxed_slice()
}

/// Lays out strings and contents in blocks.
#[derive(Debug)]
pub(crate) struct Framer<S> {
    sink: S,
    /// Empty only while the sink has it, and after the sink failed.
    block: Box<[u8]>,
    filled: usize,
    /// The bytes of all blocks that are gone.
    sent: u64,
}

impl<S: BlockSink> Framer<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, block: new_block(BLOCK), filled: 0, sent: 0 }
    }

    /// How many bytes have been laid out.
    pub(crate) fn offset(&self) -> u64 {
        self.sent + self.filled as u64
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let space = self.block.get_mut(self.filled..).unwrap_or_default();
            let length = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(length);
            space[..length].copy_from_slice(now);
            self.filled += length;
            bytes = later;
            if bytes.is_empty() {
                return Ok(());
            }
            self.send()?;
        }
    }

    /// A string: length, bytes, padding.
    pub(crate) fn string(&mut self, string: &[u8]) -> io::Result<()> {
        self.number(string.len() as u64)?;
        self.bytes(string)?;
        self.pad(string.len() as u64)
    }

    /// A 64-bit number.
    pub(crate) fn number(&mut self, number: u64) -> io::Result<()> {
        self.bytes(&number.to_le_bytes())
    }

    /// The padding after `length` bytes.
    pub(crate) fn pad(&mut self, length: u64) -> io::Result<()> {
        self.zeros(padding(length))
    }

    /// Zeros.
    pub(crate) fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let space = self.space(count)?;
            space.fill(0);
            let length = space.len();
            self.fill(length);
            count -= length as u64;
        }
        Ok(())
    }

    /// Space for at most `most` bytes to be filled in place, never empty unless `most` is 0. Small contents are kept
    /// together: what fits into a block is not spread over two.
    pub(crate) fn space(&mut self, most: u64) -> io::Result<&mut [u8]> {
        let free = self.block.len() - self.filled;
        let whole = most <= free as u64;
        let worth_sending = most <= (BLOCK / 2) as u64 || free < BLOCK / 4;
        if !whole && worth_sending {
            self.send()?;
        }
        let space = self.block.get_mut(self.filled..).unwrap_or_default();
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(space.len());
        Ok(space.get_mut(..length).unwrap_or_default())
    }

    /// Says that the first `count` bytes of the last [`Framer::space`] have been filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled = self.block.len().min(self.filled + count);
    }

    /// Hands over what there is, and gives back the sink.
    pub(crate) fn finish(mut self) -> io::Result<S> {
        self.send()?;
        Ok(self.sink)
    }

    fn send(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Err(io::Error::other("writing a NAR after its writer failed"));
        }
        if self.filled > 0 {
            self.block = self.sink.block(std::mem::take(&mut self.block), self.filled)?;
            self.sent += self.filled as u64;
            self.filled = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_numbers_and_zeros_come_out_in_order_across_blocks() {
        let mut framer = Framer::new(WriteBlocks(Vec::new()));
        let mut expected = Vec::new();
        for i in 0..200_usize {
            let string = vec![i as u8; i * 41];
            framer.string(&string).unwrap();
            expected.extend_from_slice(&(string.len() as u64).to_le_bytes());
            expected.extend_from_slice(&string);
            expected.resize(expected.len() + padding(string.len() as u64) as usize, 0);
            framer.zeros(3).unwrap();
            expected.extend_from_slice(&[0; 3]);
            let space = framer.space(1000).unwrap();
            assert_eq!(space.len(), 1000);
            space.fill(7);
            framer.fill(1000);
            expected.extend_from_slice(&[7; 1000]);
            assert_eq!(framer.offset(), expected.len() as u64);
        }
        assert!(framer.finish().unwrap().0 == expected);
    }

    #[test]
    fn space_for_more_than_a_block_is_never_empty() {
        let mut framer = Framer::new(WriteBlocks(io::sink()));
        for _ in 0..10 {
            let length = framer.space(u64::MAX).unwrap().len();
            assert!(length >= BLOCK / 4);
            framer.fill(length - 1);
        }
    }
}
