//! Compression: the writer that all methods share.

mod frames;
mod stream;

use std::io::{self, Write};

use lz4_flex::frame::FrameEncoder;
use nars3_narinfo::Compression;

use crate::codec::{Compress, Fault, brotli, bzip2, gzip, lz4, lzip, xz};
use crate::{CompressionError, Operation, level};

use self::frames::FrameWriter;
use self::stream::StreamWriter;

/// How to compress.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncoderOptions {
    /// The level, one of `level_range`; `None` is the method's default.
    pub level: Option<i32>,
    /// How many threads may compress. With 1 the caller's thread does all the work. Only xz and zstd have a use for
    /// more: xz writes blocks that can be decoded in parallel (so the bytes differ between 1 and more), zstd compresses
    /// that many of its frames at a time (the bytes are the same for any number).
    pub threads: u32,
    /// About how much memory, in bytes, several threads may take together; fewer are used where it does not suffice,
    /// but never less than one. A zstd thread takes 32 MiB and its level's tables; an xz thread about ten times the
    /// level's dictionary.
    pub memory_limit: u64,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions { level: None, threads: 1, memory_limit: u64::MAX }
    }
}

/// A writer that compresses what is written to it, made by `encoder`.
///
/// Nothing is complete until `finish` has returned: an encoder that is dropped leaves a truncated output behind.
/// `flush` flushes what has been compressed so far, and ends no block, so that flushing never costs compression.
pub struct Encoder<W: Write> {
    method: Compression,
    inner: Inner<W>,
    /// After an error part of the stream is lost, so nothing may follow it.
    failed: bool,
}

enum Inner<W: Write> {
    Stored(W),
    Stream(StreamWriter<W>),
    Frames(FrameWriter<W>),
    Lz4(Box<FrameEncoder<W>>),
}

/// A writer that compresses into `out`.
///
/// # Errors
/// `CompressionError::Unsupported` for a method that cannot be written, `Level` or `NoLevels` for a level that the
/// method does not have, `Codec` when the library cannot be set up.
pub fn encoder<W: Write + Send>(
    method: &Compression,
    options: &EncoderOptions,
    out: W,
) -> Result<Encoder<W>, CompressionError> {
    let level = level::effective(method, options.level)?;
    let inner = match method {
        Compression::None => Inner::Stored(out),
        Compression::Zstd => {
            Inner::Frames(FrameWriter::new(level, options.threads, options.memory_limit, out))
        }
        Compression::Lz4 => Inner::Lz4(Box::new(lz4::encoder(out))),
        // Only zstd has levels below zero.
        _ => Inner::Stream(StreamWriter::new(
            method.clone(),
            codec(method, level.unsigned_abs(), options)?,
            out,
        )),
    };
    Ok(Encoder { method: method.clone(), inner, failed: false })
}

/// The codec of a method that writes one stream.
fn codec(
    method: &Compression,
    preset: u32,
    options: &EncoderOptions,
) -> Result<Box<dyn Compress>, CompressionError> {
    match method {
        Compression::Xz => xz::Encoder::xz(preset, options.threads, options.memory_limit).map(boxed),
        Compression::Lzma => xz::Encoder::lzma(preset).map(boxed),
        Compression::Lzip => lzip::Encoder::new(preset).map(boxed),
        Compression::Bzip2 => Ok(boxed(bzip2::Encoder::new(preset))),
        Compression::Gzip => Ok(boxed(gzip::Encoder::new(preset))),
        Compression::Brotli => Ok(boxed(brotli::Encoder::new(preset))),
        other => return Err(crate::decode::unsupported(other, Operation::Write)),
    }
    .map_err(|fault| failed(method, fault))
}

fn boxed<C: Compress + 'static>(codec: C) -> Box<dyn Compress> {
    Box::new(codec)
}

/// The error for a codec that failed while compressing, which the data cannot be the reason of.
fn failed(method: &Compression, fault: Fault) -> CompressionError {
    let reason = match fault {
        Fault::Data(reason) => reason,
        Fault::Memory => "not enough memory".to_owned(),
    };
    CompressionError::Codec { method: method.clone(), operation: Operation::Write, reason }
}

impl<W: Write> Encoder<W> {
    /// Compresses what is left, writes the end of the stream, and gives the output back (not flushed).
    ///
    /// # Errors
    /// Errors of the output as they are; `CompressionError::Codec` inside an `io::Error`, or `Poisoned` after an
    /// earlier error, so that what looks finished is complete.
    pub fn finish(self) -> io::Result<W> {
        self.check()?;
        match self.inner {
            Inner::Stored(out) => Ok(out),
            Inner::Stream(stream) => stream.finish(),
            Inner::Frames(frames) => frames.finish(),
            Inner::Lz4(frame) => frame.finish().map_err(io::Error::from),
        }
    }

    /// The output, as far as it has been written.
    pub fn get_ref(&self) -> &W {
        match &self.inner {
            Inner::Stored(out) => out,
            Inner::Stream(stream) => stream.get_ref(),
            Inner::Frames(frames) => frames.get_ref(),
            Inner::Lz4(frame) => frame.get_ref(),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.failed {
            return Err(CompressionError::Poisoned { method: self.method.clone() }.into());
        }
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let result = match &mut self.inner {
            // A failed write of plain bytes loses nothing: the caller may try again.
            Inner::Stored(out) => return out.write(data),
            Inner::Stream(stream) => stream.write_all(data),
            Inner::Frames(frames) => frames.write_all(data),
            Inner::Lz4(frame) => frame.write_all(data),
        };
        self.failed = result.is_err();
        result.map(|()| data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Stored(out) => out.flush(),
            Inner::Stream(stream) => stream.flush(),
            Inner::Frames(frames) => frames.flush(),
            Inner::Lz4(frame) => frame.get_mut().flush(),
        }
    }
}

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (method, failed) = (&self.method, &self.failed);
        formatter
            .debug_struct("Encoder")
            .field("method", method)
            .field("failed", failed)
            .finish_non_exhaustive()
    }
}
