//! The table at the end of a zstd file of several frames that says where each of them is: zstd's seekable format
//! (`contrib/seekable_format` of zstd). It is a frame that holds no data, so every decoder passes over it.

use std::ops::Range;

/// The number that the table's frame begins with: one of the sixteen of frames without data.
const MAGIC: u32 = 0x184D_2A5E;

/// The number that the file ends with.
const FOOTER_MAGIC: u32 = 0x8F92_EAB1;

/// Bytes before the entries: the frame's number, and its length.
const HEADER: u64 = 8;

/// Bytes behind them: their count, a byte of flags, and the number at the end.
const FOOTER: u64 = 9;

/// Bytes of an entry without a checksum.
const ENTRY: u64 = 8;

/// More frames than this are not believed: 16 MiB each, that is 64 TiB.
const MOST_FRAMES: u64 = 1 << 22;

/// Where the frames of a file are, and what each holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SeekTable {
    /// Bytes of each frame, and bytes that it decodes to.
    frames: Vec<(u32, u32)>,
}

/// A part of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located {
    /// The whole frames that hold what was looked for, in bytes of the file.
    pub file: Range<u64>,
    /// Bytes that they decode to before what was looked for.
    pub skip: u64,
}

impl SeekTable {
    /// Bytes of the table of a file with so many frames, as it is written here.
    pub fn length(frames: u64) -> u64 {
        HEADER + ENTRY * frames + FOOTER
    }

    /// Notes one more frame. False when it is too large for the format.
    pub(crate) fn push(&mut self, compressed: usize, content: usize) -> bool {
        match (u32::try_from(compressed), u32::try_from(content)) {
            (Ok(compressed), Ok(content)) => {
                self.frames.push((compressed, content));
                true
            }
            _ => false,
        }
    }

    /// The table as it stands at the end of a file.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let count = u32::try_from(self.frames.len()).ok()?;
        let length = Self::length(u64::from(count));
        let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(length - HEADER).ok()?.to_le_bytes());
        for (compressed, content) in &self.frames {
            bytes.extend_from_slice(&compressed.to_le_bytes());
            bytes.extend_from_slice(&content.to_le_bytes());
        }
        bytes.extend_from_slice(&count.to_le_bytes());
        // No checksums: the frames have their own.
        bytes.push(0);
        bytes.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        Some(bytes)
    }

    /// Reads a table; `end` is the end of a file, and exactly the table. `None` if it is none, or does not fit into a file
    /// of `file_size` bytes together with its frames.
    pub fn parse(end: &[u8], file_size: u64) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(end.get(at..at.checked_add(4)?)?.try_into().ok()?));
        let footer = end.len().checked_sub(FOOTER as usize)?;
        let count = u64::from(word(footer)?);
        let flags = *end.get(footer + 4)?;
        let length = end.len() as u64;
        if word(footer + 5)? != FOOTER_MAGIC || word(0)? != MAGIC || count > MOST_FRAMES {
            return None;
        }
        // Bit 7 says that there are checksums; bits 2 to 6 must be zero.
        let entry = if flags & 0x80 == 0 { ENTRY } else { ENTRY + 4 };
        if flags & 0x7C != 0
            || length != HEADER + entry * count + FOOTER
            || u64::from(word(4)?) != length - HEADER
        {
            return None;
        }
        let entries = end.get(HEADER as usize..footer)?.chunks_exact(entry as usize);
        let number = |bytes: Option<&[u8]>| Some(u32::from_le_bytes(bytes?.try_into().ok()?));
        let frames = entries.map(|entry| Some((number(entry.get(..4))?, number(entry.get(4..8))?)));
        let table = Self { frames: frames.collect::<Option<_>>()? };
        let compressed: u64 = table.frames.iter().map(|(compressed, _)| u64::from(*compressed)).sum();
        (compressed + length == file_size).then_some(table)
    }

    /// Bytes that the whole file decodes to.
    pub fn content(&self) -> u64 {
        self.frames.iter().map(|(_, content)| u64::from(*content)).sum()
    }

    /// Where `content`, in bytes of what the file decodes to, is found. `None` beyond its end.
    pub fn locate(&self, content: Range<u64>) -> Option<Located> {
        let (mut file, mut plain) = (0u64, 0u64);
        let mut found: Option<Located> = None;
        for (compressed, length) in &self.frames {
            let (frame, end) = (file..file + u64::from(*compressed), plain + u64::from(*length));
            if end > content.start && plain < content.end {
                match &mut found {
                    Some(located) => located.file.end = frame.end,
                    None => found = Some(Located { file: frame.clone(), skip: content.start - plain }),
                }
            }
            (file, plain) = (frame.end, end);
        }
        found.filter(|_| content.end <= plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(frames: &[(usize, usize)]) -> SeekTable {
        let mut table = SeekTable::default();
        assert!(frames.iter().all(|(compressed, content)| table.push(*compressed, *content)));
        table
    }

    #[test]
    fn a_table_comes_back_from_the_end_of_its_file() {
        let table = table(&[(100, 1000), (200, 1000), (50, 10)]);
        let bytes = table.to_bytes().unwrap();
        assert_eq!(bytes.len() as u64, SeekTable::length(3));
        let file_size = 350 + bytes.len() as u64;
        assert_eq!(SeekTable::parse(&bytes, file_size), Some(table));
        assert_eq!(SeekTable::parse(&bytes, file_size + 1), None, "another file's");
        assert_eq!(SeekTable::parse(&bytes[1..], file_size), None);
        for index in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[index] ^= 0x80;
            let parsed = SeekTable::parse(&broken, file_size);
            // What each frame decodes to shows only when it is decoded.
            assert!(parsed.is_none() || (8..bytes.len() - 9).contains(&index), "{index}");
        }
    }

    #[test]
    fn entries_with_checksums_are_understood() {
        let mut bytes = Vec::new();
        for word in [MAGIC, 12 + 9, 70, 700, 0xABCD_EF01, 1] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.push(0x80);
        bytes.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        assert_eq!(SeekTable::parse(&bytes, 70 + bytes.len() as u64), Some(table(&[(70, 700)])));
    }

    #[test]
    fn what_is_looked_for_is_in_the_frames_that_are_found() {
        let table = table(&[(100, 1000), (200, 1000), (50, 10)]);
        let at = |content: Range<u64>| table.locate(content).map(|located| (located.file, located.skip));
        assert_eq!(at(0..1), Some((0..100, 0)));
        assert_eq!(at(999..1001), Some((0..300, 999)));
        assert_eq!(at(1000..2000), Some((100..300, 0)));
        assert_eq!(at(1500..2010), Some((100..350, 500)));
        assert_eq!((at(2009..2011), at(3000..3001)), (None, None));
        assert_eq!(table.content(), 2010);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_nothing_breaks(bytes in proptest::collection::vec(0u8.., 0..100), size: u64) {
            if let Some(table) = SeekTable::parse(&bytes, size) {
                table.locate(0..size);
            }
        }
    }
}
