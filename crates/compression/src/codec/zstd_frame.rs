//! Where a zstd frame ends, found from its headers alone (RFC 8878, section 3.1), without decoding anything.

/// The number that a frame begins with.
const MAGIC: u32 = 0xFD2F_B528;

/// The sixteen numbers that frames begin with that hold no data, the lowest of them.
const SKIPPABLE: u32 = 0x184D_2A50;

/// The longest frame header, its magic number included.
const HEADER: usize = 18;

/// Bytes of a block's header.
const BLOCK_HEADER: usize = 3;

/// What is known of a frame whose first bytes are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// So many bytes from its beginning are needed to know more.
    Needs(usize),
    /// The frame is whole.
    Whole {
        /// Its bytes.
        length: usize,
        /// The bytes that it decodes to.
        content: u64,
    },
    /// It holds no data, and goes on for so many bytes.
    Skippable {
        /// Its bytes, header included.
        length: u64,
    },
    /// Not a frame, or none whose header says how much it holds.
    Unknown,
}

/// Goes from block to block, and remembers where it was.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    header: Option<Header>,
    /// The beginning of the next block's header.
    block: usize,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    content: u64,
    checksum: bool,
}

impl Scanner {
    /// Looks at the bytes of a frame so far, which may be more of them than last time, but never others.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Scan {
        let header = match self.header {
            Some(header) => header,
            None => match header(bytes) {
                Ok((header, length)) => {
                    self.block = length;
                    *self.header.insert(header)
                }
                Err(scan) => return scan,
            },
        };
        loop {
            let Some(&[a, b, c]) = bytes.get(self.block..self.block + BLOCK_HEADER) else {
                return Scan::Needs(self.block + BLOCK_HEADER);
            };
            let word = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let (last, kind, size) = (word & 1 == 1, word >> 1 & 3, word >> 3);
            let length = match kind {
                // One byte, repeated.
                1 => 1,
                0 | 2 => size,
                _ => return Scan::Unknown,
            };
            let end = self.block + BLOCK_HEADER + length;
            if last {
                let length = end + if header.checksum { 4 } else { 0 };
                return if bytes.len() < length {
                    Scan::Needs(length)
                } else {
                    Scan::Whole { length, content: header.content }
                };
            }
            self.block = end;
        }
    }
}

/// A frame's header and its length, or what is to be said instead.
fn header(bytes: &[u8]) -> Result<(Header, usize), Scan> {
    let field = |at: usize, length: usize| bytes.get(at..at + length).map(number);
    let magic = field(0, 4).ok_or(Scan::Needs(4))? as u32;
    if magic & !0xF == SKIPPABLE {
        let length = field(4, 4).ok_or(Scan::Needs(8))?;
        return Err(Scan::Skippable { length: 8 + length });
    }
    if magic != MAGIC {
        return Err(Scan::Unknown);
    }
    let descriptor = field(4, 1).ok_or(Scan::Needs(5))?;
    let single_segment = descriptor >> 5 & 1 == 1;
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize];
    let (size, offset) = match descriptor >> 6 {
        0 if single_segment => (1, 0),
        0 => return Err(Scan::Unknown),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let at = 5 + window + dictionary;
    debug_assert!(at + size <= HEADER, "the longest header is the sum of the longest fields");
    let content = field(at, size).ok_or(Scan::Needs(at + size))?.saturating_add(offset);
    Ok((Header { content, checksum: descriptor >> 2 & 1 == 1 }, at + size))
}

/// A little-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Scans as bytes come in, no more of them than asked for.
    fn scan(bytes: &[u8]) -> Scan {
        let mut scanner = Scanner::default();
        let mut have = 0;
        loop {
            match scanner.scan(&bytes[..have]) {
                Scan::Needs(more) if more <= bytes.len() => {
                    assert!(more > have);
                    have = more;
                }
                other => return other,
            }
        }
    }

    #[test]
    fn every_frame_ends_where_zstd_says() {
        let data: Vec<u8> = (0..700_000u32).map(|index| (index / 9 % 253) as u8).collect();
        for size in [0, 1, 255, 256, 70_000, 131_072, 700_000] {
            for checksum in [false, true] {
                let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
                compressor.include_checksum(checksum).unwrap();
                let mut frame = compressor.compress(&data[..size]).unwrap();
                let length = frame.len();
                frame.extend_from_slice(b"more");
                assert_eq!(scan(&frame), Scan::Whole { length, content: size as u64 });
                for cut in 0..length {
                    assert!(matches!(scan(&frame[..cut]), Scan::Needs(_)), "{size} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_stream_without_its_size_is_not_planned_for() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(b"at the first byte nobody knows").unwrap();
        encoder.flush().unwrap();
        encoder.write_all(b"how many there will be").unwrap();
        assert_eq!(scan(&encoder.finish().unwrap()), Scan::Unknown);
        assert_eq!(scan(b"something else"), Scan::Unknown);
    }

    #[test]
    fn a_skippable_frame_says_how_long_it_is() {
        assert_eq!(scan(&[0x5E, 0x2A, 0x4D, 0x18, 5, 0, 0, 0, 1, 2]), Scan::Skippable { length: 13 });
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_the_scan_ends(bytes in proptest::collection::vec(0u8.., 0..300)) {
            scan(&bytes);
            scan(&[&MAGIC.to_le_bytes(), bytes.as_slice()].concat());
        }
    }
}
