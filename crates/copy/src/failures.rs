//! What of a plan cannot be copied, found out before a NAR is sent: for a copy that goes on without it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;

use crate::{CopyError, CopyOptions, FailedPath};

/// For each of `paths` whose references are neither among them, nor at the destination, nor in an upstream: the first such
/// reference.
pub(crate) async fn missing_references(
    destination: &dyn Store,
    paths: &[Arc<PathInfo>],
    options: &CopyOptions,
) -> Result<HashMap<StorePath, StorePath>, CopyError> {
    let planned: HashSet<&StorePath> = paths.iter().map(|info| &info.path).collect();
    let outside: HashSet<&StorePath> =
        paths.iter().flat_map(|info| &info.references).filter(|path| !planned.contains(path)).collect();
    let mut open: Vec<StorePath> = outside.into_iter().cloned().collect();
    for store in std::iter::once(destination).chain(options.selection.upstreams.iter().map(Arc::as_ref)) {
        if open.is_empty() {
            break;
        }
        let there: HashSet<StorePath> = store.valid_paths(&open).await?.into_iter().collect();
        open.retain(|path| !there.contains(path));
    }
    let open: HashSet<StorePath> = open.into_iter().collect();
    let first = |info: &Arc<PathInfo>| {
        let reference = info.references.iter().find(|reference| open.contains(*reference))?;
        Some((info.path.clone(), reference.clone()))
    };
    Ok(paths.iter().filter_map(first).collect())
}

/// The error of a path whose reference is missing at the destination.
pub(crate) fn missing_reference(
    destination: &dyn Store,
    path: &StorePath,
    reference: &StorePath,
) -> StoreError {
    StoreError::MissingReference {
        store: destination.to_string(),
        path: path.clone(),
        reference: reference.clone(),
    }
}

/// Takes out of `paths`, which are in the order of their references, what is in `errors`, and what refers to what has failed:
/// to that, or to what is in `failed` already, where all of it goes.
pub(crate) fn take_out(
    paths: &mut Vec<Arc<PathInfo>>,
    mut errors: HashMap<StorePath, StoreError>,
    failed: &mut Vec<FailedPath>,
) {
    let mut gone: HashSet<StorePath> = failed.iter().map(|one| one.path.clone()).collect();
    paths.retain(|info| {
        let error = errors.remove(&info.path);
        if error.is_none() && !info.references.iter().any(|reference| gone.contains(reference)) {
            return true;
        }
        gone.insert(info.path.clone());
        failed.push(FailedPath { path: info.path.clone(), error });
        false
    });
}
