//! Why a copy failed.

use nars3_store_api::StoreError;
use nars3_store_path::{RealisedOutput, StorePath};

use crate::Report;

/// A copy could not be done, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A store answered with an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A path of the closure, reached through its referrer, is not valid in the source.
    #[error("'{referrer}' refers to '{path}', which is not valid in source store '{source_store}'")]
    IncompleteSource {
        /// The source store.
        source_store: String,
        /// A path that needs it.
        referrer: StorePath,
        /// The path that is missing.
        path: StorePath,
    },
    /// The references of these paths run in a circle, so no order of publication exists.
    #[error("the references of {} run in a circle", list(paths))]
    Cycle {
        /// The paths that are on a circle or refer to one.
        paths: Vec<StorePath>,
    },
    /// The two stores print their paths under different directories.
    #[error(
        "store '{source_store}' has its paths in '{source_dir}', but '{destination}' in '{destination_dir}'"
    )]
    StoreDirsDiffer {
        /// The source store.
        source_store: String,
        /// Its store directory.
        source_dir: String,
        /// The destination store.
        destination: String,
        /// Its store directory.
        destination_dir: String,
    },
    /// Some paths could not be copied; the others were, because the copy was told to go on.
    #[error("{} of {attempted} paths could not be copied", failed.len())]
    Partial {
        /// How many paths the plan held.
        attempted: usize,
        /// Those that failed, with their reasons.
        failed: Vec<FailedPath>,
        /// What was copied all the same.
        report: Report,
    },
    /// The source does not know what an output turned out to be.
    #[error("'{source_store}' has no realisation of '{output}'")]
    NoRealisation {
        /// The source store.
        source_store: String,
        /// The output.
        output: RealisedOutput,
    },
    /// No key that the destination trusts has signed a realisation.
    #[error("the realisation of '{output}' has no signature by a trusted key, and '{store}' requires one")]
    UntrustedRealisation {
        /// The output.
        output: RealisedOutput,
        /// The destination store.
        store: String,
    },
    /// A task of the pipeline panicked: a bug in this program.
    #[error("a task of the copy died: {reason}")]
    TaskDied {
        /// What the runtime says.
        reason: String,
    },
}

/// One path that could not be copied.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedPath {
    /// The path.
    pub path: StorePath,
    /// Why; `None` when a path that it refers to failed.
    pub error: Option<StoreError>,
}

fn list(paths: &[StorePath]) -> String {
    paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(", ")
}
