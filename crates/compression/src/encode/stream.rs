//! The loop that turns a codec into a writer of one stream.

use std::io::{self, Write};

use nars3_narinfo::Compression;

use crate::codec::{Compress, Fault};

/// Output is passed on in pieces of at most this many bytes.
const OUTPUT_LEN: usize = 64 << 10;

/// A codec gets its input in pieces of exactly this many bytes, the last one excepted. zlib's fast levels decide by
/// what they see at once, so without this the output would depend on how the caller cuts the data.
const INPUT_LEN: usize = 64 << 10;

/// Writes what a codec compresses to an output.
pub(super) struct StreamWriter<W> {
    method: Compression,
    codec: Box<dyn Compress>,
    /// Input that waits for more.
    pending: Vec<u8>,
    /// Output on its way.
    buffer: Box<[u8]>,
    out: W,
}

impl<W: Write> StreamWriter<W> {
    pub(super) fn new(method: Compression, codec: Box<dyn Compress>, out: W) -> Self {
        StreamWriter { method, codec, pending: Vec::new(), buffer: vec![0; OUTPUT_LEN].into(), out }
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.out
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Compresses what is left, and ends the stream.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress_pending()?;
        loop {
            let step = self.codec.finish(&mut self.buffer).map_err(|fault| self.fault(fault))?;
            self.out.write_all(self.buffer.get(..step.produced).unwrap_or_default())?;
            if step.ended {
                return Ok(self.out);
            }
            if step.produced == 0 {
                return Err(self.fault(Fault::Data("the encoder does not come to an end".to_owned())));
            }
        }
    }

    /// Compresses whole pieces; what is left waits.
    pub(super) fn write_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        if !self.pending.is_empty() {
            let room = INPUT_LEN - self.pending.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.pending.extend_from_slice(now);
            data = later;
            if self.pending.len() < INPUT_LEN {
                return Ok(());
            }
            self.compress_pending()?;
        }
        let pieces = data.chunks_exact(INPUT_LEN);
        self.pending.extend_from_slice(pieces.remainder());
        for piece in pieces {
            self.compress(piece)?;
        }
        Ok(())
    }

    fn compress_pending(&mut self) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        self.compress(&pending)?;
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    fn compress(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let step = self.codec.run(data, &mut self.buffer).map_err(|fault| self.fault(fault))?;
            if step.consumed == 0 && step.produced == 0 {
                return Err(self.fault(Fault::Data("the encoder makes no progress".to_owned())));
            }
            self.out.write_all(self.buffer.get(..step.produced).unwrap_or_default())?;
            data = data.get(step.consumed..).unwrap_or_default();
        }
        Ok(())
    }

    fn fault(&self, fault: Fault) -> io::Error {
        super::failed(&self.method, fault).into()
    }
}
