//! Why a NAR could not be restored.

use std::io;
use std::path::PathBuf;

use crate::error::FormatError;

/// Why a NAR could not be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It is not a NAR.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It could not be read.
    #[error("reading a NAR to restore it")]
    Read(#[source] io::Error),
    /// There is something at the target already.
    #[error("`{}` exists already", .path.display())]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// The target has no name of its own, as `/` or `a/..`.
    #[error("`{}` does not name a file that could be created", .path.display())]
    BadTarget {
        /// The target.
        path: PathBuf,
    },
    /// Two names of the NAR are one on the file system, which knows no case or normalises names.
    #[error("file name collision: `{}` exists already, made by an entry of the NAR before it", .path.display())]
    NameCollision {
        /// The file that would be created.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{action} `{}`", .path.display())]
    File {
        /// What was being done: "creating", "writing".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no thread to be had for writing.
    #[error("starting a thread to restore a NAR")]
    Thread(#[source] io::Error),
}

impl From<RestoreError> for io::Error {
    fn from(error: RestoreError) -> Self {
        let kind = match &error {
            RestoreError::Format(_) => io::ErrorKind::InvalidData,
            RestoreError::Read(source) | RestoreError::File { source, .. } | RestoreError::Thread(source) => {
                source.kind()
            }
            RestoreError::TargetExists { .. } | RestoreError::NameCollision { .. } => {
                io::ErrorKind::AlreadyExists
            }
            RestoreError::BadTarget { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
