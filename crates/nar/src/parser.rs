//! The one reading of the format: a state machine that is pushed bytes in any chunks and answers with tokens.
//!
//! Decoder, checker, listing, content hash and restore all stand on it, so they agree on what a NAR is. It does no
//! I/O, never looks back, and holds nothing but the names of the open directories and at most one incomplete string.

mod item;

use crate::error::{FormatError, FormatErrorKind as Kind};
use crate::limits::Limits;
use crate::wire::{self, padding};
use item::{State, content_of, gather, item_length};

/// A piece of a NAR, in the order in which it stands there.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Token<'a> {
    /// A directory begins.
    Directory,
    /// The directory has an entry of this name, whose node follows.
    Entry(&'a [u8]),
    /// The directory ends.
    EndDirectory,
    /// A file begins, whose contents start at `offset`.
    Regular { executable: bool, size: u64, offset: u64 },
    /// Some of the file's contents, never empty.
    Contents(&'a [u8]),
    /// The file ends; all its contents were there.
    EndRegular,
    /// A symlink.
    Symlink(&'a [u8]),
}

#[derive(Debug)]
pub(crate) struct Parser {
    limits: Limits,
    state: State,
    /// Where `state` begins, in bytes from the start of the NAR.
    offset: u64,
    /// What has arrived of a string that is not complete yet.
    partial: Vec<u8>,
    /// The name of the current entry of each open directory, the root's first. Only the first `depth` are in use;
    /// the others are kept for their memory.
    names: Vec<Vec<u8>>,
    depth: usize,
    target: Vec<u8>,
    executable: bool,
    failed: Option<FormatError>,
}

impl Parser {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Magic,
            offset: 0,
            partial: Vec::new(),
            names: Vec::new(),
            depth: 0,
            target: Vec::new(),
            executable: false,
            failed: None,
        }
    }

    /// How much of the NAR has been understood or kept, in bytes: everything it was given but what it left in
    /// `input`.
    pub(crate) fn offset(&self) -> u64 {
        self.offset + self.partial.len() as u64
    }

    /// Whether the NAR is complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::End
    }

    /// How many bytes of the current file's contents are still to come.
    pub(crate) fn contents_left(&self) -> u64 {
        if let State::Contents { left, .. } = self.state { left } else { 0 }
    }

    /// The path of the current node below the root, its names joined with slashes. After a token, that is the node of
    /// the token, also when it ends there: an entry is not left before its own closing word.
    pub(crate) fn path(&self) -> Vec<u8> {
        // Between two entries of a directory, the node is the directory.
        let between =
            matches!(self.state, State::EntryOrClose | State::OpenEntry | State::NameTag | State::Name);
        let length = self.depth.saturating_sub(usize::from(between));
        self.names.get(..length).unwrap_or_default().join(&b'/')
    }

    /// Takes the next token off `input`, or nothing when `input` is used up or the NAR is complete (then whatever
    /// is left in `input` does not belong to it).
    ///
    /// # Errors
    ///
    /// When the NAR is not one. The error is repeated by every later call.
    pub(crate) fn advance<'p, 'i: 'p>(
        &'p mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Token<'p>>, FormatError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            match self.state {
                State::End => return Ok(None),
                State::Contents { left: 0, padding } => self.state = State::Padding(padding),
                State::Contents { left, padding } => {
                    let length = left.min(input.len() as u64);
                    if length == 0 {
                        return Ok(None);
                    }
                    let (contents, rest) = input.split_at(usize::try_from(length).unwrap_or(input.len()));
                    *input = rest;
                    self.state = State::Contents { left: left - length, padding };
                    self.offset += length;
                    return Ok(Some(Token::Contents(contents)));
                }
                state => {
                    // Taken out, so that the string may lie in it while the rest of `self` changes.
                    let mut partial = std::mem::take(&mut self.partial);
                    let step = match gather(state, &self.limits, &mut partial, input) {
                        Ok(Some(item)) => self.accept(state, item),
                        Ok(None) => {
                            self.partial = partial;
                            return Ok(None);
                        }
                        Err(kind) => Err(kind),
                    };
                    partial.clear();
                    self.partial = partial;
                    match step {
                        Ok(Step::On) => {}
                        Ok(step) => return Ok(Some(self.token(&step))),
                        Err(kind) => return Err(self.fail(kind)),
                    }
                }
            }
        }
    }

    /// Says that nothing more will come.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete.
    pub(crate) fn finish(&mut self) -> Result<(), FormatError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.is_finished() => Ok(()),
            None => Err(self.fail(Kind::UnexpectedEnd { expected: self.state.expected() })),
        }
    }

    /// The error for bytes after the end of the NAR.
    pub(crate) fn trailing_data(&mut self) -> FormatError {
        self.fail(Kind::TrailingData)
    }

    /// How many more bytes the NAR has at the least, whatever they say: so many may be read without reading past
    /// its end.
    pub(crate) fn at_least(&self) -> u64 {
        const CLOSE: u64 = 16;
        // An empty directory: `(`, `type`, `directory`, `)`.
        const SMALLEST_NODE: u64 = 16 + 16 + 24 + CLOSE;
        let (own, in_entry) = match self.state {
            State::Magic => (24 + SMALLEST_NODE, true),
            State::Open => (SMALLEST_NODE, true),
            State::Type => (SMALLEST_NODE - 16, true),
            State::Kind => (SMALLEST_NODE - 32, true),
            State::RegularTag | State::ContentsTag => (40, true),
            State::ExecutableValue => (48, true),
            State::Size => (8 + CLOSE, true),
            State::Contents { left, padding } => (left + u64::from(padding) + CLOSE, true),
            State::Padding(padding) => (u64::from(padding) + CLOSE, true),
            State::TargetTag => (16 + 16 + CLOSE, true),
            State::Target => (16 + CLOSE, true),
            State::CloseRegular | State::CloseSymlink => (CLOSE, true),
            State::EntryOrClose => (0, false),
            State::OpenEntry => (64 + SMALLEST_NODE, true),
            State::NameTag => (48 + SMALLEST_NODE, true),
            State::Name => (32 + SMALLEST_NODE, true),
            State::NodeTag => (16 + SMALLEST_NODE, true),
            State::CloseEntry => (0, true),
            State::End => return 0,
        };
        // Names and targets are counted with the least they can have, until their length is known.
        let longer = match self.state {
            State::Name | State::Target => item_length(self.state, &self.limits, &self.partial)
                .map_or(0, |length| length.saturating_sub(16)),
            _ => 0,
        };
        let directories = self.depth as u64;
        let entries = if in_entry { directories } else { directories.saturating_sub(1) };
        let total = (own + CLOSE * (directories + entries)).saturating_add(longer as u64);
        // Where a word stands that is too long to be right, one byte more will tell.
        total.saturating_sub(self.partial.len() as u64).max(1)
    }

    fn fail(&mut self, kind: Kind) -> FormatError {
        let error = FormatError { offset: self.offset, path: self.path(), kind };
        self.failed = Some(error.clone());
        error
    }

    /// Understands one complete item: a string with its length and padding, the size of a file, or padding.
    fn accept(&mut self, state: State, item: &[u8]) -> Result<Step, Kind> {
        let string = content_of(state, item)?;
        let step = match state {
            State::Magic if string == wire::MAGIC => self.go(State::Open),
            State::Magic => return Err(Kind::NotAnArchive),
            State::Open if self.depth >= self.limits.depth => {
                return Err(Kind::TooDeep { limit: self.limits.depth });
            }
            State::Open => self.word(string, b"(", State::Type)?,
            State::Type => self.word(string, b"type", State::Kind)?,
            State::Kind => match string {
                b"regular" => self.go(State::RegularTag),
                b"symlink" => self.go(State::TargetTag),
                b"directory" => self.open_directory(),
                _ => return Err(unexpected(state, string)),
            },
            State::RegularTag => match string {
                b"contents" => {
                    self.executable = false;
                    self.go(State::Size)
                }
                b"executable" => self.go(State::ExecutableValue),
                _ => return Err(unexpected(state, string)),
            },
            State::ExecutableValue => self.word(string, b"", State::ContentsTag)?,
            State::ContentsTag => {
                self.executable = true;
                self.word(string, b"contents", State::Size)?
            }
            State::Size => self.begin_contents(string)?,
            State::Padding(_) => self.go(State::CloseRegular),
            State::CloseRegular => {
                self.close_node(state, string)?;
                Step::EndRegular
            }
            State::TargetTag => self.word(string, b"target", State::Target)?,
            State::Target => self.read_target(string)?,
            State::CloseSymlink => {
                self.close_node(state, string)?;
                Step::Symlink
            }
            State::EntryOrClose => match string {
                b"entry" => self.go(State::OpenEntry),
                b")" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.after_node();
                    Step::EndDirectory
                }
                _ => return Err(unexpected(state, string)),
            },
            State::OpenEntry => self.word(string, b"(", State::NameTag)?,
            State::NameTag => self.word(string, b"name", State::Name)?,
            State::Name => self.read_name(string)?,
            State::NodeTag => self.word(string, b"node", State::Open)?,
            State::CloseEntry => self.word(string, b")", State::EntryOrClose)?,
            State::Contents { .. } | State::End => Step::On,
        };
        self.offset += item.len() as u64;
        if let Step::Regular { offset, .. } = &step {
            debug_assert_eq!(*offset, self.offset);
        }
        Ok(step)
    }

    fn go(&mut self, next: State) -> Step {
        self.state = next;
        Step::On
    }

    fn word(&mut self, found: &[u8], expected: &'static [u8], next: State) -> Result<Step, Kind> {
        if found == expected { Ok(self.go(next)) } else { Err(unexpected(self.state, found)) }
    }

    fn open_directory(&mut self) -> Step {
        match self.names.get_mut(self.depth) {
            Some(name) => name.clear(),
            None => self.names.push(Vec::new()),
        }
        self.depth += 1;
        self.state = State::EntryOrClose;
        Step::Directory
    }

    fn begin_contents(&mut self, size: &[u8]) -> Result<Step, Kind> {
        let size = u64::from_le_bytes(size.try_into().unwrap_or_default());
        let offset = self.offset + 8;
        // Half of the range is left free, so that no sum of offsets in here can overflow.
        if size > (1 << 63) - 1 || offset + size > (1 << 63) - 1 {
            return Err(Kind::TooLarge { size });
        }
        self.state = State::Contents { left: size, padding: padding(size) as u8 };
        Ok(Step::Regular { size, offset })
    }

    fn read_target(&mut self, target: &[u8]) -> Result<Step, Kind> {
        if target.is_empty() || target.contains(&0) {
            return Err(Kind::InvalidTarget { target: target.iter().copied().take(64).collect() });
        }
        self.target.clear();
        self.target.extend_from_slice(target);
        Ok(self.go(State::CloseSymlink))
    }

    fn read_name(&mut self, name: &[u8]) -> Result<Step, Kind> {
        check_name(name)?;
        if let Some(previous) = self.depth.checked_sub(1).and_then(|top| self.names.get_mut(top)) {
            check_order(previous, name)?;
            previous.clear();
            previous.extend_from_slice(name);
        }
        self.state = State::NodeTag;
        Ok(Step::Entry)
    }

    fn close_node(&mut self, state: State, string: &[u8]) -> Result<(), Kind> {
        if string != b")" {
            return Err(unexpected(state, string));
        }
        self.after_node();
        Ok(())
    }

    fn after_node(&mut self) {
        self.state = if self.depth == 0 { State::End } else { State::CloseEntry };
    }

    fn token(&self, step: &Step) -> Token<'_> {
        match *step {
            Step::Directory => Token::Directory,
            Step::Entry => {
                let name = self.depth.checked_sub(1).and_then(|top| self.names.get(top));
                Token::Entry(name.map(Vec::as_slice).unwrap_or_default())
            }
            Step::Regular { size, offset } => Token::Regular { executable: self.executable, size, offset },
            Step::EndRegular => Token::EndRegular,
            Step::Symlink => Token::Symlink(&self.target),
            Step::On | Step::EndDirectory => Token::EndDirectory,
        }
    }
}

/// A token without what it borrows.
enum Step {
    /// No token: another state was entered.
    On,
    Directory,
    Entry,
    EndDirectory,
    Regular {
        size: u64,
        offset: u64,
    },
    EndRegular,
    Symlink,
}

fn unexpected(state: State, found: &[u8]) -> Kind {
    Kind::UnexpectedTag { expected: state.expected(), found: found.to_vec() }
}

/// Checks the name of a directory entry by itself.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Kind> {
    let valid = !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    if valid { Ok(()) } else { Err(Kind::InvalidName { name: name.to_vec() }) }
}

/// Checks that an entry may follow the one before it; `previous` is empty for the first.
pub(crate) fn check_order(previous: &[u8], name: &[u8]) -> Result<(), Kind> {
    match name.cmp(previous) {
        std::cmp::Ordering::Greater => Ok(()),
        std::cmp::Ordering::Equal => Err(Kind::DuplicateName { name: name.to_vec() }),
        std::cmp::Ordering::Less => {
            Err(Kind::UnsortedName { previous: previous.to_vec(), name: name.to_vec() })
        }
    }
}

#[cfg(test)]
mod tests;
