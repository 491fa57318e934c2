//! What a store may answer when it cannot do what was asked. Facts are in fields; the wording of hints is the
//! command's.

use std::path::PathBuf;

use nars3_store_path::{Hash, StorePath};

/// The error of whatever a store stands on: a database, an object store, a socket.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An operation on a store failed. Every variant names the store as its URL, credentials left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The path is not valid in this store.
    #[error("path '{path}' is not valid in store '{store}'")]
    InvalidPath {
        /// The store that was asked.
        store: String,
        /// The path asked for.
        path: StorePath,
    },
    /// The path is valid, but its NAR is not there any more (Nix 2.29: `SubstituteGone`).
    #[error("the NAR of '{path}' is gone from '{store}': {location} does not exist")]
    NarGone {
        /// The store that was asked.
        store: String,
        /// The path whose NAR is missing.
        path: StorePath,
        /// The object key, URL or file that should hold it.
        location: String,
    },
    /// The NAR that arrived does not have the hash its path info promises.
    #[error("the NAR of '{path}' from '{store}' has hash {actual}, but its path info says {expected}")]
    NarHashMismatch {
        /// The store that noticed, or that sent it.
        store: String,
        /// The path.
        path: StorePath,
        /// The hash in the path info.
        expected: Hash,
        /// The hash of what arrived.
        actual: Hash,
    },
    /// The NAR that arrived does not have the size its path info promises.
    #[error("the NAR of '{path}' from '{store}' has {actual} bytes, but its path info says {expected}")]
    NarSizeMismatch {
        /// The store that noticed, or that sent it.
        store: String,
        /// The path.
        path: StorePath,
        /// Bytes, according to the path info.
        expected: u64,
        /// Bytes that arrived.
        actual: u64,
    },
    /// A file of a cache does not have the size or the hash its narinfo promises.
    #[error(
        "'{location}' of '{path}' in '{store}' is damaged: {field} should be {expected}, but is {actual}"
    )]
    FileMismatch {
        /// The store it came from.
        store: String,
        /// The path it belongs to.
        path: StorePath,
        /// The object key or URL.
        location: String,
        /// `FileHash` or `FileSize`.
        field: &'static str,
        /// What the narinfo says.
        expected: String,
        /// What arrived.
        actual: String,
    },
    /// A path cannot become valid because one of its references is not.
    #[error("cannot add '{path}' to '{store}' because its reference '{reference}' is not valid there")]
    MissingReference {
        /// The store that was written to.
        store: String,
        /// The path that was to be added.
        path: StorePath,
        /// The reference that is missing.
        reference: StorePath,
    },
    /// No trusted key has signed the path, and no content address proves it.
    #[error("'{path}' from '{source_store}' has no signature by a trusted key, and '{store}' requires one")]
    Untrusted {
        /// The store that refused it.
        store: String,
        /// The store it came from.
        source_store: String,
        /// The path.
        path: StorePath,
        /// The names of the keys that did sign it, trusted or not, whether or not the signature is good.
        signed_by: Vec<String>,
    },
    /// A trusted key's name is on a signature that the key did not make.
    #[error(
        "the signature of '{key}' on '{path}' from '{source_store}' is not valid: what is signed was changed, or \
         another key has that name"
    )]
    BadSignature {
        /// The store it came from.
        source_store: String,
        /// The path.
        path: StorePath,
        /// The name of the key.
        key: String,
    },
    /// A content address is claimed that the path or its contents do not bear out.
    #[error("the content address '{claimed}' of '{path}' is false: {reason}")]
    FalseContentAddress {
        /// The path.
        path: StorePath,
        /// The claim, as in the `CA` field.
        claimed: String,
        /// What was found instead.
        reason: String,
    },
    /// What the store holds about a path cannot be understood.
    #[error("'{location}' in '{store}' is corrupt")]
    Corrupt {
        /// The store.
        store: String,
        /// The object key, file or table row.
        location: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The two sides keep their paths under different store directories.
    #[error("'{store}' is for Nix stores at '{actual}', not '{expected}'")]
    StoreDirMismatch {
        /// The store whose directory differs.
        store: String,
        /// The store directory needed.
        expected: String,
        /// The store directory it has.
        actual: String,
    },
    /// Some paths of a batch were refused. Those that are not named here have become valid.
    #[error("'{store}' refuses {} of the paths, first {}", refused.len(), first_refusal(refused))]
    Refused {
        /// The store that was written to.
        store: String,
        /// Each path that did not become valid, and why.
        refused: Vec<(StorePath, Self)>,
    },
    /// This kind of store cannot do that.
    #[error("store '{store}' cannot {operation}")]
    Unsupported {
        /// The store.
        store: String,
        /// What it was asked to do, as a verb phrase.
        operation: &'static str,
    },
    /// The producer of a NAR went away before it declared the NAR complete.
    #[error("a NAR ended before it was complete: its sender went away")]
    NarInterrupted,
    /// Reading or writing a file failed.
    #[error("cannot {action} '{}'", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Whatever the store stands on failed.
    #[error("store '{store}': cannot {action}")]
    Backend {
        /// The store.
        store: String,
        /// What was tried, as a verb phrase with the object of it (a key, a path, a query).
        action: String,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}

/// The first refusal, in one line.
fn first_refusal(refused: &[(StorePath, StoreError)]) -> String {
    refused.first().map(|(path, error)| format!("'{path}': {}", error.with_causes())).unwrap_or_default()
}

impl StoreError {
    /// The first refusal, where there may be several; any other error as it is.
    #[must_use]
    pub fn into_first(self) -> Self {
        match self {
            Self::Refused { mut refused, .. } if !refused.is_empty() => refused.swap_remove(0).1,
            other => other,
        }
    }

    /// The error with its causes, in one line: for reports of many failures.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// Takes a `StoreError` back out of an `io::Error` that carried it through a `Read` or `Write`, or gives the
    /// `io::Error` back when it carried something else.
    pub fn from_carrier(error: std::io::Error) -> Result<Self, std::io::Error> {
        error.downcast::<Self>()
    }

    /// Wraps the error so that it can pass through a `Read` or `Write`; `from_carrier` undoes it.
    pub fn into_carrier(self) -> std::io::Error {
        std::io::Error::other(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_io() {
        let carried = StoreError::NarInterrupted.into_carrier();
        assert!(matches!(StoreError::from_carrier(carried), Ok(StoreError::NarInterrupted)));
    }

    #[test]
    fn a_batch_tells_its_first_refusal() {
        let name = format!("{}-x", "a".repeat(32));
        let path = StorePath::from_base_name(&name).expect("well-formed");
        let refused = vec![(path.clone(), StoreError::NarInterrupted), (path, StoreError::NarInterrupted)];
        let error = StoreError::Refused { store: "daemon".to_owned(), refused };
        let told = error.to_string();
        assert!(told.contains("refuses 2") && told.contains(&name) && told.contains("sender"), "{told}");
        assert!(matches!(error.into_first(), StoreError::NarInterrupted));
    }

    #[test]
    fn causes_follow_in_one_line() {
        let error = StoreError::File {
            action: "read",
            path: "/x".into(),
            source: std::io::Error::other("disk on fire"),
        };
        assert_eq!(error.with_causes(), "cannot read '/x': disk on fire");
    }

    #[test]
    fn a_foreign_io_error_comes_back_as_it_was() {
        let foreign = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "no");
        let back = StoreError::from_carrier(foreign).expect_err("it carried no store error");
        assert_eq!(back.kind(), std::io::ErrorKind::PermissionDenied);
    }
}
