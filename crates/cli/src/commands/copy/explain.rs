//! What can be done about a copy that failed.

use std::error::Error;
use std::io::ErrorKind;

use nars3_copy::{CopyError, StateError};
use nars3_nix_store::DaemonError;
use nars3_store_api::StoreError;

use crate::error::CliError;
use crate::stores::DAEMON_HINT;

/// Adds to an error of the engine what a person can do about it.
pub(super) fn explain(error: CopyError, from_cache: bool) -> CliError {
    let hint = match &error {
        CopyError::Store(error) => of_store(error, from_cache),
        CopyError::StoreDirsDiffer { .. } => {
            Some("paths cannot move between store directories: their names depend on it".to_owned())
        }
        CopyError::UntrustedRealisation { .. } => Some(
            "the paths were copied; sign realisations by copying them to a cache with a key of its own, or take them as they \
             are with --no-check-sigs"
                .to_owned(),
        ),
        CopyError::Partial { failed, .. } => {
            failed.iter().find_map(|one| one.error.as_ref().and_then(|error| of_store(error, from_cache)))
        }
        _ => None,
    };
    let partial = matches!(error, CopyError::Partial { .. });
    let error = CliError::from(error);
    let error = if partial { error.partial() } else { error };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn of_store(error: &StoreError, from_cache: bool) -> Option<String> {
    let hint = match error {
        StoreError::Untrusted { signed_by, .. } if signed_by.is_empty() => {
            "the path is unsigned: sign what is pushed (--secret-key-file, NARS3_SECRET_KEY), or take it as it is with \
             --no-check-sigs"
        }
        StoreError::Untrusted { signed_by, .. } => {
            return Some(format!(
                "it carries signatures that name {}: give that key's public half with --trusted-public-keys, if you \
                 trust it",
                signed_by.join(", ")
            ));
        }
        StoreError::MissingReference { .. } => "copy the whole closure: leave out --no-recursive",
        StoreError::NarGone { .. } if !from_cache => {
            "a collector has taken the path meanwhile; whoever may not write the store's state directory reads without \
             temporary roots, which would hold it: be its owner, or read through its daemon"
        }
        StoreError::NarGone { .. } => {
            "the cache lists a path whose NAR was deleted: push the path again with --repair"
        }
        StoreError::BadSignature { .. } => {
            "take the key from who runs the cache; if it is right, the cache was tampered with, and the path is not to \
             be used"
        }
        StoreError::NarHashMismatch { .. } | StoreError::NarSizeMismatch { .. } if !from_cache => {
            "the store holds a damaged path: 'nix-store --repair-path PATH' fetches or builds it again; or copy it from \
             another store"
        }
        StoreError::NarHashMismatch { .. }
        | StoreError::NarSizeMismatch { .. }
        | StoreError::FileMismatch { .. } => {
            "the cache holds a damaged NAR: push the path again with --repair"
        }
        StoreError::Refused { refused, .. } => {
            return refused.iter().find_map(|(_, error)| of_store(error, from_cache));
        }
        StoreError::File { path, source, .. }
            if source.kind() == ErrorKind::PermissionDenied && path.starts_with("/nix") =>
        {
            DAEMON_HINT
        }
        StoreError::File { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "the store, or a directory above it, belongs to another user: be that user, or name another place"
        }
        StoreError::Backend { source, .. } if matches!(source.downcast_ref(), Some(DaemonError::Wire(_))) => {
            "run the copy again: what the daemon has taken stays, and the rest follows"
        }
        StoreError::Backend { source, .. } if is_unsigned_to_daemon(source.as_ref()) => {
            "the keys that count are those of the daemon: add the public key to trusted-public-keys in its nix.conf, or \
             let a user whom it trusts copy with --no-check-sigs"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whether a daemon has refused a path for want of a signature. It says so in words only (2.8 `local-store.cc`: "lacks a
/// valid signature", 2.29: "lacks a signature by a trusted key").
fn is_unsigned_to_daemon(source: &(dyn Error + 'static)) -> bool {
    let said = match source.downcast_ref() {
        Some(DaemonError::Remote(remote)) => &remote.message,
        _ => return false,
    };
    said.contains("lacks a valid signature") || said.contains("lacks a signature by a trusted key")
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
