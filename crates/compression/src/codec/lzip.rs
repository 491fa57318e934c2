//! Writing lzip: a small container, made here, around a raw LZMA stream from liblzma. (liblzma itself reads lzip.)
//!
//! A member is a header of 6 bytes (`LZIP`, version 1, the coded dictionary size), an LZMA stream with an
//! end-of-stream marker and the fixed properties lc=3 lp=0 pb=2, and a trailer of 20 bytes: the CRC-32 and the size of
//! the contents, and the size of the member, all little-endian.

use flate2::Crc;
use liblzma::stream::{Action, Filters, LzmaOptions, Stream};

use super::xz::process;
use super::{Compress, Fault, Step};

/// Bytes of the header: magic, version, dictionary size.
const HEADER_LEN: u64 = 6;
/// Bytes of the trailer: CRC-32, data size, member size.
const TRAILER_LEN: u64 = 20;

/// The base-2 logarithm of liblzma's dictionary size for each preset. All are powers of two, so that lzip's one-byte
/// code for a dictionary size is the logarithm itself.
const DICTIONARY_LOG: [u8; 10] = [18, 20, 21, 22, 22, 23, 23, 24, 25, 26];

/// Writes one member.
pub(crate) struct Encoder {
    stream: Stream,
    crc: Crc,
    data_size: u64,
    lzma_size: u64,
    /// Header or trailer bytes that still have to go out, last byte first.
    pending: Vec<u8>,
    trailer_made: bool,
}

impl Encoder {
    pub(crate) fn new(level: u32) -> Result<Self, Fault> {
        let log = usize::try_from(level)
            .ok()
            .and_then(|level| DICTIONARY_LOG.get(level).copied())
            .ok_or_else(|| Fault::Data(format!("no preset {level}")))?;
        let mut options = LzmaOptions::new_preset(level)?;
        options.dict_size(1 << log).literal_context_bits(3).literal_position_bits(0).position_bits(2);
        let mut filters = Filters::new();
        filters.lzma1(&options);
        let mut pending = [b'L', b'Z', b'I', b'P', 1, log].to_vec();
        pending.reverse();
        Ok(Encoder {
            stream: Stream::new_raw_encoder(&filters)?,
            crc: Crc::new(),
            data_size: 0,
            lzma_size: 0,
            pending,
            trailer_made: false,
        })
    }

    /// Puts header or trailer bytes that wait into the output; returns how many.
    fn drain(&mut self, output: &mut [u8]) -> usize {
        let mut written = 0;
        for slot in output {
            let Some(byte) = self.pending.pop() else { break };
            *slot = byte;
            written += 1;
        }
        written
    }

    fn make_trailer(&mut self) {
        let member_size = HEADER_LEN + self.lzma_size + TRAILER_LEN;
        self.pending.extend(self.crc.sum().to_le_bytes());
        self.pending.extend(self.data_size.to_le_bytes());
        self.pending.extend(member_size.to_le_bytes());
        self.pending.reverse();
        self.trailer_made = true;
    }
}

impl Compress for Encoder {
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let drained = self.drain(output);
        let step =
            process(&mut self.stream, input, output.get_mut(drained..).unwrap_or_default(), Action::Run)?;
        self.crc.update(input.get(..step.consumed).unwrap_or_default());
        self.data_size += step.consumed as u64;
        self.lzma_size += step.produced as u64;
        Ok(Step { consumed: step.consumed, produced: drained + step.produced, ended: false })
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault> {
        let mut produced = self.drain(output);
        if !self.trailer_made {
            let rest = output.get_mut(produced..).unwrap_or_default();
            let step = process(&mut self.stream, &[], rest, Action::Finish)?;
            self.lzma_size += step.produced as u64;
            produced += step.produced;
            if step.ended {
                self.make_trailer();
                produced += self.drain(output.get_mut(produced..).unwrap_or_default());
            }
        }
        Ok(Step { consumed: 0, produced, ended: self.trailer_made && self.pending.is_empty() })
    }
}
