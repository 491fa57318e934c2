//! A tree that grows from a NAR pushed in chunks.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::file::File;
use super::{RestoreError, RestoreOptions, RestoreSummary, Trailing};
use crate::canonical;
use crate::case_hack::DiskNames;
use crate::directory::{OpenDirectories, open_directory};
use crate::metadata::{MODE_EXECUTABLE, seal, store_times};
use crate::parser::{Parser, Token};

/// Restores a NAR that is pushed to it in chunks of any size; [`restore`](crate::restore) is made of it.
///
/// As a `Write` it accepts exactly one NAR. Its errors are `io::Error`s that hold a [`RestoreError`]; after one, the
/// rest of the NAR is refused. When it is dropped before [`RestoreSink::finish`], a part of the tree stays.
#[derive(Debug)]
pub struct RestoreSink {
    parser: Parser,
    tree: Tree,
    failed: bool,
}

impl RestoreSink {
    /// Prepares for restoring to `target`, which must not exist, though its parent directory must. Nothing is created
    /// yet.
    ///
    /// # Errors
    ///
    /// When the parent directory cannot be opened, or `target` has no name of its own.
    pub fn create(target: &Path, options: &RestoreOptions) -> Result<Self, RestoreError> {
        let path = target.to_path_buf();
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(RestoreError::BadTarget { path });
        };
        let name = name.as_bytes().to_vec();
        let Ok(target_name) = CString::new(name.clone()) else {
            return Err(RestoreError::BadTarget { path });
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(parent, flags, Mode::empty());
        let parent_fd = opened.map_err(|error| RestoreError::File {
            action: "opening the directory",
            path: parent.to_path_buf(),
            source: error.into(),
        })?;
        Ok(Self {
            parser: Parser::new(options.limits),
            tree: Tree {
                target: path,
                options: options.clone(),
                parent: parent_fd,
                target_name,
                name,
                open: OpenDirectories::default(),
                disk_names: Vec::new(),
                file: None,
                summary: RestoreSummary::default(),
            },
            failed: false,
        })
    }

    /// Restores the next bytes and returns how many of them belong to the NAR: all, until it is complete.
    ///
    /// # Errors
    ///
    /// When the NAR is wrong or the file system refuses. After that every call fails.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, RestoreError> {
        if self.failed {
            let source = io::Error::other("an earlier error ended the restore");
            return Err(RestoreError::File { action: "restoring", path: self.tree.target.clone(), source });
        }
        let taken = self.push_tokens(bytes);
        self.failed = taken.is_err();
        taken
    }

    /// [`RestoreSink::push`], with bytes after the NAR as an error unless they do not matter.
    ///
    /// # Errors
    ///
    /// Those of [`RestoreSink::push`], and when more bytes come than the NAR has.
    pub fn push_all(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        if self.push(bytes)? < bytes.len() && self.tree.options.trailing != Trailing::Ignore {
            self.failed = true;
            return Err(self.parser.trailing_data().into());
        }
        Ok(())
    }

    /// Whether the NAR is complete, and nothing that may follow matters.
    pub(super) fn is_done(&self) -> bool {
        self.tree.options.trailing == Trailing::Ignore && self.is_finished()
    }

    /// Whether the NAR is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.parser.is_finished()
    }

    /// How many more bytes the NAR has at the least, 0 when it is complete.
    #[must_use]
    pub fn at_least(&self) -> u64 {
        self.parser.at_least()
    }

    /// Says that nothing more will come.
    ///
    /// # Errors
    ///
    /// When the NAR is not complete.
    pub fn finish(mut self) -> Result<RestoreSummary, RestoreError> {
        self.parser.finish()?;
        self.tree.finish()?;
        Ok(RestoreSummary { nar_size: self.parser.offset(), ..self.tree.summary })
    }

    fn push_tokens(&mut self, bytes: &[u8]) -> Result<usize, RestoreError> {
        let mut input = bytes;
        loop {
            let done = match self.parser.advance(&mut input) {
                Ok(Some(token)) => self.tree.take(&token),
                Ok(None) => return Ok(bytes.len() - input.len()),
                Err(error) => return Err(error.into()),
            };
            done.map_err(|failure| self.explain(failure))?;
        }
    }

    fn explain(&self, failure: Failure) -> RestoreError {
        let below = self.parser.path();
        let at_root = below.is_empty();
        let path =
            if at_root { self.tree.target.clone() } else { self.tree.target.join(OsStr::from_bytes(&below)) };
        let exists = failure.creating && failure.source.kind() == io::ErrorKind::AlreadyExists;
        match (exists, at_root) {
            (true, true) => RestoreError::TargetExists { path },
            (true, false) => RestoreError::NameCollision { path },
            (false, _) => RestoreError::File { action: failure.action, path, source: failure.source },
        }
    }
}

