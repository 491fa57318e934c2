//! One small file a compression library, each behind the same two traits: bytes in, bytes out, and nothing else.
//!
//! The loops around them (streams after streams, truncation, trailing data, offsets in errors) are written once, in
//! `decode` and `encode`. zstd's encoder and lz4 do not fit the traits and bring their own writer and reader.

pub(crate) mod brotli;
pub(crate) mod bzip2;
pub(crate) mod gzip;
pub(crate) mod lz4;
pub(crate) mod lzip;
pub(crate) mod xz;
pub(crate) mod zstd;
pub(crate) mod zstd_frame;

/// What one call to a codec did.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    /// Bytes taken from the input.
    pub(crate) consumed: usize,
    /// Bytes put into the output.
    pub(crate) produced: usize,
    /// Nothing more will come: the stream is complete.
    pub(crate) ended: bool,
}

/// Why a codec cannot go on.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The data is wrong, or the library failed; its words say which.
    Data(String),
    /// The data asks for more memory than allowed.
    Memory,
}

/// Compresses one stream.
pub(crate) trait Compress: Send {
    /// Takes some input, or makes some output, or both.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault>;

    /// Makes output from what is still inside; to be called until the step says `ended`.
    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault>;
}

/// How the streams of a format follow one another.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Sequence {
    /// One stream, then the end of the input.
    Single,
    /// Any number of streams, at least one.
    Concatenated,
    /// Any number of streams, at least one, with zero bytes after each, in multiples of this many.
    Padded(u64),
}

/// Decompresses streams, one at a time.
pub(crate) trait Decompress: Send {
    /// How streams follow one another in this format.
    fn sequence(&self) -> Sequence;

    /// Forgets everything, and expects the first byte of a stream.
    fn restart(&mut self) -> Result<(), Fault>;

    /// Takes some input, or makes some output, or both. `last` says that no input will follow.
    fn run(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Result<Step, Fault>;
}

/// The difference of two running totals, as the length of a part of a slice.
fn advanced(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}
