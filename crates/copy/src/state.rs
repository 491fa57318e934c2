//! A file that remembers which paths are at a destination, so that a copy that was broken off need not ask for them again.
//!
//! It is text: three lines that say whose it is, and then a line for each path, written when the path became valid. A line
//! that the end of the process or of the machine has torn is forgotten, which costs a question and nothing else. What is
//! remembered only shortens the plan: a destination still makes sure of the references of whatever it publishes.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nars3_store_api::{Event, Progress};
use nars3_store_path::{StoreDir, StorePath};

/// The first line. The number is that of the format.
const TITLE: &str = "nars3 copy state 1";

/// The largest file that is read: some ten million paths.
const LIMIT: u64 = 1 << 30;

/// A state file cannot be used. All variants name it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file system does not let it.
    #[error("cannot {action} the state file '{}'", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It is some other file, or too damaged to tell.
    #[error("'{}' is not a state file: it begins with '{found}', not with '{TITLE}'", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its first line, shortened.
        found: String,
    },
    /// It belongs to a copy to somewhere else.
    #[error("the state file '{}' is about another copy: {field} is '{found}' there, and '{expected}' here", path.display())]
    OtherCopy {
        /// The file.
        path: PathBuf,
        /// `store-dir` or `to`.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What this copy would say.
        expected: String,
    },
    /// Another copy has it open.
    #[error("the state file '{}' is in use by another copy", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// An open state file.
#[derive(Debug)]
pub struct CopyState {
    path: PathBuf,
    known: Arc<HashSet<StorePath>>,
    ignored: usize,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// What was written since the file was opened.
    written: HashSet<StorePath>,
    /// Set once a write has failed: what would follow a torn line is not worth writing.
    broken: bool,
}

impl CopyState {
    /// Opens the file, or begins a new one, for a copy to `destination`, a name that tells it from every other store.
    /// Blocks, shortly. The file is locked until this value is dropped.
    ///
    /// # Errors
    /// When it cannot be opened, is no state file, is about another destination, or is in use.
    pub fn open(path: &Path, destination: &str, store_dir: &StoreDir) -> Result<Self, StateError> {
        let failed = |action| move |source| StateError::File { action, path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let mut bytes = Vec::new();
        (&mut file).take(LIMIT).read_to_end(&mut bytes).map_err(failed("read"))?;
        let header = format!("{TITLE}\nstore-dir {store_dir}\nto {destination}\n");
        let lines = if header.as_bytes().starts_with(&bytes) {
            // New, or ended while it was being begun.
            file.rewind().and_then(|()| file.write_all(header.as_bytes())).map_err(failed("write"))?;
            &[]
        } else {
            check_header(path, &bytes, destination, store_dir)?
        };
        // What follows the last line break is torn.
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (known, ignored) = read_paths(lines.get(..whole).unwrap_or_default());
        let end = if lines.is_empty() { header.len() } else { bytes.len() - lines.len() + whole } as u64;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(failed("write"))?;
        let tail = Tail { file, written: HashSet::new(), broken: false };
        Ok(Self { path: path.to_owned(), known: Arc::new(known), ignored, tail: Mutex::new(tail) })
    }

    /// The paths that were at the destination when the file was opened.
    pub fn known(&self) -> &Arc<HashSet<StorePath>> {
        &self.known
    }

    /// How many lines of the file were not understood, and are ignored.
    pub fn ignored_lines(&self) -> usize {
        self.ignored
    }

    /// Remembers that `paths` are at the destination, with all that they refer to. A file that cannot be written any
    /// more costs questions later, not this copy.
    pub fn record<'a>(&self, paths: impl IntoIterator<Item = &'a StorePath>) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for path in paths {
            if !self.known.contains(path) && tail.written.insert(path.clone()) {
                lines.push_str(path.as_ref());
                lines.push('\n');
            }
        }
        if lines.is_empty() || tail.broken {
            return;
        }
        // One write, into the memory of the system: it outlives this process whatever becomes of it.
        if let Err(error) = tail.file.write_all(lines.as_bytes()) {
            tail.broken = true;
            tracing::warn!(file = %self.path.display(), %error, "the state of the copy is not written any more");
        }
    }

    /// An observer that remembers each path that is finished, and tells `next` everything.
    pub fn observer(self: &Arc<Self>, next: Arc<dyn Progress>) -> Arc<dyn Progress> {
        Arc::new(Recorder { state: Arc::clone(self), next })
    }
}

#[derive(Debug)]
struct Recorder {
    state: Arc<CopyState>,
    next: Arc<dyn Progress>,
}