impl io::Write for RestoreSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A refusal of the file system; which path it is about, the parser knows.
struct Failure {
    action: &'static str,
    creating: bool,
    source: io::Error,
}

fn creating(source: impl Into<io::Error>) -> Failure {
    Failure { action: "creating", creating: true, source: source.into() }
}

fn writing(source: impl Into<io::Error>) -> Failure {
    Failure { action: "writing", creating: false, source: source.into() }
}

fn opening(source: impl Into<io::Error>) -> Failure {
    Failure { action: "opening", creating: false, source: source.into() }
}

fn sealing(source: impl Into<io::Error>) -> Failure {
    Failure { action: "setting the metadata of", creating: false, source: source.into() }
}

/// The part of the tree that exists, and the place in it where the next node goes.
#[derive(Debug)]
struct Tree {
    target: PathBuf,
    options: RestoreOptions,
    /// The directory around the target.
    parent: OwnedFd,
    /// The name of the target in there.
    target_name: CString,
    /// The name on disk of the next node.
    name: Vec<u8>,
    open: OpenDirectories,
    /// For each open directory its names, when the case hack is on.
    disk_names: Vec<DiskNames>,
    file: Option<File>,
    summary: RestoreSummary,
}

impl Tree {
    fn take(&mut self, token: &Token<'_>) -> Result<(), Failure> {
        match *token {
            Token::Entry(name) => self.choose_name(name),
            Token::Regular { executable, size, .. } => {
                self.summary.files += 1;
                self.summary.contents += size;
                let file = File::create(self.place(), &self.name, executable, self.options.sparse);
                self.file = Some(file.map_err(creating)?);
                Ok(())
            }
            Token::Contents(contents) => match &mut self.file {
                Some(file) => file.write(contents).map_err(writing),
                None => Ok(()),
            },
            Token::EndRegular => match self.file.take() {
                Some(file) => file.finish(self.options.canonical, self.options.owner).map_err(sealing),
                None => Ok(()),
            },
            Token::Symlink(target) => self.symlink(target),
            Token::Directory => self.enter(),
            Token::EndDirectory => self.leave(),
        }
    }

    /// The directory in which the next node is created.
    fn place(&self) -> BorrowedFd<'_> {
        self.open.top().unwrap_or_else(|| self.parent.as_fd())
    }

    fn choose_name(&mut self, name: &[u8]) -> Result<(), Failure> {
        self.name.clear();
        match self.disk_names.last_mut() {
            Some(disk_names) => {
                let on_disk = disk_names.choose(name).map_err(|_| creating(Errno::EXIST))?;
                self.name.extend_from_slice(&on_disk);
            }
            None => self.name.extend_from_slice(name),
        }
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), Failure> {
        self.summary.symlinks += 1;
        rustix::fs::symlinkat(target, self.place(), self.name.as_slice()).map_err(creating)?;
        if let Some(owner) = self.options.owner {
            let (uid, gid) = owner.ids();
            let name = self.name.as_slice();
            rustix::fs::chownat(self.place(), name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(sealing)?;
        }
        if self.options.canonical {
            let name = self.name.as_slice();
            rustix::fs::utimensat(self.place(), name, &store_times(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(sealing)?;
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Failure> {
        self.summary.directories += 1;
        rustix::fs::mkdirat(self.place(), self.name.as_slice(), Mode::from_raw_mode(0o777))
            .map_err(creating)?;
        let directory = open_directory(self.place(), self.name.as_slice()).map_err(opening)?;
        self.open.push(directory).map_err(opening)?;
        if self.options.case_hack {
            self.disk_names.push(DiskNames::default());
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Failure> {
        if let Some(directory) = self.open.top() {
            // Only now that nothing more is created in it, which would change its time and need its write bit.
            if self.options.canonical {
                seal(directory, MODE_EXECUTABLE, self.options.owner).map_err(sealing)?;
            } else if let Some(owner) = self.options.owner {
                let (uid, gid) = owner.ids();
                rustix::fs::fchown(directory, uid, gid).map_err(sealing)?;
            }
        }
        self.disk_names.pop();
        self.open.pop().map_err(opening)
    }

    fn finish(&self) -> Result<(), RestoreError> {
        if self.options.canonical && canonical::bequeaths_attributes(self.parent.as_fd()) {
            let options = canonical::CanonicalOptions { owner: self.options.owner };
            canonical::canonicalise_at(self.parent.as_fd(), &self.target_name, &self.target, &options)
                .map_err(|error| RestoreError::File {
                    action: "setting the metadata of",
                    path: self.target.clone(),
                    source: io::Error::other(error),
                })?;
        }
        Ok(())
    }
}
