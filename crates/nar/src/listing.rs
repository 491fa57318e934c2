//! What is in a NAR and where: the listing that goes into a binary cache as `<hash part>.ls`.

use std::collections::BTreeMap;
use std::io::{self, Read};

use nars3_narinfo::{Listing, Node};

use crate::decoder::{DecodeError, read_retrying};
use crate::error::FormatError;
use crate::limits::Limits;
use crate::parser::{Parser, Token};

/// How deeply a listing may nest whatever the limits: its type is recursive, and so are its users.
const DEPTH_CEILING: usize = 512;

/// Why there is no listing of a NAR.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// It is not a NAR.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It could not be read.
    #[error("reading a NAR to list it")]
    Read(#[source] io::Error),
    /// A name or a symlink target is not UTF-8, which JSON cannot hold.
    #[error("no listing: {what} `{}` is not UTF-8", .path.escape_ascii())]
    NotUtf8 {
        /// The file name, or the target of the symlink.
        what: &'static str,
        /// The path of the node in the NAR.
        path: Vec<u8>,
    },
    /// The NAR is valid under its limits, but nests too deeply for a listing.
    #[error("no listing: `{}` is more than {limit} nodes deep", .path.escape_ascii())]
    TooDeep {
        /// The path of the node in the NAR.
        path: Vec<u8>,
        /// The most that a listing holds, the root counted.
        limit: usize,
    },
    /// The NAR is valid, but holds more than a listing may: [`ListingSink::MAX_ENTRIES`] and
    /// [`ListingSink::MAX_TEXT`].
    #[error("no listing: from `{}` on there are more than {limit} {what}", .path.escape_ascii())]
    TooLarge {
        /// The path of the first node that is too much.
        path: Vec<u8>,
        /// What is counted, as a phrase in the plural.
        what: &'static str,
        /// The most that a listing holds of it.
        limit: u64,
    },
}

/// Makes the listing of a NAR that is pushed to it in chunks of any size.
///
/// It never blocks, and its memory is that of the listing, which is bounded. As a `Write` it accepts exactly one NAR;
/// a violation of the format, bytes after the end included, is an `io::Error` that holds a [`FormatError`]. A NAR that
/// cannot be listed though it is valid, because a name is not UTF-8 or because it holds too much, is accepted to its
/// end, and only [`ListingSink::finish`] says so.
#[derive(Debug)]
pub struct ListingSink {
    parser: Parser,
    tree: Tree,
    unlistable: Option<ListingError>,
}

impl ListingSink {
    /// How many directory entries a listing may have. Compressed, a NAR with many millions of them takes next to
    /// nothing, while a listing takes some 150 bytes of memory for each, and 650 for one that is alone in its
    /// directory: so many take 650 MiB at the worst.
    pub const MAX_ENTRIES: u64 = 1_000_000;

    /// How many bytes the names and symlink targets of a listing may have together: 128 MiB.
    pub const MAX_TEXT: u64 = 128 << 20;

    /// A sink with these limits; `default()` takes Nix's.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { parser: Parser::new(limits), tree: Tree::default(), unlistable: None }
    }

    /// Takes the next bytes and returns how many of them belong to the NAR: all, until it is complete.
    ///
    /// # Errors
    ///
    /// When the bytes break the format. The error is repeated by every later call.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, FormatError> {
        let mut input = bytes;
        while let Some(token) = self.parser.advance(&mut input)? {
            if self.unlistable.is_some() {
                continue;
            }
            if let Err(what) = self.tree.take(&token) {
                let path = self.parser.path();
                self.unlistable = Some(match what {
                    Unlistable::NotUtf8(what) => ListingError::NotUtf8 { what, path },
                    Unlistable::TooDeep => ListingError::TooDeep { path, limit: DEPTH_CEILING },
                    Unlistable::TooLarge(what, limit) => ListingError::TooLarge { path, what, limit },
                });
                self.tree = Tree::default();
            }
        }
        Ok(bytes.len() - input.len())
    }

    /// How many bytes the NAR had so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.parser.offset()
    }

    /// Says that nothing more will come, and returns the listing.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete, or cannot be listed.
    pub fn finish(mut self) -> Result<Listing, ListingError> {
        self.parser.finish()?;
        match (self.unlistable, self.tree.root) {
            (Some(error), _) => Err(error),
            (None, Some(root)) => Ok(Listing { root }),
            // A complete NAR has a root.
            (None, None) => Ok(Listing { root: Node::Directory { entries: BTreeMap::new() } }),
        }
    }
}

