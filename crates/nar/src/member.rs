//! One file out of a NAR by its listing, without reading the rest.

use std::io::{self, Read, Seek, SeekFrom};

use nars3_narinfo::Node;

/// Why a file of a NAR could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The node is a directory or a symlink.
    #[error("not a regular file but a {found}")]
    NotRegular {
        /// What it is.
        found: &'static str,
    },
    /// The listing does not say where the contents are.
    #[error("the listing has no `narOffset` for the file")]
    NoOffset,
    /// The NAR says otherwise: it is not the one that was listed.
    #[error("the listing gives the file at NAR offset {offset} {listed} bytes, the NAR gives it {found}")]
    WrongSize {
        /// Where the contents should start, in bytes from the start of the NAR.
        offset: u64,
        /// The size in the listing.
        listed: u64,
        /// What stands in the NAR in the place of the size.
        found: u64,
    },
    /// The NAR could not be read.
    #[error("reading a NAR at offset {offset}")]
    Read {
        /// Where, in bytes from the start of the NAR.
        offset: u64,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
}

/// The contents of one file of a NAR, read and sought within as if they were a file of their own.
///
/// A NAR that ends before the contents do is an error of kind `UnexpectedEof`.
#[derive(Debug)]
pub struct Member<R> {
    nar: R,
    offset: u64,
    size: u64,
    position: u64,
}

impl<R: Read + Seek> Member<R> {
    /// Opens the contents of `node`, taken from the listing of `nar`. Of the NAR nothing is read but the size that
    /// stands before the contents, which must be the listed one.
    ///
    /// # Errors
    ///
    /// When the node is not a regular file with an offset, when the NAR has another size there, or cannot be read.
    pub fn open(mut nar: R, node: &Node) -> Result<Self, MemberError> {
        let (offset, size) = match node {
            Node::Regular { size, nar_offset: Some(offset), .. } => (*offset, *size),
            Node::Regular { .. } => return Err(MemberError::NoOffset),
            Node::Directory { .. } => return Err(MemberError::NotRegular { found: "directory" }),
            Node::Symlink { .. } => return Err(MemberError::NotRegular { found: "symlink" }),
        };
        let start = offset.checked_sub(8).ok_or(MemberError::NoOffset)?;
        let mut found = [0; 8];
        nar.seek(SeekFrom::Start(start))
            .and_then(|_| nar.read_exact(&mut found))
            .map_err(|source| MemberError::Read { offset: start, source })?;
        let found = u64::from_le_bytes(found);
        if found != size {
            return Err(MemberError::WrongSize { offset, listed: size, found });
        }
        Ok(Self { nar, offset, size, position: 0 })
    }

    /// The length of the contents in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The NAR itself.
    pub fn into_inner(self) -> R {
        self.nar
    }
}

impl<R: Read> Read for Member<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let length = left.min(out.len());
        if length == 0 {
            return Ok(0);
        }
        let count = self.nar.read(out.get_mut(..length).unwrap_or_default())?;
        if count == 0 {
            let message = format!("the NAR ends {left} bytes before the file at offset {} does", self.offset);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Member<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        let place = position.and_then(|position| Some((position, self.offset.checked_add(position)?)));
        let (position, place) = place.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek to before the start or far past the end of a file",
            )
        })?;
        self.nar.seek(SeekFrom::Start(place))?;
        self.position = position;
        Ok(position)
    }
}
