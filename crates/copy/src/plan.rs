//! What has to be copied, and in which order.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{NarOrder, Store};
use nars3_store_path::StorePath;

use crate::publication::references_first;
use crate::{CopyError, CopyOptions, closure};

/// What a copy is going to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The paths to copy, in the order in which their NARs are to be sent.
    pub paths: Vec<Arc<PathInfo>>,
    /// Paths of the closure that the destination has already.
    pub present: usize,
}

impl Plan {
    /// The sum of NarSize of the paths to copy, in bytes.
    pub fn nar_bytes(&self) -> u64 {
        self.paths.iter().map(|info| info.nar_size).fold(0, u64::saturating_add)
    }
}

/// Finds out what of `roots`, and of what they refer to, `destination` lacks. Reads from both, writes to neither.
pub async fn plan(
    source: &Arc<dyn Store>,
    destination: &Arc<dyn Store>,
    roots: &[StorePath],
    options: &CopyOptions,
) -> Result<Plan, CopyError> {
    if source.store_dir() != destination.store_dir() {
        return Err(CopyError::StoreDirsDiffer {
            source_store: source.to_string(),
            source_dir: source.store_dir().to_string(),
            destination: destination.to_string(),
            destination_dir: destination.store_dir().to_string(),
        });
    }
    let infos = closure(source.as_ref(), roots, options.recursive).await?;
    let missing = if options.repair { infos.clone() } else { missing(destination.as_ref(), &infos).await? };
    let present = infos.len() - missing.len();
    // Sorted in any case: a circle of references has to be found before anything is sent.
    let mut paths = references_first(&missing).map_err(|paths| CopyError::Cycle { paths })?;
    if destination.write_behaviour().nar_order == NarOrder::Any {
        // Largest first: the last NAR under way should be a short one.
        paths.sort_by_key(|info| Reverse(info.nar_size));
    }
    Ok(Plan { paths, present })
}

async fn missing(destination: &dyn Store, infos: &[Arc<PathInfo>]) -> Result<Vec<Arc<PathInfo>>, CopyError> {
    let paths: Vec<StorePath> = infos.iter().map(|info| info.path.clone()).collect();
    let valid: HashSet<StorePath> = destination.valid_paths(&paths).await?.into_iter().collect();
    Ok(infos.iter().filter(|info| !valid.contains(&info.path)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{MemoryStore, path};

    #[tokio::test]
    async fn only_what_is_missing_is_planned_largest_first() {
        let source = MemoryStore::new("source");
        source.insert("small", &[]);
        source.insert("a-much-longer-name-makes-a-larger-nar", &["small", "there"]);
        source.insert("there", &[]);
        let destination = MemoryStore::new("destination");
        destination.insert("there", &[]);
        let (source, destination): (Arc<dyn Store>, Arc<dyn Store>) =
            (Arc::new(source), Arc::new(destination));
        let roots = [path("a-much-longer-name-makes-a-larger-nar")];
        let plan = plan(&source, &destination, &roots, &CopyOptions::default()).await.unwrap();
        let names: Vec<_> = plan.paths.iter().map(|info| info.path.name()).collect();
        assert_eq!(names, ["a-much-longer-name-makes-a-larger-nar", "small"]);
        assert_eq!(plan.present, 1);
        assert_eq!(plan.nar_bytes(), plan.paths.iter().map(|info| info.nar_size).sum::<u64>());
    }
}