impl Default for ListingSink {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl io::Write for ListingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.push(bytes)? < bytes.len() {
            return Err(self.parser.trailing_data().into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lists the NAR that a reader holds, whose end must be the end of the reader.
///
/// # Errors
///
/// When the reader fails, the bytes are no NAR, or the NAR cannot be listed.
pub fn list(mut reader: impl Read, limits: Limits) -> Result<Listing, ListingError> {
    let mut sink = ListingSink::new(limits);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = read_retrying(&mut reader, &mut buffer).map_err(ListingError::Read)?;
        if count == 0 {
            return sink.finish();
        }
        if sink.push(buffer.get(..count).unwrap_or_default())? < count {
            return Err(sink.parser.trailing_data().into());
        }
    }
}

impl From<DecodeError> for ListingError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Format(error) => Self::Format(error),
            DecodeError::Read { source, .. } => Self::Read(source),
        }
    }
}

enum Unlistable {
    NotUtf8(&'static str),
    TooDeep,
    TooLarge(&'static str, u64),
}

/// The part of the listing that is known, and the way to the node being read.
#[derive(Debug, Default)]
struct Tree {
    /// The open directories, each with its own name.
    open: Vec<(String, BTreeMap<String, Node>)>,
    /// The name of the node that comes next.
    name: String,
    root: Option<Node>,
    /// How many entries there are so far.
    entries: u64,
    /// How many bytes their names and targets have.
    text: u64,
}

impl Tree {
    fn take(&mut self, token: &Token<'_>) -> Result<(), Unlistable> {
        match *token {
            Token::Directory if self.open.len() >= DEPTH_CEILING => return Err(Unlistable::TooDeep),
            Token::Directory => self.open.push((std::mem::take(&mut self.name), BTreeMap::new())),
            Token::Entry(name) => {
                self.entries += 1;
                if self.entries > ListingSink::MAX_ENTRIES {
                    return Err(Unlistable::TooLarge("entries", ListingSink::MAX_ENTRIES));
                }
                self.count_text(name)?;
                let name = std::str::from_utf8(name).map_err(|_| Unlistable::NotUtf8("file name"))?;
                self.name.clear();
                self.name.push_str(name);
            }
            Token::EndDirectory => {
                if let Some((name, entries)) = self.open.pop() {
                    self.name = name;
                    self.place(Node::Directory { entries });
                }
            }
            Token::Regular { executable, size, offset } => {
                self.place(Node::Regular { executable, size, nar_offset: Some(offset) });
            }
            Token::Symlink(target) => {
                self.count_text(target)?;
                let target =
                    std::str::from_utf8(target).map_err(|_| Unlistable::NotUtf8("symlink target of"))?;
                self.place(Node::Symlink { target: target.to_owned() });
            }
            Token::Contents(_) | Token::EndRegular => {}
        }
        Ok(())
    }

    fn count_text(&mut self, text: &[u8]) -> Result<(), Unlistable> {
        self.text += text.len() as u64;
        if self.text > ListingSink::MAX_TEXT {
            let what = "bytes of names and symlink targets";
            return Err(Unlistable::TooLarge(what, ListingSink::MAX_TEXT));
        }
        Ok(())
    }

    fn place(&mut self, node: Node) {
        let name = std::mem::take(&mut self.name);
        match self.open.last_mut() {
            Some((_, entries)) => {
                entries.insert(name, node);
            }
            None => self.root = Some(node),
        }
    }
}
