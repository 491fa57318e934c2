//! Why a tree could not be dumped.

use std::io;
use std::path::PathBuf;

/// Why a tree could not be dumped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The file system refused.
    #[error("{action} `{}`", .path.display())]
    File {
        /// What was being done: "opening", "reading".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A NAR has no place for this kind of file.
    #[error("`{}` is a {found}: only files, directories and symlinks can be in a NAR", .path.display())]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The tree changed while it was read, so no NAR of it would be true.
    #[error("`{}` changed while it was read: {change}", .path.display())]
    Changed {
        /// The file or directory.
        path: PathBuf,
        /// What happened to it.
        change: Change,
    },
    /// The tree is deeper than the limits allow.
    #[error("`{}` is more than {limit} nodes deep, the most that newer Nix reads from a NAR", .path.display())]
    TooDeep {
        /// The file or directory that is too deep.
        path: PathBuf,
        /// The most that is allowed, the root counted.
        limit: usize,
    },
    /// Without the suffix of the case hack, two files have the same name.
    #[error("`{}` has the same name as `{}` without the suffix of the case hack", .path.display(), .other.display())]
    NameCollision {
        /// One file.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// The output failed.
    #[error("writing a NAR")]
    Write(#[source] io::Error),
}

/// How a file changed while it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It is gone.
    Vanished,
    /// It became another kind of file.
    Replaced,
    /// It has another size.
    Size {
        /// The size in bytes when it was opened.
        opened: u64,
        /// The size in bytes as it was found later; as far as it could be read when it shrank.
        found: u64,
    },
    /// It was written to.
    Modified,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vanished => f.write_str("it is gone"),
            Self::Replaced => f.write_str("it became another kind of file"),
            Self::Size { opened, found } => write!(f, "it had {opened} bytes, then {found}"),
            Self::Modified => f.write_str("it was modified"),
        }
    }
}