impl Progress for Recorder {
    fn report(&self, event: Event<'_>) {
        if let Event::PathFinished { path, .. } = event {
            self.state.record([path]);
        }
        self.next.report(event);
    }
}

/// The lines behind the header, which must be that of a copy to `destination`.
fn check_header<'a>(
    path: &Path,
    bytes: &'a [u8],
    destination: &str,
    store_dir: &StoreDir,
) -> Result<&'a [u8], StateError> {
    let (title, rest) = line(bytes);
    if title != TITLE.as_bytes() {
        let found: String = String::from_utf8_lossy(title).chars().take(40).collect();
        return Err(StateError::Foreign { path: path.to_owned(), found: found.escape_default().to_string() });
    }
    let mut rest = rest;
    for (field, expected) in [("store-dir", store_dir.to_string()), ("to", destination.to_owned())] {
        let (text, behind) = line(rest);
        let text = String::from_utf8_lossy(text);
        let found = text.strip_prefix(field).and_then(|text| text.strip_prefix(' ')).unwrap_or_default();
        if found != expected {
            let found = found.to_owned();
            return Err(StateError::OtherCopy { path: path.to_owned(), field, found, expected });
        }
        rest = behind;
    }
    Ok(rest)
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
}

/// The store paths, one a line, and how many lines are none.
fn read_paths(lines: &[u8]) -> (HashSet<StorePath>, usize) {
    let mut paths = HashSet::new();
    let mut ignored = 0;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match std::str::from_utf8(line).ok().and_then(|text| StorePath::from_base_name(text).ok()) {
            Some(path) => {
                paths.insert(path);
            }
            None => ignored += 1,
        }
    }
    (paths, ignored)
}

#[cfg(test)]
mod tests {
    use nars3_store_api::NoProgress;

    use super::*;
    use crate::test_store::path;

    fn open(file: &Path) -> Result<CopyState, StateError> {
        CopyState::open(file, "s3://bucket", &StoreDir::default())
    }

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state");
        (directory, file)
    }

    #[test]
    fn what_was_recorded_is_known_the_next_time() {
        let (_directory, file) = temporary();
        let state = Arc::new(open(&file).unwrap());
        assert!(state.known().is_empty());
        state.record([&path("a"), &path("b"), &path("a")]);
        let observer = state.observer(Arc::new(NoProgress));
        observer.report(Event::PathFinished { path: &path("c"), nar_size: 1 });
        drop((state, observer));
        let again = open(&file).unwrap();
        assert_eq!(**again.known(), HashSet::from([path("a"), path("b"), path("c")]));
        again.record([&path("a")]);
        drop(again);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3 + 3);
    }

    #[test]
    fn wherever_a_write_was_torn_what_is_whole_counts() {
        let (_directory, file) = temporary();
        open(&file).unwrap().record([&path("a"), &path("b")]);
        let whole = std::fs::read(&file).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&file, &whole[..length]).unwrap();
            let state = open(&file).unwrap();
            let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(state.known().len(), lines.saturating_sub(3), "{length} bytes");
            state.record([&path("a"), &path("b")]);
            drop(state);
            assert_eq!(open(&file).unwrap().known().len(), 2, "{length} bytes");
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_ignored_and_counted() {
        let (_directory, file) = temporary();
        open(&file).unwrap().record([&path("a")]);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend_from_slice(b"\0\0\0\0\nnot a path\n");
        std::fs::write(&file, bytes).unwrap();
        let state = open(&file).unwrap();
        assert_eq!((state.known().len(), state.ignored_lines()), (1, 2));
    }

    #[test]
    fn a_file_that_is_something_else_is_left_as_it_is() {
        let (_directory, file) = temporary();
        std::fs::write(&file, "my diary\n").unwrap();
        let error = open(&file).unwrap_err();
        assert!(matches!(error, StateError::Foreign { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "my diary\n");
    }

    #[test]
    fn the_state_of_another_copy_is_refused() {
        let (_directory, file) = temporary();
        drop(open(&file).unwrap());
        let error = CopyState::open(&file, "s3://other", &StoreDir::default()).unwrap_err();
        assert!(error.to_string().contains("s3://bucket"), "{error}");
        let elsewhere = StoreDir::new("/elsewhere/store").unwrap();
        let error = CopyState::open(&file, "s3://bucket", &elsewhere).unwrap_err();
        assert!(matches!(error, StateError::OtherCopy { field: "store-dir", .. }), "{error}");
    }

    #[test]
    fn two_copies_do_not_share_a_file() {
        let (_directory, file) = temporary();
        let _first = open(&file).unwrap();
        assert!(matches!(open(&file), Err(StateError::InUse { .. })));
    }
}
