//! What can be done about a copy that failed.

use nars3_copy::{CopyError, StateError};
use nars3_store_api::StoreError;

use crate::error::CliError;

/// Adds to an error of the engine what a person can do about it.
pub(super) fn explain(error: CopyError) -> CliError {
    let hint = match &error {
        CopyError::Store(StoreError::Untrusted { signed_by, .. }) if signed_by.is_empty() => Some(
            "the path is unsigned: sign what is pushed (--secret-key-file, NARS3_SECRET_KEY), or take it as it is \
             with --no-check-sigs"
                .to_owned(),
        ),
        CopyError::Store(StoreError::Untrusted { signed_by, .. }) => Some(format!(
            "it carries signatures that name {}: give that key's public half with --trusted-public-keys, if you trust it",
            signed_by.join(", ")
        )),
        CopyError::Store(StoreError::MissingReference { .. }) => {
            Some("copy the whole closure: leave out --no-recursive".to_owned())
        }
        CopyError::Store(StoreError::NarGone { .. }) => {
            Some("the cache lists a path whose NAR was deleted: push the path again with --repair".to_owned())
        }
        CopyError::Store(StoreError::BadSignature { .. }) => Some(
            "take the key from who runs the cache; if it is right, the cache was tampered with, and the path is not to \
             be used"
                .to_owned(),
        ),
        CopyError::Store(
            StoreError::NarHashMismatch { .. }
            | StoreError::NarSizeMismatch { .. }
            | StoreError::FileMismatch { .. },
        ) => {
            Some("the cache holds a damaged NAR: push the path again with --repair".to_owned())
        }
        CopyError::StoreDirsDiffer { .. } => {
            Some("paths cannot move between store directories: their names depend on it".to_owned())
        }
        CopyError::Partial { .. } => return CliError::from(error).partial(),
        _ => None,
    };
    let error = CliError::from(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Adds to an error of a state file what a person can do about it.
pub(super) fn explain_state(error: StateError) -> CliError {
    let hint = match &error {
        StateError::Foreign { .. } => "name another file with --state; this one was left as it is",
        StateError::OtherCopy { .. } => {
            "use one state file for each destination: name another one with --state, or delete this one"
        }
        StateError::InUse { .. } => "wait until the other copy has ended, or name another file with --state",
        _ => "the directory must be there, and the file must be yours to write",
    };
    CliError::from(error).hint(hint)
}
