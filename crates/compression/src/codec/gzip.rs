//! gzip, by zlib-rs. The header carries no time and no name, so equal input gives equal bytes.

use flate2::{Compress as Raw, Compression as Level, Decompress as RawDecompress};
use flate2::{FlushCompress, FlushDecompress, Status};

use super::{Compress, Decompress, Fault, Sequence, Step, advanced};

/// The base-2 logarithm of the window that gzip always has.
const WINDOW_BITS: u8 = 15;

/// Writes one member.
pub(crate) struct Encoder(Raw);

impl Encoder {
    pub(crate) fn new(level: u32) -> Self {
        Encoder(Raw::new_gzip(Level::new(level), WINDOW_BITS))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8], flush: FlushCompress) -> Result<Step, Fault> {
        let (taken, made) = (self.0.total_in(), self.0.total_out());
        let status = self.0.compress(input, output, flush).map_err(|error| Fault::Data(error.to_string()))?;
        Ok(Step {
            consumed: advanced(taken, self.0.total_in()),
            produced: advanced(made, self.0.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}

impl Compress for Encoder {
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        self.step(input, output, FlushCompress::None)
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault> {
        self.step(&[], output, FlushCompress::Finish)
    }
}

/// Reads members.
pub(crate) struct Decoder(RawDecompress);

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder(RawDecompress::new_gzip(WINDOW_BITS))
    }
}

impl Decompress for Decoder {
    fn sequence(&self) -> Sequence {
        Sequence::Concatenated
    }

    fn restart(&mut self) -> Result<(), Fault> {
        *self = Decoder::new();
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], _last: bool) -> Result<Step, Fault> {
        let (taken, made) = (self.0.total_in(), self.0.total_out());
        let status = self
            .0
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| Fault::Data(error.message().unwrap_or("invalid deflate data").to_owned()))?;
        Ok(Step {
            consumed: advanced(taken, self.0.total_in()),
            produced: advanced(made, self.0.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}
