//! The loop that turns a codec into a writer of one stream.

use std::io::{self, Write};

use nars3_narinfo::Compression;

use crate::CompressionError;
use crate::codec::{Compress, Fault};

/// Output is passed on in pieces of at most this many bytes.
const BUFFER_LEN: usize = 64 << 10;

/// Writes what a codec compresses to an output.
pub(super) struct StreamWriter<W> {
    method: Compression,
    codec: Box<dyn Compress>,
    buffer: Box<[u8]>,
    out: W,
    failed: bool,
}

impl<W: Write> StreamWriter<W> {
    pub(super) fn new(method: Compression, codec: Box<dyn Compress>, out: W) -> Self {
        StreamWriter { method, codec, buffer: vec![0; BUFFER_LEN].into(), out, failed: false }
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.out
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.guarded(|writer| writer.compress(data))?;
        Ok(data.len())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.guarded(StreamWriter::end)?;
        Ok(self.out)
    }

    /// After an error part of the stream is lost, so nothing may follow it.
    fn guarded(&mut self, action: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.failed {
            return Err(CompressionError::Poisoned { method: self.method.clone() }.into());
        }
        self.failed = true;
        action(self)?;
        self.failed = false;
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

    fn end(&mut self) -> io::Result<()> {
        loop {
            let step = self.codec.finish(&mut self.buffer).map_err(|fault| self.fault(fault))?;
            self.out.write_all(self.buffer.get(..step.produced).unwrap_or_default())?;
            if step.ended {
                return Ok(());
            }
            if step.produced == 0 {
                return Err(self.fault(Fault::Data("the encoder does not come to an end".to_owned())));
            }
        }
    }

    fn fault(&self, fault: Fault) -> io::Error {
        super::failed(&self.method, fault).into()
    }
}
