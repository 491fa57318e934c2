//! bzip2, by libbz2-rs.

use bzip2::{Action, Compress as Raw, Compression as Level, Decompress as RawDecompress, Error, Status};

use super::{Compress, Decompress, Fault, Sequence, Step, advanced};

/// The library's default effort before it falls back to its slower sorting.
const WORK_FACTOR: u32 = 30;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Data(error.to_string())
    }
}

/// Writes one stream.
pub(crate) struct Encoder(Raw);

impl Encoder {
    pub(crate) fn new(level: u32) -> Self {
        Encoder(Raw::new(Level::new(level), WORK_FACTOR))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8], action: Action) -> Result<Step, Fault> {
        let (taken, made) = (self.0.total_in(), self.0.total_out());
        let status = self.0.compress(input, output, action)?;
        Ok(Step {
            consumed: advanced(taken, self.0.total_in()),
            produced: advanced(made, self.0.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}

impl Compress for Encoder {
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        self.step(input, output, Action::Run)
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault> {
        self.step(&[], output, Action::Finish)
    }
}

/// Reads streams.
pub(crate) struct Decoder(RawDecompress);

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder(RawDecompress::new(false))
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
        let status = self.0.decompress(input, output)?;
        if status == Status::MemNeeded {
            return Err(Fault::Memory);
        }
        Ok(Step {
            consumed: advanced(taken, self.0.total_in()),
            produced: advanced(made, self.0.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}
