//! xz and the older `.lzma` format, by liblzma.

use liblzma::stream::{Action, Check, Error, LzmaOptions, MtStreamBuilder, Status, Stream};

use super::{Compress, Decompress, Fault, Sequence, Step, advanced};

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::MemLimit => Fault::Memory,
            other => Fault::Data(other.to_string()),
        }
    }
}

/// One call into liblzma.
pub(super) fn process(
    stream: &mut Stream,
    input: &[u8],
    output: &mut [u8],
    action: Action,
) -> Result<Step, Fault> {
    let (taken, made) = (stream.total_in(), stream.total_out());
    let status = stream.process(input, output, action)?;
    Ok(Step {
        consumed: advanced(taken, stream.total_in()),
        produced: advanced(made, stream.total_out()),
        ended: status == Status::StreamEnd,
    })
}

/// Writes one stream of xz or `.lzma`.
pub(crate) struct Encoder(Stream);

impl Encoder {
    /// A stream of `.xz` with one block for one thread, or with blocks of three dictionaries each for several, which
    /// are what lets several threads read it as well. The bytes are the same for any number of threads above one.
    ///
    /// Several threads are only used as far as `memory_limit` bytes go.
    pub(crate) fn xz(level: u32, threads: u32, memory_limit: u64) -> Result<Self, Fault> {
        if threads <= 1 {
            return Ok(Encoder(Stream::new_easy_encoder(level, Check::Crc64)?));
        }
        let mut builder = MtStreamBuilder::new();
        builder.preset(level).check(Check::Crc64).threads(threads);
        for fewer in (1..threads).rev() {
            if builder.memusage() <= memory_limit {
                break;
            }
            builder.threads(fewer);
        }
        Ok(Encoder(builder.encoder()?))
    }

    /// A stream of `.lzma`.
    pub(crate) fn lzma(level: u32) -> Result<Self, Fault> {
        Ok(Encoder(Stream::new_lzma_encoder(&LzmaOptions::new_preset(level)?)?))
    }
}

impl Compress for Encoder {
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        process(&mut self.0, input, output, Action::Run)
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault> {
        process(&mut self.0, &[], output, Action::Finish)
    }
}

/// Which container liblzma is to read.
#[derive(Copy, Clone)]
pub(crate) enum Container {
    /// `.xz`; with several threads, multi-block streams are read in parallel.
    Xz {
        /// How many threads may decode.
        threads: u32,
        /// The most bytes that several threads may take; beyond, one decodes.
        memory: u64,
    },
    /// `.lzma`.
    Lzma,
    /// `.lz`.
    Lzip,
}

/// Reads xz, `.lzma` and lzip.
pub(crate) struct Decoder {
    container: Container,
    memory_limit: u64,
    stream: Option<Stream>,
}

impl Decoder {
    pub(crate) fn new(container: Container, memory_limit: u64) -> Self {
        Decoder { container, memory_limit, stream: None }
    }
}

impl Decompress for Decoder {
    fn sequence(&self) -> Sequence {
        match self.container {
            Container::Xz { .. } => Sequence::Padded(4),
            Container::Lzma => Sequence::Single,
            Container::Lzip => Sequence::Concatenated,
        }
    }

    fn restart(&mut self) -> Result<(), Fault> {
        self.stream = None;
        self.stream = Some(match self.container {
            Container::Xz { threads: 0 | 1, .. } => Stream::new_stream_decoder(self.memory_limit, 0)?,
            Container::Xz { threads, memory } => MtStreamBuilder::new()
                .threads(threads)
                .memlimit_threading(memory.min(self.memory_limit))
                .memlimit_stop(self.memory_limit)
                .decoder()?,
            Container::Lzma => Stream::new_lzma_decoder(self.memory_limit)?,
            Container::Lzip => Stream::new_lzip_decoder(self.memory_limit, 0)?,
        });
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Result<Step, Fault> {
        let Some(stream) = &mut self.stream else {
            return Err(Fault::Data("no stream has been started".to_owned()));
        };
        process(stream, input, output, if last { Action::Finish } else { Action::Run })
    }
}
