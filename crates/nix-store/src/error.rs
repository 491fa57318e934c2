//! Errors of this crate's own, and short ways to the errors of the store trait.

use std::io;
use std::path::Path;

use nars3_store_api::{BoxError, StoreError};
use nars3_store_path::StorePath;

use crate::layout::Layout;

/// What can be wrong with a local store as such. Reaches callers as the source of a `StoreError`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalStoreError {
    /// The schema file does not hold a number.
    #[error("the schema version should be a decimal number, but is '{found}'")]
    SchemaNotANumber {
        /// What the file holds.
        found: String,
    },
    /// The database is older than what can be read or written.
    #[error(
        "the schema version is {found}, but {supported} is needed; any command of a current Nix migrates it"
    )]
    SchemaTooOld {
        /// The version of the database.
        found: u32,
        /// The version needed.
        supported: u32,
    },
    /// The database is newer than what can be written.
    #[error("the schema version is {found}, but nothing newer than {supported} can be written")]
    SchemaTooNew {
        /// The version of the database.
        found: u32,
        /// The newest version known.
        supported: u32,
    },
    /// There is no store where one was to be read.
    #[error("there is no Nix database at '{}'", path.display())]
    NoDatabase {
        /// The database file that does not exist.
        path: std::path::PathBuf,
    },
    /// The store directory is mounted read-only.
    #[error(
        "'{}' is mounted read-only, {}",
        path.display(),
        if *is_root {
            "and could not be remounted in a namespace of its own"
        } else {
            "and only root can remount it: use the nix-daemon, or be root"
        }
    )]
    ReadOnlyMount {
        /// The store directory.
        path: std::path::PathBuf,
        /// Whether this process is root's.
        is_root: bool,
    },
    /// The references of the paths of one batch lead in a circle.
    #[error("the references of '{path}' lead back to itself")]
    ReferenceCycle {
        /// A path on the circle.
        path: StorePath,
    },
    /// The collector answered a new root with something other than its acknowledgement.
    #[error("the garbage collector should answer '1' to a new root, but answered byte {answer}")]
    BadCollectorAnswer {
        /// The byte it sent.
        answer: u8,
    },
    /// The async runtime ended before the work did.
    #[error("the runtime shut down before the work was finished")]
    ShutDown,
}

/// A file operation failed.
pub(crate) fn file_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::File { action, path: path.to_owned(), source }
}

/// Something below the store failed.
pub(crate) fn backend_error(
    store: &Layout,
    action: impl Into<String>,
    source: impl Into<BoxError>,
) -> StoreError {
    backend_error_of(store, action, source)
}

/// The runtime ended before what was to be done for `store`.
pub(crate) fn shut_down(store: &impl std::fmt::Display) -> StoreError {
    backend_error_of(store, "go on", LocalStoreError::ShutDown)
}

/// As `backend_error`, for any store.
pub(crate) fn backend_error_of(
    store: &impl std::fmt::Display,
    action: impl Into<String>,
    source: impl Into<BoxError>,
) -> StoreError {
    StoreError::Backend { store: store.to_string(), action: action.into(), source: source.into() }
}

/// What the store holds cannot be understood.
pub(crate) fn corrupt(
    store: &Layout,
    location: impl Into<String>,
    source: impl Into<BoxError>,
) -> StoreError {
    corrupt_of(store, location, source)
}

/// As `corrupt`, for any store.
pub(crate) fn corrupt_of(
    store: &impl std::fmt::Display,
    location: impl Into<String>,
    source: impl Into<BoxError>,
) -> StoreError {
    StoreError::Corrupt { store: store.to_string(), location: location.into(), source: source.into() }
}
